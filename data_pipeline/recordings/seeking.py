"""A recording's file as libsndfile may ask for it, whose damaged headers name places that are not there."""

import io
from typing import BinaryIO


class Seeking:
    """`file`, to be read, which stays where it is when it is asked for a place before its beginning.

    soundfile asks for it from C, where an exception is printed as a traceback and then lost; libsndfile sees by the
    place where it is that the file is damaged.
    """

    def __init__(self, file: BinaryIO):
        self.file, self.tell, self.readinto, self.read = file, file.tell, file.readinto, file.read
        self.name = getattr(file, "name", None)  # soundfile takes the kind of headerless samples from it

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        try:
            return self.file.seek(offset, whence)
        except (OSError, OverflowError, ValueError):
            return self.file.tell()

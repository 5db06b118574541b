"""Texts that a user gives: in an argument, a file, or standard input; all of them UTF-8."""

import io
from typing import BinaryIO

from data_pipeline.errors import UserError

MOST_CHARS = 10_000_000  # a dozen long novels


def argument_text(text: str, flag: str) -> str:
    """What stands on the command line. Raises UserError where it is not UTF-8."""
    try:
        text.encode("utf-8")
    except UnicodeEncodeError as error:  # Python holds bytes that are no text as half characters
        raise _not_utf8(flag, f"near its character {error.start}") from error
    return text


def file_text(path: str, flag: str) -> str:
    """Raises UserError where there is no such file, or it cannot be read, is too long, or is not UTF-8."""
    name = f"{flag} {path}"
    try:
        with open(path, "rb") as file:
            return _decoded(file, name)
    except FileNotFoundError as error:
        raise UserError(f"{name} does not exist.") from error
    except UserError:
        raise
    except (OSError, ValueError) as error:  # a folder, no permission; NUL in the name
        raise UserError(f"{name} cannot be read ({error}); expected a text file in UTF-8.") from error


def standard_input_text(standard_input: io.TextIOBase) -> str:
    """All of it, as UTF-8 whatever the locale says: that of LC_ALL=C lets bytes through that are none."""
    binary = getattr(standard_input, "buffer", None)
    if binary is None:  # a program has put text in its place
        return standard_input.read()
    return _decoded(binary, "standard input")


def _decoded(file: BinaryIO, name: str) -> str:
    reader = io.TextIOWrapper(file, encoding="utf-8-sig")  # any end of line
    try:
        text = reader.read(MOST_CHARS + 1)
    except UnicodeDecodeError as error:
        raise _not_utf8(name, f"byte {error.start} is 0x{error.object[error.start]:02x}") from error
    finally:
        reader.detach()  # the file is its owner's
    if len(text) > MOST_CHARS:
        raise UserError(f"{name} has more than {MOST_CHARS:,} characters; give it in parts.")
    return text


def _not_utf8(name: str, found: str) -> UserError:
    return UserError(
        f"{name} is not UTF-8 ({found}); write it anew: iconv -f LATIN1 -t UTF-8 OLD > NEW, or the encoding that it "
        "has."
    )

"""Recordings of phones and browsers (m4a, aac, webm, wma, amr, 3gp), which libsndfile does not read.

ffmpeg or torchcodec does, whichever is at hand; neither is needed for anything else. Where there is none, one message
tells it for all such files of a folder.
"""

import importlib
import importlib.util
import io
import os
import shlex
import shutil
import struct
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from pathlib import Path
from typing import BinaryIO

import soundfile

from data_pipeline.errors import UserError

SUFFIXES = (".m4a", ".mp4", ".aac", ".webm", ".weba", ".wma", ".amr", ".3gp", ".3gpp")
HEAD_BYTES = 16  # that tell the kind
# ffmpeg's name of each kind's demuxer: a file is read as what it is, never as a playlist that leads elsewhere.
DEMUXERS = {"mp4": "mov", "webm": "matroska", "wma": "asf", "aac": "aac", "amr": "amr"}
BEGINNINGS = {b"\x1a\x45\xdf\xa3": "webm", b"\x30\x26\xb2\x75": "wma", b"#!AMR": "amr"}
MOST_BYTES = 2**29  # of a converted recording, as of a decoded one
TORCHCODEC = "torchcodec.decoders"  # nothing that is required: only where somebody has it
LONGEST_S = 600.0  # that a conversion may take
CONVERTED_SUFFIXES = (".flac", ".wav")  # of what the command in the message makes beside a file


class NeedsConversion(UserError):
    """A recording of such a kind, where nothing at hand reads it: the same words for all of a folder."""


class NotConverted(UserError):
    """A damaged recording of such a kind."""


def kind_of(head: bytes) -> str | None:
    """The kind of a recording by its first HEAD_BYTES; None for what is not for this module."""
    if head[4:8] == b"ftyp":
        return "mp4"
    if len(head) > 1 and head[0] == 0xFF and head[1] & 0xF6 == 0xF0:  # ADTS: an mp3 has other layer bits
        return "aac"
    return next((kind for start, kind in BEGINNINGS.items() if head.startswith(start)), None)


def readable(handle: BinaryIO, where: str | None) -> BinaryIO:
    """The open file itself, or where libsndfile would not read it, a wav of what it holds.

    where: its path or URL; None for bytes. Raises NeedsConversion where nothing at hand reads it, and NotConverted.
    """
    kind = kind_of(handle.read(HEAD_BYTES))
    handle.seek(0)
    if kind is None:
        return handle
    converted = _converted_beside(where)
    if decoder() is None and converted is not None:
        return io.BytesIO(converted.read_bytes())
    if decoder() is None:
        raise NeedsConversion(_told(where, kind))
    with _as_path(handle, where) as path:
        return io.BytesIO(_by_ffmpeg(path, kind) if decoder() == "ffmpeg" else _by_torchcodec(path))


@cache
def decoder() -> str | None:
    """What reads such recordings here: "ffmpeg", "torchcodec" or None."""
    if shutil.which("ffmpeg"):
        return "ffmpeg"
    if importlib.util.find_spec("torchcodec") is None:
        return None
    try:
        importlib.import_module(TORCHCODEC)
    except (ImportError, OSError, RuntimeError):  # it finds no FFmpeg libraries that it was built for
        return None
    return "torchcodec"


def mp4_header(audio: bytes | str) -> tuple[float, int] | None:
    """(seconds, Hz) of the sound of an MPEG-4 file, by its boxes, without decoding; None where they do not tell.

    A process for each file would take minutes of planning. ISO/IEC 14496-12: moov / trak / mdia holds mdhd (timescale
    and duration, whose timescale is the sampling rate of sound) and hdlr (the kind, "soun").
    """
    if decoder() is None or (isinstance(audio, str) and not os.path.isfile(audio)):
        return None
    try:
        with io.BytesIO(audio) if isinstance(audio, bytes) else open(audio, "rb") as file:
            return _header_of(file) if kind_of(file.read(HEAD_BYTES)) == "mp4" else None
    except (OSError, struct.error, KeyError, ZeroDivisionError):
        return None  # it cannot be read, or is damaged, which decoding it will say


def _header_of(file: BinaryIO) -> tuple[float, int] | None:
    for track in _boxes(file, 0, file.seek(0, os.SEEK_END), (b"moov", b"trak", b"mdia")):
        parts = {name: content for name, content in _contents(file, *track) if name in (b"mdhd", b"hdlr")}
        if parts.get(b"hdlr", b"")[8:12] == b"soun":
            return _of_mdhd(parts[b"mdhd"])
    return None


def _boxes(file: BinaryIO, start: int, end: int, names: tuple[bytes, ...]) -> Iterator[tuple[int, int]]:
    """(start, end) of what is in each box at the path `names`."""
    if not names:
        yield start, end
        return
    for name, first, last in _inside(file, start, end):
        if name == names[0]:
            yield from _boxes(file, first, last, names[1:])


def _inside(file: BinaryIO, start: int, end: int) -> Iterator[tuple[bytes, int, int]]:
    while start + 8 <= end:
        file.seek(start)
        size, name = struct.unpack(">I4s", file.read(8))
        header = 8
        if size == 1:
            size, header = struct.unpack(">Q", file.read(8))[0], 16
        size = size or end - start  # 0: to the end
        if size < header:
            return
        yield name, start + header, min(start + size, end)
        start += size


def _contents(file: BinaryIO, start: int, end: int) -> Iterator[tuple[bytes, bytes]]:
    for name, first, last in _inside(file, start, end):
        file.seek(first)
        yield name, file.read(min(last - first, 64))


def _of_mdhd(content: bytes) -> tuple[float, int]:
    rate_hz, duration = (
        struct.unpack_from(">IQ", content, 20) if content[0] == 1 else struct.unpack_from(">II", content, 12)
    )
    return duration / rate_hz, rate_hz


@contextmanager
def _as_path(handle: BinaryIO, where: str | None) -> Iterator[str]:
    """An MPEG-4 file is read from its end too, so that a pipe will not do."""
    if where is not None and os.path.isfile(where):
        yield where
        return
    with tempfile.NamedTemporaryFile(prefix="goya-") as file:
        shutil.copyfileobj(handle, file)
        file.flush()
        yield file.name


def _by_ffmpeg(path: str, kind: str) -> bytes:
    command = ["ffmpeg", "-nostdin", "-v", "error", "-protocol_whitelist", "file", "-f", DEMUXERS[kind]]
    command += ["-i", f"file:{path}", "-map", "0:a:0", "-c:a", "pcm_s16le", "-fs", str(MOST_BYTES), "-f", "wav"]
    try:
        done = subprocess.run([*command, "pipe:1"], capture_output=True, timeout=LONGEST_S)
    except subprocess.TimeoutExpired as error:
        raise NotConverted(f"ffmpeg has not read it within {LONGEST_S:g} s") from error
    if done.returncode or not done.stdout:
        said = done.stderr.decode("utf-8", "replace").strip().splitlines() or ["no sound"]
        raise NotConverted(f"ffmpeg: {said[-1].replace(f'file:{path}: ', '')}")
    return done.stdout


def _by_torchcodec(path: str) -> bytes:
    try:
        samples = importlib.import_module(TORCHCODEC).AudioDecoder(path).get_all_samples()
    except (RuntimeError, ValueError) as error:
        raise NotConverted(f"torchcodec: {str(error).splitlines()[0]}") from error
    wav = io.BytesIO()
    soundfile.write(wav, samples.data.numpy().T, samples.sample_rate, format="WAV", subtype="PCM_16")
    return wav.getvalue()


def _converted_beside(where: str | None) -> Path | None:
    """What the command of the message made of a file, so that no table has to be changed."""
    if where is None or "://" in where:
        return None
    return next((one for end in CONVERTED_SUFFIXES if os.path.isfile(one := Path(where).with_suffix(end))), None)


def _told(where: str | None, kind: str) -> str:
    here = "Neither ffmpeg nor torchcodec is installed here"
    if where is None or "://" in where:
        return f"Recordings in the corpus are {kind}, which needs ffmpeg. {here}: sudo apt install ffmpeg"
    folder, end = Path(where).parent, Path(where).suffix
    made = f'for f in {shlex.quote(str(folder))}/*{end}; do ffmpeg -i "$f" "${{f%.*}}.flac"; done'
    return (
        f"The {end} files in {folder} are {kind}, which needs ffmpeg. {here}: sudo apt install ffmpeg. Or convert them "
        f"where it is, beside one another; the table may stay as it is: {made}"
    )

"""What is drawn at random: numbers, words, values of JSON, texts, bytes that are harmed."""

import json
import os
import random
import sys
from pathlib import Path

ODD_WORDS = (
    "",
    " ",
    "none",
    "true",
    "x",
    "é",
    "\0",
    "\n",
    "\ud800",
    "../..",
    "/dev/zero",
    "auto",
    "1e5",
    "0x10",
    "[1]",
)
ODD_BYTES = (b"\0", b"\xff", b"{", b"[", b"*a", b"&a ", b"\n", b"9" * 500, b'"', b": ", b"\xef\xbb\xbf")


class Ill(Exception):
    """An end that no user should see, though nothing was raised: (its name, what happened)."""


def number(draw: random.Random) -> float | int:
    """From the ends of types, near them, and anywhere."""
    edge = draw.choice([0, 1, 2**7, 2**15, 2**31, 2**32, 2**53, 2**63, 2**64, 10**30, 10**400])
    made = draw.choice([edge, edge - 1, -edge, draw.randint(-(2**40), 2**40)])
    if made.bit_length() > 1000:
        return made
    return draw.choice(
        [made, float(made), made + 0.5, draw.uniform(-1, 1), 10.0 ** draw.randint(-320, 308), float("nan")]
    )


def word(draw: random.Random) -> str:
    return "".join(draw.choices(ODD_WORDS, k=draw.randint(0, 4))) * draw.choice([1, 1, 1, 2000])


def value(draw: random.Random, level: int = 0):
    """Anything that JSON can hold."""
    kinds = [number, word, lambda draw: draw.choice([None, True, False])]
    if level < 4:
        kinds.append(lambda draw: [value(draw, level + 1) for _ in range(draw.randint(0, 3))])
        kinds.append(lambda draw: {word(draw): value(draw, level + 1) for _ in range(draw.randint(0, 3))})
    return draw.choice(kinds)(draw)


def letters(draw: random.Random, most: int = 12) -> str:
    """Characters of one place of Unicode, or of anywhere: with it marks, controls, half characters, signs."""
    size = draw.randint(1, most)
    start = draw.choice([0x20, 0x20, 0x61, 0xC0, 0x300, 0x400, 0x590, 0x600, 0x900, 0xE00, 0x1100, 0x2000, 0x3040,
                         0x4E00, 0xAC00, 0xD800, 0xE000, 0xFB00, 0xFE00, 0xFF00, 0x10300, 0x1D400, 0x1F300,
                         0x1F1E6, 0xE0000, None])  # fmt: skip
    if start is None:
        return "".join(chr(draw.randrange(sys.maxunicode + 1)) for _ in range(size))
    return "".join(chr(start + draw.randrange(0x60)) for _ in range(size))


def digits(draw: random.Random) -> str:
    """Of any script, as long as one likes."""
    zeros = ["0", "0", "٠", "۰", "०", "๐", "０", "𝟎", "᠐"]
    zero = ord(draw.choice(zeros))
    said = "".join(chr(zero + draw.randrange(10)) for _ in range(draw.choice([1, 2, 3, 4, 8, 20, 400])))
    return said[: draw.randint(1, len(said))]


def harmed(draw: random.Random, content: bytes) -> bytes:
    """Bytes flipped, cut out, put in, doubled."""
    data = bytearray(content)
    for _ in range(draw.randint(1, 5)):
        at = draw.randrange(len(data) + 1)
        new = draw.choice([*ODD_BYTES, draw.randbytes(4)])
        data[at : at + draw.choice([0, 0, 1, 10, 1000])] = new * draw.choice([1, 1, 1, 5000])
    return bytes(data)


def cut(draw: random.Random, content: bytes) -> bytes:
    return content[: draw.randrange(len(content) + 1)]


# A folder of files, as a stranger may have made it


def field_changed(draw: random.Random, path: Path) -> None:
    """Any value of any depth of a JSON file; nothing where an earlier harm left no such file."""
    if not path.is_file() or path.is_symlink():
        return
    try:
        found = json.loads(path.read_bytes())
        place = found
        while isinstance(inner := place.get(draw.choice([*place, "more"])), dict) and inner and draw.random() < 0.7:
            place = inner
        place[draw.choice([*place, word(draw)])] = value(draw)
        path.write_text(json.dumps(found), encoding="utf-8", errors="surrogatepass")
    except (AttributeError, ValueError, IndexError):  # harmed before
        return


def file_changed(draw: random.Random, path: Path) -> None:
    """Bytes near its beginning, or its end cut off."""
    if path.is_file() and not path.is_symlink():
        whole = path.read_bytes()
        path.write_bytes(draw.choice([harmed(draw, whole[:5000]) + whole[5000:], cut(draw, whole)]))


def file_replaced(draw: random.Random, path: Path) -> None:
    """By a link, a pipe, a folder, nothing."""
    if path.is_dir() and not path.is_symlink():
        return
    how = draw.randrange(4)
    path.unlink(missing_ok=True)
    if how == 0:
        path.symlink_to(draw.choice(["/etc/passwd", "/dev/zero", "loop", path.name, "..", "config.json"]))
    elif how == 1:
        os.mkfifo(path)
    elif how == 2:
        path.mkdir()

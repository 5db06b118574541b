"""How long an MP3 is, by counting its frames: what stands in front of it may not say, or say less than there is.

Without a count in a Xing header (Xing Technologies' SDK, kept by LAME and ffmpeg) libsndfile guesses the length from
the first frames' bit rate, and decodes no more than it guessed: of a variable rate, as it comes out of a pipe, a third
of the speech is lost. So the count is put in front.
"""

import struct

# ISO/IEC 11172-3 and 13818-3, 2.4.2.3. By the two bits of the version (0: MPEG 2.5, 2: MPEG 2, 3: MPEG 1).
RATES_HZ = {3: (44_100, 48_000, 32_000), 2: (22_050, 24_000, 16_000), 0: (11_025, 12_000, 8_000)}
KBITS_1 = (32, 40, 48, 56, 64, 80, 96, 112, 128, 160, 192, 224, 256, 320)
KBITS_2 = (8, 16, 24, 32, 40, 48, 56, 64, 80, 96, 112, 128, 144, 160)
ENCODER_DELAY = 576  # samples of silence that LAME and most others put in front
XING, HAS_FRAMES_AND_BYTES = (b"Xing", b"Info"), 3

SIGNATURE_BYTES = 4


def is_mp3(start: bytes) -> bool:
    """By the first SIGNATURE_BYTES: tags in front, or a layer III frame."""
    return start[:3] == b"ID3" or _frame(start, 0) is not None


def with_true_length(content: bytes) -> bytes:
    """The file, behind a Xing header with its number of frames where it has none or one that says fewer.

    What is no layer III stream, or one of a free bit rate, comes back as it is.
    """
    start = _after_id3(content)
    first = _frame(content, start)
    if first is None:
        return content
    said = _said(content, start)
    frames = _count(content, start) - (said is not None)
    if frames < 1 or (said or 0) >= frames:
        return content
    return content[:start] + _xing_frame(content[start : start + 4], frames, len(content) - start) + content[start:]


def _after_id3(content: bytes) -> int:
    """Where the tags in front end (ID3v2: a header with a size in four times seven bits)."""
    start = 0
    while content[start : start + 3] == b"ID3" and len(content) >= start + 10:
        size = 0
        for byte in content[start + 6 : start + 10]:
            size = size << 7 | byte & 0x7F
        start += 10 + size
    found = content.find(b"\xff", start, start + 4096)  # some writers pad
    return found if found >= 0 else start


def _frame(content: bytes, at: int) -> int | None:
    """The bytes of the layer III frame whose header is there, or None."""
    if at + 4 > len(content) or content[at] != 0xFF or content[at + 1] & 0xE0 != 0xE0:
        return None
    version, layer = content[at + 1] >> 3 & 3, content[at + 1] >> 1 & 3
    rate, bits, padding = content[at + 2] >> 2 & 3, content[at + 2] >> 4, content[at + 2] >> 1 & 1
    if version == 1 or layer != 1 or rate == 3 or bits in (0, 15):
        return None
    kbits = (KBITS_1 if version == 3 else KBITS_2)[bits - 1]
    return (144_000 if version == 3 else 72_000) * kbits // RATES_HZ[version][rate] + padding


def _count(content: bytes, at: int) -> int:
    frames = 0
    while at < len(content):
        size = _frame(content, at)
        if size is None:
            # Another file's tags in between, or damage: on with what looks like two frames in a row.
            at = _next_frame(content, at + 1)
            continue
        frames += at + size <= len(content)
        at += size
    return frames


def _next_frame(content: bytes, at: int) -> int:
    while (at := content.find(b"\xff", at)) >= 0:
        size = _frame(content, at)
        if size is not None and _frame(content, at + size) is not None:
            return at
        at += 1
    return len(content)


def _tag_place(header: bytes) -> int:
    """Where in a frame the Xing tag begins: behind the header and the side information."""
    is_mono, is_first_version = header[3] >> 6 == 3, header[1] >> 3 & 3 == 3
    return 4 + {(True, True): 17, (True, False): 9, (False, True): 32, (False, False): 17}[is_mono, is_first_version]


def _said(content: bytes, start: int) -> int | None:
    """The frames that a Xing header says; 0 for one that says none; None without such a header."""
    at = start + _tag_place(content[start : start + 4])
    if content[at : at + 4] not in XING or len(content) < at + 12:
        return None
    flags, frames = struct.unpack(">II", content[at + 4 : at + 12])
    return frames if flags & 1 else 0


def _xing_frame(header: bytes, frames: int, size: int) -> bytes:
    """A frame without sound that holds the count, as large as it has to be."""
    place = _tag_place(header)
    for bits in range(1, 15):
        plain = bytes([header[0], header[1] | 1, bits << 4 | header[2] & 0x0C, header[3]])  # no checksum, no padding
        length = _frame(plain, 0) or 0
        if length >= place + 40:
            break
    tag = b"Xing" + struct.pack(">III", HAS_FRAMES_AND_BYTES, frames, size + length)
    tag += b"LAME3.100" + bytes(12) + (ENCODER_DELAY << 12).to_bytes(3, "big")
    return (plain + bytes(place - 4) + tag).ljust(length, b"\0")

"""Recordings of phones and browsers: read where ffmpeg or torchcodec is, else told of once."""

import io
import shutil
import subprocess
import sys
from types import ModuleType, SimpleNamespace

import numpy as np
import pytest
import soundfile
import torch

from data_pipeline.batching.plan import Limits, Plan
from data_pipeline.reading.sources import open_source
from data_pipeline.recordings import containers
from data_pipeline.recordings.audio import AudioConfig, BrokenAudio, header_of, read_samples
from testing import small_runs

RATE = 16_000
# Ending -> what ffmpeg is told besides.
KINDS = {
    "m4a": [], "aac": [], "webm": ["-c:a", "libopus"], "wma": [], "3gp": ["-c:a", "aac"],
    "amr": ["-c:a", "libopencore_amrnb", "-ar", "8000"],
}  # fmt: skip
# The first bytes of each kind, as files have them.
HEADS = {
    "m4a": b"\x00\x00\x00\x1cftypM4A \x00\x00\x02\x00", "aac": b"\xff\xf1\x50\x80\x05\x1f\xfc",
    "webm": b"\x1a\x45\xdf\xa3\x9f\x42\x86\x81", "wma": b"\x30\x26\xb2\x75\x8e\x66\xcf\x11", "amr": b"#!AMR\n<",
}  # fmt: skip


@pytest.fixture(autouse=True)
def fresh():
    containers.decoder.cache_clear()
    yield
    containers.decoder.cache_clear()


@pytest.fixture
def nothing_at_hand(monkeypatch):
    monkeypatch.setattr(containers.shutil, "which", lambda name: None)
    monkeypatch.setattr(containers.importlib.util, "find_spec", lambda name: None)


def tone() -> np.ndarray:
    return 0.3 * np.sin(2 * np.pi * 440 * np.arange(RATE * 3 // 2) / RATE).astype(np.float32)


@pytest.mark.skipif(shutil.which("ffmpeg") is None, reason="ffmpeg makes and reads these files")
@pytest.mark.parametrize("as_bytes", [False, True], ids=["a path", "bytes"])
@pytest.mark.parametrize("end", KINDS)
def test_ffmpeg_reads_what_libsndfile_does_not(tmp_path, end, as_bytes):
    soundfile.write(tmp_path / "a.wav", tone(), RATE)
    made = tmp_path / f"a.{end}"
    done = subprocess.run(["ffmpeg", "-v", "error", "-i", tmp_path / "a.wav", *KINDS[end], made], capture_output=True)
    if done.returncode:
        pytest.skip(f"this ffmpeg has no encoder for {end}")
    audio = made.read_bytes() if as_bytes else str(made)
    found = read_samples(audio, name="a")
    assert len(found.wave_N) / found.rate_hz == pytest.approx(1.5, abs=0.13)
    spectrum = np.abs(np.fft.rfft(found.wave_N))
    assert np.argmax(spectrum) * found.rate_hz / len(found.wave_N) == pytest.approx(440, abs=3)
    header = header_of(audio, name="a")
    assert header.rate_hz == found.rate_hz and header.seconds == pytest.approx(1.5, abs=0.13)
    content = made.read_bytes()
    with pytest.raises(BrokenAudio, match="cannot be decoded"):
        read_samples(content[:40], name="a")


def test_the_length_of_mpeg_4_is_in_its_boxes(monkeypatch):
    """Without a process; the boxes of a video come first, and its length is another."""
    monkeypatch.setattr(containers.shutil, "which", lambda name: "/usr/bin/ffmpeg")

    def box(name: bytes, *contents: bytes) -> bytes:
        content = b"".join(contents)
        return (len(content) + 8).to_bytes(4, "big") + name + content

    def track(kind: bytes, scale: int, duration: int) -> bytes:
        times = bytes(12) + scale.to_bytes(4, "big") + duration.to_bytes(4, "big") + bytes(4)
        return box(b"trak", box(b"mdia", box(b"mdhd", times), box(b"hdlr", bytes(8) + kind + bytes(12))))

    movie = box(b"moov", box(b"mvhd", bytes(100)), track(b"vide", 600, 6000), track(b"soun", 44_100, 88_200))
    content = box(b"ftyp", b"M4A \x00\x00\x02\x00") + box(b"mdat", bytes(1000)) + movie
    assert containers.mp4_header(content) == (2.0, 44_100)
    assert containers.mp4_header(content[:-60]) is None and containers.mp4_header(HEADS["webm"]) is None


def test_torchcodec_reads_where_there_is_no_ffmpeg(monkeypatch, tmp_path):
    class AudioDecoder:
        def __init__(self, path):
            assert open(path, "rb").read() == HEADS["webm"]

        def get_all_samples(self):
            return SimpleNamespace(data=torch.from_numpy(tone())[None], sample_rate=RATE)

    decoders = ModuleType("torchcodec.decoders")
    decoders.AudioDecoder = AudioDecoder
    monkeypatch.setitem(sys.modules, "torchcodec", ModuleType("torchcodec"))
    monkeypatch.setitem(sys.modules, "torchcodec.decoders", decoders)
    monkeypatch.setattr(containers.shutil, "which", lambda name: None)
    monkeypatch.setattr(containers.importlib.util, "find_spec", lambda name: name == "torchcodec")
    (tmp_path / "a.webm").write_bytes(HEADS["webm"])
    for audio in (HEADS["webm"], str(tmp_path / "a.webm")):
        found = read_samples(audio)
        assert found.rate_hz == RATE and np.abs(found.wave_N - tone()).max() < 0.01


@pytest.mark.parametrize("end", HEADS)
def test_where_neither_is_there_all_files_of_a_folder_have_one_message(tmp_path, nothing_at_hand, end):
    for number in range(3):
        (tmp_path / f"{number}.{end}").write_bytes(HEADS[end] + bytes(50))
    (tmp_path / "rows.csv").write_text("".join(f"{number}.{end}|one two three\n" for number in range(3)))
    plan = Plan(open_source(str(tmp_path / "rows.csv")), AudioConfig(), Limits(4, 16_000))
    assert list(plan.epoch(plan.start(0))) == []
    assert plan.row_stats.broken_rows == 3 and len(plan.row_stats.broken) == 1
    [told] = plan.row_stats.broken.values()
    assert f"The .{end} files in {tmp_path}" in told and f"/*.{end}; do ffmpeg -i" in told and "apt install" in told


def test_what_the_command_makes_is_found_without_a_change_of_the_table(tmp_path, nothing_at_hand):
    (tmp_path / "a.m4a").write_bytes(HEADS["m4a"] + bytes(50))
    soundfile.write(tmp_path / "a.flac", tone(), RATE)
    assert read_samples(str(tmp_path / "a.m4a")).rate_hz == RATE


def test_what_libsndfile_reads_is_none_of_these():
    recordings = [row["audio"]["bytes"] for row in small_runs.rows()[:3]]
    for format_ in ("WAV", "FLAC", "MP3", "AIFF"):
        written = io.BytesIO()
        soundfile.write(written, tone(), RATE, format=format_)
        recordings.append(written.getvalue())
    assert [containers.kind_of(content[: containers.HEAD_BYTES]) for content in recordings] == [None] * 7

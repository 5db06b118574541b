"""Rows that are parts of a long recording: only that part is read, in whatever unit it is given."""

import io
import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import soundfile

from data_pipeline.batching.taken import row_name
from data_pipeline.errors import UserError
from data_pipeline.reading.fingerprint import fingerprint
from data_pipeline.reading.sources import Source, open_source
from data_pipeline.recordings.audio import decode_audio, duration_s, header_of
from data_pipeline.utterance import Samples, Segment
from tests.data_pipeline.reading.test_sources import put, put_parquet

RATE_HZ = 16_000


@pytest.fixture(scope="module")
def parts(recordings) -> list[np.ndarray]:
    waves = [decode_audio(row["audio"]["bytes"], RATE_HZ) for row in recordings[:5]]
    return [wave[: len(wave) // 160 * 160] for wave in waves]  # whole hundredths of a second


@pytest.fixture
def corpus(parts, tmp_path) -> Path:
    soundfile.write(tmp_path / "long.wav", np.concatenate(parts), RATE_HZ)
    return tmp_path


def ends(parts: list[np.ndarray]) -> list[tuple[int, int]]:
    """First sample, and the one behind the last, of each part."""
    edges = np.cumsum([0, *map(len, parts)]).tolist()
    return list(zip(edges, edges[1:], strict=False))


def clock(seconds: float) -> str:
    return f"0:{int(seconds // 60):02}:{seconds % 60:06.3f}"


# Names of the columns -> what stands in them, of first sample and end.
LAYOUTS: dict[str, tuple[str, Callable, Callable]] = {
    "seconds": ("start,end", lambda a, b: a / RATE_HZ, lambda a, b: b / RATE_HZ),
    "NeMo": ("offset,duration", lambda a, b: a / RATE_HZ, lambda a, b: (b - a) / RATE_HZ),
    "milliseconds by name": ("start_ms,end_ms", lambda a, b: a * 1000 // RATE_HZ, lambda a, b: b * 1000 // RATE_HZ),
    "milliseconds by what fits": ("begin,stop", lambda a, b: a * 1000 // RATE_HZ, lambda a, b: b * 1000 // RATE_HZ),
    "samples by name": ("start_sample,num_samples", lambda a, b: a, lambda a, b: b - a),
    "frames": ("frame_offset,num_frames", lambda a, b: a, lambda a, b: b - a),
    "samples by what fits": ("start,end", lambda a, b: a, lambda a, b: b),
    "clock": ("Start Time,End Time", lambda a, b: clock(a / RATE_HZ), lambda a, b: clock(b / RATE_HZ)),
}


def opened(corpus: Path, layout: str, parts: list[np.ndarray], recordings: list[dict]) -> Source:
    names, first, second = LAYOUTS[layout]
    lines = [f"audio,{names},text"]
    for (a, b), row in zip(ends(parts), recordings, strict=False):
        lines.append(f'long.wav,{first(a, b)},{second(a, b)},"{row["text"]}"')
    return open_source(str(put(corpus / "train.csv", "\n".join(lines))))


@pytest.mark.parametrize("layout", LAYOUTS)
def test_each_row_is_its_part(layout, corpus, parts, recordings):
    source = opened(corpus, layout, parts, recordings)
    utterances = [source.to_utterance(row) for row in source.rows()]
    assert len({one.id for one in utterances}) == len({one.recording for one in utterances}) == len(parts)
    assert all(one.id.startswith("long_") for one in utterances)
    for utterance, part in zip(utterances, parts, strict=True):
        assert duration_s(utterance.audio) == pytest.approx(len(part) / RATE_HZ, abs=2e-3)
        decoded = decode_audio(utterance.audio, RATE_HZ)
        assert abs(len(decoded) - len(part)) <= 32
        same = min(len(decoded), len(part))
        assert np.corrcoef(decoded[:same], part[:same])[0, 1] > 0.98


@pytest.mark.parametrize("form", ["WAV", "FLAC", "OGG", "OPUS", "MP3", "samples", "bytes"])
def test_a_part_is_what_it_is_in_the_whole(form, parts):
    wave = np.concatenate(parts)
    file = io.BytesIO()
    how = {"format": "OGG", "subtype": "OPUS"} if form == "OPUS" else {"format": form if form.isupper() else "WAV"}
    soundfile.write(file, wave, RATE_HZ, **how)
    audio = Samples(wave, RATE_HZ) if form == "samples" else file.getvalue()
    whole = decode_audio(audio, RATE_HZ)
    start, end = 1.25, 2.75
    part = decode_audio(Segment(audio, start, end), RATE_HZ)
    assert len(part) == pytest.approx((end - start) * RATE_HZ, abs=2)
    expected = whole[int(start * RATE_HZ) : int(end * RATE_HZ)]
    assert np.corrcoef(part[2000:-10], expected[2000 : len(part) - 10])[0, 1] > 0.99
    rest = decode_audio(Segment(audio, start, None), RATE_HZ)
    assert len(rest) == pytest.approx(len(whole) - start * RATE_HZ, abs=2)
    assert header_of(Segment(audio, start, None)).seconds == pytest.approx(len(rest) / RATE_HZ, abs=1e-3)


OUTSIDE = {
    "ends behind the end": ("1.0,99.5", "expected a segment inside it, found 1 to 99.5 s"),
    "begins behind the end": ("88.1,99.5", "expected a segment inside it"),
    "ends before it begins": ("2.5,1.5", "expected an end behind its beginning"),
    "negative": ("-1.5,1.5", "expected an end behind its beginning"),
    "no number": ("soon,1.5", "'soon' for a time"),
    "not finite": ("0.5,inf", "'inf' for a time"),
}


@pytest.mark.parametrize("fault", OUTSIDE)
def test_times_outside_of_the_recording_are_an_error(fault, corpus):
    times, message = OUTSIDE[fault]
    path = put(corpus / "train.csv", f'path,start,end,text\nlong.wav,0.5,1.5,"fine words"\nlong.wav,{times},"bad"\n')
    source = open_source(str(path))
    good, bad = source.rows()
    assert duration_s(source.to_utterance(good).audio) == 1.0
    with pytest.raises(UserError, match=message):
        decode_audio(source.to_utterance(bad).audio, RATE_HZ)


def test_units_that_both_fit_are_asked_for(corpus):
    path = put(
        corpus / "train.csv", 'path,start,end,text\nlong.wav,0,3,"some words to say"\nlong.wav,3,5,"some more"\n'
    )
    assert duration_s((s := open_source(str(path))).to_utterance(next(iter(s.rows()))).audio) == 3
    rows = "".join(f'long.wav,{n},{n + 4000},"abcd efgh"\n' for n in (0, 500))
    with pytest.raises(UserError, match="can be in ms or samples. Say so in the names .*start_ms or start_samples"):
        open_source(str(put(corpus / "train.csv", f"path,start,end,text\n{rows}")))


def test_a_recording_that_is_cut_out_already_is_not_cut_again(recordings, tmp_path):
    """As in GigaSpeech: the times are those of the part in what it was cut from."""
    rows = [{**row, "begin_time": 100.5, "end_time": 100.5 + row["duration_s"]} for row in recordings[:3]]
    put(tmp_path / "a.wav", recordings[0]["audio"]["bytes"])
    lines = [{"audio": "a.wav", "text": "words", "begin_time": 7.25, "end_time": 7.25 + rows[0]["duration_s"]}]
    source = open_source(str(put(tmp_path / "train.jsonl", "\n".join(map(json.dumps, lines)))))
    [utterance] = map(source.to_utterance, source.rows())
    assert len(decode_audio(utterance.audio, RATE_HZ)) == len(decode_audio(recordings[0]["audio"]["bytes"], RATE_HZ))


def test_a_length_alone_or_no_times_mean_the_whole_recording(corpus, parts):
    seconds = sum(map(len, parts)) / RATE_HZ
    lines = [
        {"audio": "long.wav", "text": "a", "duration": 1.0},
        {"audio": "long.wav", "text": "b", "start": None, "end": None},
        {"audio": "long.wav", "text": "c", "offset": "", "duration": 2.5},
    ]
    source = open_source(str(put(corpus / "train.jsonl", "\n".join(map(json.dumps, lines)))))
    for row in source.rows():
        utterance = source.to_utterance(row)
        assert utterance.id == "long" and duration_s(utterance.audio) == pytest.approx(seconds)


def test_parquet_rows_with_times_of_their_own_recordings_stay_whole(recordings, tmp_path):
    source = open_source(str(put_parquet(tmp_path / "train.parquet", recordings[:2])))
    assert all(isinstance(source.to_utterance(row).audio, bytes) for row in source.rows())


def test_each_part_is_a_row_of_its_own_to_a_run_that_goes_on(corpus, parts, recordings):
    source = opened(corpus, "seconds", parts, recordings)
    utterances = [source.to_utterance(row) for row in source.rows()]
    assert len({row_name(replace(one, id="", text="")) for one in utterances}) == len(parts)
    assert len(set(fingerprint(source)["rows"])) == len(parts)

"""The corpora that cloning.py adds to the demo corpus: who speaks a line, and which lines are taken."""

import io

import numpy as np
import pyarrow.parquet as pq
import pytest
import soundfile

from benchmarks.corpora import fish_fillets, librispeech, speech_rows, synthetic_speakers
from data_pipeline.errors import UserError

RATE_HZ = 22_050
SCRIPT = """
dialogId("one-big", "font_big", "He said \\"go\\".")
dialogStr("Řekl \\"jdi\\".")

dialogId("two-small", "font_small", "We are off.")
dialogStr("Jdeme.")
dialogId("three-crab", "font_crab", "Snip.")
dialogStr("Cvak.")
dialogId("four-silent", "font_small", "Nobody recorded me.")
dialogStr("Nikdo mne nenahrál.")
"""


def wave(seconds: float, peak: float = 0.2) -> np.ndarray:
    return (peak * np.sin(np.arange(int(seconds * RATE_HZ)) / 20)).astype(np.float32)


@pytest.fixture
def game(tmp_path):
    (tmp_path / "script" / "wreck").mkdir(parents=True)
    (tmp_path / "script" / "wreck" / "wreck_dialogs_cs.lua").write_text(SCRIPT, encoding="utf-8")
    (tmp_path / "sound" / "wreck" / "cs").mkdir(parents=True)
    for name, seconds in (("one-big", 2.0), ("two-small", 1.0), ("three-crab", 1.0)):
        soundfile.write(tmp_path / "sound" / "wreck" / "cs" / f"{name}.ogg", wave(seconds), RATE_HZ)
    return tmp_path


def test_a_line_is_the_fishs_whose_color_its_subtitle_has_and_is_there_where_it_was_recorded(game):
    found = fish_fillets.lines(game, "cs")
    assert {line: (speaker, text) for line, (speaker, _, text) in found.items()} == {
        "cs/wreck/one-big": ("bigfish", 'Řekl "jdi".'), "cs/wreck/two-small": ("smallfish", "Jdeme."),
    }  # fmt: skip
    assert fish_fillets.lines(game, "nl") == {}


def test_a_row_holds_the_recording_at_the_peak_that_all_have(game):
    [row] = fish_fillets.readable(fish_fillets.lines(game, "cs"), "bigfish", "cs")
    assert (row["speaker"], row["language"], row["text"]) == ("bigfish_cs", "cs", 'Řekl "jdi".')
    heard, rate_hz = soundfile.read(io.BytesIO(row["audio"]["bytes"]))
    assert rate_hz == RATE_HZ and len(heard) / rate_hz == pytest.approx(2.0, abs=0.05) == row["duration_s"]
    assert abs(heard).max() == pytest.approx(speech_rows.PEAK, abs=1e-3)


def test_lines_too_short_or_silent_are_passed_over(game):
    sound = game / "sound" / "wreck" / "cs"
    soundfile.write(sound / "one-big.ogg", wave(0.3), RATE_HZ)
    soundfile.write(sound / "two-small.ogg", wave(2.0, peak=0.0), RATE_HZ)
    found = fish_fillets.lines(game, "cs")
    assert [*fish_fillets.readable(found, "bigfish", "cs"), *fish_fillets.readable(found, "smallfish", "cs")] == []


def test_a_package_that_is_not_there_is_named_with_the_command_that_brings_it(tmp_path):
    with pytest.raises(UserError, match="apt-get download fillets-ng-data"):
        fish_fillets.make(tmp_path, tmp_path / "out")


def test_a_voice_reads_so_many_sentences_always_the_same_and_none_that_it_could_not_say():
    rows = [{"id": f"en/{number}", "text": f"Line {number}.", "speaker": "allison"} for number in range(9)]

    def say(text: str):
        return (wave(0.0) if "3" in text else wave(1.0)), RATE_HZ

    read = list(synthetic_speakers.read_out("awb", rows, say, 5))
    assert len(read) == 5 and {row["speaker"] for row in read} == {"awb"}
    again = list(synthetic_speakers.read_out("awb", rows[::-1], say, 5))
    assert [row["id"] for row in again] == [row["id"] for row in read]
    everything = list(synthetic_speakers.read_out("awb", rows, say, 20))
    assert {row["text"] for row in everything} == {row["text"] for row in rows} - {"Line 3."}


def test_what_is_written_has_the_columns_of_the_demo_corpus(tmp_path, game):
    rows = list(fish_fillets.readable(fish_fillets.lines(game, "cs"), "bigfish", "cs"))
    speech_rows.write(tmp_path / "out", "fish", rows, [])
    own = pq.read_schema(speech_rows.DEMO / "train-en.parquet")
    assert pq.read_schema(tmp_path / "out" / "train-fish.parquet").names == own.names
    assert pq.read_table(tmp_path / "out" / "heldout-fish.parquet").num_rows == 0


def spoken(*seconds: float, pause_s: float = 0.3) -> np.ndarray:
    """Tones of so many seconds with silence between them."""
    return np.concatenate([part for length in seconds for part in (wave(length), np.zeros(int(pause_s * RATE_HZ)))])


def test_a_recording_is_cut_at_its_longest_pause_until_its_pieces_are_short():
    waves = [spoken(2, 2), np.zeros(2 * RATE_HZ), spoken(3, 3), np.zeros(RATE_HZ), spoken(0.5)]
    cuts = librispeech.cut(np.concatenate(waves), RATE_HZ)
    # The first two stay together, as both are 4.3 s; so do the next two; the last is too short.
    assert np.array(cuts) / RATE_HZ == pytest.approx(np.array([[0.0, 4.3], [6.6, 12.9]]), abs=0.05)
    assert librispeech.cut(wave(8), RATE_HZ) == []


def test_a_recording_s_pieces_are_rows_of_their_speaker(tmp_path, monkeypatch):
    heard = ["So many words in three seconds."]
    monkeypatch.setattr("benchmarks.quality.heldout_speech.hear", lambda waves, rate_hz: heard)
    folder = tmp_path / "train-clean-100/1/2"
    folder.mkdir(parents=True)
    soundfile.write(folder / "1-2-3.flac", spoken(3.0), RATE_HZ)
    librispeech.make(tmp_path, tmp_path / "out")
    [row] = pq.read_table(tmp_path / "out" / "train-librispeech.parquet").to_pylist()
    assert (row["id"], row["speaker"], row["language"]) == ("librispeech/1-2-3-0", "libri1", "en")
    assert not list((tmp_path / "out").glob("heldout*"))


def test_of_librispeech_the_recordings_of_each_speaker_of_a_part_are_found(tmp_path):
    for name in ("train-clean-100/19/198/19-198-0001", "train-clean-100/19/198/19-198-0000", "test-other/7/1/7-1-0000"):
        path = tmp_path / f"{name}.flac"
        path.parent.mkdir(parents=True, exist_ok=True)
        soundfile.write(path, wave(1.0), RATE_HZ)
    found = librispeech.recordings(tmp_path, "train-clean")
    assert [path.stem for path in found["19"]] == ["19-198-0000", "19-198-0001"] and list(found) == ["19"]
    assert [(name, len(waves)) for name, waves in librispeech.unheard(tmp_path, 8000).items()] == [("libri7-en", 1)]
    with pytest.raises(UserError, match="dev-clean"):
        librispeech.recordings(tmp_path, "dev-clean")

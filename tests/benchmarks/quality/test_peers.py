"""What peers.py reads out of curves made up by hand, the corpus it writes for others, and its refusals."""

import itertools
import sys
import time

import pyarrow.parquet
import pytest
import soundfile

from benchmarks.harness.command_line import read_json
from benchmarks.quality import peers
from benchmarks.quality.peer import goya
from testing.small_runs import DEMO, SMALL, corpus, forget_accelerator

SETTING = {"minutes": [5, 10, 20, 30], "goya_minutes": 12, "seed": 1, "sentences": 40}


def run(*points: tuple[float, float | None]) -> dict:
    """Of (minutes, CER); None: an evaluation that was not heard."""
    return {"curve": [{"minutes": at} if cer is None else {"minutes": at, "cer": cer} for at, cer in points]}


GOYA = run((1.0, 1.0), (4.0, 0.6), (5.0, None), (8.0, 0.3), (10.4, 0.1))


def test_minutes_are_counted_to_the_best_that_a_peer_has_at_its_end():
    runs = {
        "glow_tts": run((5.0, 1.0), (30.0, 0.3)),
        "vits": run((5.0, 0.2), (30.0, 0.9)),  # what it had before does not count
        "goya_experimental": GOYA,
        "goya_enhanced": run((10.0, 0.4)),
    }
    found = peers.figures(runs)
    assert (found["best_peer"], found["best_peer_cer"], found["best_peer_minutes"]) == ("glow_tts", 0.3, 30.0)
    assert found["minutes_to_peer_best"] == found["minutes_to_peer_best_goya_experimental"] == 8.0
    assert found["minutes_to_peer_best_goya_enhanced"] is None
    assert "minutes_to_peer_best" not in peers.figures(runs | {"goya_experimental": run((10.0, 0.4))})


def test_where_no_peer_is_intelligible_minutes_are_counted_to_speech_that_is():
    found = peers.figures({"glow_tts": run((30.0, 0.97)), "goya_experimental": GOYA})
    assert (found["best_peer_cer"], found["target_cer"], found["minutes_to_peer_best"]) == (0.97, 0.5, 8.0)
    assert "none is intelligible, so Goya's minutes are to 50%" in peers.table(
        {"machine": "a CPU", "setting": SETTING, "runs": {"glow_tts": run((30.0, 0.97))}, "figures": found}
    )


def test_without_peers_there_is_no_figure_and_the_table_says_so():
    result = {"machine": "a CPU", "setting": SETTING, "runs": {"goya_experimental": GOYA}, "figures": {}}
    assert peers.figures(result["runs"]) == {}
    assert "No peer was run" in peers.table(result)


def test_the_table_has_a_column_for_each_minute_and_a_dash_where_a_run_had_ended():
    runs = {"glow_tts": run((5.0, 1.0), (10.0, 0.8), (20.01, 0.5), (30.02, 0.25)), "goya_experimental": GOYA}
    result = {"machine": "a CPU", "setting": SETTING, "runs": runs, "figures": peers.figures(runs)}
    rows = {line.split()[0]: line.split()[1:] for line in peers.table(result).splitlines()}
    assert rows["glow_tts"] == ["100.0%", "80.0%", "50.0%", "25.0%"]
    assert rows["goya_experimental"] == ["60.0%", "30.0%", "-", "-"]
    assert "minutes that goya_experimental takes: 10.4" in peers.table(result)


@pytest.mark.slow
def test_what_was_run_is_not_run_again_and_another_setting_starts_anew(tmp_path, monkeypatch):
    monkeypatch.setattr(peers, "check_extras", lambda: None)
    trained = []
    monkeypatch.setattr(peers, "run_goya", lambda name, *_: trained.append(name) or GOYA)
    given = ["--contenders", "goya_enhanced", "--out", str(tmp_path / "peers.json"), "--work", str(tmp_path / "work")]
    assert [peers.main(given), peers.main(given)] == [0, 0] and trained == ["goya_enhanced"]
    assert peers.main([*given, "--seed", "2"]) == 0 and len(trained) == 2
    assert list(read_json(tmp_path / "peers.json")["runs"]) == ["goya_enhanced"]


@pytest.mark.slow
def test_the_corpus_for_others_is_the_english_rows_and_no_held_out_one(tmp_path):
    peers.write_corpus(tmp_path / "corpus", sentences=3)
    train = pyarrow.parquet.read_table(DEMO / "train-en.parquet").to_pylist()
    lines = (tmp_path / "corpus" / "metadata.csv").read_text(encoding="utf-8").splitlines()
    assert [line.split("|")[2] for line in lines] == [row["text"] for row in train]
    seconds = [soundfile.info(tmp_path / "corpus" / "wavs" / f"{line.split('|')[0]}.wav").duration for line in lines]
    assert seconds == pytest.approx([row["duration_s"] for row in train], abs=0.1)
    heldout = pyarrow.parquet.read_table(tmp_path / "corpus" / "heldout-en.parquet").to_pylist()
    assert {row["language"] for row in heldout} == {"en"} and len(heldout) == 40
    assert not {row["id"] for row in heldout} & {row["id"] for row in train}
    spoken = (tmp_path / "corpus" / "sentences.txt").read_text(encoding="utf-8").splitlines()
    assert [line.split("|")[1] for line in spoken] == [row["text"] for row in heldout[:3]]


def test_an_interpreter_without_coqui_is_refused_before_anything_is_trained(tmp_path, capsys):
    broken = tmp_path / "python"
    broken.write_text("#!/bin/sh\necho 'ModuleNotFoundError: No module named TTS' >&2\nexit 1\n")
    broken.chmod(0o755)
    given = ["--python", str(broken), "--out", str(tmp_path / "peers.json"), "--work", str(tmp_path / "work")]
    assert peers.main(given) == 2
    said = capsys.readouterr().err
    assert str(broken) in said and "No module named TTS" in said and "pip install" in said
    assert not (tmp_path / "work").exists() and read_json(tmp_path / "peers.json", {}) == {}


def test_a_peer_that_fails_ends_the_command_with_what_it_said(tmp_path):
    with pytest.raises(peers.UserError, match="exit code 3.*\n.*out of memory"):
        peers.launch([sys.executable, "-c", "print('out of memory'); raise SystemExit(3)"], tmp_path / "log.txt")


@pytest.mark.slow
def test_goyas_minutes_are_of_processor_time(tmp_path, monkeypatch):
    """A minute goes by each time that the processor's clock is asked, and the run of ten ends after a few steps."""
    minutes = itertools.count()
    monkeypatch.setattr(time, "process_time", lambda: 60.0 * next(minutes))
    forget_accelerator()
    (tmp_path / "watched").mkdir()
    given = ["--train-data", corpus(), "--checkpoint-dir", tmp_path / "run", *SMALL, "--tracker", "none"]
    length = ["--max-minutes", "10", "--max-steps", "40"]
    assert goya.main(str(tmp_path / "watched"), *map(str, given), *length) == 0
    assert 0 < read_json(tmp_path / "run" / "report.json")["result"]["steps"] < 10

"""A format, a loss, a level, a metric and a vocoder of an installed package; names that none has, or two have."""

import json
import re
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import pytest
import soundfile
from safetensors.torch import load_file

from data_pipeline import plugins
from data_pipeline.errors import UserError
from data_pipeline.reading.sources import READERS, open_source
from data_pipeline.recordings.audio import AudioConfig, decode_audio
from evaluation.speech_metrics import FIGURES, Speech, SpeechMetric, added_metrics, measured
from inference.vocoders.registry import VOCODERS, load_vocoder
from modeling.losses import SUMS, added_losses
from testing import small_runs
from testing.small_runs import SMALL, launch, newest, scalars
from tests.extending import packages
from tests.hub.test_cards import card
from tests.test_listen import served
from tests.test_listen_requests import Asker, wish
from training.config.fields import coerce
from training.config.levels import LEVELS

ROOT = Path(__file__).parents[2]
ADDED = {
    plugins.CALLBACKS: "stop_at_mel", plugins.LOSSES: "energy", plugins.LEVELS: "gentle", plugins.METRICS: "loudness",
    plugins.READERS: "kaldi", plugins.VOCODERS: "quick_griffin_lim",
}  # fmt: skip


@pytest.fixture(scope="module")
def kaldi(tmp_path_factory) -> Path:
    """The small corpus in a format that nothing built in reads."""
    folder = tmp_path_factory.mktemp("kaldi")
    (folder / "wavs").mkdir()
    scp, text = [], []
    for number, row in enumerate(small_runs.rows()):
        wave = decode_audio(row["audio"]["bytes"], 22_050, name=row["id"])
        soundfile.write(folder / "wavs" / f"{number}.wav", wave, 22_050)
        scp.append(f"utt{number} wavs/{number}.wav")
        text.append(f"utt{number} {row['text']}")
    (folder / "wav.scp").write_text("\n".join(scp))
    (folder / "text").write_text("\n".join(text), encoding="utf-8")
    return folder


@pytest.fixture(scope="module")
def trained(kaldi, tmp_path_factory) -> tuple[Path, str]:
    """A run with one of each; its folder and what it said."""
    run = tmp_path_factory.mktemp("trained") / "run"
    config = run.parent / "run.yaml"
    config.write_text("loss: {added_weights: {energy: 0.5}}\ntrain: {level: gentle}\n")
    given = ["--config", config, "--train-data", kaldi, "--language", "en", "--val-data", small_runs.corpus()]
    given += ["--checkpoint-dir", run, *SMALL]
    sets = "--set train.eval_every=2 --set log.quality_sentences=3 --set optim.warmup_steps=0".split()
    done = launch(ROOT / "train_main.py", *given, *sets, "--max-steps", "2", paths=[packages.example()])
    assert done.returncode == 0, done.stderr[-3000:]
    return run, done.stdout


@pytest.mark.slow
def test_a_format_is_read(trained):
    run, said = trained
    assert "(kaldi: " in said
    report = json.loads((run / "report.json").read_text())
    assert report["rows"]["broken_rows"] == 0 and report["rows"]["kept"] > 0


@pytest.mark.slow
def test_a_loss_is_added_to_the_others_logged_and_validated(trained):
    curves = scalars(trained[0])
    assert sorted(curves["loss/energy"]) == [1, 2] and sorted(curves["eval_energy"]) == [2]
    assert curves["weight/energy"][1] == 0.5
    parts = {name: curves[f"loss/{name}"][1] * curves[f"weight/{name}"][1] for name in (*SUMS, "energy")}
    assert curves["loss"][1] == pytest.approx(sum(parts.values()), rel=1e-5)
    assert 0 < curves["loss/energy"][1] < curves["loss/mel"][1]  # the mean of a frame's errors, and of their sizes


@pytest.mark.slow
def test_a_level_sets_what_it_says(trained):
    run, said = trained
    config = json.loads((run / "report.json").read_text())["config"]
    assert config["optim"]["clip_norm"] == 0.5 and config["optim"]["lr"] == pytest.approx(4e-5 * 1024 / 64)
    assert "level gentle" in said and load_file(newest(run) / "average.safetensors")  # train.ema_decay


@pytest.mark.slow
def test_a_metric_is_run_logged_and_shown_on_the_card(trained, monkeypatch):
    curve = scalars(trained[0])["quality/loudness"]
    assert list(curve) == [2] and -120 < curve[2] < 0
    packages.use(packages.example(), monkeypatch)
    told = card(evaluation={"step": 2.0, "loudness": curve[2]})
    row = f"| root mean square of speech, dB of full scale | {curve[2]:.1f} | `goya-example`, at step 2 |"
    assert row in told


@pytest.mark.slow
def test_a_vocoder_speaks(trained, tmp_path):
    wav = tmp_path / "said.wav"
    given = [trained[0], "--text", "Hello.", "--out", wav, "--vocoder", "quick_griffin_lim"]
    done = launch(ROOT / "synthesize.py", *given, paths=[packages.example()])
    assert done.returncode == 0, done.stderr[-3000:]
    assert "quick_griffin_lim" in done.stdout and soundfile.info(wav).samplerate == 22_050


@pytest.mark.slow
@pytest.mark.skipif(find_spec("gradio") is None, reason='needs the extra: pip install -e ".[web]"')
def test_a_vocoder_is_listed_on_the_page_to_listen_and_speaks_there(tmp_path, monkeypatch):
    monkeypatch.setenv("PYTHONPATH", str(packages.example()))
    with served(small_runs.trained_run()[0], tmp_path) as (_, line):
        ask = Asker(line.split()[2], tmp_path)
        labels = {one["props"].get("label"): one["props"] for one in json.loads(ask("GET", "/config")[1])["components"]}
        offered = [value for _, value in labels["Vocoder"]["choices"]]
        assert offered == ["auto", *VOCODERS, "quick_griffin_lim"]
        ask.run("known", ["best", None, None])  # as the page does when it opens
        ask.run("speak", [*wish(None)[:-1], "quick_griffin_lim"])
    assert "Traceback" not in (tmp_path / "said").read_text()


def test_a_metric_that_fails_is_told_and_left_out(tmp_path, monkeypatch, capsys):
    code = """
from evaluation.speech_metrics import SpeechMetric
def fail(speech):
    return speech.waves[0] / "a"
def none(speech):
    raise ValueError("silence")
FAIL, NONE = SpeechMetric(fail, ""), SpeechMetric(none, "")
"""
    packages.write_package(tmp_path, "goya-fails", plugins.METRICS, {"fails": "FAIL", "none": "NONE"}, code)
    packages.use(tmp_path, monkeypatch)
    metrics = added_metrics() | {"length": SpeechMetric(lambda speech: len(speech.waves[0]), "samples")}
    assert measured(metrics, Speech([], [np.ones(3)], 8000)) == {"length": 3.0}
    said = capsys.readouterr().err
    assert "The metric 'fails' of the package goya-fails failed and is left out" in said and "'none'" not in said


def ask(group: str, name: str, folder: Path) -> None:
    """As a command line does that names something, or a folder of no known kind."""
    if group == plugins.LEVELS:
        coerce("train.level", name, "flag --optimization-level")
    elif group == plugins.VOCODERS:
        load_vocoder(name, AudioConfig())
    elif group == plugins.LOSSES:
        added_losses([name])
    elif group == plugins.METRICS:
        added_metrics()
    else:
        open_source(str(folder))


@pytest.mark.parametrize("group", [plugins.LEVELS, plugins.VOCODERS, plugins.LOSSES, plugins.READERS])
def test_what_nothing_has_is_answered_with_what_packages_add(group, tmp_path, monkeypatch):
    packages.use(packages.example(), monkeypatch)
    with pytest.raises(UserError, match=rf"(?s)expected.*{ADDED[group]}"):
        ask(group, "nonesuch", tmp_path)


BUILT_IN = {
    plugins.LEVELS: LEVELS, plugins.VOCODERS: VOCODERS, plugins.LOSSES: SUMS, plugins.METRICS: FIGURES,
    plugins.READERS: READERS,
}  # fmt: skip


@pytest.mark.parametrize("group", [group for group in BUILT_IN if group != plugins.LEVELS])
def test_what_hides_something_built_in_is_refused(group, tmp_path, monkeypatch):
    name = next(iter(BUILT_IN[group]))
    packages.write_package(tmp_path, "goya-thief", group, {name: "x"}, "x = print")
    packages.use(tmp_path, monkeypatch)
    empty = tmp_path / "empty"
    empty.mkdir()
    with pytest.raises(
        UserError, match=f"{name!r} in {re.escape(group)} is claimed by what is built in and by.*goya-thief"
    ):
        ask(group, name, empty)


def test_a_level_that_hides_one_built_in_is_refused(tmp_path, monkeypatch, capsys):
    packages.write_package(tmp_path, "goya-thief", plugins.LEVELS, {"basic": "x"}, "x = 1")
    packages.use(tmp_path, monkeypatch)
    assert small_runs.train(tmp_path / "run", "--optimization-level", "basic") == 2
    assert "'basic' in goya.levels is claimed by what is built in and by" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("more", "said"),
    [
        ({"optim.warp": 1}, "There is no setting 'optim.warp' (level odd)"),
        ({"optim.lr_floor": -1}, "optim.lr_floor is -1 (level odd), which is out of range"),
    ],
)
def test_a_level_of_what_there_is_not_is_one_message(more, said, tmp_path, monkeypatch, capsys):
    code = f"from training.config.levels import BASIC\nODD = BASIC | {more}\n"
    name = "-".join(["goya", *more]).replace(".", "-")  # of its own: an imported module stays
    packages.write_package(tmp_path, name, plugins.LEVELS, {"odd": "ODD"}, code)
    packages.use(tmp_path, monkeypatch)
    assert small_runs.train(tmp_path / "run", "--optimization-level", "odd") == 2
    assert said in capsys.readouterr().err


def test_what_is_built_in_imports_no_package(tmp_path, monkeypatch):
    packages.write_package(tmp_path, "goya-loud", plugins.READERS, {"loud": "x"}, "raise SystemExit('imported')")
    packages.use(tmp_path, monkeypatch)
    assert open_source(str(small_runs.corpus())).kind == "parquet"

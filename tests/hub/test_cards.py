"""What is pushed: the card's facts, the curves, and folders that stay whole while a run writes on."""

import ast
import json
import re
import sys
from dataclasses import asdict, replace
from pathlib import Path

import pytest
import yaml

from data_pipeline.recordings.audio import AudioConfig
from data_pipeline.text.tokens import Vocabulary
from hub import facts
from hub.card import model_card
from hub.card import plain as one_line
from hub.curves import MOST_POINTS, add_point, write_curves
from hub.facts import DataFacts, RunFacts, data_facts, public_name
from hub.folders import Folders, newest_samples, state_branch
from hub.remote_code import flattened, requirements
from modeling.configuration import GoyaConfig
from modeling.processor import GoyaProcessor
from testing import small_runs
from training.config.arguments import parse
from training.config.fields import RunConfig, with_values
from training.config.hardware import Hardware
from training.setup.inputs import build_inputs

DATA = DataFacts("my_speech", 1200, 3.25, 2, ["en", "fa"], True, "cc0-1.0")
FACTS = RunFacts(
    data=DATA,
    config=RunConfig(),
    parameters=10_000_000,
    device="cuda",
    steps=500,
    seconds=600.0,
    evaluation={"step": 400, "eval_mel": 0.5, "eval_quality_cer": 0.125, "similarity": 0.83},
    best_by="eval_quality_cer",
    voices=["ann-en", "bob-fa"],
    report={"result": {"reason": "minutes"}, "quality": {"cer": 0.0625, "sentences": 40, "distillmos": 3.85}},
)


def card(**changes) -> str:
    return model_card("ann/voice", "main", replace(FACTS, **changes))


def test_what_was_judged_is_told_with_the_script_that_judged_it():
    told = card()
    assert "| 12.5% | `evaluation/quality.py`, at step 400 |" in told
    assert "| 0.830 | `evaluation/quality.py`, at step 400 |" in told
    assert "of 40 held-out English sentences, heard by moonshine-voice | 6.2% |" in told
    assert "as DistillMOS hears it | 3.85 | `evaluation/quality.py`, of the model here |" in told
    assert "Not measured" not in told
    assert "best so far by `eval_quality_cer`" in told


@pytest.mark.parametrize(
    ("changes", "found", "missing"),
    [
        ({}, ["license: cc0-1.0", "- en\n- fa", "ann, bob", "3.25 hours of one corpus"], ["or more", "espeakng"]),
        ({"data": replace(DATA, whole=False)}, ["1200 or more", "3.25 hours or more", "not all were counted"], []),
        (
            {"config": with_values(RunConfig(), {"fine_tune.init_from": "base"})},
            ["| started from | Goya's base model, whose license is CC-BY-SA-3.0 |"],
            ["random weights"],
        ),
        ({"data": replace(DATA, license=None)}, ["license: unknown", "| license | unknown |"], ["cc0"]),
        ({"report": None}, ["step 500 of a run that goes on"], ["ended by", "moonshine"]),
        ({"evaluation": {}, "report": None}, ["Not measured: character error rate, likeness of the voice."], ["%"]),
        (
            {"voices": [], "data": replace(DATA, languages=[], speakers=0)},
            ["| languages | not named |"],
            ["language:\n"],
        ),
        ({"config": with_values(RunConfig(), {"data.text_units": "espeak"})}, ["espeakng-loader"], []),
    ],
)
def test_each_fact_changes_the_card_and_what_is_unknown_is_not_told(changes, found, missing):
    told = card(**changes)
    assert [text for text in found if text not in told] == []
    assert [text for text in missing if text in told] == []


HOSTILE = (
    "<script>alert(1)</script>",
    "[free](https://evil.example)",
    "![x](https://evil.example/pixel.png)",
    "`code` **bold** _italic_",
    "a | b | c",
    "name\n---\nlicense: mit\n# Heading",
    "\u202eback\x1b[31m",
    "x" * 10_000,
)


@pytest.mark.parametrize("name", HOSTILE)
def test_what_others_wrote_is_words(name):
    """A speaker, a corpus or a license of somebody else's is no HTML, link, image, line or front matter in the card."""
    usual = card()
    told = card(voices=[f"{name}-en"], data=replace(DATA, name=name, license=name), device=name)
    front = {key: value.split("---\n")[1] for key, value in (("plain", usual), ("told", told))}
    assert yaml.safe_load(front["told"]) == yaml.safe_load(front["plain"]) | {"license": one_line(name)}
    body = told.removeprefix(f"---\n{front['told']}---\n")
    assert body.count("\n") == usual.removeprefix(f"---\n{front['plain']}---\n").count("\n")
    assert re.findall("^#+ ", body, re.MULTILINE) == re.findall("^#+ ", usual, re.MULTILINE)
    assert "\n---\n" not in body
    for mark in ("<script", "](https", "![x", "**bold", "`code`", "\u202e", "\x1b", "x" * 100):
        assert mark not in body
    assert all(line.count("|") == 3 for line in body.splitlines() if line.startswith("| corpus"))


def test_the_card_s_code_is_python():
    for branch in ("main", "run-1"):
        told = model_card("ann/voice", branch, FACTS)
        code = told.split("```python\n")[1].split("```")[0]
        ast.parse(code)
        assert ('revision="run-1"' in code) == (branch == "run-1")


def test_the_facts_of_a_corpus(monkeypatch):
    where = str(small_runs.corpus())
    config, _, _ = parse(["--train-data", where, "--device", "cpu"], Hardware("cpu", "CPU", 24, 2, True))
    inputs = build_inputs(config, 2, 0, 1)
    found = data_facts(config, inputs)
    seconds = sum(row["duration_s"] for row in small_runs.rows())
    assert (found.name, found.license, found.whole) == ("corpus", None, True)
    assert (found.rows, found.speakers, found.languages) == (small_runs.ROWS + 4, 2, ["en", "es", "fr"])
    assert seconds < 3600 * found.hours < seconds + 4 * config.data.max_duration_s
    mine = with_values(config, {"hub.data_license": "cc0-1.0"})
    assert data_facts(mine, inputs).license == "cc0-1.0"
    monkeypatch.setattr(facts, "DEMO_CORPUS", where)  # whose license lies beside it
    assert data_facts(config, inputs).license == facts.DEMO_LICENSE


@pytest.mark.parametrize(
    ("where", "is_hub", "name"),
    [
        ("/home/ann/secret place/speech", False, "speech"),
        ("MahtaFetrat/Mana-TTS", True, "MahtaFetrat/Mana-TTS"),
        ("https://ann:pw@host.example/x/rows.csv?sig=abc", False, "rows.csv?sig=***"),
    ],
)
def test_a_path_s_name_alone_is_published(where, is_hub, name):
    assert public_name(where, is_hub) == name


def test_a_long_curve_keeps_its_shape(tmp_path):
    curve: list[list[float]] = []
    for step in range(10 * MOST_POINTS):
        add_point(curve, step, float(step))
    assert MOST_POINTS / 2 <= len(curve) <= MOST_POINTS
    assert curve[0] == [0, 0.0] and curve == sorted(curve) and curve[-1][0] > 9.9 * MOST_POINTS
    assert write_curves(tmp_path / "one.png", {"loss/mel": curve}) and (tmp_path / "one.png").stat().st_size > 1000
    assert not write_curves(tmp_path / "none.png", {"loss/mel": []}) and not (tmp_path / "none.png").exists()


@pytest.fixture
def run(tmp_path) -> Path:
    """A run folder with a best model (but for weights that are none), a checkpoint and samples of two rounds."""
    for part in (GoyaConfig.of_size("debug", audio=asdict(AudioConfig())), GoyaProcessor()):
        part.save_pretrained(tmp_path / "best")
    (tmp_path / "best" / "model.safetensors").write_text("best")
    (tmp_path / "checkpoints" / "step-00000500").mkdir(parents=True)
    (tmp_path / "checkpoints" / "step-00000500" / "optimizer.json").write_text("state")
    (tmp_path / "samples").mkdir()
    for name in ("step-00000400-a", "step-00000500-a", "step-00000500-b"):
        (tmp_path / "samples" / f"{name}.wav").write_text(name)
        (tmp_path / "samples" / f"{name}.png").write_text(name)
    (tmp_path / "samples" / "step-00000600-a.wav").write_text("its picture is not written yet")
    return tmp_path


def test_what_is_pushed_stays_while_the_run_takes_its_files_away(run):
    folders = Folders(run, "ann/voice", "main")
    model, state = folders.model(FACTS, {}), folders.training_state(run / "checkpoints" / "step-00000500")
    for path in sorted(run.rglob("*"), reverse=True):  # as rotation, and the next best model, do
        if path.is_file() and run / "hub" not in path.parents:
            path.unlink()
    assert (model.folder / "model.safetensors").read_text() == "best"
    assert (state.folder / "checkpoints" / "step-00000500" / "optimizer.json").read_text() == "state"
    assert (state.folder / "best" / "model.safetensors").read_text() == "best"
    assert (state.branch, model.branch) == ("training-state", "main")


def test_the_run_s_own_files_stay_as_they_are(run):
    before = {path: path.read_bytes() for path in run.rglob("*") if path.is_file()}
    push = Folders(run, "ann/voice", "main").model(FACTS, {})
    assert {path: path.read_bytes() for path in before} == before
    assert "auto_map" in json.loads((push.folder / "config.json").read_text())
    assert {path.name for path in (push.folder / "samples").iterdir()} == {
        f"step-00000500-{name}.{ending}" for name in "ab" for ending in ("wav", "png")
    }


def test_the_newest_whole_samples_are_taken(run):
    assert newest_samples(run / "samples") == ["step-00000500-a", "step-00000500-b"]
    assert newest_samples(run / "nothing") == []


def test_branches_of_runs_do_not_meet():
    assert state_branch("main") == "training-state" and state_branch("run-1") == "run-1-training-state"


@pytest.mark.slow
def test_the_code_is_flat_and_needs_nothing_that_is_not_named():
    code = flattened()
    for name, source in code.items():
        for node in ast.walk(ast.parse(source)):
            if isinstance(node, ast.ImportFrom) and node.level:
                flat = [node.module] if node.module else [alias.name for alias in node.names]
                assert node.level == 1 and code.keys() >= set(flat), name
            elif isinstance(node, ast.Import | ast.ImportFrom):
                modules = [node.module] if isinstance(node, ast.ImportFrom) else [alias.name for alias in node.names]
                tops = {module.partition(".")[0].replace("_", "-") for module in modules}
                assert tops <= {*requirements(), *(one.replace("_", "-") for one in sys.stdlib_module_names)}, name
    assert "espeakng-loader" not in requirements() and "transformers" in requirements()
    assert len(Vocabulary()) and "goya_data_pipeline_text_tokens" in code
    # What is imported on a GPU only goes along, and what it needs there is asked of nobody.
    assert "goya_modeling_triton_search" in code and "triton" not in requirements()

"""Where a run starts that names no start: a small model from the one that ships, any other from nothing."""

import json
import shutil
from pathlib import Path

import pytest

from data_pipeline.errors import UserError
from data_pipeline.text.tokens import Vocabulary
from inference import pretrained
from modeling.configuration import GoyaConfig
from modeling.model import GoyaForTextToSpeech
from modeling.processor import GoyaFeatureExtractor, GoyaProcessor, GoyaTokenizer
from testing import small_runs
from training.config.arguments import parse
from training.config.hardware import Hardware
from training.config.resolve import table
from training.setup.init_from import initial_model

CPU = Hardware("cpu", "CPU with 2 cores", 16.0, 2, bf16=True)
GPU = Hardware("cuda", "A100", 79.0, 32, bf16=True)
OWN = ("--train-data", "voices/mine")


@pytest.fixture(scope="module")
def shipped_once(tmp_path_factory) -> Path:
    """A model of size tiny whose weights nobody trained."""
    folder, vocabulary = tmp_path_factory.mktemp("shipped"), Vocabulary(units="phonemes")
    extractor = GoyaFeatureExtractor()
    audio = {name: getattr(extractor.audio_config, name) for name in ("sample_rate_hz", "n_fft", "hop", "n_mels")}
    audio |= {name: getattr(extractor.audio_config, name) for name in ("f_min_hz", "f_max_hz", "log_floor")}
    GoyaForTextToSpeech(GoyaConfig.of_size("tiny", vocab_size=len(vocabulary), audio=audio)).save_pretrained(folder)
    GoyaProcessor(extractor, GoyaTokenizer(vocabulary=vocabulary)).save_pretrained(folder)
    return folder


@pytest.fixture(autouse=True)
def shipped(shipped_once, monkeypatch, tmp_path) -> Path:
    monkeypatch.setattr(pretrained, "SHIPPED", shipped_once)
    monkeypatch.chdir(tmp_path)
    return shipped_once


def start(*argv, hardware=CPU) -> str | None:
    return parse(list(argv), hardware)[0].fine_tune.init_from


@pytest.mark.parametrize("data", [(), OWN, (*OWN, "--language", "fa")])
def test_a_small_model_starts_from_the_one_that_ships_and_the_first_table_says_so(data):
    config, provenance, _ = parse(list(data), CPU)
    assert config.fine_tune.init_from == "base" and config.model.size == "tiny"
    [line] = [line for line in table(config, provenance).splitlines() if line.startswith("starts from")]
    assert "base" in line and "--init-from none" in line
    assert config.train.fast_convergence is False  # which is for a model that cannot speak yet
    assert config.checkpoint.dir == f"runs/{'mine' if data else 'demo_corpus'}_tiny_enhanced"


def test_from_nothing_where_it_is_asked_for():
    config, _, _ = parse(["--init-from", "none"], CPU)
    assert config.fine_tune.init_from is None and config.train.fast_convergence is True
    assert config.checkpoint.dir == "runs/demo_corpus_tiny_enhanced"


@pytest.mark.parametrize(
    "other",
    [
        ("--model-size", "small"),
        ("--debug",),
        ("--set", "model.frames_per_step=3"),
        ("--set", "audio.preset=16khz"),
        ("--set", "data.text_units=characters"),
        ("--config", "run.yaml"),
    ],
)
def test_a_model_of_another_kind_starts_from_nothing(other, tmp_path):
    (tmp_path / "run.yaml").write_text("fine_tune: {init_from: null}")
    assert start(*OWN, *other) is None


def test_a_gpu_trains_its_own_size_from_nothing_and_a_small_one_from_the_one_that_ships():
    assert start(*OWN, hardware=GPU) is None
    assert start(*OWN, "--model-size", "tiny", hardware=GPU) == "base"


def test_a_checkout_without_it_starts_from_nothing_and_says_so_when_it_is_named(monkeypatch):
    monkeypatch.setattr(pretrained, "SHIPPED", Path("nowhere"))
    assert start(*OWN) is None
    with pytest.raises(UserError, match="The model that ships is not there"):
        start(*OWN, "--init-from", "base")


def test_a_run_goes_on_as_it_began(tmp_path, monkeypatch):
    checkpoint = tmp_path / "runs" / "mine_tiny_enhanced" / "checkpoints" / "step-00000010"
    checkpoint.mkdir(parents=True)
    state = checkpoint / "training_state.json"
    state.write_text(json.dumps({"config": {"fine_tune": {"init_from": None}}}))
    assert start(*OWN) is None  # as of a version that shipped none
    assert start(*OWN, "--reset-training") == "base"
    assert start(*OWN, "--resume", "none") == "base"
    assert start(*OWN, "--checkpoint-dir", "elsewhere") == "base"
    assert start(*OWN, "--checkpoint-dir", "elsewhere", "--resume", str(checkpoint)) is None
    state.write_text(json.dumps({"config": {"fine_tune": {"init_from": "runs/other"}}}))
    assert start(*OWN) is None  # what to give is said when the checkpoint is read
    state.write_text("[]")
    assert start(*OWN) is None


def test_a_folder_of_that_name_is_named_by_its_path(shipped, tmp_path):
    shutil.copytree(shipped, tmp_path / "base")
    assert pretrained.model_folder("base") == str(shipped)
    assert Path(pretrained.model_folder("./base")).resolve() == tmp_path / "base"


def test_the_weights_are_those_that_ship(shipped):
    config, _, _ = parse(["--train-data", str(small_runs.corpus()), "--device", "cpu"], CPU)
    model, _ = initial_model(config)
    expected = GoyaForTextToSpeech.from_pretrained(shipped).state_dict()
    assert all((weight == expected[name]).all() for name, weight in model.state_dict().items())


def test_a_run_from_it_needs_it_no_more(shipped, tmp_path, monkeypatch, capsys):
    flags = ("--model-size", "tiny", "--set", "log.samples=0", "--set", "log.quality_sentences=0")
    run = tmp_path / "run"
    assert small_runs.train(run, *flags, "--max-steps", "1") == 0
    monkeypatch.setattr(pretrained, "SHIPPED", Path("nowhere"))
    assert small_runs.train(run, *flags, "--max-steps", "2") == 0
    report = json.loads((run / "report.json").read_text())
    assert report["config"]["fine_tune"]["init_from"] == "base" and report["result"]["steps"] == 2

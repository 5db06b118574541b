"""The command line as a user types it: what wins, where each value came from, what goes wrong."""

import re
import subprocess
import sys
from dataclasses import asdict
from pathlib import Path

import pytest

from data_pipeline.errors import UserError
from data_pipeline.recordings.audio import AudioConfig
from modeling.configuration import GoyaConfig
from modeling.model import GoyaForTextToSpeech
from modeling.processor import GoyaProcessor
from training.config.arguments import FLAGS, KEYS, build_parser, parse
from training.config.described import words
from training.config.fields import FIELDS, RunConfig, coerce, get
from training.config.hardware import Hardware
from training.config.resolve import table

CPU = Hardware("cpu", "CPU with 2 cores", 16.0, 2, bf16=True)
MPS = Hardware("mps", "Apple GPU", 16.0, 8, bf16=True)
GPU = Hardware("cuda", "A100", 79.0, 32, bf16=True)


@pytest.fixture(autouse=True)
def demo_corpus(monkeypatch):
    """And a checkout without the model that ships: tests/training/setup/test_default_start.py has it."""
    monkeypatch.setattr("inference.pretrained.SHIPPED", Path("nowhere"))
    found = ("assets/demo_corpus", "embedded demo corpus: no --train-data")
    monkeypatch.setattr("data_pipeline.reading.sources.default_train_data", lambda: found)


def parsed(*argv, hardware=CPU):
    config, provenance, _ = parse(["--train-data", "voices/mine", *argv], hardware)
    return config, provenance


def refused(*argv, hardware=CPU):
    with pytest.raises(UserError) as error:
        parse(list(argv), hardware)
    return str(error.value)


def test_every_value_has_a_reason():
    _, provenance = parsed()
    assert list(provenance) == list(FIELDS)
    assert all(provenance.values())
    assert provenance["data.train_data"] == "flag --train-data"
    assert provenance["train.level"] == "default"
    assert provenance["optim.weight_decay"] == "level enhanced"
    assert provenance["data.num_workers"].startswith("hardware: 2 cores")


@pytest.mark.parametrize(
    ("batch", "accum", "workers"), [("64", "1", "16"), ("8", "8", "4")], ids=["one large", "one small"]
)
def test_the_published_hardware_examples_are_taken_as_they_are(batch, accum, workers):
    argv = ["--batch-size", batch, "--grad-accum", accum, "--num-workers", workers]
    config, provenance = parsed("--optimization-level", "basic", *argv)
    assert (config.train.batch_size, config.train.grad_accum) == (int(batch), int(accum))
    assert config.data.num_workers == int(workers)
    assert provenance["train.grad_accum"] == "flag --grad-accum"  # over the level's 16


def test_level_and_size_give_the_rate():
    config, provenance = parsed("--optimization-level", "basic", "--model-size", "small")
    assert (config.optim.lr, config.optim.lr_vector) == (1e-4, 5e-5)
    assert provenance["optim.lr"] == "level basic: 5e-05 x 1024/512"
    assert config.loss.mel_weight == 45.0


def test_a_rate_by_hand_is_used_as_given():
    argv = ["--model-size", "tiny", "--apply-fast-convergence", "--lr", "1e-4"]
    config, provenance = parsed(*argv)
    assert (config.optim.lr, config.optim.lr_vector) == (1e-4, 1e-4)
    assert provenance["optim.lr"] == provenance["optim.lr_vector"] == "flag --lr"
    config, _ = parsed(*argv, "--set", "optim.lr_vector=2e-5")
    assert (config.optim.lr, config.optim.lr_vector) == (1e-4, 2e-5)


def test_fast_convergence_lies_on_any_level():
    config, provenance = parsed("--optimization-level", "basic", "--apply-fast-convergence", "--model-size", "tiny")
    assert (config.optim.lr, config.optim.warmup_steps) == (6e-4, 1000)
    assert provenance["optim.lr"] == "level basic: 5e-05 x 1024/256; fast convergence: x3"
    assert provenance["train.fast_convergence"] == "flag --apply-fast-convergence"
    assert parsed()[0].train.fast_convergence is False


def test_a_short_run_is_fitted_unless_by_hand():
    config, provenance = parsed("--max-steps", "1000")
    assert (config.optim.warmup_steps, config.optim.first_period_steps) == (100, 900)
    assert "1000 steps" in provenance["optim.warmup_steps"]
    assert parsed("--max-steps", "1000", "--set", "optim.warmup_steps=500")[0].optim.warmup_steps == 500
    _, provenance = parsed("--max-minutes", "30")
    assert provenance["optim.warmup_steps"] == "level enhanced; to be fitted to 30 minutes"


def test_file_then_flag_then_set(tmp_path):
    path = tmp_path / "run.yaml"
    path.write_text("train:\n  batch_size: 3\n  seed: 3\n  grad_accum: 3\nloss:\n  kl_weight: 3\n")
    argv = ["--config", str(path), "--batch-size", "4", "--seed", "4"]
    config, provenance = parsed(*argv, "--set", "train.batch_size=5", "--set", "loss.stop_weight = 5")
    assert (config.train.grad_accum, config.train.seed, config.train.batch_size) == (3, 4, 5)
    assert (config.loss.kl_weight, config.loss.stop_weight) == (3.0, 5.0)
    assert provenance["train.grad_accum"] == f"file {path}"
    assert provenance["train.seed"] == "flag --seed"
    assert provenance["train.batch_size"] == "--set train.batch_size"


def test_the_file_chooses_level_and_size_too(tmp_path):
    path = tmp_path / "run.json"
    path.write_text('{"train": {"level": "basic"}, "model": {"size": "big"}}')
    config, provenance = parsed("--config", str(path))
    assert config.loss.mel_weight == 45.0
    assert provenance["optim.lr"] == "level basic: 5e-05 x 1024/1536"


def test_printed_config_says_all_and_reads_back_equal(tmp_path, capsys):
    argv = ["--lr", "2e-4", "--apply-fast-convergence", "--mixed-precision", "no", "--resume", "none"]
    with pytest.raises(SystemExit) as end:
        parsed(*argv, "--print-config")
    assert end.value.code == 0
    printed = capsys.readouterr().out
    assert "lr: 0.0002" in printed and "# flag --lr" in printed and "# level enhanced" in printed
    (tmp_path / "again.yaml").write_text(printed)
    assert RunConfig.load(tmp_path / "again.yaml") == parsed(*argv)[0]


def test_no_flag_at_all_trains_the_demo_corpus_and_says_why():
    config, provenance, hardware = parse([], CPU)
    assert hardware is CPU
    assert (config.model.size, config.train.max_minutes, config.train.fast_convergence) == (
        "tiny",
        15.0,
        True,
    )
    assert provenance["data.train_data"] == "embedded demo corpus: no --train-data"
    too_low = "the level's rate at this width is too low to be heard in a quarter of an hour"
    assert provenance["train.fast_convergence"] == f"embedded demo corpus, from nothing: {too_low}"
    assert config.optim.lr == 9.6e-4
    shown = table(config, provenance)
    assert too_low in shown and "0.00096" in shown and "held out" in shown
    assert config.checkpoint.dir == "runs/demo_corpus_tiny_enhanced"
    on_gpu = parse([], GPU)[0]
    assert (on_gpu.train.max_minutes, on_gpu.model.size) == (2.0, "tiny")  # whatever else the hardware could hold


@pytest.mark.parametrize("length", [("--epochs", "3"), ("--max-steps", "50"), ("--max-minutes", "60")])
def test_a_length_by_hand_replaces_the_demo_budget_and_keeps_the_recipe(length):
    config, _, _ = parse(list(length), CPU)
    assert config.train.max_minutes == (60.0 if length[0] == "--max-minutes" else None)
    assert config.train.fast_convergence is True
    assert config.model.size == "tiny"


def test_the_demo_overlay_gives_way_to_the_user():
    assert parse(["--set", "train.fast_convergence=false"], CPU)[0].train.fast_convergence is False
    assert parse(["--lr", "1e-3"], CPU)[0].train.fast_convergence is False
    assert parse(["--train-data", "assets/demo_corpus"], CPU)[0].train.fast_convergence is False


@pytest.mark.parametrize(
    ("argv", "hardware", "minutes", "takes"),
    [
        ([], CPU, 120.0, "2:00:00 at most"),
        ([], MPS, 120.0, "2:00:00 at most"),
        ([], GPU, 480.0, "8:00:00 at most"),
        (["--optimization-level", "basic"], GPU, 480.0, "8:00:00 at most"),
        (["--max-minutes", "7"], GPU, 7.0, "0:07:00 at most"),
        (["--max-steps", "50"], CPU, None, "told soon"),
        (["--epochs", "3"], CPU, None, "told soon"),
    ],
)
def test_a_corpus_of_ones_own_has_an_end_in_time_and_the_first_table_says_which(argv, hardware, minutes, takes):
    config, provenance = parsed(*argv, hardware=hardware)
    assert config.train.max_minutes == minutes
    epochs = 3 if "--epochs" in argv else 200 if "basic" in argv else 500
    assert config.train.epochs == epochs  # the level's number stays, as another limit
    lines = {line.split("  ")[0]: line for line in table(config, provenance).splitlines()}
    limits = f"50 steps, {epochs} epochs" if "--max-steps" in argv else f"{epochs} epochs"
    assert takes in lines["time it takes"] and f"sooner after {limits}" in lines["time it takes"]
    assert config.model.size == ("normal" if hardware is GPU else "tiny")
    if not argv:
        assert hardware.name in lines["minutes, at most"] and "--max-minutes" in lines["minutes, at most"]


def test_no_corpus_by_hand_is_the_default_corpus_and_an_empty_name_is_a_mistake(tmp_path):
    (tmp_path / "run.json").write_text('{"data": {"train_data": null}}')
    assert parse(["--config", str(tmp_path / "run.json")], CPU)[0].data.train_data == "assets/demo_corpus"
    assert "not empty" in refused("--train-data", "")  # an unset variable in a script


def test_another_default_corpus_is_trained_in_full(monkeypatch):
    found = ("../dataset/dataset_train", "it exists")
    monkeypatch.setattr("data_pipeline.reading.sources.default_train_data", lambda: found)
    config, provenance, _ = parse([], GPU)
    assert (config.data.train_data, config.model.size, config.train.max_minutes) == (found[0], "normal", 480.0)
    assert provenance["data.train_data"] == "it exists"


def test_debug_is_short_small_and_goes_through_everything_once():
    config, provenance = parsed("--debug")
    assert (config.model.size, config.train.max_steps, config.data.num_workers) == ("debug", 40, 0)
    assert config.train.eval_every == config.checkpoint.every_steps == 40
    assert (config.train.batch_size, config.train.grad_accum, config.optim.warmup_steps) == (4, 2, 4)
    assert (config.checkpoint.dir, config.checkpoint.reset) == ("runs/debug", True)
    assert provenance["train.batch_size"] == "debug run"
    config, _ = parsed("--debug", "--max-steps", "6", "--model-size", "tiny", "--resume", "--apply-fast-convergence")
    assert (config.train.max_steps, config.train.eval_every, config.model.size) == (6, 6, "tiny")
    assert config.checkpoint.reset is False


@pytest.mark.parametrize(
    ("argv", "resume", "reset"),
    [([], "auto", False), (["--resume"], "auto", False), (["--resume", "a/b"], "a/b", False),
     (["--resume", "none"], "none", False), (["--reset-training"], "auto", True)],
)  # fmt: skip
def test_resume_and_reset(argv, resume, reset):
    config, _ = parsed(*argv)
    assert (config.checkpoint.resume, config.checkpoint.reset) == (resume, reset)


def test_runs_of_other_corpora_sizes_and_levels_have_other_folders():
    folders = {
        parsed(*argv)[0].checkpoint.dir
        for argv in (
            [],
            ["--model-size", "big"],
            ["--optimization-level", "basic"],
            ["--train-data", "hub/other"],
        )
    }
    assert len(folders) == 4
    assert parsed("--checkpoint-dir", "here")[0].checkpoint.dir == "here"


@pytest.mark.parametrize(
    ("argv", "parts"),
    [
        (["--lr", "-1"], ["optim.lr is -1", "flag --lr", "expected above 0"]),
        (["--batch-size", "0"], ["train.batch_size is 0", "--batch-size", "at least 1"]),
        (["--num-workers", "many"], ["'many'", "--num-workers", "whole number"]),
        (
            ["--optimization-level", "enhancd"],
            ["'enhancd'", "basic, enhanced, experimental", "Did you mean enhanced?"],
        ),
        (["--model-size", "tny"], ["'tny'", "debug, tiny, small", "Did you mean tiny?"]),
        (["--set", "loss.kl_weigth=1"], ["loss.kl_weigth", "Did you mean loss.kl_weight?"]),
        (["--set", "loss.kl_weight"], ["no value", "key=value"]),
        (["--batchsize", "3"], ["--batchsize", "Did you mean --batch-size?"]),
        (["--wishful-thinking=3"], ["--wishful-thinking", "--help"]),
        (["--lr"], ["--lr", "expected one argument"]),
        (["--config", "gone.yaml"], ["gone.yaml", "no config file"]),
        (["--set", "data.min_duration_s=30"], ["30", "20", "no utterance", "default"]),
        (["--max-batch-frames", "1000"], ["1000", "1723", "data.max_duration_s=11"]),
        (["--mixed-precision", "fp16"], ["fp16", "CPU with 2 cores", "bf16 or no"]),
    ],
)
def test_a_mistake_gets_one_message_that_says_what_to_do(argv, parts):
    message = refused(*argv)
    assert all(part in message for part in parts), message
    assert "\n" not in message


def test_the_longest_utterance_depends_on_the_preset():
    argv = ["--max-batch-frames", "1800"]  # 20 s are 1723 frames at 22 kHz, 1875 at 24 kHz
    assert parsed(*argv)[0].data.max_batch_frames == 1800
    assert "1875" in refused("--train-data", "x", *argv, "--set", "audio.preset=24khz")


def test_a_gpu_asked_for_and_absent(monkeypatch):
    monkeypatch.setattr("torch.cuda.is_available", lambda: False)
    assert "A GPU was asked for" in refused("--device", "cuda", hardware=None)


@pytest.fixture
def trained_voice(tmp_path) -> str:
    """A model's folder."""
    GoyaForTextToSpeech(GoyaConfig.of_size("debug", audio=asdict(AudioConfig()))).save_pretrained(tmp_path)
    GoyaProcessor().save_pretrained(tmp_path)
    return str(tmp_path)


@pytest.mark.parametrize(("hardware", "minutes"), [(CPU, 30.0), (GPU, 120.0)])
def test_from_a_trained_voice_the_end_in_time_comes_sooner(trained_voice, hardware, minutes):
    config, provenance = parsed("--init-from", trained_voice, hardware=hardware)
    assert config.train.max_minutes == minutes and "from a trained voice" in provenance["train.max_minutes"]


def test_every_flag_sets_its_field(trained_voice):
    by_kind = {"model.size": "big", "train.level": "basic", "log.tracker": "wandb", "train.device": "cpu"}
    by_kind |= {"train.mixed_precision": "bf16", "data.max_batch_frames": "9000", "fine_tune.init_from": trained_voice}
    also = {"--lora-rank": ["--init-from", trained_voice], "--public": ["--push-to-hub", "ann/voice"]}
    by_kind |= {"checkpoint.resume": "none", "train.callbacks": "a:B"}
    for flag, key in KEYS.items():
        is_switch = FIELDS[key][1] is bool
        text = True if is_switch else by_kind.get(key, "7")
        config, provenance, _ = parse([flag, *([] if is_switch else [text]), *also.get(flag, [])], CPU)
        assert get(config, key) == coerce(key, {text: {}} if key == "train.callbacks" else text, "test")
        assert provenance[key] == f"flag {flag}"


def test_no_flag_is_listed_twice_or_never_built():
    listed = [flag for group in FLAGS.values() for flag in group]
    assert len(set(listed)) == len(listed) == len(set(KEYS.values()))
    assert set(listed) <= set(build_parser()._option_string_actions)


def test_help_answers_before_torch_is_imported():
    code = (
        "import sys\n"
        "from training.config.arguments import parse\n"
        "try:\n    parse(['--help'])\n"
        "except SystemExit as end:\n    assert end.code == 0\n"
        "assert 'torch' not in sys.modules and 'transformers' not in sys.modules\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr
    assert "--optimization-level {basic,enhanced,experimental}" in done.stdout


def test_help_says_what_each_level_makes_of_a_flag():
    told = " ".join(build_parser().format_help().split())
    for level, lr, accum in (("basic", "5e-05", 16), ("enhanced", "8e-05", 2), ("experimental", "0.00025", 1)):
        assert re.search(rf"--lr RATE [^(]*\(default: at width 1024: [^)]*{level} {lr}", told)
        assert re.search(rf"--grad-accum NUMBER [^(]*\(default: [^)]*{level} {accum}\b", told)
    assert re.search(r"--seed SEED [^(]*\(default: 1234\) --", told)  # which no level touches
    assert re.search(r"--max-steps STEPS [^(]* --", told)  # which has no default


def test_help_and_the_printed_config_say_what_the_settings_say(capsys):
    told = " ".join(build_parser().format_help().split())
    assert [key for key in KEYS.values() if words(key) not in told] == []
    with pytest.raises(SystemExit):
        parsed("--print-config")
    printed = capsys.readouterr().out.splitlines()
    values = [at for at, line in enumerate(printed) if line.startswith("  ") and not line.startswith("  #")]
    assert [printed[at - 1] for at in values] == [f"  # {words(key)}" for key in FIELDS]

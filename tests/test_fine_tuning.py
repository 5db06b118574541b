"""A run that starts from a trained model: what it takes over, what it adds, what it leaves alone, how it goes on."""

import json
import re
import shutil
from functools import cache
from pathlib import Path

import pyarrow.parquet
import pytest
import torch
from safetensors.torch import load_file

import synthesize
import train_main
import training.export
from data_pipeline.text.tokens import Vocabulary
from inference.pretrained import load
from modeling.model import GoyaForTextToSpeech
from testing import small_runs
from testing.small_runs import losses, newest
from training.config.arguments import parse
from training.setup.init_from import initial_model

pytestmark = pytest.mark.slow

GREEK = str.maketrans("abcdefghijklmnopqrstuvwxyz", "αβξδεφγηιθκλμνοπψρστυωςχζϊ")
EVERY = "--set train.eval_every=2 --set checkpoint.every_steps=2 --set train.ema_decay=0.9".split()


@cache
def base() -> Path:
    """A run of three steps on the small corpus, in English, with voices of its Spanish and French validation rows."""
    run = small_runs.folder() / "base"
    assert small_runs.train(run, "--max-steps", "3", "--set", "train.eval_every=3") == 0
    return run


@cache
def greek() -> Path:
    """The small corpus in Greek letters, by another speaker of a language that has no token; a letter that is rare."""
    folder = small_runs.folder() / "greek"
    folder.mkdir()
    for name in ("train", "validation"):
        table = pyarrow.parquet.read_table(small_runs.corpus() / f"{name}.parquet")
        rows = [row | {"speaker": "anna", "language": "kw"} for row in table.to_pylist()]
        rows = [row | {"text": row["text"].lower().translate(GREEK)} for row in rows]
        rows[0]["text"] = "я" + rows[0]["text"][1:]
        rows[0]["text"] = "☎" + rows[0]["text"][1:]
        pyarrow.parquet.write_table(pyarrow.Table.from_pylist(rows, schema=table.schema), folder / f"{name}.parquet")
    return folder


def tuning(run: Path, start: Path | None = None) -> list[str]:
    """train_main's arguments: in Greek, from the small run's model."""
    data = ["--train-data", str(greek()), "--checkpoint-dir", str(run), "--init-from", str(start or base())]
    size = small_runs.SMALL.index("--model-size")
    return [*data, *small_runs.SMALL[:size], *small_runs.SMALL[size + 2 :], *EVERY]


def tune(run: Path, *arguments: str, start: Path | None = None, steps: int = 4) -> int:
    """train_main.main in this process; its exit code."""
    small_runs.forget_accelerator()
    return train_main.main([*tuning(run, start), "--max-steps", str(steps), *arguments])


def weights(folder: Path) -> dict[str, torch.Tensor]:
    return load_file(folder / "model.safetensors")


@pytest.fixture(scope="module")
def tuned(tmp_path_factory) -> Path:
    run = tmp_path_factory.mktemp("tuned") / "run"
    assert tune(run) == 0
    return run


def test_the_weights_lie_in_memory_of_their_own(tmp_path):
    """As those of a run that goes on do: views into the file have its alignment, and products round by it."""
    config, _, _ = parse([*tuning(tmp_path / "run")])
    model, _ = initial_model(config)
    assert all(one.untyped_storage().nbytes() == one.numel() * one.element_size() for one in model.parameters())
    assert {one.data_ptr() % 64 for one in model.parameters()} == {0}


def test_new_letters_and_languages_get_tokens_behind_the_old(tuned):
    model, processor = load(str(tuned / "best"))
    tokens, old = processor.tokenizer.vocabulary.tokens, Vocabulary().tokens
    assert tokens[: len(old)] == old
    added = tokens[len(old) :]
    assert added[0] == "<kw-lang>" and set("αλο") <= set(added) and "☎" not in added and "β" not in added
    assert model.config.vocab_size == len(tokens) == len(model.text_encoder.embedding.weight)
    ids = processor("αλο", language="kw")["input_ids"][0].tolist()
    assert ids == [tokens.index(token) for token in ("<kw-lang>", "<bos>", "α", "λ", "ο", "<eos>")]
    before = load(str(base()))[1]("Hello, ☎!", language="en")["input_ids"].tolist()
    assert processor("Hello, ☎!", language="en")["input_ids"].tolist() == before


def test_it_starts_from_the_weights_and_trains_all_of_them(tuned, tmp_path):
    assert tune(tmp_path / "run", "--lr", "1e-12", steps=2) == 0
    begun, trained, started = weights(newest(tmp_path / "run")), weights(newest(tuned)), weights(base() / "best")
    for name, start in started.items():
        torch.testing.assert_close(begun[name][: len(start)], start, rtol=0, atol=1e-6)  # the schedule has a floor
        assert not torch.equal(trained[name][: len(start)], start), name
    state = json.loads((newest(tuned) / "training_state.json").read_text())
    assert state["trainer"]["global_step"] == 4 and state["cursor"]["epoch"] <= 1


def test_old_and_new_voices_and_languages_speak(tuned, tmp_path):
    voices = load(str(tuned / "best"))[0].config.voices
    assert {"allison-es", "anna-kw"} <= set(voices)
    assert voices["allison-es"] == load(str(base() / "best"))[0].config.voices["allison-es"]
    for number, words in enumerate((["γεια", "--language", "kw"], ["hola", "--language", "es", "--voice", "allison"])):
        out = str(tmp_path / f"{number}.wav")
        assert synthesize.main([str(tuned), "--text", *words, "--out", out]) == 0


def test_the_first_table_and_the_report_say_what_it_started_from(tmp_path, capsys):
    assert tune(tmp_path / "run", steps=1) == 0
    assert re.search(rf"^starts from +{base()} +flag --init-from$", capsys.readouterr().out, re.MULTILINE)
    report = json.loads((tmp_path / "run" / "report.json").read_text())
    assert report["config"]["fine_tune"]["init_from"] == str(base())


def test_a_resume_is_bit_equal_and_needs_the_first_model_no_more(tuned, tmp_path):
    start = tmp_path / "start"
    shutil.copytree(base() / "best", start)
    assert tune(tmp_path / "run", start=start, steps=2) == 0
    shutil.rmtree(start)
    assert tune(tmp_path / "run", start=start) == 0
    small_runs.assert_equal_ends(tmp_path / "run", tuned)
    assert all(losses(tuned)[name][step] == v for name, c in losses(tmp_path / "run").items() for step, v in c.items())


def test_what_is_frozen_stays_bit_for_bit_but_for_new_tokens(tmp_path, capsys):
    assert tune(tmp_path / "run", "--freeze", "text_encoder,decoder.layers, *.postnet.last.*") == 0
    started, trained = weights(base() / "best"), weights(newest(tmp_path / "run"))
    numbers = 0
    for name, start in started.items():
        frozen = name.startswith(("text_encoder.", "decoder.layers.")) or ".postnet.last." in name
        assert torch.equal(trained[name][: len(start)], start) == frozen, name
        numbers += 0 if frozen else start.numel()
    new = trained["text_encoder.embedding.weight"][len(started["text_encoder.embedding.weight"]) :]
    assert f", {(numbers + new.numel()) / 1e6:.2f} M of them train, {len(new)} new tokens" in capsys.readouterr().out
    embedding = "text_encoder.embedding.weight"
    fresh = weights_of_a_new_start(tmp_path)[embedding][len(started[embedding]) :]
    moved = (trained[embedding][len(started[embedding]) :] - fresh).abs().amax(1) > 1e-5
    assert moved.all()


def weights_of_a_new_start(tmp_path: Path) -> dict[str, torch.Tensor]:
    """Before an update that is worth the name."""
    assert tune(tmp_path / "still", "--lr", "1e-12", steps=1) == 0
    return weights(newest(tmp_path / "still"))


def test_a_frozen_run_resumes_bit_equal(tmp_path):
    frozen = ["--freeze", "text_encoder,aligner"]
    assert tune(tmp_path / "whole", *frozen) == tune(tmp_path / "run", *frozen, steps=2) == 0
    assert tune(tmp_path / "run", *frozen) == 0
    small_runs.assert_equal_ends(tmp_path / "run", tmp_path / "whole")


LORA = ["--lora-rank", "4"]


@pytest.fixture(scope="module")
def adapted(tmp_path_factory) -> Path:
    pytest.importorskip("peft", reason='needs the extra: pip install -e ".[lora]"')
    run = tmp_path_factory.mktemp("adapted") / "run"
    assert tune(run, *LORA, "--lr", "1e-2") == 0
    return run


def test_lora_leaves_the_matrices_and_merges_what_speaks(adapted):
    started, merged = weights(base() / "best"), weights(newest(adapted))
    kept = load_file(newest(adapted) / "lora.safetensors")
    bases = [name for name in kept if name.endswith(".base_layer.weight") and not name.startswith("average.")]
    assert len(bases) == 4 * 4  # two layers each of encoder and decoder, with four matrices
    for name in bases:
        matrix = name.removesuffix(".base_layer.weight")
        up, down = kept[f"{matrix}.lora_B.default.weight"], kept[f"{matrix}.lora_A.default.weight"]
        assert torch.equal(kept[name], started[f"{matrix}.weight"]) and up.shape[1] == down.shape[0] == 4
        assert up.abs().max() > 1e-3
        torch.testing.assert_close(merged[f"{matrix}.weight"], started[f"{matrix}.weight"] + up @ down)
    for name in started.keys() - {f"{name.removesuffix('.base_layer.weight')}.weight" for name in bases}:
        assert torch.equal(merged[name], started[name]) == (name != "text_encoder.embedding.weight"), name


def test_what_lora_wrote_speaks_like_the_model_that_was_trained(adapted, tmp_path):
    """The best one is the average's, here that of the last step: as the export of the last checkpoint has it."""
    assert training.export.main([str(newest(adapted)), str(tmp_path / "exported")]) == 0
    exported = weights(tmp_path / "exported")
    assert exported.keys() == weights(base() / "best").keys()
    model = GoyaForTextToSpeech.from_pretrained(tmp_path / "exported")
    for name, weight in weights(adapted / "best").items():
        torch.testing.assert_close(weight, exported[name])
        torch.testing.assert_close(weight, model.state_dict()[name])
    assert synthesize.main([str(adapted), "--text", "hello", "--out", str(tmp_path / "a.wav")]) == 0


def test_a_lora_run_resumes_bit_equal(adapted, tmp_path):
    assert tune(tmp_path / "run", *LORA, "--lr", "1e-2", steps=2) == 0
    assert tune(tmp_path / "run", *LORA, "--lr", "1e-2") == 0
    small_runs.assert_equal_ends(tmp_path / "run", adapted)


MISTAKES = {
    "no such model": (["--init-from", "{tmp}/nowhere"], "nowhere does not exist; expected a run folder"),
    "a folder without a model": (["--init-from", "{tmp}"], "holds no model"),
    "another size": (["--model-size", "tiny"], "model.size is tiny (flag --model-size), and the model of --init-from"),
    "other units": (["--set", "data.text_units=espeak"], "data.text_units is espeak (--set data.text_units), and"),
    "another preset": (["--set", "audio.preset=16khz"], "audio.preset is 16khz (--set audio.preset), and the model"),
    "another step": (["--set", "model.frames_per_step=3"], "model.frames_per_step is 3 (--set"),
    "unknown name to freeze": (["--freeze", "text_encoders"], "Did you mean text_encoder? Expected names or patterns"),
    "all frozen": (["--freeze", "*", "--train-data", "{corpus}"], "--freeze names every parameter of the model"),
}


@pytest.mark.parametrize("name", MISTAKES)
def test_a_mistake_gets_one_message(name, tmp_path, capsys):
    arguments, message = MISTAKES[name]
    assert tune(tmp_path / "run", *(part.format(tmp=tmp_path, corpus=small_runs.corpus()) for part in arguments)) == 2
    assert message in capsys.readouterr().err
    assert not (tmp_path / "run" / "checkpoints").exists()


def test_a_folder_of_another_run_is_not_gone_on_with(tuned, tmp_path, capsys):
    run = tmp_path / "run"
    shutil.copytree(tuned, run)
    assert tune(run, start=base() / "checkpoints" / "step-00000003") == 2
    assert f"started from {base()}, and this command starts from {base()}/checkpoints" in capsys.readouterr().err
    shutil.rmtree(run)
    shutil.copytree(base(), run)
    assert tune(run) == 2
    assert "started from no other model, and this command starts from" in capsys.readouterr().err
    shutil.rmtree(run)
    shutil.copytree(tuned, run)
    assert small_runs.train(run, "--max-steps", "5") == 2
    assert f"give --init-from {base()} to go on with it" in capsys.readouterr().err


def test_adapters_want_a_model_and_a_package(tmp_path, capsys, monkeypatch):
    assert small_runs.train(tmp_path / "run", *LORA) == 2
    assert "there is no --init-from: adapters are for a model that is trained" in capsys.readouterr().err
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    assert tune(tmp_path / "run", *LORA) == 2
    assert 'pip install -e ".[lora]"' in capsys.readouterr().err


def test_without_a_folder_by_hand_the_run_does_not_fall_into_the_first_one(monkeypatch, tmp_path):
    from training.config.arguments import parse

    monkeypatch.chdir(tmp_path)
    config, _, _ = parse(["--init-from", str(base() / "best")])
    assert config.checkpoint.dir == "runs/demo_corpus_from_base_enhanced"
    assert (config.model.size, config.data.text_units) == ("debug", "phonemes")


def test_an_export_that_cannot_be_written_is_a_message(capsys):
    assert training.export.main([str(newest(base())), "/proc/exported"]) == 2
    assert "/proc/exported cannot be written" in capsys.readouterr().err

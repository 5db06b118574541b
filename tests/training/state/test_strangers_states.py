"""The state of a run as a stranger may have written it: a value of another kind is one message, never a traceback."""

import copy
import json
import math
import os
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
from transformers.trainer_callback import CallbackHandler

import train_main
from callbacks.default import default_callbacks
from data_pipeline.errors import UserError
from testing import small_runs
from training.config.arguments import parse
from training.setup.building import build_accelerator
from training.state import run_state
from training.state.checksums import damage, seal

pytestmark = pytest.mark.slow

ODD = (None, True, -1, 10**30, 1e308, math.nan, math.inf, "x", "", [], ["x"], {}, {"x": []}, [[[]]])
FILES = ("training_state.json", "optimizer.json", "random_state_0.json")


@pytest.fixture(scope="module")
def trainer(tmp_path_factory):
    """One that would train the small corpus, as train_main.py builds it."""
    small_runs.forget_accelerator()
    run = tmp_path_factory.mktemp("strangers") / "run"
    sets = "--set train.eval_every=3 --set checkpoint.every_steps=3 --set train.early_stopping=true".split()
    flags = ["--train-data", str(small_runs.corpus()), "--checkpoint-dir", str(run), *small_runs.SMALL, *sets]
    config, provenance, _ = parse([*flags, "--tracker", "none", "--max-steps", "6"])
    accelerator = build_accelerator(config)
    trainer = train_main.build_trainer(config, provenance, accelerator)
    callbacks = default_callbacks(trainer, accelerator, vocoder=None)
    trainer.callbacks = CallbackHandler(callbacks, trainer.raw_model, trainer.processor, trainer.optimizer, None)
    own = run_state.to_json(trainer)  # of a trainer that has not gone on from anything
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(run_state, "to_json", lambda _: copy.deepcopy(own))
        yield trainer


@pytest.fixture(scope="module")
def checkpoint(tmp_path_factory) -> Path:
    run, done = small_runs.trained_run()
    assert done.returncode == 0, done.stderr[-3000:]
    return shutil.copytree(small_runs.newest(run), tmp_path_factory.mktemp("theirs") / "step-00000006")


def places(value, path: tuple = ()) -> Iterator[tuple]:
    """The ways to all values inside; of a list its first and last."""
    yield path
    if isinstance(value, dict):
        for name in value:
            yield from places(value[name], (*path, name))
    elif isinstance(value, list) and value:
        for index in {0, len(value) - 1}:
            yield from places(value[index], (*path, index))


def changed(value, path: tuple, new):
    if not path:
        return new
    value = copy.copy(value)
    value[path[0]] = changed(value[path[0]], path[1:], new)
    return value


def resume(trainer, checkpoint: Path) -> str | None:
    """The message, where there is one. The optimizer's groups stay as they are, of whose kinds the next has to be."""
    groups = [dict(group) for group in trainer.optimizer.param_groups]
    try:
        run_state.resume(trainer, checkpoint)
    except UserError as error:
        return str(error)
    finally:
        for group, kept in zip(trainer.optimizer.param_groups, groups, strict=True):
            group.update(kept)
    return None


@pytest.mark.parametrize("name", FILES)
def test_odd_values_are_one_message_or_have_no_effect(name, trainer, checkpoint):
    path = checkpoint / name
    good = json.loads(path.read_text())
    assert resume(trainer, checkpoint) is None
    whole_of_few = [one for one in places(good) if len(one) < 2 or one[0] not in ("scalars", "config")]
    said = {}
    for number, place in enumerate(whole_of_few):
        for new in ODD[number % 3 :: 3]:
            path.write_text(json.dumps(changed(good, place, new)))
            said[(place, repr(new))] = resume(trainer, checkpoint)  # anything but a UserError ends the test here
    path.write_text(json.dumps(good))
    refused = [message for message in said.values() if message is not None]
    assert len(refused) > len(said) / 4
    assert all(str(checkpoint) in message or "--checkpoint-dir" in message for message in refused)


@pytest.mark.parametrize("new", [new for new in ODD if new != 1e308 and new != 10**30 and new != -1])
def test_a_number_of_the_optimizer_that_is_none_is_one_message(new, trainer, checkpoint):
    path = checkpoint / "optimizer.json"
    good = json.loads(path.read_text())
    name = next(iter(good["scalars"]))
    path.write_text(json.dumps(good | {"scalars": good["scalars"] | {name: new}}))
    assert str(path) in (resume(trainer, checkpoint) or "")
    path.write_text(json.dumps(good))


@pytest.mark.parametrize("state", [{}, {"trainer": "x"}, {"trainer": {"global_step": "x"}}, {"trainer": None}])
def test_a_state_without_its_step_is_one_message(state, trainer, checkpoint):
    """Its step is asked for before anything else of it is read."""
    path = checkpoint / "training_state.json"
    good = path.read_bytes()
    path.write_text(json.dumps(state))
    with pytest.raises(UserError, match="holds what no run of this kind writes"):
        trainer.checkpoints.step_of(checkpoint)
    path.write_bytes(good)


@pytest.mark.parametrize("name", ["model", "optimizer"])
@pytest.mark.parametrize("keep", [0, 4, 1000, -1000])
def test_weights_that_are_cut_are_one_message(name, keep, trainer, checkpoint, capfd, caplog):
    path = checkpoint / f"{name}.safetensors"
    good = path.read_bytes()
    path.write_bytes(good[:keep])
    told = resume(trainer, checkpoint)
    path.write_bytes(good)
    assert str(checkpoint) in (told or "")
    assert "Traceback" not in capfd.readouterr().err and not [one for one in caplog.records if one.exc_info]


@pytest.mark.parametrize("content", [b"", b"[]", b"{", b'{"a":' * 10**5, b"\xff\xfe", b"null"])
@pytest.mark.parametrize("name", FILES)
def test_what_is_no_state_is_one_message(name, content, trainer, checkpoint):
    good = (checkpoint / name).read_bytes()
    (checkpoint / name).write_bytes(content)
    assert str(checkpoint / name) in (resume(trainer, checkpoint) or "")
    (checkpoint / name).write_bytes(good)


def test_what_is_neither_file_nor_folder_is_damage(checkpoint, tmp_path):
    """A pipe would be waited for, and a link would be followed out of the folder."""
    for make in (lambda path: os.mkfifo(path), lambda path: path.symlink_to("/etc/passwd")):
        theirs = shutil.copytree(checkpoint, tmp_path / "step-00000006")
        seal(theirs)
        assert damage(theirs) is None
        make(theirs / "more.safetensors")
        assert damage(theirs) == "more.safetensors is neither a file nor a folder"
        shutil.rmtree(theirs)

"""A step that does not fit is taken in smaller micro-batches: the same utterances, losses and gradient."""

import json

import pytest
import torch
from accelerate import Accelerator

from data_pipeline.errors import UserError
from modeling.model import GoyaForTextToSpeech
from testing import small_runs
from testing.distributed.splits import SHAPES, WEIGHTS, batch_of, flat, new_model, no_voice_noise, reference
from testing.small_runs import newest, scalars, train
from training.loop.out_of_memory import AutoMicrobatch, split
from training.loop.step import LossWeights

pytestmark = pytest.mark.slow

SHAPE = SHAPES["huber"]


@pytest.fixture
def room(monkeypatch):
    """Memory for so many utterances: `room["utterances"] = 3`."""
    plain, limit = GoyaForTextToSpeech.forward, {"utterances": 99}

    def forward(self, input_ids, *args, **kwargs):
        if self.training and len(input_ids) > limit["utterances"]:
            raise torch.OutOfMemoryError("CUDA out of memory (made up)")
        return plain(self, input_ids, *args, **kwargs)

    monkeypatch.setattr(GoyaForTextToSpeech, "forward", forward)
    return limit


def fitting_step() -> AutoMicrobatch:
    small_runs.forget_accelerator()
    accelerator = Accelerator(cpu=True)
    return AutoMicrobatch(accelerator, accelerator.prepare(new_model()), LossWeights(dict(WEIGHTS)), SHAPE)


@pytest.mark.parametrize("parts", [1, 2, 3, 99])
def test_parts_hold_the_same_utterances_without_needless_padding(parts):
    rows = small_runs.features()[:7]
    pieces = split(batch_of(rows, (5,)), parts)
    assert [name for piece in pieces for name in piece.ids] == [row.id for row in rows]
    assert len(pieces) == {1: 1, 2: 2, 3: 3, 99: 7}[parts]
    for piece in pieces:
        alone = batch_of([row for row in rows if row.id in piece.ids])
        for name, tensor in alone.tensors.items():
            if not name.startswith("reference"):
                assert torch.equal(piece.tensors[name], tensor), name
    if parts > 1:
        assert len({piece.planned.seed for piece in pieces}) == len(pieces)  # noise of its own for each


@pytest.mark.parametrize("utterances", [8, 7, 4, 1])
def test_what_does_not_fit_gives_the_gradient_of_one_batch_in_float64(room, capsys, utterances):
    room["utterances"] = utterances
    step, rows = fitting_step(), small_runs.features()[:16]
    with no_voice_noise():
        losses, _, _ = step([batch_of(rows[:8]), batch_of(rows[8:])])
    room["utterances"] = 99
    expected, expected_losses = reference(16, "huber")
    assert float((flat(step.model) - expected).norm() / expected.norm()) < 1e-6
    assert losses == pytest.approx(expected_losses, rel=1e-6)
    assert step.parts == {8: 1, 7: 2, 4: 2, 1: 8}[utterances]
    assert capsys.readouterr().out.count("Out of memory") == {8: 0, 7: 1, 4: 1, 1: 3}[utterances]


def test_it_stays_in_smaller_batches(room):
    room["utterances"] = 4
    step, rows = fitting_step(), small_runs.features()[:16]
    step([batch_of(rows[:8])])
    room["utterances"] = 99
    step([batch_of(rows[:8])])
    assert step.parts == 2
    again = fitting_step()
    again.restore(json.loads(json.dumps(step.to_json())))
    assert (again.parts, again.proven) == (step.parts, step.proven)


def test_where_a_single_utterance_does_not_fit_the_run_ends_with_advice(room):
    room["utterances"] = 0
    with pytest.raises(UserError, match=r"A single utterance of \d+ mel frames does not fit .*max_duration_s"):
        fitting_step()([batch_of(small_runs.features()[:3])])


def test_a_run_goes_on_and_a_resume_keeps_the_parts(room, tmp_path, capsys):
    room["utterances"] = 2
    every = ["--set", "checkpoint.every_steps=2"]
    assert train(tmp_path / "run", "--max-steps", "2", *every) == 0
    assert "each batch is cut into 2 and accumulated; the effective batch stays" in capsys.readouterr().out
    saved = json.loads((newest(tmp_path / "run") / "training_state.json").read_text())
    assert saved["step"]["parts"] == 2
    assert train(tmp_path / "run", "--max-steps", "3", *every) == 0
    assert "Out of memory" not in capsys.readouterr().out
    room["utterances"] = 99
    assert train(tmp_path / "whole", "--max-steps", "3", *every) == 0
    cut, whole = scalars(tmp_path / "run")["loss"], scalars(tmp_path / "whole")["loss"]
    assert cut == pytest.approx(whole, rel=0.02)  # other noise in dropout and voices, all else equal

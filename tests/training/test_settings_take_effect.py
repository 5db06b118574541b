"""What a setting or a state says is what happens: each of these was found to have no effect that any test saw."""

import math
import os
import random
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from accelerate import Accelerator
from transformers import TrainerCallback

import train_main
import training.state.checkpoint
from callbacks.adaptive_weights import AdaptiveWeights
from callbacks.default import default_callbacks, spike_guard
from callbacks.spike_guard import SpikeGuard
from data_pipeline.batching.collate import REFERENCE_S, Batch
from data_pipeline.errors import UserError
from data_pipeline.recordings.speaker_augmentation import AS_RECORDED
from modeling.configuration import GoyaConfig
from modeling.losses import LossShape
from modeling.model import GoyaForTextToSpeech, GoyaOutput
from testing import small_runs
from testing.distributed.splits import batch_of, new_model
from tests.training.state.test_checkpoint import Run
from training.config.arguments import parse
from training.config.fields import RunConfig, with_values
from training.loop.control import Control, Diverged
from training.loop.validation import validate
from training.setup.building import build_accelerator
from training.state.checksums import damage

pytestmark = pytest.mark.slow


def sets(*assignments: str) -> list[str]:
    return [word for assignment in assignments for word in ("--set", assignment)]


@pytest.fixture
def built(tmp_path):
    """A function from settings to (a trainer as train_main.py builds it, its callbacks by their class)."""

    def build(*assignments: str):
        small_runs.forget_accelerator()
        flags = ["--train-data", str(small_runs.corpus()), "--checkpoint-dir", str(tmp_path / "run")]
        config, provenance, _ = parse([*flags, *small_runs.SMALL, "--tracker", "none", *sets(*assignments)])
        accelerator = build_accelerator(config)
        trainer = train_main.build_trainer(config, provenance, accelerator)
        return trainer, {type(one): one for one in default_callbacks(trainer, accelerator, vocoder=None)}

    return build


def test_the_losses_are_formed_as_the_settings_say(built):
    values = {"mel_loss": "l1", "huber_delta": 0.37, "mel_smoothing": 0.11, "stop_smoothing": 0.23}
    trainer, _ = built(*(f"loss.{name}={value}" for name, value in values.items()), "model.frames_per_step=3")
    assert trainer.accumulate_gradients.shape == LossShape("l1", 0.37, 0.11, 0.23, 3)


def test_running_means_take_the_share_that_the_settings_say(built):
    _, chosen = built("loss.loss_smoothing=0.5", "loss.adaptive_weights=true")
    guard, weights = chosen[SpikeGuard], chosen[AdaptiveWeights]
    for value in (1.0, math.e**2):
        pre_step(guard, value)
        weights.on_step_end(None, SimpleNamespace(global_step=1), None, losses={"mel": value})
    assert guard.mean_log["loss"] == pytest.approx(1.0)
    assert weights.means["mel"] == pytest.approx((1 + math.e**2) / 2)


def pre_step(guard: SpikeGuard, value: float) -> Control:
    state = SimpleNamespace(global_step=1, is_world_process_zero=False)
    return guard.on_pre_optimizer_step(None, state, Control(), loss=value, grad_norm=value, suspects=list)


@pytest.mark.parametrize("detects", [True, False])
def test_spikes_are_skipped_where_the_settings_say_so(built, detects):
    _, chosen = built(f"train.spike_detection={str(detects).lower()}")
    guard = chosen[SpikeGuard]
    for _ in range(60):
        assert not pre_step(guard, 1.0).should_skip_update
    assert pre_step(guard, 100.0).should_skip_update == detects


def test_what_a_spike_is_and_what_follows_it_is_as_the_settings_say(built):
    values = {"factor": 2, "settle_steps": 3, "patience": 2, "window": 6}
    assignments = [f"train.spike_{name}={value}" for name, value in values.items()]
    _, chosen = built(*assignments, "train.spike_detection=true", "train.max_roll_backs=1")
    guard = chosen[SpikeGuard]
    assert not any(pre_step(guard, value).should_skip_update for value in (1.0, 1.0, 1.0))  # settles
    assert not pre_step(guard, 1.9).should_skip_update
    asked = [pre_step(guard, value).should_roll_back for value in (3.0, 1.0, 3.0, 1.0, 3.0, 3.0)]
    assert asked == [False] * 5 + [True]  # two in a row; before that three of six, which is not more than half
    with pytest.raises(Diverged, match="1 roll-back"):
        for _ in range(2):
            pre_step(guard, 3.0)
    _, chosen = built("train.spike_window=4")
    guard = chosen[SpikeGuard]
    asked = [pre_step(guard, value).should_roll_back for value in (math.nan, math.nan, 1.0, math.nan)]
    assert asked == [False, False, False, True]  # three of four


def test_adaptive_weights_move_as_the_settings_say(built):
    values = {"adaptive_bounds": "0.9,1.05", "adaptive_every_steps": 2, "adaptive_temperature": 0.5}
    assignments = [f"loss.{name}={value}" for name, value in values.items()]
    _, chosen = built(*assignments, "loss.adaptive_weights=true", "loss.loss_smoothing=1")
    weights = chosen[AdaptiveWeights]

    def multipliers(ratio: float) -> dict[str, float]:
        weights.earlier, weights.multipliers = {}, {}
        for step, value in enumerate((1.0, 1.0, ratio, ratio), start=1):
            weights.on_step_end(None, SimpleNamespace(global_step=step), None, losses={"mel": value, "kl": 1.0})
        return weights.multipliers

    assert multipliers(9.0) == {"mel": 1.05, "kl": 0.9}
    power = [math.exp(1.01 / 0.5), math.exp(1.0 / 0.5)]
    assert multipliers(1.01) == pytest.approx(dict(zip(("mel", "kl"), 2 * np.array(power) / sum(power), strict=True)))


def test_reference_clips_are_as_long_as_the_settings_say(built):
    trainer, _ = built("data.reference_s=0.2,0.3")
    for loader in (trainer.inputs.train, trainer.inputs.validation):
        batches = list(loader.epoch(loader.plan.start(0)))
        frames_per_s = loader.collator.make.audio.frames_per_s
        clips_s = torch.cat([batch.tensors["reference_lengths"] for batch in batches]) / frames_per_s
        assert 0.19 < clips_s.min() < clips_s.max() <= 0.3


def test_the_plan_of_an_epoch_is_as_the_settings_say(built):
    plan = built("train.length_curriculum=true", "train.curriculum_rows=7", "data.recorded_share=0.2")[
        0
    ].inputs.train.plan
    assert (plan.by_length_rows, plan.recorded_share) == (7, 0.2)
    assert built("train.curriculum_rows=7")[0].inputs.train.plan.by_length_rows == 0


def test_what_takes_a_setting_has_its_default():
    config = RunConfig()
    assert config.data.reference_s == REFERENCE_S and config.data.recorded_share == AS_RECORDED
    guard, weights = SpikeGuard(0.08, detect=True), AdaptiveWeights(None, None, 0.08)
    train, loss = config.train, config.loss
    assert vars(spike_guard(with_values(config, {"train.spike_detection": True}))) == vars(guard)
    assert (weights.low, weights.high) == loss.adaptive_bounds
    assert (weights.temperature, weights.every_steps) == (loss.adaptive_temperature, loss.adaptive_every_steps)
    assert (train.curriculum_rows, train.roll_back_rate, config.optim.warmup_share) == (8192, 0.5, 0.1)


@pytest.mark.parametrize("key", ["data.reference_s", "loss.adaptive_bounds"])
def test_a_range_whose_ends_are_swapped_is_refused(key):
    with pytest.raises(UserError, match=f"{key} is 3,2 .*lower one first"):
        parse(sets(f"{key}=3,2"))


def test_gradients_are_clipped_to_the_norm_that_the_settings_say(tmp_path):
    norms = []

    class Norms(TrainerCallback):
        def on_pre_optimizer_step(self, args, state, control, model=None, **kwargs):
            gradients = [one.grad for one in model.parameters() if one.grad is not None]
            norms.append(float(torch.cat([gradient.flatten() for gradient in gradients]).norm()))

    small = sets("optim.clip_norm=0.001")
    assert small_runs.train(tmp_path / "run", "--max-steps", "2", *small, callbacks=[Norms()]) == 0
    assert norms == pytest.approx([0.001, 0.001], rel=1e-3)


def test_a_roll_back_brings_the_weights_of_the_checkpoint_back(tmp_path):
    seen = {}

    class Explosion(TrainerCallback):
        """After a good checkpoint of step 2 the update of step 3 is ruin, and is found to be."""

        def on_save(self, args, state, control, model=None, **kwargs):
            seen[state.global_step] = weights_of(model)

        def on_step_end(self, args, state, control, model=None, **kwargs):
            if state.global_step == 3:
                with torch.no_grad():
                    for parameter in model.parameters():
                        parameter.add_(1.0)
                control.should_roll_back = True
            return control

        def on_step_begin(self, args, state, control, model=None, optimizer=None, **kwargs):
            seen["peaks"] = [*seen.get("peaks", []), optimizer.param_groups[0]["peak_lr"]]
            if state.global_step == 3:
                seen["after"] = weights_of(model)

    every = sets("checkpoint.every_steps=2", "train.eval_every=2", "train.roll_back_rate=0.25")
    assert small_runs.train(tmp_path / "run", "--max-steps", "4", *every, callbacks=[Explosion()]) == 0
    assert torch.equal(seen["after"], seen[2])
    assert seen["peaks"] == pytest.approx([seen["peaks"][0]] * 3 + [seen["peaks"][0] / 4])


def weights_of(model) -> torch.Tensor:
    return torch.cat([parameter.detach().flatten() for parameter in model.parameters()]).clone()


def test_the_prenet_drops_out_while_speech_is_learned_and_judged():
    """Shen et al. 2018, section 2.2: without it the decoder trusts its own frames too much."""
    batch = batch_of(small_runs.features()[:2]).tensors
    for probability, is_same in ((0.5, False), (0.0, True)):
        torch.manual_seed(0)
        model = GoyaForTextToSpeech(GoyaConfig.of_size("debug", prenet_dropout=probability))
        for mode in (True, False):
            model.train(mode)
            mels = []
            for seed in (1, 2):
                with torch.no_grad(), torch.random.fork_rng():
                    torch.manual_seed(seed)
                    latent = model.decoder.prenet(batch["mel"])
                mels.append(latent)
            assert torch.equal(*mels) == is_same


@pytest.fixture
def validated() -> tuple[dict, GoyaOutput, Batch]:
    """What validation finds of a batch, and what the model makes of it."""
    small_runs.forget_accelerator()
    accelerator, model, batch = Accelerator(cpu=True), new_model(), batch_of(small_runs.features()[:3])
    loader = SimpleNamespace(epoch=lambda cursor: [batch], plan=SimpleNamespace(start=lambda epoch: None))
    batch.voices = ["a", "b", "c"]
    model.config.prenet_dropout = model.decoder.prenet.probability = 0.0
    found, _ = validate(accelerator, model, loader)
    with torch.no_grad():
        return found, model.eval()(**batch.tensors), batch


def test_validation_measures_the_mel_that_is_heard(validated):
    """After the post-net, not before it."""
    found, output, batch = validated
    means = {}
    for name in ("mel_before_BTC", "mel_after_BTC"):
        rows = zip(getattr(output, name), batch.tensors["mel"], batch.tensors["mel_lengths"], strict=True)
        errors = torch.cat([(mel[:length] - own[:length]).abs().flatten() for mel, own, length in rows])
        means[name] = float(errors.mean())
    assert found["eval_mel"] == pytest.approx(means["mel_after_BTC"], rel=1e-4)
    assert found["eval_mel"] != pytest.approx(means["mel_before_BTC"], rel=1e-3)


def test_validation_counts_the_ends_that_are_told_right_at_real_steps_only(validated):
    found, output, batch = validated
    told = (output.end_logits_BN > 0) == output.ends_BN
    steps = [math.ceil(length / 2) for length in batch.tensors["mel_lengths"].tolist()]  # two frames each
    right = [bool(one) for row, count in zip(told, steps, strict=True) for one in row[:count]]
    assert min(steps) < max(steps) and 0 < sum(right) < len(right)
    assert found["eval_end_accuracy"] == pytest.approx(sum(right) / len(right))


# Of checkpoints


@pytest.fixture
def run(tmp_path) -> Run:
    return Run(tmp_path / "run")


def test_all_random_generators_go_on_where_they_were(run):
    path = run.save(1, {})
    drawn = [random.random(), float(np.random.rand()), float(torch.rand(1))]
    random.seed(9), np.random.seed(9), torch.manual_seed(9)
    run.load(path)
    assert [random.random(), float(np.random.rand()), float(torch.rand(1))] == drawn


def test_a_power_cut_after_the_rename_takes_nothing(run, monkeypatch):
    """What was not handed to the disk (fsync) before a checkpoint gets its name may be empty after a power cut."""
    on_disk, lost = set(), []
    sync, replace = os.fsync, os.replace

    def noted_sync(handle: int) -> None:
        on_disk.add(os.fstat(handle).st_ino)
        sync(handle)

    def noted_replace(source, target) -> None:
        if str(source).endswith(".partial"):
            everything = [Path(source), *Path(source).rglob("*")]
            lost.extend(path.name for path in everything if path.stat().st_ino not in on_disk)
            on_disk.discard(Path(target).parent.stat().st_ino)
        replace(source, target)

    monkeypatch.setattr(os, "fsync", noted_sync)
    monkeypatch.setattr(os, "replace", noted_replace)
    path = run.save(1, {})
    assert path.is_dir() and lost == []
    assert path.parent.stat().st_ino in on_disk  # the new name itself


def test_a_kill_while_an_old_checkpoint_goes_leaves_no_half_of_one(run, monkeypatch):
    class Killed(BaseException):
        pass

    def half(folder, *args, **kwargs) -> None:
        (Path(folder) / "model.safetensors").unlink()
        raise Killed

    for step in (1, 2):
        run.save(step, {})
    monkeypatch.setattr(training.state.checkpoint.shutil, "rmtree", half)
    with pytest.raises(Killed):
        run.save(3, {})  # two are kept
    assert [path.name for path in run.folder.all()] == ["step-00000002", "step-00000003"]
    assert all(damage(path) is None for path in run.folder.all())

"""Every callback of this package: chosen by some configuration, and at home in transformers' CallbackHandler."""

import importlib
import json
from collections.abc import Callable
from functools import cache
from pathlib import Path
from types import SimpleNamespace

import pytest
import torch
from transformers import TrainerCallback, TrainerState
from transformers.trainer_callback import CallbackHandler, ExportableState

import callbacks
from callbacks.default import default_callbacks, quality_eval
from callbacks.quality_eval import QualityEval
from callbacks.rate_schedule import RateSchedule
from data_pipeline.errors import UserError
from data_pipeline.recordings.audio import AudioConfig
from data_pipeline.utterance import Samples, Utterance
from inference.vocoders.registry import load_vocoder
from modeling.configuration import GoyaConfig
from modeling.model import GoyaForTextToSpeech
from modeling.processor import GoyaProcessor
from training.config.fields import RunConfig, choices, with_values
from training.config.levels import apply_level
from training.loop.control import CallbackArguments, Control
from training.loop.eval_weights import EvalWeights
from training.loop.length import Ahead
from training.loop.schedule import SCHEDULES, cosine_restarts, noam
from training.loop.step import LossWeights
from training.loop.weight_average import WeightAverage
from training.setup.trackers import Trackers

FILES = sorted(path.stem for path in Path(callbacks.__path__[0]).glob("*.py"))
# Not callbacks: named makes those of the user. hub_push goes through whole runs in tests/hub.
NOT_HERE = {"__init__", "default", "named", "hub_push"}
WEIGHTS = {"mel": 22.0, "stop": 1.5, "kl": 1.8, "alignment": 0.3}


def class_in(name: str) -> type[TrainerCallback]:
    """The file's one callback, named after it."""
    module = importlib.import_module(f"callbacks.{name}")
    return getattr(module, "".join(word.capitalize() for word in name.split("_")))


@cache
def debug_model() -> GoyaForTextToSpeech:
    torch.manual_seed(0)
    return GoyaForTextToSpeech(GoyaConfig.of_size("debug", max_token_steps=2, voices={"en": [0.0] * 144}))


def chosen_for(config: RunConfig) -> list[TrainerCallback]:
    accelerator = SimpleNamespace(
        trackers=[], log=lambda logs, step: None, num_processes=1, is_main_process=True, device=torch.device("cpu")
    )
    noise = Samples(torch.rand(22_050, generator=torch.Generator().manual_seed(0)).numpy() - 0.5, 22_050)
    validation = SimpleNamespace(utterances=lambda: [Utterance("a/1", "three words here", noise, None, "en")])
    trainer = SimpleNamespace(
        config=config,
        weights=LossWeights(dict(WEIGHTS)),
        base_weights=lambda state: dict(WEIGHTS),
        length=SimpleNamespace(optim=config.optim, ahead=lambda *_: Ahead(2)),
        cursor=None,
        average=WeightAverage(debug_model(), 0.9) if config.train.ema_decay else None,
        trackers=Trackers(accelerator),
        eval_weights=EvalWeights(accelerator, debug_model(), None),
        inputs=SimpleNamespace(validation=validation),
        arguments=CallbackArguments(config),
    )
    return default_callbacks(trainer, accelerator, load_vocoder("griffin_lim", AudioConfig()))


def all_chosen(folder: str) -> dict[str, TrainerCallback]:
    found = {}
    for schedule in SCHEDULES:
        for level in ("basic", "enhanced"):
            config = apply_level(RunConfig(), level, 64)
            ema = {"train.ema_decay": 0.9}
            config = with_values(config, {"optim.schedule": schedule, "checkpoint.dir": folder, **ema})
            found |= {type(one).__name__: one for one in chosen_for(config)}
    return found


def test_every_schedule_of_the_configuration_is_in_the_registry():
    assert set(SCHEDULES) == set(choices("optim.schedule"))


@pytest.mark.parametrize("name", sorted(set(FILES) - NOT_HERE))
def test_a_callback_is_used_and_goes_through_a_run(name, tmp_path, capsys):
    callback = all_chosen(str(tmp_path)).get(class_in(name).__name__)
    assert callback is not None, "no configuration chooses it"
    events = [event for event in vars(TrainerCallback) if event.startswith("on_")]
    assert any(getattr(type(callback), event) is not getattr(TrainerCallback, event) for event in events)
    control = go_through_a_run(callback, tmp_path)
    assert not control.should_training_stop and not control.should_skip_update
    if isinstance(callback, ExportableState):
        json.dumps(callback.state()["attributes"])
        assert all(hasattr(callback, attribute) for attribute in callback.state()["attributes"])


def go_through_a_run(callback: TrainerCallback, folder: Path) -> Control:
    """Two steps with every event, as the loop calls them."""
    model = debug_model()
    optimizer = torch.optim.AdamW([{"params": model.parameters(), "peak_lr": 1e-3}])
    handler = CallbackHandler([callback], model, GoyaProcessor(), optimizer, None)
    arguments = CallbackArguments(with_values(RunConfig(), {"checkpoint.dir": str(folder), "log.every_steps": 1}))
    state, control = TrainerState(max_steps=2, is_world_process_zero=True, logging_steps=1), Control()
    losses = dict.fromkeys(WEIGHTS, 1.0)

    def ask(event: str, **facts):
        nonlocal control
        control = handler.call_event(event, arguments, state, control, **facts)

    ask("on_train_begin")
    ask("on_epoch_begin")
    for step in (1, 2):
        ask("on_step_begin")
        ask("on_pre_optimizer_step", losses=losses, loss=1.0, grad_norm=1.0, suspects=lambda: ["a"])
        state.global_step = step
        ask("on_step_end", losses=losses, frames=10)
        handler.on_log(arguments, state, control, {"loss": 1.0, "loss/mel": 1.0})
        handler.on_evaluate(arguments, state, control, {"eval_mel": 1.0})
        state.best_metric = 1.0
    ask("on_save")
    ask("on_epoch_end")
    ask("on_train_end")
    return control


def test_judging_may_take_the_share_that_the_settings_say(tmp_path):
    config = with_values(RunConfig(), {"checkpoint.dir": str(tmp_path), "log.quality_share": 0.2})
    assert [one.most_share for one in chosen_for(config) if isinstance(one, QualityEval)] == [0.2]


def test_the_level_decides(tmp_path):
    def chosen(level: str, **values) -> list[TrainerCallback]:
        return chosen_for(with_values(apply_level(RunConfig(), level, 64), {"checkpoint.dir": str(tmp_path), **values}))

    def kinds(level: str, **values) -> list[str]:
        return [type(one).__name__ for one in chosen(level, **values)]

    def schedule(level: str) -> Callable:
        return next(one.schedule for one in chosen(level) if isinstance(one, RateSchedule))

    basic, enhanced = kinds("basic"), kinds("enhanced")
    assert (schedule("basic"), schedule("enhanced")) == (noam, cosine_restarts)
    assert "WeightSchedule" in basic and "EarlyStopping" not in basic
    assert "AdaptiveWeights" in enhanced and "EarlyStopping" in enhanced
    assert basic[0] == "DefaultFlowCallback" and basic[-2:] == ["Progress", "Tracking"]
    assert "AudioSamples" in basic and "AudioSamples" not in kinds("basic", **{"log.samples": 0})


@pytest.mark.parametrize(("listens", "metric", "minutes", "decides", "stretches"), [
    (True, "auto", None, True, False),  # a run of steps has to choose the same best whatever the clock says
    (True, "auto", 5.0, True, True),
    (True, "quality_cer", None, True, False),
    (True, "eval_mel", None, False, True),
    (False, "auto", None, False, True),
    (False, "eval_mel", 5.0, False, True),
])  # fmt: skip
def test_speech_decides_where_it_can_be_heard_and_may(listens, metric, minutes, decides, stretches):
    config = with_values(RunConfig(), {"train.best_metric": metric, "train.max_minutes": minutes})
    trainer = SimpleNamespace(config=config, arguments=CallbackArguments(config), eval_weights=None, trackers=None)
    judge = SimpleNamespace(listens=listens, sentences=["one"], recognized=0)
    [callback] = quality_eval(trainer, None, judge)
    assert (callback.decides, callback.stretches) == (decides, stretches)
    assert trainer.arguments.metric_for_best_model == ("eval_quality_cer" if decides else "eval_mel")


def test_speech_that_nobody_hears_cannot_be_asked_to_decide():
    config = with_values(RunConfig(), {"train.best_metric": "quality_cer"})
    judge = SimpleNamespace(listens=False, sentences=[], recognized=2)
    with pytest.raises(UserError, match="of the validation data 2 English sentences"):
        quality_eval(SimpleNamespace(config=config), None, judge)
    assert quality_eval(SimpleNamespace(config=RunConfig()), None, judge) == []

"""A command line as users of Hugging Face's scripts type it."""

import pytest

from data_pipeline.errors import UserError
from training.config import hf_flags
from training.config.arguments import build_parser, parse
from training.config.fields import FIELDS, coerce, get
from training.config.hardware import Hardware

GPU = Hardware("cuda", "A100", 79.0, 32, bf16=True)
OWN = build_parser()._option_string_actions


def parsed(*argv):
    return parse(["--train-data", "voices/mine", *argv], GPU)[0]


@pytest.mark.parametrize("dash", [False, True], ids=["underscores", "dashes"])
@pytest.mark.parametrize(
    ("words", "key", "value"),
    [
        ("--output_dir here", "checkpoint.dir", "here"),
        ("--learning_rate 3e-4", "optim.lr", 3e-4),
        ("--learning_rate=3e-4", "optim.lr", 3e-4),
        ("--per_device_train_batch_size 12", "train.batch_size", 12),
        ("--gradient_accumulation_steps 3", "train.grad_accum", 3),
        ("--num_train_epochs 7.0", "train.epochs", 7),
        ("--max_steps 90", "train.max_steps", 90),
        ("--report_to none", "log.tracker", "none"),
        ("--resume_from_checkpoint runs/a/checkpoints/step-00000500", "checkpoint.resume", None),
        ("--resume_from_checkpoint True", "checkpoint.resume", "auto"),
        ("--resume_from_checkpoint false", "checkpoint.resume", "none"),
        ("--hub_model_id ann/voice", "hub.push_to_hub", "ann/voice"),
        ("--push_to_hub ann/voice", "hub.push_to_hub", "ann/voice"),
        ("--push_to_hub --hub_model_id ann/voice", "hub.push_to_hub", "ann/voice"),
        ("--hub_model_id ann/voice --push_to_hub True", "hub.push_to_hub", "ann/voice"),
        ("--hub_model_id=ann/voice --hub_private_repo False", "hub.public", True),
        ("--seed 5", "train.seed", 5),
        ("--warmup_steps 20", "optim.warmup_steps", 20),
        ("--weight_decay 0.01", "optim.weight_decay", 0.01),
        ("--max_grad_norm 2", "optim.clip_norm", 2.0),
        ("--save_steps 60", "checkpoint.every_steps", 60),
        ("--save_total_limit 2", "checkpoint.keep", 2),
        ("--eval_steps 70", "train.eval_every", 70),
        ("--logging_steps 8", "log.every_steps", 8),
        ("--bf16", "train.mixed_precision", "bf16"),
        ("--fp16 True --seed 5", "train.mixed_precision", "fp16"),
        ("--dataloader_num_workers 4", "data.num_workers", 4),
        ("--train_data other", "data.train_data", "other"),
        ("--optimization_level basic", "train.level", "basic"),
        ("--overwrite_output_dir", "checkpoint.reset", True),
    ],
)
def test_it_is_understood(words, key, value, dash):
    argv = words.split()
    if dash:
        argv = ["=".join([word.partition("=")[0].replace("_", "-"), *word.split("=")[1:]]) if word.startswith("--")
                else word for word in argv]  # fmt: skip
    value = argv[1] if value is None else value
    assert get(parsed(*argv), key) == value


def test_theirs_and_ours_are_one_flag_of_which_the_last_counts():
    assert parsed("--lr", "1e-4", "--learning_rate", "2e-4").optim.lr == 2e-4
    assert parsed("--learning_rate", "2e-4", "--lr", "1e-4").optim.lr == 1e-4


def test_no_limit_of_steps_is_none():
    assert parsed("--max_steps", "-1").train.max_steps is None


@pytest.mark.parametrize(
    ("words", "told"),
    [
        ("--lr_scheduler_type cosine", "optim.schedule"),
        ("--hub_token hf_abc", "HF_TOKEN"),
        ("--eval-strategy steps", "train.eval_every"),
        ("--push_to_hub", "--push-to-hub OWNER/NAME"),
        ("--push_to_hub False --hub_model_id a/b", "leave out one"),
        ("--weight_decay", "has no value"),
        ("--warmup_steps many", "optim.warmup_steps"),
        ("--learning_rates 1", "--learning-rate"),
    ],
)
def test_what_is_not_taken_is_answered(words, told):
    with pytest.raises(UserError) as error:
        parsed(*words.split())
    assert told in str(error.value)


def test_every_counterpart_exists():
    assert set(hf_flags.FLAG.values()) <= set(OWN)
    assert set(hf_flags.SETTING.values()) <= set(FIELDS)
    spelled = [word for on_off in hf_flags.SWITCH.values() for words in on_off for word in words]
    assert {word for word in spelled if word.startswith("--")} <= set(OWN)
    for word in spelled:
        key, equals, value = word.partition("=")
        assert not equals or coerce(key, value, "switch") is not None
    assert not set(OWN) & (set(hf_flags.FLAG) | set(hf_flags.SETTING) | set(hf_flags.ANSWER))

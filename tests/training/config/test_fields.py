"""Typed fields, their ranges, and the way to a file and back."""

import dataclasses
import re

import pytest

from data_pipeline.errors import UserError
from training.config.arguments import parse
from training.config.fields import FIELDS, RENAMED, RunConfig, choices, coerce, get, with_values

CHANGED = {
    "data.train_data": "صدا/فارسی",
    "model.frames_per_step": 3,
    "optim.lr": 5e-5,
    "optim.betas": (0.9, 0.95),
    "train.max_minutes": 7.5,
    "train.mixed_precision": "no",
    "train.debug": True,
    "loss.alignment_weight_start": None,
}


@pytest.mark.parametrize("suffix", ["json", "yaml", "yml"])
def test_a_saved_config_reads_back_equal(tmp_path, suffix):
    config = with_values(RunConfig(), CHANGED)
    config.save(tmp_path / f"run.{suffix}")  # JSON is YAML too
    assert RunConfig.load(tmp_path / f"run.{suffix}") == config


def test_to_dict_is_plain_and_complete():
    plain = RunConfig().to_dict()
    assert [f"{section}.{leaf}" for section in plain for leaf in plain[section]] == list(FIELDS)
    assert plain["optim"]["betas"] == [0.9, 0.98]


def test_a_config_cannot_be_changed_in_place():
    with pytest.raises(dataclasses.FrozenInstanceError):
        RunConfig().optim.lr = 1.0


def test_with_values_leaves_the_original_alone():
    before = RunConfig()
    after = with_values(before, {"optim.lr": 0.5, "loss.kl_weight": 3.0})
    assert (after.optim.lr, after.loss.kl_weight) == (0.5, 3.0)
    assert before == RunConfig()


@pytest.mark.parametrize(
    ("key", "text", "value"),
    [
        ("optim.lr", "5e-5", 5e-5),
        ("train.max_steps", "1e4", 10_000),
        ("train.max_steps", "none", None),
        ("train.debug", "off", False),
        ("optim.betas", "0.8,0.9", (0.8, 0.9)),
        ("train.mixed_precision", False, "no"),  # what YAML makes of a bare `no`
        ("checkpoint.resume", "none", "none"),
        ("data.text_column", "12", "12"),
    ],
)
def test_text_becomes_the_type_of_the_field(key, text, value):
    found = coerce(key, text, "test")
    assert found == value
    assert type(found) is type(value)


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("optim.lr", 0), ("optim.lr", "-1e-4"), ("optim.lr", "nan"), ("optim.lr", "inf"),
        ("optim.lr", "fast"), ("optim.lr", None), ("optim.betas", "0.9"), ("optim.betas", "0.9,1.0"),
        ("train.batch_size", 0), ("train.batch_size", 2.5), ("train.batch_size", True),
        ("train.batch_size", "inf"),
        ("train.max_steps", 0), ("train.max_minutes", 0), ("train.seed", -1), ("train.debug", "perhaps"),
        ("data.val_fraction", 1), ("data.num_workers", -1), ("data.text_column", 3), ("model.size", "huge"),
        ("data.train_data", ""), ("checkpoint.dir", " "),
    ],
)  # fmt: skip
def test_what_does_not_fit_names_key_value_and_source(key, value):
    with pytest.raises(UserError) as error:
        coerce(key, value, "flag --x")
    message = str(error.value)
    assert key in message and str(value) in message and "flag --x" in message and "expected" in message


def test_bounds_themselves_are_let_in():
    assert coerce("data.max_broken_share", 1, "test") == 1.0
    assert coerce("data.num_workers", 0, "test") == 0


@pytest.mark.parametrize(
    ("key", "suggestion"),
    [("loss.kl_weigth", "loss.kl_weight"), ("lr", "optim.lr"), ("train.batchsize", "train.batch_size")],
)
def test_an_unknown_key_names_the_nearest(key, suggestion):
    with pytest.raises(UserError, match=f"Did you mean {suggestion}"):
        coerce(key, "1", "--set")


def test_every_default_is_inside_its_own_range():
    for key in FIELDS:
        value = get(RunConfig(), key)
        assert coerce(key, value, "default") == value


def test_choices_match_what_they_name():
    from data_pipeline.recordings.audio import PRESETS
    from modeling.configuration import SIZES
    from training.config.levels import LEVELS

    assert set(choices("audio.preset")) == set(PRESETS)
    assert choices("model.size") == tuple(SIZES)
    assert choices("train.level") == tuple(LEVELS)


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("run.json", "{", "cannot be read"),
        ("run.yaml", "optim: [", "cannot be read"),
        ("run.yaml", "just words", "holds no settings"),
        ("run.toml", "", "expected .json, .yaml or .yml"),
        ("run.yaml", "optim:\n  learning_rat: 1", "There is no setting 'optim.learning_rat'"),
        ("run.yaml", "optim:\n  lr: -1", "optim.lr is -1"),
        ("run.yaml", b"\xff\xfe\xff", "cannot be read"),
    ],
)
def test_a_bad_file_is_named(tmp_path, name, content, message):
    path = tmp_path / name
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    with pytest.raises(UserError, match=message) as error:
        RunConfig.load(path)
    assert name in str(error.value)


def test_a_missing_file_is_named(tmp_path):
    with pytest.raises(UserError, match="There is no config file .*gone.yaml"):
        RunConfig.load(tmp_path / "gone.yaml")


def test_an_emptied_section_of_a_yaml_file_counts_as_absent(tmp_path):
    (tmp_path / "run.yaml").write_text("optim:\n#  lr: 1\ntrain:\n  seed: 7\n")
    assert RunConfig.load(tmp_path / "run.yaml") == with_values(RunConfig(), {"train.seed": 7})


NUMBERS = (int, float, int | None, float | None)


@pytest.mark.parametrize("key", [key for key, (_, hint) in FIELDS.items() if hint in NUMBERS])
def test_every_number_has_two_ends(key):
    """What a type can hold is not what a clock, a tensor or an allocation can."""
    for value in ("1" + "0" * 39, "-1" + "0" * 39, "1e300", "-1e300", str(10**400), "nan", "inf", "9" * 5000):
        with pytest.raises(UserError, match=re.escape(key)) as error:
            coerce(key, value, "flag")
        assert "expected" in str(error.value) and len(str(error.value)) < 600


def test_times_end_where_a_clock_does():
    for key in ("data.stall_minutes", "train.max_minutes", "log.samples_every_minutes", "hub.wait_minutes"):
        with pytest.raises(UserError, match=re.escape(key)):
            coerce(key, "1e13", "flag")


BOMB = "a: &a [x, x]\n" + "".join(f"{chr(at + 1)}: &{chr(at + 1)} [*{chr(at)}, *{chr(at)}]\n" for at in range(97, 110))
FILES = {
    "aliases.yaml": (BOMB.encode(), "line 2 repeats another by an alias"),
    "deep.yaml": (b"a: " + b"[" * 10_000, "nested deeper than 10 levels"),
    "deep.json": (b'{"a":' * 10_000, "cannot be read"),
    "nul.yaml": (b"optim:\n  lr: 1\0", "it holds NUL bytes"),
    "latin.yaml": ("data:\n  language: français".encode("latin-1"), "it is not UTF-8"),
    "digits.json": (b"1" * 6000, "cannot be read"),
    "date.yaml": (b"optim: 2026-99-99", "cannot be read"),
    "large.yaml": (b"x" * 2**21, "more than 1 MB"),
    "key.yaml": (b"? [1, 2]\n: 3", "cannot be read"),
    "code.yaml": (b"optim: !!python/object:os.system x", "cannot be read"),
    "number.yaml": (b"7", "holds no settings"),
}


@pytest.mark.parametrize("name", FILES)
def test_a_config_file_that_is_none_is_one_message(tmp_path, name):
    content, message = FILES[name]
    (tmp_path / name).write_bytes(content)
    with pytest.raises(UserError, match=message) as error:
        RunConfig.load(tmp_path / name)
    assert name in str(error.value) and len(str(error.value)) < 1000


def test_a_config_file_that_cannot_be_there():
    with pytest.raises(UserError, match="There is no config file"):
        RunConfig.load("x" * 5000 + ".yaml")


def test_a_byte_order_mark_is_no_setting(tmp_path):
    (tmp_path / "c.yaml").write_bytes(b"\xef\xbb\xbfoptim:\n  lr: 1e-4\n")
    assert RunConfig.load(tmp_path / "c.yaml").optim.lr == 1e-4


def test_a_setting_is_known_by_the_name_that_it_had_before(tmp_path):
    path = tmp_path / "old.yaml"
    path.write_text("data:\n  made_voices: 3\nhub.data_licence: cc0-1.0\n", encoding="utf-8")
    config = RunConfig.load(path)
    assert (config.data.speaker_augmentation, config.hub.data_license) == (3, "cc0-1.0")
    assert not RENAMED.keys() & FIELDS.keys() and set(RENAMED.values()) <= FIELDS.keys()
    given, *_ = parse(["--device", "cpu", "--set", "hub.data_licence=mit"])
    assert given.hub.data_license == "mit"

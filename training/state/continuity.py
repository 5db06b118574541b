"""What a run's checkpoint was made under, what has changed since, and what that means for going on.

Nothing: bit-equal. Settings that shape batches, or rows that came or went: the epoch under way is planned anew, past
the rows that were trained on. Other settings are used as they are now. All of it is said. What makes it another run is
refused.
"""

from dataclasses import dataclass
from hashlib import blake2b
from pathlib import Path

from accelerate import Accelerator

from data_pipeline.errors import UserError, redact, redacted
from data_pipeline.reading.fingerprint import fingerprint, is_another_corpus
from training.config.fields import FIELDS, RENAMED, Provenance, RunConfig, get
from training.distributed.collectives import as_main_has
from training.setup.inputs import Inputs

# A checkpoint of other values heard or read its data otherwise, has other weights, or held out other rows.
OF_ANOTHER_RUN = ("audio.preset", "data.text_units", "fine_tune.lora_rank", "data.val_fraction")
# The batches of an epoch depend on these, on the exclude list and on the corpus.
SHAPING = (
    "train.batch_size", "train.seed", "train.length_curriculum", "train.curriculum_rows", "data.max_batch_frames",
    "data.min_duration_s", "data.max_duration_s", "data.max_text_chars", "data.pool_batches", "data.shuffle_buffer",
    "data.speaker_balance",
)  # fmt: skip
# They say where things go and come from, which is said or checked by itself.
UNSAID = ("checkpoint.", "log.", "hub.", "data.train_data", "data.check_", "fine_tune.init_from", "train.debug")

CALLBACKS = "train.callbacks"  # of which those that are not given any more are said one by one


@dataclass(frozen=True)
class Changes:
    """Since a checkpoint: of settings in words, whether the epoch under way has to be planned anew, and the callbacks
    that were named then and are not now."""

    said: list[str]
    shaping: bool
    lost_callbacks: list[str]


def of_run(config: RunConfig, inputs: Inputs, accelerator: Accelerator) -> dict:
    """What a checkpoint keeps of what its place in the data means. Call it on every rank."""
    corpus = None
    if accelerator.is_main_process:
        with inputs.train.watchdog.waiting(lambda: "its first rows"):
            corpus = fingerprint(inputs.train.plan.source)
    return {
        "corpus": as_main_has(accelerator, corpus),
        "exclude": _digest(inputs.train.plan.exclude),
        "ranks": accelerator.num_processes,
    }


def changes_since(
    saved: dict, config: RunConfig, provenance: Provenance, now: dict, inputs: Inputs, accelerator: Accelerator
) -> Changes:
    """Raises UserError where the checkpoint `saved` is another run's. `now`: what `of_run` says. On every rank."""
    before = saved["config"]
    _check_settings(config, before)
    was = saved.get("of_run", {})
    has_other_rows = was.get("corpus", now["corpus"]) != now["corpus"]
    if has_other_rows:
        _check_corpus(config, was["corpus"], now["corpus"], inputs, accelerator)
    has_other_list = was.get("exclude", now["exclude"]) != now["exclude"]
    other = {key: value for key in FIELDS if (value := _was(before, key)) != _is(config, key)}
    lost = [name for name in before.get("train", {}).get("callbacks", {}) if name not in config.train.callbacks]
    said = [
        f"{key}: {'none' if value is None else value} -> {_is(config, key)} ({provenance[key]})"
        for key, value in other.items()
        if value != MISSING and not key.startswith(UNSAID) and not (key == CALLBACKS and lost)
    ]
    said += ["rows of the corpus were added, removed or changed"] if has_other_rows else []
    said += ["the exclude list names other rows"] if has_other_list else []
    if was.get("ranks", now["ranks"]) != now["ranks"]:
        said.append(f"processes: {was['ranks']} -> {now['ranks']}")
    is_shaping = any(other.get(key, MISSING) != MISSING for key in SHAPING)
    return Changes([redact(line) for line in said], is_shaping or has_other_rows or has_other_list, lost)


MISSING = "(a checkpoint of an earlier version does not say)"


def _was(before: dict, key: str):
    for one in (key, *(old for old, new in RENAMED.items() if new == key)):
        section, name = one.split(".")
        if name in before.get(section, {}):
            return before[section][name]
    return MISSING


def _is(config: RunConfig, key: str):
    """As a checkpoint's JSON has it."""
    value = get(config, key)
    return redacted(list(value) if isinstance(value, tuple) else value)


def _digest(names: frozenset[str]) -> str:
    return blake2b("\n".join(sorted(names)).encode("utf-8", "surrogatepass"), digest_size=8).hexdigest()


def _choice(config: RunConfig) -> str:
    return (
        "another --checkpoint-dir for a run of its own, --reset-training to move the old one aside and start over, or "
        f"another --checkpoint-dir with --init-from {config.checkpoint.dir} to start from what it has learned"
    )


def _check_settings(config: RunConfig, before: dict) -> None:
    for key in OF_ANOTHER_RUN:
        was, now = _was(before, key), _is(config, key)
        if was not in (now, MISSING):
            raise UserError(
                f"The run in {config.checkpoint.dir} was trained with {key}={was}, and this command says "
                f"{now}; give --set {key}={was} to go on with it; {_choice(config)}."
            )
    was, now = _was(before, "fine_tune.init_from"), redacted(config.fine_tune.init_from)
    if was in (now, MISSING) or (None not in (was, now) and Path(was).resolve() == Path(now).resolve()):
        return
    did, does = (f"started from {start}" if start else "started from no other model" for start in (was, now))
    raise UserError(
        f"The run in {config.checkpoint.dir} {did}, and this command {does.replace('started', 'starts')}; "
        f"{f'give --init-from {was}' if was else 'leave --init-from out'} to go on with it, or give another "
        "--checkpoint-dir."
    )


def _check_corpus(config: RunConfig, before: dict, here: dict, inputs: Inputs, accelerator: Accelerator) -> None:
    """Raises UserError where the corpus is not one that rows were added to, removed from or changed in."""
    is_another = None
    if accelerator.is_main_process:
        with inputs.train.watchdog.waiting(lambda: "its rows"):
            is_another = is_another_corpus(before, here, inputs.train.plan.source)
    if as_main_has(accelerator, is_another):
        raise UserError(
            f"The run in {config.checkpoint.dir} was trained on another corpus than {redact(config.data.train_data)}: "
            f"most of the rows it began with are not there. Give that corpus to go on with it; {_choice(config)}."
        )

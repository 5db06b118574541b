"""From what the user gave to the whole configuration, with the reason for each value.

    defaults < corpus < the model it starts from < hardware < level < fast convergence < debug < fit to the run's length
    < file < flags < --set

What was given explicitly is laid first and every layer leaves it alone. The result is the same as laying it
last, and the layers can depend on it: the level's rate on the size, the hardware's batch on the device.
"""

import json
import re
from collections.abc import Sequence
from datetime import timedelta
from pathlib import PurePath

from data_pipeline.errors import UserError, redact
from data_pipeline.languages import language_code
from data_pipeline.phonemes import espeak
from data_pipeline.phonemes.registry import PHONEMIZERS
from data_pipeline.reading.held_out import FEWEST_ROWS
from data_pipeline.recordings import speaker_augmentation
from training.config.described import shown, words
from training.config.fields import FIELDS, Layer, Provenance, RunConfig, apply_layer, get, is_user_set
from training.config.hardware import Hardware, check_precision, defaults_for, detect
from training.config.levels import fast_convergence_layer, level_layer, run_length_layer, width_of
from training.setup.best_metric import best_metric_layer, check_best_metric

DEMO_MINUTES = {"cpu": 15.0, "mps": 15.0, "cuda": 2.0}  # of training on the embedded demo corpus
# Of training on a corpus of the user's own where no end is given. On two cores eight times what the demo corpus takes
# until its speech is understood; on a GPU a night. From a trained voice, which speaks already, a quarter of it.
OWN_MINUTES = {"cpu": 120.0, "mps": 120.0, "cuda": 480.0}
FINE_TUNE_SHARE = 0.25
DEMO, DEBUG_STEPS = "demo_corpus", 40
LENGTH_KEYS = ("train.epochs", "train.max_steps", "train.max_minutes")

State = tuple[RunConfig, Provenance]


def resolve(user_set: Layer, hardware: Hardware | None = None) -> State:
    """The configuration and, for each dotted key, where its value came from.

    `user_set` holds the typed values of file, flags and --set, later over earlier. `hardware`: None asks the
    machine. Raises UserError where values do not go together.
    """
    if "optim.lr" in user_set and "optim.lr_vector" not in user_set:
        user_set = user_set | {"optim.lr_vector": user_set["optim.lr"]}  # one explicit rate is for everything
    if user_set.get("data.train_data", ("", ""))[0] is None:
        user_set = {key: value for key, value in user_set.items() if key != "data.train_data"}
    state = apply_layer(RunConfig(), dict.fromkeys(FIELDS, "default"), user_set)
    hardware = hardware or detect(state[0].train.device)

    state = _lay(state, _corpus_layer(*state, hardware))
    state = _lay(state, _text_layer(state[0]))
    if state[0].train.debug:
        state = _lay(state, _debug_start(state[1]))
    state = _lay(state, _start_layer(state, hardware))
    state = _lay(state, _fast_layer(*state))
    state = _lay(state, _end_layer(*state, hardware))
    if state[0].fine_tune.init_from is not None:
        from training.setup.init_from import init_from_layer

        state = _lay(state, _folder_layer(*state))  # which may hold the run already
        state = _lay(state, init_from_layer(*state))
    size = None if state[1]["model.size"] == "default" else state[0].model.size
    state = _lay(state, defaults_for(hardware, size))
    state = _lay(state, level_layer(state[0].train.level, width_of(state[0].model.size)))
    if state[0].train.fast_convergence:
        state = _lay(state, fast_convergence_layer(*state))
    if state[0].train.debug:
        state = _lay(state, _debug_layer(*state))
    if state[0].train.max_steps is not None:
        state = _lay(state, run_length_layer(*state, state[0].train.max_steps))
    if state[0].train.max_minutes is not None:
        state = _lay(state, _to_be_fitted(*state))
    state = _lay(state, best_metric_layer(state[0]))
    state = _lay(state, _folder_layer(*state))
    check(*state, hardware)
    return state


def _lay(state: State, layer: Layer) -> State:
    config, provenance = state
    return apply_layer(config, provenance, {k: v for k, v in layer.items() if not is_user_set(provenance, k)})


def _corpus_layer(config: RunConfig, provenance: Provenance, hardware: Hardware) -> Layer:
    """The default corpus, and what its embedded kind asks for: a short run of a small model."""
    if config.data.train_data is not None:
        return {}
    from data_pipeline.reading.sources import default_train_data

    where, reason = default_train_data()
    layer: Layer = {"data.train_data": (where, reason)}
    if PurePath(where).name != DEMO:
        return layer
    layer["model.size"] = ("tiny", "embedded demo corpus")
    if config.train.debug:
        return layer
    layer["log.quality_every"] = (250, "embedded demo corpus: a short run")
    if not any(is_user_set(provenance, key) for key in LENGTH_KEYS):
        layer["train.max_minutes"] = (DEMO_MINUTES[hardware.kind], f"embedded demo corpus, on {hardware.name}")
    return layer


def _fast_layer(config: RunConfig, provenance: Provenance) -> Layer:
    """A model of the default corpus that starts from nothing has to be heard soon."""
    is_demo = not is_user_set(provenance, "data.train_data") and PurePath(config.data.train_data).name == DEMO
    from_nothing = config.fine_tune.init_from is None and not is_user_set(provenance, "optim.lr")
    if config.train.debug or not (is_demo and from_nothing):
        return {}
    too_low = "the level's rate at this width is too low to be heard in a quarter of an hour"
    return {"train.fast_convergence": (True, f"embedded demo corpus, from nothing: {too_low}")}


def _text_layer(config: RunConfig) -> Layer:
    """Phonemes in the languages that have them; a corpus that is wholly of another is read by its letters."""
    language, those = config.data.language, ", ".join(PHONEMIZERS)
    if language is None:
        return {"data.text_units": ("phonemes", f"in {those}; rows of another language or of none, by their letters")}
    if language_code(language) in PHONEMIZERS:
        return {"data.text_units": ("phonemes", f"{language} has them; other languages, by their letters")}
    return {"data.text_units": ("characters", f"{language} has no phonemes here, {those} have; see docs/data.md")}


def _end_layer(config: RunConfig, provenance: Provenance, hardware: Hardware) -> Layer:
    """An end in time where none was given: a level's epochs alone are minutes or months, by the size of the corpus."""
    is_settled = config.train.debug or config.train.max_minutes is not None
    if is_settled or any(is_user_set(provenance, key) for key in LENGTH_KEYS):
        return {}
    minutes, what = OWN_MINUTES[hardware.kind], f"default on {hardware.name}"
    if config.fine_tune.init_from is not None:
        minutes, what = minutes * FINE_TUNE_SHARE, f"{what}, from a trained voice"
    return {"train.max_minutes": (minutes, f"{what}; another end: --max-minutes, --max-steps or --epochs")}


def _start_layer(state: State, hardware: Hardware) -> Layer:
    """Where it starts, if it was not said."""
    if state[0].train.debug or is_user_set(state[1], "fine_tune.init_from"):
        return {}
    from training.setup.init_from import default_start_layer

    if state[1]["model.size"] == "default":
        state = _lay(state, {"model.size": defaults_for(hardware)["model.size"]})
    state = _lay(state, _folder_layer(*state))
    return default_start_layer(*state, state[0].model.size)


def _debug_start(provenance: Provenance) -> Layer:
    layer: Layer = {"model.size": ("debug", "debug run")}
    goes_on = is_user_set(provenance, "checkpoint.resume") or is_user_set(provenance, "hub.resume_from_hub")
    if not goes_on:
        layer["checkpoint.reset"] = (True, "debug run")  # a finished debug run would leave nothing to do
    return layer


def _debug_layer(config: RunConfig, provenance: Provenance) -> Layer:
    """About half a minute through every part: one evaluation, one checkpoint and one sample, at the end."""
    steps = config.train.max_steps if is_user_set(provenance, "train.max_steps") else DEBUG_STEPS
    values = {
        "train.max_steps": steps,
        "train.eval_every": steps,
        "train.eval_every_share": None,
        "checkpoint.every_steps": steps,
        "train.batch_size": 4,
        "train.grad_accum": 2,
        "data.num_workers": 0,  # so that a debugger sees the data code too
        "data.pool_batches": 4,
        "log.every_steps": 1,
        "log.samples": 1,
        "log.quality_sentences": 0,  # it does not speak
    }
    return {key: (value, "debug run") for key, value in values.items()}


def _to_be_fitted(config: RunConfig, provenance: Provenance) -> Layer:
    """The same values, with the word that the loop fits them once it knows how fast it is."""
    keys = ["optim.warmup_steps"]
    if config.optim.schedule == "cosine_restarts":
        keys.append("optim.first_period_steps")
    later = f"to be fitted to {config.train.max_minutes:g} minutes"
    return {key: (get(config, key), f"{provenance[key]}; {later}") for key in keys}


def _folder_layer(config: RunConfig, provenance: Provenance) -> Layer:
    """A folder for each corpus, size or start, and level, so that automatic resume finds the run it belongs to."""
    if config.train.debug:
        return {"checkpoint.dir": ("runs/debug", "debug run")}
    corpus, start = _plain_name(PurePath(redact(config.data.train_data)).stem), config.fine_tune.init_from
    if start is not None and is_user_set(provenance, "fine_tune.init_from"):
        parts = [part for part in PurePath(redact(start)).parts if part not in ("best", "checkpoints")]
        name = f"runs/{corpus}_from_{_plain_name('_'.join(parts[-1:]))}_{config.train.level}"
        return {"checkpoint.dir": (name, "named after corpus, start and level")}
    name = f"runs/{corpus}_{config.model.size}_{config.train.level}"
    return {"checkpoint.dir": (name, "named after corpus, size and level")}


def _plain_name(text: str) -> str:
    return re.sub(r"[^\w.-]+", "_", text) or "data"


def check(config: RunConfig, provenance: Provenance, hardware: Hardware) -> None:
    """Raises UserError where two values do not go together. Single values are checked as they are read."""
    data, why = config.data, provenance
    if data.min_duration_s >= data.max_duration_s:
        raise UserError(
            f"data.min_duration_s is {data.min_duration_s:g} ({why['data.min_duration_s']}) and "
            f"data.max_duration_s is {data.max_duration_s:g} ({why['data.max_duration_s']}), which leaves no "
            "utterance; expected the first to be below the second."
        )
    for key in ("data.reference_s", "loss.adaptive_bounds"):
        low, high = get(config, key)
        if low > high:
            raise UserError(f"{key} is {low:g},{high:g} ({why[key]}); expected the lower one first.")
    check_best_metric(config, why["train.best_metric"])
    _check_hub(config, why)
    _check_text_units(config, why)
    if config.fine_tune.lora_rank is not None:
        if config.fine_tune.init_from is None:
            raise UserError(
                f"fine_tune.lora_rank is {config.fine_tune.lora_rank} ({why['fine_tune.lora_rank']}), and there is no "
                "--init-from: adapters are for a model that is trained. Give it, or leave --lora-rank out."
            )
        from training.setup.lora import require

        require()
    if data.speaker_augmentation:
        speaker_augmentation.require()
    check_precision(config.train.mixed_precision, hardware, why["train.mixed_precision"])
    from data_pipeline.recordings.audio import PRESETS

    frames_per_s = PRESETS[config.audio.preset].frames_per_s
    longest = round(data.max_duration_s * frames_per_s)
    if longest > data.max_batch_frames:
        raise UserError(
            f"data.max_batch_frames is {data.max_batch_frames} ({why['data.max_batch_frames']}) and the "
            f"longest utterance let in has {longest} frames (data.max_duration_s is {data.max_duration_s:g}, "
            f"{why['data.max_duration_s']}); give --max-batch-frames {longest} or more, or --set "
            f"data.max_duration_s={int(data.max_batch_frames / frames_per_s)}."
        )


def _check_text_units(config: RunConfig, why: Provenance) -> None:
    data = config.data
    if data.text_units == "espeak":
        espeak.require()
    if data.text_units == "phonemes" and is_user_set(why, "data.text_units") and data.language is not None:
        if language_code(data.language) not in PHONEMIZERS:
            raise UserError(
                f"data.text_units is phonemes ({why['data.text_units']}), and {data.language!r} "
                f"({why['data.language']}) is none of the languages that have them: {', '.join(PHONEMIZERS)}. Give "
                '--set data.text_units=espeak (pip install -e ".[espeak]"; GPL-3), or leave it out to read its letters.'
            )


def _check_hub(config: RunConfig, why: Provenance) -> None:
    hub = config.hub
    if hub.public and hub.push_to_hub is None:
        raise UserError(f"hub.public is on ({why['hub.public']}), and nothing is pushed; give --push-to-hub too.")
    if hub.resume_from_hub is None:
        return
    for key, other in (("checkpoint.reset", config.checkpoint.reset), ("checkpoint.resume", config.checkpoint.resume)):
        if other not in (False, "auto"):
            raise UserError(
                f"hub.resume_from_hub is {hub.resume_from_hub} ({why['hub.resume_from_hub']}) and {key} is {other} "
                f"({why[key]}), which start the run from different places; leave one of them out."
            )


TABLE = {
    "corpus": "data.train_data",
    "held out": "data.val_data",
    "starts from": "fine_tune.init_from",
    "frozen": "fine_tune.freeze",
    "rank of adapters": "fine_tune.lora_rank",
    "text is read as": "data.text_units",
    "model size": "model.size",
    "device": "train.device",
    "precision": "train.mixed_precision",
    "level": "train.level",
    "fast convergence": "train.fast_convergence",
    "utterances per batch": "train.batch_size",
    "batches per step": "train.grad_accum",
    "frames per batch": "data.max_batch_frames",
    "loading processes": "data.num_workers",
    "threads": "train.cpu_threads",
    "epochs, at most": "train.epochs",
    "steps, at most": "train.max_steps",
    "minutes, at most": "train.max_minutes",
    "learning rate, matrices": "optim.lr",
    "learning rate, vectors": "optim.lr_vector",
    "warm-up steps": "optim.warmup_steps",
    "schedule": "optim.schedule",
    "first period, steps": "optim.first_period_steps",
    "best checkpoint by": "train.best_metric",
    "run folder": "checkpoint.dir",
    "tracker": "log.tracker",
    "pushed to": "hub.push_to_hub",
    "goes on from": "hub.resume_from_hub",
}


def table(config: RunConfig, provenance: Provenance) -> str:
    """What will run and why, a row a line: the rows of TABLE, then whatever else was given explicitly."""
    keys = TABLE | {key: key for key in FIELDS if is_user_set(provenance, key) and key not in TABLE.values()}
    rows = [("what", "value", "why")]
    for label, key in keys.items():
        value, reason = get(config, key), provenance[key]
        if key == "data.val_data" and value is None:
            value = "the corpus's own part"
            share = f"{config.data.val_fraction:.1%} (or {FEWEST_ROWS} rows, where that is more)"
            reason = f"no --val-data; where it has none, {share} by a hash of the id"
        unused = key == "optim.first_period_steps" and config.optim.schedule != "cosine_restarts"
        if value is not None and not unused:
            rows.append((label, shown(value), reason))
        if key == LENGTH_KEYS[-1]:
            rows.append(("time it takes", *_time_it_takes(config)))
    return redact("\n".join(aligned(rows)))


def _time_it_takes(config: RunConfig) -> tuple[str, str]:
    """What is known of it before the first step, and why."""
    train = config.train
    sooner = [f"{train.max_steps} steps" if train.max_steps else "", f"{train.epochs} epochs"]
    sooner += ["or where validation stands still"] if train.early_stopping else []
    sooner = f"sooner after {', '.join(filter(None, sooner))}"
    if train.max_minutes is None:
        return "told soon", f"the steps' pace tells, which is shown as they go; {sooner}"
    return f"{timedelta(minutes=train.max_minutes)} at most", sooner


def as_yaml(config: RunConfig, provenance: Provenance) -> str:
    """Every value with its reason as a comment, below what it means; --config reads it back, but for secrets, which
    are left out."""
    rows, section = [], None
    for key in FIELDS:
        name, leaf = key.split(".")
        if name != section:
            section = name
            rows.append((f"{name}:", ""))
        value = json.dumps(get(config, key), ensure_ascii=False)
        rows.append((f"  # {words(key)}", ""))
        rows.append((f"  {leaf}: {value}", f"# {provenance[key]}"))
    width = min(60, max(len(text) for text, _ in rows))
    return redact("\n".join(f"{text:<{width}}  {reason}".rstrip() for text, reason in rows))


def aligned(rows: Sequence[Sequence[str]]) -> list[str]:
    """A line for each row, its cells in columns."""
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    return ["  ".join(f"{cell:<{width}}" for cell, width in zip(row, widths, strict=True)).rstrip() for row in rows]

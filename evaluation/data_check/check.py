"""The check of a corpus: train_main.py --check-data, and the lines at the start of a run."""

import os
import time
from collections import Counter
from pathlib import Path

from data_pipeline.commands import command
from data_pipeline.errors import UserError, redact, shown
from data_pipeline.reading.exclude_list import told_unknown, write_exclude_list
from data_pipeline.reading.sources import default_train_data
from data_pipeline.recordings.audio import PRESETS
from data_pipeline.text.tokens import Vocabulary
from evaluation.data_check.alignment import score_alignment
from evaluation.data_check.findings import KINDS, findings, to_drop
from evaluation.data_check.page import clips_of, page
from evaluation.data_check.report import Report, as_text, hours, too_little
from evaluation.data_check.survey import Survey, Surveyor, whole_survey
from inference.pretrained import load_description, model_folder
from training.config.arguments import KEYS
from training.config.fields import FIELDS, Provenance, RunConfig, get, is_user_set
from training.setup.init_from import new_config
from training.setup.inputs import Inputs, build_inputs

PAGE, EXCLUDE_LIST = "index.html", "exclude.tsv"
IN_RUN_FOLDER = "run"  # the value of data.check_data where --check-data names no folder
# Of the lines at the start of a run, which it may not slow down.
BRIEF_READ_S, BRIEF_DECODE_S, BRIEF_DECODED = 1.0, 0.5, 40
NOT_IN_COMMAND = ("data.train_data", "data.check_data", "data.exclude_list")


def check_data(config: RunConfig, provenance: Provenance, device: str) -> None:
    """Look at the corpus, print what was found, and write the page and the list of rows to leave out.

    Raises UserError where the corpus or the model of --init-from cannot be read, or the folder cannot be written to.
    """
    folder = _folder(config)
    surveyor = Surveyor(_inputs(config), config.data.check_rows, config.train.seed)
    survey = whole_survey(surveyor)
    model = config.fine_tune.init_from
    if model is not None:
        score_alignment(surveyor, survey, model, device)
    report = made(config, surveyor, survey, model)
    print(redact(as_text(report)), flush=True)
    document = page(report, clips_of(surveyor, report.found))
    try:
        (folder / PAGE).write_text(redact(document), encoding="utf-8")
        write_exclude_list(folder / EXCLUDE_LIST, report.dropped)
    except OSError as error:
        raise _unwritable(folder, error) from error
    print(redact(f"\nTo see and hear it: {folder / PAGE}\n{_next_step(config, provenance, report, folder)}"))
    if survey.rows and not survey.used():
        reasons = Counter(row.left_out or KINDS[row.broken[0]].title for row in survey.rows)
        listed = "; ".join(f"{count} {reason}" for reason, count in reasons.most_common())
        raise UserError(f"No row is left to train on, of {len(survey.rows)}: {listed}.")


def made(config: RunConfig, surveyor: Surveyor, survey: Survey, model: str | None) -> Report:
    """The findings of a survey, with what is to be told beside them."""
    found = findings(survey)
    dropped, unlisted = to_drop(found, survey)
    unknown = sorted(surveyor.exclude - survey.excluded) if survey.whole else []
    described = "; ".join(f"{split}: {source.describe()}" for split, source in surveyor.sources.items())
    rate_hz = PRESETS[config.audio.preset].sample_rate_hz
    seed, exclude_list = config.train.seed, config.data.exclude_list
    return Report(described, seed, survey, found, dropped, unlisted, unknown, exclude_list, rate_hz, model)


def brief(config: RunConfig, provenance: Provenance, inputs: Inputs) -> str:
    """A few lines on the corpus out of what can be read and decoded in a second or two."""
    surveyor, survey = Surveyor(inputs, BRIEF_DECODED, config.train.seed, quick=True), Survey()
    surveyor.look(survey, time.monotonic() + BRIEF_READ_S)
    if not surveyor.is_streamed:
        surveyor.decode_sample(survey, time.monotonic() + BRIEF_DECODE_S)
    report = made(config, surveyor, survey, None)
    used = survey.used()
    read = f"{len(survey.rows)} rows" if survey.whole else f"the first {len(survey.rows)} rows, read in a second"
    speakers, languages = ({getattr(row, name) for row in used} - {None} for name in ("speaker", "language"))
    lines = [
        f"Data: {read}, {hours(used):.2f} hours to use, speakers: {len(speakers) or 'not named'}, languages: "
        f"{shown(', '.join(sorted(languages))) or 'not said (--language)'}. {survey.decoded} recordings were decoded."
    ]
    lines += filter(None, [too_little(used, survey.whole, config.fine_tune.init_from)])
    counts = [f"{KINDS[kind].title}: {len(group)}" for kind, group in report.found.items()]
    lines.append(f"Looks wrong: {'; '.join(counts) or 'nothing in these'}.")
    if report.unknown:
        lines.append(told_unknown(config.data.exclude_list, report.unknown))
    lines.append(f"The whole check: {command('train_main.py', *_data_flags(config, provenance), '--check-data')}")
    return redact("\n".join(lines))


def _inputs(config: RunConfig) -> Inputs:
    """As training would read them: with the vocabulary and the decoder steps of the model it would start from."""
    if config.fine_tune.init_from is not None:
        trained, processor = load_description(model_folder(config.fine_tune.init_from))
        vocabulary = processor.tokenizer.vocabulary
    else:
        vocabulary = Vocabulary(units=config.data.text_units)
        trained = new_config(config, vocabulary)
    return build_inputs(config, trained.frames_per_step, 0, 1, vocabulary=vocabulary, to_train=False)


def _folder(config: RunConfig) -> Path:
    """Made before the corpus is read, so that no work is lost where it cannot be."""
    wanted = config.data.check_data
    folder = Path(config.checkpoint.dir) / "data_check" if wanted == IN_RUN_FOLDER else Path(wanted)
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise _unwritable(folder, error) from error
    if not os.access(folder, os.W_OK):
        raise _unwritable(folder, PermissionError("no permission"))
    return folder


def _unwritable(folder: Path, error: OSError) -> UserError:
    return UserError(
        f"The report cannot be written into {folder} ({error.strerror or error}). Name another folder, as in "
        "--check-data FOLDER."
    )


def _next_step(config: RunConfig, provenance: Provenance, report: Report, folder: Path) -> str:
    if not report.dropped:
        return f"No row has to be left out ({folder / EXCLUDE_LIST} is empty)."
    words = [*_data_flags(config, provenance), "--exclude-list", str(folder / EXCLUDE_LIST)]
    also = ""
    if config.data.exclude_list:
        also = f" Those of {config.data.exclude_list} are not among them: put both lists into one file."
    return (
        f"{len(report.dropped)} ids to leave out, each with its reason, to be edited: {folder / EXCLUDE_LIST}.{also}\n"
        f"Train without them:\n  {command('train_main.py', *words, by='accelerate launch')}"
    )


def _data_flags(config: RunConfig, provenance: Provenance) -> list[str]:
    """What was given explicitly on the data, as flags."""
    by_key = {key: flag for flag, key in KEYS.items()}
    words = [] if config.data.train_data == default_train_data()[0] else ["--train-data", config.data.train_data]
    for key in FIELDS:
        is_of_data = key.startswith("data.") or key == "fine_tune.init_from"
        if is_of_data and key not in NOT_IN_COMMAND and is_user_set(provenance, key):
            value = str(get(config, key))
            words += [by_key[key], value] if key in by_key else ["--set", f"{key}={value}"]
    return words

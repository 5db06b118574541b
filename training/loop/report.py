"""The end of a run: what it says on the screen, and report.json in the run folder."""

import json
import platform
import resource
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import asdict
from datetime import UTC, datetime
from itertools import islice
from pathlib import Path

from data_pipeline.commands import command
from data_pipeline.errors import UserError, redact, redacted
from data_pipeline.languages import language_code
from data_pipeline.normalize.reading import rules_of
from data_pipeline.reading.exclude_list import told_unknown
from data_pipeline.utterance import Utterance
from inference.known_languages import known_languages
from training.config.fields import RunConfig
from training.distributed.lost_rank import how_to_resume
from training.loop.trainer import Result, Trainer
from training.state.callback_states import callback_states
from training.state.run_folder import write_anew

MUCH_WAITING, ENOUGH_STEPS = 0.05, 100  # share of the time of the steps; fewer say nothing
LOOKED_AT = 200  # held-out rows, for their language


def write_report(folder: Path, config: RunConfig, trainer: Trainer, result: Result, quality: dict | None) -> None:
    """Measured facts of the run as JSON; benchmarks and model cards read them."""
    rows = trainer.rows
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss  # kilobytes on Linux
    report = {
        "date": datetime.now(UTC).isoformat(timespec="seconds"),
        "machine": f"{platform.machine()}, {platform.system()}",
        "result": asdict(result),
        "quality": quality,
        "callbacks": callback_states(trainer.callbacks),
        "peak_rss_gb": peak / 2**20,
        "rows": {
            "whole_epoch": rows.whole,
            "kept": rows.kept,
            "left_out": dict(rows.left_out),
            "broken_rows": rows.broken_rows,
            "broken": rows.broken,
            "not_in_corpus": unknown_exclusions(trainer),
        },
        "config": config.to_dict(),
    }
    document = json.dumps(redacted(report), indent=1, ensure_ascii=False)
    try:
        write_anew(folder / "report.json", document + "\n")
    except OSError as error:
        raise UserError(
            f"The run is over, and its report cannot be written ({error}). Free some space and give the same command."
        ) from error


def closing_lines(config: RunConfig, trainer: Trainer, result: Result, quality: dict | None, unheard: str) -> str:
    """How it ended, how good it is (or `unheard`, why nobody listened), and the next command."""
    folder, rows = config.checkpoint.dir, trainer.rows
    lines = [f"\nEnded after {result.steps} steps and {result.seconds / 60:.1f} minutes ({result.reason})."]
    if result.interrupted:
        lines.append(f"Saved in {folder}/checkpoints. {how_to_resume(config)} goes on from there.")
        return redact("\n".join(lines))
    if rows.broken:
        listed = "\n  ".join(list(rows.broken.values())[:10])
        where = f"{'the first ' if rows.unlisted else 'all '}{len(rows.broken)} are in {folder}/report.json"
        lines.append(f"{rows.broken_rows} broken rows were skipped ({where}):\n  {listed}")
    unknown = unknown_exclusions(trainer)
    if unknown:
        lines.append(told_unknown(config.data.exclude_list, unknown))
    lines += _skipped(trainer)
    lines.append(_wasted(config, result))
    if result.best_metric is not None:
        lines.append(f"Best checkpoint: {folder}/best ({_best(trainer, result.best_metric)}).")
    if quality is not None:
        lines.append(
            f"Character error rate of {quality['sentences']} held-out English sentences, spoken freely and "
            f"heard by moonshine-voice: {quality['cer']:.1%}."
        )
        if "distillmos" in quality:
            lines.append(f"How natural it sounds, from 1 to 5, by DistillMOS: {quality['distillmos']:.2f}.")
    else:
        lines.append(unheard)
    known = known_languages(trainer.raw_model.config.voices)
    words = something_to_say(config.data.language, known, trainer.inputs.validation.utterances)
    lines.append(f"Hear it:\n  {command('synthesize.py', folder, *words, '--out', 'hello.wav')}")
    return redact("\n".join(lines))


def _skipped(trainer: Trainer) -> list[str]:
    guard = callback_states(trainer.callbacks).get("SpikeGuard", {})
    if not guard.get("skipped"):
        return []
    said = f"Updates that were skipped, as their loss or gradient jumped or was no number: {guard['skipped']}"
    return [f"{said}; roll-backs: {guard['rolled_back']}."]


def _wasted(config: RunConfig, result: Result) -> str:
    said = f"Padding was {result.padded_share:.1%} of the mel frames in a batch"
    said += f", waiting for data {result.data_wait_share:.1%} of the time of the steps."
    if result.data_wait_share > MUCH_WAITING and result.steps >= ENOUGH_STEPS:
        said += f" More loading processes may help: --num-workers (it was {config.data.num_workers})."
    return said


def unknown_exclusions(trainer: Trainer) -> list[str]:
    """Ids of the exclude list that no row has; none where that is not known, as the corpus was not read to its end."""
    plans = (trainer.inputs.train.plan, trainer.inputs.validation.plan)
    stats_by_epoch = [plan.whole_row_stats for plan in plans]
    if None in stats_by_epoch:
        return []
    return sorted(plans[0].exclude.difference(*(row_stats.excluded for row_stats in stats_by_epoch)))


def something_to_say(
    language: str | None, known: Sequence[str], utterances: Callable[[], Iterable[Utterance]]
) -> list[str]:
    """Arguments of synthesize.py: a sentence in the corpus' language, as the configuration or else the voices say it.

    Of several, English where it is among them, else the most frequent of the held-out rows. In a language that has no
    sentence here, or where none is said, the first of the corpus.
    """
    some = list(islice(utterances(), LOOKED_AT))
    heard = Counter(filter(None, (language_code(row.language) or row.language for row in some)))
    code = language_code(language) or language
    if code is None and (known or heard):
        code = "en" if "en" in known else next(iter([one for one, _ in heard.most_common(1)] or known))
    of_it = [row.text for row in some if (language_code(row.language) or row.language) in (None, code)]
    text = rules_of(code).sample or next(iter(of_it or [row.text for row in some]), rules_of("en").sample)
    return [*(["--language", code] if code not in (None, "en") else []), "--text", " ".join(text.split())]


def _best(trainer: Trainer, value: float) -> str:
    step = f"step {trainer.state.best_global_step}"
    if trainer.arguments.metric_for_best_model == "eval_mel":
        return f"{step}, validation mel L1 {value:.4f}"
    return f"{step}, the latest within a standard error of the lowest character error rate while training, {value:.1%}"

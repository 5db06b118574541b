"""The end of a run: what it says on the screen, and report.json in the run folder."""

import json
import platform
import resource
from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path

from data_pipeline.errors import UserError, redact, redacted
from data_pipeline.exclude_list import told_unknown
from data_pipeline.languages import language_code
from training.config import RunConfig
from training.loop import Result, Trainer
from training.run_state import callback_states

MUCH_WAITING, ENOUGH_STEPS = 0.05, 100  # share of the time of the steps; fewer say nothing
TO_SAY = {
    "en": "Thank you for calling.", "es": "Gracias por llamar.", "fr": "Merci de votre appel.",
    "it": "Grazie per la chiamata.", "de": "Vielen Dank für Ihren Anruf.", "ru": "Спасибо за звонок.",
    "ar": "شكرا لاتصالك.", "fa": "سلام، حال شما چطور است؟",
}  # fmt: skip


def write_report(folder: Path, config: RunConfig, trainer: Trainer, result: Result, quality: dict | None) -> None:
    """Measured facts of the run as JSON; benchmarks and model cards read them."""
    rows = trainer.rows
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss  # kilobytes on Linux
    report = {
        "date": datetime.now(UTC).isoformat(timespec="seconds"),
        "machine": f"{platform.machine()}, {platform.system()}",
        "result": asdict(result),
        "quality": quality,
        "callbacks": callback_states(trainer),
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
        (folder / "report.json").write_text(document + "\n", encoding="utf-8")
    except OSError as error:
        raise UserError(
            f"The run is over, and its report cannot be written ({error}). Free some space and give the same command."
        ) from error


def closing_lines(config: RunConfig, trainer: Trainer, result: Result, quality: dict | None, unheard: str) -> str:
    """How it ended, how good it is (or `unheard`, why nobody listened), and the next command."""
    folder, rows = config.checkpoint.dir, trainer.rows
    lines = [f"\nEnded after {result.steps} steps and {result.seconds / 60:.1f} minutes ({result.reason})."]
    if result.interrupted:
        without = ", without --reset-training and --debug," if config.checkpoint.reset else ""
        lines.append(f"Saved in {folder}/checkpoints; the same command{without} goes on from there.")
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
    lines.append(f"Hear it:\n  python synthesize.py {folder} {_something_to_say(config.data.language)} --out hello.wav")
    return redact("\n".join(lines))


def _skipped(trainer: Trainer) -> list[str]:
    guard = callback_states(trainer).get("SpikeGuard", {})
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
    tallies = [plan.whole_tally for plan in plans]
    if None in tallies:
        return []
    return sorted(plans[0].exclude.difference(*(tally.excluded for tally in tallies)))


def _something_to_say(language: str | None) -> str:
    code = language_code(language) or "en"
    option = "" if code == "en" else f"--language {code} "
    return f'{option}--text "{TO_SAY.get(code, TO_SAY["en"])}"'


def _best(trainer: Trainer, value: float) -> str:
    step = f"step {trainer.state.best_global_step}"
    if trainer.arguments.metric_for_best_model == "eval_mel":
        return f"{step}, validation mel L1 {value:.4f}"
    return f"{step}, the latest within a standard error of the lowest character error rate while training, {value:.1%}"

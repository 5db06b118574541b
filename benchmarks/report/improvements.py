"""MODEL_IMPROVEMENTS_SUMMARY.md out of measured runs: python -m benchmarks.report.improvements

Reads benchmarks/results/convergence.json, and, where they are there, fast_convergence.json and
ablation.json; the parameters come from training/config/levels.py. Writes the summary, its picture,
assets/convergence.png, and what docs/training.md and docs/measured.md say of the levels.
"""

import argparse
import sys
from pathlib import Path

from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from benchmarks.harness.command_line import read_json
from benchmarks.harness.places import RESULTS, ROOT
from benchmarks.harness.provenance import is_clean
from benchmarks.quality import convergence, fast_convergence
from benchmarks.quality.ablation import NOTHING, WHOLE
from benchmarks.report import page_block
from training.config.fields import FIELDS
from training.config.levels import LEVELS

SUMMARY, PICTURE = "MODEL_IMPROVEMENTS_SUMMARY.md", "assets/convergence.png"
COLORS = {"basic": "tab:gray", "enhanced": "tab:blue", "experimental": "tab:orange"}
MEASURED = {
    "best_{level}_mel": "validation mel L1, best (log-mel, teacher-forced)",
    "best_{level}_cer": "CER of speech, best of all evaluations",
    "last_{level}_cer": "CER of speech, at the end",
    "last_{level}_ends": "token ends that are wrong, at the end",
    "speedup_{level}_mel": "times as fast as basic to basic's best mel L1, by seconds",
    "speedup_{level}_mel_utterances": "the same by utterances",
    "speedup_{level}_mel_step": "the same by optimizer steps",
    "speedup_{level}_cer": "times as fast as basic to basic's best CER, by seconds",
    "speedup_{level}_over_enhanced_mel": "times as fast as enhanced to enhanced's best mel L1, by seconds",
    "speedup_{level}_over_enhanced_cer": "times as fast as enhanced to enhanced's best CER, by seconds",
    "worse_evaluations_{level}": "share of evaluations more than 2 % worse than the one before",
    "largest_swing_{level}": "largest rise of mel L1 from one evaluation to the next",
    "skipped_updates_{level}": "updates skipped, all seeds",
    "data_wait_share_{level}": "share of the time spent waiting for data",
}


def main(argv: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog=f"python -m {__spec__.name}", description=__doc__.split(":")[0] + ".")
    parser.add_argument("--results", default=str(RESULTS), help="folder of the json (default: %(default)s)")
    parser.add_argument("--into", default=str(ROOT), help="folder that is written to (default: %(default)s)")
    arguments = parser.parse_args(argv)
    results, into = Path(arguments.results), Path(arguments.into)
    found = {"convergence": read_json(results / "convergence.json")}
    found |= {name: read_json(results / f"{name}.json", {}) for name in ("fast_convergence", "ablation")}
    draw(found["convergence"], into / PICTURE)
    (into / SUMMARY).write_text(summary(found), encoding="utf-8")
    page_block.put("levels", parameters(), into)
    page_block.put("convergence", page_block.quoted(found["convergence"], "convergence", compared), into)
    print(f"{SUMMARY}, {PICTURE} and what docs/ says of the levels are written.")
    return 0


def summary(found: dict[str, dict]) -> str:
    parts = [
        "# What the levels change, and what it gives\n\n"
        "Written by `python -m benchmarks.report.improvements` from the numbers in training/config/levels.py and the "
        "runs in benchmarks/results/; nothing here is typed by hand.",
        "## Parameters\n\nAt width 1024; at width D the rate of matrices, `optim.lr`, is 1024 / D times this.\n\n"
        + parameters(),
        "## Measured\n\n" + compared(found["convergence"]),
    ]
    if found["fast_convergence"]:
        parts.append("## With --apply-fast-convergence\n\n" + overlaid(found["fast_convergence"]))
    if found["ablation"]:
        parts.append("## One at a time\n\n" + ablation(found["ablation"]))
    return "\n\n".join(parts) + "\n"


def compared(result: dict) -> str:
    table = measured(result, "convergence", "python -m benchmarks.quality.convergence")
    return f"{table}\n\n![Validation mel L1 and character error rate over seconds of training]({PICTURE})"


def overlaid(result: dict) -> str:
    """What the overlay gives each level that was run with it."""
    figures, runs = result["figures"], result["runs"].values()
    levels = [level for level in LEVELS if f"gain_{level}_mel" in figures]
    rows = [
        [label, *(value_and_range(figures[form.format(level=level)]) for level in levels)]
        for form, label in fast_convergence.SHOWN.items()
    ]
    seeds = sorted({run["seed"] for run in runs})
    head = (
        f"`python -m benchmarks.quality.fast_convergence`: {result['setting']['minutes']:g} minutes a run, seeds "
        f"{', '.join(map(str, seeds))}. {result['machine']}; {max(run['date'] for run in runs)[:10]}; "
        f"{commits_of(result)}. Raw, with every curve: [benchmarks/results/fast_convergence.json]"
        "(benchmarks/results/fast_convergence.json)."
    )
    return f"{head}\n\n{page_block.markdown(['', *levels], rows)}"


def parameters() -> str:
    """A dash where a level has no such thing."""
    by_level = list(LEVELS.values())
    keys = [key for key in FIELDS if any(key in values for values in by_level)]
    return page_block.markdown(
        ["", *LEVELS], [[f"`{key}`", *(told(values.get(key)) for values in by_level)] for key in keys]
    )


def told(value) -> str:
    if isinstance(value, bool):
        return "on" if value else "off"
    return "-" if value is None else f"{value:g}" if isinstance(value, float) else str(value)


def measured(result: dict, name: str, command: str) -> str:
    figures, setting = convergence.figures(result["runs"], result["figures"]["seeds"]), result["setting"]
    levels = [level for level in LEVELS if f"best_{level}_mel" in figures]
    rows = []
    for form, label in MEASURED.items():
        each = [figures.get(form.format(level=level)) for level in levels]
        if any(value is not None for value in each):
            rows.append([label, *map(value_and_range, each)])
    dates = sorted(run["date"][:10] for run in result["runs"].values())
    head = (
        f"`{command}`: size tiny on the demo corpus, {setting['minutes']:g} minutes a run, seeds "
        f"{', '.join(map(str, figures['seeds']))}; median, and least to most. CER: {setting['sentences']} sentences, "
        f"Griffin-Lim. {result['machine']}; {dates[0]} to {dates[-1]}; {commits_of(result)}. Raw, with every curve: "
        f"[benchmarks/results/{name}.json](benchmarks/results/{name}.json)."
    )
    silent = "best_basic_cer" in figures and "speedup_enhanced_cer" not in figures
    why = "\n\nNo speed-up by CER: within this budget basic does not become intelligible." if silent else ""
    return f"{head}\n\n{page_block.markdown(['', *levels], rows)}{why}"


def commits_of(result: dict) -> str:
    """Those of a result's runs, and whether all that was measured is in them."""
    commits = sorted({run["commit"][:12] for run in result["runs"].values()})
    return f"commit {', '.join(commits)}" + ("" if is_clean(result) else ", with uncommitted changes")


def value_and_range(value) -> str:
    if not isinstance(value, dict):
        return "" if value is None else f"{value:.3g}"
    if value["median"] is None:
        return f"never, in {value['never']} of {value['of']}"
    return f"{value['median']:.3g} ({value['least']:.3g} to {value['most']:.3g})"


def ablation(result: dict) -> str:
    whole, changed = seeds_of(result, is_whole=True), seeds_of(result, is_whole=False)
    rows = []
    for change, by_level in result["figures"].items():
        both = [by_level.get(f"of {level}") for level in ("enhanced", "basic")]
        rows.append([change, *map(value_and_range, both)])
    head = (
        f"`python -m benchmarks.quality.ablation`: {result['minutes']:g} minutes a run; the levels with seeds {whole}, "
        f"each change with {changed}; median, and least to most, over pairs of runs. {result['machine']}; "
        f"{commits_of(result)}. How many times as fast a run is with the change, to where it gets without "
        "(validation mel L1; below 1 it is in the way). Raw: [benchmarks/results/ablation.json]"
        "(benchmarks/results/ablation.json). A higher rate is given to both. The first row compares runs of the same "
        "level: what is within its range gives nothing that can be told."
    )
    verdicts = "\n".join(f"- {verdict(result['figures'], level)}" for level in ("enhanced", "basic"))
    return f"{head}\n\n{page_block.markdown(['', 'taken from enhanced', 'given to basic'], rows)}\n\n{verdicts}"


def seeds_of(result: dict, is_whole: bool) -> str:
    found = {run["seed"] for name, run in result["runs"].items() if (f", {WHOLE}, " in name) == is_whole}
    return ", ".join(map(str, sorted(found)))


def verdict(figures: dict, level: str) -> str:
    """Which changes give more than another seed does, which are in the way, which give nothing, and what came apart."""
    key = f"of {level}"
    changes = {change: by_level[key] for change, by_level in figures.items() if key in by_level}
    noise = changes.pop(NOTHING)
    helps = [name for name, one in changes.items() if one["median"] > noise["most"]]
    harms = [name for name, one in changes.items() if one["median"] < noise["least"]]
    nothing = [name for name in changes if name not in (*helps, *harms)]
    apart = [f"{name} ({one['came_apart']} runs)" for name, one in changes.items() if one["came_apart"]]
    parts = {"helps": helps, "is in the way": harms, "gives nothing that can be told": nothing, "came apart": apart}
    told = "; ".join(f"{what}: {', '.join(names) or 'none'}" for what, names in parts.items())
    return f"{'Taken from enhanced' if level == 'enhanced' else 'Given to basic'}: {told}."


def draw(result: dict, path: Path) -> None:
    """A line for each run: mel L1 on the left, character error rate of what was heard on the right."""
    figure = Figure(figsize=(10, 4), layout="constrained")
    FigureCanvasAgg(figure)
    left, right = figure.subplots(1, 2)
    for run in result["runs"].values():
        for axes, measure in ((left, "eval_mel"), (right, "cer")):
            points = [(point["seconds"], point[measure]) for point in run["curve"] if measure in point]
            axes.plot(*zip(*points, strict=True), color=COLORS[run["level"]], linewidth=1, label=run["level"])
    for axes, what in ((left, "validation mel L1"), (right, "character error rate")):
        axes.set(xlabel="seconds of training", ylabel=what)
        axes.set_ylim(bottom=0)
        handles = dict(zip(*reversed(axes.get_legend_handles_labels()), strict=True))  # one entry a level
        axes.legend(handles.values(), handles.keys())
    figure.savefig(path, dpi=110)


if __name__ == "__main__":
    sys.exit(main())

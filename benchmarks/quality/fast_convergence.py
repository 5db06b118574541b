"""What --apply-fast-convergence brings each level: python -m benchmarks.quality.fast_convergence

    pip install -e ".[eval,espeak]"

Trains each level on the demo corpus with the overlay and without it, with the same seeds and budget of minutes, as
convergence.py does. Compared: how soon a run is where the other of its pair gets within the whole budget, by
validation mel L1; and how soon its speech is intelligible, which is what the overlay is for. Each run is written down
as it ends; the same command goes on with those that are missing. Wants an idle machine, or cores of its own (taskset).
Prints one table and writes benchmarks/results/fast_convergence.json.
"""

import sys
from itertools import product

from benchmarks.harness.command_line import write_json
from benchmarks.quality.level.curves import best, gain, median_and_range, reached
from benchmarks.quality.level.launched import INTELLIGIBLE, LEVELS, build_parser, gathered

# Figure -> what a reader is told. With "_fast": the same with the overlay.
SHOWN = {
    "mel_{level}": "validation mel L1, best",
    "mel_{level}_fast": "the same with the overlay",
    "gain_{level}_mel": "times as fast with the overlay, by mel L1",
    "cer_{level}": "CER of speech, best",
    "cer_{level}_fast": "the same with the overlay",
    "intelligible_s_{level}": f"seconds to a CER of {INTELLIGIBLE:.0%}",
    "intelligible_s_{level}_fast": "the same with the overlay",
}


def main(argv: list[str] | None = None) -> int:
    arguments = build_parser("fast_convergence", __doc__, minutes=5.0, seeds=[1]).parse_args(argv)
    result = gathered(arguments, "", "-fast")
    result["figures"] = figures(result["runs"])
    write_json(result, arguments.out)
    print(table(result))
    return 0


def figures(runs: dict[str, dict]) -> dict:
    """Over the seeds that a level has run with the overlay and without."""
    found: dict = {}
    for level in LEVELS:
        names = [name for name, one in runs.items() if one["level"] == level and "-fast-" in name]
        pairs = [(runs[name.replace("-fast", "")]["curve"], runs[name]["curve"]) for name in names]
        if not pairs:
            continue
        found[f"gain_{level}_mel"] = median_and_range([gain(fast, plain, "eval_mel") for plain, fast in pairs])
        for suffix, curves in zip(("", "_fast"), zip(*pairs, strict=True), strict=True):
            there = [reached(curve, "cer", INTELLIGIBLE) for curve in curves]
            seconds = [point["seconds"] if point else None for point in there]
            found[f"intelligible_s_{level}{suffix}"] = median_and_range(seconds)
            for name, measure in (("mel", "eval_mel"), ("cer", "cer")):
                found[f"{name}_{level}{suffix}"] = median_and_range([best(curve, measure) for curve in curves])
    return found


def table(result: dict) -> str:
    lines = [f"{result['machine']}; {result['setting']}"]
    for form, level in product(SHOWN, LEVELS):
        value = result["figures"].get(form.format(level=level))
        if value and value["median"] is not None:
            lines.append(f"{level:<14}{SHOWN[form]:<44}{value['median']:>9.3f}  of {value['of']}")
        elif value:
            lines.append(f"{level:<14}{SHOWN[form]:<44}{'never':>9}  in {value['never']} of {value['of']}")
    return "\n".join(lines)


if __name__ == "__main__":
    sys.exit(main())

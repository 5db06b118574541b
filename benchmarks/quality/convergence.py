"""How soon each level is as good as basic ends up: python -m benchmarks.quality.convergence  (extras: [eval,espeak])

Trains basic, enhanced and experimental on the demo corpus, with three seeds each and the same budget of minutes, as
--optimization-level gives them: their learning rates scaled to the width, their warm-up fitted to the run, nothing
else (fast_convergence.py has --apply-fast-convergence). Compared by what no level's weights touch: validation mel L1
(teacher-forced, log-mel), token ends that are wrong, and the character error rate of held-out sentences spoken freely.
Each run is written down as it ends, with the commit it is of; the same command goes on with those that are missing,
so that a level which has changed is measured again by --again. Wants an idle machine, or cores of its own (taskset).
Prints one table and writes benchmarks/results/convergence.json.
"""

import statistics
import sys
from itertools import product

from benchmarks.harness.command_line import write_json
from benchmarks.quality.level.curves import best, median_and_range, speedups, steadiness
from benchmarks.quality.level.launched import INTELLIGIBLE, LEVELS, build_parser, gathered

MEASURES = {"mel": "eval_mel", "cer": "cer"}


def main(argv: list[str] | None = None) -> int:
    arguments = build_parser("convergence", __doc__, minutes=10.0, seeds=[1, 2, 3]).parse_args(argv)
    result = gathered(arguments, "")
    result["figures"] = figures(result["runs"], arguments.seeds)
    write_json(result, arguments.out)
    print(table(result))
    return 0


def figures(runs: dict[str, dict], seeds: list[int]) -> dict:
    """Speed-ups over basic and steadiness, of the seeds that every level met so far has run."""
    levels = [level for level in LEVELS if any(one["level"] == level for one in runs.values())]
    seeds = [seed for seed in seeds if all(f"{level}-{seed}" in runs for level in levels)]
    curves = {level: [runs[f"{level}-{seed}"]["curve"] for seed in seeds] for level in levels}
    found: dict = {"seeds": seeds}
    if not seeds:
        return found
    for level, (name, measure) in product(levels, MEASURES.items()):
        found[f"best_{level}_{name}"] = median_and_range([best(curve, measure) for curve in curves[level]])
        for reference in levels[: levels.index(level)]:
            if name == "cer" and found[f"best_{reference}_cer"]["least"] > INTELLIGIBLE:
                continue  # there is no sense in how soon a level says as little
            over = "" if reference == "basic" else f"_over_{reference}"
            for unit in ("seconds", "step", "utterances"):
                each = speedups(curves[reference], curves[level], measure, unit)
                suffix = "" if unit == "seconds" else f"_{unit}"
                found[f"speedup_{level}{over}_{name}{suffix}"] = median_and_range(each)
    for level in levels:
        steady = [steadiness(curve, "eval_mel") for curve in curves[level]]
        found[f"worse_evaluations_{level}"] = statistics.mean(one["worse_evaluations"] for one in steady)
        found[f"largest_swing_{level}"] = max(one["largest_swing"] for one in steady)
        # Not the best: a model that never ends a token is wrong in few steps, and every run begins so.
        found[f"last_{level}_ends"] = median_and_range([curve[-1]["end_errors"] for curve in curves[level]])
        found[f"last_{level}_cer"] = median_and_range([curve[-1].get("cer") for curve in curves[level]])
        mine = [runs[f"{level}-{seed}"] for seed in seeds]
        found[f"skipped_updates_{level}"] = sum(one["skipped_updates"] for one in mine)
        found[f"data_wait_share_{level}"] = statistics.mean(one["waiting_share"] for one in mine)
    return found


def table(result: dict) -> str:
    lines = [f"{result['machine']}; seeds {result['figures'].get('seeds')}; {result['setting']}"]
    for name, value in result["figures"].items():
        if isinstance(value, dict) and value.get("median") is not None:
            more = f"{value['never']} of {value['of']} never" if value.get("never") else ""
            lines.append(f"{name:<42}{value['median']:>9.3f}  {value['least']:.3f} to {value['most']:.3f}  {more}")
        elif isinstance(value, dict):
            lines.append(f"{name:<42}{'never':>9}  in {value['never']} of {value['of']}")
        elif isinstance(value, float):
            lines.append(f"{name:<42}{value:>9.3f}")
    if result["figures"].get("best_basic_cer", {}).get("least", 0) > INTELLIGIBLE:
        lines.append(f"No speed-up by cer: basic is not intelligible within the budget (cer below {INTELLIGIBLE}).")
    return "\n".join(lines)


if __name__ == "__main__":
    sys.exit(main())

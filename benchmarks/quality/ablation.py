"""What each improvement of enhanced gives by itself: python -m benchmarks.quality.ablation

Each change that makes enhanced of basic is taken away from enhanced, and given to basic alone, for the same minutes on
the demo corpus (size tiny). A change gives k if with it a run is in 1/k of the time as good (validation mel L1) as one
without it gets within the budget; below 1 it is in the way. Restarts and warm-up are not in the table: levels.py fits
them to the length of the run, and in a short run that makes them the same in both. The level itself has several seeds:
how far these are apart is how finely the others can be read.
Each run is written down as it ends; the same command goes on with those that are missing. Wants an idle machine, or
cores of its own (taskset). Prints one table and writes benchmarks/results/ablation.json.
"""

import argparse
import sys
from itertools import permutations, product
from pathlib import Path

from benchmarks.harness.command_line import write_json
from benchmarks.harness.places import RESULTS, ROOT
from benchmarks.quality.level.curves import Curve, best, gain, median_and_range
from benchmarks.quality.level.launched import run, started
from modeling.configuration import SIZES
from training.config.levels import level_layer

OUT = RESULTS / "ablation.json"
# Improvement -> the settings that make it.
IMPROVEMENTS = {
    "learning rate": ["optim.lr", "optim.lr_vector"],
    "mel weight": ["loss.mel_weight"],
    "KL weight": ["loss.kl_weight"],
    "stop weight": ["loss.stop_weight"],
    "alignment weight": ["loss.alignment_weight"],
    "weight decay": ["optim.weight_decay"],
    "gradient clip": ["optim.clip_norm"],
    "schedule": ["optim.schedule"],
    "accumulation": ["train.grad_accum"],
    "Huber": ["loss.mel_loss"],
    "label smoothing": ["loss.mel_smoothing", "loss.stop_smoothing"],
    "adaptive weights": ["loss.adaptive_weights"],
    "spike detection": ["train.spike_detection"],
    "early stopping": ["train.early_stopping"],
}
OTHER = {"enhanced": "basic", "basic": "enhanced"}
WHOLE, NOTHING = "whole", "nothing: seed against seed"
WHOLE_SEEDS = (1, 2, 3)
RATES = {"twice the rate": 2, "four times the rate": 4}
APART = 1.1  # times the best mel of its run: where a run ends above it has come apart


def build_parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog=f"python -m {__spec__.name}", description=__doc__.split(":")[0] + ".")
    parser.add_argument("--minutes", type=float, default=3.0, help="budget of each run (default: %(default)s)")
    parser.add_argument("--seeds", type=int, nargs="+", default=[1], help="of what is changed (default: 1)")
    parser.add_argument("--work", default=str(ROOT / "runs" / "ablation"), help="folder of the runs")
    parser.add_argument("--out", type=Path, default=OUT, help="the json to write (default: %(default)s)")
    return parser


def main(argv: list[str] | None = None) -> int:
    arguments = build_parser().parse_args(argv)
    result = started(arguments.out, minutes=arguments.minutes)
    wholes = product(OTHER, (WHOLE,), sorted({*WHOLE_SEEDS, *arguments.seeds}))
    for level, change, seed in (*wholes, *product(OTHER, (*RATES, *IMPROVEMENTS), arguments.seeds)):
        name = f"{level}, {change}, seed {seed}"
        if name not in result["runs"]:
            folder = Path(arguments.work) / name.replace(", ", "-").replace(" ", "_")
            result["runs"][name] = run(folder, level, seed, arguments.minutes, *settings(level, change))
            result["figures"] = figures(result["runs"])
            write_json(result, arguments.out)
    print(table(result))
    return 0


def settings(level: str, change: str) -> list[str]:
    """Flags that put the other level's values of an improvement in place of this one's, or more of its own rate."""
    width = SIZES["tiny"]["hidden_size"]
    if change in RATES:
        own = level_layer(level, width)
        return [f"--set={key}={RATES[change] * own[key][0]}" for key in IMPROVEMENTS["learning rate"]]
    other = level_layer(OTHER[level], width)
    return [f"--set={key}={other[key][0]}" for key in IMPROVEMENTS.get(change, [])]


def figures(runs: dict[str, dict]) -> dict:
    """Change -> level -> what it gives: an improvement taken from enhanced or given to basic, or a higher rate.

    Each run with a change is compared with every run of the whole level, and first these with one another: what a
    change gives is to be seen only where it is outside of that.
    """
    found: dict = {}

    def curves(level: str, change: str) -> list[Curve]:
        return [one["curve"] for name, one in runs.items() if name.startswith(f"{level}, {change}, ")]

    for level in OTHER:
        wholes = curves(level, WHOLE)
        if len(wholes) > 1:
            pairs = (gain(one, other, "eval_mel") for one, other in permutations(wholes, 2))
            found.setdefault(NOTHING, {})[f"of {level}"] = median_and_range(list(pairs)) | {"came_apart": 0}
    for change, level in product((*RATES, *IMPROVEMENTS), OTHER):
        changed, wholes = curves(level, change), curves(level, WHOLE)
        taken = level == "enhanced" and change in IMPROVEMENTS
        gains = [
            gain(*((whole, one) if taken else (one, whole)), "eval_mel") for one, whole in product(changed, wholes)
        ]
        if gains:
            apart = sum(curve[-1]["eval_mel"] > APART * best(curve, "eval_mel") for curve in changed)
            found.setdefault(change, {})[f"of {level}"] = median_and_range(gains) | {"came_apart": apart}
    return found


def table(result: dict) -> str:
    lines = [f"{result['machine']}; {result['minutes']} minutes a run"]
    lines.append(f"{'times as fast with it':<28}{'enhanced, taken away':>24}{'basic, given':>24}")
    for change, by_level in result["figures"].items():
        cells = [shown(by_level.get(f"of {level}")) for level in OTHER]
        lines.append(f"{change:<28}" + "".join(f"{cell:>24}" for cell in cells))
    return "\n".join(lines)


def shown(one: dict | None) -> str:
    if not one:
        return ""
    apart = f", {one['came_apart']} apart" if one["came_apart"] else ""
    return f"{one['median']:.2f} ({one['least']:.2f} to {one['most']:.2f}){apart}"


if __name__ == "__main__":
    sys.exit(main())

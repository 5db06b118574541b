"""Does a lower precision train as well: python -m benchmarks.quality.precision

The same short runs on the demo corpus in fp32 and in each mixed precision of the device: bf16 on a CPU; bf16, fp16 and,
where there are the parts for it, fp8 on a GPU. Judged by the validation mel L1 at the end, beside what another seed
changes. Prints one table and writes benchmarks/results/precision.json.
"""

import argparse
import json
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path

from benchmarks.harness.places import RESULTS, ROOT
from benchmarks.harness.provenance import origin
from data_pipeline.errors import UserError
from training.config.hardware import Hardware, check_precision, detect

OUT = RESULTS / "precision.json"
EXACT, LOWER = "no", ("bf16", "fp16", "fp8")
Losses = dict[str, dict[int, float]]  # precision -> seed -> validation mel L1


def build_parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog=f"python -m {__spec__.name}", description=__doc__.split(":")[0] + ".")
    parser.add_argument("--size", default="tiny", help="of the model (default: %(default)s)")
    parser.add_argument("--steps", type=int, default=300, help="optimizer steps of each run (default: %(default)s)")
    parser.add_argument("--seeds", type=int, nargs="+", default=[1, 2], help="of each precision (default: 1 2)")
    parser.add_argument("--device", default="auto", help="auto, cpu or cuda (default: %(default)s)")
    return parser


def main(argv: list[str] | None = None) -> int:
    arguments = build_parser().parse_args(argv)
    hardware = detect(arguments.device)
    losses: Losses = {}
    for precision in (EXACT, *(name for name in LOWER if is_at_hand(name, hardware))):
        losses[precision] = {seed: train(arguments, hardware.kind, precision, seed) for seed in arguments.seeds}
    figures = figures_of(losses)
    result = origin() | {
        "device": hardware.name,
        "size": arguments.size,
        "steps": arguments.steps,
        "figures": figures,
        "eval_mel": losses,
    }
    OUT.write_text(json.dumps(result, indent=1) + "\n", encoding="utf-8")
    print(table(losses, figures))
    return 0


def is_at_hand(precision: str, hardware: Hardware) -> bool:
    """Whether train_main.py takes it here."""
    try:
        check_precision(precision, hardware, "benchmark")
    except UserError as error:
        print(f"Without {precision}: {error}")
        return False
    return True


def train(arguments, device: str, precision: str, seed: int) -> float:
    """Validation mel L1 (natural-log units) at the end of one run of train_main.py."""
    with tempfile.TemporaryDirectory() as folder:
        # --debug: one evaluation, at the end, and nobody listens.
        command = [sys.executable, "train_main.py", "--debug", "--train-data", "assets/demo_corpus"]
        command += ["--model-size", arguments.size, "--max-steps", str(arguments.steps), "--seed", str(seed)]
        command += ["--device", device, "--mixed-precision", precision, "--checkpoint-dir", folder]
        command += "--batch-size 8 --grad-accum 1 --tracker none --set log.samples=0".split()
        print("$ " + " ".join(command), flush=True)
        subprocess.run(command, cwd=ROOT, check=True, stdout=subprocess.DEVNULL)
        result = json.loads((Path(folder) / "report.json").read_text(encoding="utf-8"))["result"]
    assert result["steps"] == arguments.steps, result
    return result["best_metric"]


def figures_of(losses: Losses) -> dict:
    """Mean of each precision, the mean of its differences from fp32 seed by seed, and what a seed changes in fp32."""
    exact = losses[EXACT]
    return {
        "eval_mel": {precision: statistics.mean(by_seed.values()) for precision, by_seed in losses.items()},
        "difference": {
            precision: statistics.mean(by_seed[seed] - exact[seed] for seed in exact)
            for precision, by_seed in losses.items()
            if precision != EXACT
        },
        "spread_of_seeds": max(exact.values()) - min(exact.values()),
    }


def table(losses: Losses, figures: dict) -> str:
    seeds = list(losses[EXACT])
    lines = [f"{'validation mel L1':<20}" + "".join(f"{f'seed {seed}':>10}" for seed in seeds) + f"{'difference':>12}"]
    for precision, by_seed in losses.items():
        difference = figures["difference"].get(precision)
        last = f"{difference:>+12.4f}" if difference is not None else f"{'':>12}"
        lines.append(f"{precision:<20}" + "".join(f"{by_seed[seed]:>10.4f}" for seed in seeds) + last)
    return "\n".join([*lines, f"{'spread of seeds':<20}{figures['spread_of_seeds']:>10.4f}"])


if __name__ == "__main__":
    sys.exit(main())

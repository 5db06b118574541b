"""README.md's few figures, each out of another benchmark's json: python -m benchmarks.report.headline

A result that was measured with uncommitted changes is left out.
"""

import argparse
import sys
from itertools import product
from pathlib import Path

from benchmarks.harness.command_line import read_json, spread
from benchmarks.harness.places import RESULTS, ROOT
from benchmarks.harness.provenance import is_clean
from benchmarks.quality.ablation import WHOLE
from benchmarks.quality.cloning_figures import mean
from benchmarks.quality.level.curves import Curve, gain
from benchmarks.report import page_block

Row = tuple[str, str]  # what a figure is of and was measured with, its value


def main(argv: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog=f"python -m {__spec__.name}", description=__doc__.split(":")[0] + ".")
    parser.add_argument("--results", type=Path, default=RESULTS, help="folder of the json files (default: %(default)s)")
    parser.add_argument("--into", type=Path, default=ROOT, help="folder with README.md (default: %(default)s)")
    arguments = parser.parse_args(argv)
    content = block(arguments.results)
    page_block.put("headline", content, arguments.into)
    print(content)
    return 0


def block(results: Path) -> str:
    """A row for each figure, with the script, the machine, the day, and what was installed."""
    rows = []
    for part, name in FILES.items():
        found = read_json(results / f"{name}.json")
        if is_clean(found):
            first, *more = part(found)
            rows += [[*first, measured_with(found, name)], *([*row, "as above"] for row in more)]
    return page_block.markdown(["", "", "measured by, on, with"], rows)


def measured_with(found: dict, name: str) -> str:
    dates = [one["date"] for one in (found, *found.get("runs", {}).values()) if "date" in one]
    script = f"[{name}.py](benchmarks/results/{name}.json)"
    return f"{script}; {found['machine']}; {max(dates)[:10]}; {page_block.installed(found)}{page_block.noted(found)}"


def shipped(results: dict) -> list[Row]:
    found = results["figures"]
    sentences = f"{found['cer_sentences']:.0f} held-out English sentences"
    return [(f"CER of {sentences}, base model as it ships, HiFi-GAN; DistillMOS (1 to 5)",
             f"{found['cer_model']:.1%}; {found['distillmos_model']:.2f}")]  # fmt: skip


def from_nothing(results: dict) -> list[Row]:
    return [("CER of the first command with --init-from none; DistillMOS",
             f"{ranged(results, 'cer_model', '{:.1%}')}; {ranged(results, 'distillmos_model', '{:.2f}')}")]  # fmt: skip


def understood(results: dict) -> list[Row]:
    found, minutes = results["figures"], results["figures"]["training_seconds"] / 60
    with_it = f"first command, {minutes:.0f} minutes, {seeds(results['seeds']['training'])}, HiFi-GAN"
    sentences = f"{found['cer_sentences']:.0f} held-out English sentences"
    rows = [(f"CER of {sentences}, {with_it}; of their recordings",
             f"{ranged(results, 'cer_model', '{:.1%}')}; {found['cer_real']:.1%}")]  # fmt: skip
    if "distillmos_model" in found:
        rows += [("DistillMOS (1 to 5) of the same; of the recordings",
                  f"{ranged(results, 'distillmos_model', '{:.2f}')}; {found['distillmos_real']:.2f}")]  # fmt: skip
    return [*rows, ("real-time factor, text to wave, HiFi-GAN", ranged(results, "real_time_factor", "{:.2f}"))]


def seeds(ones: list) -> str:
    return f"{len(ones)} training seed{'s'[: len(ones) - 1]}"


def ranged(results: dict, name: str, form: str) -> str:
    """A figure, with its range over the training seeds where there are several."""
    ends = [form.format(end) for end in results["ranges"].get(name, [])]
    return form.format(results["figures"][name]) + (f" ({' to '.join(ends)})" if ends else "")


def sooner(results: dict) -> list[Row]:
    """How many times as fast enhanced is as basic, and what of it is left where both accumulate as many batches."""

    def curves(level: str, change: str = WHOLE) -> list[Curve]:
        return [one["curve"] for name, one in results["runs"].items() if name.startswith(f"{level}, {change}, ")]

    basic, enhanced, minutes = curves("basic"), curves("enhanced"), results["minutes"]
    # enhanced accumulates 2 batches, basic 16; each was run with the other's number too.
    both_2, both_16 = (enhanced, curves("basic", "accumulation")), (curves("enhanced", "accumulation"), basic)
    said = f"enhanced: times as fast as basic to its validation mel loss after {minutes:g} minutes"
    return [
        (f"{said}, {len(basic)} seeds each", gains(enhanced, basic, "seconds")),
        ("the same, counted in optimizer steps", gains(enhanced, basic, "step")),
        ("the same, both accumulating 2 batches, as enhanced; both 16, as basic",
         f"{gains(*both_2, 'seconds')}; {gains(*both_16, 'seconds')}"),
    ]  # fmt: skip


def gains(ones: list[Curve], others: list[Curve], unit: str) -> str:
    """Median, and least to most, over all pairs of runs."""
    found = spread([gain(one, other, "eval_mel", unit) for one, other in product(ones, others)])
    return f"{found['median']:.1f} ({found['least']:.1f} to {found['most']:.1f})"


def faithful(results: dict) -> list[Row]:
    found = results["figures"]
    equal = f"{found['resumes_bit_equal']} of {found['resumes']}"
    return [("resumes, after being killed at random moments, that end bit-equal to the unbroken run", equal)]


def cloned(results: dict) -> list[Row]:
    recorded = [one for one in results["voices"] if one["kind"].endswith("recorded")]
    unheard = [one for one in recorded if one["kind"].startswith("unseen")]
    rows = []
    for ones, what, said in (
        ([one for one in recorded if one not in unheard], "speech", "voices heard in training"),
        (unheard, "speech", "never heard"),
        (
            [one for one in unheard if "prompted" in one],
            "prompted",
            "of these, who speak English, the clip's text given",
        ),
    ):
        cosines = mean(ones, what, "own"), mean(ones, what, "others"), mean(ones, "recorded", "own")
        label = f"cosine of cloned English speech to its clip, {len(ones)} {said} (to others' clips; recordings to it)"
        rows.append((label, "{:.2f} ({:.2f}; {:.2f})".format(*cosines)))
    return rows


FILES = {
    shipped: "base_model",
    understood: "main_job",
    from_nothing: "main_job_from_nothing",
    sooner: "ablation",
    faithful: "crashes",
    cloned: "cloning",
}

if __name__ == "__main__":
    sys.exit(main())

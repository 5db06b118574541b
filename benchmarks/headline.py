"""README.md's few figures, each out of another benchmark's json: python benchmarks/headline.py"""

import argparse
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))  # a script's own folder is on the path, its parent is not

from benchmarks import page_block  # noqa: E402
from benchmarks.cloning_figures import mean  # noqa: E402
from benchmarks.command_line import read_json  # noqa: E402

RESULTS = ROOT / "benchmarks" / "results"


def main(argv: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="benchmarks/headline.py", description=__doc__.split(":")[0] + ".")
    parser.add_argument("--results", type=Path, default=RESULTS, help="folder of the json files (default: %(default)s)")
    parser.add_argument("--into", type=Path, default=ROOT, help="folder with README.md (default: %(default)s)")
    arguments = parser.parse_args(argv)
    content = block(arguments.results)
    page_block.put("headline", content, arguments.into)
    print(content)
    return 0


def block(results: Path) -> str:
    """A row for each figure, with the script, the machine and the day that it is from."""
    lines = ["| | | measured by |", "|---|---|---|"]
    for part, name in FILES.items():
        found = read_json(results / f"{name}.json")
        dates = [one["date"] for one in (found, *found.get("runs", {}).values()) if "date" in one]
        where = f"[{name}.py](benchmarks/results/{name}.json), {found['machine']}, {max(dates)[:10]}"
        lines += [f"| {said} | {value} | {where} |" for said, value in part(found)]
    return "\n".join(lines)


def understood(results: dict) -> list[tuple[str, str]]:
    found, seeds = results["figures"], results["seeds"]
    minutes, trained = found["training_seconds"] / 60, len(seeds["training"])
    least_most = [f"{end:.1%}" for end in results["ranges"].get("cer_model", [])]
    spread = f" ({' to '.join(least_most)})" if least_most else ""
    return [
        (
            f"character error rate of {found['cer_sentences']} held-out English sentences, HiFi-GAN, after the first "
            f"command's {minutes:.0f} minutes, {trained} training seed{'s'[: trained - 1]}; of the recordings",
            f"{found['cer_model']:.1%}{spread}; {found['cer_real']:.1%}",
        ),
        ("seconds of computing for a second of speech, HiFi-GAN", f"{found['real_time_factor']:.2f}"),
    ]


def sooner(results: dict) -> list[tuple[str, str]]:
    found = results["figures"]
    return [
        (f"{level}: times as fast as basic to basic's best of ten minutes (mel loss), {len(found['seeds'])} seeds",
         f"{one['median']:.1f} ({one['least']:.1f} to {one['most']:.1f})")
        for level in ("enhanced", "experimental")
        for one in [found[f"speedup_{level}_mel"]]
    ] + [
        ("their error rates then: basic, enhanced, experimental",
         ", ".join(f"{found[f'best_{level}_cer']['median']:.0%}" for level in ("basic", "enhanced", "experimental")))
    ]  # fmt: skip


def faithful(results: dict) -> list[tuple[str, str]]:
    found = results["figures"]
    equal = f"{found['resumes_bit_equal']} of {found['resumes']}"
    return [("resumes, after being killed at random moments, that end bit-equal to the unbroken run", equal)]


def cloned(results: dict) -> list[tuple[str, str]]:
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


def quick(results: dict) -> list[tuple[str, str]]:
    found = results["figures"]
    return [("steps a second, share of a bare PyTorch loop's", f"{found['goya_vs_bare']['median']:.0%}")]


FILES = {understood: "main_job", sooner: "convergence", faithful: "exactness", cloned: "cloning", quick: "loop_speed"}

if __name__ == "__main__":
    sys.exit(main())

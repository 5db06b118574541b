"""What was tried to break it, gathered: python -m benchmarks.report.reliability_figures

Takes the figures of crashes.json, exactness.json, bad_inputs.json, fuzz.json, mutants.json and reading_memory.json, and
benchmarks/cases.json (faults that users reported, each with the test that would see it again), and writes
benchmarks/results/reliability.json and docs/measured.md's table of them. Measures nothing itself; what no file has is
named, and so is what was measured with uncommitted changes, which is left out.
"""

import argparse
import sys
from collections import Counter
from pathlib import Path

from benchmarks.harness import command_line
from benchmarks.harness.command_line import read_json
from benchmarks.harness.places import RESULTS, ROOT
from benchmarks.harness.provenance import is_clean
from benchmarks.report import page_block

CASES = ROOT / "benchmarks" / "cases.json"
WHOLE, MB = "{:d}", "{:.0f} MB"
# File -> figure -> (its name there, what a reader is told, how it is shown).
GATHERED = {
    "crashes": {
        "combinations": ("combinations", "combinations of features with which runs were killed", WHOLE),
        "kills": ("kills", "ends by SIGKILL", WHOLE),
        "sigterms": ("sigterms", "ends by SIGTERM", WHOLE),
        "resumes": ("resumes", "resumes", WHOLE),
        "resumes_bit_equal": ("resumes_bit_equal", "of them in runs that ended bit-equal to the unbroken one", WHOLE),
        "checkpoints_unreadable": ("checkpoints_unreadable", "checkpoints unreadable after them", WHOLE),
    },
    "exactness": {
        "rows_lost": ("utterances_lost", "utterances lost in resumed epochs", WHOLE),
        "rows_repeated": ("utterances_repeated", "utterances repeated in them", WHOLE),
    },
    "bad_inputs": {
        "corpora_tried": ("bad_inputs_tried", "broken corpora and recordings tried", WHOLE),
        "corpora_tracebacks": ("tracebacks", "of them with a traceback", WHOLE),
        "corpora_hangs": ("hangs", "of them without an end", WHOLE),
    },
    "fuzz": {
        "inputs_tried": (
            "inputs_tried",
            "random settings, command lines, models, runs, clips, texts, corpora, requests tried",
            WHOLE,
        ),
        "hostile_models_tried": ("models_tried", "of them models and vocoders", WHOLE),
        "tracebacks": ("tracebacks", "of all with a traceback", WHOLE),
        "hangs": ("hangs", "of all without an end", WHOLE),
        "other_ill_ends": ("other_ill_ends", "of all with another ill end", WHOLE),
    },
    "mutants": {
        "mutants_tried": ("mutants_tried", "faults put into the code", WHOLE),
        "mutants_explained": ("mutants_explained", "of them that change nothing a test could see", WHOLE),
        "mutants_survived": ("mutants_survived", "others that the tests let through", WHOLE),
    },
    "reading_memory": {
        f"{kind}_{what}_mb": (f"{kind}_{what}_mb", f"{label} of reading 2 GB as {kind}", MB)
        for kind in ("parquet", "tar", "csv", "jsonl", "hub")
        for what, label in (("peak", "most memory"), ("growth", "growth of memory after a tenth"))
    },
}
OF_CASES = {
    "cases_listed": "faults that were reported",
    "cases_mended": "of them mended, with a test each (cases.json)",
}


def main(argv: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog=f"python -m {__spec__.name}", description=__doc__.split(":")[0] + ".")
    parser.add_argument("--results", type=Path, default=RESULTS, help="folder of the json files (default: %(default)s)")
    parser.add_argument("--into", type=Path, default=ROOT, help="folder with docs/ (default: %(default)s)")
    arguments = parser.parse_args(argv)
    gathered = gather(arguments.results)
    command_line.write_json(gathered, arguments.results / "reliability.json")
    page_block.put("reliability", block(gathered), arguments.into)
    print(block(gathered))
    return 0


def gather(results: Path) -> dict:
    """Figures, the run of each file, and the names of what no file has."""
    figures, runs, left_out = {}, {}, []
    for name, wanted in GATHERED.items():
        found = read_json(results / f"{name}.json", {})
        if found and not is_clean(found):
            left_out.append(name)
        elif found:
            there = found["figures"]
            figures |= {figure: there[key] for figure, (key, *_) in wanted.items() if key in there}
            runs[name] = {key: found[key] for key in ("date", "commit", "machine", "installed") if key in found}
    states = Counter(case["state"] for case in read_json(CASES)["cases"])
    figures |= {"cases_listed": states.total(), "cases_mended": states["mended"]}
    missing = [figure for one in GATHERED.values() for figure in one if figure not in figures]
    return {"figures": figures, "from": runs, "not_measured": missing, "left_out": left_out}


def block(gathered: dict) -> str:
    """The figures as a markdown table, each with the file it is from."""
    figures = gathered["figures"]
    lines = ["| | | raw | measured |", "|---|---|---|---|"]
    raw = "[cases.json](benchmarks/cases.json)"
    lines += [f"| {label} | {figures[figure]} | {raw} | |" for figure, label in OF_CASES.items()]
    for name, run in gathered["from"].items():
        raw = f"[{name}.json](benchmarks/results/{name}.json)"
        for figure, (_, label, form) in GATHERED[name].items():
            if figure in figures:
                lines.append(f"| {label} | {form.format(figures[figure])} | {raw} | {run['date'][:10]} |")
    machines = sorted({run["machine"] for run in gathered["from"].values()})
    environments = sorted({page_block.installed(run) for run in gathered["from"].values()})
    where = "; ".join([*machines, *environments])
    head = f"`python -m benchmarks.report.reliability_figures`, out of what other scripts measured; {where}."
    without = ", ".join(f"`{name}`" for name in gathered["not_measured"])
    below = [f"Not measured: {without}."] if without else []
    if gathered["left_out"]:
        left_out = ", ".join(f"{name}.json" for name in gathered["left_out"])
        below.append(f"Measured with uncommitted changes, so not quoted: {left_out}.")
    return "\n".join([head, "", *lines, "", *below]).rstrip()


if __name__ == "__main__":
    sys.exit(main())

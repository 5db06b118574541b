"""What speed was measured, gathered: python -m benchmarks.report.speed_figures

Takes the figures of loop_speed.json, step_speed.json, ranks.json, data_speed.json, main_job.json, peers.json and
synthesis_speed*.json, and writes benchmarks/results/speed.json and docs/measured.md's table of them. Measures
nothing itself; what no file has is named, and so is what was measured with uncommitted changes, which is left out.
"""

import argparse
import sys
from pathlib import Path

from benchmarks.harness import command_line
from benchmarks.harness.command_line import read_json
from benchmarks.harness.places import RESULTS, ROOT
from benchmarks.harness.provenance import is_clean
from benchmarks.report import page_block
from modeling.configuration import SIZES

SHARE, TIMES = "{:.1%}", "{:.2f}"
# File -> figure -> (its name there, what a reader is told, how it is shown).
LOOP = {
    "loop_vs_bare": ("goya_vs_bare", "steps a second of the loop, share of a bare PyTorch loop's", SHARE),
    "hf_trainer_vs_bare": ("hf_trainer_vs_bare", "the same of transformers' Trainer", SHARE),
    "lightning_vs_bare": ("lightning_vs_bare", "the same of Lightning", SHARE),
    "coqui_vs_bare": ("coqui_vs_bare", "the same of coqui's Trainer", SHARE),
}
DATA = {
    "loader_vs_plain": (
        "loader_vs_plain",
        "utterances a second, over datasets and torchaudio alone",
        TIMES,
    ),
    "loader_vs_decode": ("loader_vs_decode", "utterances a second, share of decoding alone", SHARE),
    "loader_later_epochs_vs_plain": (
        "loader_later_epochs_vs_plain",
        "the same over datasets and torchaudio, in later epochs",
        TIMES,
    ),
    "padded_share": ("padded_share", "padding in the batches, demo corpus", SHARE),
    "padded_share_long_tail": ("padded_share_long_tail", "padding, lengths with a long tail", SHARE),
}
WAIT = {
    "data_wait_share": (
        "data_wait_share",
        "share of the steps' time spent waiting for data, README's first command",
        SHARE,
    )
}
TO_PEER = "minutes to the CER of the best of coqui's after 30, or to 50 % where that is worse"
PEERS = {"minutes_to_peer_best": ("minutes_to_peer_best", TO_PEER, "{:.1f}")}
STEP = {"step_vs_first": ("step_vs_first", "steps a second of the bare step, over this project's first version", TIMES)}
RANKS = {
    "ranks_2_vs_1": ("ranks_2_vs_1", "steps a second times ranks, two ranks over one", TIMES),
    "two_runs_vs_1": ("two_runs_vs_1", "the same of two runs that know nothing of one another", TIMES),
    "all_reduce_hidden": ("all_reduce_hidden", "share of the all-reduce that the backward pass hides", SHARE),
}
GATHERED = {
    "loop_speed": LOOP,
    "step_speed": STEP,
    "ranks": RANKS,
    "data_speed": DATA,
    "main_job": WAIT,
    "peers": PEERS,
}
SYNTHESIS = {
    "rtf_{size}": (
        "real_time_factor, batch 1, 1 threads",
        "real-time factor of {size}, text to mel, one thread",
        "{:.3f}",
    ),
    "rtf_{size}_batch_8": ("real_time_factor, batch 8, 1 threads", "the same, eight at once", "{:.3f}"),
    "first_chunk_ms_{size}": ("first_chunk_ms, 1 threads", "first chunk of {size}, ms", "{:.0f}"),
}
ON_GPU = ("mfu_normal", "mfu_big")  # of no machine without one


def sources() -> dict[str, dict[str, tuple[str, str, str]]]:
    """File -> figure -> as above, for every size."""
    found = dict(GATHERED)
    for size in SIZES:
        name = "synthesis_speed" if size == "tiny" else f"synthesis_speed_{size}"
        found[name] = {
            figure.format(size=size): (key, label.format(size=size), form)
            for figure, (key, label, form) in SYNTHESIS.items()
        }
    return found


def main(argv: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog=f"python -m {__spec__.name}", description=__doc__.split(":")[0] + ".")
    parser.add_argument("--results", type=Path, default=RESULTS, help="folder of the json files (default: %(default)s)")
    parser.add_argument("--into", type=Path, default=ROOT, help="folder with docs/ (default: %(default)s)")
    arguments = parser.parse_args(argv)
    gathered = gather(arguments.results)
    command_line.write_json(gathered, arguments.results / "speed.json")
    page_block.put("speed", block(gathered), arguments.into)
    print(block(gathered))
    return 0


def gather(results: Path) -> dict:
    """Figures (a number, or a median with its range), the run of each file, and the names of what no file has."""
    figures, runs, unclean = {}, {}, []
    for name, wanted in sources().items():
        found = read_json(results / f"{name}.json", {})
        if not is_clean(found):
            unclean.append(name)
            continue
        there = {
            figure: found["figures"][key] for figure, (key, *_) in wanted.items() if key in found.get("figures", {})
        }
        if there:
            figures |= there
            # Of a file of many runs, the last.
            last = max(found.get("runs", {}).values(), key=lambda run: run["date"], default=found)
            runs[name] = {key: last[key] for key in ("date", "commit", "installed") if key in last}
            runs[name]["machine"] = found["machine"]
    wanted = [figure for one in sources().values() for figure in one] + list(ON_GPU)
    missing = [name for name in wanted if name not in figures]
    return {"figures": figures, "from": runs, "not_measured": missing, "left_out": unclean}


def block(gathered: dict) -> str:
    """The figures as a markdown table, each with the file it is from."""
    lines = ["| | median | range | raw | measured |", "|---|---|---|---|---|"]
    for name, wanted in sources().items():
        for figure, (_, label, form) in wanted.items():
            if figure in gathered["figures"]:
                raw = f"[{name}.json](benchmarks/results/{name}.json)"
                day = gathered["from"][name]["date"][:10]
                lines.append(f"| {label} | {cells(gathered['figures'][figure], form)} | {raw} | {day} |")
    machines = sorted({run["machine"] for run in gathered["from"].values()})
    environments = sorted({page_block.installed(run) for run in gathered["from"].values()})
    where = "; ".join([*machines, *environments])
    head = f"`python -m benchmarks.report.speed_figures`, out of what other scripts measured; {where}."
    without = ", ".join(f"`{name}`" for name in gathered["not_measured"])
    left_out = ", ".join(f"{name}.json" for name in gathered["left_out"])
    below = f"Not measured: {without}."
    below += f" Measured with uncommitted changes, so not quoted: {left_out}." if left_out else ""
    return "\n".join([head, "", *lines, "", below])


def cells(value, form: str) -> str:
    if not isinstance(value, dict):
        return f"{form.format(value)} | "
    return f"{form.format(value['median'])} | {form.format(value['least'])} to {form.format(value['most'])}"


if __name__ == "__main__":
    sys.exit(main())

"""What the commands of benchmarks that write figures share: --out and --docs, words after --, and the json itself."""

import json
import statistics
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

from benchmarks.report import page_block
from data_pipeline.errors import UserError, tell


def before_dashes(argv: list[str] | None) -> tuple[list[str], list[str]]:
    """(a benchmark's own arguments, what follows -- and goes to train_main.py); None: those of this process."""
    argv = sys.argv[1:] if argv is None else argv
    cut = argv.index("--") if "--" in argv else len(argv)
    return argv[:cut], argv[cut + 1 :]


def add_output(parser, results: Path) -> None:
    parser.add_argument("--out", type=Path, default=results, help="the json to write (default: %(default)s)")
    parser.add_argument("--docs", action="store_true", help="only put the figures of --out into docs/measured.md")


def add_rounds(parser, steps: int, results: Path) -> None:
    """What scripts that time steps of the trainer, round by round, have in common."""
    parser.add_argument("--size", default="tiny", choices=("debug", "tiny"), help="(default: %(default)s)")
    parser.add_argument("--steps", type=int, default=steps, help="timed, each time (default: %(default)s)")
    parser.add_argument("--repeats", type=int, default=5, help="rounds (default: %(default)s)")
    parser.add_argument("--out", type=Path, default=results, help="the json to write (default: %(default)s)")


def finish(arguments, name: str, block: Callable[[dict], str], measure: Callable[[], None]) -> int:
    """Measure, or with --docs put what was measured into docs/measured.md's block `name`; the exit code."""
    try:
        if arguments.docs:
            page_block.put(name, page_block.quoted(read_json(arguments.out), name, block))
        else:
            measure()
    except UserError as error:
        tell(error)
        return 2
    return 0


def train(*words: str) -> None:
    """train_main.py in a process of its own. Raises UserError where it fails."""
    code = subprocess.run([sys.executable, "train_main.py", *words], cwd=page_block.ROOT).returncode
    if code:
        raise UserError(f"The training ended with exit code {code}; its own words are above.")


def in_turn(contenders: list[str], number: int) -> list[str]:
    """The order of a round: nobody is always the first."""
    first = number % len(contenders)
    return contenders[first:] + contenders[:first]


def spread(values: list[float]) -> dict[str, float]:
    """How a figure of several rounds is written."""
    return {"median": statistics.median(values), "least": min(values), "most": max(values)}


def spread_lines(figures: dict[str, dict[str, float]], rounds: list[dict]) -> list[str]:
    """A line for each label's `spread`, then one for the median of each contender's seconds_a_step over the rounds."""
    paces = [f"{name}, s a step" for name in rounds[0]]
    width = 2 + max(map(len, [*figures, *paces]))
    lines = [f"{'':<{width}}{'median':>9}{'least':>9}{'most':>9}"]
    for label, one in figures.items():
        lines.append(f"{label:<{width}}" + "".join(f"{one[key]:>9.3g}" for key in ("median", "least", "most")))
    for name, label in zip(rounds[0], paces, strict=True):
        seconds = statistics.median(one[name]["seconds_a_step"] for one in rounds)
        lines.append(f"{label:<{width}}{seconds:>9.4f}")
    return lines


def write_json(results: dict, out: Path) -> None:
    out.parent.mkdir(parents=True, exist_ok=True)
    out.write_text(json.dumps(results, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")


def read_json(path: Path, default: dict | None = None) -> dict:
    """Raises UserError where there is none and no default."""
    if path.is_file():
        return json.loads(path.read_text(encoding="utf-8"))
    if default is not None:
        return default
    raise UserError(f"{path} does not exist; expected the folder of a finished run.")

"""Figures of a benchmark's json into README.md and docs/, between the marks that bear its name: none typed by hand."""

import re
from collections.abc import Callable
from pathlib import Path

from benchmarks.harness.places import RESULTS, ROOT
from benchmarks.harness.provenance import is_clean
from data_pipeline.errors import UserError

# Results say what was installed since then; those before had all of these.
INSTALLED_SINCE, EXTRAS_BEFORE = "2026-11-30", "eval, phonemes, vocoder"


def source(results: dict, name: str) -> str:
    """Where, when, of what and with what a result was measured, and where its json is."""
    return (
        f"{results['machine']}; {results['date'][:10]}, commit {results['commit'][:12]}; {installed(results)}"
        f"{noted(results)}. Raw: [benchmarks/results/{name}.json](benchmarks/results/{name}.json)."
    )


def noted(results: dict) -> str:
    """What a result says of itself besides."""
    return f"; {results['note']}" if "note" in results else ""


def installed(results: dict) -> str:
    """What a result was measured with; of one of many runs, the last of them."""
    said = [one["installed"] for one in (results, *results.get("runs", {}).values()) if "installed" in one]
    if not said:
        return f"extras {EXTRAS_BEFORE}, as all before {INSTALLED_SINCE}"
    found = said[-1]
    extras = f"extras {', '.join(found['extras'])}" if found["extras"] else "no extras"
    return f"`{found['command']}`, {extras}, Python {found['python']}" if found["command"] else extras


def quoted(results: dict, name: str, block: Callable[[dict], str]) -> str:
    """The block of a result; where it was measured with uncommitted changes, only that."""
    if is_clean(results):
        return block(results)
    return (
        f"Not quoted: it was measured with uncommitted changes. `python -m {module(name)}` measures it again. Raw: "
        f"[benchmarks/results/{name}.json](benchmarks/results/{name}.json)."
    )


def module(name: str) -> str:
    """The script that writes the result `name`, as python -m takes it."""
    (script,) = RESULTS.parent.glob(f"*/{name}.py")
    return f"benchmarks.{script.parent.name}.{name}"


def pages(root: Path = ROOT) -> list[Path]:
    return [root / "README.md", *sorted((root / "docs").glob("*.md"))]


def put(name: str, content: str, root: Path = ROOT) -> None:
    """Into the one page of `root` that has the marks. Its links start from `root`.

    Raises UserError where no page has them, or several have.
    """
    begin, end = f"<!-- {name}:begin -->", f"<!-- {name}:end -->"
    texts = {page: page.read_text(encoding="utf-8") for page in pages(root)}
    found = {page: text for page, text in texts.items() if begin in text}
    if [(text.count(begin), text.count(end)) for text in found.values()] != [(1, 1)]:
        named = ", ".join(map(str, found)) or f"no page of {root}"
        raise UserError(f"One block between {begin} and {end} was expected in README.md or docs/; has them: {named}.")
    [(page, text)] = found.items()
    if page.parent != root:
        content = re.sub(r"\]\((?!https?:|#)", "](../", content)
    before, after = text.split(begin)[0], text.split(end)[1]
    page.write_text(f"{before}{begin}\n{content}\n{end}{after}", encoding="utf-8")


def rows(labeled: list[tuple[str, str]]) -> str:
    return "\n".join(["| | |", "|---|---|", *(f"| {label} | {value} |" for label, value in labeled)])


def shown(figures: dict, forms: dict[str, tuple[str, str]]) -> list[tuple[str, str]]:
    """(label, value) of those figures that are there; `forms` is figure -> (label, format), in the order to show."""
    return [(label, form.format(figures[name])) for name, (label, form) in forms.items() if name in figures]


def aligned(labeled: list[tuple[str, str]]) -> str:
    """The same for a terminal."""
    width = max(len(label) for label, _ in labeled)
    return "\n".join(f"{label:<{width}}  {value:>8}" for label, value in labeled)


def columns(lines: list[list[str]]) -> str:
    """Rows of cells for a terminal."""
    widths = [max(len(line[i]) for line in lines) for i in range(len(lines[0]))]
    return "\n".join("  ".join(f"{c:<{w}}" for c, w in zip(line, widths, strict=True)) for line in lines)


def markdown(header: list[str], rows: list[list[str]]) -> str:
    """The same for a page."""
    lines = [header, ["---"] * len(header), *rows]
    return "\n".join("| " + " | ".join(line) + " |" for line in lines)

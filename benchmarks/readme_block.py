"""Figures of a benchmark's json into README.md, between the marks that bear its name: none is ever typed by hand."""

from pathlib import Path

from data_pipeline.errors import UserError

README = Path(__file__).resolve().parents[1] / "README.md"


def source(results: dict, name: str) -> str:
    """Where, when and of what a result was measured, and where its json is."""
    return (
        f"{results['machine']}; {results['date'][:10]}, commit {results['commit'][:12]}. Raw: "
        f"[benchmarks/results/{name}.json](benchmarks/results/{name}.json)."
    )


def put(name: str, content: str, path: Path = README) -> None:
    """Raises UserError where the file has no such marks."""
    begin, end = f"<!-- {name}:begin -->", f"<!-- {name}:end -->"
    text = path.read_text(encoding="utf-8")
    if text.count(begin) != 1 or text.count(end) != 1:
        raise UserError(f"{path} has no block between {begin} and {end}.")
    before, after = text.split(begin)[0], text.split(end)[1]
    path.write_text(f"{before}{begin}\n{content}\n{end}{after}", encoding="utf-8")


def rows(labelled: list[tuple[str, str]]) -> str:
    return "\n".join(["| | |", "|---|---|", *(f"| {label} | {value} |" for label, value in labelled)])


def shown(figures: dict, forms: dict[str, tuple[str, str]]) -> list[tuple[str, str]]:
    """(label, value) of those figures that are there; `forms` is figure -> (label, format), in the order to show."""
    return [(label, form.format(figures[name])) for name, (label, form) in forms.items() if name in figures]


def aligned(labelled: list[tuple[str, str]]) -> str:
    """The same for a terminal."""
    width = max(len(label) for label, _ in labelled)
    return "\n".join(f"{label:<{width}}  {value:>8}" for label, value in labelled)

"""Imports go one way, from the composition root down: no layer imports a higher one, and there is no circle."""

import ast
from graphlib import CycleError, TopologicalSorter
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
LAYERS = ["data_pipeline", "modeling", "inference", "training", "evaluation", "hub", "callbacks"]  # lowest first
ROOTS = ["train_main", "synthesize", "listen", "usage_examples", "benchmarks", "testing", "tests"]  # above all
FILES = [path for layer in LAYERS for path in sorted((ROOT / layer).rglob("*.py"))]


def imported_packages(source: str) -> set[str]:
    """Top-level names that a file imports anywhere in it, inside functions too."""
    names = set()
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            names.update(alias.name.split(".")[0] for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and not node.level:
            names.add(node.module.split(".")[0])
    return names


def forbidden_imports(layer: str, source: str) -> set[str]:
    higher = LAYERS[LAYERS.index(layer) + 1 :]
    return imported_packages(source) & {*higher, *ROOTS}


@pytest.mark.parametrize("path", FILES, ids=lambda path: str(path.relative_to(ROOT)))
def test_no_layer_imports_a_higher_one(path):
    layer = path.relative_to(ROOT).parts[0]
    assert not forbidden_imports(layer, path.read_text(encoding="utf-8"))


@pytest.mark.parametrize(
    ("layer", "source", "found"),
    [
        ("modeling", "from training.config.fields import Config", {"training"}),
        ("data_pipeline", "import os, callbacks.progress as p", {"callbacks"}),
        ("training", "def f():\n    import train_main", {"train_main"}),
        ("callbacks", "from evaluation import asr\nfrom modeling.model import GoyaOutput", set()),
        ("training", "from . import levels", set()),
    ],
)
def test_the_check_sees_every_kind_of_import(layer, source, found):
    assert forbidden_imports(layer, source) == found


@pytest.mark.parametrize(("folder", "above"), [("testing", {"benchmarks", "tests"}), ("benchmarks", {"tests"})])
def test_what_tests_and_benchmarks_share_is_in_testing(folder, above):
    files = sorted((ROOT / folder).rglob("*.py"))
    assert files and [path for path in files if imported_packages(path.read_text(encoding="utf-8")) & above] == []


def module_of(path: Path) -> str:
    return ".".join(path.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__")


def imported_modules(source: str, known: set[str]) -> set[str]:
    """Those of `known` that a file imports anywhere in it, inside functions and for type checking too."""
    names = set()
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            names.update(alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            names.update({node.module, *(f"{node.module}.{alias.name}" for alias in node.names)})
    return names & known


def circle(sources: dict[str, str]) -> list[str]:
    """Modules each of which imports the next, the first again at the end; none where there is no such circle."""
    graph = {name: imported_modules(source, sources.keys() - {name}) for name, source in sources.items()}
    try:
        TopologicalSorter(graph).prepare()
    except CycleError as error:
        return error.args[1][::-1]
    return []


def test_no_file_imports_one_that_imports_it():
    assert circle({module_of(path): path.read_text(encoding="utf-8") for path in FILES}) == []


@pytest.mark.parametrize(
    "closing",
    [
        "from a import b",
        "import a.b",
        "def f():\n    from a.b import g",
        "if TYPE_CHECKING:\n    from a.b import G",
    ],
)
def test_the_check_sees_every_kind_of_circle(closing):
    sources = {"a.b": "from a.c import d", "a.c": "import a.d as d", "a.d": closing, "a.e": "from a import b"}
    found = circle(sources)
    assert found[0] == found[-1] and set(found) == {"a.b", "a.c", "a.d"}
    assert circle(sources | {"a.d": "import b.a"}) == []

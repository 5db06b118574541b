"""Every script of benchmarks is run by its module's name from the project's root, and says so."""

import ast
import importlib

import pytest

from benchmarks.harness.places import ROOT

FILES = sorted((ROOT / "benchmarks").rglob("*.py"))
# The copy of the tree that has a mutant in it is imported in place of this one.
MOVES_THE_PATH = {"benchmarks/reliability/mutant/forked.py"}


def uses_the_path(source: str) -> bool:
    """Whether sys.path, or a name that stands for it, is anywhere in a file."""
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Attribute) and ast.unparse(node) == "sys.path":
            return True
        if isinstance(node, ast.ImportFrom) and node.module == "sys" and "path" in {one.name for one in node.names}:
            return True
    return False


def test_no_file_changes_where_modules_are_found():
    found = {str(path.relative_to(ROOT)) for path in FILES if uses_the_path(path.read_text(encoding="utf-8"))}
    assert found == MOVES_THE_PATH


@pytest.mark.parametrize(
    ("source", "found"),
    [
        ("import sys\nsys.path.insert(0, '.')", True),
        ("from sys import path", True),
        ("import sys\nprint(sys.argv)", False),
    ],
)
def test_the_check_sees_every_way_to_the_path(source, found):
    assert uses_the_path(source) == found


def scripts() -> list[str]:
    """Modules that lie in a room itself and are run."""
    paths = [path for path in FILES if len(path.relative_to(ROOT).parts) == 3]
    runs = [path for path in paths if 'if __name__ == "__main__"' in path.read_text(encoding="utf-8")]
    return [".".join(path.relative_to(ROOT).with_suffix("").parts) for path in runs]


@pytest.mark.slow
@pytest.mark.parametrize("script", scripts())
def test_a_script_names_itself_as_it_is_run(script, capsys):
    try:
        module = importlib.import_module(script)
    except ModuleNotFoundError as error:
        assert not (ROOT / error.name.split(".")[0]).exists(), error
        pytest.skip(f"{error.name} is not installed")
    with pytest.raises(SystemExit) as end:
        module.main(["--help"])
    said = capsys.readouterr().out.split()
    assert end.value.code == 0 and said[:4] == ["usage:", "python", "-m", script]
    assert f"python -m {script}" in module.__doc__.splitlines()[0]

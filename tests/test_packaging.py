"""setup.cfg names every package of ours and everything that they import."""

import ast
import configparser
import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
PACKAGES = ("data_pipeline", "modeling", "training", "callbacks", "evaluation", "hub")
MODULES = ("train_main", "synthesize", "listen", "usage_examples")
# Import name -> name on the index, where they differ.
DISTRIBUTION = {"yaml": "pyyaml", "parselmouth": "praat_parselmouth", "hibari": "hibari_tts"}


@pytest.fixture(scope="module")
def setup() -> configparser.ConfigParser:
    config = configparser.ConfigParser()
    config.read(ROOT / "setup.cfg", encoding="utf-8")
    return config


def names(requirements: str) -> set[str]:
    lines = [line.split("#")[0].strip() for line in requirements.splitlines()]
    return {re.split(r"[<>=~!\[; ]", line)[0].lower().replace("-", "_") for line in lines if line}


def imports(path: Path) -> set[str]:
    found = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            found |= {alias.name.split(".")[0] for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and not node.level:
            found.add(node.module.split(".")[0])
    return found


def test_everything_imported_is_required(setup):
    files = [path for package in PACKAGES for path in (ROOT / package).rglob("*.py")]
    files += [ROOT / f"{module}.py" for module in MODULES]
    ours = {*PACKAGES, *MODULES, *sys.stdlib_module_names}
    used = {DISTRIBUTION.get(name, name) for path in files for name in imports(path) - ours}
    extras = setup["options.extras_require"]
    parts = [setup["options"]["install_requires"], *(extras[name] for name in extras if name != "dev")]
    required = set().union(*map(names, parts))
    assert used - required == set()


def test_every_package_and_module_of_ours_is_installed(setup):
    found = {path.parent.name for path in ROOT.glob("*/__init__.py")}
    assert found - {"tests"} == set(PACKAGES)
    assert {path.stem for path in ROOT.glob("*.py")} == set(MODULES)
    assert set(setup["options"]["py_modules"].split()) == set(MODULES)
    patterns = setup["options.packages.find"]["include"].split()
    assert {pattern.rstrip("*") for pattern in patterns} == set(PACKAGES)


def test_the_installed_commands_answer(setup):
    for line in setup["options.entry_points"]["console_scripts"].split("\n")[1:]:
        target = line.partition("=")[2].strip()
        module, _, function = target.partition(":")
        program = f"import sys; from {module} import {function}; sys.exit({function}())"
        done = subprocess.run([sys.executable, "-c", program, "--help"], cwd=ROOT, capture_output=True, text=True)
        assert done.returncode == 0 and "usage:" in done.stdout, (line, done.stderr)


def test_continuous_integration_does_what_the_readme_says():
    script = (ROOT / ".ci" / "run").read_text(encoding="utf-8")
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    told = (
        'pip install -c .ci/lock.txt -e ".[dev,eval,web]"',
        "pip install -c .ci/lock.txt -e .",
        "pytest",
        "accelerate launch train_main.py --optimization-level enhanced",
        "python synthesize.py runs/demo_corpus_tiny_enhanced",
    )
    assert [command for command in told if command not in script or command not in readme] == []

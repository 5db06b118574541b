"""setup.cfg names every package of ours and everything that they import."""

import ast
import configparser
import re
import subprocess
import sys
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

ROOT = Path(__file__).parents[1]
PACKAGES = ("data_pipeline", "modeling", "inference", "training", "callbacks", "evaluation", "hub")
MODULES = ("train_main", "synthesize", "listen", "usage_examples")
LOCK = ROOT / ".ci" / "lock.txt"
# What other packages here draw and bound.
UNBOUNDED = {"numpy", "pyarrow", "fsspec", "tqdm", "pyyaml", "psutil", "sqlalchemy", "alembic"}
UNBOUNDED |= {"fastapi", "starlette", "uvicorn"}
# Import name -> name on the index, where they differ.
DISTRIBUTION = {
    "yaml": "pyyaml",
    "parselmouth": "praat_parselmouth",
    "hibari": "hibari_tts",
    "webrtcvad": "webrtcvad_wheels",
}


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
    assert found - {"benchmarks", "testing", "tests"} == set(PACKAGES)
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


def requirements(setup) -> list[Requirement]:
    """Of the core and of all extras."""
    parts = [setup["options"]["install_requires"], *setup["options.extras_require"].values()]
    lines = {line for part in parts for line in part.splitlines() if line and not line.startswith("#")}
    return [Requirement(line) for line in sorted(lines)]


def locked(python: str) -> dict[str, str]:
    """Package -> the release that the lock names for a Python."""
    lines = [line for line in LOCK.read_text(encoding="utf-8").splitlines() if not line.startswith("#")]
    pins = [Requirement(line) for line in lines]
    held = [pin for pin in pins if not pin.marker or pin.marker.evaluate({"python_version": python})]
    found = {canonicalize_name(pin.name): str(pin.specifier).removeprefix("==") for pin in held}
    assert len(found) == len(held), "a package has two releases"
    return found


def supported_pythons(setup) -> list[str]:
    return re.findall(r"Python :: (3\.\d+)", setup["metadata"]["classifiers"])


def test_the_lock_names_one_release_within_the_bounds_of_all_that_is_named(setup):
    assert supported_pythons(setup)[0] == setup["options"]["python_requires"].removeprefix(">=")
    for python in supported_pythons(setup):
        releases = locked(python)
        for one in requirements(setup):
            release = releases.get(canonicalize_name(one.name))
            assert release and one.specifier.contains(release), (python, str(one), release)


def test_the_lock_names_no_host_and_no_folder():
    lines = LOCK.read_text(encoding="utf-8").splitlines()
    form = re.compile(r"[a-z0-9-]+==[\w.]+( ; python_version [^/]+)?")
    assert [line for line in lines if not line.startswith("#") and not form.fullmatch(line)] == []


def test_bounds_have_both_ends_and_the_lowest_are_constraints(setup):
    bare = {str(one) for one in requirements(setup) if not one.specifier}
    assert bare == UNBOUNDED
    for one in requirements(setup):
        operators = sorted(bound.operator for bound in one.specifier)
        assert not operators or operators in (["<", ">="], ["=="]), str(one)
    done = subprocess.run([sys.executable, ROOT / ".ci" / "lowest.py"], capture_output=True, text=True, check=True)
    lowest = [Requirement(line) for line in done.stdout.splitlines()]
    assert {one.name for one in lowest} == {one.name for one in requirements(setup)} - UNBOUNDED
    for one in lowest:
        (bound,) = one.specifier
        named = [other for other in requirements(setup) if other.name == one.name]
        assert all(other.specifier.contains(bound.version) for other in named), str(one)


def test_extras_have_the_names_that_every_pip_finds(setup):
    """pip 23.2 looks for the name as it is normalized (PEP 685), and setuptools may keep it as it is written."""
    extras = list(setup["options.extras_require"])
    assert [name for name in extras if name != canonicalize_name(name)] == []


def test_every_extra_that_is_told_exists(setup):
    sources = [*ROOT.glob("*.py"), *ROOT.glob("*.md"), *(ROOT / ".ci").iterdir()]
    for folder in (*PACKAGES, "docs", "benchmarks", "testing", "tests", "accelerate_configs"):
        sources += [path for path in (ROOT / folder).rglob("*") if path.suffix in {".py", ".md", ".yaml"}]
    for path in sources:
        for told in re.findall(r'-e ["\']?\.\[([\w, -]+)\]', path.read_text(encoding="utf-8")):
            unknown = set(told.replace(" ", "").split(",")) - set(setup["options.extras_require"])
            assert not unknown, (path, unknown)


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

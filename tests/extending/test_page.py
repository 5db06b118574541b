"""docs/extending.md shows the package that the other tests here install, as it is."""

import re
from pathlib import Path

from transformers import TrainerCallback

from tests.extending import packages

PAGE = (Path(__file__).parents[2] / "docs" / "extending.md").read_text(encoding="utf-8")
LOOP = (Path(__file__).parents[2] / "training" / "loop" / "trainer.py").read_text(encoding="utf-8")


def test_the_page_shows_the_package_that_is_tested():
    shown = set(re.findall(r"^```(?:python|toml)\n(.*?)^```", PAGE, re.DOTALL | re.MULTILINE))
    files = [*packages.EXAMPLE.rglob("*.py"), packages.EXAMPLE / "pyproject.toml"]
    assert shown == {path.read_text(encoding="utf-8") for path in files if path.name != "__init__.py"}


def test_the_page_tells_of_every_hook_whether_it_is_called():
    hooks = {name for name in vars(TrainerCallback) if name.startswith("on_")}
    table, rest = PAGE.split("`control` takes", 1)
    called = {hook for hook in hooks if re.search(rf"(callbacks\.|_ask\(\"){hook}\b", LOOP)}
    assert called == {hook for hook in hooks if f"`{hook}`" in table.split("| hook |", 1)[1]}
    not_called = set(re.findall(r"`(on_\w+)`", rest.split("are not called", 1)[0]))
    assert hooks - called == not_called

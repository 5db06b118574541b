"""What installed packages add, by the groups of entry points below, and objects named as package.module:Name.

Nothing of a package is imported before it is needed; which names there are is read from its metadata. Names come from
the command line and the user's own config file alone: what a model, a checkpoint or a corpus says is never imported.
"""

import importlib
import importlib.metadata
import traceback
from collections.abc import Callable, Mapping
from functools import cache
from typing import Any, NamedTuple

from data_pipeline.errors import UserError

READERS = "goya.readers"
LOSSES = "goya.losses"
LEVELS = "goya.levels"
METRICS = "goya.metrics"
VOCODERS = "goya.vocoders"
CALLBACKS = "goya.callbacks"


class Plugin(NamedTuple):
    """An entry point. package: the distribution as pip names it. value: "package.module:Name"."""

    group: str
    name: str
    package: str
    value: str

    def __str__(self) -> str:
        return f"{self.name!r} ({self.group}: {self.value}) of the installed package {self.package}"

    def load(self, expected: Any) -> Any:
        """The object that it names. Raises UserError where it cannot be imported, or is no `expected`."""
        remedy = f"Repair that package, or remove it: pip uninstall {self.package}"
        found = imported(self.value, str(self), remedy)
        if not isinstance(found, expected):
            raise UserError(
                f"{self} is {type(found).__name__}; expected {expected.__name__} (docs/extending.md). {remedy}"
            )
        return found


@cache
def _of_group(group: str) -> dict[str, list[Plugin]]:
    """Name -> the entry points of that name."""
    found: dict[str, list[Plugin]] = {}
    for point in importlib.metadata.entry_points(group=group):
        name = point.dist.name if point.dist else "(which has no metadata)"
        found.setdefault(point.name, []).append(Plugin(group, point.name, name, point.value))
    return found


def find(group: str, name: str, built_in: Mapping[str, Any], expected: Any = Callable) -> Any | None:
    """What is built in under a name, else what a package adds under it; None where nothing has it.

    Raises UserError where more than one thing has the name, and as Plugin.load does.
    """
    _check_one(group, name, built_in)
    if name in built_in:
        return built_in[name]
    plugins = _of_group(group).get(name)
    return plugins[0].load(expected) if plugins else None


def added(group: str, built_in: Mapping[str, Any], expected: Any = Callable) -> dict[str, Any]:
    """Everything that packages add to a group, by name. Raises UserError as `find` does."""
    return {name: find(group, name, built_in, expected) for name in sorted(_of_group(group))}


def names(group: str, built_in: Mapping[str, Any]) -> list[str]:
    """Those built in, then those that packages add."""
    return [*built_in, *sorted(_of_group(group).keys() - built_in.keys())]


def package(group: str, name: str) -> str:
    """The distribution that adds a name."""
    return _of_group(group)[name][0].package


def _check_one(group: str, name: str, built_in: Mapping[str, Any]) -> None:
    plugins = _of_group(group).get(name, [])
    claimants = [*(["what is built in"] if name in built_in else []), *map(str, plugins)]
    if len(claimants) > 1:
        packages = " or ".join(dict.fromkeys(plugin.package for plugin in plugins))
        raise UserError(
            f"The name {name!r} in {group} is claimed by {' and by '.join(claimants)}; expected one. "
            f"Remove one: pip uninstall {packages}"
        )


def imported(path: str, told: str, remedy: str) -> Any:
    """The object at "package.module:Name". Raises UserError with `told`, what went wrong and `remedy`."""
    module, _, attributes = path.partition(":")
    try:
        found = importlib.import_module(module)
        for name in filter(None, attributes.split(".")):
            found = getattr(found, name)
    except (Exception, SystemExit) as error:  # whatever a module of others does when it is imported
        raise UserError(f"{told} cannot be imported ({reason(error)}). {remedy}") from error
    return found


def reason(error: BaseException) -> str:
    """An error of somebody else's code in one line: its kind, what it says, and where it was raised."""
    said = str(error).strip().split("\n")[0]
    frames = traceback.extract_tb(error.__traceback__)[1:]  # the first is whose call it was
    theirs = [one for one in frames if not one.filename.startswith("<") and one.filename != importlib.__file__]
    where = f", line {theirs[-1].lineno} of {theirs[-1].filename}" if theirs else ""
    return f"{type(error).__name__}: {said}{where}" if said else f"{type(error).__name__}{where}"

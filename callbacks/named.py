"""The callbacks that the user names: --callback, or train.callbacks in the config file."""

import os
import sys
from collections.abc import Callable, Mapping
from typing import Any

from transformers import TrainerCallback

from data_pipeline import plugins
from data_pipeline.errors import UserError


def named_callbacks(wanted: Mapping[str, Mapping[str, Any]]) -> list[TrainerCallback]:
    """One of each name, made with its arguments.

    A name is package.module:Class, looked for where Python looks and then in the current folder, or that of an entry
    point in goya.callbacks. Raises UserError where there is no such thing, or it does not make a TrainerCallback.
    """
    return [_named_callback(name, arguments) for name, arguments in wanted.items()]


def _named_callback(name: str, arguments: Mapping[str, Any]) -> TrainerCallback:
    make = _imported(name) if ":" in name else plugins.find(plugins.CALLBACKS, name, {})
    if make is None:
        known = ", ".join(plugins.names(plugins.CALLBACKS, {})) or "none is installed"
        raise UserError(
            f"There is no callback {name!r}; expected package.module:Class, or the name of one that an installed "
            f"package adds ({known})."
        )
    try:
        callback = make(**arguments)
    except Exception as error:  # whatever a class of others raises
        raise UserError(
            f"The callback {name} cannot be made with the arguments {dict(arguments)} ({plugins.reason(error)}); they "
            "are given in train.callbacks of the config file, or by --set 'train.callbacks={...}'."
        ) from error
    if not isinstance(callback, TrainerCallback):
        raise UserError(
            f"The callback {name} is {type(callback).__name__}; expected a subclass of transformers.TrainerCallback, "
            "or a function that makes one."
        )
    return callback


def _imported(name: str) -> Callable:
    here = os.getcwd()
    if here not in sys.path:
        sys.path.append(here)  # last, so that nothing in the folder hides a package
    remedy = f"Expected package.module:Class, in an installed package or in a file of {here}."
    return plugins.imported(name, f"The callback {name}", remedy)

"""Modules that import the data's packages where those are not installed, as on a machine that is lent bare.

What is checked there takes made batches: nothing of soundfile, pyarrow and the like is called, only imported.
"""

import importlib
import sys
from types import ModuleType
from unittest import mock

PACKAGES = {"datasets", "evaluate", "gruut", "hibari", "num2words", "pyarrow", "soundfile", "soxr", "unicode_rbnf"}


def imported(name: str) -> ModuleType:
    """A module of this project; what it lacks of PACKAGES is stood in for, in this process from here on."""
    while True:
        try:
            return importlib.import_module(name)
        except ModuleNotFoundError as error:
            if error.name is None or error.name.partition(".")[0] not in PACKAGES or mock_of(error.name):
                raise
            sys.modules[error.name] = mock.MagicMock(__spec__=None, __path__=[])


def mock_of(name: str) -> bool:
    """Whether something stands in for it already."""
    return isinstance(sys.modules.get(name), mock.MagicMock)

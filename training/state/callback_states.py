"""What callbacks keep in a checkpoint: transformers' ExportableState, or torch's state_dict and load_state_dict.

Every rank makes the states, those of the main one are written, and every rank gets them back.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from transformers import TrainerCallback
from transformers.trainer_callback import CallbackHandler, ExportableState

from data_pipeline.errors import UserError, shown
from data_pipeline.plugins import reason
from training.state.saved_state import check_callback, is_plain

OURS = ("callbacks", "transformers")  # packages whose classes a checkpoint names without their module


def callback_states(callbacks: CallbackHandler) -> dict[str, dict]:
    """Name -> state of each callback that has one, as JSON holds it. Raises UserError for one that JSON cannot hold."""
    return {name: _state(name, callback) for name, callback in _keeping(callbacks).items()}


def check_states(saved: Any, own: Mapping[str, dict], path: Path) -> None:
    """Raises UserError where the states of a checkpoint are not like this run's `own` (training.state.saved_state)."""
    for name, state in own.items():
        # What a callback of the user's keeps is for itself to judge.
        check_callback(saved, name, {} if ":" in name else state, path)


def restore_states(saved: Mapping[str, dict], callbacks: CallbackHandler, path: Path) -> None:
    """Each callback gets back what it kept; one that kept nothing is left as it is. Raises UserError, naming it."""
    for name, callback in _keeping(callbacks).items():
        if name not in saved:
            continue
        if isinstance(callback, ExportableState):
            # Only what the callback itself would save: a stranger's checkpoint must not set anything else.
            for attribute in callback.state()["attributes"].keys() & saved[name].keys():
                setattr(callback, attribute, saved[name][attribute])
            continue
        try:
            callback.load_state_dict(saved[name])
        except Exception as error:  # whatever a class of others raises
            raise UserError(
                f"The callback {name} cannot take back what it kept in {path} ({reason(error)}). Give the version of "
                "it that the checkpoint was made with, or leave the callback out."
            ) from error


def absent(saved: Mapping[str, Any], callbacks: CallbackHandler) -> list[str]:
    """Callbacks of the user's own that kept something in a checkpoint and are not there now."""
    return [name for name in saved if ":" in name and name not in _keeping(callbacks)]


def _keeping(callbacks: CallbackHandler) -> dict[str, TrainerCallback]:
    """Those with a state, by the name that a checkpoint has for them; a number tells several of a class apart."""
    found: dict[str, TrainerCallback] = {}
    for callback in callbacks.callbacks:
        if isinstance(callback, ExportableState) or hasattr(callback, "state_dict"):
            kind = type(callback)
            name = kind.__name__
            if kind.__module__.partition(".")[0] not in OURS:
                name = f"{kind.__module__}:{kind.__qualname__}"
            of_kind = sum(type(one) is kind for one in found.values())
            found[f"{name} {of_kind + 1}" if of_kind else name] = callback
    return found


def _state(name: str, callback: TrainerCallback) -> dict:
    try:
        state = callback.state()["attributes"] if isinstance(callback, ExportableState) else callback.state_dict()
    except Exception as error:  # whatever a class of others raises
        raise UserError(f"The callback {name} cannot say what it keeps ({reason(error)}).") from error
    if not isinstance(state, dict) or not is_plain(state):
        raise UserError(
            f"The callback {name} keeps {shown(repr(state), 60)}; expected a mapping of numbers, texts, lists and "
            "mappings, as JSON holds them."
        )
    return state

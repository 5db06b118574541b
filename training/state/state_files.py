"""Weights, optimizer and random states as files: safetensors and JSON, so that nothing that is loaded can run code.

Whole (one process, DDP): NAME.safetensors, written by the main rank.
Sharded (FSDP2): NAME/, a file from each rank with its shards' places in the header, the safetensors format of
torch.distributed.checkpoint. Either can be loaded on any number of ranks, sharded or not.
NAME: model, average (of it), optimizer, and with adapters (training.setup.lora) lora: model and average then have them
merged in, so that they speak, and lora has what training goes on with.
"""

import json
import random
import warnings
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import torch
from accelerate import Accelerator
from safetensors import SafetensorError
from safetensors.torch import save_file
from torch import Tensor, nn
from torch.distributed.checkpoint import CheckpointException, HuggingFaceStorageReader, HuggingFaceStorageWriter
from torch.distributed.checkpoint import load as load_sharded
from torch.distributed.checkpoint import save as save_sharded

from data_pipeline.errors import UserError
from inference.safe_folder import read_json
from training.distributed.collectives import first_failure
from training.distributed.sharding import is_sharded, local, reshard
from training.setup.lora import adapters, begun_at_merged, merged
from training.state.saved_state import ODD_VALUES, check_like, check_scalars, reading

# What wrappers put into the names of parameters: activation checkpointing, torch.compile.
WRAPPERS = ("_checkpoint_wrapped_module.", "_orig_mod.")
OPTIMIZER = "optimizer.json"
AVERAGE = "average."  # before the names of averaged weights


def named_parameters(model: nn.Module) -> Iterator[tuple[str, nn.Parameter]]:
    """As the bare model names them, whatever it is wrapped in."""
    for name, parameter in model.named_parameters():
        for wrapper in WRAPPERS:
            name = name.replace(wrapper, "")
        yield name, parameter


class StateFiles:
    """Writes and reads what training needs to go on. Every method is to be called on every rank.

    Args:
        model: the bare model, or the one that FSDP2 sharded in place.
        optimizer: of the same parameters.
        averages: name -> averaged weights, each like the parameter of that name; empty without an average.
    """

    def __init__(self, accelerator: Accelerator, model: nn.Module, optimizer, averages: dict[str, Tensor]):
        self.accelerator, self.model, self.averages = accelerator, model, averages
        self.optimizer = getattr(optimizer, "optimizer", optimizer)  # as torch knows it, without accelerate around it
        self.names = {parameter: name for name, parameter in named_parameters(model)}

    def save(self, folder: Path) -> None:
        """Raises OSError, SafetensorError or CheckpointException where it cannot be written."""
        reshard(self.model)
        tensors, rest = self._optimizer_state()
        weights, average = self._weights(), self._average()
        contents = {
            "model": merged(weights),
            "average": merged(average),
            "lora": adapters(weights | average),
            "optimizer": tensors,
        }
        for name, content in contents.items():
            if not content:
                continue
            if is_sharded(self.model):
                save_sharded(content, storage_writer=HuggingFaceStorageWriter(folder / name, save_distributed=True))
            elif self.accelerator.is_main_process:
                save_file(content, folder / f"{name}.safetensors", metadata={"format": "pt"})
        if self.accelerator.is_main_process:
            (folder / OPTIMIZER).write_text(json.dumps(rest), encoding="utf-8")
        own = folder / f"random_state_{self.accelerator.process_index}.json"
        own.write_text(json.dumps(random_state()), encoding="utf-8")

    def are_finite(self) -> bool:
        """Whether every number of every rank's weights, averages and optimizer state is one."""
        reshard(self.model)
        states = (value for state in self.optimizer.state.values() for value in state.values())
        tensors = [*self._weights().values(), *self.averages.values(), *filter(torch.is_tensor, states)]
        harmed = [bool(local(one).isfinite().all()) for one in tensors].count(False)
        return first_failure(self.accelerator, str(harmed) if harmed else None) is None

    def load(self, folder: Path) -> None:
        """Everything `save` wrote, in place. Raises UserError where it is of another model."""
        reshard(self.model)
        rest = self._checked_rest(folder)
        try:
            _read_weights(folder, "model", self._weights())
            self._load_average(folder)
            self._load_optimizer(folder, rest)
        except (CheckpointException, SafetensorError, OSError, *ODD_VALUES) as error:
            reason = (str(error).strip() or type(error).__name__).splitlines()[-1]
            raise UserError(
                f"{folder} does not fit this run's model ({reason}). Resume with the "
                "model size and settings it was trained with, or start over with --reset-training."
            ) from error
        if self.accelerator.scaler is not None and rest["scaler"]:
            with reading(folder / OPTIMIZER, RuntimeError):
                self.accelerator.scaler.load_state_dict(rest["scaler"])
        own = folder / f"random_state_{self.accelerator.process_index}.json"
        if own.is_file():  # else this rank is new, and keeps the state that the run's seed gave it
            with reading(own, RuntimeError):
                set_random_state(read_json(folder, own.name))

    def _checked_rest(self, folder: Path) -> dict:
        """What `save` wrote beside the optimizer's tensors; of the groups only what this run's have."""
        rest, path = read_json(folder, OPTIMIZER), folder / OPTIMIZER
        own = [{key: value for key, value in group.items() if key != "params"} for group in self._groups()]
        check_like(rest, {"groups": own, "scalars": {}, "scaler": None}, path)
        with reading(path):
            check_scalars(rest["scalars"], path)
            pairs = list(zip(rest["groups"], own, strict=True))
            for saved, group in pairs:
                check_like(saved, group, path, "groups")
            return rest | {"groups": [{key: saved[key] for key in group} for saved, group in pairs]}

    def _load_average(self, folder: Path) -> None:
        """An average that was not kept so far starts from the weights."""
        own, weights = self._average(), self._weights()
        if own and any(name in own for name in _names_in(_source(folder, "average"))):
            _read_weights(folder, "average", own)
        else:
            for name, averaged in self.averages.items():
                local(averaged).copy_(local(weights[name]))

    def _weights(self) -> dict[str, Tensor]:
        return {name: value.detach() for name, value in self.model.state_dict().items()}

    def _average(self) -> dict[str, Tensor]:
        """Under names of their own, so that one folder can hold both."""
        return {f"{AVERAGE}{name}": value for name, value in self.averages.items()}

    def _optimizer_state(self) -> tuple[dict[str, Tensor], dict]:
        """(tensors shaped like their parameter, by its name and their own; all the rest, as JSON holds it)."""
        tensors, scalars = {}, {}
        for parameter, state in self.optimizer.state.items():
            for key, value in state.items():
                name = f"{self.names[parameter]}.{key}"
                if isinstance(value, Tensor) and value.ndim:
                    tensors[name] = value
                else:
                    scalars[name] = float(value)
        groups = [{key: value for key, value in group.items() if key != "params"} for group in self._groups()]
        scaler = self.accelerator.scaler.state_dict() if self.accelerator.scaler is not None else None
        return tensors, {"groups": groups, "scalars": scalars, "scaler": scaler}

    def _groups(self) -> list[dict]:
        return self.optimizer.param_groups

    def _load_optimizer(self, folder: Path, rest: dict) -> None:
        parameters = [parameter for group in self._groups() for parameter in group["params"]]
        found = _names_in(_source(folder, "optimizer"))
        tensors, state = {}, {}
        for index, parameter in enumerate(parameters):
            prefix = self.names[parameter] + "."
            own = {name: torch.zeros_like(parameter) for name in found if _is_state_of(name, prefix)}
            tensors |= own
            scalars = {name: torch.tensor(v) for name, v in rest["scalars"].items() if _is_state_of(name, prefix)}
            if own or scalars:
                state[index] = {name.removeprefix(prefix): value for name, value in (own | scalars).items()}
        _read(folder, "optimizer", tensors)
        start, groups = 0, []
        for group, saved in zip(self._groups(), rest["groups"], strict=True):
            end = start + len(group["params"])
            groups.append(saved | {"params": list(range(start, end))})
            start = end
        self.optimizer.load_state_dict({"state": state, "param_groups": groups})


def load_best(model: nn.Module, folder: Path) -> None:
    """The weights of a model folder, such as `best`, into a model, sharded or with adapters as it may be."""
    reshard(model)
    _read(folder, "model", begun_at_merged({name: weight.detach() for name, weight in model.state_dict().items()}))


def load_weights(model: nn.Module, folder: Path, averaged: bool) -> None:
    """The weights of a checkpoint into a whole model; `averaged` takes the average where the run kept one."""
    weights = {name: weight.detach() for name, weight in model.state_dict().items()}
    average = {f"{AVERAGE}{name}": weight for name, weight in weights.items()}
    kept = averaged and not average.keys().isdisjoint(_names_in(_source(folder, "average")))
    _read(folder, "average" if kept else "model", average if kept else weights)


def _read_weights(folder: Path, name: str, into: dict[str, Tensor]) -> None:
    """All of a model's weights, or of their average, in place; adapters and what they are for from a file of theirs."""
    own = adapters(into)
    _read(folder, name, {key: weight for key, weight in into.items() if key not in own})
    _read(folder, "lora", own)


def _read(folder: Path, name: str, into: dict[str, Tensor]) -> None:
    """Fill tensors, or this rank's shards of them, in place."""
    if into:
        reader = HuggingFaceStorageReader(str(_source(folder, name)))
        reader.read_metadata()  # what cannot be read is raised here; torch would log its traceback and try again
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", "torch.distributed is disabled")  # one process is no mistake
            load_sharded(into, storage_reader=reader, no_dist=not torch.distributed.is_initialized())


def _source(folder: Path, name: str) -> Path:
    """Where tensors of this kind are: a folder of shards, or the files beside one another."""
    return folder / name if (folder / name).is_dir() else folder


def _names_in(folder: Path) -> list[str]:
    return sorted(HuggingFaceStorageReader(str(folder)).read_metadata().state_dict_metadata)


def _is_state_of(name: str, prefix: str) -> bool:
    """Whether a name is the parameter's own and one word more ("exp_avg"), not a deeper parameter's."""
    return name.startswith(prefix) and "." not in name[len(prefix) :]


def random_state() -> dict:
    """This process' generators, as JSON holds them. What training draws is seeded by its place in the data; callbacks
    of others may draw from these."""
    kind, key, position, has_gauss, gauss = np.random.get_state()
    state = {
        "python": random.getstate(),
        "numpy": [kind, key.tolist(), position, has_gauss, gauss],
        "torch": torch.get_rng_state().numpy().tobytes().hex(),
    }
    if torch.cuda.is_available():
        state["cuda"] = torch.cuda.get_rng_state().numpy().tobytes().hex()
    return state


def set_random_state(state: dict) -> None:
    version, internal, gauss = state["python"]
    random.setstate((version, tuple(internal), gauss))
    kind, key, *rest = state["numpy"]
    np.random.set_state((kind, np.asarray(key, dtype=np.uint32), *rest))
    torch.set_rng_state(_bytes(state["torch"]))
    if torch.cuda.is_available() and "cuda" in state:
        torch.cuda.set_rng_state(_bytes(state["cuda"]))


def _bytes(text: str) -> Tensor:
    return torch.frombuffer(bytearray.fromhex(text), dtype=torch.uint8)

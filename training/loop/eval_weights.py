"""The weights that would ship: the averaged ones where train.ema_decay asks for an average, whole where sharded, with
adapters merged in."""

from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from pathlib import Path

from accelerate import Accelerator
from safetensors.torch import save_file

from modeling.model import GoyaForTextToSpeech
from training.distributed.sharding import is_sharded, reshard, whole_weights
from training.loop.weight_average import WeightAverage
from training.setup.lora import has_adapters, merged
from training.state.state_files import load_best


class EvalWeights:
    """What is evaluated, spoken with and saved as best. Every method is to be called on every rank."""

    def __init__(self, accelerator: Accelerator, model: GoyaForTextToSpeech, average: WeightAverage | None):
        self.accelerator, self.model, self.average = accelerator, model, average

    @contextmanager
    def in_place(self) -> Iterator[GoyaForTextToSpeech]:
        """The training model, sharded or not, with the weights that would ship; its own come back afterwards."""
        with self.average.in_place() if self.average else nullcontext():
            yield self.model
            reshard(self.model)

    @contextmanager
    def whole(self) -> Iterator[GoyaForTextToSpeech | None]:
        """A model that the main rank can use alone; None on the others."""
        with self.in_place() as model:
            if not is_sharded(model) and not has_adapters(model):
                yield model if self.accelerator.is_main_process else None
                return
            weights = whole_weights(self.accelerator, model)
        copy = None
        if self.accelerator.is_main_process:
            copy = GoyaForTextToSpeech(model.config)
            copy.load_state_dict(merged(weights))
            copy.to(self.accelerator.device)
        yield copy

    def read(self, folder: Path) -> None:
        """What `write` wrote, back into the training model, or into the average, where that is what ships."""
        with self.in_place() as model:
            load_best(model, folder)

    def write(self, folder: Path) -> None:
        """model.safetensors, by the main rank."""
        with self.in_place() as model:
            weights = whole_weights(self.accelerator, model)
            if self.accelerator.is_main_process:
                save_file(
                    {name: tensor.contiguous() for name, tensor in merged(weights).items()},
                    folder / "model.safetensors",
                    metadata={"format": "pt"},
                )

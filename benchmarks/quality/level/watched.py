"""train_main.py whose evaluations leave a line and their weights: python -m benchmarks.quality.level.watched FOLDER ...

What follows FOLDER goes to train_main.py. FOLDER/curve.jsonl has a line for each evaluation: the step, the seconds
spent on steps and on waiting for data so far (evaluations and checkpoints are not counted), the processor time of this
process in them (cpu_s), updates that were skipped, and the metrics. The weights that would ship lie beside it, as
step-00000123.safetensors.
"""

import json
import sys
import time
from pathlib import Path
from unittest import mock

from safetensors.torch import save_model
from transformers import TrainerCallback

import callbacks.default
import train_main
from training.distributed.leave import leave
from training.loop.eval_weights import EvalWeights


class Watch(TrainerCallback):
    """The clock runs within steps and while data is waited for; it stands still from an evaluation to the next step."""

    def __init__(self, folder: Path, eval_weights: EvalWeights):
        self.eval_weights = eval_weights
        self.folder, self.seconds, self.cpu_s, self.waiting_s, self.skipped = folder, 0.0, 0.0, 0.0, 0
        self.mark: float | None = None  # the end of the step before, where only data came between

    def on_step_begin(self, args, state, control, **kwargs):
        now, cpu = time.monotonic(), time.process_time()
        if self.mark is not None:
            self.waiting_s += now - self.mark
            self.seconds += now - self.mark
            self.cpu_s += cpu - self.cpu_mark
        self.began_at, self.cpu_began_at = now, cpu

    def on_step_end(self, args, state, control, **kwargs):
        self.mark, self.cpu_mark = time.monotonic(), time.process_time()
        self.seconds += self.mark - self.began_at
        self.cpu_s += self.cpu_mark - self.cpu_began_at
        self.skipped += control.should_skip_update

    def on_save(self, args, state, control, **kwargs):
        self.mark = None

    def on_evaluate(self, args, state, control, metrics=None, **kwargs):
        self.mark = None
        line = {"step": state.global_step, "seconds": self.seconds, "waiting_s": self.waiting_s}
        line |= {"cpu_s": self.cpu_s, "skipped": self.skipped, **metrics}
        with (self.folder / "curve.jsonl").open("a", encoding="utf-8") as file:
            file.write(json.dumps(line) + "\n")
        with self.eval_weights.whole() as model:
            save_model(model, str(self.folder / f"step-{state.global_step:08d}.safetensors"))


def main(folder: str, *argv: str) -> int:
    default = callbacks.default.default_callbacks

    def watched(trainer, *rest):
        return [*default(trainer, *rest), Watch(Path(folder), trainer.eval_weights)]

    with mock.patch.object(callbacks.default, "default_callbacks", watched):
        return train_main.main(list(argv))


if __name__ == "__main__":
    leave(main(*sys.argv[1:]))

"""A worker of step_speed.py:  stepped.py BATCHES SIZE STEPS BF16

Imports the model, the losses and the optimizer of whatever checkout PYTHONPATH names, an older one too. BATCHES is a
.pt of what forward() takes, batch after batch; the first pass over them is not timed. Prints the seconds of a step
and each step's loss. Seconds are of this process' processor time, so other work on the machine counts little.
"""

import json
import sys
import time

import torch

from modeling.configuration import GoyaConfig
from modeling.losses import SUMS, LossShape, element_counts, loss_sums
from modeling.model import GoyaForTextToSpeech
from training.config.fields import OptimConfig
from training.setup.optimizer import build_optimizer

VOCABULARY, RATE, CLIP_NORM = 1000, 1e-4, 0.8


def main(batches: str, size: str, steps: int, bf16: bool) -> None:
    every = torch.load(batches, weights_only=True)
    torch.manual_seed(0)
    model = GoyaForTextToSpeech(GoyaConfig.of_size(size, vocab_size=VOCABULARY)).train()
    optimizer = build_optimizer(model, OptimConfig(lr=RATE, lr_vector=RATE), torch.device("cpu"))
    shape = LossShape("huber", frames_per_step=model.config.frames_per_step)
    losses, started = [], 0.0
    for number in range(len(every) + steps):
        if number == len(every):
            started = time.process_time()
        tensors = every[number % len(every)]
        counts = element_counts(tensors["mel_lengths"], tensors["mel"].shape[-1], shape.frames_per_step)
        with torch.autocast("cpu", torch.bfloat16, enabled=bf16):
            sums = loss_sums(model(**tensors), tensors, shape)
        loss = sum(sums[name] / counts[name] for name in SUMS)
        loss.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), CLIP_NORM)
        optimizer.step()
        optimizer.zero_grad()
        losses.append(loss.detach())
    seconds = time.process_time() - started
    print(json.dumps({"seconds_a_step": seconds / steps, "losses": torch.stack(losses).tolist()}))


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2], int(sys.argv[3]), sys.argv[4] == "1")

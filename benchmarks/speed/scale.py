"""What a step costs, and how far it scales, on paper: python -m benchmarks.speed.scale

Measured here: the operations of a step (forward and backward, counted by torch's FlopCounterMode) and its time on this
CPU, by size, length and batch; the bytes of its gradients; and how unlike the batches of the ranks of one step are, by
the plan itself on made lengths with a long tail: the largest over the mean, which every rank waits for.

On paper: the time of a step on N GPUs, from these and from what a GPU and its network are said to do (--help; the share
of the peak that is reached is a guess until it is measured). All-reduce as a ring, 2 (N - 1) / N times the gradients'
bytes over the slowest link (Patarasuk and Yuan 2009), between nodes those of all GPUs of a node together, hidden
behind the backward pass, two thirds of the step, as DistributedDataParallel does. Prints tables and writes
benchmarks/results/scale.json.
"""

import argparse
import statistics
import sys
import time
from dataclasses import dataclass
from itertools import product
from pathlib import Path

import numpy as np
import torch
from torch.utils.flop_counter import FlopCounterMode

import data_pipeline.batching.plan
from benchmarks.harness import command_line
from benchmarks.harness.places import RESULTS
from benchmarks.harness.provenance import origin
from data_pipeline.batching.cursor import Cursor
from data_pipeline.batching.plan import Limits, Plan
from data_pipeline.recordings.audio import AudioConfig
from data_pipeline.utterance import Samples, Utterance
from modeling.configuration import SIZES, GoyaConfig
from modeling.losses import SUMS, LossShape, element_counts, loss_sums
from modeling.model import GoyaForTextToSpeech

OUT = RESULTS / "scale.json"
AUDIO, VOCABULARY = AudioConfig(), 1000
FRAMES_A_TOKEN = 8  # of the demo corpus, about
BASE = (8, 4.0)  # batch, seconds of each utterance
# One thing is changed at a time; each size at the base.
VARIED = [("tiny", 8, 2.0), ("tiny", 8, 8.0), ("tiny", 8, 16.0), ("tiny", 2, 4.0), ("tiny", 32, 4.0)]
GPUS = (1, 8, 64, 512)
LEAST_ROWS, RATE_HZ = 20_000, 4_000
BATCH_ON_PAPER = 16  # utterances of a GPU's micro-batch
POOL_BATCHES = 32  # batches of each rank that are sorted together, as training.config.hardware has it
BACKWARD_SHARE = 2 / 3


@dataclass(frozen=True)
class Cluster:
    """flops: a GPU's peak in bf16; share of it that is reached; bytes a second of each GPU within and between nodes."""

    flops: float
    share: float
    within: float
    between: float
    gpus_a_node: int


def build_parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog=f"python -m {__spec__.name}", description=__doc__.split(":")[0] + ".")
    parser.add_argument(
        "--tflops", type=float, default=989, help="a GPU's peak, bf16 (default: an H100's, %(default)s)"
    )
    parser.add_argument("--share", type=float, default=0.4, help="of the peak, reached; a guess (default: %(default)s)")
    parser.add_argument("--within", type=float, default=450, help="GB/s of a GPU in its node (default: NVLink's 450)")
    parser.add_argument(
        "--between", type=float, nargs="+", default=[50, 3], help="GB/s of a GPU between nodes (default: 50 and 3)"
    )
    parser.add_argument("--gpus-a-node", type=int, default=8, help="(default: %(default)s)")
    parser.add_argument("--sizes", nargs="+", default=[*SIZES], choices=SIZES, help="(default: all)")
    parser.add_argument("--repeats", type=int, default=3, help="of each timed step (default: %(default)s)")
    parser.add_argument("--out", type=Path, default=OUT, help="the json to write (default: %(default)s)")
    return parser


def main(argv: list[str] | None = None) -> int:
    arguments = build_parser().parse_args(argv)
    wanted = [(size, *BASE) for size in arguments.sizes] + [one for one in VARIED if one[0] in arguments.sizes]
    costs = [cost(*one, arguments.repeats) for one in wanted]
    unlike = {ranks: unlikeness(ranks) for ranks in GPUS}
    clusters = [
        Cluster(arguments.tflops * 1e12, arguments.share, arguments.within * 1e9, between * 1e9, arguments.gpus_a_node)
        for between in arguments.between
    ]
    paper = [
        on_paper(one, gpus, unlike[gpus], cluster)
        for one, gpus, cluster in product(costs[: len(arguments.sizes)], GPUS, clusters)
    ]
    results = origin() | {"costs": costs, "largest_over_mean": unlike}
    results |= {"clusters": [vars(cluster) for cluster in clusters], "on_paper": paper}
    command_line.write_json(results, arguments.out)
    print(tables(results))
    return 0


def cost(size: str, batch: int, seconds: float, repeats: int) -> dict:
    """Of a step in bf16 autocast: operations, seconds here (median), and the bytes of fp32 gradients."""
    torch.manual_seed(0)
    model = GoyaForTextToSpeech(GoyaConfig.of_size(size, vocab_size=VOCABULARY)).train()
    tensors, times = made_batch(batch, seconds), []
    with FlopCounterMode(display=False) as counter:
        step(model, tensors)
    for _ in range(repeats):
        started = time.perf_counter()
        step(model, tensors)
        times.append(time.perf_counter() - started)
    parameters = sum(one.numel() for one in model.parameters())
    found = {
        "size": size,
        "batch": batch,
        "seconds": seconds,
        "parameters": parameters,
        "gradient_bytes": 4 * parameters,
    }
    found |= {"tflop": counter.get_total_flops() / 1e12, "step_s": statistics.median(times), "repeats_s": times}
    return found


def made_batch(batch: int, seconds: float) -> dict[str, torch.Tensor]:
    frames = int(seconds * AUDIO.frames_per_s)
    tokens = frames // FRAMES_A_TOKEN
    mel = torch.randn(batch, frames, AUDIO.n_mels) * 2 - 5
    return {
        "input_ids": torch.randint(4, VOCABULARY, (batch, tokens)),
        "token_lengths": torch.full((batch,), tokens),
        "mel": mel,
        "mel_lengths": torch.full((batch,), frames),
        "reference_mel": mel,
        "reference_lengths": torch.full((batch,), frames),
        "reference_spectrum": mel.mean(1),
    }


def step(model: GoyaForTextToSpeech, tensors: dict[str, torch.Tensor]) -> None:
    """Forward and backward."""
    shape = LossShape("huber", 0.6, 0.0, 0.0, model.config.frames_per_step)
    counts = element_counts(tensors["mel_lengths"], AUDIO.n_mels, shape.frames_per_step)
    with torch.autocast("cpu", torch.bfloat16):
        sums = loss_sums(model(**tensors), tensors, shape)
    sum(sums[name] / counts[name] for name in SUMS).backward()
    model.zero_grad()


class LongTail:
    """Rows of made lengths: half under 2 s, one in a hundred above 12 s, as spoken corpora have them."""

    def __init__(self, rows: int):
        lengths_s = np.random.default_rng(0).lognormal(np.log(2.0), 0.8, rows).clip(0.5, 20.0)
        self.samples = (lengths_s * RATE_HZ).astype(int)
        self.zeros = np.zeros(self.samples.max(), dtype=np.float32)

    def rows(self):
        import datasets

        return datasets.IterableDataset.from_generator(lambda: ({"number": one} for one in range(len(self.samples))))

    def to_utterance(self, row: dict) -> Utterance:
        wave = self.zeros[: self.samples[row["number"]]]
        return Utterance(f"{row['number']:08}", "A sentence that nobody speaks.", Samples(wave, RATE_HZ))


def unlikeness(ranks: int) -> float:
    """Mean over steps of the largest rank's padded frames over the ranks' mean."""
    # One process that accumulates has the batches, in order, that the ranks have beside one another.
    limits = Limits(BATCH_ON_PAPER, 32_000, pool_batches=POOL_BATCHES)
    data_pipeline.batching.plan.POOL_BYTES = 2**40  # whole pools, as of rows that name files: all these share one array
    rows = max(LEAST_ROWS, 2 * ranks * BATCH_ON_PAPER * POOL_BATCHES)
    plan = Plan(LongTail(rows), AUDIO, limits, grad_accum=ranks)
    ratios, sizes = [], []
    for batch in plan.epoch(Cursor(epoch=0, group=ranks)):
        sizes.append(len(batch.entries) * max(len(one.audio.values) for one in batch.entries))
        if batch.ends_step:
            ratios.append(max(sizes) / statistics.mean(sizes))
            sizes = []
    return statistics.mean(ratios)


def on_paper(one: dict, gpus: int, largest_over_mean: float, cluster: Cluster) -> dict:
    """A step of BATCH_ON_PAPER utterances a GPU: its parts in seconds, and the share of N single GPUs' speed."""
    compute_s = one["tflop"] * 1e12 * BATCH_ON_PAPER / one["batch"] / (cluster.flops * cluster.share)
    # Between nodes each GPU has its own link, and a ring over each of them.
    together = cluster.between * cluster.gpus_a_node
    link = cluster.within if gpus <= cluster.gpus_a_node else min(cluster.within, together)
    reduce_s = 2 * (gpus - 1) / gpus * one["gradient_bytes"] / link
    waits_s = (largest_over_mean - 1) * compute_s
    shown_s = max(0.0, reduce_s - BACKWARD_SHARE * compute_s)
    return {
        "size": one["size"],
        "gpus": gpus,
        "between_gb_s": cluster.between / 1e9,
        "compute_s": compute_s,
        "all_reduce_s": reduce_s,
        "all_reduce_not_hidden_s": shown_s,
        "waiting_for_the_largest_s": waits_s,
        "efficiency": compute_s / (compute_s + shown_s + waits_s),
        "grad_accum_that_hides_it": int(np.ceil(reduce_s / (BACKWARD_SHARE * compute_s))),
    }


def tables(results: dict) -> str:
    unlike = [f"{ranks} ranks {value:.3f}" for ranks, value in results["largest_over_mean"].items()]
    heading = ("on paper", "GPUs", "GB/s", "compute ms", "reduce ms", "not hidden", "efficiency", "accum.")
    return "\n".join(
        [
            results["machine"],
            row("size", "batch", "s each", "M par.", "TFLOP", "s here", "GFLOP/s"),
            *map(cost_row, results["costs"]),
            "largest rank's frames over the mean: " + ", ".join(unlike),
            row(*heading),
            *map(paper_row, results["on_paper"]),
        ]
    )


def cost_row(one: dict) -> str:
    rate = 1000 * one["tflop"] / one["step_s"]
    measured = f"{one['parameters'] / 1e6:.1f}", f"{one['tflop']:.3f}", f"{one['step_s']:.3f}", f"{rate:.0f}"
    return row(one["size"], one["batch"], f"{one['seconds']:g}", *measured)


def paper_row(one: dict) -> str:
    parts = (f"{1000 * one[name]:.1f}" for name in ("compute_s", "all_reduce_s", "all_reduce_not_hidden_s"))
    link, share = f"{one['between_gb_s']:g}", f"{one['efficiency']:.1%}"
    return row(one["size"], one["gpus"], link, *parts, share, one["grad_accum_that_hides_it"])


def row(first: str, *more) -> str:
    return f"{first:<10}" + "".join(f"{cell:>12}" for cell in more)


if __name__ == "__main__":
    sys.exit(main())

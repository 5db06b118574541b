"""What a user meets on a GPU: how much fits, a step that does not, speech, and a short training."""

import json
import statistics
import subprocess
import sys
import tempfile
from importlib.util import find_spec
from pathlib import Path
from unittest import mock

import torch
from accelerate import Accelerator

from benchmarks.harness.places import ROOT
from benchmarks.speed.gpu.job import LOSS_SHAPE, RATE, Bench, Skipped, new_model
from benchmarks.speed.gpu.without_data import PACKAGES, imported
from modeling.losses import SUMS

STEPS_A_TOKEN, FRAMES_A_SECOND = 4, 22_050 / 256
TOO_SMALL = 0.7  # of the memory that a step takes
LEARNING_MINUTES = 2


def largest_batch(bench: Bench, found: dict) -> None:
    """Utterances of the longest lengths at once, doubled until memory is over."""
    bench.wants_gpu("a CPU's memory is the whole machine's")
    for size in reversed(bench.sizes):  # the small ones take the longest to fill it
        job, fits = bench.job(size), 0
        try:
            while True:
                job(bench.made_batch(2 * fits or bench.batch))
                fits = 2 * fits or bench.batch
        except torch.OutOfMemoryError:
            pass
        found[f"{size}, utterances of {bench.frames} frames"] = fits
        del job
        torch.cuda.empty_cache()


def out_of_memory(bench: Bench, found: dict) -> None:
    """Training's own step under a limit of memory that its batch does not fit: whether it ends, cut, with the gradient
    of the whole batch."""
    bench.wants_gpu("a limit of memory can be set on a GPU only")
    collate, plan, cursor = (imported(f"data_pipeline.{name}") for name in ("collate", "plan", "cursor"))
    loop, steps = imported("training.loop.out_of_memory"), imported("training.loop.step")
    model = new_model(bench.sizes[0], bench.device, prenet_dropout=0.0).eval()  # nothing is drawn: cut as whole
    planned = plan.PlannedBatch((), cursor.Cursor(), True, False, (0,))
    names = [str(number) for number in range(bench.batch)]
    batch = collate.Batch(bench.made_batch(), names, names, planned)
    step = loop.AutoMicrobatch(Accelerator(), model, steps.LossWeights(dict.fromkeys(SUMS, 1.0)), LOSS_SHAPE)

    def gradient() -> torch.Tensor:
        model.zero_grad()
        step([batch])
        return torch.cat([one.grad.flatten() for one in model.parameters() if one.grad is not None])

    gradient()
    torch.cuda.empty_cache()
    torch.cuda.reset_peak_memory_stats(bench.device)
    whole = gradient().cpu()
    needed, there = torch.cuda.max_memory_reserved(bench.device), torch.cuda.get_device_properties(bench.device)
    model.zero_grad(set_to_none=True)
    torch.cuda.empty_cache()
    torch.cuda.set_per_process_memory_fraction(TOO_SMALL * needed / there.total_memory, bench.device)
    try:
        cut = gradient().cpu()
    finally:
        torch.cuda.set_per_process_memory_fraction(1.0, bench.device)
    found["parts"] = step.parts
    found["gradient, relative error"] = float((cut - whole).norm() / whole.norm())


def synthesis(bench: Bench, found: dict) -> None:
    """Seconds of computing for a second of speech, text to log-mel, in fp32: of one utterance, and of 32 at once."""
    generation = imported("inference.generation")
    model = new_model(bench.common_size, bench.device, max_token_steps=STEPS_A_TOKEN).eval()
    speech_s = bench.tokens * STEPS_A_TOKEN * model.config.frames_per_step / FRAMES_A_SECOND
    # So that only max_token_steps ends a token.
    with mock.patch.object(generation, "end_probability", lambda logits, smoothing: torch.zeros_like(logits)):
        for batch in (1, 32):
            ids_BS = torch.randint(4, model.config.vocab_size, (batch, bench.tokens), device=bench.device)
            lengths_B = torch.full((batch,), bench.tokens, device=bench.device)
            voice_BV = torch.zeros(batch, model.config.voice_size, device=bench.device)
            given = (model, ids_BS, lengths_B, voice_BV)
            ms = bench.milliseconds(lambda given=given: generation.synthesize(*given), 3)
            found[f"real-time factor, {batch} at once"] = ms / 1000 / (batch * speech_s)


def made_learning(bench: Bench, found: dict) -> None:
    """The loss on one batch before and after steps on it: whether training by the same code learns at all."""
    job, batch = bench.job(bench.common_size), bench.made_batch()
    for group in job.optimizer.param_groups:
        group["lr"] = 10 * RATE / (1 + 3 * bench.is_gpu)
    losses = [sum(job(batch).values()) for _ in range(30)]
    found["first loss"], found["last loss"] = losses[0], statistics.median(losses[-3:])
    found["it learns"] = found["last loss"] < 0.9 * found["first loss"]


def convergence(bench: Bench, found: dict) -> None:
    """Two minutes of train_main.py on the demo corpus: steps and the best validation mel L1."""
    bench.wants_gpu("two minutes of a CPU say little (benchmarks.quality.main_job has its quarter of an hour)")
    if missing := sorted(name for name in PACKAGES if find_spec(name) is None):
        raise Skipped(f"not installed: {', '.join(missing)}")
    with tempfile.TemporaryDirectory() as scratch:
        words = ["--train-data", "assets/demo_corpus", "--model-size", bench.common_size, "--checkpoint-dir", scratch]
        words += ["--max-minutes", str(LEARNING_MINUTES), "--tracker", "none", "--set", "log.quality_sentences=0"]
        done = subprocess.run([sys.executable, "train_main.py", *words], cwd=ROOT, capture_output=True, text=True)
        if done.returncode:
            raise RuntimeError(done.stderr[-1500:])
        result = json.loads((Path(scratch) / "report.json").read_text(encoding="utf-8"))["result"]
    found |= {"steps": result["steps"], "seconds to the first step": result["seconds_to_first_step"]}
    found |= {"best validation mel L1": result["best_metric"], "waiting for data, share": result["data_wait_share"]}

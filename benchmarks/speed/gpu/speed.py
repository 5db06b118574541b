"""How fast a device is, and how fast steps are on it: by shape, by size, by kernel, compiled or not."""

import random
import statistics
import time
import warnings
from collections import Counter
from pathlib import Path

import torch
from torch.profiler import ProfilerActivity, profile

from benchmarks.harness.places import ROOT
from benchmarks.speed.gpu.job import Bench, cudnn_attention

MATRIX, COPIED_BYTES = {True: 8192, False: 512}, {True: 2**32, False: 2**26}  # on a GPU, on a CPU
NEW_SHAPES = {True: 14, False: 3}
TOP_KERNELS = 14


def _product_rate(bench: Bench, dtype: torch.dtype) -> float:
    """TFLOP/s of a square matrix times itself."""
    edge = MATRIX[bench.is_gpu]
    matrix = torch.randn(edge, edge, device=bench.device).to(dtype)  # zeros would be faster
    return 2 * edge**3 / bench.milliseconds(lambda: matrix @ matrix, 10) / 1e9


def ceilings(bench: Bench, found: dict) -> None:
    """What the device reaches at its best: products of square matrices, and bytes read and written by a copy."""
    if bench.is_gpu:
        found["GPU memory, GB"] = torch.cuda.get_device_properties(bench.device).total_memory / 2**30
        found["cuDNN"] = torch.backends.cudnn.version()
    kinds = {"fp32": torch.float32, "bf16": torch.bfloat16} | ({"fp16": torch.float16} if bench.is_gpu else {})
    for name, dtype in kinds.items():
        found[f"{name} product of {MATRIX[bench.is_gpu]}^3, TFLOP/s"] = _product_rate(bench, dtype)
    source = torch.randint(256, (COPIED_BYTES[bench.is_gpu],), dtype=torch.uint8, device=bench.device)
    target = torch.empty_like(source)
    found["copy, GB/s"] = 2 * source.numel() / bench.milliseconds(lambda: target.copy_(source), 10) / 1e6


def new_shapes(bench: Bench, found: dict) -> None:
    """Batches each of another shape, as the plan makes them: what kernels that are chosen by shape cost."""
    draw, count = random.Random(0), NEW_SHAPES[bench.is_gpu]
    shapes = [
        (bench.batch - draw.randrange(bench.batch // 2 + 1), bench.frames - 2 * number - number % 2, bench.tokens)
        for number in range(count)
    ]
    batches = [bench.made_batch(*shape) for shape in shapes]
    found["shapes"] = count
    for name, is_on in (("off", False), ("on", True)) if bench.is_gpu else (("off", False),):
        cudnn_attention(is_on)
        job = bench.job(bench.common_size)
        job(bench.made_batch())
        for turn in ("first time", "second time"):
            each = iter(batches)
            times = bench.times(lambda job=job, each=each: job(next(each)), count)
            found[f"cuDNN attention {name}, {turn}, median ms"] = statistics.median(times)
            found[f"cuDNN attention {name}, {turn}, worst ms"] = max(times)
    cudnn_attention(False)
    if not bench.is_gpu:
        found["cuDNN attention on"] = {"skipped": "no GPU: cuDNN is for those"}


def steps(bench: Bench, found: dict) -> None:
    """Steps in bf16 of one batch, again and again; MFU is the share of the rate that a product reaches here."""
    ceiling = _product_rate(bench, torch.bfloat16)
    batch = bench.made_batch()
    found["ceiling, TFLOP/s"] = ceiling
    for size in bench.sizes:
        job = bench.job(size)
        if bench.is_gpu:
            torch.cuda.reset_peak_memory_stats(bench.device)
        tflop = job.tflop(batch)
        ms = bench.milliseconds(lambda job=job: job(batch), 8)
        rate = tflop / ms * 1000
        found |= {f"{size}, ms": ms, f"{size}, TFLOP/s": rate, f"{size}, MFU": rate / ceiling}
        found[f"{size}, utterances/s"] = bench.batch / ms * 1000
        if bench.is_gpu:
            found[f"{size}, peak GB"] = torch.cuda.max_memory_allocated(bench.device) / 2**30
        del job
    if not bench.is_gpu:
        found["peak GB"] = {"skipped": "no GPU, whose memory could be asked for"}


def kernels(bench: Bench, found: dict) -> None:
    """What a step of size normal is made of: launches, waits for the GPU and where they are, and what takes longest."""
    job, batch = bench.job(bench.common_size), bench.made_batch()
    job(batch)
    if bench.is_gpu:
        found |= {f"waits at {where}": count for where, count in _waits(lambda: job(batch)).items()}
    else:
        found["waits"] = {"skipped": "no GPU to wait for"}
    activities = [ProfilerActivity.CPU] + ([ProfilerActivity.CUDA] if bench.is_gpu else [])
    with profile(activities=activities) as seen:
        job(batch)
        bench.wait()
    events = seen.key_averages()
    of_device = "self_device_time_total" if bench.is_gpu else "self_cpu_time_total"
    if bench.is_gpu:
        for label, words in (
            ("launches", "LaunchKernel"),
            ("synchronizations", "Synchronize"),
            ("copies", "cudaMemcpy"),
        ):
            found[label] = sum(event.count for event in events if words in event.key)
    for event in sorted(events, key=lambda event: -getattr(event, of_device))[:TOP_KERNELS]:
        found[f"{event.key[:60]} x{event.count}, ms"] = getattr(event, of_device) / 1000


def _waits(work) -> Counter:
    """Where a piece of work waits for the GPU, by file and line, and how often."""
    with warnings.catch_warnings(record=True) as said:
        warnings.simplefilter("always")
        torch.cuda.set_sync_debug_mode("warn")
        try:
            work()
        finally:
            torch.cuda.set_sync_debug_mode("default")
    found = (one for one in said if "synchroniz" in str(one.message))
    return Counter(
        f"{Path(one.filename).resolve().as_posix().removeprefix(f'{ROOT}/')[-60:]}:{one.lineno}" for one in found
    )


def compiled(bench: Bench, found: dict) -> None:
    """Layers through torch.compile, lengths dynamic, against the same layers as they are."""
    bench.wants_gpu("on a CPU compiling takes longer than all else here")
    job, batches = (
        bench.job(bench.common_size),
        [bench.made_batch(), bench.made_batch(bench.batch - 1, bench.frames - 34)],
    )
    found["as it is, ms"] = bench.milliseconds(lambda: job(batches[0]), 8)
    started = time.perf_counter()
    for module in job.model.modules():
        if type(module).__name__ == "TransformerLayer":
            module.compile(dynamic=True)
    for batch in batches:
        job(batch)
    bench.wait()
    found["compiling, s"] = time.perf_counter() - started
    found["compiled, ms"] = bench.milliseconds(lambda: job(batches[0]), 8)

"""What the machine has, and the defaults that follow from it.

`detect` asks torch and the operating system; `defaults_for` is a pure function of its answer, so that the
choice for a machine that is not at hand can be tested. A default here gives way to the level, and to anything
given explicitly.
"""

import importlib.util
import os
from dataclasses import dataclass
from pathlib import Path

from data_pipeline.errors import UserError
from training.config.fields import Layer

MAX_WORKERS = 16  # per process: more only cost memory
MIN_BATCH_FRAMES = 2_000
MAX_BATCH_FRAMES = {"cuda": 64_000, "mps": 16_000, "cpu": 32_000}  # above, a step only gets longer
# Estimates, not measured, of how many padded mel frames fit in a GB beside the weights, from the size of
# activations (about 34 x D bytes per decoder step and layer in 16 bits: Korthikanti et al. 2022, with room
# for fp32 and the aligner). A guess that is too high costs a GPU one step: an out-of-memory step halves the
# batch and doubles the accumulation.
FRAMES_PER_GB = {"debug": 16_000, "tiny": 6_000, "small": 2_400, "normal": 900, "big": 450}
MODEL_GB = {
    "debug": 0.1,
    "tiny": 0.3,
    "small": 1.2,
    "normal": 5.0,
    "big": 14.0,
}  # weights, gradients, AdamW, fp32
USABLE_MEMORY = 0.7  # the rest is for the context, fragments and other programs
FRAMES_PER_UTTERANCE = 500  # about 6 s, to turn frames into a number of utterances
CPU_BATCH = 8  # a CPU gains little from more, and smaller batches give more steps
MAX_BATCH = 64
# Sorted by length together. More pads less, and puts a small corpus' utterances together again in every epoch
# (benchmarks/LOG.md).
POOL_UTTERANCES, POOL_BATCHES = 1024, 32
# Least GPU memory, in GB, for a size. big is only chosen explicitly.
SIZE_FOR_GPU_GB = [(14.0, "normal"), (6.0, "small"), (0.0, "tiny")]


@dataclass(frozen=True)
class Hardware:
    kind: str  # "cuda", "mps" or "cpu"
    name: str
    memory_gb: float  # of one GPU, or of the machine, shared by its processes
    cores: int  # that this process may use
    bf16: bool  # native, not emulated
    processes: int = 1  # of this run, on this machine
    fp8: bool = False  # matrix products in it


def detect(device: str = "auto") -> Hardware:
    """This machine, as seen by this process. `device`: "auto", "cpu" or "cuda".

    Raises UserError where "cuda" is asked for and there is none.
    """
    import torch

    processes = int(os.environ.get("LOCAL_WORLD_SIZE", "1"))
    cores = _cores()
    if device == "cuda" and not torch.cuda.is_available():
        build = f"torch {torch.__version__}" + ("" if torch.version.cuda else ", built without CUDA")
        raise UserError(
            f"A GPU was asked for (train.device is cuda) and torch finds none ({build}). Check nvidia-smi "
            "and CUDA_VISIBLE_DEVICES, or leave out --device to train on the CPU."
        )
    if device == "auto" and os.environ.get("ACCELERATE_USE_CPU", "").lower() in ("1", "true", "yes"):
        device = "cpu"  # accelerate launch --cpu
    if device != "cpu" and torch.cuda.is_available():
        gpu = torch.cuda.get_device_properties(int(os.environ.get("LOCAL_RANK", "0")) % torch.cuda.device_count())
        has_fp8 = torch.version.cuda is not None and (gpu.major, gpu.minor) >= (8, 9)
        return Hardware("cuda", gpu.name, gpu.total_memory / 2**30, cores, gpu.major >= 8, processes, has_fp8)
    if device != "cpu" and torch.backends.mps.is_available():
        return Hardware("mps", "Apple GPU", _memory_gb(), cores, False, processes)
    return Hardware("cpu", f"CPU with {_count(cores, 'core')}", _memory_gb(), cores, _cpu_has_bf16(), processes)


def _cores() -> int:
    if hasattr(os, "sched_getaffinity"):  # Linux: what this process may use, not what the machine has
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def _memory_gb() -> float:
    installed = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30
    limit = Path("/sys/fs/cgroup/memory.max")  # of a container; going over it ends the process
    text = limit.read_text().strip() if limit.is_file() else "max"
    return min(installed, int(text) / 2**30) if text.isdigit() else installed


def _cpu_has_bf16() -> bool:
    import torch

    # torch has no public question for this; without the instructions bf16 is emulated, and slower than fp32.
    asks = [getattr(torch.cpu, name, None) for name in ("_is_avx512_bf16_supported", "_is_amx_tile_supported")]
    return any(ask() for ask in asks if ask is not None)


def defaults_for(hardware: Hardware, size: str | None = None) -> Layer:
    """Defaults for `hardware`, for a model of `size`, or of the size that suits it."""
    layer: Layer = {"train.device": ("auto", f"hardware: {hardware.name}")}
    if size is None:
        size, why = _size(hardware)
        layer["model.size"] = (size, why)
    layer["train.mixed_precision"] = _precision(hardware)
    layer["data.max_batch_frames"] = frames, _ = _batch_frames(hardware, size)
    layer["train.batch_size"] = _batch_size(hardware, frames)
    layer["data.num_workers"] = _workers(hardware)
    if hardware.kind == "cpu":
        # accelerate launch sets OMP_NUM_THREADS to 1, which trains at two thirds of the speed on two cores.
        threads = max(1, hardware.cores // hardware.processes)
        layer["train.cpu_threads"] = (threads, f"hardware: {_count(hardware.cores, 'core')}")
    pool = max(POOL_BATCHES, POOL_UTTERANCES // layer["train.batch_size"][0])
    layer["data.pool_batches"] = (pool, f"hardware: {POOL_UTTERANCES} utterances, or {POOL_BATCHES} batches")
    return layer


def check_precision(precision: str, hardware: Hardware, reason: str) -> None:
    """Raises UserError for a precision that the device does not have, and might silently leave out."""
    if precision == "fp16" and hardware.kind != "cuda":
        raise UserError(
            f"train.mixed_precision is fp16 ({reason}) and the device is {hardware.name}, which would "
            "silently train in fp32; expected bf16 or no."
        )
    if precision == "fp8" and not hardware.fp8:
        raise UserError(
            f"train.mixed_precision is fp8 ({reason}) and the device is {hardware.name}; expected an NVIDIA GPU of "
            "compute capability 8.9 or newer (Ada, Hopper, Blackwell). Give --mixed-precision bf16, or leave it out."
        )
    if precision == "fp8" and importlib.util.find_spec("torchao") is None:
        raise UserError(
            f"train.mixed_precision is fp8 ({reason}) and the package torchao is not installed. Run "
            'pip install -e ".[fp8]", or give --mixed-precision bf16.'
        )


def _size(hardware: Hardware) -> tuple[str, str]:
    if hardware.kind != "cuda":
        return "tiny", f"hardware: no CUDA GPU ({hardware.name})"
    size = next(size for least_gb, size in SIZE_FOR_GPU_GB if hardware.memory_gb >= least_gb)
    return size, f"hardware: {_memory(hardware)}"


def _precision(hardware: Hardware) -> tuple[str, str]:
    if hardware.bf16:
        return (
            "bf16",
            f"hardware: native on this {hardware.kind.upper() if hardware.kind == 'cpu' else 'GPU'}",
        )
    if hardware.kind == "cuda":
        return "fp16", f"hardware: {hardware.name} has no native bf16"
    return "no", f"hardware: no native bf16 on {hardware.name}"


def _batch_frames(hardware: Hardware, size: str) -> tuple[int, str]:
    memory_gb = hardware.memory_gb if hardware.kind == "cuda" else hardware.memory_gb / hardware.processes
    free_gb = max(0.0, memory_gb * USABLE_MEMORY - MODEL_GB[size])
    frames = int(free_gb * FRAMES_PER_GB[size]) // 1000 * 1000
    frames = min(max(frames, MIN_BATCH_FRAMES), MAX_BATCH_FRAMES[hardware.kind])
    return frames, f"hardware: {_memory(hardware)}, size {size}"


def _batch_size(hardware: Hardware, frames: int) -> tuple[int, str]:
    if hardware.kind != "cuda":
        return CPU_BATCH, f"hardware: {hardware.name}"
    fits = max(1, frames // FRAMES_PER_UTTERANCE)
    power_of_two = 1 << (fits.bit_length() - 1)
    return min(power_of_two, MAX_BATCH), f"hardware: {_memory(hardware)}"


def _workers(hardware: Hardware) -> tuple[int, str]:
    share = max(1, hardware.cores // hardware.processes)
    shared = f" for {hardware.processes} processes" if hardware.processes > 1 else ""
    workers = min(max(1, share - 1), MAX_WORKERS)
    return workers, f"hardware: {_count(hardware.cores, 'core')}{shared}, the rest for training"


def _memory(hardware: Hardware) -> str:
    shared = f" for {hardware.processes} processes" if hardware.processes > 1 and hardware.kind != "cuda" else ""
    return f"{hardware.memory_gb:.0f} GB{shared}"


def _count(number: int, noun: str) -> str:
    return f"{number} {noun}" + ("" if number == 1 else "s")

"""Defaults for machines, most of which are not at hand, and what this one says of itself."""

import os
from types import SimpleNamespace

import pytest
import torch

from data_pipeline.errors import UserError
from training.config.fields import FIELDS, coerce
from training.config.hardware import Hardware, check_precision, defaults_for, detect

LAPTOP = Hardware("cpu", "CPU with 2 cores", 8.0, 2, bf16=False)
SERVER_CPU = Hardware("cpu", "CPU with 64 cores", 256.0, 64, bf16=True)
T4 = Hardware("cuda", "T4", 14.7, 8, bf16=False)
A100 = Hardware("cuda", "A100", 79.0, 32, bf16=True)
SMALL_GPU = Hardware("cuda", "GPU", 4.0, 4, bf16=False)
MAC = Hardware("mps", "Apple GPU", 16.0, 8, bf16=False)
H100 = Hardware("cuda", "H100", 79.0, 32, bf16=True, fp8=True)
ALL = [LAPTOP, SERVER_CPU, T4, A100, SMALL_GPU, MAC, H100]


def chosen(hardware, size=None):
    return {key: value for key, (value, _) in defaults_for(hardware, size).items()}


@pytest.mark.parametrize(
    ("hardware", "size", "precision", "workers"),
    [
        (LAPTOP, "tiny", "no", 1),  # the other core trains
        (SERVER_CPU, "tiny", "bf16", 16),
        (T4, "normal", "fp16", 7),
        (A100, "normal", "bf16", 16),
        (SMALL_GPU, "tiny", "fp16", 3),
        (MAC, "tiny", "no", 7),
    ],
)
def test_size_precision_and_workers_follow_the_machine(hardware, size, precision, workers):
    values = chosen(hardware)
    assert values["model.size"] == size
    assert values["train.mixed_precision"] == precision
    assert values["data.num_workers"] == workers


@pytest.mark.parametrize("hardware", ALL, ids=lambda hardware: hardware.name)
@pytest.mark.parametrize("size", ["debug", "tiny", "small", "normal", "big"])
def test_every_default_is_valid_and_has_its_reason(hardware, size):
    layer = defaults_for(hardware, size)
    assert "model.size" not in layer
    for key, (value, reason) in layer.items():
        assert key in FIELDS and coerce(key, value, reason) == value
        assert reason.startswith("hardware: ")
    assert layer["data.max_batch_frames"][0] >= 1900  # 20 s at the most frames per second of all presets


def test_larger_models_and_smaller_memories_get_smaller_batches():
    assert chosen(A100, "tiny")["data.max_batch_frames"] > chosen(A100, "big")["data.max_batch_frames"]
    assert chosen(A100, "big")["data.max_batch_frames"] > chosen(T4, "big")["data.max_batch_frames"]
    assert chosen(A100, "normal")["train.batch_size"] > chosen(T4, "normal")["train.batch_size"]


def test_processes_share_cores_and_the_memory_of_a_cpu():
    alone = Hardware("cpu", "CPU", 16.0, 8, bf16=True)
    shared = Hardware("cpu", "CPU", 16.0, 8, bf16=True, processes=4)
    assert chosen(alone)["data.num_workers"] == 7
    assert chosen(shared)["data.num_workers"] == 1
    assert chosen(shared)["data.max_batch_frames"] < chosen(alone)["data.max_batch_frames"]


def test_this_machine_as_a_cpu():
    hardware = detect("cpu")
    assert hardware.kind == "cpu"
    assert 1 <= hardware.cores <= os.cpu_count()
    assert 0.1 < hardware.memory_gb < 100_000


def test_one_core_when_only_one_is_allowed(monkeypatch):
    monkeypatch.setattr(os, "sched_getaffinity", lambda pid: {3}, raising=False)
    assert detect("cpu").cores == 1
    assert detect("cpu").name == "CPU with 1 core"


def test_processes_come_from_the_launcher(monkeypatch):
    monkeypatch.setenv("LOCAL_WORLD_SIZE", "3")
    assert detect("cpu").processes == 3


def test_a_launch_on_the_cpu_stays_there(monkeypatch):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setenv("ACCELERATE_USE_CPU", "true")
    assert detect("auto").kind == "cpu"


def test_a_gpu_asked_for_and_absent_is_an_error(monkeypatch):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    with pytest.raises(UserError, match="A GPU was asked for"):
        detect("cuda")


@pytest.mark.parametrize("hardware", ALL, ids=lambda hardware: hardware.name)
def test_the_precision_by_default_is_one_that_the_machine_has(hardware):
    check_precision(chosen(hardware)["train.mixed_precision"], hardware, "default")


@pytest.mark.parametrize(
    ("capability", "has_fp8"), [((7, 5), False), ((8, 0), False), ((8, 6), False), ((8, 9), True), ((9, 0), True)]
)
def test_fp8_and_bf16_follow_the_compute_capability(capability, has_fp8, monkeypatch):
    major, minor = capability
    gpu = SimpleNamespace(name="GPU", total_memory=2**34, major=major, minor=minor)
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 1)
    monkeypatch.setattr(torch.cuda, "get_device_properties", lambda index: gpu)
    found = detect("cuda")
    assert (found.bf16, found.fp8) == (major >= 8, has_fp8)


def test_fp8_is_refused_where_it_cannot_be(monkeypatch):
    for hardware in (LAPTOP, T4, A100, MAC):
        with pytest.raises(UserError, match=f"fp8 .by hand. and the device is {hardware.name}; expected an NVIDIA GPU"):
            check_precision("fp8", hardware, "by hand")
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    with pytest.raises(UserError, match=r"torchao is not installed. Run pip install -e \"\.\[fp8\]\""):
        check_precision("fp8", H100, "by hand")
    monkeypatch.setattr("importlib.util.find_spec", lambda name: name)
    check_precision("fp8", H100, "by hand")


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA GPU")
def test_this_machine_as_a_gpu():
    hardware = detect("cuda")
    assert hardware.kind == "cuda"
    assert hardware.memory_gb == pytest.approx(torch.cuda.mem_get_info()[1] / 2**30, rel=0.05)
    assert hardware.bf16 == torch.cuda.is_bf16_supported(including_emulation=False)

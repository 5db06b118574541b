"""The search as a Triton kernel against the one in numpy, in Triton's interpreter: no GPU is needed.

Shapes: B utterances, N decoder steps, S tokens.
"""

import os
import subprocess
import sys
import types
import warnings
from importlib import import_module

import pytest
import torch

from modeling import aligner
from modeling.aligner import NO_PATH, monotonic_search, search_on
from testing.small_runs import ROOT

# A process of its own: whether Triton interprets is settled when it is first imported.
INTERPRET = """
import sys
import torch
from modeling.triton_search import search
cases = torch.load(sys.argv[1], weights_only=True)
torch.save({name: search(*case) for name, case in cases.items()}, sys.argv[2])
"""
# Name -> (B, N, S), the largest of a batch of random lengths.
SHAPES = {
    "short": (4, 9, 5),
    "one_token": (2, 7, 1),
    "one_step": (2, 1, 1),
    "a_word_of_moves_and_one": (2, 33, 6),
    "two_words_of_moves": (1, 64, 40),
    "as_many_tokens_as_steps": (2, 12, 12),
    "more_tokens_than_a_warp_has": (2, 150, 130),
}


def scores(batch: int, steps: int, tokens: int) -> torch.Tensor:
    return (2 * torch.randn(batch, steps, tokens)).log_softmax(-1)


def cases() -> dict[str, tuple[torch.Tensor, torch.Tensor, torch.Tensor]]:
    """Name -> scores [B, N, S], tokens [B], steps [B]."""
    torch.manual_seed(0)
    made = {}
    for name, (batch, steps, tokens) in SHAPES.items():
        tokens_B = torch.randint(max(1, tokens // 2), tokens + 1, (batch,))
        tokens_B[0] = tokens
        steps_B = tokens_B + (torch.rand(batch) * (steps - tokens_B + 1)).long()
        steps_B[0] = steps
        made[name] = (scores(batch, steps, tokens), tokens_B, steps_B)
    tokens_B, steps_B = torch.tensor([6, 3]), torch.tensor([14, 8])
    made["ties"] = (torch.zeros(2, 14, 6), tokens_B, steps_B)
    made["few_values"] = (torch.randint(-2, 0, (2, 14, 6)).float(), tokens_B, steps_B)
    made["half_precision"] = (scores(2, 14, 6).half(), tokens_B, steps_B)
    made["not_contiguous"] = (scores(2, 6, 14).transpose(1, 2), tokens_B, steps_B)
    for name, value in (("no_path", NO_PATH), ("infinite", -torch.inf), ("no_number", torch.nan)):
        column, step, padding = scores(2, 14, 6), scores(2, 14, 6), scores(2, 14, 6)
        column[:, :, 2], step[:, 5, :4], padding[1, 8:], padding[1, :, 3:] = value, value, value, value
        for where, score_BNS in (("column", column), ("step", step), ("padding", padding)):
            made[f"{name}_{where}"] = (score_BNS, tokens_B, steps_B)
    return made


@pytest.fixture(scope="module")
def interpreted(tmp_path_factory) -> dict[str, torch.Tensor]:
    """The kernel's durations [B, S] of every case."""
    pytest.importorskip("triton")
    given, found = (tmp_path_factory.mktemp("triton") / name for name in ("given.pt", "found.pt"))
    torch.save(cases(), given)
    environment = {**os.environ, "TRITON_INTERPRET": "1", "CUDA_VISIBLE_DEVICES": "", "PYTHONPATH": str(ROOT)}
    command = [sys.executable, "-c", INTERPRET, str(given), str(found)]
    done = subprocess.run(command, env=environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr[-3000:]
    return torch.load(found, weights_only=True)


@pytest.mark.slow
@pytest.mark.parametrize("name", cases())
def test_the_kernel_finds_what_numpy_finds(name, interpreted):
    score_BNS, tokens_B, steps_B = cases()[name]
    expected_BS = monotonic_search(score_BNS, tokens_B, steps_B)
    assert interpreted[name].dtype == expected_BS.dtype
    assert interpreted[name].tolist() == expected_BS.tolist()
    if "no_number" not in name:
        assert interpreted[name].sum(1).tolist() == steps_B.tolist()


@pytest.mark.slow
@pytest.mark.parametrize(("block", "warps"), [(32, 1), (128, 1), (1024, 8)])
@pytest.mark.parametrize("capability", [75, 90])
def test_it_compiles_to_a_gpu_s_machine_code(block, warps, capability, tmp_path, monkeypatch):
    """Which the interpreter, that runs it as Python, does not show; no GPU is needed for it."""
    triton = pytest.importorskip("triton")
    target = pytest.importorskip("triton.backends.compiler").GPUTarget("cuda", capability, 32)
    monkeypatch.setenv("TRITON_CACHE_DIR", str(tmp_path))
    kernel = import_module("modeling.triton_search")._search
    tensors = {"score": "*fp32", "token_count": "*i64", "step_count": "*i64", "best": "*fp32", "moves": "*i32"}
    signature = tensors | {"durations": "*i64", "steps": "i32", "tokens": "i32", "BLOCK": "constexpr"}
    source = triton.compiler.ASTSource(kernel, signature, {(list(signature).index("BLOCK"),): block})
    found = triton.compile(source, target=target, options={"num_warps": warps})
    assert found.asm["cubin"] and found.asm["ptx"].count("bar.sync") == 2  # one a step, one before the way back


def kernel_that(search) -> types.ModuleType:
    """What stands in for modeling.triton_search, so that a CPU counts as a GPU."""
    module = types.ModuleType("modeling.triton_search")
    module.search = search
    return module


@pytest.fixture
def untried():
    search_on.cache_clear()
    yield
    search_on.cache_clear()


def test_without_a_compiler_the_cpu_searches_and_it_is_said_once(untried, monkeypatch):
    def no_compiler(*_):
        raise RuntimeError("Failed to find C compiler.\nSet CC.")

    monkeypatch.setitem(sys.modules, "modeling.triton_search", kernel_that(no_compiler))
    with pytest.warns(UserWarning, match=r"for cpu \(Failed to find C compiler.\): the CPU does it"):
        assert search_on(torch.device("cpu")) is None
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert search_on(torch.device("cpu")) is None


def test_without_triton_the_cpu_searches(untried, monkeypatch):
    monkeypatch.setitem(sys.modules, "modeling.triton_search", None)
    with pytest.warns(UserWarning, match="needs the package triton"):
        assert search_on(torch.device("cpu")) is None


def test_a_gpu_searches_by_itself(untried, monkeypatch):
    """And a CPU never asks for Triton."""
    monkeypatch.setitem(sys.modules, "modeling.triton_search", kernel_that(lambda *_: "the kernel's"))
    on_gpu = types.SimpleNamespace(device=torch.device("cuda", 0))
    monkeypatch.setattr(aligner, "search_on", lambda device: search_on(torch.device("cpu")))
    assert monotonic_search(on_gpu, None, None) == "the kernel's"
    monkeypatch.setattr(aligner, "search_on", None)
    assert monotonic_search(torch.zeros(1, 1, 1), torch.ones(1).long(), torch.ones(1).long()).tolist() == [[1]]

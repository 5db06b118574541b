"""Whether a GPU computes what a CPU does in float32: losses, gradients, the alignment's search and its loss."""

from contextlib import nullcontext

import torch
from torch import Tensor

from benchmarks.speed.gpu.job import LOSS_SHAPE, N_MELS, Bench, Skipped, new_model
from modeling.aligner import forward_sum, search_on, search_on_host
from modeling.losses import SUMS, element_counts, loss_sums
from modeling.model import GoyaForTextToSpeech
from training.setup.precision import fp8_recipe

PRECISIONS = ("fp32", "bf16", "fp16", "fp8")
FP16_SCALE = 2.0**10


def agreement(bench: Bench, found: dict) -> None:
    """Relative errors of losses (the largest) and gradient (its norm); whether a second pass gives the same bits."""
    batch = bench.made_batch(min(4, bench.batch), min(120, bench.frames), min(24, bench.tokens))
    size = bench.sizes[0]
    losses, gradient = _pass(_reference(size), batch, "fp32")
    for precision in PRECISIONS:
        try:
            model = _on_device(bench, size, precision)
        except Skipped as reason:
            found[precision] = {"skipped": str(reason)}
            continue
        on_device = {name: tensor.to(bench.device) for name, tensor in batch.items()}
        own, own_gradient = _pass(model, on_device, precision)
        again, again_gradient = _pass(model, on_device, precision)
        worst = max(abs(one / other - 1) for one, other in zip(own, losses, strict=True))
        found[f"{precision}, losses, relative error"] = worst
        found[f"{precision}, gradient, relative error"] = float((own_gradient - gradient).norm() / gradient.norm())
        found[f"{precision}, twice equal"] = own == again and torch.equal(own_gradient, again_gradient)


def _reference(size: str) -> GoyaForTextToSpeech:
    """On the CPU, and without noise."""
    return new_model(size, torch.device("cpu"), prenet_dropout=0.0).eval()


def _on_device(bench: Bench, size: str, precision: str) -> GoyaForTextToSpeech:
    """The reference's weights there. Raises Skipped."""
    model = _reference(size)
    if precision == "fp16" and not bench.is_gpu:
        raise Skipped("no GPU: torch's fp16 is for those")
    if precision == "fp8":
        if bench.is_gpu and torch.cuda.get_device_capability(bench.device) < (8, 9):
            raise Skipped("a GPU of compute capability below 8.9")
        try:
            from torchao.float8 import convert_to_float8_training
        except ImportError as error:
            raise Skipped("the package torchao is not installed") from error
        recipe = fp8_recipe(emulate=not bench.is_gpu)
        convert_to_float8_training(model, config=recipe.config, module_filter_fn=recipe.module_filter_func)
    return model.to(bench.device)


def _pass(model: GoyaForTextToSpeech, tensors: dict[str, Tensor], precision: str) -> tuple[list[float], Tensor]:
    """Losses, and the gradient of their sum as one vector in float64 on the CPU."""
    device = tensors["mel"].device.type
    counts = element_counts(tensors["mel_lengths"], N_MELS, LOSS_SHAPE.frames_per_step)
    dtype = torch.float16 if precision == "fp16" else torch.bfloat16
    model.zero_grad()
    with nullcontext() if precision == "fp32" else torch.autocast(device, dtype):
        output = model(**tensors)
    sums = loss_sums(output, tensors, LOSS_SHAPE)
    scaler = torch.amp.GradScaler(device, FP16_SCALE, enabled=precision == "fp16")
    scaler.scale(sum(sums[name] / counts[name] for name in SUMS)).backward()
    scale = scaler.get_scale() if precision == "fp16" else 1.0
    gradients = [
        parameter.grad.flatten().cpu().double() for parameter in model.parameters() if parameter.grad is not None
    ]
    return [sums[name].item() for name in SUMS], torch.cat(gradients) / scale


def alignment(bench: Bench, found: dict) -> None:
    """Milliseconds of the search on host and GPU, of the CTC behind the forward-sum loss, and whether both agree."""
    batch, steps, tokens = bench.batch, bench.frames // 2, bench.tokens
    torch.manual_seed(0)
    score_BNS = (2 * torch.randn(batch, steps, tokens)).log_softmax(-1).to(bench.device)
    tokens_B = torch.randint(max(1, tokens // 2), tokens + 1, (batch,)).to(bench.device)
    steps_B = torch.randint(tokens, steps + 1, (batch,)).to(bench.device)
    given = (score_BNS, tokens_B, steps_B)
    found["search in numpy, ms"] = bench.milliseconds(lambda: search_on_host(*given))
    leaf_BNS = score_BNS.clone().requires_grad_()
    found["CTC, forward and backward, ms"] = bench.milliseconds(
        lambda: forward_sum(leaf_BNS, tokens_B, steps_B).sum().backward()
    )
    own_gradient = leaf_BNS.grad / leaf_BNS.grad.abs().max()
    on_cpu_BNS = score_BNS.cpu().requires_grad_()
    forward_sum(on_cpu_BNS, tokens_B.cpu(), steps_B.cpu()).sum().backward()
    reference = on_cpu_BNS.grad / on_cpu_BNS.grad.abs().max()
    found["CTC gradient, largest error"] = float((own_gradient.cpu() - reference).abs().max())
    if not bench.is_gpu:
        found["search in Triton"] = {"skipped": "no GPU: Triton is for those"}
        return
    search = search_on(bench.device)
    if search is None:
        found["search in Triton"] = {"skipped": "it could not be built (a warning above says why)"}
        return
    found["search in Triton, ms"] = bench.milliseconds(lambda: search(*given))
    found["search in Triton is numpy's"] = torch.equal(search(*given), search_on_host(*given))
    ties = (torch.zeros_like(score_BNS), tokens_B, steps_B)
    found["search in Triton is numpy's, ties"] = torch.equal(search(*ties), search_on_host(*ties))

"""fp8, emulated: only the transformer layers' products are in it, and they train."""

import pytest
import torch
from accelerate import Accelerator
from torch import nn

from modeling.configuration import SIZES, GoyaConfig
from modeling.model import GoyaForTextToSpeech
from testing import small_runs
from testing.distributed.splits import SHAPES, cut_into_batches, flat, new_model, prepared, reference, step_on
from training.setup.precision import fp8_recipe, is_for_fp8


@pytest.mark.parametrize("size", SIZES)
def test_every_product_of_every_size_has_widths_for_fp8(size):
    with torch.device("meta"):
        model = GoyaForTextToSpeech(GoyaConfig.of_size(size))
    layers = model.config.encoder_layers + model.config.decoder_layers
    chosen = [name for name, module in model.named_modules() if is_for_fp8(module, name)]
    assert len(chosen) == 4 * layers and all(".layers." in name for name in chosen)


def test_other_widths_are_left_alone():
    assert is_for_fp8(nn.Linear(64, 48), "decoder.layers.0.attention.out")
    assert not is_for_fp8(nn.Linear(64, 40), "decoder.layers.0.attention.out")
    assert not is_for_fp8(nn.Linear(72, 64), "decoder.layers.0.attention.out")
    assert not is_for_fp8(nn.Linear(64, 64), "voice_encoder.posterior")


def test_gradients_in_fp8_point_the_same_way():
    pytest.importorskip("torchao", reason='pip install -e ".[dev]"')
    small_runs.forget_accelerator()
    accelerator = Accelerator(cpu=True, mixed_precision="fp8", kwargs_handlers=[fp8_recipe(emulate=True)])
    model = prepared(accelerator)
    assert sum(type(module).__name__ == "Float8Linear" for module in model.modules()) == 16
    losses = step_on(accelerator, model, cut_into_batches(4, []), SHAPES["l1"])
    found, (expected, exact_losses) = flat(model), reference(4, "l1")
    error = float((found - expected).norm() / expected.norm())
    assert 0.02 < error < 0.15, "bf16's is 0.01, fp8's was 0.05"
    assert losses == pytest.approx(exact_losses, rel=5e-3)
    # What is saved is what any precision loads.
    weights, plain = model.state_dict(), new_model().state_dict()
    assert all(torch.equal(weights[name], tensor) for name, tensor in plain.items()) and weights.keys() == plain.keys()

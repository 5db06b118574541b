"""Which parameters are matrices, whose rate scales with the width and which decay; the rest keeps the level's rate."""

import pytest
import torch

from modeling.configuration import SIZES, GoyaConfig
from modeling.model import GoyaForTextToSpeech
from training.config.fields import OptimConfig
from training.setup.optimizer import build_optimizer, is_matrix

CONFIG = OptimConfig(lr=4e-4, lr_vector=1e-4, weight_decay=0.1, betas=(0.8, 0.9), eps=1e-7)


@pytest.fixture(scope="module")
def model() -> GoyaForTextToSpeech:
    return GoyaForTextToSpeech(GoyaConfig.of_size("debug"))


def test_every_parameter_is_in_one_group(model):
    groups = build_optimizer(model, CONFIG, torch.device("cpu")).param_groups
    grouped = [parameter for group in groups for parameter in group["params"]]
    assert {id(parameter) for parameter in grouped} == {id(parameter) for parameter in model.parameters()}
    assert len(grouped) == len(list(model.parameters()))
    matrices, vectors = groups
    assert (matrices["lr"], matrices["peak_lr"], matrices["weight_decay"]) == (4e-4, 4e-4, 0.1)
    assert (vectors["lr"], vectors["peak_lr"], vectors["weight_decay"]) == (1e-4, 1e-4, 0.0)
    assert matrices["betas"] == (0.8, 0.9) and matrices["eps"] == 1e-7


def test_matrices_are_what_multiplies_features(model):
    """By the kind of module, not by name: linear maps and convolutions; not embeddings, norms, biases."""
    kinds = {name: module for name, module in model.named_modules()}
    for name, parameter in model.named_parameters():
        owner, _, leaf = name.rpartition(".")
        multiplies = isinstance(kinds[owner], torch.nn.Linear | torch.nn.Conv1d) and leaf == "weight"
        assert is_matrix(name, parameter) == multiplies, name


def test_frozen_parameters_are_left_out(model):
    model.decoder.end.weight.requires_grad_(False)
    grouped = [p for group in build_optimizer(model, CONFIG, torch.device("cpu")).param_groups for p in group["params"]]
    model.decoder.end.weight.requires_grad_(True)
    assert len(grouped) == len(list(model.parameters())) - 1


def test_only_matrices_decay():
    model = torch.nn.Sequential(torch.nn.Linear(3, 2))
    optimizer = build_optimizer(model, CONFIG, torch.device("cpu"))
    weight = model[0].weight.detach().clone()
    bias = model[0].bias.detach().clone()
    for parameter in model.parameters():
        parameter.grad = torch.zeros_like(parameter)
    optimizer.step()
    assert torch.allclose(model[0].weight, weight * (1 - 4e-4 * 0.1)) and torch.equal(model[0].bias, bias)


def test_the_reference_width_is_there():
    assert SIZES["normal"]["hidden_size"] == 1024

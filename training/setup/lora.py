"""Low-rank adaptation (Hu et al. 2021) by peft: beside each matrix W of attention and feed-forward B A trains, not W.

What speaks is W + B A, one matrix under W's own name, so that nothing but training needs peft. A checkpoint keeps,
beside that, W, A and B as they are.
"""

import importlib.util

from torch import Tensor

from data_pipeline.errors import UserError
from modeling.model import GoyaForTextToSpeech
from training.setup.freezing import EMBEDDING

MATRICES = r".*\.(attention|feed_forward)\.(qkv|out|gate_and_value)"
BASE, DOWN, UP = ".base_layer.weight", ".lora_A.default.weight", ".lora_B.default.weight"  # as peft names W, A and B


def require() -> None:
    """Raises UserError where the extra is missing."""
    if importlib.util.find_spec("peft") is None:
        raise UserError('--lora-rank needs peft, which is not installed: run pip install -e ".[lora]".')


def add_adapters(model: GoyaForTextToSpeech, rank: int) -> None:
    """Adapters of `rank`, which give nothing at first (B = 0). They train, and the embedding of the text, where a new
    language has its tokens; all else stays as it is."""
    from peft import LoraConfig, inject_adapter_in_model

    # lora_alpha = r: B A counts as it is, so that `merged` needs no further number.
    inject_adapter_in_model(LoraConfig(r=rank, lora_alpha=rank, target_modules=MATRICES), model)
    model.get_parameter(EMBEDDING).requires_grad_(True)


def merged(weights: dict[str, Tensor]) -> dict[str, Tensor]:
    """W + B A under W's name for each adapted matrix, all others as they are; a model without adapters unchanged."""
    plain = {name: weight for name, weight in weights.items() if not is_adapter(name)}
    for name, base in weights.items():
        if name.endswith(BASE):
            matrix = name.removesuffix(BASE)
            plain[f"{matrix}.weight"] = base + weights[matrix + UP] @ weights[matrix + DOWN]
    return plain


def begun_at_merged(weights: dict[str, Tensor]) -> dict[str, Tensor]:
    """The tensors that a model as `merged` makes it is read into; the adapters then give nothing, as at first."""
    plain = {name: weight for name, weight in weights.items() if not is_adapter(name)}
    for name, weight in weights.items():
        if name.endswith(BASE):
            plain[f"{name.removesuffix(BASE)}.weight"] = weight
        elif name.endswith(UP):
            weight.zero_()
    return plain


def adapters(weights: dict[str, Tensor]) -> dict[str, Tensor]:
    """W, A and B of each adapted matrix."""
    return {name: weight for name, weight in weights.items() if is_adapter(name)}


def has_adapters(model: GoyaForTextToSpeech) -> bool:
    return any(is_adapter(name) for name, _ in model.named_parameters())


def is_adapter(name: str) -> bool:
    return name.endswith((BASE, DOWN, UP))

"""fp8 for the products of the transformer layers (torchao, through accelerate); everything else as in bf16."""

from accelerate.utils import AORecipeKwargs
from torch import nn

WIDTH_MULTIPLE = 16  # of fp8 matrix products: torch._scaled_mm


def fp8_recipe(emulate: bool = False) -> AORecipeKwargs:
    """One scale for each tensor and step; formats as in Micikevicius et al. 2022. `emulate`: on any device, for tests.

    The package torchao has to be there (training.config.hardware.check_precision).
    """
    from torchao.float8 import Float8LinearConfig

    # Rows are utterances times positions, any number of them: the gradient of a weight sums over rows, padded to 16.
    config = Float8LinearConfig(pad_inner_dim=True, emulate=emulate)
    return AORecipeKwargs(config=config, module_filter_func=is_for_fp8)


def is_for_fp8(module: nn.Module, name: str) -> bool:
    """Attention and feed-forward of the transformer layers, where nearly all products are.

    What goes in and comes out of the network, the aligner and the voice's Gaussian stay out of it.
    """
    if not isinstance(module, nn.Linear) or not {"attention", "feed_forward"} & set(name.split(".")):
        return False
    return module.in_features % WIDTH_MULTIPLE == 0 and module.out_features % WIDTH_MULTIPLE == 0

"""What of a stranger's config.json is read."""

import inspect

import pytest

from data_pipeline.errors import UserError
from inference.checked_model import CONFIG, checked_config
from modeling.configuration import GoyaConfig


def test_every_field_of_the_configuration_is_read():
    """One that is not listed would have its default in every model that is loaded, without a word."""
    known = set(inspect.signature(GoyaConfig.__init__).parameters) - {"self", "kwargs"}
    assert known == set(CONFIG) | {"audio", "voices", "detail_gains", "time_detail_gains"}


@pytest.mark.parametrize(
    "value", [10**400, -(10**400), float("nan"), float("inf"), True, "80"], ids=lambda v: str(v)[:5]
)
def test_a_number_that_no_model_has_is_a_message(value):
    with pytest.raises(UserError, match="n_mels"):
        checked_config({"model_type": "goya", "n_mels": value}, "theirs")

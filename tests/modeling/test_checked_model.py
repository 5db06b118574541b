"""What of a stranger's config.json is read."""

import inspect

from modeling.checked_model import CONFIG
from modeling.configuration import GoyaConfig


def test_every_field_of_the_configuration_is_read():
    """One that is not listed would have its default in every model that is loaded, without a word."""
    known = set(inspect.signature(GoyaConfig.__init__).parameters) - {"self", "kwargs"}
    assert known == set(CONFIG) | {"audio", "voices", "detail_gains", "time_detail_gains"}

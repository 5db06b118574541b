from tests.small_model import alone, batch, model  # noqa: F401

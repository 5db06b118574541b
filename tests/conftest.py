"""For every test: one thread, no network, signals as in a terminal; and the way to the embedded corpus."""

import os
import signal
from pathlib import Path

# Before torch and huggingface_hub read them.
os.environ.update(OMP_NUM_THREADS="1", HF_HUB_OFFLINE="1", HF_DATASETS_OFFLINE="1")

import pytest
import torch

from data_pipeline.reading import sources

torch.set_num_threads(1)
# What a shell starts in the background ignores some signals, and so would the runs that tests start and then stop.
signal.signal(signal.SIGINT, signal.default_int_handler)
signal.signal(signal.SIGHUP, signal.SIG_DFL)
sources.REPOSITORY = Path("/nowhere/goya")  # the corpus that may lie beside this clone is no test's


@pytest.fixture(scope="session")
def demo_corpus() -> Path:
    """The folder of the embedded corpus: parquet files of real recordings with transcripts."""
    return Path(__file__).parents[1] / "assets" / "demo_corpus"

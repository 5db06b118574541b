"""Another pace on a device without float64; what it sounds like is in test_generation.py."""

import pytest
import torch

from inference.tempo import mel_at
from testing.no_float64 import gpu_without_float64


def test_a_mel_is_read_off_where_there_is_no_float64():
    with gpu_without_float64() as gpu:
        faster = mel_at(torch.empty(30, 80, device=gpu), 1.5, 2)
        assert faster.shape == (20, 80) and faster.device == gpu and faster.dtype == torch.float32
        with pytest.raises(TypeError, match="gave float64 on cuda:0"):
            faster.double()

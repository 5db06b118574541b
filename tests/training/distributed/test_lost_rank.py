"""Which errors are those of a lost rank, and what is said of them."""

import pytest
import torch

from training.config.arguments import parse
from training.config.fields import CheckpointConfig, RunConfig
from training.distributed.lost_rank import LostRank, telling_of_lost_ranks

CLOSED = "[/pytorch/third_party/gloo/gloo/transport/tcp/pair.cc:547] Connection closed by peer [127.0.0.1]:420"
SILENT = "[/pytorch/third_party/gloo/gloo/transport/tcp/unbound_buffer.cc:81] Timed out waiting 600000ms for recv"
NCCL = "NCCL error in: ProcessGroupNCCL.cpp:3690, remote process exited or there was a network error\nncclRemoteError"
MISMATCH = "[enforce fail at /pytorch/third_party/gloo/gloo/transport/tcp/pair.cc:456] op.preamble.length <= op.nbytes"


def told(error: Exception, config: RunConfig | None = None) -> str:
    with pytest.raises(LostRank) as caught, telling_of_lost_ranks(config or RunConfig()):
        raise error
    return str(caught.value)


@pytest.mark.parametrize(
    ("error", "why"),
    [
        (RuntimeError(CLOSED), "(Connection closed by peer [127.0.0.1]:420)"),
        (RuntimeError(SILENT), "(Timed out waiting 600000ms for recv)"),
        (torch.distributed.DistBackendError(NCCL), "remote process exited or there was a network error)"),
        (torch.distributed.DistNetworkError("The client socket has timed out"), "(The client socket has timed out)"),
    ],
)
def test_errors_of_the_backend_are_told(error, why, monkeypatch):
    monkeypatch.setenv("RANK", "3")
    message = told(error)
    assert message.startswith("Rank 3 lost another process of this run (") and why in message
    assert "runs/goya/checkpoints" in message and "\n" not in message


def test_a_run_that_was_to_start_over_is_told_not_to():
    message = told(RuntimeError(CLOSED), RunConfig(checkpoint=CheckpointConfig(reset=True)))
    assert "The same command, without --reset-training, goes on" in message


def test_a_debug_run_is_told_to_resume_as_it_is():
    """Its model is of another size than the command without --debug makes."""
    message = told(RuntimeError(CLOSED), parse(["--train-data", "corpus", "--debug", "--device", "cpu"])[0])
    assert "The same command with --resume goes on" in message


@pytest.mark.parametrize("error", [RuntimeError(MISMATCH), RuntimeError("expected m1 and m2"), ValueError(CLOSED)])
def test_other_errors_stay_what_they_are(error):
    with pytest.raises(type(error)) as caught, telling_of_lost_ranks(RunConfig()):
        raise error
    assert caught.value is error

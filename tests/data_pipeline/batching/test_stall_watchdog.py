"""Data that does not come: said once, then an error, wherever it is waited for; other signals work on."""

import multiprocessing
import os
import signal
import threading
from contextlib import suppress

import pytest

from data_pipeline.batching.features import FeatureMaker
from data_pipeline.batching.loader import Loader
from data_pipeline.batching.plan import Limits, Plan
from data_pipeline.batching.stall_watchdog import Stalled, StallWatchdog
from data_pipeline.errors import UserError
from data_pipeline.recordings.audio import AudioConfig
from testing import small_runs

LIMITS = Limits(batch_size=4, max_batch_frames=600, pool_batches=3)


@pytest.fixture(autouse=True)
def as_before(monkeypatch):
    """Signals are as they were, and this process did not learn of a stall, so that it ends as others do."""
    monkeypatch.setattr(Stalled, "happened", False)
    before = signal.getsignal(signal.SIGALRM), signal.getsignal(signal.SIGTERM), signal.pthread_sigmask(0, [])
    yield
    after = signal.getsignal(signal.SIGALRM), signal.getsignal(signal.SIGTERM), signal.pthread_sigmask(0, [])
    assert after == before and signal.getitimer(signal.ITIMER_REAL) == (0.0, 0.0)


@pytest.fixture
def fifo(tmp_path) -> str:
    """What nobody ever writes to."""
    os.mkfifo(tmp_path / "fifo")
    return str(tmp_path / "fifo")


def wait_for(path: str) -> None:
    with open(path, "rb"):
        pass


def test_a_wait_in_time_is_no_matter(capfd):
    with StallWatchdog("it", 60).waiting(str):
        pass
    assert capfd.readouterr().err == ""


def test_a_stall_is_said_once_and_ends(fifo, capfd):
    with pytest.raises(Stalled, match=r"No data came for 0.005 minutes .*from the disk \(at 3\).*the last checkpoint"):
        with StallWatchdog("the disk", 0.3, notice_s=0.1).waiting(lambda: "at 3"):
            wait_for(fifo)
    assert issubclass(Stalled, UserError)
    assert capfd.readouterr().err.count("Waiting for data since 0.1 s: the disk (at 3); the run ends after") == 1


def test_a_wait_that_swallows_the_end_ends_all_the_same(fifo):
    """As libraries do that call back from C."""
    with pytest.raises(Stalled):
        with StallWatchdog("it", 0.1).waiting(str):
            for _ in range(2):
                with suppress(BaseException):
                    wait_for(fifo)


def test_other_signals_are_heard_while_waiting(fifo, monkeypatch):
    heard = []
    before = signal.signal(signal.SIGTERM, lambda number, frame: heard.append(number))
    with pytest.raises(Stalled):
        with StallWatchdog("it", 0.3).waiting(str):
            threading.Timer(0.1, os.kill, (os.getpid(), signal.SIGTERM)).start()
            wait_for(fifo)
    signal.signal(signal.SIGTERM, before)
    assert heard == [signal.SIGTERM]


def test_another_thread_waits_without_it():
    done = []

    def wait():
        with StallWatchdog("it", 60).waiting(str):
            done.append(signal.getitimer(signal.ITIMER_REAL))

    thread = threading.Thread(target=wait)
    thread.start()
    thread.join()
    assert done == [(0.0, 0.0)]


class BlockedSource:
    """The small corpus, of which no row comes after the first ten."""

    def __init__(self, fifo: str):
        self.source, self.fifo, self.read = small_runs.source(), fifo, 0

    def rows(self):
        return self.source.rows()

    def to_utterance(self, row):
        self.read += 1
        if self.read > 10:
            wait_for(self.fifo)
        return self.source.to_utterance(row)


class BlockedMaker(FeatureMaker):
    """Decoding that waits for a recording."""

    def __call__(self, utterance):
        wait_for(os.environ["FIFO"])


def loader(source, make, num_workers: int) -> Loader:
    plan = Plan(source, AudioConfig(), LIMITS, shuffle_buffer=10)
    return Loader(plan, make(AudioConfig(), 2), StallWatchdog("it", 0.5), num_workers=num_workers)


@pytest.mark.parametrize("num_workers", [0, 2])
def test_rows_that_do_not_come(num_workers, fifo):
    one = loader(BlockedSource(fifo), FeatureMaker, num_workers)
    with pytest.raises(Stalled, match=r"in epoch 1, \d+ rows read"):
        list(one.epoch(one.plan.start(0)))
    assert multiprocessing.active_children() == []


@pytest.mark.parametrize("num_workers", [0, 2])
def test_recordings_that_do_not_come(num_workers, fifo, monkeypatch):
    monkeypatch.setenv("FIFO", fifo)
    one = loader(small_runs.source(), BlockedMaker, num_workers)
    with pytest.raises(Stalled, match=f"in epoch 1, {small_runs.ROWS if num_workers else 12}.* rows read"):
        list(one.epoch(one.plan.start(0)))
    assert multiprocessing.active_children() == []


def test_examples_that_do_not_come(fifo):
    one = loader(BlockedSource(fifo), FeatureMaker, 0)
    with pytest.raises(Stalled, match="choosing examples"):
        list(one.utterances())

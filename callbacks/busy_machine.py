"""Says once when other programs take the CPU that a run on a CPU counts on."""

import time

import psutil
from tqdm import tqdm
from transformers import TrainerCallback

WINDOW_S = 30.0  # shorter ones would speak of a browser that opens a page
SPARE = 0.3  # of a core: what a quiet machine's other programs take


class BusyMachine(TrainerCallback):
    """A step waits for the slowest of its threads, and threads that wait spin: two of them beside one busy program can
    take longer than one alone.

    Args:
        processes: of the run. Those that a launcher started count as the run's own, with what loads their data.
        threads: in which each of them computes.
    """

    def __init__(self, processes: int, threads: int, window_s: float = WINDOW_S):
        self.threads, self.window_s = processes * threads, window_s
        mine = psutil.Process()
        self.root = mine if processes == 1 else mine.parent()
        self.told = False

    def on_train_begin(self, args, state, control, **kwargs):
        self.mark = self._mark()

    def on_step_end(self, args, state, control, **kwargs):
        if self.told or not state.is_world_process_zero or time.monotonic() - self.mark[0] < self.window_s:
            return
        others, cores = self.others(), psutil.cpu_count()
        if cores - others + SPARE < min(self.threads, cores):
            self.told = True
            tqdm.write(
                f"Other programs take {others:.1f} of this machine's {cores} cores, of which the run computes on "
                f"{self.threads}: steps take far longer than on a quiet machine. Close them, or stop the run and go on "
                f"with --set train.cpu_threads={max(1, int(cores - others + SPARE))}."
            )

    def others(self) -> float:
        """How many cores other programs have kept busy since this was last asked."""
        before, self.mark = self.mark, self._mark()
        seconds, busy, own = (now - then for now, then in zip(self.mark, before, strict=True))
        return max(0.0, busy - own) / seconds

    def _mark(self) -> tuple[float, float, float]:
        """Seconds: the clock, those that all cores have worked, and those that the run has."""
        times = psutil.cpu_times()
        waited = times.idle + getattr(times, "iowait", 0.0)
        return time.monotonic(), sum(_parts(times)) - waited, sum(map(_seconds, self._processes()))

    def _processes(self) -> list[psutil.Process]:
        return [self.root, *self.root.children(recursive=True)]


def _parts(times) -> list[float]:
    """Linux counts what a guest takes in user and nice already."""
    return [value for name, value in times._asdict().items() if not name.startswith("guest")]


def _seconds(process: psutil.Process) -> float:
    """What a process has worked, with its children that have ended."""
    try:
        times = process.cpu_times()
    except psutil.NoSuchProcess:  # ended since it was listed: counted with its parent's children the next time
        return 0.0
    return times.user + times.system + getattr(times, "children_user", 0.0) + getattr(times, "children_system", 0.0)

"""A bar with the time left, step time, frames a second and each loss; plain lines where there is no terminal."""

import sys
import time
from collections.abc import Callable

from tqdm import tqdm
from transformers import TrainerCallback, TrainerState

from training.loop.length import Ahead

LINE_EVERY_S = 15.0


class Progress(TrainerCallback):
    """`ahead` answers with the way to the end as it is known at a state."""

    def __init__(self, ahead: Callable[[TrainerState], Ahead]):
        self.ahead = ahead
        self.bar = None
        self.line_at = self.frames = self.steps = 0
        self.mark = time.monotonic()

    def on_train_begin(self, args, state, control, **kwargs):
        self.mark = self.line_at = self.begun_at = time.monotonic()
        self.first_step = state.global_step
        if state.is_world_process_zero and sys.stderr.isatty():
            self.bar = tqdm(initial=state.global_step, unit="step", dynamic_ncols=True)

    def on_step_end(self, args, state, control, frames=0, **kwargs):
        self.frames += frames
        self.steps += 1
        if self.bar is not None:
            self.bar.total = self.ahead(state).steps  # from which the bar tells the time left
            self.bar.update(state.global_step - self.bar.n)

    def on_log(self, args, state, control, logs=None, **kwargs):
        now = time.monotonic()
        seconds = now - self.mark
        if "loss" not in logs or not self.steps or seconds <= 0:
            return
        logs["step_s"], logs["frames_per_s"] = seconds / self.steps, self.frames / seconds
        shown = {name.removeprefix("loss/"): value for name, value in logs.items() if name.startswith("loss/")}
        text = " ".join(f"{name} {value:.3f}" for name, value in shown.items())
        text += f" | {logs['step_s']:.2f} s/step {logs['frames_per_s']:.0f} frames/s"
        if self.bar is not None:
            where = "" if self.bar.total else f"{self._left(state, now)} | "
            self.bar.set_postfix_str(where + text, refresh=False)
        elif state.is_world_process_zero and (now - self.line_at >= LINE_EVERY_S or state.global_step == 1):
            print(f"{self._where(state, now)} {text}", flush=True)
            self.line_at = now
        self.mark, self.frames, self.steps = now, 0, 0

    def _where(self, state, now: float) -> str:
        ahead = self.ahead(state)
        steps = "?" if ahead.steps is None else f"{'about ' if ahead.roughly else ''}{ahead.steps}"
        return f"step {state.global_step}/{steps} ({self._left(state, now)})"

    def _left(self, state, now: float) -> str:
        """The time left by the pace so far, evaluations and samples included, or by the minutes that were given."""
        ahead = self.ahead(state)
        if ahead.steps is None:
            return f"{_duration(ahead.most_s)} left" if ahead.most_s else "time left: known after the first epoch"
        pace_s = (now - self.begun_at) / (state.global_step - self.first_step)
        left_s = min((ahead.steps - state.global_step) * pace_s, ahead.most_s or float("inf"))
        return f"{'about ' if ahead.roughly else ''}{_duration(left_s)} left"

    def on_evaluate(self, args, state, control, metrics=None, **kwargs):
        if state.is_world_process_zero:
            text = " ".join(f"{name.removeprefix('eval_')} {value:.4f}" for name, value in metrics.items())
            tqdm.write(f"step {state.global_step} validation: {text}")
            sys.stdout.flush()

    def on_train_end(self, args, state, control, **kwargs):
        if self.bar is not None:
            self.bar.close()


def _duration(seconds: float) -> str:
    minutes, seconds = divmod(int(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02d}:{seconds:02d}" if hours else f"{minutes}:{seconds:02d}"

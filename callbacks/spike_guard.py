"""A loss or gradient that jumps, or is not a number, does not reach the weights."""

import math

from transformers import TrainerCallback
from transformers.trainer_callback import ExportableState

from training.loop.control import Diverged


class SpikeGuard(TrainerCallback, ExportableState):
    """Skips an update whose gradient norm or loss is not finite or far above its running mean.

    "Far" is `factor` times the running mean of the logarithm, after `settle_steps` steps. `patience` skips in a row, or
    more than half of the last `window` updates, ask for a roll-back to the last good checkpoint; more than `roll_backs`
    of those end the run. Without `detect` only values that are not finite are skipped. What it sees is the same on all
    ranks, and so is its decision. `suspects` of the event names the utterances; it is called on every rank.

    Raises Diverged when the run cannot be saved.
    """

    def __init__(
        self,
        smoothing: float,
        detect: bool,
        factor: float = 4.0,
        patience: int = 3,
        roll_backs: int = 5,
        settle_steps: int = 50,
        window: int = 20,
    ):
        self.smoothing, self.detect, self.factor = smoothing, detect, factor
        self.patience, self.roll_backs, self.settle_steps, self.window = patience, roll_backs, settle_steps, window
        self.mean_log: dict[str, float] = {}
        self.steps = self.in_a_row = self.skipped = self.rolled_back = 0
        self.recent: list[int] = []  # 1 for each of the latest updates that was skipped, else 0

    def on_pre_optimizer_step(self, args, state, control, grad_norm=None, loss=None, suspects=None, **kwargs):
        seen = {"loss": loss, "gradient norm": grad_norm}
        spike = next((name for name, value in seen.items() if self._is_spike(name, value)), None)
        control.should_skip_update = spike is not None
        self.recent = [*self.recent[1 - self.window :], int(spike is not None)]
        if spike is None:
            self.steps += 1
            self.in_a_row = 0
            for name, value in seen.items():
                self._learn(name, value)
            return control
        self.skipped += 1
        self.in_a_row += 1
        named = ", ".join(suspects())  # asks all ranks, so all ranks ask
        if state.is_world_process_zero:
            print(f"Step {state.global_step + 1}: {spike} {seen[spike]:.4g}; update skipped. Utterances: {named}")
        if self.in_a_row >= self.patience or 2 * sum(self.recent) > self.window:
            self._ask_for_roll_back(control)
        return control

    def _is_spike(self, name: str, value: float) -> bool:
        if not math.isfinite(value):
            return True
        settled = self.detect and self.steps >= self.settle_steps
        return settled and math.log(value + 1e-12) > self.mean_log[name] + math.log(self.factor)

    def _learn(self, name: str, value: float) -> None:
        new = math.log(value + 1e-12)
        mean = self.mean_log.get(name, new)
        self.mean_log[name] = mean + self.smoothing * (new - mean)

    def _ask_for_roll_back(self, control) -> None:
        self.in_a_row, self.recent = 0, []
        self.rolled_back += 1
        if self.rolled_back > self.roll_backs:
            raise Diverged(
                f"Training diverged: {self.roll_backs} roll-backs to the last good checkpoint, each with a lower "
                "rate, did not help. The utterances named above are the place to look; then try a lower --lr, or "
                "--mixed-precision no."
            )
        control.should_roll_back = True

    def state(self) -> dict:
        kept = ("mean_log", "steps", "in_a_row", "skipped", "rolled_back", "recent")
        return {"args": {}, "attributes": {name: getattr(self, name) for name in kept}}

"""Loss weights that follow how fast each loss falls, within bounds around the level's."""

import math

from transformers.trainer_callback import ExportableState

from callbacks.weight_schedule import WeightSchedule
from training.loop.step import LossWeights


class AdaptiveWeights(WeightSchedule, ExportableState):
    """Dynamic weight average (Liu, Johns and Davison 2019, equation 7): a loss that falls more slowly weighs more.

    The ratio of a loss's running mean to what it was `every_steps` ago goes through a softmax of `temperature`
    over the losses; the result, 1 on average, multiplies the level's weight and is kept within `bounds`. The losses
    are those of the effective batch, the same on all ranks, so the weights are too.

    Args:
        weights: what the training step multiplies with; changed in place.
        base: gives the level's weights at the present step (the alignment's can be on a schedule).
        smoothing: the new value's share in the running means.
    """

    def __init__(
        self,
        weights: LossWeights,
        base,
        smoothing: float,
        every_steps: int = 100,
        temperature: float = 2.0,
        bounds: tuple[float, float] = (0.5, 2.0),
    ):
        super().__init__(weights, base)
        self.smoothing, self.every_steps, self.temperature = smoothing, every_steps, temperature
        self.low, self.high = bounds
        self.means: dict[str, float] = {}
        self.earlier: dict[str, float] = {}
        self.multipliers: dict[str, float] = {}

    def on_step_begin(self, args, state, control, **kwargs):
        super().on_step_begin(args, state, control)
        for name, multiplier in self.multipliers.items():
            self.weights.values[name] *= multiplier

    def on_step_end(self, args, state, control, losses=None, **kwargs):
        if not losses or not all(map(math.isfinite, losses.values())):
            return
        for name, value in losses.items():
            mean = self.means.get(name, value)
            self.means[name] = mean + self.smoothing * (value - mean)
        if state.global_step % self.every_steps == 0:
            if self.earlier:
                self.multipliers = self._multipliers()
            self.earlier = dict(self.means)

    def _multipliers(self) -> dict[str, float]:
        speed = {name: self.means[name] / max(self.earlier[name], 1e-12) for name in self.means}
        # A loss that jumped by orders of magnitude is for the spike guard; exp() must not overflow on it.
        power = {name: math.exp(min(ratio, 20.0) / self.temperature) for name, ratio in speed.items()}
        total = sum(power.values())
        return {name: min(self.high, max(self.low, len(power) * value / total)) for name, value in power.items()}

    def state(self) -> dict:
        kept = {"means": self.means, "earlier": self.earlier, "multipliers": self.multipliers}
        return {"args": {}, "attributes": kept}

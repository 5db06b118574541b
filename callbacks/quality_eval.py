"""Held-out sentences spoken and judged while training: the figures that tell how a voice sounds."""

import time

from accelerate import Accelerator
from transformers import TrainerCallback, TrainerState
from transformers.trainer_callback import ExportableState

from evaluation.quality import SpeechJudge
from training.distributed.collectives import as_main_has, as_main_says
from training.loop.eval_weights import EvalWeights
from training.setup.best_metric import FEWEST_SENTENCES, STANDARD_ERROR
from training.setup.trackers import Trackers

CER = "eval_quality_cer"  # among the metrics of an evaluation


class QualityEval(TrainerCallback, ExportableState):
    """Judges the speech of the weights that would ship once every `every_steps`, at an evaluation, and at the last.

    Not before: a model that has learned little speaks for as long as it is let, which takes minutes and tells nothing.

    The main process speaks and listens, and tells the others the figures. They go to the tracker as quality/..., and
    the error rate, 1 at most (above, nothing is understood and the rest is chance), into the metrics of the evaluation,
    where the choice of the best checkpoint and early stopping find it: put it before them.

    It takes `most_share` of the run's time, but for the first and the last: where `stretches` it leaves out what would
    be more. That depends on the clock, so it is not for a run whose length is a number of steps and whose best
    checkpoint it decides: such a run is told how to spend less.

    Args:
        judge: called by the main process with (model, processor).
        decides: whether the best checkpoint is chosen by its error rate.
    """

    def __init__(
        self,
        accelerator: Accelerator,
        eval_weights: EvalWeights,
        trackers: Trackers,
        judge: SpeechJudge,
        every_steps: int,
        decides: bool,
        stretches: bool,
        most_share: float = 0.05,
    ):
        self.accelerator, self.eval_weights, self.trackers, self.judge = accelerator, eval_weights, trackers, judge
        self.every_steps, self.decides, self.stretches = every_steps, decides, stretches
        self.most_share = most_share
        self.judged_at = 0  # step; the clock's numbers are this process' own and not in the checkpoint
        self.spent_s = self.last_s = 0.0
        self.times = 0
        self.figures: dict[str, float] = {}  # of the last time
        self.begun_at = time.monotonic()

    def on_train_begin(self, args, state, control, **kwargs):
        self.begun_at = time.monotonic()
        if state.is_world_process_zero:
            print(self.description())

    def description(self) -> str:
        judged = f"{len(self.judge.sentences)} held-out sentences are judged every {self.every_steps} steps or more"
        if self.decides:
            return f"The best checkpoint is chosen by the character error rate of speech (quality_cer): {judged}."
        return (
            f"The best checkpoint is chosen by the validation mel loss (eval_mel). {judged}; English ones that can be "
            f"heard: {self.judge.recognized if self.judge.listens else 0}, of {FEWEST_SENTENCES} for an error rate."
        )

    def on_evaluate(self, args, state, control, metrics=None, processing_class=None, **kwargs):
        is_last = state.global_step >= state.max_steps or control.should_training_stop
        if is_last or self._is_due(state.global_step):
            figures = self._judged(processing_class)
            if "cer" in figures:
                metrics[CER] = min(1.0, figures["cer"])
                metrics[f"{CER}{STANDARD_ERROR}"] = figures["cer_standard_error"]
            self.judged_at, self.figures = state.global_step, dict(figures)
            figures["seconds"] = self.last_s
            self.trackers.log({f"quality/{name}": value for name, value in figures.items()}, state.global_step)
            self._say_cost(state)

    def _is_due(self, step: int) -> bool:
        if step // self.every_steps == self.judged_at // self.every_steps:
            return False
        return not self.stretches or bool(as_main_says(self.accelerator, self._fits()))

    def _fits(self) -> bool:
        """Whether this one, and another at the end, leave the run its share of the time."""
        return self.spent_s + 2 * self.last_s <= self.most_share * (time.monotonic() - self.begun_at)

    def _judged(self, processor) -> dict[str, float]:
        begun_at, figures = time.monotonic(), None
        with self.eval_weights.whole() as model:
            if model is not None:
                figures = self.judge(model, processor)
        figures = as_main_has(self.accelerator, figures)
        self.last_s = time.monotonic() - begun_at
        self.spent_s += self.last_s
        self.times += 1
        return figures

    def _say_cost(self, state: TrainerState) -> None:
        """Once, at the second time: the first has loaded the recognizer."""
        share = self.spent_s / max(time.monotonic() - self.begun_at, 1e-9)
        if self.times == 2 and share > self.most_share and not self.stretches and state.is_world_process_zero:
            print(
                f"Judging speech takes {share:.0%} of the time; --set log.quality_every={4 * self.every_steps} or a "
                "lower log.quality_sentences makes it less."
            )

    def state(self) -> dict:
        return {"args": {}, "attributes": {"judged_at": self.judged_at}}

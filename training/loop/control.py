"""What callbacks see of a run and can ask of it, in transformers' terms, so that third-party callbacks plug in."""

import json
from dataclasses import dataclass

from transformers import TrainerControl

from data_pipeline.errors import UserError, redacted
from training.config.fields import RunConfig


class Diverged(UserError):
    """Raised by a callback to end a run that cannot be saved; what is known of it still goes into its report."""


@dataclass
class Control(TrainerControl):
    """transformers' TrainerControl and two things more that a callback of ours can ask for.

    should_skip_update: leave out the optimizer step whose gradients are ready (asked in on_pre_optimizer_step).
    should_roll_back: go back to the last good checkpoint with half the learning rate.
    """

    should_skip_update: bool = False
    should_roll_back: bool = False


class CallbackArguments:
    """The fields of transformers' TrainingArguments that callbacks read, filled from the run's configuration."""

    logging_first_step = True
    logging_strategy = "steps"
    eval_strategy = "steps"
    save_strategy = "steps"
    eval_delay = 0
    load_best_model_at_end = True
    greater_is_better = False
    metric_for_best_model = "eval_mel"

    def __init__(self, config: RunConfig):
        self.config = config
        self.output_dir = config.checkpoint.dir
        self.run_name = config.checkpoint.dir
        self.logging_steps = config.log.every_steps
        self.save_steps = config.checkpoint.every_steps
        self.num_train_epochs = config.train.epochs
        self.max_steps = config.train.max_steps or -1
        self.learning_rate = config.optim.lr
        self.seed = config.train.seed

    def to_dict(self) -> dict:
        return redacted(self.config.to_dict())  # third-party callbacks hand it on

    def to_json_string(self) -> str:
        return json.dumps(self.to_dict(), indent=2)

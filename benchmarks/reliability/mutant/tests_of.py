"""The files that mutants are drawn of, and the tests of each, in stages.

A stage is for what the one before lets through. The first are quick, and about the file; the later ones train.
"""

from pathlib import Path

Stages = list[tuple[str, ...]]

# Whole runs in this process: those of tests/test_train_main.py that are quick.
RUNS = tuple(
    f"tests/test_train_main.py::test_{name}"
    for name in (
        "third_party_callbacks_work",
        "a_run_of_epochs_evaluates_at_the_end_of_each_and_ends_after_the_last",
        "a_long_single_epoch_ends_with_it",
        "a_run_ends_with_an_evaluation_in_the_middle_of_an_epoch",
        "a_finished_run_has_nothing_left_to_do",
        "a_rate_that_leaves_no_numbers_ends_as_diverged_and_nothing_of_it_is_kept",
        "three_in_a_row_go_back_to_the_last_checkpoint_with_half_the_rate",
        "a_roll_back_passes_over_the_checkpoint_whose_own_update_did_the_harm",
        "early_stopping_ends_the_run_and_best_holds_the_best_weights",
    )
)
TUNING = "tests/test_fine_tuning.py"
EFFECT = "tests/training/test_settings_take_effect.py"
PLAN = "tests/data_pipeline/batching/test_plan.py"
TALLY = "tests/data_pipeline/batching/test_row_stats.py"
LOADER = "tests/data_pipeline/batching/test_loader.py"
CHECKPOINT = "tests/training/state/test_checkpoint.py"
CONTINUITY = "tests/training/state/test_continuity.py"
STRANGERS = "tests/training/state/test_strangers_states.py"
ARGUMENTS = "tests/training/config/test_arguments.py"
STEP = "tests/training/loop/test_step.py"
MEMORY = "tests/training/loop/test_out_of_memory.py"
LENGTH = "tests/training/loop/test_length.py"
SIGNALS = "tests/training/loop/test_interruption.py"
LOOP = "tests/training/loop/test_trainer.py"
FOLDER = "tests/training/state/test_run_folder.py"
METRIC = "tests/training/setup/test_best_metric.py"
CONFIG = "tests/training/config/test_fields.py"
LEVELS = "tests/training/config/test_levels.py"
AVERAGE = "tests/training/loop/test_weight_average.py"
LOSSES = "tests/modeling/test_losses.py"
SCHEDULES = "tests/callbacks/test_schedules.py"
SCHEDULE = "tests/training/loop/test_schedule.py"
DEFAULT = "tests/callbacks/test_default.py"
QUALITY = "tests/callbacks/test_quality_eval.py"
GRADIENTS = "tests/distributed/test_gradients.py"
RANKS = "tests/distributed/test_train.py"

STAGES: dict[str, Stages] = {
    "training/loop/step.py": [(STEP,), (MEMORY, GRADIENTS)],
    "training/loop/trainer.py": [(LOOP,), RUNS, (EFFECT, AVERAGE, SIGNALS, MEMORY)],
    "training/state/checkpoint.py": [(CHECKPOINT,), (EFFECT, LOOP)],
    "training/state/checksums.py": [(CHECKPOINT,), (EFFECT,)],
    "training/state/state_files.py": [(CHECKPOINT,), (EFFECT, AVERAGE), (TUNING,)],
    "training/config/levels.py": [(LEVELS, CONFIG), (ARGUMENTS,)],
    "training/config/resolve.py": [(ARGUMENTS, METRIC), (LEVELS, CONFIG), (TUNING,)],
    "training/state/continuity.py": [(CONTINUITY,), (TUNING,)],
    "training/state/run_folder.py": [(FOLDER,)],
    "training/loop/validation.py": [
        (f"{EFFECT}::test_validation_measures_the_mel_that_is_heard",),
        (EFFECT, SIGNALS),
        (RANKS,),
    ],
    "data_pipeline/batching/plan.py": [(PLAN,), (LOADER, LENGTH), (CONTINUITY,)],
    "data_pipeline/batching/row_stats.py": [(TALLY, PLAN), (LOADER, LOOP), (CONTINUITY,)],
    "modeling/losses.py": [(LOSSES,), (STEP, EFFECT)],
    "callbacks/default.py": [(DEFAULT,), (EFFECT,), (QUALITY,)],
    "callbacks/ema.py": [(AVERAGE,)],
    "training/loop/schedule.py": [(SCHEDULE,), (SCHEDULES,)],
    "callbacks/rate_schedule.py": [(SCHEDULES,), (EFFECT,)],
    "callbacks/weight_schedule.py": [(SCHEDULES,)],
    "callbacks/tracking.py": [RUNS],
}


def stages(file: str) -> Stages:
    """A callback without any here has tests of its own name."""
    return STAGES.get(file) or [(f"tests/callbacks/test_{Path(file).stem}.py",), RUNS]


def files(root: Path) -> list[str]:
    """Those here, and every callback."""
    return [*STAGES, *sorted({str(path.relative_to(root)) for path in root.glob("callbacks/*.py")} - STAGES.keys())]

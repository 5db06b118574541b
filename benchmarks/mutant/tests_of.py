"""The files that mutants are drawn of, and the tests of each, in stages.

A stage is for what the one before lets through. The first are quick, and about the file; the later ones train.
"""

from pathlib import Path

Stages = list[tuple[str, ...]]

RUNS = "tests/test_train_main.py"
TUNING = "tests/test_fine_tuning.py"
EFFECT = "tests/training/test_settings_take_effect.py"
PLAN = "tests/data_pipeline/test_plan.py"
LOADER = "tests/data_pipeline/test_loader.py"
CHECKPOINT = "tests/training/test_checkpoint.py"
CONTINUITY = "tests/training/test_continuity.py"
STRANGERS = "tests/training/test_strangers_states.py"
ARGUMENTS = "tests/training/test_arguments.py"
STEP = "tests/training/test_step.py"
MEMORY = "tests/training/test_out_of_memory.py"
LENGTH = "tests/training/test_length.py"
SIGNALS = "tests/training/test_interruption.py"
LOOP = "tests/training/test_loop.py"
FOLDER = "tests/training/test_run_folder.py"
METRIC = "tests/training/test_best_metric.py"
CONFIG = "tests/training/test_config.py"
LEVELS = "tests/training/test_levels.py"
AVERAGE = "tests/training/test_weight_average.py"
LOSSES = "tests/modeling/test_losses.py"
DEFAULT = "tests/callbacks/test_default.py"
QUALITY = "tests/callbacks/test_quality_eval.py"
PAGE = "tests/test_model_improvements.py"  # of the levels
GRADIENTS = "tests/distributed/test_gradients.py"
RANKS = "tests/distributed/test_train.py"

STAGES: dict[str, Stages] = {
    "training/step.py": [(STEP, MEMORY), (RUNS, EFFECT), (GRADIENTS,)],
    "training/loop.py": [(LOOP, EFFECT), (RUNS,), (SIGNALS, CONTINUITY, MEMORY, AVERAGE)],
    "training/checkpoint.py": [(CHECKPOINT, EFFECT), (RUNS,), (CONTINUITY, RANKS)],
    "training/checksums.py": [(CHECKPOINT, EFFECT), (STRANGERS,)],
    "training/state_files.py": [(CHECKPOINT, EFFECT, AVERAGE), (RUNS, TUNING), (STRANGERS, RANKS)],
    "training/levels.py": [(LEVELS, CONFIG, PAGE), (ARGUMENTS, RUNS)],
    "training/resolve.py": [(ARGUMENTS, METRIC), (LEVELS, CONFIG, RUNS, TUNING)],
    "training/continuity.py": [(CONTINUITY,), (RUNS, TUNING)],
    "training/run_folder.py": [(FOLDER,), (RUNS, EFFECT)],
    "training/validation.py": [(EFFECT,), (RUNS, SIGNALS), (RANKS,)],
    "data_pipeline/plan.py": [(PLAN,), (LOADER, LENGTH), (CONTINUITY, RUNS)],
    "data_pipeline/tally.py": [(PLAN,), (LOADER, LOOP), (CONTINUITY,)],
    "modeling/losses.py": [(LOSSES, EFFECT), (STEP, MEMORY), (RUNS,)],
    "callbacks/audio_samples.py": [("tests/callbacks/test_audio_samples.py",), (RUNS,)],
    "callbacks/default.py": [(DEFAULT, EFFECT), (RUNS, QUALITY)],
    "callbacks/ema.py": [(AVERAGE,)],
    "callbacks/hub_push.py": [("tests/hub/test_hub_runs.py",)],
    "callbacks/quality_eval.py": [(QUALITY,)],
    "callbacks/rate_schedule.py": [("tests/callbacks/test_schedules.py", EFFECT), (RUNS,)],
    "callbacks/tracking.py": [(RUNS,)],
}


def stages(file: str) -> Stages:
    """A callback without any here has tests of its own name."""
    return STAGES.get(file) or [(f"tests/callbacks/test_{Path(file).stem}.py",), (RUNS, EFFECT)]


def files(root: Path) -> list[str]:
    """Those here, and every callback."""
    return [*STAGES, *sorted({str(path.relative_to(root)) for path in root.glob("callbacks/*.py")} - STAGES.keys())]

"""The flags that users of Hugging Face's scripts have in their fingers, said in this program's own.

`translated` rewrites the words of a command line before they are parsed: --learning_rate 1e-4 becomes --lr 1e-4, and
what is a setting without a flag becomes --set KEY=VALUE. Underscores and dashes are alike in every flag. What has no
counterpart is answered, so that nothing is ignored.
"""

from collections import deque
from collections.abc import Collection, Sequence

from data_pipeline.errors import UserError
from training.config.typed import NO, YES

# Their flag -> ours, which takes the same value.
FLAG = {
    "--output-dir": "--checkpoint-dir",
    "--learning-rate": "--lr",
    "--per-device-train-batch-size": "--batch-size",
    "--train-batch-size": "--batch-size",
    "--gradient-accumulation-steps": "--grad-accum",
    "--num-train-epochs": "--epochs",
    "--report-to": "--tracker",
    "--hub-model-id": "--push-to-hub",
    "--dataloader-num-workers": "--num-workers",
    "--model-name-or-path": "--init-from",
    "--dataset-name": "--train-data",
    "--dataset-config-name": "--dataset-config",
    "--train-file": "--train-data",
    "--validation-file": "--val-data",
    "--text-column-name": "--text-column",
    "--audio-column-name": "--audio-column",
    "--speaker-column-name": "--speaker-column",
    "--language-column-name": "--language-column",
}
# Their flag -> the setting that it is.
SETTING = {
    "--warmup-steps": "optim.warmup_steps",
    "--lr-warmup-steps": "optim.warmup_steps",
    "--weight-decay": "optim.weight_decay",
    "--max-grad-norm": "optim.clip_norm",
    "--adam-epsilon": "optim.eps",
    "--save-steps": "checkpoint.every_steps",
    "--save-total-limit": "checkpoint.keep",
    "--eval-steps": "train.eval_every",
    "--logging-steps": "log.every_steps",
    "--early-stopping-patience": "train.patience_evaluations",
    "--max-duration-in-seconds": "data.max_duration_s",
    "--min-duration-in-seconds": "data.min_duration_s",
}
# Switches of theirs, which stand alone or before true or false -> (our words where on, where off).
SWITCH = {
    "--bf16": (["--mixed-precision", "bf16"], []),
    "--fp16": (["--mixed-precision", "fp16"], []),
    "--use-cpu": (["--device", "cpu"], []),
    "--no-cuda": (["--device", "cpu"], []),
    "--gradient-checkpointing": (["--set", "model.gradient_checkpointing=true"], []),
    "--overwrite-output-dir": (["--reset-training"], []),
    "--hub-private-repo": ([], ["--public"]),
    "--do-train": ([], []),  # it always does
    "--do-eval": ([], []),
}
# Their flag -> what to do instead.
ANSWER = {
    "--lr-scheduler-type": "The schedule is the level's; for another: --set optim.schedule=constant (or noam, "
    "cosine_restarts).",
    "--lr-scheduler": "The schedule is the level's; for another: --set optim.schedule=constant (or noam, "
    "cosine_restarts).",
    "--warmup-ratio": "Warm-up is a number of steps, and at most a tenth of the run: --set optim.warmup_steps=500.",
    "--adam-beta1": "Both betas are one setting: --set optim.betas=0.9,0.98.",
    "--adam-beta2": "Both betas are one setting: --set optim.betas=0.9,0.98.",
    "--optim": "The optimizer is AdamW; its settings are optim.betas, optim.eps and optim.weight_decay, by --set.",
    "--per-device-eval-batch-size": "Evaluation has the batches of training: --batch-size.",
    "--eval-strategy": "Evaluation is after each epoch, or by steps: --set train.eval_every=500.",
    "--evaluation-strategy": "Evaluation is after each epoch, or by steps: --set train.eval_every=500.",
    "--save-strategy": "Checkpoints are saved by steps: --set checkpoint.every_steps=500.",
    "--logging-strategy": "Losses are logged by steps: --set log.every_steps=10.",
    "--logging-dir": "Curves go into logs in the run folder: --checkpoint-dir.",
    "--run-name": "A run is named after its folder: --checkpoint-dir.",
    "--load-best-model-at-end": "The best model is always kept, in best in the run folder. Leave it out.",
    "--metric-for-best-model": "By --set train.best_metric=eval_mel (or quality_cer, auto).",
    "--label-smoothing-factor": "By --set loss.mel_smoothing=0.025 and --set loss.stop_smoothing=0.06.",
    "--hub-token": "The token is read from HF_TOKEN, or from hf auth login: on a command line others can read it.",
    "--hub-strategy": "The model is pushed whenever it is better, training state by time "
    "(--set hub.state_every_minutes=30). Leave it out.",
    "--torch-compile": "Nothing is compiled. Leave it out.",
    "--tf32": "The precision is --mixed-precision (no, bf16, fp16, fp8).",
    "--auto-find-batch-size": "A batch that does not fit is halved by itself. Leave it out.",
    "--max-train-samples": "The whole corpus is read; end earlier with --max-steps or --max-minutes.",
    "--preprocessing-num-workers": "Nothing is prepared beforehand; loading processes are --num-workers.",
}
MEANS_NO_LIMIT = "-1"  # of max_steps, as theirs have it


def translated(words: Sequence[str], own: Collection[str]) -> list[str]:
    """The words of a command line with every flag spelled as one of `own`, where it has a counterpart there.

    Raises UserError for a flag that is answered in ANSWER, and one whose value is missing.
    """
    ahead, said = deque(words), []
    while ahead:
        flag, equals, value = ahead.popleft().partition("=")
        if not flag.startswith("--"):
            said.append(flag + equals + value)
            continue
        if equals:
            ahead.appendleft(value)
        name = flag.replace("_", "-")
        if name in ANSWER:
            raise UserError(f"There is no flag {flag} here. {ANSWER[name]}")
        if name in SWITCH:
            on, off = SWITCH[name]
            said += on if _is_on(ahead) else off
        elif name in SETTING:
            said += ["--set", f"{SETTING[name]}={_value(flag, ahead)}"]
        elif name in SPECIAL:
            said += SPECIAL[name](flag, ahead, words)
        elif name in FLAG or name in own:
            # With its "=", as a value may begin with a dash.
            said.append(FLAG.get(name, name) + (f"={ahead.popleft()}" if equals else ""))
        else:
            said.append(flag + (f"={ahead.popleft()}" if equals else ""))
    return said


def _value(flag: str, ahead: deque[str]) -> str:
    if not ahead:
        raise UserError(f"Flag {flag} has no value; expected one after it.")
    return ahead.popleft()


def _is_on(ahead: deque[str]) -> bool:
    """A switch's value, taken from `ahead` where there is one."""
    if ahead and ahead[0].lower() in YES + NO:
        return ahead.popleft().lower() in YES
    return True


def _max_steps(flag: str, ahead: deque[str], _) -> list[str]:
    value = _value(flag, ahead)
    return [] if value == MEANS_NO_LIMIT else [f"--max-steps={value}"]


def _resumed(flag: str, ahead: deque[str], _) -> list[str]:
    """A path, or a switch."""
    if ahead and ahead[0].lower() not in YES + NO and not ahead[0].startswith("--"):
        return ["--resume", ahead.popleft()]
    return ["--resume", "auto" if _is_on(ahead) else "none"]


def _pushed(flag: str, ahead: deque[str], words: Sequence[str]) -> list[str]:
    """Ours names the repository; theirs is a switch beside --hub_model_id."""
    if ahead and ahead[0].lower() not in YES + NO and not ahead[0].startswith("--"):
        return ["--push-to-hub", ahead.popleft()]
    is_on, names_it = _is_on(ahead), any(word.replace("_", "-").startswith("--hub-model-id") for word in words)
    if is_on and not names_it:
        raise UserError(f"{flag} names no repository; expected its id after it: --push-to-hub OWNER/NAME.")
    if not is_on and names_it:
        raise UserError(f"{flag} is off and --hub_model_id names where to push; leave out one of them.")
    return []


SPECIAL = {"--max-steps": _max_steps, "--resume-from-checkpoint": _resumed, "--push-to-hub": _pushed}
UNDERSTOOD = (*FLAG, *SETTING, *SWITCH, *SPECIAL)

"""What runs that are killed are made with: name -> words for train_main.py beside those that every run has.

{start}: the folder of a model to start from. {corpus}: that of the small corpus.
"""


def _set(*assignments: str) -> tuple[str, ...]:
    return tuple(word for one in assignments for word in ("--set", one))


FROM = ("--init-from", "{start}")
LORA = (*FROM, "--lora-rank", "4")
EMA = _set("train.ema_decay=0.9")
EPOCHS = ("--epochs", "3")
MADE_VOICES = _set("data.speaker_augmentation=2")
BALANCE = ("--speaker-column", "id", *_set("data.speaker_balance=0.5"))  # the small corpus has one speaker
CURRICULUM = _set("train.length_curriculum=true")
OWN_SPLIT = ("--train-data", "{corpus}/train.parquet", *_set("data.val_fraction=0.2"))

COMBINATIONS: dict[str, tuple[str, ...]] = {
    "steps": (),
    "averaged weights": EMA,
    "epochs": EPOCHS,
    "basic": ("--optimization-level", "basic"),
    "experimental": ("--optimization-level", "experimental"),
    "fast convergence": ("--apply-fast-convergence",),
    "from a model": FROM,
    "LoRA": LORA,
    "frozen layers": (*FROM, "--freeze", "text_encoder,decoder.layers.0"),
    "early stopping": _set("train.early_stopping=true", "train.patience_evaluations=2", "train.min_delta=10"),
    "curriculum": CURRICULUM,
    "speaker balance": BALANCE,
    "speaker augmentation": MADE_VOICES,
    "characters": _set("data.text_units=characters"),
    "espeak-ng": _set("data.text_units=espeak"),
    "bf16": ("--mixed-precision", "bf16"),
    "recomputed activations": _set("model.gradient_checkpointing=true"),
    "constant rate": _set("optim.schedule=constant"),
    "small batches of frames": ("--max-batch-frames", "500", *_set("data.max_duration_s=4")),
    "small buffers, no cache": _set("data.shuffle_buffer=4", "data.pool_batches=2", "data.cache_mb=0"),
    "held out by hash": OWN_SPLIT,
    "epochs, averaged LoRA": (*EPOCHS, *LORA, *EMA),
    "epochs, augmented and balanced curriculum": (*EPOCHS, *MADE_VOICES, *BALANCE, *CURRICULUM),
    "epochs, held out by hash, experimental": (*EPOCHS, *OWN_SPLIT, "--optimization-level", "experimental", *EMA),
}

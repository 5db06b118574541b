"""Mutants that do nothing else than the code does, or nothing that a test could be for: name -> why."""

EXPLAINED: dict[str, str] = {
    (
        "training/loop/trainer.py, __init__: self.saved_at = -1 # step of the newest checkpoint of this process -> "
        "self.saved_at = - 2 # step of the newest checkpoint of this process"
    ): "No step is negative, so that neither number is one.",
    (
        "training/state/state_files.py, _load_optimizer: "
        'for group, saved in zip(self._groups(), rest["groups"], strict=True): -> '
        'for group, saved in zip(self._groups(), rest["groups"], strict=False):'
    ): "`_checked_rest` has refused another number of groups before.",
    (
        "training/config/resolve.py, as_yaml: width = min(60, max(len(text) for text, _ in rows)) -> "
        "width = min( 61, max(len(text) for text, _ in rows))"
    ): "The column in which the reasons begin; every line says the same.",
    (
        "training/loop/validation.py, validate: "
        "for name, voice_V in zip(batch.voices, output.voice_BV.cpu(), strict=True): -> "
        "for name, voice_V in zip(batch.voices, output.voice_BV.cpu(), strict=False):"
    ): "The loader gives as many names as the model gives voices, one for each utterance.",
    (
        "data_pipeline/batching/row_stats.py, __init__: "
        "self.epoch, self.marks = -1, {} -> self.epoch, self.marks = - 2, {}"
    ): "No epoch is negative, so that neither number is one.",
    (
        "data_pipeline/batching/row_stats.py, the file: "
        "MOST_MESSAGES = 1000 # of broken rows that are kept, so that memory does not grow with the corpus"
        " -> "
        "MOST_MESSAGES = 999 # of broken rows that are kept, so that memory does not grow with the corpus"
    ): "How many messages are kept was chosen; tests speak of it by its name.",
    (
        'modeling/losses.py, mel_sum: if shape.mel_loss == "huber": -> if shape.mel_loss <= "huber":'
    ): "There are two kinds, and l1 comes after huber in the alphabet.",
    (
        "callbacks/adaptive_weights.py, on_step_end: if state.global_step % self.every_steps == 0: -> "
        "if state.global_step % self.every_steps <= 0:"
    ): "A remainder is never negative.",
}

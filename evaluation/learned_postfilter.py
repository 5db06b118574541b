"""The post-filter of a trained model: measured on its own speech of sentences from the training."""

import json
import os
from collections.abc import Iterable
from pathlib import Path

import torch

from data_pipeline.errors import UserError
from data_pipeline.recordings.audio import BrokenAudio, decode_audio, log_mel
from data_pipeline.utterance import Utterance
from evaluation.speaking import choose_sentences, speak_utterances
from modeling.model import GoyaForTextToSpeech
from modeling.postfilter import measured_gains
from modeling.processor import GoyaProcessor

MOST_SENTENCES = 40
NAMES = ("detail_gains", "time_detail_gains")


def learn_postfilter(
    folder: Path, model: GoyaForTextToSpeech, processor: GoyaProcessor, utterances: Iterable[Utterance]
) -> None:
    """Measure the gains on up to MOST_SENTENCES `utterances` of the training; into the model and its folder's config.

    The model speaks them by itself, without a post-filter. Without any that can be read it stays as it is. Raises
    UserError where the folder cannot be written.
    """
    audio, chosen, recorded = processor.feature_extractor.audio_config, [], []
    for one in choose_sentences(utterances, MOST_SENTENCES):
        try:
            wave_N = decode_audio(one.audio, audio.sample_rate_hz, name=one.id)
        except BrokenAudio:
            continue
        chosen.append(one)
        recorded.append(log_mel(torch.from_numpy(wave_N), audio))
    if not chosen:
        return
    model.config.detail_gains = model.config.time_detail_gains = None
    spoken = [one.speech.mel_TC.cpu() for one in speak_utterances(model, processor, chosen)]
    gains = dict(zip(NAMES, measured_gains(recorded, spoken) or (None, None), strict=True))
    model.config.update(gains)
    _write(folder / "config.json", **gains)


def _write(path: Path, **changes) -> None:
    """A new file in place of the old one, which pushes to the Hub hold by hard links."""
    document = json.loads(path.read_text(encoding="utf-8")) | changes
    written = path.with_suffix(".new")
    try:
        written.write_text(json.dumps(document, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")
        os.replace(written, path)
    except OSError as error:
        written.unlink(missing_ok=True)
        raise UserError(
            f"The run is over, and the gains of its post-filter cannot be written to {path} ({error}). Free some space "
            "and give the same command."
        ) from error

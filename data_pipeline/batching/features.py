"""One utterance, decoded: tokens and mel. This is the work that loading processes do."""

from dataclasses import dataclass, field

import numpy as np
import torch

from data_pipeline.errors import UserError, shown
from data_pipeline.recordings.audio import AudioConfig, decode_audio, log_mel, trim_silence
from data_pipeline.recordings.speaker_augmentation import shifted
from data_pipeline.recordings.speech import normalize_loudness
from data_pipeline.text.tokens import Vocabulary, normalize_text
from data_pipeline.utterance import Utterance, VoiceShift

FASTEST_LETTERS_PER_S = 25  # of natural speech: fast English has some 20
# Padded texts are rounded up to this: a GPU's attention wants masks of such lengths, and a CPU few different shapes.
# Mels are not: rounding them up to 16 was three points of padding, for no gain in time that shows (benchmarks/LOG.md).
TOKEN_MULTIPLE = 8


def rounded_up(length: int, multiple: int) -> int:
    return -(-length // multiple) * multiple


def voice_name(speaker: str | None, language: str | None) -> str:
    return "-".join(part for part in (speaker, language) if part) or "default"


@dataclass(frozen=True, slots=True)
class Features:
    """tokens int64 [S]; mel float32 [T, C] (log-mel). Speaker, language and text as the source gave them.

    shift: what was laid on the recording, whose speaker then is not the one that is heard. recording: of the Utterance.
    """

    id: str
    tokens_S: np.ndarray
    mel_TC: np.ndarray
    speaker: str | None
    language: str | None
    text: str = ""
    shift: VoiceShift | None = None
    recording: str = ""

    @property
    def voice(self) -> str:
        """A name for who speaks and in which language, such as "anna-en"; "default" where neither is known."""
        return voice_name(self.speaker, self.language)

    @property
    def nbytes(self) -> int:
        return self.mel_TC.nbytes + self.tokens_S.nbytes


@dataclass(frozen=True)
class FeatureMaker:
    """Turns utterances into features of one audio convention.

    Args:
        audio: the mel convention.
        frames_per_step: r; every token needs a decoder step of its own, so a text of S tokens needs r * S frames.
        language: of utterances that name none.
        vocabulary: what texts are read with.
    """

    audio: AudioConfig
    frames_per_step: int
    language: str | None = None
    vocabulary: Vocabulary = field(default_factory=Vocabulary)

    def __call__(self, utterance: Utterance) -> Features:
        """Decode, trim, bring to one level, mel, tokens. Raises UserError, naming the utterance that cannot be used."""
        language = utterance.language or self.language
        ids = self.vocabulary.encode(self.text_of(utterance), language)
        wave = decode_audio(utterance.audio, self.audio.sample_rate_hz, name=utterance.id)
        if utterance.shift is not None:
            wave = shifted(wave, self.audio.sample_rate_hz, utterance.shift)
        wave = normalize_loudness(trim_silence(wave, self.audio.sample_rate_hz), self.audio.sample_rate_hz)
        mel = log_mel(torch.from_numpy(wave), self.audio).numpy()
        speech_s = len(wave) / self.audio.sample_rate_hz
        self.check_fits(utterance, self.fewest_tokens(ids), speech_s)
        fitting = next(one for one in self.vocabulary.shortenings(ids) if len(one) <= self._steps(speech_s))
        tokens = np.asarray(fitting, dtype=np.int64)
        return Features(
            utterance.id,
            tokens,
            mel,
            utterance.speaker,
            language,
            utterance.text,
            utterance.shift,
            utterance.recording,
        )

    def voice_of(self, utterance: Utterance) -> str:
        """As `Features.voice`, undecoded."""
        return voice_name(utterance.speaker, utterance.language or self.language)

    def text_of(self, utterance: Utterance) -> str:
        """Its normalized text. Raises UserError where that holds nothing to speak."""
        text = normalize_text(utterance.text, utterance.language or self.language)
        if not any(character.isalnum() for character in text):
            raise UserError(
                f"The text of row {utterance.id} holds nothing to speak ({shown(utterance.text)!r}); "
                "expected words. Correct it or remove the row."
            )
        return text

    def fewest_tokens(self, ids: list[int]) -> int:
        """How many decoder steps a text needs."""
        return min(map(len, self.vocabulary.shortenings(ids)))

    def check_fits(self, utterance: Utterance, tokens: int, speech_s: float) -> None:
        """Raises UserError where so many seconds of speech have fewer decoder steps than the text has tokens."""
        steps = self._steps(speech_s)
        if steps >= tokens:
            return
        letters_per_s = sum(map(str.isalnum, utterance.text)) / max(speech_s, 0.1)
        remedy = "The transcript probably belongs to another recording; correct it or remove the row."
        if letters_per_s < FASTEST_LETTERS_PER_S and self.frames_per_step > 1:
            remedy = (
                f"{letters_per_s:.0f} letters a second can be spoken: give --set model.frames_per_step=1 to use such "
                "rows, or leave them out."
            )
        raise UserError(
            f"The text of row {utterance.id} is too long for its audio: {tokens} tokens in {speech_s:.2f} s of speech, "
            f"which has {steps} decoder steps; each token needs one. {remedy}"
        )

    def _steps(self, speech_s: float) -> int:
        return -(-(round(speech_s * self.audio.sample_rate_hz) // self.audio.hop) // self.frames_per_step)

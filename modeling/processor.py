"""Text and reference clips to the model's input tensors, saved and loaded beside a checkpoint's weights.

Importing this file also registers them with transformers' Auto classes.
Shapes: B utterances, S text tokens, R reference frames, C mel channels.
"""

from collections.abc import Sequence
from dataclasses import asdict, fields
from numbers import Real
from pathlib import Path

import numpy as np
import torch
from torch.nn.utils.rnn import pad_sequence
from transformers import (
    AutoConfig,
    AutoFeatureExtractor,
    AutoProcessor,
    AutoTokenizer,
    BatchFeature,
    FeatureExtractionMixin,
    PreTrainedTokenizer,
    ProcessorMixin,
)

from data_pipeline.errors import UserError, shown
from data_pipeline.recordings.audio import AudioConfig, decode_audio, log_mel, trim_silence
from data_pipeline.recordings.speech import normalize_loudness, speech_spectrum
from data_pipeline.text.tokens import BOS, EOS, PAD, Vocabulary, normalize_text
from data_pipeline.utterance import Samples
from modeling.configuration import GoyaConfig

Clip = np.ndarray | torch.Tensor | Sequence[float] | str | Path | bytes


class GoyaFeatureExtractor(FeatureExtractionMixin):
    """Reference clips to padded log-mels. Its fields are those of `data_pipeline.recordings.audio.AudioConfig`."""

    model_input_names = ["reference_mel", "reference_lengths", "reference_spectrum"]

    def __init__(self, **kwargs):
        names = [field.name for field in fields(AudioConfig)]
        audio = AudioConfig(**{name: kwargs.pop(name) for name in names if name in kwargs})
        super().__init__(**kwargs, **asdict(audio))

    @property
    def audio_config(self) -> AudioConfig:
        return AudioConfig(**{field.name: getattr(self, field.name) for field in fields(AudioConfig)})

    @property
    def sampling_rate(self) -> int:
        """The name that transformers knows `sample_rate_hz` by."""
        return self.sample_rate_hz

    def __call__(self, audio: Clip | list[Clip], sampling_rate: int | None = None) -> BatchFeature:
        """Decode, resample, trim the silent ends and bring to one level as in training, mel.

        Args:
            audio: one clip or a list of them: waves (mono [N]), paths or URLs, or bytes of audio files.
            sampling_rate: of the waves, in Hz; files say their own.

        Returns reference_mel [B, R, C] float32, padded with the log floor, reference_lengths [B], and
        reference_spectrum [B, C]: of the clips' speech (data_pipeline.recordings.audio.speech_spectrum).
        Raises UserError for audio that cannot be used, and for a wave without `sampling_rate`.
        """
        mels = [self._log_mel(clip, sampling_rate) for clip in as_list(audio)]
        floor = float(np.log(self.log_floor))
        return BatchFeature(
            {
                "reference_mel": pad_sequence(mels, batch_first=True, padding_value=floor),
                "reference_lengths": torch.tensor([len(mel) for mel in mels]),
                "reference_spectrum": torch.stack([speech_spectrum(mel) for mel in mels]),
            }
        )

    def _log_mel(self, clip: Clip, sampling_rate: int | None) -> torch.Tensor:
        if isinstance(clip, Path):
            clip = str(clip)
        elif not isinstance(clip, str | bytes):
            if sampling_rate is None:
                raise UserError(
                    "a reference wave came without its sampling_rate; expected samples a second, "
                    f"such as processor(..., reference=wave, sampling_rate={self.sample_rate_hz})"
                )
            clip = Samples(np.asarray(clip, dtype=np.float32), sampling_rate)
        wave = trim_silence(decode_audio(clip, self.sample_rate_hz), self.sample_rate_hz)
        return log_mel(torch.from_numpy(normalize_loudness(wave, self.sample_rate_hz)), self.audio_config)


class GoyaTokenizer(PreTrainedTokenizer):
    """`text.tokens.Vocabulary` for transformers: normalized characters, or phonemes, after a language tag.

    The tag, <bos> and <eos> always belong to the tokens. No text can spell them: "<bos>" in it is characters.
    """

    vocab_files_names = {"vocab_file": "vocabulary.json"}
    model_input_names = ["input_ids", "attention_mask"]

    def __init__(self, vocab_file: str | None = None, vocabulary: Vocabulary | None = None, **kwargs):
        document = Path(vocab_file).read_text(encoding="utf-8") if vocab_file else None
        self.vocabulary = vocabulary or (Vocabulary.from_json(document) if document else Vocabulary())
        self._ids = {token: index for index, token in enumerate(self.vocabulary.tokens)}
        super().__init__(**{"pad_token": PAD, "bos_token": BOS, "eos_token": EOS, **kwargs})

    @property
    def vocab_size(self) -> int:
        return len(self.vocabulary)

    def get_vocab(self) -> dict[str, int]:
        return dict(self._ids)

    def tokenize(self, text: str, language: str | None = None, **kwargs) -> list[str]:
        """Tokens of a raw transcript: `tokenizer(text, language="fa")`, a code or an English name.

        Raises UserError where nothing is left to speak.
        """
        plain = normalize_text(text, language)
        if not any(character.isalnum() for character in plain):
            raise UserError(f"the text {shown(text)!r} holds nothing to speak; expected words")
        return [self.vocabulary.tokens[index] for index in self.vocabulary.encode(plain, language)]

    def _convert_token_to_id(self, token: str) -> int:
        return self._ids[token]

    def _convert_id_to_token(self, index: int) -> str:
        return self.vocabulary.tokens[index]

    def _decode(self, token_ids: int | list[int], **kwargs) -> str:
        return self.vocabulary.decode([token_ids] if isinstance(token_ids, int) else token_ids)

    def save_vocabulary(self, save_directory: str, filename_prefix: str | None = None) -> tuple[str]:
        name = self.vocab_files_names["vocab_file"]
        path = Path(save_directory) / (f"{filename_prefix}-{name}" if filename_prefix else name)
        path.write_text(self.vocabulary.to_json(), encoding="utf-8")
        return (str(path),)


class GoyaProcessor(ProcessorMixin):
    """What a checkpoint needs to read text and to hear a voice."""

    def __init__(self, feature_extractor: GoyaFeatureExtractor = None, tokenizer: GoyaTokenizer = None):
        super().__init__(feature_extractor or GoyaFeatureExtractor(), tokenizer or GoyaTokenizer())

    @property
    def model_input_names(self) -> list[str]:
        return ["input_ids", "token_lengths", *self.feature_extractor.model_input_names]

    def __call__(
        self,
        text: str | list[str],
        language: str | list[str | None] | None = None,
        reference: Clip | list[Clip] | None = None,
        sampling_rate: int | None = None,
    ) -> BatchFeature:
        """One utterance or a list of them to padded tensors.

        Args:
            text: raw transcripts.
            language: one for all, or one each.
            reference: a clip of the voice, for all or one each: see `GoyaFeatureExtractor`.
            sampling_rate: of reference waves, in Hz.

        Returns input_ids [B, S], token_lengths [B] and, with `reference`, what `GoyaFeatureExtractor` returns.
        Raises UserError where a text or clip cannot be used or the numbers differ.
        """
        texts = as_list(text)
        languages = one_each(language, len(texts), "languages")
        rows = [
            torch.tensor(self.tokenizer(text, language=language)["input_ids"])
            for text, language in zip(texts, languages, strict=True)
        ]
        features = BatchFeature(
            {
                "input_ids": pad_sequence(rows, batch_first=True, padding_value=self.tokenizer.pad_token_id),
                "token_lengths": torch.tensor([len(row) for row in rows]),
            }
        )
        if reference is not None:
            heard = self.feature_extractor(reference, sampling_rate)
            clips = list(range(len(heard["reference_lengths"])))
            clip_of_text = torch.tensor(one_each(clips, len(texts), "reference clips"))
            features.update({name: tensor[clip_of_text] for name, tensor in heard.items()})
        return features


def as_list(value) -> list:
    """One text or clip, or several, as a list; a list of numbers and an array with one axis are one wave.

    Raises UserError for none at all.
    """
    if isinstance(value, str | bytes | Path) or (hasattr(value, "ndim") and value.ndim == 1):
        return [value]
    if not len(value):
        raise UserError("expected at least one text or clip, found an empty list")
    return [value] if isinstance(value[0], Real) else list(value)


def one_each(value, count: int, name: str) -> list:
    """`value` as a list of `count`: one serves for all. Raises UserError for another number."""
    values = list(value) if isinstance(value, list | tuple) else [value]
    if len(values) not in (1, count):
        raise UserError(f"found {len(values)} {name} for {count} texts; expected one for all, or one each")
    return values * count if len(values) == 1 else values


def register_auto_classes() -> None:
    """Let AutoConfig, AutoProcessor ... load what a Goya checkpoint has beside its weights, by its folder or Hub id."""
    AutoConfig.register(GoyaConfig.model_type, GoyaConfig, exist_ok=True)
    for auto_class, ours in [
        (AutoFeatureExtractor, GoyaFeatureExtractor),
        (AutoTokenizer, GoyaTokenizer),
        (AutoProcessor, GoyaProcessor),
    ]:
        auto_class.register(GoyaConfig, ours, exist_ok=True)


register_auto_classes()

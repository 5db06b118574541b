"""A text of any length spoken whole, by whoever holds a model and its processor: a program, or a model from the Hub.

Shapes: N samples.
"""

import warnings

import torch
from torch import Tensor

from data_pipeline.errors import UserError, shown
from data_pipeline.sentences import split_sentences
from modeling.known_languages import doubts, language_to_speak
from modeling.model import GoyaForTextToSpeech
from modeling.processor import GoyaProcessor
from modeling.prompt import spoken_prompt
from modeling.synthesis import evaluating, synthesise
from modeling.vocoder import AUTO, load_vocoder
from modeling.voices import known_voices, voice_of


def speak_text(
    model: GoyaForTextToSpeech,
    processor: GoyaProcessor,
    text: str,
    language: str | None = None,
    *,
    voice: str | None = None,
    reference: list[str] | str | None = None,
    reference_text: str | None = None,
    reference_language: str | None = None,
    vocoder: str = AUTO,
    speed: float = 1.0,
    seed: int = 0,
) -> Tensor:
    """The wave [N], float32 at the processor's sampling_rate, with pauses between sentences.

    Args:
        language: a code or an English name; may be left out of a model whose voices are of one language.
        voice: a speaker of the training data; reference: a clip, or several, to clone in its place (paths).
        reference_text: what the one clip says, to keep closer to its voice (modeling.prompt), in the language of the
            text or in reference_language.
        vocoder: as in modeling.vocoder.load_vocoder. speed: 2 is twice as fast.

    Warns of a language or script that the model was not trained on. Raises UserError for what cannot be spoken, a voice
    or clip that cannot be had, or a language that is not said or that the model has no token for.
    """
    language = language or only_language(model)
    sentences = split_sentences(text, language)
    if not sentences:
        raise UserError(f"The text {shown(text)!r} holds nothing to speak; expected words.")
    if language is not None:
        language_to_speak(language, model.config.voices, processor.tokenizer.vocabulary)
        for doubt in doubts(text, language, model.config.voices):
            warnings.warn(doubt, stacklevel=2)
    clips = [reference] if isinstance(reference, str) else reference or []
    voice_V = voice_of(model, processor, clips, voice, language)
    prompt = spoken_prompt(model, processor, clips, reference_text, reference_language or language)
    to_wave = load_vocoder(vocoder, processor.feature_extractor.audio_config, model.device)
    parts = []
    with evaluating(model):
        for number, sentence in enumerate(sentences):
            inputs = processor(text=sentence.text, language=language).to(model.device)
            ids_BS, lengths_B = inputs["input_ids"], inputs["token_lengths"]
            more = {"seed": seed, "first_number": number, "prompt": prompt}
            (speech,) = synthesise(model, ids_BS, lengths_B, voice_V[None], speed, **more)
            pause = torch.zeros(round(sentence.pause_s / speed * to_wave.sample_rate_hz), device=model.device)
            parts += [to_wave(speech.mel_TC), pause]
    return torch.cat(parts)


def only_language(model: GoyaForTextToSpeech) -> str | None:
    """The language of all the model's voices; None where they name none. Raises UserError where they name several."""
    languages = sorted({language for heard_in in known_voices(model.config.voices).values() for language in heard_in})
    if len(languages) > 1:
        raise UserError(f"This model speaks {', '.join(languages)}; say which, as in language={languages[0]!r}.")
    return languages[0] if languages else None

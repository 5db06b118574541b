"""transformers' pipeline("text-to-speech", model=ID, trust_remote_code=True) for a Goya model on the Hub."""

from functools import cached_property

from transformers import Pipeline

from inference.options import SpeechOptions
from inference.synthesizer import Synthesizer


class GoyaPipeline(Pipeline):
    """Text to {"audio": [N] float32, "sampling_rate": Hz}; its arguments are `SpeechOptions`'.

    A class of its own, as transformers' pipeline for spectrograms would bring a vocoder for mels of another kind.
    """

    _load_processor = True
    _load_tokenizer = _load_feature_extractor = _load_image_processor = False

    @cached_property
    def synthesizer(self) -> Synthesizer:
        """Made at the first text, when the model is on its device."""
        return Synthesizer(self.model, self.processor)

    def _sanitize_parameters(self, **options):
        return {}, options, {}

    def preprocess(self, text: str) -> dict:
        return {"text": text}

    def _forward(self, inputs: dict, **options):
        return self.synthesizer.speak(inputs["text"], SpeechOptions(**options))

    def postprocess(self, wave_N) -> dict:
        return {"audio": wave_N.cpu().numpy(), "sampling_rate": self.processor.feature_extractor.sampling_rate}

"""transformers' pipeline("text-to-speech", model=ID, trust_remote_code=True) for a Goya model on the Hub."""

from transformers import Pipeline

from inference.synthesizer import speak_text


class GoyaPipeline(Pipeline):
    """Text to {"audio": [N] float32, "sampling_rate": Hz}; its arguments are those of `speak_text`.

    A class of its own, as transformers' pipeline for spectrograms would bring a vocoder for mels of another kind.
    """

    _load_processor = True
    _load_tokenizer = _load_feature_extractor = _load_image_processor = False

    def _sanitize_parameters(self, **wishes):
        return {}, wishes, {}

    def preprocess(self, text: str) -> dict:
        return {"text": text}

    def _forward(self, inputs: dict, **wishes):
        return speak_text(self.model, self.processor, inputs["text"], **wishes)

    def postprocess(self, wave_N) -> dict:
        return {"audio": wave_N.cpu().numpy(), "sampling_rate": self.processor.feature_extractor.sampling_rate}

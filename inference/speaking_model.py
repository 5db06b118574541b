"""The model that transformers' Auto classes give: the network, and its speech without another import.

Importing this file registers it with them. With trust_remote_code transformers too comes to it, on the Hub and in a
run's best folder (hub.remote_code).
"""

from torch import Tensor
from transformers import AutoModel, AutoModelForTextToSpectrogram

from inference.options import SpeechOptions
from inference.synthesizer import Synthesizer
from modeling.configuration import GoyaConfig
from modeling.model import GoyaForTextToSpeech
from modeling.processor import GoyaProcessor


class SpeakingModel(GoyaForTextToSpeech):
    """Its weights and its configuration are those of the network."""

    def speak(self, processor: GoyaProcessor, text: str, language: str | None = None, **options) -> Tensor:
        """The wave [N] of a text: `Synthesizer.speak`, with `SpeechOptions`."""
        return Synthesizer(self, processor).speak(text, SpeechOptions(language, **options))


for auto_class in (AutoModel, AutoModelForTextToSpectrogram):
    auto_class.register(GoyaConfig, SpeakingModel, exist_ok=True)

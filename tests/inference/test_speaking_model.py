"""What transformers' Auto classes make of a checkpoint."""

from transformers import (
    AutoConfig,
    AutoFeatureExtractor,
    AutoModel,
    AutoModelForTextToSpectrogram,
    AutoProcessor,
    AutoTokenizer,
)

from inference.speaking_model import SpeakingModel
from modeling.configuration import GoyaConfig
from modeling.processor import GoyaFeatureExtractor, GoyaProcessor, GoyaTokenizer


def test_auto_classes_load_a_checkpoint(model, tmp_path):
    model.save_pretrained(tmp_path)
    GoyaProcessor().save_pretrained(tmp_path)
    assert type(AutoConfig.from_pretrained(tmp_path)) is GoyaConfig
    assert type(AutoModel.from_pretrained(tmp_path)) is SpeakingModel
    assert type(AutoModelForTextToSpectrogram.from_pretrained(tmp_path)) is SpeakingModel
    assert type(AutoProcessor.from_pretrained(tmp_path)) is GoyaProcessor
    assert type(AutoTokenizer.from_pretrained(tmp_path)) is GoyaTokenizer
    assert type(AutoFeatureExtractor.from_pretrained(tmp_path)) is GoyaFeatureExtractor
    assert {path.suffix for path in tmp_path.iterdir()} == {".json", ".safetensors"}

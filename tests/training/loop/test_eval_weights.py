"""The model that speaks while training goes on."""

import pytest
import torch
from accelerate import Accelerator

from inference.generation import synthesize
from modeling.configuration import GoyaConfig
from modeling.model import GoyaForTextToSpeech
from training.loop.eval_weights import EvalWeights
from training.setup import lora


def test_a_model_with_adapters_speaks_as_it_was_trained():
    pytest.importorskip("peft", reason='needs the extra: pip install -e ".[lora]"')
    torch.manual_seed(0)
    model = GoyaForTextToSpeech(GoyaConfig.of_size("debug", vocab_size=20, prenet_dropout=0.0)).eval()
    plain = {name: value.clone() for name, value in model.state_dict().items()}
    lora.add_adapters(model, 2)
    for name, parameter in model.named_parameters():
        if name.endswith(lora.UP):
            torch.nn.init.normal_(parameter, std=0.3)
    ids, lengths, voice = torch.tensor([[4, 5, 6]]), torch.tensor([3]), torch.zeros(1, model.config.voice_size)
    with EvalWeights(Accelerator(cpu=True), model, None).whole() as whole:
        assert len(synthesize(whole, ids, lengths, voice)[0].mel_TC) > 0
        assert whole.state_dict().keys() == plain.keys()
    previous, token = torch.zeros(1, 1, model.config.n_mels), model.text_encoder(ids, lengths)[0][:, :1]
    inputs = previous, token, torch.zeros(1, 1, dtype=torch.long), voice
    torch.testing.assert_close(whole.decoder(*inputs)[0], model.decoder(*inputs)[0])

"""The decoder's contract, shown by a second decoder: all else of Goya trains it and speaks with it as it is."""

import ast
from pathlib import Path

import pytest
import torch
from torch import Tensor, nn

from inference.generation import decode_steps, synthesize
from inference.prompt import prompt_of
from inference.streaming import stream_mel
from modeling.configuration import GoyaConfig
from modeling.decoder import Decoder, Steps
from modeling.losses import LossShape, element_counts, loss_sums
from modeling.model import GoyaForTextToSpeech
from modeling.processor import GoyaProcessor
from testing import small_runs
from tests.test_imports import LAYERS, ROOT, ROOTS

CONTRACT = {name for name in vars(Decoder) if not name.startswith("_")}


class RecurrentDecoder(Decoder):
    """A GRU, without noise, post-net or attention."""

    def __init__(self, config: GoyaConfig):
        super().__init__()
        self.n_mels, width = config.n_mels, config.hidden_size
        self.recurrent = nn.GRU(config.n_mels + width + 1 + config.voice_size, width, batch_first=True)
        self.out = nn.Linear(width, config.frames_per_step * config.n_mels + 1)

    def run(
        self,
        previous_BNC: Tensor,
        token_BND: Tensor,
        steps_in_token_BN: Tensor,
        voice_BV: Tensor,
        hidden: Tensor | None,
    ):
        voice_BNV = voice_BV[:, None].expand(-1, steps_in_token_BN.shape[1], -1)
        x = torch.cat((previous_BNC, token_BND, steps_in_token_BN[..., None] / 10, voice_BNV), dim=-1)
        x, hidden = self.recurrent(x, hidden)
        out = self.out(x)
        return out[..., :-1].unflatten(2, (-1, self.n_mels)).flatten(1, 2), out[..., -1], hidden

    def forward(self, previous_BNC: Tensor, token_BND: Tensor, steps_in_token_BN: Tensor, voice_BV: Tensor):
        return self.run(previous_BNC, token_BND, steps_in_token_BN, voice_BV, None)[:2]

    def start(self, context_BSD: Tensor, voice_BV: Tensor, seed: int, numbers) -> "RecurrentSteps":
        return RecurrentSteps(self, context_BSD, voice_BV)

    def finish(self, mel_BTC: Tensor, real_BT1: Tensor) -> Tensor:
        return mel_BTC

    @property
    def context_frames(self) -> int:
        return 0


class RecurrentSteps(Steps):
    def __init__(self, decoder: RecurrentDecoder, context_BSD: Tensor, voice_BV: Tensor):
        self.decoder, self.context_BSD, self.voice_BV, self.hidden = decoder, context_BSD, voice_BV, None
        self.rows_B = torch.arange(len(context_BSD))

    def read(self, previous_NC: Tensor, token_N: Tensor, steps_in_token_N: Tensor) -> None:
        every = [one.expand(len(self.rows_B), *one.shape) for one in (previous_NC, steps_in_token_N)]
        *_, self.hidden = self.decoder.run(every[0], self.context_BSD[:, token_N], every[1], self.voice_BV, None)

    def step(self, previous_BC: Tensor, token_B: Tensor, steps_in_token_B: Tensor) -> tuple[Tensor, Tensor]:
        token_B1D = self.context_BSD[self.rows_B, token_B][:, None]
        frames, end, self.hidden = self.decoder.run(
            previous_BC[:, None], token_B1D, steps_in_token_B[:, None], self.voice_BV, self.hidden
        )
        return frames, end[:, 0]


@pytest.fixture
def other(monkeypatch) -> GoyaForTextToSpeech:
    monkeypatch.setattr("modeling.model.TransformerDecoder", RecurrentDecoder)
    torch.manual_seed(0)
    return GoyaForTextToSpeech(GoyaConfig.of_size("debug", max_token_steps=4)).eval()


def test_a_second_decoder_learns(other, batch):
    shape = LossShape(frames_per_step=other.config.frames_per_step)
    optimizer = torch.optim.Adam(other.train().parameters(), lr=1e-3)
    counts, losses = element_counts(batch["mel_lengths"], other.config.n_mels, shape.frames_per_step), []
    for _ in range(8):
        sums = loss_sums(other(**batch), batch, shape)
        losses.append(sum(sums[name] / counts[name] for name in sums))
        losses[-1].backward()
        optimizer.step()
        optimizer.zero_grad()
    assert losses[-1] < 0.9 * losses[0]


@torch.no_grad()
def test_a_second_decoder_speaks_what_teacher_forcing_on_it_would_write(other, batch):
    ids, lengths, voice = batch["input_ids"][:1, :5], batch["token_lengths"][:1], torch.ones(1, other.config.voice_size)
    frames, tokens = zip(*decode_steps(other, ids, lengths, voice), strict=True)
    frames_BTC, token_BN = torch.cat(frames, dim=1), torch.stack(tokens, dim=1)
    _, previous_BNC = other._in_steps(frames_BTC)
    context_BSD, _ = other.text_encoder(ids, lengths)
    steps_in_token_BN = torch.cat([torch.arange(int(count)) for count in token_BN.unique(return_counts=True)[1]])[None]
    expected, _ = other.decoder(previous_BNC, context_BSD[:, token_BN[0]], steps_in_token_BN, voice)
    torch.testing.assert_close(frames_BTC, expected, rtol=1e-3, atol=1e-4)


def test_a_second_decoder_goes_on_from_a_clip_and_streams(other):
    row, processor = small_runs.rows()[0], GoyaProcessor()
    prompt = prompt_of(other, processor, row["audio"]["bytes"], row["text"], row["language"])
    inputs, voices = processor(text=["uno", "dos y tres"], language="es"), torch.ones(2, other.config.voice_size)
    ids, lengths = inputs["input_ids"], inputs["token_lengths"]
    plain, together = (synthesize(other, ids, lengths, voices, prompt=one) for one in (None, prompt))
    assert not torch.allclose(plain[0].mel_TC[:8], together[0].mel_TC[:8], atol=1e-3)
    streamed = torch.cat(list(stream_mel(other, ids[1, : lengths[1]], voices[1], number=1, prompt=prompt)))
    torch.testing.assert_close(streamed, together[1].mel_TC, rtol=1e-3, atol=1e-3)


def insides(source: str) -> set[str]:
    """What a file names of a decoder besides its contract."""
    named = (one for one in ast.walk(ast.parse(source)) if isinstance(one, ast.Attribute))
    return {one.attr for one in named if getattr(one.value, "attr", None) == "decoder"} - CONTRACT


def test_nobody_outside_modeling_names_an_inside_of_the_decoder():
    assert insides("model.decoder.start(a)\nmodel.decoder.prenet.layers") == {"prenet"}
    files = [path for folder in {*LAYERS, *ROOTS} - {"modeling", "tests"} for path in (ROOT / folder).rglob("*.py")]
    files += [path for path in ROOT.glob("*.py")]
    assert len(files) > 100
    named = {path: insides(Path(path).read_text(encoding="utf-8")) for path in files}
    assert {path: found for path, found in named.items() if found} == {}

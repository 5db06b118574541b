"""GoyaForTextToSpeech: text, a reference clip and (in training) the mel, to mel frames and token ends.

Shapes: B utterances, S text tokens, T mel frames, N = ceil(T / r) decoder steps, C mel channels, D width, U
the voice posterior, V a voice (GoyaConfig.voice_size).
"""

from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from transformers import PreTrainedModel
from transformers.utils import ModelOutput

from modeling.aligner import Aligner, monotonic_search, token_of_step
from modeling.configuration import GoyaConfig
from modeling.layers import Attention, Conv, LayerNorm, SwiGLU, length_mask
from modeling.postfilter import CONTEXT_FRAMES, with_detail
from modeling.text_encoder import TextEncoder
from modeling.transformer_decoder import TransformerDecoder
from modeling.voice_encoder import VoiceEncoder, sample_voice


@dataclass
class GoyaOutput(ModelOutput):
    """What the losses and the pictures need. Mels are log-mel (natural log), not normalized; all float32.

    voice_BV: what the decoder was told: a draw from the posterior (in evaluation its mean) and the spectrum.
    """

    mel_before_BTC: Tensor = None
    mel_after_BTC: Tensor = None
    end_logits_BN: Tensor = None
    ends_BN: Tensor = None
    voice_BV: Tensor = None
    voice_mean_BU: Tensor = None
    voice_log_variance_BU: Tensor = None
    alignment_BNS: Tensor = None
    durations_BS: Tensor = None


class GoyaForTextToSpeech(PreTrainedModel):
    """The whole acoustic model. `forward` is teacher-forced training; `inference.generation` speaks."""

    config_class = GoyaConfig
    base_model_prefix = "goya"
    main_input_name = "input_ids"
    supports_gradient_checkpointing = True
    _supports_sdpa = True
    _no_split_modules = ["TransformerLayer"]

    def __init__(self, config: GoyaConfig):
        super().__init__(config)
        self.text_encoder = TextEncoder(config)
        self.voice_encoder = VoiceEncoder(config)
        self.aligner = Aligner(config)
        self.decoder = TransformerDecoder(config)
        self._scale_starts()
        self.post_init()

    @classmethod
    def from_pretrained(cls, *args, **kwargs):
        """As transformers', with each weight in memory of its own.

        transformers' are views into the file, aligned as it happens, and products of such matrices round otherwise.
        """
        loaded = super().from_pretrained(*args, **kwargs)
        model = loaded[0] if isinstance(loaded, tuple) else loaded  # with output_loading_info
        for parameter in model.parameters():
            parameter.data = parameter.data.clone()
        return loaded

    def _scale_starts(self) -> None:
        """Mark the residual branches, which start smaller by depth (Radford et al. 2019, section 2.3).

        Marks, because transformers 5 calls `_init_weights` of a class outside its own package only on modules
        that hold a parameter directly: never on Attention, SwiGLU or Decoder.
        """
        depth = self.config.encoder_layers + self.config.decoder_layers
        for module in self.modules():
            if isinstance(module, (Attention, SwiGLU)):
                module.out.start_scale = (2 * depth) ** -0.5

    def _init_weights(self, module: nn.Module) -> None:
        """Variance-preserving starts, times `start_scale` where a layer has one."""
        if isinstance(module, (nn.Linear, Conv)):
            fan_in = module.weight[0].numel()
            nn.init.normal_(module.weight, std=getattr(module, "start_scale", 1.0) * fan_in**-0.5)
            if module.bias is not None:
                nn.init.zeros_(module.bias)
        elif isinstance(module, nn.Embedding):
            nn.init.normal_(module.weight, std=1.0)
        elif isinstance(module, LayerNorm):
            nn.init.ones_(module.weight)

    def get_input_embeddings(self) -> nn.Embedding:
        """What transformers cannot find by its usual names, and accelerate asks for to shard a model."""
        return self.text_encoder.embedding

    def set_input_embeddings(self, value: nn.Embedding) -> None:
        """For resize_token_embeddings."""
        self.text_encoder.embedding = value

    def normalize(self, mel: Tensor) -> Tensor:
        """Log-mel to the network's unit scale."""
        return (mel - self.config.mel_mean) / self.config.mel_std

    def denormalize(self, mel_BTC: Tensor, voice_BV: Tensor) -> Tensor:
        """What the decoder writes, on the unit scale and less the voice's spectrum, to log-mel."""
        spectrum_B1C = voice_BV[:, None, self.config.voice_dim :]
        return (mel_BTC + spectrum_B1C) * self.config.mel_std + self.config.mel_mean

    def spoken_mel(self, mel_BTC: Tensor, real_BT1: Tensor, voice_BV: Tensor) -> Tensor:
        """Log-mel of what the decoder wrote by itself: finished, and through the post-filter, float32."""
        mel_BTC = self.denormalize(self.decoder.finish(mel_BTC, real_BT1), voice_BV).float()
        if not self.config.detail_gains:
            return mel_BTC
        gains = (mel_BTC.new_tensor(one) for one in (self.config.detail_gains, self.config.time_detail_gains))
        return with_detail(mel_BTC, real_BT1, *gains)

    @property
    def context_frames(self) -> int:
        """How many frames to each side of a frame `spoken_mel` makes it of."""
        return self.decoder.context_frames + (CONTEXT_FRAMES if self.config.detail_gains else 0)

    def forward(
        self,
        input_ids: Tensor,
        token_lengths: Tensor,
        mel: Tensor,
        mel_lengths: Tensor,
        reference_mel: Tensor,
        reference_lengths: Tensor,
        reference_spectrum: Tensor,
    ) -> GoyaOutput:
        """Teacher-forced pass.

        Args:
            input_ids: [B, S] tokens, 0 where padded; token_lengths: [B].
            mel: [B, T, C] log-mel; mel_lengths: [B] frames. Each utterance needs at least one decoder step a token.
            reference_mel: [B, R, C] log-mel of a clip of the same voice; reference_lengths: [B].
            reference_spectrum: [B, C] the mean frame of the voice's speech, log-mel.

        The network reads and writes mels less that spectrum: cepstral mean subtraction (Atal 1974), by the mean of
        other speech of the voice in place of the utterance's own. Otherwise the previous frames tell the decoder most
        of who speaks, and of a clip's voice it follows less (benchmarks/LOG.md).
        """
        steps_B = -(-mel_lengths // self.config.frames_per_step)
        real_BT1 = length_mask(mel_lengths, mel.shape[1])[..., None]
        spectrum_BC = self.normalize(reference_spectrum)
        steps_BNX, previous_BNC = self._in_steps((self.normalize(mel) - spectrum_BC[:, None]) * real_BT1)
        context_BSD, embedded_BSD = self.text_encoder(input_ids, token_lengths)
        alignment_BNS = self.aligner(embedded_BSD, steps_BNX, token_lengths, steps_B)
        durations_BS = monotonic_search(alignment_BNS, token_lengths, steps_B)
        token_BN, steps_in_token_BN, ends_BN = token_of_step(durations_BS, steps_BNX.shape[1])

        mean_BU, log_variance_BU = self.voice_encoder(self.normalize(reference_mel), reference_lengths)
        latent_BU = sample_voice(mean_BU, log_variance_BU) if self.training else mean_BU
        token_BND = context_BSD.gather(1, token_BN[..., None].expand(-1, -1, context_BSD.shape[-1]))
        voice_BV = torch.cat((latent_BU, spectrum_BC), dim=1)
        before_BTC, end_logits_BN = self.decoder(previous_BNC, token_BND, steps_in_token_BN, voice_BV)
        before_BTC = before_BTC[:, : mel.shape[1]]
        after_BTC = self.decoder.finish(before_BTC, real_BT1)
        return GoyaOutput(
            mel_before_BTC=self.denormalize(before_BTC, voice_BV),
            mel_after_BTC=self.denormalize(after_BTC, voice_BV),
            end_logits_BN=end_logits_BN,
            ends_BN=ends_BN,
            voice_BV=voice_BV,
            voice_mean_BU=mean_BU,
            voice_log_variance_BU=log_variance_BU,
            alignment_BNS=alignment_BNS,
            durations_BS=durations_BS,
        )

    def _in_steps(self, mel_BTC: Tensor) -> tuple[Tensor, Tensor]:
        """Pad to whole steps; returns (the r frames of each step side by side, each step's previous frame)."""
        batch, frames, channels = mel_BTC.shape
        r = self.config.frames_per_step
        mel_BTC = F.pad(mel_BTC, (0, 0, 0, -frames % r))
        steps_BNX = mel_BTC.reshape(batch, -1, r * channels)
        previous_BNC = F.pad(mel_BTC[:, r - 1 :: r][:, :-1], (0, 0, 1, 0))
        return steps_BNX, previous_BNC

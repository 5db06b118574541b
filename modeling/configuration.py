"""Sizes and hyper-parameters of the network, saved beside its weights as config.json."""

from transformers import PretrainedConfig

# The reference width of the published levels is `normal`; matrix learning rates scale as 1024 / hidden_size.
SIZES: dict[str, dict[str, int]] = {
    "debug": {"hidden_size": 64, "encoder_layers": 2, "decoder_layers": 2},
    "tiny": {"hidden_size": 256, "encoder_layers": 4, "decoder_layers": 6},
    "small": {"hidden_size": 512, "encoder_layers": 6, "decoder_layers": 8},
    "normal": {"hidden_size": 1024, "encoder_layers": 8, "decoder_layers": 12},
    "big": {"hidden_size": 1536, "encoder_layers": 10, "decoder_layers": 16},
}


class GoyaConfig(PretrainedConfig):
    """Everything needed to rebuild the network. See `SIZES` for the five named sizes.

    Args:
        vocab_size: number of text tokens.
        new_tokens: how many of them, the last, the fine-tuning that made this model added.
        n_mels: mel channels C.
        frames_per_step: mel frames r that the decoder writes in one step.
        hidden_size: width D; must be a multiple of `head_dim`.
        voice_dim: dimensions U of the Gaussian voice posterior; a voice is a point of it and a spectrum (`voice_size`).
        prenet_dropout: dropout on the previous frame while training (Shen et al. 2018, section 2.2): without it the
            decoder trusts its own frames too much.
        synthesis_dropout: the same while speaking, where it is no more than that. Tacotron 2 keeps the dropout of
            training; a little is understood better than as much, or none (benchmarks/LOG.md).
        mel_mean, mel_std: constants of the log-mel normalization inside the network (natural log).
        max_token_steps: a token is left after this many decoder steps whatever its end logit says.
        stop_smoothing: label smoothing the token-end logit was trained with, which synthesis takes out again.
        audio: fields of `data_pipeline.recordings.audio.AudioConfig` that the mels were made with.
        detail_gains, time_detail_gains: [C] of the post-filter of what it speaks (modeling.postfilter), both or none.
        voices: name -> voice vector of the training speakers, so that a checkpoint speaks without a clip.
    """

    model_type = "goya"

    def __init__(
        self,
        vocab_size: int = 896,
        n_mels: int = 80,
        frames_per_step: int = 2,
        hidden_size: int = 256,
        head_dim: int = 64,
        encoder_layers: int = 4,
        decoder_layers: int = 6,
        voice_dim: int = 64,
        aligner_dim: int = 128,
        prenet_dropout: float = 0.5,
        synthesis_dropout: float = 0.15,
        dropout: float = 0.0,
        mel_mean: float = -5.0,
        mel_std: float = 2.0,
        max_token_steps: int = 80,
        stop_smoothing: float = 0.0,
        audio: dict | None = None,
        voices: dict[str, list[float]] | None = None,
        detail_gains: list[float] | None = None,
        time_detail_gains: list[float] | None = None,
        new_tokens: int = 0,
        **kwargs,
    ):
        if hidden_size % head_dim:
            raise ValueError(f"hidden_size {hidden_size} is not a multiple of head_dim {head_dim}")
        if (detail_gains is None) != (time_detail_gains is None):
            raise ValueError("detail_gains and time_detail_gains go together")
        if frames_per_step < 1:
            raise ValueError(f"frames_per_step must be 1 or more, found {frames_per_step}")
        self.vocab_size = vocab_size
        self.new_tokens = new_tokens
        self.n_mels = n_mels
        self.frames_per_step = frames_per_step
        self.hidden_size = hidden_size
        self.head_dim = head_dim
        self.encoder_layers = encoder_layers
        self.decoder_layers = decoder_layers
        self.voice_dim = voice_dim
        self.aligner_dim = aligner_dim
        self.prenet_dropout = prenet_dropout
        self.synthesis_dropout = synthesis_dropout
        self.dropout = dropout
        self.mel_mean = mel_mean
        self.mel_std = mel_std
        self.max_token_steps = max_token_steps
        self.stop_smoothing = stop_smoothing
        self.audio = audio or {}
        self.voices = voices or {}
        self.detail_gains = detail_gains
        self.time_detail_gains = time_detail_gains
        super().__init__(**kwargs)

    @classmethod
    def of_size(cls, size: str, **overrides) -> "GoyaConfig":
        """The config of a named size (`SIZES`). Raises ValueError for an unknown name."""
        if size not in SIZES:
            raise ValueError(f"unknown model size {size!r}; the sizes are {', '.join(SIZES)}")
        return cls(**{**SIZES[size], **overrides})

    @property
    def voice_size(self) -> int:
        """Numbers V of a voice: a point of the posterior, then the spectrum of its speech (modeling.model)."""
        return self.voice_dim + self.n_mels

    @property
    def ff_size(self) -> int:
        """Inner width of SwiGLU: 8/3 of the width (Shazeer 2020), rounded up to a multiple of 64."""
        return -(-self.hidden_size * 8 // 3 // 64) * 64

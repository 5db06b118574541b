"""Pictures of what the model did: its mel, the reference's, and which character each moment was spent on.

Shapes: T = mel frames, C = mel channels, S = text tokens, K = decoder steps (or frames) of the alignment.
"""

import warnings
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from inference.synthesizer import Spoken

# Perceptually uniform, and read alike with all common kinds of color blindness.
COLOR_MAP = "cividis"
MOST_LABELS = 28  # beyond it the characters overlap, so every second, third ... one is written
DPI = 100


def mel_and_alignment_png(path: str | Path, mel_TC: torch.Tensor, **parts) -> Path:
    """Writes mel_and_alignment_figure(mel_TC, **parts) to path as a PNG of about 100 kB; returns the path."""
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    with warnings.catch_warnings():
        # Labels in letters that matplotlib's font lacks, as Chinese ones, are boxes in the picture; no word on each.
        warnings.filterwarnings("ignore", message="Glyph .* missing from font")
        mel_and_alignment_figure(mel_TC, **parts).savefig(path, format="png", dpi=DPI)
    return path


def write_picture(path: str | Path, spoken: Spoken, frames_per_s: float, **more) -> None:
    """Write mel and alignment of a sentence as a PNG; `more` is for `mel_and_alignment_figure`."""
    mel_and_alignment_png(
        path,
        spoken.speech.mel_TC.cpu(),
        text=spoken.tokens,
        frames_per_s=frames_per_s,
        durations_S=spoken.speech.durations_S.cpu(),
        title=spoken.text,
        **more,
    )


def mel_and_alignment_figure(
    mel_TC: torch.Tensor,
    *,
    text: Sequence[str],
    frames_per_s: float,
    alignment_SK: torch.Tensor | None = None,
    durations_S: torch.Tensor | None = None,
    reference_mel_TC: torch.Tensor | None = None,
    title: str = "",
    width_inches: float = 9.0,
) -> Figure:
    """Rows for the mel, the reference where given, and the alignment, on one time axis in seconds.

    text: the S tokens as they are to be written, one string each (a plain str of S characters will do).
    alignment_SK: weights or 0/1, spread evenly over the mel's length. durations_S: the same as numbers of
    frames (or decoder steps), of which the sum is the whole mel. Raises ValueError where both or neither are
    given, or S differs from the length of text. The figure belongs to no window; add_figure can take it.
    """
    if (alignment_SK is None) == (durations_S is None):
        raise ValueError("expected either alignment_SK or durations_S")
    weights_SK = staircase(durations_S) if alignment_SK is None else as_array(alignment_SK)
    if len(weights_SK) != len(text):
        raise ValueError(f"the alignment has {len(weights_SK)} tokens and the text {len(text)}, not as many")
    mels = [("mel (model)", as_array(mel_TC))]
    if reference_mel_TC is not None:
        mels.append(("mel (recording)", as_array(reference_mel_TC)))

    figure = Figure(figsize=(width_inches, 2.2 * len(mels) + 3.6), layout="constrained")
    FigureCanvasAgg(figure)
    heights = [1.0] * len(mels) + [1.6]
    axes = figure.subplots(len(heights), 1, sharex=True, height_ratios=heights)
    low, high = np.percentile(mels[-1][1], [1, 99.5])
    for axis, (name, mel) in zip(axes, mels, strict=False):
        picture = axis.imshow(
            mel.T,
            origin="lower",
            aspect="auto",
            interpolation="nearest",
            cmap=COLOR_MAP,
            vmin=low,
            vmax=high,
            extent=(0, len(mel) / frames_per_s, 0, mel.shape[1]),
        )
        axis.set(title=name, ylabel="mel channel")
        figure.colorbar(picture, ax=axis, label="log magnitude", pad=0.01)
    draw_alignment(axes[-1], weights_SK, text, seconds=len(mels[0][1]) / frames_per_s)
    axes[-1].set_xlim(0, max(len(mel) for _, mel in mels) / frames_per_s)
    if title:
        figure.suptitle(title, wrap=True, parse_math=False)  # a text may hold dollar signs
    return figure


def draw_alignment(axis, weights_SK: np.ndarray, text: Sequence[str], seconds: float) -> None:
    """The first token at the bottom, as time runs: a good alignment climbs from corner to corner."""
    tokens = len(text)
    picture = axis.imshow(
        weights_SK,
        origin="lower",
        aspect="auto",
        interpolation="nearest",
        cmap=COLOR_MAP,
        vmin=0,
        vmax=1,
        extent=(0, seconds, -0.5, tokens - 0.5),
    )
    every = -(-tokens // MOST_LABELS)
    shown = range(0, tokens, every)
    # A space would be an empty label; the open box is its usual sign.
    labels = [text[place].replace(" ", "\u2423") for place in shown]
    axis.set_yticks(shown, labels, fontsize=9 if tokens <= 20 else 7, parse_math=False)
    axis.set(title="alignment", xlabel="time (s)", ylabel="text token")
    axis.figure.colorbar(picture, ax=axis, label="weight", pad=0.01)


def staircase(durations_S: torch.Tensor) -> np.ndarray:
    """0/1 weights [S, K] of the monotonic alignment whose token s holds durations_S[s] of the K steps."""
    durations = as_array(durations_S).astype(int)
    tokens = np.arange(len(durations))
    return (np.repeat(tokens, durations) == tokens[:, None]).astype(float)


def as_array(values: torch.Tensor | np.ndarray) -> np.ndarray:
    return torch.as_tensor(values).detach().float().cpu().numpy()

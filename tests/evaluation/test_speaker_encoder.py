"""The speaker encoder hears what Resemblyzer 0.1.4 hears: figures that either measured compare."""

from pathlib import Path

import numpy as np
import pyarrow.parquet
import pytest

from data_pipeline.recordings.audio import decode_audio

pytest.importorskip("webrtcvad", reason='needs the extra: pip install -e ".[eval]"')
pytest.importorskip("librosa", reason='needs the extra: pip install -e ".[eval]"')

from evaluation.speaker_encoder import RATE_HZ, load_encoder, piece_starts, raised, speech_in  # noqa: E402

HELDOUT = Path(__file__).parents[2] / "assets" / "demo_corpus" / "heldout.parquet"


def embedding(name: str) -> np.ndarray:
    row = pyarrow.parquet.read_table(HELDOUT, filters=[("id", "=", name)]).to_pylist()[0]
    return load_encoder().embed(speech_in(decode_audio(row["audio"]["bytes"], RATE_HZ)))


def test_the_numbers_are_resemblyzers():
    """What Resemblyzer 0.1.4 gave for the same three recordings, which this equals to the bit on one machine."""
    one, same_voice, other = map(embedding, ("en/followme/sorry", "en/vm-tocancel", "fr/vm-mailboxfull"))
    assert one[[0, 1, 2]] == pytest.approx([0.06211574, 0, 0.17094873], abs=1e-5)
    assert (one @ same_voice, one @ other) == pytest.approx((0.8593299, 0.66723114), abs=1e-5)


@pytest.mark.parametrize(
    ("samples", "starts"),
    # 1.6 s is a piece; a last one that is covered by less than three quarters is left out.
    [(1, [0]), (25_600, [0]), (31_000, [0]), (31_600, [0, 77]), (44_799, [0, 77, 154])],
)
def test_speech_is_heard_in_overlapping_pieces(samples, starts):
    assert piece_starts(samples) == starts


@pytest.mark.parametrize("samples", [0, 300, 20_000])
def test_what_holds_no_speech_has_no_voice(samples):
    with pytest.raises(ValueError, match="holds no speech"):
        speech_in(np.zeros(samples, dtype=np.float32))


def test_only_quiet_waves_are_raised():
    loud, quiet = np.full(100, 0.5, dtype=np.float32), np.full(100, 1e-3, dtype=np.float32)
    assert raised(loud) is loud
    assert raised(quiet)[0] == pytest.approx(10 ** (-30 / 20), rel=1e-4)

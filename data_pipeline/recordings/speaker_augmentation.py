"""Voices made out of recorded ones by moving formants and pitch, for corpora of few speakers.

A model that heard two speakers ignores the clip that it should clone (benchmarks/LOG.md). Compare vocal tract length
perturbation (Jaitly and Hinton 2013). Praat does the work (its command "Change gender": Boersma and Weenink 2001),
which the package praat-parselmouth carries; that is GPL-3, so it is an extra (`speaker-augmentation`) and never needed
by default.
"""

import importlib.util
from dataclasses import replace

import numpy as np

from data_pipeline.errors import UserError
from data_pipeline.utterance import Utterance, VoiceShift

FORMANTS, PITCH = (0.82, 1.22), (0.55, 1.5)  # ranges of the ratios: children and giants are beyond them
AS_RECORDED = 0.5  # share of the utterances that stay as they are
SAME_SHIFT = 4  # utterances of a batch have one shift, so that one can be the reference clip of another
PITCH_RANGE_HZ = (60.0, 600.0)  # where Praat looks for a voice
# Inverse powers of the plastic number: the points i * R2 modulo 1 fill a square evenly, however many there are
# (Roberts 2018, "The unreasonable effectiveness of quasirandom sequences").
R2 = np.array([0.7548776662466927, 0.5698402909980532])


def voice_shift(number: int) -> VoiceShift:
    """The `number`-th of an endless list of shifts, which is always the same; none is another's near neighbor."""
    places = (0.5 + R2 * (number + 1)) % 1
    low, high = np.log([FORMANTS, PITCH]).T
    formants, pitch = np.exp(low + places * (high - low))
    return VoiceShift(float(formants), float(pitch))


def augmented(
    entries: tuple[Utterance, ...], number: int, seed: tuple[int, ...], recorded_share: float = AS_RECORDED
) -> tuple[Utterance, ...]:
    """A batch's utterances, each as it was recorded or in the first `number` shifts, as `seed` draws."""
    draw = np.random.default_rng((*seed, number))
    groups = -(-len(entries) // SAME_SHIFT)
    drawn = [None if draw.random() < recorded_share else voice_shift(int(draw.integers(number))) for _ in range(groups)]
    return tuple(replace(entry, shift=drawn[index % groups]) for index, entry in enumerate(entries))


def shifted(wave_N: np.ndarray, sample_rate_hz: int, shift: VoiceShift) -> np.ndarray:
    """The wave float32 [N], as long and with the same words, in another voice. Raises UserError without the extra."""
    require()
    import parselmouth
    from parselmouth.praat import call, run

    # Praat draws where the periods of voiceless sounds lie; what is drawn must be the same in every process.
    run("random_initializeWithSeedUnsafelyButPredictably (1)")
    sound = parselmouth.Sound(wave_N.astype(np.float64), sample_rate_hz)
    try:
        pitch = sound.to_pitch(pitch_floor=PITCH_RANGE_HZ[0], pitch_ceiling=PITCH_RANGE_HZ[1])
        median_hz = call(pitch, "Get quantile", 0, 0, 0.5, "Hertz")
        # 0 leaves the pitch alone: nothing in a whisper has one.
        new_median_hz = 0.0 if np.isnan(median_hz) else median_hz * shift.pitch
        made = call([sound, pitch], "Change gender", shift.formants, new_median_hz, 1.0, 1.0)
    except parselmouth.PraatError as error:
        seconds, reason = len(wave_N) / sample_rate_hz, str(error).splitlines()[0]
        raise UserError(f"Praat cannot move the voice of a clip of {seconds:.2f} s ({reason}).") from error
    return made.values[0].astype(np.float32)


def require() -> None:
    """Raises UserError where the extra is missing."""
    if importlib.util.find_spec("parselmouth") is None:
        raise UserError(
            "Made voices come from praat-parselmouth, which is not installed: run pip install -e "
            '".[speaker-augmentation]", or give --set data.speaker_augmentation=0.'
        )

import numpy as np

from evaluation.speech_metrics import Speech, SpeechMetric


def rms_db(speech: Speech) -> float:
    rms = np.sqrt(np.mean(np.concatenate(speech.waves) ** 2))
    if not rms:
        raise ValueError("silence has no level")
    return 20 * np.log10(rms)


LOUDNESS = SpeechMetric(rms_db, "root mean square of speech, dB of full scale", "{:.1f}")

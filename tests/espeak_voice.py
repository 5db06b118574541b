"""Speech by rule, for tests that need recordings of a language that no embedded corpus has."""

import ctypes

import numpy as np

from data_pipeline.phonemes import espeak

RATE_HZ = 22_050  # espeak-ng's own
CHARACTERS, UTF_8 = 1, 1  # speak_lib.h
CALLBACK = ctypes.CFUNCTYPE(ctypes.c_int, ctypes.POINTER(ctypes.c_short), ctypes.c_int, ctypes.c_void_p)


def spoken(text: str, language: str) -> np.ndarray:
    """The voice of espeak-ng for a language: float32 [N] at RATE_HZ. Needs the extra `espeak`."""
    espeak._choose(language)
    library, chunks = espeak._library(), []

    def take(samples, count, _events) -> int:
        if samples and count > 0:
            chunks.append(np.ctypeslib.as_array(samples, (count,)).copy())
        return 0  # go on

    callback = CALLBACK(take)
    library.espeak_SetSynthCallback(callback)
    data = text.encode("utf-8") + b"\0"
    done = library.espeak_Synth(data, ctypes.c_size_t(len(data)), 0, CHARACTERS, 0, UTF_8, None, None)
    library.espeak_SetSynthCallback(None)
    assert done == 0, "espeak-ng does not speak"
    return np.concatenate(chunks).astype(np.float32) / 32_768

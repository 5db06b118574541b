"""How like its recordings a model's speech sounds, in languages that no recognizer which can be installed here knows.

The English recognizer hears a recording and what a model makes of its text, and the two strings of English words are
compared: "heard" is the character error rate between them. It says how like the two sound to one fixed ear, not how
well the language is understood. Beside it stands the same between the recording and a vocoded copy of it, which is the
least it can be, and between a recording and other sentences', which is what speech that says something else gets.
Waves are float32 [N].
"""

import torch

from benchmarks.quality import heldout_speech as speech
from data_pipeline.recordings.audio import AudioConfig, decode_audio, log_mel, trim_silence
from data_pipeline.utterance import Utterance
from evaluation.durations import duration_figures
from evaluation.metrics import load_metric
from evaluation.text_metrics import character_error_rate
from inference.synthesizer import Spoken

VOCODER = "hifigan"

# Figure -> (what a reader is told, how its value is shown).
SHOWN = {
    "heard": ("heard as the recording, CER", "{:.0%}"),
    "mcd": ("mel cepstral distortion, dB", "{:.1f}"),
    "duration_ratio": ("length over the recording", "{:.2f}"),
    "never": ("never ended", "{:.0%}"),
}


class Recordings:
    """Held-out utterances, as they were recorded and as they are heard."""

    def __init__(self, utterances: list[Utterance]):
        self.utterances, self.vocoder = utterances, speech.vocoder_for(VOCODER, AudioConfig())
        self.rate_hz = self.vocoder.sample_rate_hz
        decoded = [trim_silence(decode_audio(one.audio, self.rate_hz), self.rate_hz) for one in utterances]
        self.waves = [torch.from_numpy(wave) for wave in decoded]
        self.heard = speech.hear(self.waves, self.rate_hz)

    def likeness(self, speaker: speech.Speaker, spoken: list[Spoken]) -> dict:
        """Of the model's speech of all of them: heard, mcd, the figures of durations, and heard_as."""
        waves = [self.vocoder(one.speech.mel_TC) for one in spoken]
        heard = speech.hear(waves, self.rate_hz)
        seconds = [len(wave) / self.rate_hz for wave in self.waves]
        return {
            "heard": character_error_rate(heard, self.heard),
            "mcd": self.distortion(waves),
            **duration_figures(spoken, seconds, speaker.model.config, speaker.audio.frames_per_s),
            "heard_as": [
                {"said": one.text, "recording": expected, "model": text}
                for one, expected, text in zip(self.utterances, self.heard, heard, strict=True)
            ],
        }

    def bounds(self) -> dict[str, float]:
        """heard and mcd of vocoded copies of the recordings, and of other sentences' recordings (heard: of all)."""
        copies = [self.vocoder(log_mel(wave, self.vocoder.audio_config)) for wave in self.waves]
        turned = [self.heard[shift:] + self.heard[:shift] for shift in range(1, len(self.heard))]
        others = [character_error_rate(one, self.heard) for one in turned]
        return {
            "heard_copies": character_error_rate(speech.hear(copies, self.rate_hz), self.heard),
            "heard_others": sum(others) / len(others),
            "mcd_copies": self.distortion(copies),
            "mcd_others": self.distortion(self.waves[1:] + self.waves[:1]),
        }

    def distortion(self, waves: list) -> float:
        predictions, references = ([wave.numpy() for wave in group] for group in (waves, self.waves))
        found = load_metric("mcd").compute(predictions=predictions, references=references, sample_rate_hz=self.rate_hz)
        return found["mcd_db"]

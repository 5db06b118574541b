"""What a trained model sounds like: python benchmarks/sound_samples.py runs/demo_corpus_tiny_enhanced

Speaks held-out sentences of the demo corpus, chosen here by their ids and not by how they came out, through HiFi-GAN
with the first synthesis seed. Writes them beside their recordings into assets/samples/, as wav and as
a picture of mel and alignment, and the table in README.md that links to them.
"""

import argparse
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))  # a script's own folder is on the path, its parent is not

import soundfile  # noqa: E402

from benchmarks import heldout_speech as speech  # noqa: E402
from benchmarks import page_block  # noqa: E402
from benchmarks.command_line import read_json  # noqa: E402
from data_pipeline.audio import log_mel  # noqa: E402
from evaluation.speaking import write_picture  # noqa: E402

CHOSEN = {
    "en/queue-youarenext": "english",
    "en/auth-incorrect": "english_2",
    "es/confbridge-only-participant": "spanish",
    "fr/followme/status": "french",
}
FOLDER = "assets/samples"


def main(argv: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="benchmarks/sound_samples.py", description=__doc__.split(":")[0] + ".")
    parser.add_argument("run", type=Path, help="folder of a finished run")
    arguments = parser.parse_args(argv)
    speaker = speech.Speaker(arguments.run)
    steps = read_json(arguments.run / "report.json")["result"]["steps"]
    utterances = [one for each in speech.heldout().values() for one in each if one.id in CHOSEN]
    vocoder = speech.vocoder_for(speech.VOCODERS[1], speaker.audio)
    rate_hz = speaker.audio.sample_rate_hz
    recorded = speech.recordings(utterances, speaker.audio)
    (ROOT / FOLDER).mkdir(exist_ok=True)
    for utterance, spoken, wave in zip(utterances, speaker.speak(utterances), recorded, strict=True):
        path = ROOT / FOLDER / CHOSEN[utterance.id]
        soundfile.write(f"{path}.wav", vocoder(spoken.speech.mel_TC).numpy(), rate_hz)
        soundfile.write(f"{path}_recorded.wav", wave.numpy(), rate_hz)
        reference_mel_TC = log_mel(wave, speaker.audio)
        write_picture(f"{path}.png", spoken, speaker.audio.frames_per_s, reference_mel_TC=reference_mel_TC)
    page_block.put("samples", block(utterances, steps))
    return 0


def block(utterances: list, steps: int) -> str:
    lines = ["| held-out sentence | the model | recording | mel and alignment |", "|---|---|---|---|"]
    for utterance in utterances:
        name = f"{FOLDER}/{CHOSEN[utterance.id]}"
        links = f"[wav]({name}.wav) | [wav]({name}_recorded.wav) | [png]({name}.png)"
        lines.append(f"| {utterance.text} | {links} |")
    said = (
        f"Size tiny, {steps} steps, HiFi-GAN; `python benchmarks/sound_samples.py RUN`. The recordings, and the "
        "voices, are the [demo corpus'](assets/demo_corpus/README.md), CC-BY-SA."
    )
    return f"{said}\n\n" + "\n".join(lines)


if __name__ == "__main__":
    sys.exit(main())

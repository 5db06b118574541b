"""What a trained model sounds like: python -m benchmarks.quality.sound_samples runs/main_job/seed-1234

Of a run that main_job.py trained: speaks held-out sentences of the demo corpus, chosen here by their ids and not by how
they came out, through HiFi-GAN with the first synthesis seed. Writes them beside their recordings into assets/samples/,
as wav and as a picture of mel and alignment, what they are of into benchmarks/results/sound_samples.json, and the table
in README.md that links to them.
"""

import argparse
import sys
from pathlib import Path

import soundfile

from benchmarks.harness.command_line import read_json, write_json
from benchmarks.harness.places import RESULTS, ROOT
from benchmarks.quality import heldout_speech as speech
from benchmarks.report import page_block
from data_pipeline.recordings.audio import log_mel
from inference.plots import write_picture

CHOSEN = {
    "en/queue-youarenext": "english",
    "en/auth-incorrect": "english_2",
    "es/confbridge-only-participant": "spanish",
    "fr/followme/status": "french",
}
FOLDER = "assets/samples"
OUT = RESULTS / "sound_samples.json"


def main(argv: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog=f"python -m {__spec__.name}", description=__doc__.split(":")[0] + ".")
    parser.add_argument("run", type=Path, help="folder of a finished run")
    arguments = parser.parse_args(argv)
    speaker = speech.Speaker(arguments.run)
    report, installed = read_json(arguments.run / "report.json"), read_json(arguments.run.parent / "installed.json")
    utterances = [one for each in speech.heldout().values() for one in each if one.id in CHOSEN]
    vocoder = speech.vocoder_for(speech.DEFAULT_VOCODER, speaker.audio)
    rate_hz = speaker.audio.sample_rate_hz
    recorded = speech.recordings(utterances, speaker.audio)
    (ROOT / FOLDER).mkdir(exist_ok=True)
    for utterance, spoken, wave in zip(utterances, speaker.speak(utterances), recorded, strict=True):
        path = ROOT / FOLDER / CHOSEN[utterance.id]
        soundfile.write(f"{path}.wav", vocoder(spoken.speech.mel_TC).numpy(), rate_hz)
        soundfile.write(f"{path}_recorded.wav", wave.numpy(), rate_hz)
        reference_mel_TC = log_mel(wave, speaker.audio)
        write_picture(f"{path}.png", spoken, speaker.audio.frames_per_s, reference_mel_TC=reference_mel_TC)
    launch = read_json(arguments.run / "launch.json")
    results = {name: launch[name] for name in ("machine", "date", "command")} | {
        "commit": installed["commit"],
        "installed": installed,
        "seeds": {"training": [report["config"]["train"]["seed"]], "synthesis": [0]},
        "steps": report["result"]["steps"],
        "samples": {CHOSEN[one.id]: one.text for one in utterances},
    }
    write_json(results, OUT)
    page_block.put("samples", page_block.quoted(results, "sound_samples", block))
    return 0


def block(results: dict) -> str:
    lines = []
    for name, text in results["samples"].items():
        path = f"{FOLDER}/{name}"
        lines.append([text, f"[wav]({path}.wav)", f"[wav]({path}_recorded.wav)", f"[png]({path}.png)"])
    header = ["held-out sentence", "the model", "recording", "mel and alignment"]
    said = (
        f"One run of the first command, {results['steps']} steps, HiFi-GAN; "
        f"{page_block.source(results, 'sound_samples')} Recordings and voices are the "
        "[demo corpus'](assets/demo_corpus/README.md), CC-BY-SA."
    )
    return f"{page_block.markdown(header, lines)}\n\n{said}"


if __name__ == "__main__":
    sys.exit(main())

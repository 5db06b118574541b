"""Cloning, measured: python -m benchmarks.quality.cloning --packages DEBS --librispeech FOLDER

    pip install -e ".[eval,speaker-augmentation,espeak]" ttspico; apt-get install flite
    apt-get download asterisk-core-sounds-{it,ru}-g722 asterisk-prompt-{es-co,fr-armelle,it-menardi-wav} \
        ktuberling-data fillets-ng-data fillets-ng-data-cs fillets-ng-data-nl

Trains size tiny on the demo corpus and on more voices, or takes a finished run (--run-folder). Five seconds of each
voice of cloning_voices.py are cloned, and speak English sentences that were not trained on; English clips once more
with their text, as the recognizer hears it, which speech then goes on from. Judged by the cosine of Resemblyzer's
embeddings: of the speech to the clip, to the clips of all other voices, and whether the right one is nearest (top 1).
Beside it what other recordings of the voice itself reach, and these recordings through Griffin-Lim.
More voices, to train on and to be cloned unheard: DEBS is the folder of the packages above (needs dpkg-deb and
ffmpeg), with four actors (fish_fillets.py) and 14 unheard people; seven voices of synthesizers come with it
(synthetic_speakers.py). FOLDER holds LibriSpeech: 235 people, and ten unheard (librispeech.py). Without it half of the
training is in augmented voices; without either, nobody but the demo corpus' two speakers is heard and cloned. What
follows -- goes to train_main.py. Prints one table and writes benchmarks/results/cloning.json; --docs puts its figures
into docs/measured.md.
"""

import argparse
import sys
from functools import partial
from pathlib import Path

import numpy as np

from benchmarks.corpora.speech_rows import beside_the_demo_corpus
from benchmarks.harness import command_line
from benchmarks.harness.command_line import read_json
from benchmarks.harness.places import DEMO, RESULTS, ROOT
from benchmarks.harness.provenance import origin
from benchmarks.quality.cloning_figures import SENTENCES, block, by_kind, by_speaker, compared, figures, table
from training.config.fields import RunConfig

OUT = RESULTS / "cloning.json"
RUN, CORPUS = "runs/cloning", "runs/cloning_corpus"
SEED = 0
BALANCE = 0.7  # data.speaker_balance: of LibriSpeech's people there are two or three pieces each, of an actor 300
MORE = {
    "fish": "four actors",
    "synthetic": "seven voices of synthesizers",
    "librispeech": "235 people of LibriSpeech",
}
# One evaluation, at the end, so that best/ is the last step's: what is judged should not depend on a choice.
SETTINGS = "data.text_units=phonemes train.eval_every_share=none log.samples=0 log.quality_sentences=0".split()


def build_parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog=f"python -m {__spec__.name}", description=__doc__.split(":")[0] + ".")
    parser.add_argument("--packages", type=Path, help="folder of Debian packages: people to train on, and new ones")
    parser.add_argument("--librispeech", type=Path, help="folder of LibriSpeech, or of a part of it: more of both")
    parser.add_argument(
        "--corpus", type=Path, default=ROOT / CORPUS, help="what is made of them; taken where it exists (%(default)s)"
    )
    parser.add_argument("--run-folder", help="judge this finished run instead of training one")
    parser.add_argument(
        "--steps", type=int, default=8000, help="optimizer steps of the training (default: %(default)s)"
    )
    command_line.add_output(parser, OUT)
    return parser


def main(argv: list[str] | None = None) -> int:
    own, more = command_line.before_dashes(argv)
    arguments = build_parser().parse_args(own)
    return command_line.finish(arguments, "cloning", block, partial(measure, arguments, more))


def measure(arguments, more: list[str]) -> None:
    packages, librispeech = arguments.packages, arguments.librispeech
    corpus = arguments.corpus if packages or librispeech else DEMO
    if not corpus.exists():
        write_corpus(packages, librispeech, corpus)
    folder = Path(arguments.run_folder) if arguments.run_folder else train(corpus, arguments.steps, more)
    report = read_json(folder / "report.json")
    config = RunConfig.from_dict(report["config"], str(folder))
    voices, kl = judge(folder, corpus, config.data.speaker_augmentation, packages, librispeech)
    results = origin() | {
        "trained_on": trained_on(config, report["result"]["steps"]),
        "seeds": {"training": config.train.seed, "synthesis": [SEED]},
        "figures": figures(voices) | {"posterior_kl_nats": kl},
        "by_kind": by_kind(voices),
        "by_speaker": by_speaker(voices),
        "voices": voices,
    }
    command_line.write_json(results, arguments.out)
    print(f"\n{table(results)}\n\nWritten to {arguments.out}.")


def write_corpus(packages: Path | None, librispeech: Path | None, out: Path) -> None:
    """The demo corpus and more voices as parquet, each with its held-out rows."""
    from benchmarks.corpora import fish_fillets, synthetic_speakers
    from benchmarks.corpora import librispeech as people

    with beside_the_demo_corpus(out) as folder:
        if packages:
            synthetic_speakers.require()
            fish_fillets.make(packages, folder)
            synthetic_speakers.make(folder)
        if librispeech:
            people.make(librispeech, folder)


def trained_on(config: RunConfig, steps: int) -> str:
    more = [said for kind, said in MORE.items() if (ROOT / config.data.train_data / f"train-{kind}.parquet").exists()]
    made = ", half of it in augmented voices" if config.data.speaker_augmentation else ""
    balance = f" (speaker_balance {config.data.speaker_balance:g})" if config.data.speaker_balance else ""
    return f"{steps} steps on {', '.join(['the demo corpus', *more])}{balance}{made}"


def train(corpus: Path, steps: int, more: list[str]) -> Path:
    """The folder of the run, through the front door. Raises UserError where it fails."""
    command_line.train(*training_flags(corpus, steps), *more)
    return ROOT / RUN


def training_flags(corpus: Path, steps: int) -> list[str]:
    from benchmarks.quality.cloning_voices import TRAINED_SHIFTS

    data = ["--train-data", str(corpus), "--val-data", str(DEMO / "heldout.parquet")]
    flags = "--optimization-level experimental --apply-fast-convergence --model-size tiny --init-from none"
    flags += f" --max-steps {steps} --checkpoint-dir {RUN} --reset-training"
    has_people = (corpus / "train-librispeech.parquet").exists()
    heard = f"data.speaker_balance={BALANCE}" if has_people else f"data.speaker_augmentation={TRAINED_SHIFTS}"
    settings = [*SETTINGS, f"train.eval_every={steps}", heard]
    return [*data, *flags.split(), *(word for setting in settings for word in ("--set", setting))]


def judge(
    folder: Path, corpus: Path, speaker_augmentation: int, packages: Path | None, librispeech: Path | None
) -> tuple[list[dict], float]:
    """Each voice's cosines and CER (`compared`), and the mean KL of the clips' posteriors to the prior, in nats."""
    from benchmarks.corpora.librispeech import unheard
    from benchmarks.quality import heldout_speech
    from benchmarks.quality.cloning_voices import all_voices, heldout_recordings, recorded_people
    from benchmarks.quality.heldout_speech import score
    from data_pipeline.recordings.audio import AudioConfig
    from evaluation.speaker_similarity.speaker_similarity import embedded

    speaker, heldout = heldout_speech.Speaker(folder), heldout_speech.heldout()
    audio: AudioConfig = speaker.audio
    sentences, rate_hz = heldout["en"][-SENTENCES:], audio.sample_rate_hz
    new = recorded_people(packages, rate_hz) if packages else {}
    new |= unheard(librispeech, rate_hz) if librispeech else {}
    voices = all_voices(heldout_recordings(corpus, rate_hz), new, speaker_augmentation, rate_hz)
    spoken, kl = cloned_speech(speaker, voices, sentences)
    prompted = {number: prompted_speech(speaker, v, sentences) for number, v in enumerate(voices) if v.is_english}
    others = [wave for voice in voices for wave in voice.others]
    copies = [copied(wave, audio) for wave in others]
    clips_VE = embedded([voice.clip_N for voice in voices], rate_hz)
    persons, rows = [voice.person for voice in voices], [{"name": v.name, "kind": v.kind} for v in voices]
    for name, waves in (("speech", spoken), ("recorded", others), ("vocoded", copies)):
        speech_VKE = embedded(waves, rate_hz).reshape(len(voices), -1, clips_VE.shape[1])
        for row, found in zip(rows, compared(speech_VKE, clips_VE, persons), strict=True):
            row[name] = found
    for number, row in enumerate(rows):
        first = number * len(sentences)
        row["cer"] = score(spoken[first : first + len(sentences)], sentences, rate_hz)[0]
        if number in prompted:
            speech_1KE = embedded(prompted[number], rate_hz)[None]
            [row["prompted"]] = compared(speech_1KE, clips_VE, persons, [number])
            row["cer_prompted"] = score(prompted[number], sentences, rate_hz)[0]
    return rows, kl


def cloned_speech(speaker, voices: list, sentences: list) -> tuple[list, float]:
    """Waves of each voice's sentences, one voice after another; the posteriors' mean KL in nats."""
    import torch

    from benchmarks.quality.heldout_speech import vocoder_for
    from inference.generation import encode_voice
    from inference.synthesizer import Line, Synthesizer

    model, extract, rate_hz = speaker.model, speaker.processor.feature_extractor, speaker.audio.sample_rate_hz
    mels = [extract(voice.clip_N, rate_hz)["reference_mel"][0] for voice in voices]
    with torch.inference_mode():
        encoded = [encode_voice(model, mel) for mel in mels]
        kl = np.mean([posterior_kl(model, mel) for mel in mels])
    lines = [Line(one.text, "en", voice_V) for voice_V in encoded for one in sentences]
    vocoder = vocoder_for("griffin_lim", speaker.audio)
    spoken = Synthesizer(model, speaker.processor).each(lines, vocoder, seed=SEED)
    return [one.wave.numpy() for one in spoken], float(kl)


def prompted_speech(speaker, voice, sentences: list) -> list:
    """Waves of the sentences, each of which goes on from the voice's clip, whose text the recognizer tells."""
    from benchmarks.quality.heldout_speech import hear, vocoder_for
    from inference.generation import encode_voice
    from inference.prompt import prompt_of
    from inference.synthesizer import Line, Synthesizer

    model, processor, rate_hz = speaker.model, speaker.processor, speaker.audio.sample_rate_hz
    [text] = hear([voice.clip_N], rate_hz)
    prompt = prompt_of(model, processor, voice.clip_N, text, "en", rate_hz)
    voice_V = encode_voice(model, processor.feature_extractor(voice.clip_N, rate_hz)["reference_mel"][0])
    lines, vocoder = [Line(one.text, "en", voice_V) for one in sentences], vocoder_for("griffin_lim", speaker.audio)
    spoken = Synthesizer(model, processor).each(lines, vocoder, seed=SEED, prompt=prompt)
    return [one.wave.numpy() for one in spoken]


def posterior_kl(model, mel_TC) -> float:
    """Nats that a clip's posterior is from the prior: near 0 where the voice encoder tells nothing."""
    import torch

    from modeling.voice_encoder import kl_to_prior

    normal = model.normalize(mel_TC)[None]
    mean, log_variance = model.voice_encoder(normal, torch.tensor([normal.shape[1]]))
    return float(kl_to_prior(mean, log_variance))


def copied(wave_N: np.ndarray, audio) -> np.ndarray:
    """The wave through mel and Griffin-Lim, as all speech of the model goes."""
    import torch

    from benchmarks.quality.heldout_speech import vocoder_for
    from data_pipeline.recordings.audio import log_mel

    return vocoder_for("griffin_lim", audio)(log_mel(torch.from_numpy(wave_N), audio)).numpy()


if __name__ == "__main__":
    sys.exit(main())

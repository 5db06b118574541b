"""Cloning, measured: python benchmarks/cloning.py --packages DEBS --librispeech FOLDER

    pip install -e ".[eval,made_voices,phonemes]" ttspico; apt-get install flite
    apt-get download asterisk-core-sounds-{it,ru}-g722 asterisk-prompt-{es-co,fr-armelle,it-menardi-wav} \
        ktuberling-data fillets-ng-data fillets-ng-data-cs fillets-ng-data-nl

Trains size tiny on the demo corpus and on more voices, half of it in made voices, then on the demo corpus and
LibriSpeech's people, as they are; or takes a finished run (--run-folder). Five seconds of each voice of
cloning_voices.py are cloned, and speak English sentences that were not trained on. Judged by the cosine of
Resemblyzer's embeddings: of the speech to the clip, to the clips of all other voices, and whether the right one is
nearest (top 1). Beside it what other recordings of the voice itself reach, and these recordings through Griffin-Lim.
More voices, to train on and to be cloned unheard: DEBS is the folder of the packages above (needs dpkg-deb and
ffmpeg), with four actors (fish_fillets.py) and 14 unheard people; seven voices of synthesisers come with it
(synthetic_speakers.py). FOLDER holds LibriSpeech: 251 people, and ten unheard (librispeech.py). Without either, nobody
but the demo corpus' two speakers is heard and cloned. What follows -- goes to train_main.py. Prints one table and
writes benchmarks/results/cloning.json; --docs puts its figures into docs/measured.md.
"""

import argparse
import shutil
import subprocess
import sys
from functools import partial
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
DEMO = ROOT / "assets" / "demo_corpus"
sys.path.insert(0, str(ROOT))  # a script's own folder is on the path, its parent is not

import numpy as np  # noqa: E402

from benchmarks import command_line  # noqa: E402
from benchmarks.cloning_figures import SENTENCES, block, by_kind, by_speaker, compared, figures, table  # noqa: E402
from benchmarks.command_line import read_json  # noqa: E402
from benchmarks.main_job import commit, machine, now  # noqa: E402
from data_pipeline.errors import UserError  # noqa: E402
from training.config import RunConfig  # noqa: E402

RESULTS = ROOT / "benchmarks" / "results" / "cloning.json"
RUN, CORPUS = "runs/cloning", "runs/cloning_corpus"
# The people of LibriSpeech have a few pieces each, a synthesiser 250 sentences: then the run goes on with these people,
# each piece so many times in an epoch, and the demo corpus.
PEOPLE_RUN, PEOPLE_CORPUS, PEOPLE_TIMES = "runs/cloning_people", "runs/cloning_people_corpus", 6
SEED = 0
MORE = {
    "fish": "four actors",
    "synthetic": "seven voices of synthesisers",
    "librispeech": "251 people of LibriSpeech",
    "libri0": f"251 people of LibriSpeech {PEOPLE_TIMES} times",
}
# One evaluation, at the end, so that best/ is the last step's: what is judged should not depend on a choice.
SETTINGS = "data.text_units=phonemes train.eval_every_share=none log.samples=0 log.quality_sentences=0".split()


def build_parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="benchmarks/cloning.py", description=__doc__.split(":")[0] + ".")
    parser.add_argument("--packages", type=Path, help="folder of Debian packages: people to train on, and new ones")
    parser.add_argument("--librispeech", type=Path, help="folder of LibriSpeech, or of a part of it: more of both")
    parser.add_argument(
        "--corpus", type=Path, default=ROOT / CORPUS, help="what is made of them; taken where it exists (%(default)s)"
    )
    parser.add_argument("--run-folder", help="judge this finished run instead of training one")
    parser.add_argument(
        "--steps", type=int, default=4500, help="optimizer steps of the training (default: %(default)s)"
    )
    parser.add_argument("--people-steps", type=int, default=3600, help="of the run after it (default: %(default)s)")
    command_line.add_output(parser, RESULTS)
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
    folder = Path(arguments.run_folder) if arguments.run_folder else train(corpus, arguments, more)
    runs = runs_of(folder)
    made_voices = max(config.data.made_voices for config, _ in runs)
    voices, kl = judge(folder, corpus, made_voices, packages, librispeech)
    results = {
        "machine": machine(),
        "date": now(),
        "commit": commit(),
        "trained_on": [trained_on(*run) for run in runs],
        "seeds": {"training": runs[-1][0].train.seed, "synthesis": [SEED]},
        "figures": figures(voices) | {"posterior_kl_nats": kl},
        "by_kind": by_kind(voices),
        "by_speaker": by_speaker(voices),
        "voices": voices,
    }
    command_line.write_json(results, arguments.out)
    print(f"\n{table(results)}\n\nWritten to {arguments.out}.")


def write_corpus(packages: Path | None, librispeech: Path | None, out: Path) -> None:
    """The demo corpus and more voices as parquet, each with its held-out rows; whole, or not there at all."""
    from benchmarks import fish_fillets, synthetic_speakers
    from benchmarks import librispeech as people

    scratch = out.with_name(out.name + ".part")
    shutil.rmtree(scratch, ignore_errors=True)
    if packages:
        synthetic_speakers.require()
        fish_fillets.make(packages, scratch)
        synthetic_speakers.make(scratch)
    if librispeech:
        people.make(librispeech, scratch)
    copy_demo(scratch)
    scratch.rename(out)


def copy_demo(out: Path) -> None:
    for file in DEMO.glob("*.parquet"):
        shutil.copy(file, out)


def runs_of(folder: Path) -> list[tuple[RunConfig, int]]:
    """(configuration, steps) of the runs that made a model, the first of them first."""
    report = read_json(folder / "report.json")
    config = RunConfig.from_dict(report["config"], str(folder))
    before = ROOT / config.fine_tune.init_from if config.fine_tune.init_from else None
    return [*(runs_of(before) if before and before.is_dir() else []), (config, report["result"]["steps"])]


def trained_on(config: RunConfig, steps: int) -> str:
    more = [said for kind, said in MORE.items() if (ROOT / config.data.train_data / f"train-{kind}.parquet").exists()]
    made = ", half of it in made voices" if config.data.made_voices else ""
    return f"{steps} steps on {', '.join(['the demo corpus', *more])}{made}"


def train(corpus: Path, arguments, more: list[str]) -> Path:
    """The folder of the last run, all through the front door. Raises UserError where one fails."""
    launch(training_flags(corpus, arguments.steps), more)
    if not (corpus / "train-librispeech.parquet").exists():
        return ROOT / RUN
    from benchmarks import librispeech

    people = ROOT / PEOPLE_CORPUS
    shutil.rmtree(people, ignore_errors=True)
    people.mkdir(parents=True)
    copy_demo(people)
    librispeech.repeated(corpus, people, PEOPLE_TIMES)
    launch(people_flags(people, arguments.people_steps), more)
    return ROOT / PEOPLE_RUN


def launch(flags: list[str], more: list[str]) -> None:
    code = subprocess.run([sys.executable, "train_main.py", *flags, *more], cwd=ROOT).returncode
    if code:
        raise UserError(f"The training ended with exit code {code}; its own words are above.")


def training_flags(corpus: Path, steps: int) -> list[str]:
    from benchmarks.cloning_voices import TRAINED_SHIFTS

    flags = f"--model-size tiny --apply-fast-convergence --set data.made_voices={TRAINED_SHIFTS}"
    return [*flags.split(), *same_flags(corpus, RUN, steps)]


def people_flags(corpus: Path, steps: int) -> list[str]:
    return ["--init-from", RUN, *same_flags(corpus, PEOPLE_RUN, steps)]


def same_flags(corpus: Path, run: str, steps: int) -> list[str]:
    data = ["--train-data", str(corpus), "--val-data", str(DEMO / "heldout.parquet")]
    flags = f"--optimization-level experimental --max-steps {steps} --checkpoint-dir {run} --reset-training"
    settings = [*SETTINGS, f"train.eval_every={steps}"]
    return [*data, *flags.split(), *(word for setting in settings for word in ("--set", setting))]


def judge(
    folder: Path, corpus: Path, made_voices: int, packages: Path | None, librispeech: Path | None
) -> tuple[list[dict], float]:
    """Each voice's cosines and CER (`compared`), and the mean KL of the clips' posteriors to the prior, in nats."""
    from benchmarks import heldout_speech
    from benchmarks.cloning_voices import all_voices, heldout_recordings, recorded_people
    from benchmarks.librispeech import unheard
    from data_pipeline.audio import AudioConfig
    from evaluation.speaker_similarity.speaker_similarity import embedded

    speaker, heldout = heldout_speech.Speaker(folder), heldout_speech.heldout()
    audio: AudioConfig = speaker.audio
    sentences, rate_hz = heldout["en"][-SENTENCES:], audio.sample_rate_hz
    new = recorded_people(packages, rate_hz) if packages else {}
    new |= unheard(librispeech, rate_hz) if librispeech else {}
    voices = all_voices(heldout_recordings(corpus, rate_hz), new, made_voices, rate_hz)
    spoken, heard_cer, kl = cloned_speech(speaker, voices, sentences)
    others = [wave for voice in voices for wave in voice.others]
    copies = [copied(wave, audio) for wave in others]
    clips_VE = embedded([voice.clip_N for voice in voices], rate_hz)
    persons, rows = [voice.person for voice in voices], [{"name": v.name, "kind": v.kind} for v in voices]
    for name, waves in (("speech", spoken), ("recorded", others), ("vocoded", copies)):
        speech_VKE = embedded(waves, rate_hz).reshape(len(voices), -1, clips_VE.shape[1])
        for row, found in zip(rows, compared(speech_VKE, clips_VE, persons), strict=True):
            row[name] = found
    for row, cer in zip(rows, heard_cer, strict=True):
        row["cer"] = cer
    return rows, kl


def cloned_speech(speaker, voices: list, sentences: list) -> tuple[list, list[float], float]:
    """Waves of each voice's sentences, one voice after another; each voice's CER; the posteriors' mean KL in nats."""
    import torch

    from benchmarks.heldout_speech import score, vocoder_for
    from evaluation.speaking import speak
    from modeling.synthesis import encode_voice

    model, extract, rate_hz = speaker.model, speaker.processor.feature_extractor, speaker.audio.sample_rate_hz
    mels = [extract(voice.clip_N, rate_hz)["reference_mel"][0] for voice in voices]
    with torch.inference_mode():
        encoded = [encode_voice(model, mel) for mel in mels]
        kl = np.mean([posterior_kl(model, mel) for mel in mels])
    texts, times = [one.text for one in sentences] * len(voices), len(sentences)
    each = [voice_V for voice_V in encoded for _ in sentences]
    vocoder = vocoder_for("griffin_lim", speaker.audio)
    spoken = speak(model, speaker.processor, texts, ["en"] * len(texts), each, vocoder, seed=SEED)
    waves = [one.wave.numpy() for one in spoken]
    cers = [score(waves[i : i + times], sentences, rate_hz)[0] for i in range(0, len(waves), times)]
    return waves, cers, float(kl)


def posterior_kl(model, mel_TC) -> float:
    """Nats that a clip's posterior is from the prior: near 0 where the voice encoder tells nothing."""
    import torch

    from modeling.voice_encoder import kl_to_prior

    normal = model.normalise(mel_TC)[None]
    mean, log_variance = model.voice_encoder(normal, torch.tensor([normal.shape[1]]))
    return float(kl_to_prior(mean, log_variance))


def copied(wave_N: np.ndarray, audio) -> np.ndarray:
    """The wave through mel and Griffin-Lim, as all speech of the model goes."""
    import torch

    from benchmarks.heldout_speech import vocoder_for
    from data_pipeline.audio import log_mel

    return vocoder_for("griffin_lim", audio)(log_mel(torch.from_numpy(wave_N), audio)).numpy()


if __name__ == "__main__":
    sys.exit(main())

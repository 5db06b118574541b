"""Cloning, measured: python benchmarks/cloning.py --packages DEBS

    pip install -e ".[eval,made_voices,phonemes]" ttspico; apt-get install flite
    apt-get download asterisk-core-sounds-{it,ru}-g722 asterisk-prompt-{es-co,fr-armelle,it-menardi-wav} \
        ktuberling-data fillets-ng-data fillets-ng-data-cs fillets-ng-data-nl

Trains size tiny on the demo corpus, two Czech and two Dutch actors (fish_fillets.py) and seven voices of synthesisers
(synthetic_speakers.py), half of it in made voices; or takes a finished run (--run-folder). Five seconds of each voice
of cloning_voices.py are cloned, and speak English sentences that were not trained on. Judged by the cosine of
Resemblyzer's embeddings: of the speech to the clip, to the clips of all other voices, and whether the right one is
nearest (top 1). Beside it what other recordings of the voice itself reach, and these recordings through Griffin-Lim.
DEBS is the folder of the packages above (needs dpkg-deb and ffmpeg). Without --packages the demo corpus is all that is
trained on, and nobody but its two speakers is cloned. What follows -- goes to train_main.py. Prints one table and
writes benchmarks/results/cloning.json; --readme puts its figures into README.md.
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

from benchmarks import command_line, readme_block  # noqa: E402
from benchmarks.command_line import read_json  # noqa: E402
from benchmarks.main_job import commit, machine, now  # noqa: E402
from data_pipeline.errors import UserError  # noqa: E402
from training.config import RunConfig  # noqa: E402

RESULTS = ROOT / "benchmarks" / "results" / "cloning.json"
RUN, CORPUS = "runs/cloning", "runs/cloning_corpus"
SENTENCES, SEED = 5, 0
# One evaluation, at the end, so that best/ is the last step's: what is judged should not depend on a choice.
SETTINGS = "data.text_units=phonemes train.eval_every_share=none log.samples=0 log.quality_sentences=0".split()

# Figure -> (what a reader is told, how it is shown). The order of the README's table.
SHOWN = {
    "voices_seen": ("voices seen in training", "{:.0f}"),
    "voices_unseen": ("voices not seen in training", "{:.0f}"),
    "similarity_seen": ("cosine of speech to the cloned clip, voices seen", "{:.3f}"),
    "similarity_unseen": ("cosine of speech to the cloned clip, voices not seen", "{:.3f}"),
    "similarity_other": ("cosine of speech to the clips of other voices, mean", "{:.3f}"),
    "similarity_nearest_other": ("cosine of speech to the nearest other voice's clip", "{:.3f}"),
    "similarity_recorded": ("cosine of other recordings of a voice to its clip", "{:.3f}"),
    "similarity_vocoded": ("the same, through mel and Griffin-Lim", "{:.3f}"),
    "top1_seen": ("the cloned clip is the nearest of all, voices seen", "{:.0%}"),
    "top1_unseen": ("the cloned clip is the nearest of all, voices not seen", "{:.0%}"),
    "top1_recorded": ("the same for other recordings of a voice", "{:.0%}"),
    "cer_seen": ("CER of cloned speech, voices seen", "{:.1%}"),
    "cer_unseen": ("CER of cloned speech, voices not seen", "{:.1%}"),
}


def build_parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="benchmarks/cloning.py", description=__doc__.split(":")[0] + ".")
    parser.add_argument("--packages", type=Path, help="folder of Debian packages: people to train on, and new ones")
    parser.add_argument(
        "--corpus", type=Path, default=ROOT / CORPUS, help="what is made of them; taken where it exists (%(default)s)"
    )
    parser.add_argument("--run-folder", help="judge this finished run instead of training one")
    parser.add_argument(
        "--steps", type=int, default=3000, help="optimizer steps of the training (default: %(default)s)"
    )
    command_line.add_output(parser, RESULTS)
    return parser


def main(argv: list[str] | None = None) -> int:
    own, more = command_line.before_dashes(argv)
    arguments = build_parser().parse_args(own)
    return command_line.finish(arguments, "cloning", block, partial(measure, arguments, more))


def measure(arguments, more: list[str]) -> None:
    corpus = arguments.corpus if arguments.packages else DEMO
    if arguments.packages and not corpus.exists():
        write_corpus(arguments.packages, corpus)
    folder = Path(arguments.run_folder) if arguments.run_folder else train(corpus, arguments.steps, more)
    report = read_json(folder / "report.json")
    made_voices = RunConfig.from_dict(report["config"], str(folder)).data.made_voices
    voices, kl = judge(folder, corpus, made_voices, arguments.packages)
    results = {
        "machine": machine(),
        "date": now(),
        "commit": commit(),
        "seeds": {"training": report["config"]["train"]["seed"], "synthesis": [SEED]},
        "figures": figures(voices) | {"steps": report["result"]["steps"], "posterior_kl_nats": kl},
        "by_kind": by_kind(voices),
        "by_speaker": by_speaker(voices),
        "voices": voices,
    }
    command_line.write_json(results, arguments.out)
    print(f"\n{table(results)}\n\nWritten to {arguments.out}.")


def write_corpus(packages: Path, out: Path) -> None:
    """The demo corpus and more voices as parquet, each with its held-out rows; whole, or not there at all."""
    from benchmarks import fish_fillets, synthetic_speakers

    synthetic_speakers.require()
    scratch = out.with_name(out.name + ".part")
    shutil.rmtree(scratch, ignore_errors=True)
    fish_fillets.make(packages, scratch)
    synthetic_speakers.make(scratch)
    for file in DEMO.glob("*.parquet"):
        shutil.copy(file, scratch)
    scratch.rename(out)


def train(corpus: Path, steps: int, more: list[str]) -> Path:
    """The run folder of a run of `steps` through the front door. Raises UserError where it fails."""
    command = [sys.executable, "train_main.py", *training_flags(corpus, steps), *more]
    code = subprocess.run(command, cwd=ROOT).returncode
    if code:
        raise UserError(f"The training ended with exit code {code}; its own words are above.")
    return ROOT / RUN


def training_flags(corpus: Path, steps: int) -> list[str]:
    from benchmarks.cloning_voices import TRAINED_SHIFTS

    data = ["--train-data", str(corpus), "--val-data", str(DEMO / "heldout.parquet")]
    flags = f"--model-size tiny --optimization-level experimental --max-steps {steps} --apply-fast-convergence"
    settings = [*SETTINGS, f"data.made_voices={TRAINED_SHIFTS}", f"train.eval_every={steps}"]
    flags += f" --checkpoint-dir {RUN} --reset-training"
    return [*data, *flags.split(), *(word for setting in settings for word in ("--set", setting))]


def judge(folder: Path, corpus: Path, made_voices: int, packages: Path | None) -> tuple[list[dict], float]:
    """Each voice's cosines and CER (`compared`), and the mean KL of the clips' posteriors to the prior, in nats."""
    from benchmarks import heldout_speech
    from benchmarks.cloning_voices import all_voices, heldout_recordings, recorded_people
    from data_pipeline.audio import AudioConfig
    from evaluation.speaker_similarity.speaker_similarity import embedded

    speaker, heldout = heldout_speech.Speaker(folder), heldout_speech.heldout()
    audio: AudioConfig = speaker.audio
    sentences, rate_hz = heldout["en"][-SENTENCES:], audio.sample_rate_hz
    new = recorded_people(packages, rate_hz) if packages else {}
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


def compared(speech_VKE: np.ndarray, clips_VE: np.ndarray, persons: list[str]) -> list[dict]:
    """For each of V voices, K cosines of its speech: to its own clip, the mean and the highest to other persons' clips.

    Embeddings have unit length. first: whether its own clip is the nearest.
    """
    found = []
    for voice, person in enumerate(persons):
        is_other = np.array([other != person for other in persons])
        cosine_KV = speech_VKE[voice] @ clips_VE.T
        own_K, others_KO = cosine_KV[:, voice], cosine_KV[:, is_other]
        found.append(
            {
                "own": own_K.tolist(),
                "others": others_KO.mean(1).tolist(),
                "nearest_other": others_KO.max(1).tolist(),
                "first": (own_K > others_KO.max(1)).tolist(),
            }
        )
    return found


def figures(voices: list[dict]) -> dict[str, float]:
    """The means over the voices, of those seen in training and of those not."""
    parts = {part: [one for one in voices if one["kind"].startswith(part)] for part in ("seen", "unseen")}
    found = {}
    for part, ones in parts.items():
        found |= {
            f"voices_{part}": len(ones),
            f"similarity_{part}": mean(ones, "speech", "own"),
            f"top1_{part}": mean(ones, "speech", "first"),
            f"cer_{part}": float(np.mean([one["cer"] for one in ones])),
        }
    return found | {
        "similarity_other": mean(voices, "speech", "others"),
        "similarity_nearest_other": mean(voices, "speech", "nearest_other"),
        "similarity_recorded": mean(voices, "recorded", "own"),
        "similarity_vocoded": mean(voices, "vocoded", "own"),
        "top1_recorded": mean(voices, "recorded", "first"),
    }


def mean(voices: list[dict], what: str, of: str) -> float:
    return float(np.mean([one[what][of] for one in voices]))


def by_speaker(voices: list[dict]) -> dict[str, dict[str, float]]:
    """Speaker and language, with the voices made of it -> how many, and the mean cosines of their speech."""
    speakers = {one["name"].partition(" ")[0]: [] for one in voices}
    for one in voices:
        speakers[one["name"].partition(" ")[0]].append(one)
    return {
        speaker: {
            "voices": len(ones),
            "own": mean(ones, "speech", "own"),
            "others": mean(ones, "speech", "others"),
            "recorded": mean(ones, "recorded", "own"),
        }
        for speaker, ones in speakers.items()
    }


def by_kind(voices: list[dict]) -> dict[str, dict[str, float]]:
    """Kind of voice -> column of the table -> value."""
    kinds = sorted({one["kind"] for one in voices})
    groups = {kind: [one for one in voices if one["kind"] == kind] for kind in kinds}
    return {
        kind: {
            "voices": len(ones),
            "own": mean(ones, "speech", "own"),
            "others": mean(ones, "speech", "others"),
            "nearest": mean(ones, "speech", "nearest_other"),
            "top 1": mean(ones, "speech", "first"),
            "CER": float(np.mean([one["cer"] for one in ones])),
            "recorded": mean(ones, "recorded", "own"),
            "vocoded": mean(ones, "vocoded", "own"),
            "their top 1": mean(ones, "recorded", "first"),
        }
        for kind, ones in groups.items()
    }


def table(results: dict) -> str:
    """A line a kind of voice, then the figures."""
    kinds = results["by_kind"]
    columns = list(next(iter(kinds.values())))
    lines = [f"{'cosine of speech to':<18}" + "".join(f"{name:>12}" for name in columns)]
    for kind, values in kinds.items():
        lines.append(f"{kind:<18}" + "".join(f"{value:>12.3g}" for value in values.values()))
    width = max(map(len, results["figures"]))
    lines += [f"{name:<{width}}  {value:>8.3f}" for name, value in results["figures"].items()]
    return "\n".join(lines)


def block(results: dict) -> str:
    """The figures as a markdown table."""
    found = results["figures"]
    recorded = sum(one["kind"].endswith("recorded") for one in results["voices"])
    said = (
        f"`python benchmarks/cloning.py --packages debs`. {recorded} of the voices are as recorded; the others are "
        f"made of these by moving formants and pitch. Size tiny, {found['steps']} steps on the demo corpus, four more "
        "people and seven voices of synthesisers, half of it in made voices; 5 s of each voice speak "
        f"{SENTENCES} English sentences. Cosine of Resemblyzer's embeddings. {readme_block.source(results, 'cloning')}"
    )
    groups = "\n".join(
        f"| {label} | {len(ones)} | {mean(ones, 'speech', 'own'):.3f} | {mean(ones, 'speech', 'others'):.3f} | "
        f"{mean(ones, 'speech', 'first'):.0%} | {np.mean([one['cer'] for one in ones]):.1%} | "
        f"{mean(ones, 'recorded', 'own'):.3f} |"
        for label, ones in by_acquaintance(results["voices"]).items()
    )
    return (
        f"{said}\n\n{readme_block.rows(readme_block.shown(found, SHOWN))}\n\n"
        "| as recorded, English speech of who | voices | cosine to the clip | to others | nearest of all | CER "
        f"| cosine of recordings |\n|---|---|---|---|---|---|---|\n{groups}"
    )


def by_acquaintance(voices: list[dict]) -> dict[str, list[dict]]:
    """The recorded voices by what training heard of them; groups without any are left out."""
    recorded = [one for one in voices if one["kind"].endswith("recorded")]
    seen = [one for one in recorded if one["kind"].startswith("seen")]
    groups = {
        "spoke English in training": [one for one in seen if one["name"].endswith("-en")],
        "spoke another language in training": [one for one in seen if not one["name"].endswith("-en")],
        "was never heard": [one for one in recorded if one not in seen],
    }
    return {label: ones for label, ones in groups.items() if ones}


if __name__ == "__main__":
    sys.exit(main())

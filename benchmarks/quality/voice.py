"""How good the voice is: python -m benchmarks.quality.voice RUN_FOLDER ...  (extras: pip install -e ".[eval,espeak]")

Takes finished runs of the README's first command, of several training seeds, as main_job.py leaves them
(runs/main_job/seed-*). For each: error rates of the demo corpus' 40 held-out English sentences as moonshine-voice hears
them, beside the recordings and their copies through mel and vocoder; and how the 200 lines of hard_sentences.txt end,
spoken as synthesize.py does: letters, numbers, repeated words, up to 400 characters. Takes the figures of
synthesis_speed.json and, where it is, cloning.json, with their dates. Prints one table and writes
benchmarks/results/voice.json; --docs puts its figures into docs/measured.md.
"""

import argparse
import statistics
import sys
from functools import partial
from pathlib import Path

import torch

from benchmarks.harness import command_line
from benchmarks.harness.command_line import read_json
from benchmarks.harness.places import RESULTS, ROOT
from benchmarks.harness.provenance import is_clean, origin
from benchmarks.quality import heldout_speech as speech
from benchmarks.quality.main_job import check_extras
from benchmarks.report import page_block
from data_pipeline.errors import UserError
from data_pipeline.recordings.audio import log_mel
from data_pipeline.text.sentences import split_sentences
from evaluation.durations import Pace, ran_into_limit, recorded_seconds
from evaluation.metrics import load_metric
from evaluation.text_metrics import character_error_rate, word_error_rate
from inference.synthesizer import Line, Synthesizer
from inference.voices import voice_for

LINES = ROOT / "benchmarks" / "hard_sentences.txt"
LANGUAGE = speech.ASR_LANGUAGE

SHOWN = {
    "cer_model": ("CER, model, HiFi-GAN", "{:.1%}"),
    "cer_model_griffin_lim": ("CER, model, Griffin-Lim", "{:.1%}"),
    "cer_hifigan": ("CER, recordings through mel and HiFi-GAN", "{:.1%}"),
    "cer_griffin_lim": ("CER, recordings through mel and Griffin-Lim", "{:.1%}"),
    "cer_real": ("CER, recordings", "{:.1%}"),
    "wer_model": ("WER, model, HiFi-GAN", "{:.1%}"),
    "wer_model_griffin_lim": ("WER, model, Griffin-Lim", "{:.1%}"),
    "wer_hifigan": ("WER, recordings through mel and HiFi-GAN", "{:.1%}"),
    "wer_griffin_lim": ("WER, recordings through mel and Griffin-Lim", "{:.1%}"),
    "wer_real": ("WER, recordings", "{:.1%}"),
    "cer_hard": ("CER, 200 hard lines, HiFi-GAN", "{:.1%}"),
    "cer_hard_griffin_lim": ("CER, 200 hard lines, Griffin-Lim", "{:.1%}"),
    "ended_early": ("200 hard lines: ended early", "{:.1%}"),
    "ended_late": ("200 hard lines: ended late", "{:.1%}"),
    "never": ("200 hard lines: ended by the limit only", "{:.1%}"),
    "mcd": ("mel cepstral distortion to the recordings, dB", "{:.2f}"),
    "similarity_model": ("cosine of voices, model and recording, HiFi-GAN", "{:.2f}"),
    "distillmos_model": ("DistillMOS (1 to 5), model, HiFi-GAN", "{:.2f}"),
    "distillmos_real": ("DistillMOS, recordings", "{:.2f}"),
    "dnsmos_model": ("DNSMOS (1 to 5), model, HiFi-GAN", "{:.2f}"),
    "dnsmos_real": ("DNSMOS, recordings", "{:.2f}"),
}
# File -> its figure -> the same, of benchmarks of their own.
ELSEWHERE = {
    "cloning": {
        "similarity_seen": ("cosine, cloned and its 5 s clip, voices of the training", "{:.2f}"),
        "similarity_unseen": ("cosine, cloned and its 5 s clip, other voices", "{:.2f}"),
    },
    "synthesis_speed": {
        "real_time_factor, batch 1, 1 threads": ("real-time factor, text to mel, 1 thread", "{:.3f}"),
        "real_time_factor, batch 1, 2 threads": ("real-time factor, text to mel, 2 threads", "{:.3f}"),
        "first_chunk_ms, 2 threads": ("first chunk of mel, ms", "{:.0f}"),
    },
}


def build_parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog=f"python -m {__spec__.name}", description=__doc__.split(":")[0] + ".")
    parser.add_argument("runs", nargs="*", help="folders of finished runs")
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2], help="of synthesis (default: 0 1 2)")
    parser.add_argument("--sentences", type=int, help="at most so many, to try this out")
    command_line.add_output(parser, RESULTS / "voice.json")
    return parser


def main(argv: list[str] | None = None) -> int:
    arguments = build_parser().parse_args(argv)
    return command_line.finish(arguments, "voice", block, partial(measure, arguments))


def measure(arguments) -> None:
    if not arguments.runs:
        raise UserError("No run folder was given; make one with: python -m benchmarks.quality.main_job")
    check_extras()
    sentences = speech.heldout(arguments.sentences)
    lines = LINES.read_text(encoding="utf-8").splitlines()[: arguments.sentences]
    reports = [read_json(Path(run) / "report.json") for run in arguments.runs]
    speakers = [speech.Speaker(Path(run)) for run in arguments.runs]
    judged = [judge(speaker, sentences, lines, arguments.seeds) for speaker in speakers]
    each = [figures for figures, _ in judged]
    figures = {name: statistics.mean(one[name] for one in each) for name in each[0]}
    figures |= recorded(sentences, speakers[0].audio)
    results = origin() | {
        "command": "accelerate launch train_main.py --optimization-level enhanced",
        "seeds": {
            "training": [report["config"]["train"]["seed"] for report in reports],
            "synthesis": arguments.seeds,
        },
        "training": [report["result"] for report in reports],
        "figures": {name: figures[name] for name in SHOWN if name in figures},
        "each_training_seed": each,
        "heard": [heard for _, heard in judged],
    }
    command_line.write_json(results, arguments.out)
    print(f"{table(results)}\n\nWritten to {arguments.out}.")


def judge(speaker: speech.Speaker, sentences: speech.Sentences, lines: list[str], seeds: list[int]):
    """(figures, what was heard of each held-out sentence and each hard line with the first seed) of one model."""
    english, rate_hz = sentences[LANGUAGE], speaker.audio.sample_rate_hz
    texts = [one.text for one in english]
    rates: dict[str, list[float]] = {}
    for seed in seeds:
        mels = [one.speech.mel_TC for one in speaker.speak(english, seed)]
        for name, waves in speech.vocoded(mels, speaker.audio).items():
            cer, heard = speech.score(waves, english, rate_hz)
            rates.setdefault("cer_model" + speech.suffix(name), []).append(cer)
            rates.setdefault("wer_model" + speech.suffix(name), []).append(word_error_rate(heard, texts, LANGUAGE))
            if seed == seeds[0] and name == speech.DEFAULT_VOCODER:
                likeness, said = beside_recordings(waves, english, speaker.audio), heard
    ends, hard_heard = stop_errors(speaker, english, lines)
    heard = dict(zip([one.id for one in english], said, strict=True)) | dict(zip(lines, hard_heard, strict=True))
    figures = likeness | {name: statistics.mean(each) for name, each in rates.items()} | ends
    return figures, {"each_synthesis_seed": rates, "heard": heard}


def beside_recordings(waves: list[torch.Tensor], english: list, audio) -> dict[str, float]:
    """Of speech [N] against the recordings of the same sentences: their distance, and the likeness of the voice."""
    rate_hz, spoken = audio.sample_rate_hz, [wave.numpy() for wave in waves]
    real = [wave.numpy() for wave in speech.recordings(english, audio)]
    similarity = load_metric("speaker_similarity")
    opinions = speech.opinion("model", waves, audio) | speech.opinion("real", speech.recordings(english, audio), audio)
    return opinions | {
        "mcd": load_metric("mcd").compute(predictions=spoken, references=real, sample_rate_hz=rate_hz)["mcd_db"],
        "similarity_model": similarity.compute(predictions=spoken, references=real, sample_rate_hz=rate_hz)[
            "speaker_similarity"
        ],
        "dnsmos_model": load_metric("dnsmos").compute(predictions=spoken, sample_rate_hz=rate_hz)["overall"],
        "dnsmos_real": load_metric("dnsmos").compute(predictions=real, sample_rate_hz=rate_hz)["overall"],
    }


def stop_errors(speaker: speech.Speaker, english: list, lines: list[str]) -> tuple[dict[str, float], list[str]]:
    """(shares of the hard lines that end early, late, never, and their CER; what was heard of each)."""
    audio = speaker.audio
    vocoder = speech.vocoder_for(speech.DEFAULT_VOCODER, audio)
    texts, lengths = [one.text for one in english], [recorded_seconds(one, audio.sample_rate_hz) for one in english]
    pace = Pace.of(speaker.processor.tokenizer.vocabulary, texts, lengths, LANGUAGE)
    voice_V = voice_for(speaker.model, english[0].speaker, LANGUAGE)
    synthesizer = Synthesizer(speaker.model, speaker.processor)
    seconds, expected, limited, waves = [], [], [], []
    for line in lines:
        parts = [one.text for one in split_sentences(line, LANGUAGE)]
        spoken = list(synthesizer.each([Line(part, LANGUAGE, voice_V) for part in parts], vocoder))
        seconds.append(speaker.seconds(spoken))
        expected.append(sum(pace.seconds(part, LANGUAGE) for part in parts))
        limited.append(any(ran_into_limit(one, speaker.model.config) for one in spoken))
        waves.append(torch.cat([one.wave for one in spoken]))
    heard = speech.hear(waves, audio.sample_rate_hz)
    figures = load_metric("stop_errors").compute(predictions=seconds, references=expected, ran_into_limit=limited)
    return figures | {"cer_hard": character_error_rate(heard, lines, LANGUAGE)}, heard


def recorded(sentences: speech.Sentences, audio) -> dict[str, float]:
    """Error rates of the recordings, and of their copies through mel and each vocoder."""
    english, figures = sentences[LANGUAGE], {}
    texts, waves = [one.text for one in english], speech.recordings(english, audio)
    copies = speech.vocoded([log_mel(wave, audio) for wave in waves], audio)
    for name, each in ({"real": waves} | copies).items():
        figures[f"cer_{name}"], heard = speech.score(each, english, audio.sample_rate_hz)
        figures[f"wer_{name}"] = word_error_rate(heard, texts, LANGUAGE)
    return figures


def elsewhere(results: Path = RESULTS) -> list[tuple[str, str]]:
    """(label, value) of what benchmarks of their own measure, with its day; nothing with uncommitted changes."""
    shown = []
    for name, forms in ELSEWHERE.items():
        found = read_json(results / f"{name}.json", {})
        if found and is_clean(found):
            dated = {key: (f"{label} ({found['date'][:10]})", form) for key, (label, form) in forms.items()}
            shown += page_block.shown(found["figures"], dated)
    return shown


def table(results: dict) -> str:
    heading = f"{results['machine']}; {results['date']}; training seeds {results['seeds']['training']}"
    return f"{heading}\n{page_block.aligned(page_block.shown(results['figures'], SHOWN))}"


def block(results: dict) -> str:
    """The figures as a markdown table, with the range over training seeds of the first."""
    rates, seeds = [one["cer_model"] for one in results["each_training_seed"]], results["seeds"]
    spread = (
        f"{len(rates)} training seeds ({min(rates):.1%} to {max(rates):.1%} CER)" if rates[1:] else "one training seed"
    )
    said = (
        f"`python -m benchmarks.quality.voice` of `{results['command']}`: {spread}, {len(seeds['synthesis'])} "
        "synthesis seeds each; 40 held-out English sentences, heard by moonshine-voice. "
    )
    figures = page_block.rows(page_block.shown(results["figures"], SHOWN) + elsewhere())
    return f"{said}{page_block.source(results, 'voice')}\n\n{figures}"


if __name__ == "__main__":
    sys.exit(main())

"""How fast a size speaks on a CPU: python -m benchmarks.speed.synthesis_speed        (tiny; --size for another)

Weights at random: the time of a step does not depend on them. Every token is given 4 steps, about what a character
takes in the demo corpus, so that each repeat makes the same 9.3 s of speech. Without a vocoder: text to log-mel.
First chunk: from token ids to the first log-mel chunk of a streamed utterance, after a warm-up; beside it, to the first
samples of HiFi-GAN. Each number of threads gets a process of its own.
Prints one table and writes synthesis_speed.json in benchmarks/results, or synthesis_speed_SIZE.json. Wants an idle
machine.
"""

import argparse
import json
import os
import statistics
import subprocess
import sys
import time
from pathlib import Path
from unittest import mock

import torch

from benchmarks.harness.places import RESULTS, ROOT
from benchmarks.harness.provenance import origin
from data_pipeline.errors import UserError
from data_pipeline.recordings.audio import AudioConfig
from data_pipeline.text.tokens import Vocabulary
from inference.generation import synthesize
from inference.streaming import stream_mel, stream_wave
from inference.vocoders.registry import load_vocoder
from modeling.configuration import SIZES, GoyaConfig
from modeling.model import GoyaForTextToSpeech

REPEATS, THREADS = 5, (1, 2)
TOKENS, STEPS_A_TOKEN = 100, 4
AUDIO = AudioConfig()
HIFIGAN = "first_samples_ms, HiFi-GAN"


def build_parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog=f"python -m {__spec__.name}", description=__doc__.split(":")[0] + ".")
    parser.add_argument("--size", default="tiny", choices=SIZES, help="of the model (default: %(default)s)")
    parser.add_argument("--batches", type=int, nargs="+", default=[1, 8], help="utterances at once (default: 1 8)")
    parser.add_argument("--out", type=Path, help="the json to write (default: in benchmarks/results)")
    parser.add_argument("--threads", type=int, help="only measure with so many threads, and print json")
    return parser


def main(argv: list[str] | None = None) -> int:
    arguments = build_parser().parse_args(argv)
    if arguments.threads:
        torch.set_num_threads(arguments.threads)
        print(json.dumps(measure(arguments.size, arguments.batches)))
        return 0
    counts = [count for count in THREADS if count <= len(os.sched_getaffinity(0))]
    alone = {count: measured(arguments, count) for count in counts}
    repeats = {f"{name}, {count} threads": each for count in counts for name, each in alone[count].items()}
    name = "synthesis_speed" if arguments.size == "tiny" else f"synthesis_speed_{arguments.size}"
    report(arguments.size, repeats, arguments.out or RESULTS / f"{name}.json")
    return 0


def measured(arguments, threads: int) -> dict[str, list[float]]:
    """`measure` in a process of its own, as OpenMP reads its number of threads once."""
    environment = {**os.environ, "OMP_NUM_THREADS": str(threads)}
    command = [sys.executable, "-m", __spec__.name, "--threads", str(threads), "--size", arguments.size, "--batches"]
    command += map(str, arguments.batches)
    return json.loads(subprocess.run(command, cwd=ROOT, env=environment, stdout=subprocess.PIPE, check=True).stdout)


# So that only max_token_steps ends a token.
@mock.patch("inference.generation.end_probability", lambda logits, smoothing: torch.zeros_like(logits))
def measure(size: str, batches: list[int]) -> dict[str, list[float]]:
    """Figure -> its repeats."""
    torch.manual_seed(0)
    config = GoyaConfig.of_size(size, vocab_size=len(Vocabulary()), max_token_steps=STEPS_A_TOKEN)
    model = GoyaForTextToSpeech(config).eval()
    ids_BS = torch.randint(4, config.vocab_size, (max(batches), TOKENS))
    voice_BV = torch.zeros(max(batches), config.voice_size)
    speech_s = TOKENS * STEPS_A_TOKEN * config.frames_per_step / AUDIO.frames_per_s
    figures: dict[str, list[float]] = {}
    for batch in batches:
        lengths_B = torch.full((batch,), TOKENS)
        each_s = seconds(lambda b=batch, n=lengths_B: synthesize(model, ids_BS[:b], n, voice_BV[:b]))
        figures[f"real_time_factor, batch {batch}"] = [one_s / (batch * speech_s) for one_s in each_s]
    first_s = seconds(lambda: next(stream_mel(model, ids_BS[0], voice_BV[0])))
    figures["first_chunk_ms"] = [1000 * one_s for one_s in first_s]
    try:
        vocoder = load_vocoder("hifigan", AUDIO)
    except UserError as error:  # its package is not installed
        print(error, file=sys.stderr)
        return figures

    def first_samples():
        mels = stream_mel(model, ids_BS[0], voice_BV[0], ahead_frames=vocoder.context_frames)
        return next(stream_wave(vocoder, mels))

    figures[HIFIGAN] = [1000 * one_s for one_s in seconds(first_samples)]
    return figures


def seconds(work) -> list[float]:
    """Of REPEATS calls, after one that warms up."""
    times = []
    for _ in range(REPEATS + 1):
        started = time.perf_counter()
        work()
        times.append(time.perf_counter() - started)
    return times[1:]


def report(size: str, repeats: dict[str, list[float]], path: Path) -> None:
    figures = {name: statistics.median(each) for name, each in repeats.items()}
    figures |= {f"{name}, range": [min(each), max(each)] for name, each in repeats.items()}
    result = origin() | {"load": os.getloadavg()[0], "size": size}
    result |= {"figures": figures, "repeats": repeats}
    path.write_text(json.dumps(result, indent=1) + "\n", encoding="utf-8")
    print(f"{f'{size}, {REPEATS} repeats':<44}{'median':>9}{'least':>9}{'most':>9}")
    for name, each in repeats.items():
        shown = (f"{value:>9.3f}" if "factor" in name else f"{value:>9.0f}" for value in statistics_of(each))
        print(f"{name:<44}{''.join(shown)}")


def statistics_of(each: list[float]) -> tuple[float, float, float]:
    return statistics.median(each), min(each), max(each)


if __name__ == "__main__":
    sys.exit(main())

"""How soon Goya speaks as clearly as others end up: python -m benchmarks.quality.peers  (extras: [eval,espeak])

Trains Goya and coqui-tts' Glow-TTS and VITS, each by its own recipe (peer/coqui.py says what of it is
fitted to half an hour), on the same English prompts of the demo corpus, on the same cores. After 5, 10, 20 and 30
minutes the 40 held-out English sentences are spoken and heard by the same recognizer; Glow-TTS through Griffin-Lim, as
coqui does without a vocoder. Minutes are of the training process' own processor time for all alike, its loader in the
same process, so that other work on the machine takes nothing from anyone; what is spoken to be heard does not count.

coqui-tts may stand in an environment of its own, whose interpreter --python names: pip install "coqui-tts[codec]";
it also wants the program espeak-ng on the PATH. Each run is written down as it ends; the same command goes on with
those that are missing. Prints one table and writes benchmarks/results/peers.json.
"""

import argparse
import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

from benchmarks.harness import command_line
from benchmarks.harness.places import DEMO, RESULTS, ROOT
from benchmarks.harness.provenance import origin
from benchmarks.quality.level import launched
from benchmarks.quality.level.curves import reached
from benchmarks.quality.main_job import check_extras
from data_pipeline.errors import UserError

OUT = RESULTS / "peers.json"
SCRIPT = Path(__file__).with_name("peer") / "coqui.py"  # a file: that interpreter has nothing of this project
RATE_HZ = 22_050  # of the recipes, and of our own preset
GOYA, COQUI = ("goya_experimental", "goya_enhanced"), ("glow_tts", "vits", "glow_tts_fp32", "glow_tts_published")
CONTENDERS = (*COQUI[:2], *GOYA, *COQUI[2:])  # in this order
EVERY = 3  # of Goya's evaluations so many-th is heard
INTELLIGIBLE = 0.5  # character error rate; where no peer gets below, this is what Goya's minutes are counted to


def build_parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog=f"python -m {__spec__.name}", description=__doc__.split(":")[0] + ".")
    parser.add_argument("--contenders", nargs="+", default=CONTENDERS, choices=CONTENDERS, help="(default: all)")
    parser.add_argument("--python", default=sys.executable, help="the interpreter that has coqui-tts (default: this)")
    parser.add_argument(
        "--minutes", type=float, nargs="+", default=[5, 10, 20, 30], help="when peers are heard (default: 5 10 20 30)"
    )
    parser.add_argument("--goya-minutes", type=float, default=12, help="budget of Goya (default: %(default)s)")
    parser.add_argument("--seed", type=int, default=1, help="of training (default: %(default)s)")
    parser.add_argument("--sentences", type=int, default=40, help="that are heard (default: %(default)s)")
    parser.add_argument("--work", type=Path, default=ROOT / "runs" / "peers", help="folder of the runs")
    parser.add_argument("--out", type=Path, default=OUT, help="the json to write (default: %(default)s)")
    return parser


def main(argv: list[str] | None = None) -> int:
    arguments = build_parser().parse_args(argv)
    try:
        measure(arguments)
    except UserError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    return 0


def measure(arguments) -> None:
    setting = {name: getattr(arguments, name) for name in ("minutes", "goya_minutes", "seed", "sentences")}
    result = launched.started(arguments.out, setting=setting)
    missing = [name for name in arguments.contenders if name not in result["runs"]]
    if {*missing} & {*COQUI}:
        check_coqui(arguments.python)
    if missing:
        check_extras()
        write_corpus(arguments.work / "corpus", arguments.sentences)
    for name in missing:
        begun = origin()  # a run may take hours, and the checkout may change meanwhile
        done = (run_coqui if name in COQUI else run_goya)(name, arguments.work / "corpus", arguments)
        done |= begun | {"load": os.getloadavg()[0]}
        result["runs"][name] = done
        command_line.write_json(result | {"figures": figures(result["runs"])}, arguments.out)
    result["figures"] = figures(result["runs"])
    command_line.write_json(result, arguments.out)
    print(table(result))


def check_coqui(python: str) -> None:
    """Raises UserError where an interpreter has no coqui-tts that can be used, or there is no espeak-ng for it."""
    done = subprocess.run([python, "-c", "import TTS.tts.models.vits"], text=True, capture_output=True)
    if done.returncode:
        said = done.stderr.strip().splitlines()[-1:] or ["no message"]
        raise UserError(
            f"{python} cannot import coqui-tts ({said[0]}). Run pip install 'coqui-tts[codec]' there, name another "
            f"interpreter with --python, or leave it out: --contenders {' '.join(GOYA)}."
        )
    if not (shutil.which("espeak-ng") or shutil.which("espeak")):
        raise UserError("coqui-tts wants the program espeak-ng for its phonemes, which is not on the PATH; install it.")


def write_corpus(folder: Path, sentences: int) -> None:
    """The English rows as each contender reads them: LJSpeech's layout with wav files for coqui, parquet for Goya."""
    import pyarrow.compute
    import pyarrow.parquet
    import soundfile

    from data_pipeline.recordings.audio import decode_audio

    shutil.rmtree(folder, ignore_errors=True)
    (folder / "wavs").mkdir(parents=True)
    rows = pyarrow.parquet.read_table(DEMO / "train-en.parquet").to_pylist()
    for row in rows:
        wave_N = decode_audio(row["audio"]["bytes"], RATE_HZ)
        soundfile.write(folder / "wavs" / f"{file_name(row['id'])}.wav", wave_N, RATE_HZ, subtype="PCM_16")
    lines = [f"{file_name(row['id'])}|{row['text']}|{row['text']}\n" for row in rows]
    (folder / "metadata.csv").write_text("".join(lines), encoding="utf-8")
    heldout = pyarrow.parquet.read_table(DEMO / "heldout.parquet")
    heldout = heldout.filter(pyarrow.compute.equal(heldout["language"], "en"))
    pyarrow.parquet.write_table(heldout, folder / "heldout-en.parquet")
    spoken = [f"{file_name(row['id'])}|{row['text']}\n" for row in heldout.slice(0, sentences).to_pylist()]
    (folder / "sentences.txt").write_text("".join(spoken), encoding="utf-8")


def file_name(row_id: str) -> str:
    return row_id.replace("/", "_")


# The runs


def run_coqui(name: str, corpus: Path, arguments) -> dict:
    folder = arguments.work / name
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    command = [arguments.python, SCRIPT, name, corpus, folder, arguments.seed]
    launch([*command, *arguments.minutes], folder / "log.txt")
    marks, losses = lines_of(folder / "marks.jsonl"), lines_of(folder / "losses.jsonl")
    last = marks[-1]
    curve = []
    for mark in marks:
        cer, heard = hear_files(folder / f"minutes-{mark['minutes']:g}", arguments.sentences)
        counted = {"minutes": mark["seconds"] / 60, "wall_minutes": mark["wall_s"] / 60, "step": mark["step"]}
        curve.append(counted | {"utterances": mark["step"] * mark["batch_size"], "cer": min(1.0, cer)})
    of_last = {key: last[key] for key in ("versions", "bf16", "threads", "process_cpu_s")}
    return {"seed": arguments.seed, **of_last, "curve": curve, "epochs": losses, "heard": heard}


def run_goya(name: str, corpus: Path, arguments) -> dict:
    data = ["--train-data", DEMO / "train-en.parquet", "--val-data", corpus / "heldout-en.parquet"]
    done = launched.run(
        arguments.work / name,
        name.removeprefix("goya_"),
        arguments.seed,
        arguments.goya_minutes,
        *map(str, data),
        *("--num-workers", "0"),
        sentences=arguments.sentences,
        every=EVERY,
        module="benchmarks.quality.peer.goya",
    )
    for point in done["curve"]:
        point["minutes"], point["wall_minutes"] = point.pop("cpu_s") / 60, point.pop("seconds") / 60
    return done


def launch(command: list, log: Path) -> None:
    """Raises UserError with the end of its log where a command fails."""
    words = list(map(str, command))
    print("$ " + " ".join(words), flush=True)
    cores = str(len(os.sched_getaffinity(0)))  # all of them, as our own trainer takes
    with log.open("w", encoding="utf-8") as file:
        environment = os.environ | {"OMP_NUM_THREADS": cores}
        code = subprocess.run(words, stdout=file, stderr=subprocess.STDOUT, env=environment).returncode
    if code:
        said = "\n".join(log.read_text(encoding="utf-8").splitlines()[-15:])
        raise UserError(f"The peer's training ended with exit code {code}; all it said is in {log}:\n{said}")


def lines_of(path: Path) -> list[dict]:
    return list(map(json.loads, path.read_text(encoding="utf-8").splitlines()))


def hear_files(folder: Path, sentences: int) -> tuple[float, dict[str, str]]:
    """(CER, what was heard of each sentence) of the wav files of a mark."""
    import soundfile

    from benchmarks.quality import (
        heldout_speech as speech,  # here: training is launched from a process that is still small
    )

    english = speech.heldout(sentences)[speech.ASR_LANGUAGE]
    read = [soundfile.read(folder / f"{file_name(one.id)}.wav", dtype="float32") for one in english]
    cer, heard = speech.score([wave_N for wave_N, _ in read], english, read[0][1])
    return cer, dict(zip([one.text for one in english], heard, strict=True))


# What the curves say


def figures(runs: dict[str, dict]) -> dict:
    """The minutes that each run of Goya needs to the CER that the best peer has at its end, or to INTELLIGIBLE.

    minutes_to_peer_best is of level experimental, and left out where it is never reached or there is no peer.
    """
    ends = {name: run["curve"][-1] for name, run in runs.items() if name in COQUI}
    if not ends:
        return {}
    best = min(ends, key=lambda name: ends[name]["cer"])
    target = min(ends[best]["cer"], INTELLIGIBLE)
    found = {"best_peer": best, "best_peer_cer": ends[best]["cer"], "best_peer_minutes": ends[best]["minutes"]}
    found["target_cer"] = target
    for name in GOYA:
        if name in runs:
            there = reached(runs[name]["curve"], "cer", target)
            found[f"minutes_to_peer_best_{name}"] = there["minutes"] if there else None
    if found.get(f"minutes_to_peer_best_{GOYA[0]}") is not None:
        found["minutes_to_peer_best"] = found[f"minutes_to_peer_best_{GOYA[0]}"]
    return found


def at(curve: list[dict], minutes: float) -> float | None:
    """The CER of the last point until then that was heard; None where the run had ended well before."""
    until = [point for point in curve if point["minutes"] <= minutes * 1.02 and "cer" in point]
    return until[-1]["cer"] if until and curve[-1]["minutes"] >= 0.95 * minutes else None


def table(result: dict) -> str:
    minutes, found = result["setting"]["minutes"], result["figures"]
    lines = [f"{result['machine']}; {result['setting']}"]
    lines.append(f"{'CER after minutes of processor time':<36}" + "".join(f"{one:>9g}" for one in minutes))
    for name, run in result["runs"].items():
        rates = [at(run["curve"], one) for one in minutes]
        lines.append(f"{name:<36}" + "".join(f"{'-' if rate is None else format(rate, '.1%'):>9}" for rate in rates))
    if not found:
        return "\n".join([*lines, "No peer was run, so there is nothing for Goya to be as good as."])
    end = f"{found['best_peer']} after {found['best_peer_minutes']:.0f} minutes: {found['best_peer_cer']:.1%}"
    if found["target_cer"] < found["best_peer_cer"]:
        end += f"; none is intelligible, so Goya's minutes are to {found['target_cer']:.0%}"
    lines.append(f"Best peer, {end}.")
    for name in GOYA:
        if name in result["runs"]:
            took = found[f"minutes_to_peer_best_{name}"]
            lines.append(f"minutes that {name} takes: {'never there' if took is None else format(took, '.1f')}")
    return "\n".join(lines)


if __name__ == "__main__":
    sys.exit(main())

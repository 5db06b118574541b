"""Inputs made at random, by kinds and from a seed, against each boundary: python benchmarks/fuzz.py

Settings (any key, numbers at the ends of types, text, lists), config files (YAML and JSON that is cut, nested, aliased,
mis-encoded), and models of strangers (any field of any JSON, weights cut, renamed, reshaped, links, pipes). All in one
process. Each ends well where it is read, or refused in one UserError; ill in any other exception, or after LIMIT_S.
Prints what ended ill, to be made again by its number, and writes benchmarks/results/fuzz.json.
"""

import argparse
import json
import os
import random
import shutil
import sys
import tempfile
import time
import traceback
from collections import Counter
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))  # a script's own folder is on the path, its parent is not

import torch  # noqa: E402

from benchmarks import command_line  # noqa: E402
from benchmarks.provenance import origin  # noqa: E402
from benchmarks.time_limit import TooLong, time_limit  # noqa: E402
from data_pipeline.audio import AudioConfig  # noqa: E402
from data_pipeline.errors import UserError  # noqa: E402
from inference.pretrained import load  # noqa: E402
from modeling.configuration import GoyaConfig  # noqa: E402
from modeling.model import GoyaForTextToSpeech  # noqa: E402
from modeling.processor import GoyaProcessor  # noqa: E402
from training.config import FIELDS, RunConfig, coerce  # noqa: E402

RESULTS = ROOT / "benchmarks" / "results" / "fuzz.json"
LIMIT_S = 20
DESCRIPTIONS = ("config.json", "processor_config.json", "vocabulary.json", "tokenizer_config.json")


def build_parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="benchmarks/fuzz.py", description=__doc__.split(":")[0] + ".")
    parser.add_argument("--inputs", type=int, default=2000, help="(default: %(default)s)")
    parser.add_argument("--first", type=int, default=0, help="number of the first (default: %(default)s)")
    parser.add_argument("--out", type=Path, default=RESULTS, help="the json to write (default: %(default)s)")
    return parser


def main(argv: list[str] | None = None) -> int:
    arguments = build_parser().parse_args(argv)
    ends: dict[str, Counter[str]] = {kind: Counter() for kind in KINDS}
    ill, started = [], time.perf_counter()
    with tempfile.TemporaryDirectory(prefix="goya-fuzz-") as folder:
        good = good_model(Path(folder) / "good")
        for number in range(arguments.first, arguments.first + arguments.inputs):
            kind = list(KINDS)[number % len(KINDS)]
            work = Path(folder) / "work"
            work.mkdir()
            end, detail = judged(KINDS[kind], random.Random(number), work, good)
            shutil.rmtree(work)
            ends[kind][end] += 1
            if end in ("traceback", "hang"):
                ill.append({"input": number, "kind": kind, "end": end, "detail": detail})
                print(f"input {number} ({kind}): {end}\n{detail}", flush=True)
    total = sum(ends.values(), Counter())
    results = origin() | {"seconds": time.perf_counter() - started}
    figures = {"inputs_tried": arguments.inputs, "models_tried": sum(ends["model"].values())}
    figures |= {"tracebacks": total["traceback"], "hangs": total["hang"]}
    command_line.write_json(results | {"ends": ends, "ill": ill, "figures": figures}, arguments.out)
    for kind, counted in ends.items():
        print(f"{kind:<14}" + "  ".join(f"{end} {count}" for end, count in sorted(counted.items())))
    return int(bool(ill))


def judged(attempt: Callable, draw: random.Random, work: Path, good: Path) -> tuple[str, str]:
    """(how it ended, the message or traceback)."""
    try:
        with time_limit(LIMIT_S):
            attempt(draw, work, good)
    except UserError as error:
        return ("refused" if 30 < len(str(error)) < 3000 else "bad message"), str(error)
    except TooLong:
        return "hang", _shown()
    except Exception:  # whatever it is, a user would see it as a traceback
        return "traceback", _shown()
    return "read", ""


def _shown() -> str:
    """The traceback at hand, with no path of the machine."""
    return traceback.format_exc(limit=-8).replace(f"{ROOT}{os.sep}", "")


# What is drawn


def number(draw: random.Random) -> float | int:
    """From the ends of types, near them, and anywhere."""
    edge = draw.choice([0, 1, 2**7, 2**15, 2**31, 2**32, 2**53, 2**63, 2**64, 10**30, 10**400])
    made = draw.choice([edge, edge - 1, -edge, draw.randint(-(2**40), 2**40)])
    if made.bit_length() > 1000:
        return made
    return draw.choice(
        [made, float(made), made + 0.5, draw.uniform(-1, 1), 10.0 ** draw.randint(-320, 308), float("nan")]
    )


def word(draw: random.Random) -> str:
    pool = ["", " ", "none", "true", "x", "é", "\0", "\n", "\ud800", "../..", "/dev/zero", "auto", "1e5", "0x10", "[1]"]
    return "".join(draw.choices(pool, k=draw.randint(0, 4))) * draw.choice([1, 1, 1, 2000])


def value(draw: random.Random, level: int = 0):
    kinds = [number, word, lambda draw: draw.choice([None, True, False])]
    if level < 4:
        kinds.append(lambda draw: [value(draw, level + 1) for _ in range(draw.randint(0, 3))])
        kinds.append(lambda draw: {word(draw): value(draw, level + 1) for _ in range(draw.randint(0, 3))})
    return draw.choice(kinds)(draw)


def cut_up(draw: random.Random, content: bytes) -> bytes:
    """Bytes flipped, cut out, put in, doubled."""
    data = bytearray(content)
    for _ in range(draw.randint(1, 5)):
        at = draw.randrange(len(data) + 1)
        new = draw.choice(
            [b"\0", b"\xff", b"{", b"[", b"*a", b"&a ", b"\n", b"9" * 500, b'"', b": ", draw.randbytes(4)]
        )
        data[at : at + draw.choice([0, 0, 1, 10, 1000])] = new * draw.choice([1, 1, 1, 5000])
    return bytes(data)


# The boundaries


def setting(draw: random.Random, work: Path, good: Path) -> None:
    key = draw.choice([*FIELDS, word(draw)])
    drawn = value(draw)
    coerce(key, draw.choice([drawn, str(drawn)[:5000]]), "flag --set")


def config_file(draw: random.Random, work: Path, good: Path) -> None:
    ending = draw.choice([".json", ".yaml", ".yml"])
    whole = draw.choice([RunConfig().to_dict(), {draw.choice(["optim", "data", word(draw)]): value(draw)}])
    content = json.dumps(whole).encode("utf-8", "surrogatepass")
    path = work / f"config{ending}"
    path.write_bytes(draw.choice([cut_up(draw, content), content, cut_up(draw, b"optim: &a\n  lr: 1\ndata: *a\n")]))
    RunConfig.load(path)


def model(draw: random.Random, work: Path, good: Path) -> None:
    theirs = shutil.copytree(good, work / "theirs")
    for _ in range(draw.randint(1, 3)):
        draw.choice([field_changed, field_changed, file_changed, file_replaced])(draw, theirs)
    load(str(theirs))


def field_changed(draw: random.Random, theirs: Path) -> None:
    path = theirs / draw.choice(DESCRIPTIONS)
    if not path.is_file() or path.is_symlink():
        return
    try:
        found = json.loads(path.read_bytes())
        place = found
        while (
            isinstance(draw_from := place.get(draw.choice([*place, "more"])), dict)
            and draw_from
            and draw.random() < 0.7
        ):
            place = draw_from
        place[draw.choice([*place, word(draw)])] = value(draw)
        path.write_text(json.dumps(found), encoding="utf-8", errors="surrogatepass")
    except (AttributeError, ValueError, IndexError):  # harmed before
        return


def file_changed(draw: random.Random, theirs: Path) -> None:
    path = draw.choice(sorted(theirs.iterdir()))
    if path.is_file() and not path.is_symlink():
        whole = path.read_bytes()
        path.write_bytes(
            draw.choice([cut_up(draw, whole[:5000]) + whole[5000:], whole[: draw.randrange(len(whole) + 1)]])
        )


def file_replaced(draw: random.Random, theirs: Path) -> None:
    """By a link, a pipe, a folder, nothing; or an index of weights beside it."""
    path = draw.choice(sorted(theirs.iterdir()))
    if path.is_dir() and not path.is_symlink():
        return
    how = draw.randrange(5)
    path.unlink()
    if how == 0:
        path.symlink_to(draw.choice(["/etc/passwd", "/dev/zero", "loop", path.name, "..", "config.json"]))
    elif how == 1:
        os.mkfifo(path)
    elif how == 2:
        path.mkdir()
    elif how == 3:
        names = {
            word(draw): draw.choice([word(draw), "../x.safetensors", "pytorch_model.bin", value(draw)]) for _ in "abc"
        }
        path = theirs / "model.safetensors.index.json"
        path.write_text(json.dumps({"weight_map": names}), encoding="utf-8", errors="surrogatepass")


KINDS = {"setting": setting, "config file": config_file, "model": model}


def good_model(folder: Path) -> Path:
    torch.manual_seed(0)
    tokens, audio = len(GoyaProcessor().tokenizer), asdict(AudioConfig())
    config = GoyaConfig.of_size("debug", vocab_size=tokens, audio=audio)
    config.voices = {"ann-en": [0.5] * config.voice_size}
    GoyaForTextToSpeech(config).save_pretrained(folder)
    GoyaProcessor().save_pretrained(folder)
    return folder


if __name__ == "__main__":
    sys.exit(main())

"""Settings, config files, command lines."""

import contextlib
import io
import json
import random
import sys
from pathlib import Path
from unittest import mock

import listen
import synthesize
from benchmarks.reliability.fuzzing.drawn import cut, digits, harmed, letters, number, value, word
from inference.web.listening import Voices
from training.config.arguments import build_parser, parse
from training.config.fields import FIELDS, RunConfig, choices, coerce
from training.config.hf_flags import UNDERSTOOD

ALIASES = b"optim: &a\n  lr: 1\ndata: *a\n"


def setting(draw: random.Random, work: Path, kit) -> None:
    key = draw.choice([*FIELDS, word(draw)])
    drawn = value(draw)
    coerce(key, draw.choice([drawn, str(drawn)[:5000]]), "flag --set")


def config_file(draw: random.Random, work: Path, kit) -> None:
    ending = draw.choice([".json", ".yaml", ".yml"])
    whole = draw.choice([RunConfig().to_dict(), {draw.choice(["optim", "data", word(draw)]): value(draw)}])
    content = json.dumps(whole).encode("utf-8", "surrogatepass")
    path = work / f"config{ending}"
    path.write_bytes(draw.choice([harmed(draw, content), content, harmed(draw, ALIASES)]))
    RunConfig.load(path)


def command_line(draw: random.Random, work: Path, kit) -> None:
    """train_main.py's until it would open a corpus, synthesize.py's to the wave, listen.py's until it would serve."""
    program = draw.choice([_trains, _trains, _speaks, _listens])
    output = io.TextIOWrapper(io.BytesIO())
    with contextlib.redirect_stdout(output), contextlib.redirect_stderr(io.StringIO()), contextlib.chdir(work):
        with mock.patch.object(sys, "stdin", io.StringIO(letters(draw))):
            try:
                program(draw, work, kit)
            except SystemExit as ended:  # after --help; what argparse refuses it says with its usage
                assert ended.code in (0, 2), ended.code


def _trains(draw: random.Random, work: Path, kit) -> None:
    flags = [*build_parser()._option_string_actions, *UNDERSTOOD, word(draw), f"--{letters(draw)}"]
    words = ["--device", "cpu"]
    for _ in range(draw.randint(1, 4)):
        flag = draw.choice(flags)
        words += [flag] if draw.random() < 0.2 else [flag, _argument(draw, work)]
        if draw.random() < 0.3:
            words += ["--set", draw.choice(["{}={}", "{} = {}", "{}", "{}={}={}"]).format(*_assigned(draw, work))]
        if draw.random() < 0.1:
            words[-1] = f"{flag}={words[-1]}"
    parse(_as_typed(words), kit.hardware)


def _assigned(draw: random.Random, work: Path) -> tuple[str, str, str]:
    key = draw.choice(list(FIELDS))
    options = choices(key) or [_argument(draw, work)]
    return key, draw.choice([draw.choice(options), _argument(draw, work)]), word(draw)


def _speaks(draw: random.Random, work: Path, kit) -> None:
    parser = synthesize.build_parser()
    words = [draw.choice([str(kit.model), str(kit.model), str(kit.model), _argument(draw, work)])]
    words += ["--vocoder", "griffin_lim"]  # a good one is slow
    for flag, action in draw.sample(sorted(parser._option_string_actions.items()), draw.randint(0, 4)):
        words += [flag] if action.nargs == 0 else [flag, draw.choice(action.choices or [_argument(draw, work)[:300]])]
    synthesize.run(parser.parse_args(_as_typed(words)))


def _listens(draw: random.Random, work: Path, kit) -> None:
    words = [_argument(draw, work)]
    words += draw.choice([[], ["--port", _argument(draw, work)], ["--port", str(draw.randint(-1, 80_000))]])
    arguments = listen.build_parser().parse_args(_as_typed(words))
    listen.listening(arguments.port).close()
    Voices(arguments.model)


def _argument(draw: random.Random, work: Path) -> str:
    """A value that may stand behind a flag: odd words, numbers, texts, and the paths of what is there."""
    path = draw.choice(["file.csv", "file.json", "file.txt", "file.wav", "file.yaml", "folder", "missing/x", "pipe"])
    there = work / path
    if path.startswith("file"):
        there.write_bytes(draw.choice([b"", b"{}", b"a|b\n", harmed(draw, b'{"a": 1}\n'), cut(draw, b"caf\xe9 " * 9)]))
    elif path == "folder":
        there.mkdir(exist_ok=True)
    return draw.choice(
        [word(draw), str(number(draw))[:500], letters(draw), digits(draw), str(there), f"{there}/", "x" * 5000,
         f"owner/{letters(draw)}", "1", "2.5", "true", "none", "-", "--", f"{work}/*", "~nobody/x", "foo://x", "en"]
    )  # fmt: skip


def _as_typed(words: list[str]) -> list[str]:
    """No argument holds a NUL; bytes that are no text come as half characters of one range."""
    return [one.replace("\0", "").replace("\ud800", "\udc80") for one in words]

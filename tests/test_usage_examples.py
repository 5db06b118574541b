"""usage_examples.py reads the commands of README.md and docs/, each of them one that the programs take."""

import io
import re
import shlex
import shutil
import sys
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path

import pytest
import torch

import listen
import synthesize
import usage_examples
from benchmarks.quality import main_job
from benchmarks.report import page_block
from data_pipeline.errors import UserError
from data_pipeline.reading.columns import ColumnNames
from data_pipeline.reading.held_out import hold_out
from data_pipeline.reading.sources import open_source
from data_pipeline.recordings.audio import AudioConfig
from data_pipeline.text.tokens import Vocabulary
from inference.options import BASE
from modeling.configuration import SIZES, GoyaConfig
from modeling.model import GoyaForTextToSpeech
from modeling.processor import GoyaProcessor
from training.config.arguments import parse
from training.config.fields import RunConfig, coerce
from training.config.hardware import Hardware
from training.config.levels import LEVELS
from usage_examples import EXAMPLE_ROWS, WRITERS, commands, make_data

ROOT = Path(__file__).parents[1]
COMMANDS = {name: command for group in commands().values() for name, command in group.items()}
DEMO_RUN, MANA_RUN = "runs/demo_corpus_tiny_enhanced", "runs/mana"
PAGES = "\n".join(page.read_text(encoding="utf-8") for page in page_block.pages())
CPU = Hardware("cpu", "CPU with 2 cores", 24, 2, True)
COLUMNS = {"columns": ColumnNames(text="words", audio="clip", speaker="who")}


def told_commands() -> set[str]:
    blocks = re.findall(r"^```bash\n(.*?)^```", PAGES, re.DOTALL | re.MULTILINE)
    return {line for block in blocks for line in block.splitlines() if line.strip()}


def arguments_of(script: str, commands: Mapping[str, str] = COMMANDS) -> list:
    """What each command gives to `script`, without the shell's own signs."""
    found = []
    for name, command in commands.items():
        words = shlex.split(command)
        if script in words:
            given = words[words.index(script) + 1 :]
            signs = (given.index(sign) for sign in (">", "<", "&&", "|") if sign in given)
            found.append(pytest.param(given[: min(signs, default=len(given))], id=name))
    return found


def test_every_command_of_the_pages_is_found_and_no_other():
    assert len(told_commands()) > 100 and told_commands() == set(COMMANDS.values())


def test_each_name_is_of_one_command_and_says_where_it_stands():
    listed = [name for group in commands().values() for name in group]
    assert len(set(listed)) == len(listed) and not any(set(name) & set(" \t\"'") for name in listed)
    assert "accelerate launch train_main.py --init-from" in COMMANDS["training/fine-tune-1"]
    assert COMMANDS["readme/1"].startswith("pip install") and "data/1" in commands()["docs/data.md: Data"]


PAGE = """# A page
```text
# no heading, and no command
```
```bash
first --one 1
second
```
## What it does
```bash
third
```
```python
fourth
```
"""


def test_commands_are_read_from_fences_for_bash_under_their_heading(tmp_path):
    (tmp_path / "docs").mkdir()
    (tmp_path / "README.md").write_text("# Name\n")
    (tmp_path / "docs" / "one.md").write_text(PAGE)
    assert commands(tmp_path) == {
        "docs/one.md: A page": {"one/1": "first --one 1", "one/2": "second"},
        "docs/one.md: What it does": {"one/what-it-does-1": "third"},
    }
    assert commands(tmp_path / "docs") == {}


def test_a_command_of_a_page_with_a_flag_that_there_is_not_is_not_taken(tmp_path, monkeypatch):
    (tmp_path / "README.md").write_text(
        "```bash\npython train_main.py --train-dada x\npython listen.py a --prot 1\n```\n"
    )
    found = {name: command for group in commands(tmp_path).values() for name, command in group.items()}
    [training], [listening] = (arguments_of(script, found) for script in ("train_main.py", "listen.py"))
    with pytest.raises(UserError, match="There is no flag --train-dada"):
        taken(*training.values, tmp_path, monkeypatch)
    with pytest.raises(SystemExit):
        listen.build_parser().parse_args(*listening.values)


@pytest.mark.parametrize("given", arguments_of("train_main.py"))
def test_training_commands_are_taken(given, tmp_path, monkeypatch):
    taken(given, tmp_path, monkeypatch)


def taken(given: list[str], tmp_path: Path, monkeypatch) -> None:
    (tmp_path / "my_run.yaml").write_text("optim:\n  lr: 1e-4\n")
    for part in (GoyaConfig.of_size("tiny", audio=asdict(AudioConfig())), GoyaProcessor()):  # what --init-from looks at
        part.save_pretrained(tmp_path / DEMO_RUN / "best")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "stdin", io.StringIO("A line."))
    if {"--help", "--print-config", "--show-text"} & set(given):
        with pytest.raises(SystemExit) as end:
            parse(given, CPU)
        assert end.value.code == 0
    else:
        assert isinstance(parse(given, CPU)[0], RunConfig)


@pytest.mark.parametrize("given", arguments_of("synthesize.py"))
def test_synthesis_commands_are_taken(given):
    arguments = synthesize.build_parser().parse_args(given)
    if arguments.model == MANA_RUN:
        assert any("train_main.py" in one and f"--checkpoint-dir {MANA_RUN}" in one for one in COMMANDS.values())
    elif arguments.model != BASE:  # which ships
        assert arguments.model == DEMO_RUN == parse([], CPU)[0].checkpoint.dir


@pytest.mark.parametrize("given", arguments_of("listen.py"))
def test_the_page_s_commands_are_taken(given):
    assert listen.build_parser().parse_args(given).model == DEMO_RUN


@pytest.mark.parametrize("given", arguments_of("benchmarks.quality.main_job"))
def test_benchmark_commands_are_taken(given):
    main_job.build_parser().parse_args(given)


def test_files_in_commands_exist():
    words = {word for command in COMMANDS.values() for word in shlex.split(command)}
    files = {word for word in words if word.endswith((".py", ".yaml")) and word != "my_run.yaml"}
    files |= {f"{word.replace('.', '/')}.py" for word in words if word.startswith("benchmarks.")}
    assert len(files) > 25
    assert [name for name in files if not (ROOT / name).is_file()] == []


def test_no_command_names_a_checkpoint_that_a_run_may_not_have():
    """Old ones are deleted as new ones come, and how many steps a run takes depends on the machine."""
    pages = [ROOT / "README.md", *(ROOT / "docs").glob("*.md")]
    fences = [fence for page in pages for fence in re.findall(r"```bash\n(.*?)```", page.read_text(), re.DOTALL)]
    assert len(fences) > 10
    assert [line for text in (*fences, *COMMANDS.values()) for line in text.splitlines() if "step-0" in line] == []


@pytest.fixture(scope="module")
def my_data(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("my_data")
    make_data(folder)
    return folder


def spelled(command: str) -> str:
    """Without quotes, and a slash behind every folder."""
    return re.sub(r"(my_data/\w+)(?= |$)", r"\1/", command.replace('"', ""))


@pytest.mark.parametrize("kind", WRITERS)
def test_example_corpora_can_be_trained_on(kind, my_data):
    command = shlex.split(next(one for one in COMMANDS.values() if f"--train-data my_data/{kind}/" in spelled(one)))
    where = command[command.index("--train-data") + 1].replace("my_data", str(my_data))
    source = open_source(where, columns=COLUMNS.get(kind))
    utterances = [source.to_utterance(row) for row in source.rows()]
    validation = open_source(where, columns=COLUMNS.get(kind), split="validation")
    if validation is None:
        assert len(utterances) == EXAMPLE_ROWS
        assert any(map(hold_out(iter(utterances), RunConfig().data.val_fraction, where), utterances))
    else:
        assert len(utterances) + len(list(validation.rows())) == EXAMPLE_ROWS


def test_clips_to_clone_and_a_text_to_read_are_made(my_data):
    clips = [(my_data / name).read_bytes() for name in ("clip.opus", "clip2.opus")]
    assert clips[0] != clips[1] and min(map(len, clips)) > 10_000
    assert len((my_data / "long.txt").read_text(encoding="utf-8").split("\n\n")) == 2


def test_run_is_small_unless_told_otherwise_and_adds_what_follows(monkeypatch, capsys):
    ran = []

    class Done:
        returncode = 3

    monkeypatch.setattr(usage_examples.subprocess, "run", lambda command, **_: ran.append(command) or Done)
    ljspeech = "accelerate launch train_main.py --train-data my_data/ljspeech --language en"
    assert usage_examples.main(["--run", "ljspeech", "--seed", "5"]) == 3
    assert ran.pop() == f"{ljspeech} --debug --seed 5"
    for name, words in (
        (ljspeech, ["--whole"]),
        ("data/3", ["--whole"]),
        ("readme/train-on-your-own-speech-7", []),
        ("training/fine-tune-1", []),
        ("Gracias por llamar", []),
        ("print-config > my_run", []),
    ):
        usage_examples.main(["--run", name, *words])
        assert ran.pop() in (COMMANDS.get(name), *(one for one in COMMANDS.values() if name in one))
    assert usage_examples.main([]) == 0
    listed = capsys.readouterr().out
    assert [
        name
        for name, command in COMMANDS.items()
        if not re.search(rf"^  {name} +{re.escape(command)}$", listed, re.MULTILINE)
    ] == []


@pytest.mark.parametrize(("words", "said"), [("nonesuch", "all are listed"), ("--lora-rank 16 ", "listed"), (
    "quality.fine_tuning", "these have it: measured/measure-it-again-"
)])  # fmt: skip
def test_words_that_are_not_of_one_command_are_answered(words, said, capsys):
    with pytest.raises(SystemExit):
        usage_examples.main(["--run", words])
    assert said in capsys.readouterr().err


def level_rows() -> list[tuple[str, list[str]]]:
    """(key, cells) of the table of levels."""
    text = (ROOT / "docs" / "training.md").read_text(encoding="utf-8")
    rows = re.findall(r"^\|[^|`]*`([a-z_.]+)`[^|]*\|(.+)\|$", text, re.MULTILINE)
    return [(key, [cell.strip() for cell in cells.split("|")]) for key, cells in rows if "." in key]


def test_the_table_of_levels_is_true():
    values = list(LEVELS.values())
    rows = level_rows()
    assert {key for key, _ in rows} == {key for level in values for key in level}
    for key, cells in rows:
        told = [None if cell == "-" else coerce(key, cell, "the table") for cell in cells]
        assert told == [level.get(key) for level in values], key


def test_the_sizes_are_true():
    told = re.findall(r"(debug|tiny|small|normal|big)\s+([\d.]+)(?: M parameters|\s+M)?,(?: width)?\s+(\d+)", PAGES)
    assert [name for name, *_ in told] == list(SIZES)
    for name, millions, width in told:
        with torch.device("meta"):
            config = GoyaConfig.of_size(name, vocab_size=len(Vocabulary()))
            parameters = sum(one.numel() for one in GoyaForTextToSpeech(config).parameters())
        assert config.hidden_size == int(width)
        assert abs(parameters / 1e6 - float(millions)) < 0.02 * float(millions) + 0.05, (name, parameters)


def test_measured_figures_go_between_the_marks_and_nothing_else_changes(tmp_path):
    results = {
        "machine": "a CPU", "date": "2026-01-02T03:04:05", "commit": "abc", "command": "train",
        "seeds": {"training": [1, 2], "synthesis": [0, 1]}, "heard": [], "ranges": {"cer_model": [0.1, 0.2]},
        "figures": {"steps": 7, "cer_model": 0.125, "cer_sentences": 40},
        "installed": {"command": "pip install -e .", "extras": [], "python": "3.11.7"},
    }  # fmt: skip
    (tmp_path / "docs").mkdir()
    for page in page_block.pages():
        shutil.copy(page, tmp_path / page.relative_to(ROOT))
    page = tmp_path / "docs" / "measured.md"
    whole = page.read_text(encoding="utf-8")
    for _ in range(2):
        page_block.put("main_job", main_job.block(results), tmp_path)
    block = main_job.block(results).replace("](benchmarks/", "](../benchmarks/")  # the page is one folder down
    assert "| CER, model, HiFi-GAN | 12.5% | 10.0% to 20.0% |" in block and "Griffin-Lim" not in block
    assert "2 synthesis seeds" in block and "`pip install -e .`, no extras, Python 3.11.7" in block
    assert "](../" in block
    begin, end = "<!-- main_job:begin -->", "<!-- main_job:end -->"
    before, after = whole.split(begin)[0], whole.split(end)[1]
    assert page.read_text(encoding="utf-8") == f"{before}{begin}\n{block}\n{end}{after}"

"""README.md, docs/ and usage_examples.py say the same commands, each of them one that the programs take."""

import io
import re
import shlex
import shutil
import sys
from dataclasses import asdict
from pathlib import Path

import pytest
import torch

import listen
import synthesize
import usage_examples
from benchmarks.quality import main_job
from benchmarks.report import page_block
from data_pipeline.audio import AudioConfig
from data_pipeline.columns import ColumnNames
from data_pipeline.held_out import hold_out
from data_pipeline.sources import open_source
from data_pipeline.text import Vocabulary
from modeling.configuration import SIZES, GoyaConfig
from modeling.model import GoyaForTextToSpeech
from modeling.processor import GoyaProcessor
from training.config.arguments import parse
from training.config.fields import RunConfig, coerce
from training.config.hardware import Hardware
from training.config.levels import LEVELS
from usage_examples import COMMANDS, EXAMPLE_ROWS, WRITERS, make_data

ROOT = Path(__file__).parents[1]
PAGES = "\n".join(page.read_text(encoding="utf-8") for page in page_block.pages())
CPU = Hardware("cpu", "CPU with 2 cores", 24, 2, True)
COLUMNS = {"columns": ColumnNames(text="words", audio="clip", speaker="who")}


def told_commands() -> set[str]:
    blocks = re.findall(r"^```bash\n(.*?)^```", PAGES, re.DOTALL | re.MULTILINE)
    return {line for block in blocks for line in block.splitlines() if line.strip()}


def arguments_of(script: str) -> list:
    """What each command gives to `script`, without the shell's own signs."""
    found = []
    for name, command in COMMANDS.items():
        words = shlex.split(command)
        if script in words:
            given = words[words.index(script) + 1 :]
            signs = (given.index(sign) for sign in (">", "<", "&&", "|") if sign in given)
            found.append(pytest.param(given[: min(signs, default=len(given))], id=name))
    return found


def test_the_pages_have_every_command_and_no_other():
    assert sorted(told_commands()) == sorted(COMMANDS.values())


@pytest.mark.parametrize("given", arguments_of("train_main.py"))
def test_training_commands_are_taken(given, tmp_path, monkeypatch):
    (tmp_path / "my_run.yaml").write_text("optim:\n  lr: 1e-4\n")
    for part in (GoyaConfig.of_size("tiny", audio=asdict(AudioConfig())), GoyaProcessor()):  # what --init-from looks at
        part.save_pretrained(tmp_path / usage_examples.DEMO_RUN / "best")
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
    if arguments.model == usage_examples.MANA_RUN:
        assert f"--checkpoint-dir {usage_examples.MANA_RUN}" in COMMANDS["mana"]
    else:
        assert arguments.model == usage_examples.DEMO_RUN == parse([], CPU)[0].checkpoint.dir


@pytest.mark.parametrize("given", arguments_of("listen.py"))
def test_the_page_s_commands_are_taken(given):
    assert listen.build_parser().parse_args(given).model == usage_examples.DEMO_RUN


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


@pytest.mark.parametrize("kind", WRITERS)
def test_example_corpora_can_be_trained_on(kind, my_data):
    command = shlex.split(COMMANDS[kind])
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
    assert usage_examples.main(["--run", "ljspeech", "--seed", "5"]) == 3
    assert ran.pop() == COMMANDS["ljspeech"] + " --debug --seed 5"
    for name, words in (
        ("ljspeech", ["--whole"]),
        ("debug", []),
        ("fine_tune", []),
        ("speak", []),
        ("print_config", []),
    ):
        usage_examples.main(["--run", name, *words])
        assert ran.pop() == COMMANDS[name]
    assert usage_examples.main([]) == 0
    assert all(command in capsys.readouterr().out for command in [COMMANDS["ddp"]])


def level_rows() -> list[tuple[str, list[str]]]:
    """(key, cells) of the table of levels."""
    rows = re.findall(r"^\|[^|`]*`([a-z_.]+)`[^|]*\|(.+)\|$", PAGES, re.MULTILINE)
    return [(key, [cell.strip() for cell in cells.split("|")]) for key, cells in rows if "." in key]


def test_the_table_of_levels_is_true():
    values = [level.values() for level in LEVELS.values()]
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

"""Passwords and tokens reach neither screen nor run folder, whatever holds them, and work on in use."""

from pathlib import Path

import pytest

import synthesize
import train_main
from testing import small_runs
from testing.small_runs import train
from training.config.arguments import parse

pytestmark = pytest.mark.slow

SECRETS = {
    "HF_TOKEN": "hf_MadeUpToken0123",
    "WANDB_API_KEY": "0badc0de0badc0de",
    "password": "c0rrectHorse",
    "sig": "s1gned-by-nobody",
}
URL = "https://ann:{password}@host.example/x?sig={sig}&a={HF_TOKEN}&b={WANDB_API_KEY}".format(**SECRETS)
HIDDEN = "https://ann:***@host.example/x?sig=***&a=***&b=***"


@pytest.fixture(autouse=True)
def environment(monkeypatch):
    for name in ("HF_TOKEN", "WANDB_API_KEY"):
        monkeypatch.setenv(name, SECRETS[name])


def assert_hidden(text: str | bytes, where="") -> None:
    content = text.encode() if isinstance(text, str) else text
    assert [name for name, secret in SECRETS.items() if secret.encode() in content] == [], where


@pytest.mark.parametrize("flag", ["--train-data", "--val-data", "--resume", "--lr", "--config"])
def test_an_error_of_train_main(flag, capsys, tmp_path):
    data = [] if flag == "--train-data" else ["--train-data", str(small_runs.corpus())]
    more = ["--model-size", "debug", "--device", "cpu", "--checkpoint-dir", str(tmp_path / "run")]
    small_runs.forget_accelerator()
    assert train_main.main([*data, *more, flag, URL]) == 2
    said = capsys.readouterr()
    assert_hidden(said.out + said.err)
    assert "ann:***@host.example" in said.err


def test_an_error_of_synthesize(capsys):
    assert synthesize.main([URL, "--text", "a"]) == 2
    said = capsys.readouterr()
    assert_hidden(said.out + said.err)
    assert "ann:***@host.example" in said.err


def test_a_whole_run(tmp_path, capfd):
    assert train(tmp_path / "run", "--dataset-config", URL, "--debug", "--max-steps", "2") == 0
    said = capfd.readouterr()
    assert "data.dataset_config" in said.out and HIDDEN in said.out
    assert_hidden(said.out + said.err)
    files = [path for path in tmp_path.rglob("*") if path.is_file()]
    kinds = {path.name.split(".")[0] for path in files}
    assert {"report", "training_state", "events", "hparams", "config"} <= kinds
    for path in files:
        assert_hidden(path.read_bytes() + str(path).encode(), path)
    assert HIDDEN in (tmp_path / "run" / "report.json").read_text()


def test_the_printed_configuration(capsys):
    with pytest.raises(SystemExit):
        parse(["--dataset-config", URL, "--print-config"])
    out = capsys.readouterr().out
    assert_hidden(out)
    assert HIDDEN in out


def test_in_use_the_value_is_whole():
    config, _, _ = parse(["--dataset-config", URL])
    assert config.data.dataset_config == URL and config.to_dict()["data"]["dataset_config"] == URL


def test_the_run_folder_s_own_name(tmp_path):
    config, _, _ = parse(["--train-data", URL])
    assert_hidden(config.checkpoint.dir)
    assert Path(config.checkpoint.dir).parent == Path("runs")

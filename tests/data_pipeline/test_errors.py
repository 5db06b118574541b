"""How an error is told, and what no message may give away."""

import os
import pty
import subprocess
import sys
from pathlib import Path

import pytest

from data_pipeline.errors import UserError, redact, redacted

ROOT = Path(__file__).parents[2]

SHOWN = {
    "https://ann:s3cret@host/a.tar": "https://ann:***@host/a.tar",
    "https://ann:p@ss:word@host:8080/a": "https://ann:***@host:8080/a",
    "https://hf_abc@host/a": "https://***@host/a",
    "/home/me/https:/ann:s3cret@host/a": "/home/me/https:/ann:***@host/a",
    "two: s3://a:b@c/d and ftp://e:f@g/h.": "two: s3://a:***@c/d and ftp://e:***@g/h.",
    "https://h/a?token=abc&x=1": "https://h/a?token=***&x=1",
    "https://h/a?x=1&access_token=abc#top": "https://h/a?x=1&access_token=***#top",
    "https://h/a?X-Amz-Signature=ab%2B&X-Amz-Credential=c&X-Amz-Date=1": (
        "https://h/a?X-Amz-Signature=***&X-Amz-Credential=***&X-Amz-Date=1"
    ),
    "https://h/a?sv=2&sig=ab%3D'": "https://h/a?sv=2&sig=***'",
    "https://h/a?api_key=1&Signature=2&password=3": "https://h/a?api_key=***&Signature=***&password=***",
    "the token hf_AbCdEfGhIjKlMnOpQrStUvWxYz is old": "the token hf_*** is old",
    '{"a": "https://ann:s@h", "b": "x@y"}': '{"a": "https://ann:***@h", "b": "x@y"}',
}
LEFT_ALONE = [
    "hf://datasets/owner/name@main/a.wav",
    "https://host/a?text=token&page=2",
    "mail ann@host, see https://host/~ann",
    "the key=value of a file: C:/a/b",
    "runs/hf_transfer_of_a_voice",
    "optim.lr is -1 (flag --lr)",
]


@pytest.mark.parametrize("text", SHOWN)
def test_secrets_of_urls(text):
    assert redact(text) == SHOWN[text]
    assert redact(SHOWN[text]) == SHOWN[text]


@pytest.mark.parametrize("text", LEFT_ALONE)
def test_what_is_no_secret(text):
    assert redact(text) == text


def test_secrets_of_the_environment(monkeypatch):
    monkeypatch.setenv("HF_TOKEN", "hf_0123456789")
    monkeypatch.setenv("WANDB_API_KEY", "row")  # too short to be one
    assert redact("a row of hf_0123456789") == "a row of ***"
    monkeypatch.delenv("HF_TOKEN")
    assert redact("a row of hf_0123456789") == "a row of hf_0123456789"


ILLEGIBLE = {
    "its end stays, as the remedy is there": "x" * 10**6,
    "escapes would go to the terminal": "a\x1b[31mb\x07\x9b",
    "NUL": "a\0b",
    "lines would be written over": "a\rb",
    "directions of writing would turn the rest": "a\u202eb\u2066",
    "half a character goes into no file": "a\ud800b\udcff",
}


@pytest.mark.parametrize("name", ILLEGIBLE)
def test_a_message_is_legible_whatever_a_stranger_put_into_it(name):
    told = str(UserError(f"The kind is {ILLEGIBLE[name]}; expected one of ours.\nTake it again."))
    assert told.startswith("The kind is ") and told.endswith("; expected one of ours.\nTake it again.")
    assert len(told) < 2500 and all(one.isprintable() for one in told.replace("\n", ""))
    assert told.encode() and str(UserError(told)) == told


def test_a_name_of_many_lines_does_not_fill_the_screen():
    told = str(UserError("There is no flag " + "x\n" * 10**5 + "; expected another."))
    assert told.startswith("There is no flag x\n") and told.endswith("x\n; expected another.")
    assert told.count("\n") < 100 and str(UserError(told)) == told


def test_a_message_in_any_script_stays_as_it_is():
    for said in ("Größe „ä“\tb\nc", "سلام\u200cعلیکم", "नमस्ते", "\U0001f468\u200d\U0001f469", "ab"):
        assert str(UserError(said)) == said


def test_values_inside_of_others():
    value = {"a": ["s3://a:b@c", 1, None, {"d": "s3://e:f@g"}], "s3://h:i@j": 0.5}
    assert redacted(value) == {"a": ["s3://a:***@c", 1, None, {"d": "s3://e:***@g"}], "s3://h:***@j": 0.5}
    assert value["a"][0] == "s3://a:b@c"


@pytest.mark.parametrize(
    ("is_terminal", "more", "begins"),
    [
        (True, {}, b"\x1b[31merror:\x1b[0m There is no flag --lerning-rate"),
        (True, {"NO_COLOR": "1"}, b"error: There is no flag"),
        (True, {"TERM": "dumb"}, b"error: There is no flag"),
        (False, {}, b"error: There is no flag"),
    ],
    ids=["terminal", "no color", "dumb terminal", "file"],
)
def test_an_error_is_red_where_a_person_reads_along(is_terminal, more, begins):
    reads, writes = pty.openpty() if is_terminal else os.pipe()
    environment = {**os.environ, "NO_COLOR": "", "TERM": "xterm", **more}
    command = [sys.executable, "train_main.py", "--lerning-rate", "3"]
    done = subprocess.run(command, cwd=ROOT, env=environment, stderr=writes, timeout=60)
    os.close(writes)
    assert done.returncode == 2
    assert os.read(reads, 1000).startswith(begins)
    os.close(reads)

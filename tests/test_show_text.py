"""python train_main.py --show-text: what a model will read, without any data."""

import io
import sys
from dataclasses import asdict

import pytest

import train_main
from data_pipeline.recordings.audio import AudioConfig
from data_pipeline.text.tokens import Vocabulary
from modeling.configuration import GoyaConfig
from modeling.processor import GoyaProcessor, GoyaTokenizer

CHARACTERS = ("--set", "data.text_units=characters")


def shown(capsys, *arguments: str) -> str:
    with pytest.raises(SystemExit) as end:
        train_main.main([*arguments, "--device", "cpu"])
    assert end.value.code == 0
    return capsys.readouterr().out


def rows(out: str) -> dict[str, str]:
    return {line[:12].strip(): line[12:] for line in out.splitlines() if line}


def test_a_text_goes_all_the_way(capsys):
    text = "ساعت ۵ كتاب می\u200cخوانم 🙂"
    found = rows(shown(capsys, "--show-text", text, "--language", "fa", *CHARACTERS))
    assert found["as given"] == text
    assert found["normalized"] == found["read back"] == "ساعت پنج کتاب می\u200cخوانم 🙂"
    assert found["tokens"].startswith("30: <fa> <bos> س ا ع ت ␣ پ ن ج ␣")
    assert "م ی <zwnj> خ" in found["tokens"] and "[🙂 <0xf0> <0x9f> <0x99> <0x82>] <eos>" in found["tokens"]
    assert found["as bytes"].startswith("🙂 (U+1F642)")


def test_phonemes_are_shown_where_they_are_read(capsys):
    pytest.importorskip("espeakng_loader")
    found = rows(shown(capsys, "--show-text", "Dr. No", "--language", "en", "--set", "data.text_units=espeak"))
    assert found["normalized"] == "doctor no" and found["phonemes"] == found["read back"] == "dˈɑːktɚ nˈoʊ"
    assert "as bytes" not in found


def test_a_capital_among_phonemes_is_shown_as_its_byte(capsys):
    pytest.importorskip("espeakng_loader")
    found = rows(shown(capsys, "--show-text", "$3.50", "--language", "ky", "--set", "data.text_units=espeak"))
    assert "[S <0x53>]" in found["tokens"]


def test_lines_of_standard_input(capsys, monkeypatch):
    monkeypatch.setattr(sys, "stdin", io.StringIO("One 1\n\nTwo 2\n"))
    out = shown(capsys, "--show-text", "-", *CHARACTERS)
    assert out.count("as given") == 2 and "one one" in out and "two two" in out


def test_a_trained_model_shows_its_own_tokens(capsys, tmp_path):
    """The grown vocabulary of a fine-tuned one."""
    for part in (
        GoyaConfig.of_size("debug", audio=asdict(AudioConfig())),
        GoyaProcessor(tokenizer=GoyaTokenizer(vocabulary=Vocabulary().grown(["ω"]))),
    ):
        part.save_pretrained(tmp_path / "run" / "best")
    ours = rows(shown(capsys, "--show-text", "aω", "--init-from", str(tmp_path / "run"), "--language", "en"))
    assert ours["tokens"] == "5: <en> <bos> a ω <eos>" and "as bytes" not in ours
    assert "ω (U+03C9)" in rows(shown(capsys, "--show-text", "aω", "--language", "en", *CHARACTERS))["as bytes"]


def test_nothing_to_speak_is_an_error(capsys):
    assert train_main.main(["--show-text", "...", "--language", "en", "--device", "cpu"]) == 2
    assert "holds nothing to speak" in capsys.readouterr().err

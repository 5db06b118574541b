"""Tables without a header, as the tools that write them order their columns."""

from pathlib import Path

import pytest

from data_pipeline.errors import UserError
from data_pipeline.reading.columns import ColumnNames
from data_pipeline.reading.sources import open_source
from tests.data_pipeline.reading.test_sources import put, put_audio

SPEAKERS = ("karen", "john")


@pytest.fixture
def corpus(recordings, tmp_path) -> Path:
    put_audio(tmp_path / "wavs", recordings)
    return tmp_path


def line(order: str, row: dict, number: int) -> str:
    cells = {
        "id": row["id"],
        "path": f"wavs/{row['id']}.opus",
        "speaker": SPEAKERS[number % 2],
        "number": str(number % 2),
        "own": f"spk_{number}",
        "empty": "",
        "lang": "EN",
        "locale": "en-US",
        "seconds": f"{row['duration_s']:.2f}",
        "text": row["text"],
        "short": f"word{number}x".rstrip("0123456789x") + "abcdefghij"[number],
        "spelled": f"{row['text']} spelled out",
    }
    return "|".join(cells[name] for name in order.split("|"))


def utterances(corpus: Path, order: str, rows: list[dict], **columns) -> list:
    path = put(corpus / "list.txt", "\n".join(line(order, row, number) for number, row in enumerate(rows)))
    source = open_source(str(path), columns=ColumnNames(**columns))
    return [source.to_utterance(row) for row in source.rows()]


ORDERS = {
    "LJSpeech": "id|text|spelled",
    "Coqui": "path|text|speaker",
    "Piper, VITS": "id|speaker|text",
    "VITS with numbers": "path|number|text",
    "GPT-SoVITS": "path|speaker|lang|text",
    "GPT-SoVITS without speaker": "path|empty|lang|text",
    "a speaker in each row": "path|own|text",
    "Matcha": "text|path",
    "text before speaker and file": "text|speaker|path",
    "with lengths": "path|seconds|text|speaker|locale",
    "words": "id|speaker|short",
    "words first": "id|short|speaker",
}


@pytest.mark.parametrize("name", ORDERS)
def test_columns_are_told_by_what_stands_in_them(name, corpus, recordings):
    order = ORDERS[name].split("|")
    found = utterances(corpus, ORDERS[name], recordings[:8])
    text = next(one for one in ("spelled", "text", "short") if one in order)
    for number, (utterance, row) in enumerate(zip(found, recordings[:8], strict=True)):
        assert utterance.text == line(text, row, number) and utterance.audio.endswith(f"{row['id']}.opus")
        speaker = next((one for one in ("speaker", "number", "own") if one in order), None)
        assert utterance.speaker == (line(speaker, row, number) if speaker else None)
        language = next((one for one in ("lang", "locale") if one in order), None)
        assert utterance.language == (line(language, row, number) if language else None)


UNCLEAR = {
    "two labels": ("path|speaker|lang|number|text", "the speaker"),
    "a word beside a word": ("path|short|own", "the text"),
    "speaker of one row": ("path|speaker|short", "the text"),
}


@pytest.mark.parametrize("name", UNCLEAR)
def test_what_cannot_be_told_is_asked_for(name, corpus, recordings):
    order, what = UNCLEAR[name]
    rows = recordings[: 1 if name == "speaker of one row" else 8]
    if name == "a word beside a word":
        order = "path|short|empty"
        path = put(corpus / "list.txt", "\n".join(f"wavs/{r['id']}.opus|a{r['id'][-1]}|ja{r['id'][-2]}" for r in rows))
        with pytest.raises(UserError, match="cannot be told"):
            open_source(str(path))
        return
    with pytest.raises(
        UserError, match=f"list.txt has no line of column names, .*{what} cannot be told.*--text-column"
    ):
        utterances(corpus, order, rows)


def test_columns_can_be_named_by_their_number(corpus, recordings):
    order = "path|speaker|number|text"
    named = {"speaker": "column_3", "text": "column_4"}
    found = utterances(corpus, order, recordings[:6], **named)
    assert [one.speaker for one in found] == ["0", "1"] * 3
    assert [one.text for one in found] == [row["text"] for row in recordings[:6]]


def test_a_first_row_is_no_header_for_a_word_that_headers_have_too(corpus, recordings):
    rows = [{**recordings[0], "text": "speech"}, {**recordings[1], "text": "voice"}]
    found = utterances(corpus, "id|text", rows)
    assert [one.text for one in found] == ["speech", "voice"]


def test_a_name_that_two_columns_have_is_an_error(corpus):
    with pytest.raises(UserError, match="a.csv has several columns of the name 'text'"):
        list(open_source(str(put(corpus / "a.csv", "path,text,text\na,b,c\n"))).rows())


def test_columns_without_a_name_do_not_matter(corpus, recordings):
    path = put(corpus / "a.csv", f",path,text,\n0,wavs/{recordings[0]['id']}.opus,words,\n")
    source = open_source(str(path))
    assert source.to_utterance(next(iter(source.rows()))).text == "words"

"""A validation part that always exists, is never trained on, and stays what it was as a corpus grows."""

from pathlib import Path

import numpy as np
import pytest

from data_pipeline.batching.balance import is_in_share
from data_pipeline.errors import UserError
from data_pipeline.reading.held_out import FEWEST_ROWS, hold_out
from data_pipeline.utterance import Samples, Utterance
from tests.data_pipeline.reading.test_sources import put
from training.config.arguments import parse
from training.setup.inputs import build_inputs


def made(names, texts=lambda number: f"text {number}") -> list[Utterance]:
    wave = np.ones(8000, np.float32)
    return [Utterance(name, texts(number), Samples(wave * number, 8000)) for number, name in enumerate(names)]


def held(utterances: list[Utterance], fraction: float = 0.02) -> set[int]:
    inside = hold_out(iter(utterances), fraction, "corpus")
    return {place for place, utterance in enumerate(utterances) if inside(utterance)}


@pytest.mark.parametrize("count", [2, 3, 5, 8, 10, 30, 100, 149])
def test_some_rows_of_any_corpus_are_held_out(count):
    for corpus in range(40):
        found = held(made(f"{corpus}/{number}" for number in range(count)))
        fewest = max(1, min(FEWEST_ROWS, count // 3))
        assert fewest <= len(found) <= max(fewest, count // 4)


def test_of_a_large_corpus_it_is_the_fraction_and_the_rest_is_not_read():
    names = [f"speaker/{number}" for number in range(5000)]
    utterances = made(names[:50]) * 100
    utterances = [Utterance(name, "a", one.audio) for name, one in zip(names, utterances, strict=True)]
    read = iter(utterances)
    inside = hold_out(read, 0.02, "corpus")
    assert len(list(read)) > 4000
    assert [inside(one) for one in utterances] == [is_in_share(name, 0.02) for name in names]


def test_what_was_trained_on_is_never_held_out_later():
    names = [f"clip-{number}" for number in range(400)]
    for fraction in (0.02, 0.3):
        was_trained: set[int] = set()
        for count in (2, 3, 9, 10, 11, 30, 31, 60, 149, 150, 151, 400):
            found = held(made(names[:count]), fraction)
            assert not found & was_trained
            was_trained |= set(range(count)) - found


def test_neither_order_nor_place_matters():
    utterances = made(f"clip-{number}" for number in range(40))
    chosen = {utterances[place].id for place in held(utterances)}
    assert {utterances[::-1][place].id for place in held(utterances[::-1])} == chosen


def test_rows_of_one_id_go_together():
    utterances = made(f"take-{number // 3}" for number in range(60))
    found = held(utterances)
    assert found and all({place // 3 * 3, place // 3 * 3 + 1, place // 3 * 3 + 2} <= found for place in found)


@pytest.mark.parametrize("names", [["one"] * 30, ["one"] * 2, ["a"] * 28 + ["b"] * 2, ["one"] * 500])
def test_ids_that_do_not_tell_rows_apart_hold_out_neither_all_nor_most(names):
    found = held(made(names))
    assert 1 <= len(found) <= len(names) // 2


@pytest.mark.parametrize("utterances", [made("a"), made("aaa")[:1] * 3])
def test_one_row_cannot_be_split(utterances):
    with pytest.raises(UserError, match="corpus no row can be held out .* 1 of them different.*--val-data"):
        held(utterances)


# What is trained on


def inputs(folder: Path, *flags: str):
    config = parse(["--train-data", str(folder), "--language", "en", "--model-size", "debug", *flags])[0]
    return build_inputs(config, frames_per_step=2, rank=0, world_size=1)


def corpus(folder: Path, recordings: list[dict], count: int, name: str = "{}") -> Path:
    for number in range(count):
        put(folder / f"{number}.opus", recordings[number % len(recordings)]["audio"]["bytes"])
    lines = [f"{name.format(number)},{number}.opus,text {number}" for number in range(count)]
    put(folder / "rows.csv", "\n".join(["id,path,text", *lines]))
    return folder


@pytest.mark.parametrize("name", ["{}", "same"])
def test_no_row_is_both_trained_on_and_held_out(name, recordings, tmp_path):
    """Of all epochs' batches, as they come to the training loop and to the evaluation."""
    built = inputs(corpus(tmp_path, recordings, 24, name))
    trained = [text for epoch in (0, 1) for text in texts(built.train, epoch)]
    validated = texts(built.validation, 0)
    assert len(validated) == len(set(validated)) >= FEWEST_ROWS
    assert sorted(trained) == sorted(2 * list(set(trained)))
    assert not set(trained) & set(validated)
    assert set(trained) | set(validated) == {f"text {number}" for number in range(24)}
    assert f"{len(validated)} of its 24 rows" in built.description


def texts(loader, epoch: int) -> list[str]:
    found = []
    for planned in loader.plan.epoch(loader.plan.start(epoch)):
        found += [entry.text for entry in planned.entries]
    return found


def test_what_is_left_out_is_not_what_is_held_out(recordings, tmp_path):
    """Rows on the exclude list, without a recording or too short would leave nothing to validate on."""
    folder = corpus(tmp_path / "corpus", recordings, 12)
    first = inputs(folder)
    chosen = [
        entry.id for planned in first.validation.plan.epoch(first.validation.plan.start(0)) for entry in planned.entries
    ]
    excluded = put(tmp_path / "exclude.txt", chosen[0])
    (folder / f"{chosen[1]}.opus").unlink()
    again = inputs(folder, "--exclude-list", str(excluded))
    found = [
        entry.id for planned in again.validation.plan.epoch(again.validation.plan.start(0)) for entry in planned.entries
    ]
    assert len(found) == FEWEST_ROWS and not {chosen[0], chosen[1]} & set(found)

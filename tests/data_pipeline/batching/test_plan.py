"""The plan: every utterance once an epoch, alike on every number of ranks, and from every place on."""

from collections import Counter
from dataclasses import replace
from itertools import islice

import datasets
import numpy as np
import pyarrow
import pytest
import torch

from data_pipeline.batching import plan as plan_module
from data_pipeline.batching.balance import SpeakerBalance, is_in_share
from data_pipeline.batching.cursor import Cursor
from data_pipeline.batching.features import rounded_up
from data_pipeline.batching.plan import Limits, Plan, most_frames
from data_pipeline.batching.row_stats import ANOTHER_TIME, MOST_MESSAGES
from data_pipeline.errors import UserError
from data_pipeline.reading.held_out import HeldOut
from data_pipeline.recordings.audio import AudioConfig, log_mel
from data_pipeline.utterance import Samples, Utterance
from testing import small_runs

ZEROS = np.zeros(40 * 4000, dtype=np.float32)
COUNT = 101
LIMITS = Limits(batch_size=4, max_batch_frames=700, pool_batches=5)


class MadeUp:
    """A source of rows that are made up: 0.5 to 3 seconds at 4 kHz, in an order drawn once."""

    def __init__(self, count: int = COUNT, rows: list[dict] | None = None):
        self.count, self.given, self.read = count, rows, 0

    def _make(self):
        self.read = 0
        for row in self.given if self.given is not None else ({"id": f"u{n}"} for n in range(self.count)):
            self.read += 1
            yield row

    def rows(self):
        return datasets.IterableDataset.from_generator(self._make)

    def to_utterance(self, row: dict) -> Utterance:
        if "broken" in row:
            raise UserError(row["broken"])
        number = int(row["id"].strip("u") or 0)
        seconds = row.get("seconds", 0.5 + (number * 37 % 100) / 40)
        return Utterance(row["id"], row.get("text", "a text"), Samples(ZEROS[: int(seconds * 4000)], 4000))


def plan(source=None, limits=LIMITS, **kwargs) -> Plan:
    return Plan(source or MadeUp(), AudioConfig(), limits, shuffle_buffer=kwargs.pop("shuffle_buffer", 20), **kwargs)


def ids(batches) -> list[str]:
    return [entry.id for batch in batches for entry in batch.entries]


def summary(ranks) -> list[list]:
    return [[(ids([batch]), replace(batch, entries=())) for batch in rank] for rank in ranks]


def all_ranks(world: int, cursor=None, **kwargs) -> list[list]:
    """Each rank's batches of an epoch, or of what is left of it."""
    plans = [plan(rank=rank, world_size=world, **kwargs) for rank in range(world)]
    return [list(one.epoch(cursor or one.start(0))) for one in plans]


@pytest.mark.parametrize("world", [1, 2, 3])
@pytest.mark.parametrize("grad_accum", [1, 2])
def test_an_epoch_is_the_corpus_exactly_and_ranks_march_in_step(world, grad_accum):
    ranks = all_ranks(world, grad_accum=grad_accum)
    assert Counter(name for rank in ranks for name in ids(rank)) == Counter(f"u{n}" for n in range(COUNT))
    shapes = [[(batch.ends_step, batch.ends_epoch, batch.after) for batch in rank] for rank in ranks]
    assert all(shape == shapes[0] for shape in shapes)
    steps = [batch.ends_step for batch in ranks[0]]
    assert steps[-1] and sum(batch.ends_epoch for batch in ranks[0]) == 1 and ranks[0][-1].ends_epoch
    # Only the last step may have fewer micro-batches than the accumulation says.
    whole = steps[: len(steps) - (len(steps) - 1) % grad_accum - 1]
    assert whole == ([False] * (grad_accum - 1) + [True]) * (len(whole) // grad_accum)


def test_the_ranks_of_a_micro_step_get_batches_of_similar_length():
    first, second = all_ranks(2, limits=Limits(4, 10_000, pool_batches=10))

    def longest(batch):
        return max((len(entry.audio.values) for entry in batch.entries), default=0)

    within = np.mean([abs(longest(a) - longest(b)) for a, b in zip(first[:-1], second[:-1], strict=True)])
    across = np.mean([abs(longest(a) - longest(b)) for a, b in zip(first[:-1], second[1:], strict=True)])
    assert within < across / 2


@pytest.mark.parametrize("world", [2, 3, 8])
def test_ranks_wait_little_for_each_other(world):
    """Over several pools, whatever number of batches they make."""
    ranks = all_ranks(world, source=MadeUp(1500), limits=Limits(4, 400, pool_batches=9))
    steps = zip(*ranks, strict=True)
    costs = [[len(batch.entries) * max(frames_of(batch), default=0) for batch in step] for step in steps]
    waiting = 1 - sum(map(sum, costs)) / sum(world * max(step) for step in costs)
    assert waiting < 0.07


def test_each_epoch_and_each_seed_has_its_own_order():
    one = plan()
    first, again = ids(one.epoch(one.start(0))), ids(one.epoch(one.start(0)))
    assert first == again
    second, other_seed = ids(one.epoch(one.start(1))), ids(plan(seed=1).epoch(one.start(0)))
    assert first != second and first != other_seed
    assert sorted(first) == sorted(second) == sorted(other_seed)
    batches = [{frozenset(ids([batch])) for batch in one.epoch(one.start(epoch))} for epoch in (0, 1)]
    assert len(batches[0] & batches[1]) < len(batches[0]) / 4  # not only the order of the same batches


def test_unshuffled_is_the_source_in_pools():
    one = plan(shuffle=False)
    first_pool = ids(one.epoch(one.start(0)))[: LIMITS.pool_batches * LIMITS.batch_size]
    assert set(first_pool) == {f"u{n}" for n in range(LIMITS.pool_batches * LIMITS.batch_size)}
    assert ids(one.epoch(one.start(0))) == ids(one.epoch(one.start(1)))


@pytest.mark.parametrize("world", [1, 2])
@pytest.mark.parametrize("grad_accum", [1, 2])
def test_from_every_cursor_exactly_the_rest_follows(world, grad_accum):
    ranks = all_ranks(world, grad_accum=grad_accum)
    ends = [index for index, batch in enumerate(ranks[0][:-1]) if batch.ends_step]
    for index in ends:
        rest = all_ranks(world, cursor=ranks[0][index].after, grad_accum=grad_accum)
        assert summary(rest) == summary([rank[index + 1 :] for rank in ranks])


@pytest.mark.parametrize(("before", "after"), [(1, 2), (2, 1), (2, 3), (3, 2)])
def test_resumed_on_another_number_of_ranks_nothing_is_lost_or_repeated(before, after):
    ranks = all_ranks(before, grad_accum=2)
    for index in [i for i, batch in enumerate(ranks[0][:-1]) if batch.ends_step]:
        seen = [name for rank in ranks for name in ids(rank[: index + 1])]
        resumed = all_ranks(after, cursor=ranks[0][index].after, grad_accum=2)
        left = [name for rank in resumed for name in ids(rank)]
        assert Counter(seen + left) == Counter(f"u{n}" for n in range(COUNT))


@pytest.mark.parametrize("gone", [False, True])
def test_an_epoch_goes_on_with_what_was_not_taken_also_where_its_rows_are_others(gone, capsys):
    first = plan()
    batches = list(islice(first.epoch(first.start(0)), 3))
    heard = ids(batches)
    rows = [{"id": f"u{n}"} for n in range(COUNT) if not (gone and f"u{n}" == heard[0])]
    one = plan(MadeUp(rows=rows))
    one.taken.add(name for batch in batches for name in batch.taken)
    assert Counter(heard + ids(one.epoch(batches[-1].after))) == Counter(f"u{n}" for n in range(COUNT))
    assert ("planned anew" in capsys.readouterr().out) == gone


def test_what_is_drawn_for_a_batch_does_not_depend_on_the_number_of_ranks():
    def seeds(world: int) -> dict[tuple, tuple]:
        ranks = all_ranks(world, Cursor(group=6))  # the same groups of similar length for all
        return {tuple(ids([batch])): batch.seed for rank in ranks for batch in rank if batch.entries}

    one = seeds(1)
    assert len(set(one.values())) == len(one)
    assert seeds(2) == seeds(3) == one


def frames_of(batch) -> list[int]:
    """Of each utterance, as it will be padded at most."""
    return [most_frames(len(entry.audio.values) / 4000, AudioConfig()) for entry in batch.entries]


def test_batches_keep_to_size_and_frames():
    for batch in plan(limits=Limits(4, 500, max_duration_s=5)).epoch(plan().start(0)):
        frames = frames_of(batch)
        assert len(frames) <= 4 and len(frames) * max(frames) <= 500
        assert frames == sorted(frames, reverse=True)


def test_a_header_tells_the_frames_with_room_for_a_whole_decoder_step_and_no_more():
    config = AudioConfig()
    for samples in range(20_000, 22_000, 99):
        frames = len(log_mel(torch.zeros(samples), config))
        assert rounded_up(frames, 2) <= most_frames(samples / config.sample_rate_hz, config) <= frames + 1


def test_examples_are_chosen_of_what_can_be_used():
    rows = [{"id": "1"}, {"id": "2", "broken": "no file"}, {"id": "3", "seconds": 30.0}, {"id": "4"}, {"id": "5"}]
    one = plan(MadeUp(rows=rows), exclude=frozenset("4"))
    assert [utterance.id for utterance in one.utterances()] == ["1", "3", "5"]
    assert [utterance.id for utterance in one.usable()] == ["1", "5"]


def test_what_is_left_out_is_counted_by_reason():
    rows = [{"id": f"u{n}"} for n in range(3)]
    rows += [{"id": "short", "seconds": 0.1}, {"id": "long", "seconds": 25.0}, {"id": "wordy", "text": "x" * 401}]
    rows += [{"id": "9", "seconds": 9.0}]
    source = MadeUp(rows=rows)
    source.to_utterance = lambda row: Utterance(
        row["id"], row.get("text", "a"), Samples(ZEROS[: int(row.get("seconds", 1.0) * 4000)], 4000)
    )
    one = plan(source)
    assert sorted(ids(one.epoch(one.start(0)))) == ["u0", "u1", "u2"]
    assert one.row_stats.left_out == {
        "shorter than 0.3 s": 1,
        "longer than 20 s": 1,
        "text longer than 400 characters": 1,
        "longer than a batch of 700 frames": 1,
    }
    assert (one.row_stats.kept, one.row_stats.seen) == (3, 7)


def test_broken_rows_are_listed_once_with_their_message_and_never_replaced():
    rows = [{"id": f"u{n}"} for n in range(9)]
    rows += [{"id": "bad", "broken": "bad is broken"}, {"broken": "line 7 is broken"}]
    one = plan(MadeUp(rows=rows))
    for epoch in range(3):
        assert sorted(ids(one.epoch(one.start(epoch)))) == [f"u{n}" for n in range(9)]
        assert sorted(one.row_stats.broken.values()) == ["bad is broken", "line 7 is broken"]
        assert (one.row_stats.kept, one.row_stats.broken_rows, one.row_stats.seen) == (9, 2, 11)


def test_messages_of_broken_rows_are_bounded_and_counted():
    rows = [{"id": "u0"}, *({"id": f"bad{n}", "broken": "it is broken"} for n in range(MOST_MESSAGES + 7))]
    one = plan(MadeUp(rows=[*rows, *rows[:3]]))  # two ids twice
    list(one.epoch(one.start(0)))
    assert len(one.row_stats.broken) == MOST_MESSAGES
    assert (one.row_stats.kept, one.row_stats.broken_rows) == (2, MOST_MESSAGES + 9)


def test_the_tally_of_a_whole_epoch_stays_until_the_next_is_whole():
    one = plan(MadeUp(rows=[{"broken": "line 1 is broken"}, *({"id": f"u{n}"} for n in range(COUNT))]))
    first = list(one.epoch(one.start(0)))
    assert one.whole_row_stats.whole and one.whole_row_stats.kept == COUNT
    list(islice(one.epoch(one.start(1)), 2))
    assert one.row_stats.kept < COUNT and not one.row_stats.whole
    assert (one.whole_row_stats.kept, one.whole_row_stats.broken_rows) == (COUNT, 1)
    resumed = plan(one.source)
    list(resumed.epoch(first[10].after))
    assert resumed.whole_row_stats is None and 0 < resumed.row_stats.seen < COUNT


@pytest.mark.parametrize("error", [ConnectionError("Server Disconnected"), pyarrow.ArrowInvalid("bad row group")])
def test_a_source_that_breaks_off_is_one_clear_error(error):
    source = MadeUp()

    def broken_off():
        yield from ({"id": f"u{n}"} for n in range(50))
        raise error

    source._make = broken_off
    with pytest.raises(UserError, match=rf"after \d+ rows \({error}\).*the last checkpoint"):
        ids(plan(source).epoch(Cursor()))


@pytest.mark.parametrize("kept", [1000, 3])
def test_headers_are_read_once_and_change_no_order(kept, monkeypatch):
    """As far as there is room for their lengths."""
    read, whole = [], plan_module.duration_s
    monkeypatch.setattr(plan_module, "duration_s", lambda audio, name: read.append(name) or whole(audio, name=name))
    monkeypatch.setattr(plan_module, "LENGTHS_KEPT", kept)
    one, again = plan(small_runs.source()), plan(small_runs.source())
    first, second = (ids(one.epoch(one.start(epoch))) for epoch in (0, 1))
    rows = small_runs.ROWS
    assert len(read) == rows + max(0, rows - kept) and sorted(first) == sorted(second)
    assert ids(again.epoch(again.start(1))) == second


def test_the_split_is_by_a_hash_of_the_id():
    names = [f"speaker/{n}" for n in range(4000)]
    chosen = {name for name in names if is_in_share(name, 0.02)}
    assert 50 <= len(chosen) <= 115  # 80 expected, 4 standard deviations
    assert chosen == {name for name in reversed(names) if is_in_share(name, 0.02)}
    assert chosen < {name for name in names if is_in_share(name, 0.05)}
    # Written down, so that a checkpoint's held-out utterances stay held out in later versions.
    assert [name for name in names[:150] if is_in_share(name, 0.02)] == ["speaker/66", "speaker/69", "speaker/106"]
    assert not any(is_in_share(name, 0.0) for name in names)


def test_the_parts_of_a_split_are_the_whole():
    parts = [plan(keep=lambda one, want=want: HeldOut(0.3)(one) == want) for want in (True, False)]
    inside, outside = (ids(one.epoch(one.start(0))) for one in parts)
    assert inside and sorted(inside + outside) == sorted(f"u{n}" for n in range(COUNT))
    assert sorted(one.id for one in parts[0].utterances()) == sorted(inside)


def test_the_length_curriculum_goes_from_short_to_long():
    one = plan(limits=Limits(4, 10_000, pool_batches=50), by_length_rows=1)
    first = [max(frames_of(batch)) for batch in one.epoch(one.start(0))]
    assert first == sorted(first)
    second = [max(frames_of(batch)) for batch in one.epoch(one.start(1))]
    assert second != sorted(second)


def test_the_length_curriculum_ends_after_so_many_rows_however_long_the_epoch_is():
    one = plan(limits=Limits(4, 10_000, pool_batches=10), by_length_rows=60)
    pools: list[list[int]] = [[]]
    for batch in one.epoch(one.start(0)):
        pools[-1].append(max(frames_of(batch)))
        if batch.after.batch == 0:  # the cursor is at the next pool
            pools.append([])
    # Of 40 utterances each, so that the first and the second begin before row 60.
    assert [pool == sorted(pool) for pool in pools[:3]] == [True, True, False]


def test_a_long_corpus_is_read_no_further_than_needed():
    source = MadeUp(count=1_000_000)
    one = plan(source, shuffle_buffer=100)
    list(islice(one.epoch(one.start(0)), 3))
    assert source.read <= 100 + 2 * LIMITS.pool_batches * LIMITS.batch_size


def test_large_rows_shrink_the_shuffle_buffer(monkeypatch):
    row = [{"id": "1", "seconds": 10.0}]
    assert plan(MadeUp(rows=row), shuffle_buffer=2000)._buffer_size() == 256 * 2**20 // (10 * 4000 * 4)
    assert plan(MadeUp(rows=row), shuffle_buffer=50)._buffer_size() == 50
    monkeypatch.setattr(plan_module, "SHUFFLE_BYTES", 10 * 4000)  # less than one row
    assert plan(MadeUp(rows=row))._buffer_size() == 1


class Unequal(MadeUp):
    """80 rows of one speaker, 20 of a second, 4 of each of five more."""

    SPEAKERS = ["many"] * 80 + ["some"] * 20 + [f"few{n}" for n in range(5)] * 4

    def __init__(self):
        super().__init__(count=len(self.SPEAKERS))

    def to_utterance(self, row: dict) -> Utterance:
        return replace(super().to_utterance(row), speaker=self.SPEAKERS[int(row["id"].strip("u"))])


def balanced(power: float, **kwargs) -> Plan:
    one = plan(Unequal(), **kwargs)
    one.balance = SpeakerBalance.of(one.utterances(), power, "a corpus")
    return one


@pytest.mark.parametrize(("power", "many", "some"), [(0.5, 37, 18.5), (1.0, 17.1, 17.1)])
def test_speakers_of_many_rows_give_way_to_the_others(power, many, some):
    """120 rows of 7 speakers, 17.1 a speaker in the mean: 80 are taken as 80 x (17.1 / 80) ** power."""
    one, epochs = balanced(power), 100
    heard, rows = Counter(), Counter()
    for epoch in range(epochs):
        taken = Counter(ids(one.epoch(one.start(epoch))))
        assert max(taken.values()) == 1
        heard += Counter(Unequal.SPEAKERS[int(name.strip("u"))] for name in taken)
        rows += taken
        assert one.whole_row_stats.kept == taken.total()
        assert one.whole_row_stats.left_out == {ANOTHER_TIME: 120 - taken.total()}
    assert all(heard[f"few{n}"] == 4 * epochs for n in range(5))
    # Four standard errors of a mean of so many draws.
    assert heard["many"] / epochs == pytest.approx(many, abs=4 * (20 / epochs) ** 0.5)
    assert heard["some"] / epochs == pytest.approx(some, abs=4 * (5 / epochs) ** 0.5)
    assert len(rows) == 120  # the part is another one each time


@pytest.mark.parametrize(("before", "after"), [(1, 2), (2, 1), (1, 1)])
def test_a_balanced_epoch_goes_on_where_it_was_on_any_number_of_ranks(before, after):
    def ranks(world: int, cursor: Cursor) -> list[list]:
        plans = [balanced(0.5, rank=rank, world_size=world) for rank in range(world)]
        return [list(one.epoch(cursor)) for one in plans]

    whole = ranks(before, Cursor(epoch=3, group=before))
    taken, cursor = [ids(rank[:3]) for rank in whole], whole[0][2].after
    rest = [ids(rank) for rank in ranks(after, cursor)]
    assert sorted(sum(taken + rest, [])) == sorted(sum(map(ids, whole), []))


def test_balance_wants_speakers():
    with pytest.raises(UserError, match="a corpus names 0. Leave it out, or name the column"):
        SpeakerBalance.of(plan().utterances(), 1.0, "a corpus")

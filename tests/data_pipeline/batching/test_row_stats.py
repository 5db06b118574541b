"""What became of the rows: how it is told, kept in a checkpoint and summed over ranks."""

import json

from data_pipeline.batching.plan import Cursor
from data_pipeline.batching.row_stats import RowStats, RowStatsByEpoch, merged


def counted() -> RowStats:
    row_stats = RowStats(accepted=5)
    row_stats.left_out["longer than 20 s"] += 2
    row_stats.add_excluded("ann/7")
    row_stats.add_broken("ann/8", "ann/8 is no sound.")
    row_stats.add_undecodable("ann/9", "ann/9 ends early.")
    return row_stats


def test_a_corpus_of_which_nothing_is_left_is_told_by_reasons():
    assert RowStats().why_nothing_is_left() == "No utterance is left to use, of 0 rows: the corpus is empty."
    row_stats = RowStats()
    row_stats.left_out["longer than 20 s"] += 2
    assert row_stats.why_nothing_is_left() == "No utterance is left to use, of 2 rows: 2 longer than 20 s."
    row_stats.add_broken("1", "1 is no sound.")
    told = "2 longer than 20 s; 1 broken, such as: 1 is no sound."
    assert row_stats.why_nothing_is_left() == f"No utterance is left to use, of 3 rows: {told}"


def test_a_tally_is_the_same_after_a_checkpoint():
    again = RowStats.from_json(json.loads(json.dumps(counted().to_json())))
    assert again == counted() and (again.seen, again.kept, again.broken_rows) == (9, 4, 2)


def test_ranks_that_go_on_count_what_was_decoded_once():
    ranks = [RowStatsByEpoch() for _ in range(3)]
    for number, one in enumerate(ranks):
        one.begin(Cursor())
        one.now.accepted = 8  # which every rank has read
        one.now.add_undecodable(f"{number}", "ends early")  # of its own share
        one.end()
    parts = [(one.whole, one.undecoded) for one in ranks]
    saved = json.loads(json.dumps(ranks[0].to_json(Cursor(), parts)))
    gone_on = [RowStatsByEpoch() for _ in range(3)]
    for number, one in enumerate(gone_on):
        one.restore(saved, epoch=1, is_first=number == 0)
    for stats_by_epoch in (ranks, gone_on):
        whole = merged([one.whole for one in stats_by_epoch])
        assert (whole.accepted, whole.kept, sorted(whole.broken)) == (8, 5, ["0", "1", "2"])


def test_steps_leave_behind_what_was_counted_before_them_and_add_what_decoding_found():
    stats_by_epoch = RowStatsByEpoch()
    stats_by_epoch.begin(Cursor())
    for rows in (4, 8):
        stats_by_epoch.now.accepted = rows
        stats_by_epoch.mark(rows)
    stats_by_epoch.note_step(Cursor(rows=4, batch=1), [("ann/9", "ends early")])
    assert sorted(stats_by_epoch.marks) == [4, 8]
    so_far = stats_by_epoch.to_cursor(Cursor(rows=4, batch=1))  # to the end of the pool in which it stands
    assert (so_far.accepted, so_far.kept, so_far.broken) == (8, 7, {"ann/9": "ends early"})

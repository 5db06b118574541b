"""The corpus of the run that must not forget."""

import pyarrow.parquet as pq

from benchmarks.harness.places import DEMO
from benchmarks.quality.fine_tuning import with_old_rows
from data_pipeline.reading.sources import open_source


def test_as_many_old_rows_stand_beside_the_new_ones_and_none_is_judged(tmp_path):
    corpus, rows = tmp_path / "new", pq.read_table(DEMO / "heldout.parquet")
    corpus.mkdir()
    pq.write_table(rows.slice(0, 30), corpus / "train.parquet")
    pq.write_table(rows.slice(30, 5), corpus / "validation.parquet")
    out = with_old_rows(corpus, tmp_path / "both")
    found = list(open_source(str(out), split="train").rows())
    new = set(rows["id"].to_pylist())
    assert len(found) == 60 and len({row["id"] for row in found}) == 60
    assert sum(row["id"] in new for row in found) == 30
    assert {row["language"] for row in found if row["id"] not in new} == {"en", "es", "fr"}
    judged = [row["id"] for row in open_source(str(out), split="validation").rows()]
    assert judged == rows.slice(30, 5)["id"].to_pylist()

"""What speed.py makes of other scripts' files, and of those that are not there."""

import json

import pytest

from benchmarks.report import speed_figures
from data_pipeline.errors import UserError

RUN = {"machine": "a computer", "date": "2026-11-26T01:00", "commit": "abc"}


def test_what_is_there_is_told_with_its_range_and_what_is_not_is_named(tmp_path, capsys):
    shares = {"goya_vs_bare": {"median": 0.993, "least": 0.94, "most": 1.02}, "not_wanted": 3}
    runs = {"one": RUN | {"date": "2026-11-25T09:00", "commit": "old"}, "two": RUN | {"commit": "new"}}
    files = {
        "loop_speed": RUN | {"figures": shares},
        "synthesis_speed_small": RUN | {"figures": {"real_time_factor, batch 1, 1 threads": 0.21}},
        "main_job": RUN | {"figures": {"data_wait_share": 0.0139}},
        "peers": {"machine": "a computer", "runs": runs, "figures": {"minutes_to_peer_best": 1.5}},
    }
    for name, content in files.items():
        (tmp_path / f"{name}.json").write_text(json.dumps(content))
    page = tmp_path / "docs" / "measured.md"
    page.parent.mkdir()
    (tmp_path / "README.md").write_text("nothing here")
    page.write_text("before\n<!-- speed:begin -->\nold\n<!-- speed:end -->\nafter\n")
    assert speed_figures.main(["--results", str(tmp_path), "--into", str(tmp_path)]) == 0
    gathered = json.loads((tmp_path / "speed.json").read_text())
    assert gathered["figures"] == {
        "loop_vs_bare": shares["goya_vs_bare"], "data_wait_share": 0.0139,
        "minutes_to_peer_best": 1.5, "rtf_small": 0.21,
    }  # fmt: skip
    assert gathered["from"]["peers"]["commit"] == "new"
    assert {"mfu_normal", "rtf_tiny", "loader_vs_plain", "lightning_vs_bare"} <= set(gathered["not_measured"])
    told = page.read_text()
    assert told.startswith("before\n") and told.endswith("after\n") and "old" not in told
    loop = "| 99.3% | 94.0% to 102.0% | [loop_speed.json](../benchmarks/results/loop_speed.json) |"
    assert loop in told and "of small, text to mel, one thread | 0.210 |" in told


def test_a_page_without_the_block_is_an_error(tmp_path):
    (tmp_path / "README.md").write_text("nothing here")
    with pytest.raises(UserError, match="no page of"):
        speed_figures.main(["--results", str(tmp_path), "--into", str(tmp_path)])

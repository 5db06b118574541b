"""main_job.py and fresh_install.py: what is installed and run, what is taken as it is, what is written."""

import json
import shlex
import subprocess

import pytest

from benchmarks.harness import fresh_install
from benchmarks.harness.provenance import DIRTY, commit
from benchmarks.quality import main_job
from benchmarks.report.page_block import ROOT
from data_pipeline.errors import UserError
from training.config.arguments import parse
from training.config.fields import RunConfig
from training.config.hardware import Hardware

README = "# Title\n```bash\npip install -c lock.txt -e {what} \\\n && accelerate launch train_main.py --x\n```\n"
FAKE = """import json, os, pathlib, sys
folder = pathlib.Path(sys.argv[sys.argv.index("--checkpoint-dir") + 1])
folder.mkdir()
caches = pathlib.Path(os.environ["XDG_CACHE_HOME"])
assert not caches.exists()
caches.mkdir()
seed = int(sys.argv[sys.argv.index("--seed") + 1])
print(f"step 1/3 (0:10 left) mel {seed}", flush=True)
sys.exit(3) if seed == 13 else None
result = {"seconds": 900.0, "steps": 100 + seed, "padded_share": 0.03, "data_wait_share": 0.01}
(folder / "report.json").write_text(json.dumps({"result": result, "config": {}}))
"""


def test_the_readme_s_first_command_is_what_is_installed_and_run():
    install, train = fresh_install.first_command((ROOT / "README.md").read_text(encoding="utf-8"))
    words = shlex.split(install)
    assert words[-2:] == ["-e", "."] and fresh_install.extras(install) == []
    for at, word in enumerate(words):
        assert word != "-c" or (ROOT / words[at + 1]).is_file()
    given = shlex.split(train)
    config, _, _ = parse(given[given.index("train_main.py") + 1 :], Hardware("cpu", "CPU", 24, 2, True))
    assert isinstance(config, RunConfig)


def test_a_command_over_two_lines_is_one_and_its_extras_are_counted():
    install, train = fresh_install.first_command(README.format(what='".[eval, web]"'))
    assert install == 'pip install -c lock.txt -e ".[eval, web]"' and train == "accelerate launch train_main.py --x"
    assert fresh_install.extras(install) == ["eval", "web"]
    with pytest.raises(UserError, match="found: pip install -e ."):
        fresh_install.first_command("```bash\npip install -e .\n```\n")


def test_the_readme_s_seed_is_among_those_measured():
    assert main_job.README_SEED == RunConfig().train.seed
    assert main_job.README_SEED in main_job.build_parser().parse_args([]).seeds


def test_what_benchmarks_write_is_no_change_of_what_is_measured(tmp_path):
    for path in ("benchmarks/results/x.json", "docs/measured.md", "code.py"):
        (tmp_path / path).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / path).write_text("1")
    for words in ("init -q", "add .", "-c user.name=a -c user.email=a@b commit -qm first"):
        subprocess.run(["git", *words.split()], cwd=tmp_path, check=True)
    (tmp_path / "benchmarks/results/x.json").write_text("2")
    (tmp_path / "docs/measured.md").write_text("2")
    assert len(commit(tmp_path)) == 40
    (tmp_path / "code.py").write_text("2")
    assert commit(tmp_path).endswith(DIRTY)


@pytest.fixture
def work(tmp_path):
    """Of an installation whose training command does nothing but leave what a training leaves."""
    folder = tmp_path / "work"
    (folder / "clone").mkdir(parents=True)
    (folder / "clone" / "fake.py").write_text(FAKE)
    (folder / "clone" / "synthesize.py").write_text("import sys\nassert '--text' in sys.argv\n")
    record = {"command": "pip install -e .", "train": "python3 fake.py", "extras": [], "python": "3.11.7"}
    record |= {"freeze": ["torch==2.14.1"], "seconds": 90.0, "commit": "a" * 40, "date": "2026-01-02"}
    (folder / "installed.json").write_text(json.dumps(record))
    return folder


def run(work, *words: str) -> int:
    return main_job.main(["--work", str(work), "--out", str(work / "out.json"), "--seeds", *words])


def test_a_measurement_that_was_broken_off_goes_on_where_it_was(work, capsys):
    (work / "seed-2").mkdir()  # what a run that was killed leaves; the fake fails where there is a folder
    assert run(work, "1", "2", "--only", "train") == 0
    first = (work / "seed-1" / "launch.json").read_text()
    assert run(work, "1", "2", "3", "--only", "train") == 0
    assert (work / "seed-1" / "launch.json").read_text() == first
    launch = json.loads((work / "seed-3" / "launch.json").read_text())
    assert launch["command"] == "python3 fake.py --seed 3 --checkpoint-dir ../seed-3"
    assert 0 < launch["seconds_to_first_step"] <= launch["seconds_total"] and 0 < launch["peak_rss_gb"] < 4
    assert set(launch["load"]) == {"start", "end"}
    assert 0 < json.loads((work / "first_sentence.json").read_text())["first_sentence_s"] < 60
    assert run(work, "1", "--only", "train", "--", "--more") == 2
    assert "by another command" in capsys.readouterr().err
    assert run(work, "13", "--only", "train") == 2 and not (work / "seed-13" / "launch.json").exists()
    assert "exit code 3" in capsys.readouterr().err


def test_a_model_that_does_not_speak_is_told(work, capsys):
    (work / "clone" / "synthesize.py").write_text("raise SystemExit(4)")
    assert run(work, "1", "--only", "train") == 2
    assert "exit code 4" in capsys.readouterr().err and not (work / "seed-1").exists()


def test_a_seed_that_was_not_trained_is_not_judged(work, capsys):
    assert run(work, "4", "--only", "judge") == 2
    assert "no finished training" in capsys.readouterr().err and not (work / "out.json").exists()


def test_what_was_judged_is_gathered_as_medians_with_ranges(work, monkeypatch):
    run(work, "1", "2", "5", "--only", "train")
    setting = {"synthesis_seeds": [0, 1, 2], "sentences": None}
    for seed, cer in ((1, 0.05), (2, 0.03), (5, 0.04)):
        judged = {"setting": setting, "date": "2026-01-03", "commit": "b" * 40, "with": {}, "heard": []}
        figures = {"cer_model": cer, "cer_real": 0.015, "cer_sentences": 40, "cer_model_each_synthesis_seed": {}}
        (work / f"seed-{seed}" / "judged.json").write_text(json.dumps(judged | {"figures": figures}))
    assert run(work, "1", "2", "5", "--only", "judge", "--note", "gains learned afterwards") == 0
    found = json.loads((work / "out.json").read_text())
    figures = found["figures"]
    assert (figures["cer_model"], figures["cer_by_seed"], figures["cer_real"]) == (0.04, [0.05, 0.03, 0.04], 0.015)
    assert (figures["steps"], figures["installed_extras"], figures["seconds_to_install"]) == (102, 0, 90.0)
    assert found["ranges"]["cer_model"] == [0.03, 0.05] and "cer_real" not in found["ranges"]
    assert found["commit"] == "a" * 40 and found["installed"]["freeze"] == ["torch==2.14.1"]
    told = main_job.block(found)
    assert "| CER, model, HiFi-GAN | 4.0% | 3.0% to 5.0% |" in told and "no extras, Python 3.11.7" in told
    assert "training seeds 1, 2, 5" in told and "Python 3.11.7; gains learned afterwards. Raw" in told


def test_what_is_not_committed_is_not_measured_unless_allowed(tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(fresh_install, "commit", lambda: "c" * 40 + DIRTY)
    assert run(tmp_path / "work", "1", "--only", "install") == 2
    assert "uncommitted changes" in capsys.readouterr().err and not (tmp_path / "work").exists()


def test_a_fresh_installation_is_of_what_is_committed(tmp_path, monkeypatch):
    """The commands that it runs; the pip part by a pip that notes what it is told."""
    origin = tmp_path / "origin"
    origin.mkdir()
    (origin / "README.md").write_text(README.format(what='".[web]"'))
    for words in ("init -q", "add .", "-c user.name=a -c user.email=a@b commit -qm first"):
        subprocess.run(["git", *words.split()], cwd=origin, check=True)
    monkeypatch.setattr(fresh_install, "ROOT", origin)
    monkeypatch.setattr(fresh_install, "commit", lambda: commit(origin))
    asked = []

    def pretend(self, *command: str) -> str:
        asked.append(command)
        if command[0] == "git":
            subprocess.run(command, check=True)
        return "torch==2.14.1\n" if command[:2] == ("pip", "freeze") else "3.11.7\n"

    monkeypatch.setattr(fresh_install.FreshInstall, "_run", pretend)
    found = fresh_install.FreshInstall(tmp_path / "work")
    assert ("bash", "-c", 'pip install -c lock.txt -e ".[web]"') in asked
    assert found.record["extras"] == ["web"] and found.record["freeze"] == ["torch==2.14.1"]
    assert found.record["train"] == "accelerate launch train_main.py --x" and len(found.record["commit"]) == 40
    environment = found.environment()
    assert environment["PATH"].startswith(str(found.venv / "bin")) and "PYTHONPATH" not in environment
    asked.clear()
    assert fresh_install.FreshInstall(tmp_path / "work").record == found.record and not asked

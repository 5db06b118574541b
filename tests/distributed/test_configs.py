"""Every file of accelerate_configs/ loads, explains itself, and is in docs/hardware.md; the sharded ones are run."""

import re
import shlex
from pathlib import Path

import pytest
import yaml
from accelerate.commands.config.config_args import ClusterConfig, load_config_from_file
from accelerate.commands.launch import launch_command_parser

from data_pipeline.batching.cursor import Cursor
from data_pipeline.batching.plan import Plan
from modeling import layers
from testing import small_runs
from testing.small_runs import ROOT, SMALL, launch, losses, train
from training.config.arguments import parse
from training.config.hardware import Hardware

pytestmark = pytest.mark.slow

FILES = sorted((ROOT / "accelerate_configs").glob("*.yaml"))
PAGE = (ROOT / "docs" / "hardware.md").read_text(encoding="utf-8")
GPU = Hardware("cuda", "GPU", 79.0, 32, bf16=True, fp8=True)
BY_NAME = {path.stem: path for path in FILES}
SHARDED = small_runs.ROOT / "testing" / "distributed" / "fsdp2_on_cpu.py"


def comment(path: Path) -> str:
    return "\n".join(line for line in path.read_text(encoding="utf-8").splitlines() if line.startswith("#"))


def commands(path: Path) -> list[list[str]]:
    """The words of each command in the comment."""
    found = re.findall(r"(?:[A-Z_]+=\w+ )?accelerate launch .*", comment(path))
    return [shlex.split(line) for line in found]


def test_the_configurations_are_these():
    expected = "cpu_2proc ddp fp8 fsdp2 fsdp2_zero2 hsdp multi_node one single_gpu".split()
    assert list(BY_NAME) == expected


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_it_loads_with_keys_that_accelerate_knows(path):
    config = load_config_from_file(str(path))  # raises for an unknown key of the first level
    assert isinstance(config, ClusterConfig)
    known = vars(launch_command_parser().parse_args(["train_main.py"]))
    settings = yaml.safe_load(path.read_text(encoding="utf-8"))
    for section in ("fsdp_config", "parallelism_config"):
        assert [key for key in settings.get(section, {}) if key not in known] == []
    assert config.mixed_precision == "no", "the run's own choice would be hidden"
    if config.fsdp_config:
        assert config.fsdp_config["fsdp_version"] == 2
        assert hasattr(layers, config.fsdp_config["fsdp_transformer_layer_cls_to_wrap"])


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_it_says_when_to_use_it_and_how(path):
    lines = path.read_text(encoding="utf-8").splitlines()
    assert 5 <= len(lines) <= 18 and max(map(len, lines)) <= 130
    words = [line for line in comment(path).splitlines() if "accelerate launch" not in line]
    assert words and re.search(r"GPU|CPU", words[0]), "when to use it comes first"
    given = commands(path)
    assert given, "no command"
    for command in given:
        script = command.index("train_main.py")
        launched = launch_command_parser().parse_args(command[command.index("launch") + 1 :])
        assert launched.config_file == f"accelerate_configs/{path.name}"
        assert parse([*command[script + 1 :], "--train-data", "x"], GPU), "train_main.py takes its part"


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_the_page_on_hardware_says_when(path):
    assert re.search(rf"^\| .*{path.name}.* \| .+ \|$", PAGE, re.MULTILINE)


def sharded_run(run: Path, config: str, processes: int, flags: str = "") -> dict:
    """The curves of 3 steps."""
    data = ["--train-data", small_runs.corpus(), "--checkpoint-dir", run, *SMALL, "--device", "auto"]
    more = ["--grad-accum", "1", "--max-steps", "3"]
    done = launch(SHARDED, *data, *more, processes=processes, config=config, flags=flags)
    assert done.returncode == 0, done.stderr[-3000:]
    return losses(run)


@pytest.mark.parametrize(
    ("config", "processes", "flags"),
    [
        ("fsdp2_zero2", 2, ""),
        ("hsdp", 4, "--parallelism_config_dp_replicate_size 2 --parallelism_config_dp_shard_size 2"),
    ],
)
def test_sharded_ranks_train_as_one_with_as_much_accumulation(config, processes, flags, tmp_path, monkeypatch):
    found = sharded_run(tmp_path / config, config, processes, flags)
    monkeypatch.setattr(Plan, "start", lambda self, epoch: Cursor(epoch=epoch, group=processes))
    assert train(tmp_path / "one", "--grad-accum", str(processes), "--max-steps", "3") == 0
    expected = losses(tmp_path / "one")
    names = [name for name in expected if name.startswith(("loss", "eval_", "grad_norm"))]
    assert len(names) > 10
    for name in names:
        assert found[name] == pytest.approx(expected[name], rel=1e-5, abs=1e-9), name

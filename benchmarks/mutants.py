"""Faults put into the code on purpose, and whether its tests see them: python benchmarks/mutants.py [NAME ...]

Each is one change of one line or a few, in a copy of the tree, for which the tests that are named are run. One that
they let through survives: a test of what the line is for is missing. Prints how each ended and writes
benchmarks/results/mutants.json. Exit code 1 where one survived or no longer applies.
"""

import argparse
import shutil
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))  # a script's own folder is on the path, its parent is not

from benchmarks import command_line  # noqa: E402
from benchmarks.provenance import origin  # noqa: E402

RESULTS = ROOT / "benchmarks" / "results" / "mutants.json"
LIMIT_S = 600
EFFECT = "tests/training/test_settings_take_effect.py"


@dataclass(frozen=True)
class Mutant:
    """In `file`, `old` (which stands there once) becomes `new`; `tests` should fail."""

    file: str
    old: str
    new: str
    tests: str


def of_effect(file: str, old: str, new: str) -> Mutant:
    return Mutant(file, old, new, EFFECT)


SHAPE = "loss.mel_loss, loss.huber_delta, loss.mel_smoothing, loss.stop_smoothing"
MUTANTS = {
    "fsync skipped": of_effect("training/state/checksums.py", "        os.fsync(handle)", "        pass"),
    "rotation in place": of_effect(
        "training/state/checkpoint.py",
        "    os.replace(path, doomed)\n    shutil.rmtree(doomed)",
        "    shutil.rmtree(path)",
    ),
    "mel_loss not handed on": of_effect("training/setup/building.py", SHAPE, SHAPE.replace("loss.mel_loss", '"huber"')),
    "huber_delta not handed on": of_effect(
        "training/setup/building.py", SHAPE, SHAPE.replace("loss.huber_delta", "0.6")
    ),
    "mel_smoothing not handed on": of_effect(
        "training/setup/building.py", SHAPE, SHAPE.replace("loss.mel_smoothing", "0.0")
    ),
    "stop_smoothing not handed on": of_effect(
        "training/setup/building.py", SHAPE, SHAPE.replace("loss.stop_smoothing", "0.0")
    ),
    "loss_smoothing unused by the guard": of_effect(
        "callbacks/default.py", "SpikeGuard(loss.loss_smoothing, ", "SpikeGuard(0.08, "
    ),
    "loss_smoothing unused by the weights": of_effect(
        "callbacks/default.py", "trainer.base_weights, loss.loss_smoothing)", "trainer.base_weights, 0.08)"
    ),
    "spike detection always off": of_effect("callbacks/default.py", "detect=train.spike_detection", "detect=False"),
    "spike detection always on": of_effect("callbacks/default.py", "detect=train.spike_detection", "detect=True"),
    "roll-back loads nothing": of_effect(
        "training/loop/trainer.py", "            self.files.load(good)", "            pass"
    ),
    "clip norm ignored": of_effect(
        "training/loop/step.py", "clip_grad_norm_(model.parameters(), norm)", "clip_grad_norm_(model.parameters(), 1.0)"
    ),
    "restart_decay fixed": Mutant(
        "callbacks/cosine_restarts.py", "optim.restart_decay", "0.8", "tests/callbacks/test_schedules.py"
    ),
    "pre-net dropout off": of_effect(
        "modeling/transformer_decoder.py", "self.probability, training=True)", "0.0, training=True)"
    ),
    "pre-net dropout off in validation": of_effect(
        "modeling/transformer_decoder.py",
        "self.probability, training=True)",
        "self.probability, training=self.training)",
    ),
    "validation of the mel before the post-net": of_effect(
        "training/loop/validation.py", "output.mel_after_BTC", "output.mel_before_BTC"
    ),
    "Python's random state not restored": of_effect(
        "training/state/state_files.py", "    random.setstate((version, tuple(internal), gauss))", "    pass"
    ),
    "numpy's random state not restored": of_effect(
        "training/state/state_files.py", "    np.random.set_state(", "    str("
    ),
    "torch's random state not restored": of_effect(
        "training/state/state_files.py", '    torch.set_rng_state(_bytes(state["torch"]))', "    pass"
    ),
    "floor of the rate ignored": Mutant(
        "callbacks/rate_schedule.py", "max(optim.lr_floor, ", "max(0.0, ", "tests/callbacks/test_schedules.py"
    ),
    "warm-up ignored": Mutant(
        "callbacks/cosine_restarts.py", "optim.warmup_steps", "1", "tests/callbacks/test_schedules.py"
    ),
    "multipliers not bounded": Mutant(
        "callbacks/adaptive_weights.py",
        "min(self.high, max(self.low, ",
        "min(99.0, max(0.0, ",
        "tests/callbacks/test_adaptive_weights.py",
    ),
    "the whole mean of a loss is the last": Mutant(
        "callbacks/adaptive_weights.py",
        "mean + self.smoothing * (value - mean)",
        "value",
        "tests/callbacks/test_adaptive_weights.py",
    ),
    "a spike of twice the mean is skipped": Mutant(
        "callbacks/spike_guard.py", "factor: float = 4.0", "factor: float = 2.0", "tests/callbacks/test_spike_guard.py"
    ),
    "patience of the spike guard": Mutant(
        "callbacks/spike_guard.py", "patience: int = 3", "patience: int = 2", "tests/callbacks/test_spike_guard.py"
    ),
    "one roll-back more": Mutant(
        "callbacks/spike_guard.py",
        "self.rolled_back > self.roll_backs",
        "self.rolled_back > self.roll_backs + 1",
        "tests/callbacks/test_spike_guard.py",
    ),
    "mean of means": Mutant(
        "training/loop/step.py", "sums[name] / counts[name]", "sums[name] / 1000", "tests/training/loop/test_step.py"
    ),
    "the two mel losses added up": Mutant(
        "modeling/losses.py", "    return total / 2", "    return total", "tests/modeling/test_losses.py"
    ),
    "one checkpoint more is kept": Mutant(
        "training/state/checkpoint.py",
        "[: -self.keep]",
        "[: -self.keep - 1]",
        "tests/training/state/test_checkpoint.py",
    ),
    "damage not looked for": Mutant(
        "training/state/checksums.py",
        "if _sha256(here[name]) != expected:",
        "if False:",
        "tests/training/state/test_checkpoint.py",
    ),
    "links of a checkpoint followed": Mutant(
        "training/state/checksums.py",
        "    if odd is not None:\n",
        "    if False:\n",
        "tests/training/state/test_strangers_states.py",
    ),
    "another host may ask": Mutant(
        "inference/web/guard.py",
        'if _split(f"//{host}").hostname not in self.names:',
        "if False:",
        "tests/test_listen_requests.py",
    ),
    "another site may ask": Mutant(
        "inference/web/guard.py",
        "if origin is not None and _split(origin).netloc != host:",
        "if False:",
        "tests/test_listen_requests.py",
    ),
    "any file is a clip": Mutant(
        "inference/web/guard.py", "found.is_relative_to(self.uploads) and ", "", "tests/test_listen_requests.py"
    ),
    "links out of a model's folder": Mutant(
        "inference/safe_folder.py",
        "if not any(target.is_relative_to(home) for home in homes):",
        "if False:",
        "tests/inference/test_strangers_models.py",
    ),
    "weights of another shape": Mutant(
        "inference/safe_folder.py", "    if wrong:\n", "    if False:\n", "tests/inference/test_strangers_models.py"
    ),
    "memory not asked for": Mutant(
        "inference/safe_folder.py",
        "if needed > USABLE_MEMORY * free:",
        "if False:",
        "tests/inference/test_strangers_models.py",
    ),
    "aliases in a config file": Mutant(
        "training/config/config_file.py",
        "if isinstance(event, yaml.AliasEvent):",
        "if False:",
        "tests/training/config/test_fields.py",
    ),
    "names in a card as they are": Mutant(
        "hub/card.py",
        r'return MARKUP.sub(r"\\\1", html.escape(plain(text), quote=False))',
        "return plain(text)",
        "tests/hub/test_cards.py",
    ),
    "numbers without an end": Mutant(
        "training/config/typed.py",
        "MOST_WHOLE, MOST_REAL = 10**9, 1e38",
        "MOST_WHOLE, MOST_REAL = 10**99, 1e99",
        "tests/training/config/test_fields.py",
    ),
}


def build_parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="benchmarks/mutants.py", description=__doc__.split(":")[0] + ".")
    parser.add_argument("names", nargs="*", metavar="NAME", help=f"all, or some of: {', '.join(MUTANTS)}")
    parser.add_argument("--out", type=Path, default=RESULTS, help="the json to write (default: %(default)s)")
    return parser


def main(argv: list[str] | None = None) -> int:
    parser = build_parser()
    arguments = parser.parse_args(argv)
    if unknown := set(arguments.names) - set(MUTANTS):
        parser.error(f"no mutant {', '.join(sorted(unknown))}")
    names = arguments.names or list(MUTANTS)
    ends = {}
    with tempfile.TemporaryDirectory(prefix="goya-mutants-") as folder:
        copy(Path(folder))
        tests = sorted({MUTANTS[name].tests for name in names})
        if tested(Path(folder), tests) != 0:
            print("The tests fail without any mutant; see python -m pytest", *tests)
            return 1
        for name in names:
            ends[name] = end_of(MUTANTS[name], Path(folder))
            print(f"{ends[name]:<10}{name}", flush=True)
    survived = [name for name, end in ends.items() if end != "killed"]
    results = origin() | {"ends": ends}
    figures = {"mutants_tried": len(ends), "mutants_survived": len(survived)}
    command_line.write_json(results | {"figures": figures}, arguments.out)
    print(f"{len(ends)} tried, {len(survived)} not killed")
    return int(bool(survived))


def copy(folder: Path) -> None:
    """The files that git knows, as they are now."""
    listed = subprocess.run(["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, text=True, check=True).stdout
    for name in filter(None, listed.split("\0")):
        if (ROOT / name).is_file():
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(ROOT / name, folder / name)


def end_of(mutant: Mutant, folder: Path) -> str:
    path = folder / mutant.file
    before = path.read_text(encoding="utf-8")
    if before.count(mutant.old) != 1:
        return "stale"
    path.write_text(before.replace(mutant.old, mutant.new), encoding="utf-8")
    try:
        return {0: "survived", 1: "killed"}.get(tested(folder, [mutant.tests]), "killed")
    finally:
        path.write_text(before, encoding="utf-8")


def tested(folder: Path, tests: list[str]) -> int:
    """pytest's exit code, 1 where it took LIMIT_S."""
    command = [sys.executable, "-m", "pytest", "-q", "-x", "-p", "no:cacheprovider", *tests]
    try:
        return subprocess.run(command, cwd=folder, capture_output=True, timeout=LIMIT_S).returncode
    except subprocess.TimeoutExpired:
        return 1


if __name__ == "__main__":
    sys.exit(main())

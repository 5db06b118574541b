"""Where things lie, for every script of benchmarks: they are run from ROOT, as `python -m benchmarks.ROOM.NAME`."""

from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
RESULTS = ROOT / "benchmarks" / "results"
DEMO = ROOT / "assets" / "demo_corpus"

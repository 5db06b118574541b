"""What a Hub can do to a run that pushes to it: python -m benchmarks.reliability.hub_faults

Runs of a debug model, six steps each, push to a server on 127.0.0.1 (testing/hub_server.py) through huggingface_hub. In
each the Hub fails in another way: a status, a connection cut half way, an answer that comes only when the run is over;
at the login, the repository, the branch, the listing, the upload or the commit; once, ten times in a row, or for good.
A run survives where it ends with code 0, its losses and its best model are bit-equal to those of a run without the Hub,
and either the Hub holds that model or the run has said how to push it by hand, and what there was to push lies there.
Waits between tries take no time here. Prints one table and writes benchmarks/results/hub_faults.json.
"""

import argparse
import contextlib
import io
import re
import shutil
import sys
import tempfile
import threading
import time
from dataclasses import asdict, dataclass
from pathlib import Path

import pytest

from benchmarks.harness import command_line
from benchmarks.harness.places import RESULTS
from benchmarks.harness.provenance import origin
from hub.pusher import Pusher
from testing import small_runs
from testing.hub_server import HubServer, in_process

OUT = RESULTS / "hub_faults.json"
ID, FOR_GOOD = "ann/voice", 10**9
RUN = "--max-steps 6 --set train.eval_every=2 --set checkpoint.every_steps=3".split()
PUSH = f"--push-to-hub {ID} --set hub.state_every_minutes=0".split()
# What huggingface_hub asks for -> a part of the request.
PLACES = {
    "login": "whoami", "repository": "repos/create", "branch": "/branch/", "listing": "/tree/", "card": "validate-yaml",
    "preupload": "/preupload/", "batch": "objects/batch", "large file": "PUT /lfs", "commit": "/commit/",
    "everything": ".",
}  # fmt: skip
PASSING, LASTING = (408, 409, 429, 500, 502, 503, 504), (401, 403, 413, 422)
BEFORE_TRAINING = ("login", "repository", "everything")  # where what lasts is an error of the user's, told at once


@dataclass(frozen=True)
class Fault:
    place: str
    how: str
    times: int


def faults() -> list[Fault]:
    found = [Fault(place, str(status), 10) for place in PLACES for status in PASSING]
    found += [Fault(place, "503", FOR_GOOD) for place in PLACES]
    found += [
        Fault(place, str(status), FOR_GOOD) for place in PLACES if place not in BEFORE_TRAINING for status in LASTING
    ]
    found += [Fault(place, "cut", times) for place in PLACES for times in (1, 10)]
    return found + [Fault(place, "slow", FOR_GOOD) for place in PLACES if place not in BEFORE_TRAINING]


def main(argv: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog=f"python -m {__spec__.name}", description=__doc__.split(":")[0] + ".")
    parser.add_argument("--every", type=int, default=1, help="take each so many-th fault (default: %(default)s)")
    parser.add_argument("--out", type=Path, default=OUT, help="the json to write (default: %(default)s)")
    arguments = parser.parse_args(argv)
    started, tried = time.perf_counter(), faults()[:: arguments.every]
    with tempfile.TemporaryDirectory() as folder:
        plain = Path(folder) / "plain"
        with contextlib.redirect_stdout(io.StringIO()):
            assert small_runs.train(plain, *RUN) == 0
        ends = []
        for number, fault in enumerate(tried):
            ill = what_is_ill(fault, plain, Path(folder) / str(number))
            ends.append(asdict(fault) | {"ill": ill})
            print(f"{number + 1}/{len(tried)} {fault.place}, {fault.how}: {ill or 'survived'}", flush=True)
            shutil.rmtree(Path(folder) / str(number))
    figures = {"hub_faults_tried": len(ends), "hub_faults_survived": sum(end["ill"] is None for end in ends)}
    results = origin() | {"seconds": time.perf_counter() - started}
    command_line.write_json(results | {"figures": figures, "ends": ends}, arguments.out)
    print("\n".join(f"{name:<22}{count:>5}" for name, count in figures.items()))
    return 0


def what_is_ill(fault: Fault, plain: Path, folder: Path) -> str | None:
    """Run under the fault; None where the run survives."""
    said, run, held = io.StringIO(), folder / "run", threading.Event()
    patience = ["--set", "hub.wait_minutes=0.01"] if fault.times == FOR_GOOD and fault.how != "slow" else []
    with pytest.MonkeyPatch.context() as patch, HubServer() as server, in_process(server, patch, folder / "home"):
        how = {"slow": {"hold": held}, "cut": {"cut": True}}.get(fault.how) or {"status": int(fault.how)}
        server.fail(PLACES[fault.place], fault.times, **how)
        patch.setattr(Pusher, "pause", lambda self, seconds: self.over.wait(0.001))
        finish = Pusher.finish
        patch.setattr(Pusher, "finish", lambda self: held.set() or finish(self))
        with contextlib.redirect_stdout(said), contextlib.redirect_stderr(said):
            code = small_runs.train(run, *RUN, *PUSH, *patience)
        return judged(code, said.getvalue(), server, plain, run)


def judged(code: int, said: str, server: HubServer, plain: Path, run: Path) -> str | None:
    if code != 0 or "Traceback" in said:
        return f"code {code}: {said.splitlines()[-1:]}"
    if small_runs.losses(run) != small_runs.losses(plain):
        return "other losses"
    weights = (plain / "best" / "model.safetensors").read_bytes()
    if (run / "best" / "model.safetensors").read_bytes() != weights:
        return "another best model"
    files = server.repositories[ID].files() if ID in server.repositories else {}
    told = [Path(folder) for folder in re.findall(rf"hf upload {ID} (\S+) \.", said)]
    if not all(folder.is_dir() for folder in told):
        return "a folder to push by hand is not there"
    by_hand = [path.read_bytes() for folder in told for path in folder.glob("model.safetensors")]
    is_there = server.blobs.get(files.get("model.safetensors")) == weights
    return None if is_there or weights in by_hand else "neither there nor told how to push it"


if __name__ == "__main__":
    sys.exit(main())

"""The metrics of this package: each is an `evaluate` module in a folder of its own, and needs no network.

A new one: a folder NAME/NAME.py beside this file, and a line in METRICS.
"""

import importlib.util
from functools import cache
from pathlib import Path

from data_pipeline.errors import UserError

# Metric -> the packages that it imports beyond the plain installation; all are in the extra `eval`.
METRICS: dict[str, tuple[str, ...]] = {
    "cer": ("rapidfuzz",),
    "wer": ("rapidfuzz",),
    "speaker_similarity": ("webrtcvad", "librosa"),
    "mcd": ("librosa",),
    "f0": ("librosa",),
    "distillmos": ("distillmos", "librosa"),
    "dnsmos": ("speechmos", "onnxruntime", "librosa"),
    "duration_ratio": (),
    "stop_errors": (),
}


@cache
def load_metric(name: str):
    """The `evaluate` metric in evaluation/<name>: call its compute(...), which its inputs_description explains.

    Raises UserError for an unknown name, and for a package that is not installed.
    """
    if name not in METRICS:
        raise UserError(f"unknown metric {name!r}: expected one of {', '.join(METRICS)}")
    for package in ("evaluate", *METRICS[name]):
        if importlib.util.find_spec(package) is None:
            raise UserError(
                f'the metric {name!r} needs the package {package}, which is not installed: run pip install -e ".[eval]"'
            )
    import evaluate

    return evaluate.load(str(Path(__file__).parent / name), keep_in_memory=True)

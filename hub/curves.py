"""The curves of a run as a picture for its model card."""

from pathlib import Path

from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

MOST_POINTS = 1000  # of a curve that are kept
Curve = list[list[float]]  # [step, value], in order
# Panel -> name in the log -> label.
PANELS = {
    "mel loss": {"loss/mel": "training (loss/mel)", "eval_mel": "validation (eval_mel, L1)"},
    "character error rate": {"eval_quality_cer": "held-out sentences (quality_cer)"},
}
DRAWN = {name for panel in PANELS.values() for name in panel}


def add_point(curve: Curve, step: int, value: float) -> None:
    """Where there are too many, every second one goes."""
    curve.append([step, value])
    if len(curve) > MOST_POINTS:
        curve[:] = curve[::2]


def write_curves(path: Path, curves: dict[str, Curve]) -> bool:
    """Write a PNG; False where there is nothing to draw yet."""
    panels = {title: [name for name in names if curves.get(name)] for title, names in PANELS.items()}
    panels = {title: names for title, names in panels.items() if names}
    if not panels:
        return False
    figure = Figure(figsize=(4.8 * len(panels), 3.2), layout="constrained")
    FigureCanvasAgg(figure)
    for axis, (title, names) in zip(figure.subplots(1, len(panels), squeeze=False)[0], panels.items(), strict=True):
        for name in names:
            steps, values = zip(*curves[name], strict=True)
            axis.plot(steps, values, marker="." if len(steps) < 30 else None, label=PANELS[title][name])
        axis.set(xlabel="step", ylabel=title)
        axis.legend(frameon=False, fontsize="small")
        axis.grid(alpha=0.3)
    figure.savefig(path, format="png", dpi=100)
    return True

"""The check as one HTML page that needs nothing else: plots as inline SVG, recordings as base64, no network."""

import base64
import io
from collections.abc import Iterable
from html import escape

import numpy as np
import soundfile

from data_pipeline.errors import UserError
from data_pipeline.recordings.audio import decode_audio
from evaluation.data_check import report as text
from evaluation.data_check.findings import CUT_DB, KINDS, NEAR_PEAK_SHARE, RATE_FACTOR, SPREADS, Finding
from evaluation.data_check.report import HEADING, MEASURES, Report, groups, histogram, summary_cells, values
from evaluation.data_check.survey import Surveyor
from evaluation.data_check.waves import NEAR_PEAK, QUIETEST_SHARE, SILENCE_DB

PLAYED = 4  # recordings of a kind that can be heard
LISTED = 100  # rows of a kind that are listed
CLIP_RATE_HZ, CLIP_S = 16_000, 8.0  # a quarter of a megabyte each, at most
# Kinds of which there is nothing to hear, or nothing to learn by hearing it.
UNHEARD = ("unreadable", "cut_off", "silent", "no_words", "in_bytes", "other_rate")
WIDTH, HEIGHT = 330, 110  # of a plot's bars, in pixels
STYLE = """
:root {color-scheme: light dark}
body {font: 15px/1.45 system-ui, sans-serif; max-width: 1080px; margin: 2rem auto; padding: 0 1rem}
h1 {font-size: 1.5rem} h2 {font-size: 1.15rem; margin-top: 2.2rem} h3 {font-size: 1rem; margin: 1.6rem 0 .3rem}
table {border-collapse: collapse; width: 100%} .scroll {overflow-x: auto}
th, td {text-align: left; padding: .25rem .6rem; border-bottom: 1px solid #8884; vertical-align: top}
th {font-weight: 600} .n {text-align: right; font-variant-numeric: tabular-nums}
.plots {display: flex; flex-wrap: wrap; gap: 1.5rem} figure {margin: 0} figcaption {font-weight: 600}
svg rect {fill: #2563eb} svg text {font: 12px system-ui, sans-serif; fill: currentColor}
svg line {stroke: #d97706; stroke-width: 2}
.dim {opacity: .75} audio {height: 2rem; width: 15rem} td bdi {unicode-bidi: isolate}
.rows {table-layout: fixed; min-width: 44rem} .rows td {overflow-wrap: anywhere}
.rows .id {width: 20%} .rows .play {width: 15.5rem}
""".strip()

HEAD = f"""<!doctype html>
<html lang="en"><head><meta charset="utf-8"><title>Data check</title>
<meta name="viewport" content="width=device-width, initial-scale=1"><style>
{STYLE}
</style></head><body>
"""


def page(report: Report, clips: dict[tuple[str, int], str]) -> str:
    """The whole page. clips: (split, place) -> the recording of a row as a data URL."""
    used = report.survey.used()
    parts = [
        "<h1>Data check</h1>",
        f"<p>{escape(report.corpus)}</p>",
        f"<p>{escape(text.how_read(report))}</p>",
        *(f"<p class=dim>{escape(line)}</p>" for line in text.not_measured(report)),
        "<h2>What is there</h2>",
        table(HEADING, ([name, *summary_cells(rows)] for name, rows in groups(used)), numbers_from=1),
        "<p class=dim>Medians but for rows and hours; length and hours as the headers say, the rest of what was "
        "decoded.</p>",
        '<div class="plots">',
        *(plot(measure, values(used, measure)) for measure in MEASURES),
        "</div>",
        "<h2>What looks wrong</h2>",
        overview(report),
        *(f"<p>{escape(line)}</p>" for line in text.notes(report)),
        *(listing(kind, group, clips) for kind, group in report.found.items()),
        METHODS,
    ]
    return HEAD + "\n".join(parts) + "\n</body></html>\n"


METHODS = f"""<h2>How it was measured</h2>
<ul class=dim>
<li>Level: mean power of the frames (20 ms) that are no more than {SILENCE_DB:g} dB below the loudest one.</li>
<li>Signal to noise: mean power less that of the quietest {QUIETEST_SHARE:.0%} of the frames, over the latter.</li>
<li>Silence: share of the frames more than {SILENCE_DB:g} dB below the loudest one.</li>
<li>Clipped: more than {NEAR_PEAK_SHARE:.1%} of the samples within {1 - NEAR_PEAK:.0%} of the clip's own peak.</li>
<li>Begins or ends within speech: the first or last 20 ms are less than {-CUT_DB:g} dB below the clip's level.</li>
<li>Text does not fit: seconds against characters of the normalized text, by a Theil-Sen line for each language;
found are rows {RATE_FACTOR:g} times as fast or slow, and {SPREADS:g} robust standard deviations away.</li>
<li>Pitch: median of YIN in the loud frames. Equal recordings: by their bytes; re-encoded copies are not found.</li>
<li>Alignment loss: forward sum and hardening of the aligner (Badlani et al. 2021), of the model that was given.</li>
</ul>"""


def table(heading: list[str], rows: Iterable[list[str]], numbers_from: int) -> str:
    """Cells of text; those from column `numbers_from` on are numbers."""

    def line(cells: list[str], tag: str) -> str:
        tags = (tag if place < numbers_from else f"{tag} class=n" for place in range(len(cells)))
        return "".join(f"<{start}><bdi>{escape(cell)}</bdi></{tag}>" for start, cell in zip(tags, cells, strict=True))

    body = "\n".join(f"<tr>{line(cells, 'td')}</tr>" for cells in rows)
    return f'<div class="scroll"><table><tr>{line(heading, "th")}</tr>\n{body}</table></div>'


def plot(measure: str, numbers: np.ndarray) -> str:
    """A histogram with its median as a line; nothing where nothing was measured."""
    if not len(numbers):
        return ""
    counts, edges = histogram(numbers)
    step = WIDTH / len(counts)
    bars = []
    for place, count in enumerate(counts):
        height = HEIGHT * count / counts.max()
        about = f"{edges[place]:.3g} to {edges[place + 1]:.3g}: {count}"
        box = f'x="{place * step:.1f}" y="{HEIGHT - height:.1f}" width="{step - 1:.1f}" height="{height:.1f}"'
        bars.append(f"<rect {box}><title>{about}</title></rect>")
    median = float(np.median(numbers))
    at = np.clip((median - edges[0]) / (edges[-1] - edges[0]), 0, 1) * WIDTH
    label = f'y="{HEIGHT + 15}"'
    return (
        f'<figure><figcaption>{escape(measure)}</figcaption><svg width="{WIDTH}" height="{HEIGHT + 20}" role="img" '
        f'aria-label="{escape(measure)}: median {median:.3g}">{"".join(bars)}'
        f'<line x1="{at:.1f}" y1="0" x2="{at:.1f}" y2="{HEIGHT}"/>'
        f'<text x="0" {label}>{edges[0]:.3g}</text><text x="{WIDTH / 2}" {label} text-anchor="middle">median '
        f'{median:.3g}, {len(numbers)} rows</text><text x="{WIDTH}" {label} text-anchor="end">{edges[-1]:.3g}</text>'
        "</svg></figure>"
    )


def overview(report: Report) -> str:
    if not report.found:
        return "<p>Nothing looks wrong.</p>"
    rows = [
        [KINDS[kind].title, KINDS[kind].remedy, "yes" if KINDS[kind].drop else "no", str(len(group))]
        for kind, group in report.found.items()
    ]
    return table(["", "remedy", "on the list", "rows"], rows, numbers_from=3)


def listing(kind: str, group: list[Finding], clips: dict[tuple[str, int], str]) -> str:
    lines = []
    for one in group[:LISTED]:
        clip = clips.get((one.row.split, one.row.index))
        player = f'<audio controls preload="none" src="{clip}"></audio>' if clip and kind not in UNHEARD else ""
        cells = [f"<bdi>{escape(cell)}</bdi>" for cell in (one.row.id or "-", one.detail, one.row.text)]
        lines.append(
            f"<tr><td class=id>{cells[0]}</td><td>{cells[1]}</td><td>{cells[2]}</td><td class=play>{player}</td></tr>"
        )
    more = f"<p class=dim>{len(group) - LISTED} more.</p>" if len(group) > LISTED else ""
    heading = f"<h3>{escape(KINDS[kind].title)} ({len(group)})</h3>"
    return heading + f'<div class="scroll"><table class=rows>{"".join(lines)}</table></div>{more}'


def clips_of(surveyor: Surveyor, found: dict[str, list[Finding]]) -> dict[tuple[str, int], str]:
    """The recordings of the worst findings of each kind, at most CLIP_S seconds of each, as data URLs."""
    rows = {
        (one.row.split, one.row.index): one.row
        for kind, group in found.items()
        if kind not in UNHEARD
        for one in group[:PLAYED]
    }
    clips = {}
    for row, utterance in surveyor.again(list(rows.values()), "Cutting clips"):
        try:
            wave_N = decode_audio(utterance.audio, CLIP_RATE_HZ, name=utterance.id)
        except UserError:
            continue  # it is among the findings
        file = io.BytesIO()
        soundfile.write(file, wave_N[: round(CLIP_S * CLIP_RATE_HZ)], CLIP_RATE_HZ, format="WAV", subtype="PCM_16")
        clips[row.split, row.index] = "data:audio/wav;base64," + base64.b64encode(file.getvalue()).decode()
    return clips

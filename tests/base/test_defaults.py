"""What can be named and what holds by default stands in one place each."""

from __future__ import annotations

import ast
import inspect
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

import surrogate
from surrogate import families
from surrogate.answers import Fit, laws_on_cells
from surrogate.answers.simulate import simulate
from surrogate.base import defaults
from surrogate.cli import groups, options
from surrogate.cli.commands import ask, laws, runs
from surrogate_kernels import backends, dispatch

ROOT = Path(__file__).resolve().parents[2]
FILES = [*(ROOT / "surrogate").rglob("*.py"), *(ROOT / "kernels").glob("*.py")]
TREES = {str(f.relative_to(ROOT)): ast.parse(f.read_text("utf-8")) for f in FILES}
# Two words of each list: who writes both writes the list.
LISTS = {
    "families": {"quadratic", "bowl"},
    "kinds of loss": {"train", "validation"},
    "counts of parameters": {"non_embedding", "total"},
    "devices": {"auto", "gpu"},
    "backends": {"numpy", "xla", "mosaic"},
}
# Arguments whose defaults have a name.
NAMED = {"tol", "probability", "p_max", "bootstrap", "draws", "terms", "max_dropped"}


def sequences(tree: ast.Module) -> Iterator[set[Any]]:
    """The strings of each tuple, list and set that is written out."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Tuple | ast.List | ast.Set):
            yield {e.value for e in node.elts if isinstance(e, ast.Constant)}


@pytest.mark.parametrize("words", LISTS.values(), ids=list(LISTS))
def test_a_list_is_written_once(words: set[str]) -> None:
    homes = [
        name
        for name, tree in TREES.items()
        for found in sequences(tree)
        if words <= found
    ]
    assert len(homes) == 1, homes


def test_the_answers_schema_is_written_once() -> None:
    homes = [
        name
        for name, tree in TREES.items()
        for node in tree.body
        if isinstance(node, ast.Assign) and ast.unparse(node.targets[0]) == "SCHEMA"
    ]
    # A fit's manifest counts its own.
    assert sorted(homes) == [
        "surrogate/base/defaults.py",
        "surrogate/storage/archive.py",
    ]


def typed_defaults(tree: ast.Module) -> Iterator[tuple[str, str, Any]]:
    """Function, argument and value of each default that is a literal."""
    for node in ast.walk(tree):
        if not isinstance(node, ast.FunctionDef):
            continue
        first = [*node.args.posonlyargs, *node.args.args]
        pairs = [
            *zip(reversed(first), reversed(node.args.defaults), strict=False),
            *zip(node.args.kwonlyargs, node.args.kw_defaults, strict=True),
        ]
        for argument, value in pairs:
            if isinstance(value, ast.Constant) and value.value is not None:
                yield node.name, argument.arg, value.value


@pytest.mark.parametrize("file", TREES)
def test_no_default_that_has_a_name_is_typed(file: str) -> None:
    assert [d for d in typed_defaults(TREES[file]) if d[1] in NAMED] == []


def default(function: Any, name: str) -> Any:
    return inspect.signature(function).parameters[name].default


def test_commands_and_functions_agree() -> None:
    for name in ("family", "terms", "bootstrap", "seed", "device", "backend"):
        assert default(runs.fit, name) == default(surrogate.fit, name), name
    assert default(runs.demo, "seed") == default(simulate, "seed")
    assert default(laws.compare, "seed") == default(
        laws_on_cells.score_surrogate, "seed"
    )
    read = {"tol": "--tol", "probability": "--probability", "p_max": "--p-max"}
    for command, function in (
        (ask.optimum, Fit.optimum),
        (ask.plateau, Fit.plateau),
        (ask.regret, Fit.regret),
    ):
        whole = groups.spread(command)
        for name in read.keys() & inspect.signature(whole).parameters.keys():
            typed = options.share(read[name], default(whole, name))
            assert typed == default(function, name), (command, name)
    assert options.share("", options.MAX_DROPPED) == defaults.MAX_DROPPED


def test_names_are_those_that_run() -> None:
    assert backends.NAMES == ("auto", "numpy", *dispatch.BATCHED)
    for name in defaults.SINGLE_FAMILIES:
        assert families.make(name, families.Shape(2, 2, 0), 3).name == name
    assert families.MIX in defaults.FAMILIES

"""Nothing is in the library that no verb of it can reach."""

from __future__ import annotations

import ast
import re
from collections import Counter
from pathlib import Path

import pytest

from surrogate_kernels.dispatch import Operations

ROOT = Path(__file__).resolve().parents[1]
FILES = [*(ROOT / "surrogate").rglob("*.py"), *(ROOT / "kernels").glob("*.py")]
# What only a test or a script reaches, and why it may.
MAY = {
    "__getattr__": "Python calls it",
    "__dir__": "Python calls it",
    "interpreter": "the kernels are certified with it",
    "log_sum_exp_cost": "the definition of the kernel that fits a posynomial",
}


def mentioned(tree: ast.Module) -> list[str]:
    """Names, attributes and words in quotes; what is only imported or defined not."""
    found = []
    for node in ast.walk(tree):
        if isinstance(node, ast.Name):
            found.append(node.id)
        elif isinstance(node, ast.Attribute):
            found.append(node.attr)
        elif isinstance(node, ast.Constant) and re.fullmatch(
            r"[A-Za-z_]\w*", str(node.value)
        ):
            found.append(str(node.value))
    return found


TREES = {file: ast.parse(file.read_text(encoding="utf-8")) for file in FILES}
MENTIONS = Counter(word for tree in TREES.values() for word in mentioned(tree))
DEFINED = [
    (f"{file.parent.name}/{file.name}", node.name)
    for file, tree in TREES.items()
    for node in tree.body
    if isinstance(node, ast.FunctionDef | ast.ClassDef)
]


def test_every_function_and_class_is_used_by_the_library() -> None:
    idle = [one for one in DEFINED if not MENTIONS[one[1]] and one[1] not in MAY]
    assert idle == []


def test_what_may_stay_is_still_there_and_still_idle() -> None:
    names = {name for _, name in DEFINED}
    assert {n for n in MAY if n not in names or MENTIONS[n]} == set()


@pytest.mark.parametrize("operation", Operations._fields)
def test_a_family_or_the_engine_calls_every_operation(operation: str) -> None:
    called = [
        node.attr
        for file, tree in TREES.items()
        if "surrogate" in file.relative_to(ROOT).parts
        for node in ast.walk(tree)
        if isinstance(node, ast.Attribute)
    ]
    assert operation in called

"""What a docstring names in backticks exists: a reader who looks for it finds it."""

from __future__ import annotations

import ast
import importlib
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).resolve().parents[1]
PACKAGES = {ROOT / "surrogate": "surrogate", ROOT / "kernels": "surrogate_kernels"}
# A name, dotted or not, perhaps called or as a keyword; all else is code or a command.
NAMED = re.compile(r"([A-Za-z_]\w*(?:\.[A-Za-z_]\w*)*)(?:=|\(.*\))?")
# Of other packages and of the system, under the names by which they are known.
FOREIGN = {"jax", "pl", "plgpu", "Delaunay", "vm", "xaxis", "yaxis", "taskset"}
# Extras of the package, as pip takes them.
EXTRAS = {"plot"}


def module_name(file: Path) -> str:
    home = next(folder for folder in PACKAGES if folder in file.parents)
    parts = file.relative_to(home).with_suffix("").parts
    return ".".join((PACKAGES[home], *(p for p in parts if p != "__init__")))


MODULES = {file: module_name(file) for root in PACKAGES for file in root.rglob("*.py")}
TREES = {file: ast.parse(file.read_text(encoding="utf-8")) for file in MODULES}


def known_in(tree: ast.Module) -> set[str]:
    """Every name and every word of a string that the code of a file holds."""
    found: set[str] = set()
    docs = {id(node) for node, _ in documented(tree)}
    for node in ast.walk(tree):
        if isinstance(node, ast.Name):
            found.add(node.id)
        elif isinstance(node, ast.Attribute):
            found.add(node.attr)
        elif isinstance(node, ast.FunctionDef | ast.ClassDef):
            found.add(node.name)
        elif isinstance(node, ast.arg | ast.keyword):
            found.add(node.arg or "")
        elif isinstance(node, ast.ImportFrom):
            found |= set((node.module or "").split("."))
            found |= {alias.asname or alias.name for alias in node.names}
        elif isinstance(node, ast.Import):
            found |= {alias.asname or alias.name for alias in node.names}
        elif isinstance(node, ast.Constant) and id(node) not in docs:
            found |= set(re.findall(r"\w+", str(node.value)))
    return found


def documented(tree: ast.Module) -> Iterator[tuple[ast.Constant, str]]:
    """Docstrings, each with its node."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Module | ast.FunctionDef | ast.ClassDef):
            body = node.body[0] if node.body else None
            if isinstance(body, ast.Expr) and isinstance(body.value, ast.Constant):
                yield body.value, str(body.value.value)


KNOWN = {file: known_in(tree) for file, tree in TREES.items()}
DEFINED = {
    node.name
    for tree in TREES.values()
    for node in ast.walk(tree)
    if isinstance(node, ast.FunctionDef | ast.ClassDef)
}
# Words that a user types or reads: a family, a device, a kind. What has a definition is
# named with its module, or in the file that imports it.
WORDS = {
    node.value
    for tree in TREES.values()
    for node in ast.walk(tree)
    if isinstance(node, ast.Constant) and isinstance(node.value, str)
} - DEFINED
HOMES: dict[str, str] = {name.split(".")[-1]: name for name in MODULES.values()}
CLASSES: dict[str, str] = {
    node.name: MODULES[file]
    for file, tree in TREES.items()
    for node in tree.body
    if isinstance(node, ast.ClassDef)
}


def has(holder: Any, name: str) -> bool:
    return hasattr(holder, name) or name in getattr(holder, "__annotations__", {})


def exists(dotted: str) -> bool:
    """Whether a name that begins with a module or class of ours leads anywhere."""
    head, *rest = dotted.split(".")
    if head in CLASSES:
        holder = getattr(importlib.import_module(CLASSES[head]), head)
    else:
        holder = importlib.import_module(HOMES[head])
    for name in rest:
        if not has(holder, name):
            submodule = f"{getattr(holder, '__name__', '')}.{name}"
            if submodule not in MODULES.values():
                return False
            holder = importlib.import_module(submodule)
        else:
            holder = getattr(holder, name, None)
    return True


def lost(file: Path, text: str) -> list[str]:
    """Names of a docstring that lead nowhere."""
    found = []
    for quoted in re.findall(r"`([^`]+)`", text):
        match = NAMED.fullmatch(quoted)
        if not match:
            continue
        head, *rest = match[1].split(".")
        if head in FOREIGN | EXTRAS:
            continue
        if rest:
            is_there = (head in HOMES or head in CLASSES) and exists(match[1])
        else:
            is_there = head in KNOWN[file] | WORDS or head in HOMES
        if not is_there:
            found.append(quoted)
    return found


@pytest.mark.parametrize("file", MODULES, ids=MODULES.values())
def test_what_docstrings_name_exists(file: Path) -> None:
    names = [name for _, text in documented(TREES[file]) for name in lost(file, text)]
    assert names == []


def test_names_that_lead_nowhere_are_seen() -> None:
    file = ROOT / "surrogate" / "base" / "errors.py"
    text = "`DataError` and `throw=`, `Status.ok`, `units.no_such`, `Fit`, `a < b`."
    assert lost(file, text) == ["throw=", "units.no_such", "Fit"]
    assert lost(file, "`Fit.plateau`, `Stability.of`, `Runs.repeats()`") == []

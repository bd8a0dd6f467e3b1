"""The rooms: imports point one way, low rooms stay light, nothing forbidden is used."""

from __future__ import annotations

import ast
import importlib
import json
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).resolve().parents[1]


STRUCTURE: Any = importlib.import_module("structure")
# A file may import only from rooms before its own, and from its own.
ROOMS = STRUCTURE.ROOMS
LIGHT = ("base.errors", "base.units", "data", "data.readers", "data.released", "laws")
FILES = sorted((ROOT / "surrogate").rglob("*.py"))
KERNELS = sorted((ROOT / "kernels").rglob("*.py"))


def room_of(file: Path) -> str:
    first = file.relative_to(ROOT / "surrogate").parts[0]
    return first.removesuffix(".py")


def imported(tree: ast.AST) -> Iterator[tuple[int, str]]:
    """Line and dotted name of everything that is imported, at any depth."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from ((node.lineno, alias.name) for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"line {node.lineno}: relative import"
            base = node.module or ""
            yield from ((node.lineno, f"{base}.{alias.name}") for alias in node.names)


def layer_faults(source: str, room: str) -> list[str]:
    """Imports of rooms that stand after `room`."""
    faults = []
    for line, name in imported(ast.parse(source)):
        parts = name.split(".")
        if parts[0] == "surrogate" and len(parts) > 1 and parts[1] in ROOMS:
            if ROOMS.index(parts[1]) > ROOMS.index(room):
                faults.append(f"line {line}: {room} imports {parts[1]}")
    return faults


def forbidden(source: str, *, may_print: bool) -> list[str]:
    """Calls and imports that the house does not allow."""
    tree = ast.parse(source)
    faults = [
        f"line {line}: imports {name}"
        for line, name in imported(tree)
        if name.split(".")[0] in {"pickle", "cloudpickle", "dill", "marshal", "shelve"}
    ]
    for node in ast.walk(tree):
        if not isinstance(node, ast.Call):
            continue
        called = ast.unparse(node.func)
        banned = {"eval", "exec", "os.system"} | (set() if may_print else {"print"})
        if called in banned or called.endswith("config.update"):
            faults.append(f"line {node.lineno}: calls {called}")
        if any(key.arg == "shell" for key in node.keywords):
            faults.append(f"line {node.lineno}: runs a shell")
        if any(key.arg == "allow_pickle" for key in node.keywords):
            faults.append(f"line {node.lineno}: allows pickle")
    return faults


def run_python(code: str, folder: Path) -> str:
    """Runs code in a fresh interpreter, away from the checkout; returns its stdout."""
    done = subprocess.run(
        [sys.executable, "-c", code],
        cwd=folder,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.mark.parametrize("file", FILES, ids=lambda f: str(f.relative_to(ROOT)))
def test_imports_point_only_to_lower_rooms(file: Path) -> None:
    if file == ROOT / "surrogate" / "__init__.py":
        pytest.skip("the package itself only names where its public names live")
    room = room_of(file)
    assert room in ROOMS, f"{room} has no place in the order of rooms"
    assert layer_faults(file.read_text(), room) == []


def test_no_files_import_one_another_in_a_circle() -> None:
    files = {STRUCTURE.module(file): file for file in STRUCTURE.sources()}
    graph = {name: STRUCTURE.imports(file, files) for name, file in files.items()}
    assert len(graph) == len(FILES) - 1
    assert STRUCTURE.circle(graph) is None


def test_circle_check_sees_one() -> None:
    assert STRUCTURE.circle({"a": {"b"}, "b": {"c"}, "c": {"a"}}) is not None
    assert STRUCTURE.circle({"a": {"b", "c"}, "b": {"c"}, "c": set()}) is None


def test_structure_counts_all_but_commands_and_what_people_call() -> None:
    package = ROOT / "surrogate"
    commands = STRUCTURE.public(package / "cli" / "commands" / "runs.py")
    assert {"fit", "check"} <= commands
    assert "_fit" not in commands
    assert "read_runs" in STRUCTURE.public(package / "data" / "readers" / "__init__.py")
    assert "plot_surface" in STRUCTURE.public(
        package / "views" / "plots" / "surface.py"
    )
    # A module's function is not public for having the name of a verb.
    assert "plateau" not in STRUCTURE.public(package / "answers" / "plateau.py")
    counted = {name.split()[-1] for name, _ in STRUCTURE.functions()}
    assert {"plateau", "_fit", "log_sum_exp"} <= counted
    assert not {"read_runs", "plot_surface"} & counted


def test_layer_check_sees_each_form_of_import() -> None:
    planted = (
        "import surrogate.answers\n"
        "from surrogate import storage\n"
        "def f():\n"
        "    from surrogate.cli.main import main\n"
        "from surrogate.base.errors import DataError\n"
    )
    assert layer_faults(planted, "base") == [
        "line 1: base imports answers",
        "line 2: base imports storage",
        "line 4: base imports cli",
    ]


@pytest.mark.parametrize("file", KERNELS, ids=lambda f: str(f.relative_to(ROOT)))
def test_kernels_never_import_surrogate(file: Path) -> None:
    names = [name for _, name in imported(ast.parse(file.read_text()))]
    assert not [n for n in names if n.split(".")[0] == "surrogate"]


@pytest.mark.parametrize(
    "file", [*FILES, *KERNELS], ids=lambda f: str(f.relative_to(ROOT))
)
def test_nothing_forbidden_is_used(file: Path) -> None:
    may_print = (ROOT / "surrogate" / "cli") in file.parents
    assert forbidden(file.read_text(), may_print=may_print) == []


@pytest.mark.parametrize(
    "line",
    [
        "import pickle",
        "from pickle import loads",
        "eval('1')",
        "exec('1')",
        "print(1)",
        "jax.config.update('jax_enable_x64', True)",
        "subprocess.run('ls', shell=True)",
        "np.load('f', allow_pickle=True)",
    ],
)
def test_forbidden_check_sees(line: str) -> None:
    assert len(forbidden(line, may_print=False)) == 1


def test_every_package_is_in_the_distribution() -> None:
    settings = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]
    found = {
        ".".join(file.parent.relative_to(ROOT).parts)
        for file in FILES
        if file.name == "__init__.py"
    }
    listed = set(settings["setuptools"]["packages"])
    assert found | {"surrogate_kernels"} == listed


def test_light_rooms_import_no_jax(tmp_path: Path) -> None:
    rooms = ", ".join(f"surrogate.{room}" for room in LIGHT)
    code = f"import sys, surrogate, {rooms}; print('jax' in sys.modules)"
    assert run_python(code, tmp_path).strip() == "False"


def test_library_flips_no_flag_of_jax(tmp_path: Path) -> None:
    code = """
import importlib, json, pkgutil, jax
before = dict(jax.config.values)
import surrogate, surrogate_kernels
for package in (surrogate, surrogate_kernels):
    for module in pkgutil.walk_packages(package.__path__, package.__name__ + "."):
        importlib.import_module(module.name)
after = dict(jax.config.values)
print(json.dumps([key for key in before if before[key] != after[key]]))
"""
    assert json.loads(run_python(code, tmp_path)) == []


def test_public_names_resolve_and_others_do_not(tmp_path: Path) -> None:
    code = """
import surrogate
print(all(getattr(surrogate, name) is not None for name in surrogate.__all__))
print(set(surrogate.__all__) <= set(dir(surrogate)))
"""
    assert run_python(code, tmp_path).split() == ["True", "True"]


def test_unknown_public_name_is_an_attribute_error() -> None:
    import surrogate

    with pytest.raises(AttributeError, match="has no attribute 'fitt'"):
        surrogate.fitt  # noqa: B018


def test_no_public_name_is_that_of_a_room() -> None:
    import surrogate

    assert not set(surrogate.__all__) & set(ROOMS)

"""Fits end: no program waits on XLA's own threads, small fits in real processes."""

from __future__ import annotations

import ast
import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from surrogate.families import NAMES, Linear, Shape, make
from surrogate.fitting import irls
from surrogate.numerics import normal_equations, row_weights

ROOT = Path(__file__).resolve().parents[2]
CASE = Path(__file__).parents[1] / "cases" / "recipes11_cells121.csv"
# The definition that tests hold fast versions against; no verb runs it.
REFERENCE = ROOT / "kernels" / "ref.py"
LAPACK = ("jax.numpy.linalg", "jax.scipy", "jax.lax.linalg")


def imported(tree: ast.Module) -> Iterator[str]:
    """Full names of what a file takes from jax, also by attribute."""
    names: dict[str, str] = {}
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            names |= {(a.asname or a.name).split(".")[0]: a.name for a in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            names |= {a.asname or a.name: f"{node.module}.{a.name}" for a in node.names}
    for node in ast.walk(tree):
        if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name):
            yield f"{names.get(node.value.id, node.value.id)}.{node.attr}"
    yield from names.values()


def test_nothing_that_runs_calls_lapack() -> None:
    found = {
        file.name
        for room in ("surrogate", "kernels")
        for file in (ROOT / room).rglob("*.py")
        for name in imported(ast.parse(file.read_text()))
        if file != REFERENCE and name.startswith(LAPACK)
    }
    assert not found, "batches of LAPACK wait on XLA's threads: see docs/log.md"
    # The test sees what it looks for.
    assert any(n.startswith(LAPACK) for n in imported(ast.parse(REFERENCE.read_text())))


@pytest.mark.once
@pytest.mark.parametrize("name", NAMES)
def test_programs_hold_no_foreign_calls(name: str) -> None:
    family = make(name, Shape(2, 2, 0), 3)
    rng = np.random.default_rng(5)
    z, counts = rng.normal(size=(40, 4)), np.ones((8, 40))
    with jax.enable_x64(True):
        if isinstance(family, Linear):
            plan = row_weights.given(counts)
            products = normal_equations.products(family, z, rng.normal(size=40), plan)
            program = normal_equations.solve_blocks.lower(
                family, 8, products, counts, np.int32(8)
            )
        else:
            low, high = -jnp.ones(2), jnp.ones(2)
            theta = jnp.zeros((8, family.size))
            cell = np.zeros(40, np.int64)
            program = irls._evaluate.lower(family, theta, z, z[:1, 2:], cell, low, high)
        text = program.compile().as_text() or ""
    assert "lapack" not in text
    assert "custom_call_target" not in text


@pytest.mark.once
def test_small_fits_and_the_table_that_hung_end() -> None:
    """By `bench/hang.py`: a process each, which has five minutes."""
    command = [sys.executable, str(ROOT / "bench" / "hang.py"), "--quick", "--json"]
    done = subprocess.run(
        [*command, "--case", str(CASE)], capture_output=True, text=True, check=False
    )
    document: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    assert document == {"bench": "hang", "fits": 7, "hung": 0}
    assert done.returncode == 0

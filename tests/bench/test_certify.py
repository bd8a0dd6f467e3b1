"""Answers against other people's solvers; a long form writes docs/numerics.md."""

from __future__ import annotations

import importlib
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from support import nist
from support.numerics import digits


@pytest.mark.parametrize("name", ["quadratic", "additive", "posynomial", "bowl"])
def test_formulas_at_fifty_digits(name: str) -> None:
    # Independent code: mpmath, from the docstrings. Tolerance: rounding of a few sums.
    pytest.importorskip("mpmath")
    exact = importlib.import_module("trust.certify_exact")
    found = exact.compare(name, 4, base=exact.guessed(name))
    assert found.interior
    assert max(found.loss, found.lowest) < 1e-12
    assert found.settings < 1e-10


def test_fits_of_a_quadratic_as_semidefinite_programs() -> None:
    # Independent code: CVXPY and Clarabel. Tolerance: where an interior-point method
    # ends on a cone.
    pytest.importorskip("cvxpy")
    found = importlib.import_module("trust.certify_convex").quadratic_fits(2)
    assert found.bound == 1
    assert found.loss < 1e-7
    assert found.settings < 1e-5


def test_optima_of_a_posynomial_as_geometric_programs() -> None:
    # Likewise; the root of its gap for the place.
    pytest.importorskip("cvxpy")
    convex = importlib.import_module("trust.certify_convex")
    found = convex.posynomial_optima(2, is_quick=True)
    assert found.loss < 1e-7
    assert found.settings < 1e-5


def lanczos(mp: Any, y: list[Any], x: list[Any], start: list[Any]) -> list[Any]:
    """Standard errors of three exponentials at 50 digits: Gauss and Newton's steps."""
    b = mp.matrix(start)
    for _ in range(8):
        rest, inverse, step = _step(mp, y, x, b)
        b += step
    rest, inverse, step = _step(mp, y, x, b)
    assert mp.norm(step) < mp.mpf(10) ** -35
    squares = sum(r**2 for r in rest)
    return [mp.sqrt(squares / (len(x) - 6) * inverse[k, k]) for k in range(6)]


def _step(mp: Any, y: list[Any], x: list[Any], b: Any) -> tuple[Any, Any, Any]:
    """Residuals, the inverse of J'J, and a step."""
    jacobian, rest = mp.matrix(len(x), 6), mp.matrix(y)
    for i, t in enumerate(x):
        for k in (0, 2, 4):
            wave = mp.exp(-b[k + 1] * t)
            jacobian[i, k], jacobian[i, k + 1] = wave, -b[k] * t * wave
            rest[i] -= b[k] * wave
    inverse = (jacobian.T * jacobian) ** -1
    return rest, inverse, inverse * (jacobian.T * rest)


def test_what_float64_leaves_of_the_standard_errors_of_lanczos1(
    data_dir: Path,
) -> None:
    # Independent code: mpmath. The responses as NIST prints them give what NIST
    # certifies; rounded to float64, as any table of ours is, they give two digits,
    # whatever solves them.
    mp = pytest.importorskip("mpmath").mp
    file = data_dir / "nist_strd" / "Lanczos1.dat"
    if not file.exists():
        pytest.skip(f"no {file}")
    certified = nist.read(file)
    lines = [line.split() for line in file.read_text().splitlines()[60:84]]
    with mp.workdps(50):
        y, x = ([mp.mpf(line[k]) for line in lines] for k in (0, 1))
        start = list(map(mp.mpf, certified.certified.tolist()))
        exact = lanczos(mp, y, x, start)
        ours = lanczos(mp, [mp.mpf(float(value)) for value in y], x, start)
    both = [digits(np.array(e, float), certified.deviation) for e in (exact, ours)]
    assert both[0].min() > 9
    assert 1 < both[1].max() < 4

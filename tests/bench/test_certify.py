"""Answers against other people's solvers; a long form writes docs/numerics.md."""

from __future__ import annotations

import importlib

import pytest


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

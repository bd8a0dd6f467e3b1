"""The solver in NumPy on NIST's certified nonlinear regressions, from start 2."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from support.nist import FORMULAS, read
from support.nist_solvers import deviation_digits, reach, solve

from surrogate.numerics.newton_step import LIMIT, STUCK


@pytest.mark.once
@pytest.mark.parametrize("name", FORMULAS)
def test_parameters_and_standard_errors(data_dir: Path, name: str) -> None:
    # Independent code: NIST's, in quadruple precision. Of the eleven digits certified
    # nine, and eight of a standard error where rounding of y leaves as many.
    file = data_dir / "nist_strd" / f"{name}.dat"
    if not file.is_file():
        pytest.skip(f"no {file}")
    problem = read(file)
    found = reach(name, problem, 2, "numpy")
    assert found.is_ok
    assert found.theta >= 9
    assert found.deviation >= min(8, deviation_digits(problem) - 0.5)


def test_a_start_that_does_not_arrive_is_not_called_converged(data_dir: Path) -> None:
    file = data_dir / "nist_strd" / "Roszman1.dat"
    if not file.is_file():
        pytest.skip(f"no {file}")
    found = solve("Roszman1", read(file), 1, "numpy", tolerance=1e-14)
    assert found.status[0] in (LIMIT, STUCK)
    assert np.isfinite(found.v).all()

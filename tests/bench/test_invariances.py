"""What must not change an answer; `bench/invariances.py` has the long form."""

from __future__ import annotations

import importlib

import numpy as np
import pytest

invariances = importlib.import_module("invariances")


@pytest.mark.parametrize("name", invariances.PROPERTIES)
def test_answers_stay(name: str) -> None:
    # Property. Tolerance: 1 is what rounding, weak priors or a solver's tolerance
    # allow, as the property says.
    found = invariances.run(name, 3)
    assert found.cases == 3
    assert found.worst <= 1, found.where


def test_a_change_that_means_something_is_seen() -> None:
    case = invariances.Case(7, 6, 1e-3, 2.0)
    one = invariances.table(case)
    other = one | {"loss": one["loss"] * (1 + 1e-6 * np.arange(len(one["loss"])))}
    moved = np.abs(invariances.answer(one) - invariances.answer(other)).max()
    assert moved > 1e-6

"""What must not change an answer; `bench/invariances.py` has the long form."""

from __future__ import annotations

import importlib
from pathlib import Path

import numpy as np
import pytest

invariances = importlib.import_module("invariances")
properties = importlib.import_module("trust.properties")


@pytest.mark.parametrize("name", invariances.PROPERTIES)
def test_answers_stay(name: str) -> None:
    # Property. Tolerance: 1 is what rounding, weak priors or a solver's tolerance
    # allow, as the property says.
    found = invariances.run(name, 3)
    assert found.cases == 3
    assert found.worst <= 1, found.where


def test_a_change_that_means_something_is_seen() -> None:
    case = properties.Case(7, 6, 1e-3, 2.0)
    one = properties.table(case)
    other = one | {"loss": one["loss"] * (1 + 1e-6 * np.arange(len(one["loss"])))}
    moved = np.abs(properties.answer(one) - properties.answer(other)).max()
    assert moved > 1e-6


def test_a_run_of_invariances_goes_on_where_it_ended(tmp_path: Path) -> None:
    store = tmp_path / "store.json"
    for cases in (2, 3):
        found = invariances.grown(["row_twice"], cases, store)
        assert found["row_twice"]["cases"] == cases
    seconds = found["row_twice"]["seconds"]
    assert invariances.grown(["row_twice"], 3, store)["row_twice"]["seconds"] == seconds

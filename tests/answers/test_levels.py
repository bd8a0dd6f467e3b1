"""Scales of two or three values, and how far beyond them there are answers."""

from __future__ import annotations

from functools import cache
from typing import Any

import numpy as np
import pytest
from support.grids import BATCH, table

from surrogate import Fit, fit
from surrogate.answers.limits.levels import few_levels
from surrogate.base.errors import Status
from surrogate.data import Runs


@cache
def sized(cells: int) -> Fit:
    """So many sizes, a factor of 2 apart, of 20 tokens a parameter."""
    runs = table(lambda x, y: 0.02 * x**2, 0, cells=cells)
    return fit(runs, family="quadratic", bootstrap=0)


def status(found: Fit, times: float) -> Status:
    """Of the optimum at so many times the smallest size."""
    return found.optimum(params=1e8 * times, tokens=2e9 * times).status


def test_two_sizes_are_answered_between_them_and_no_farther() -> None:
    found = sized(2)
    assert few_levels(found)["params"] == (2, 1e8, 2e8)
    assert status(found, 1.0) is status(found, 1.4) is status(found, 2.0) is Status.ok
    # 10 % to spare, as for a size that does not vary.
    assert status(found, 2.19) is Status.ok
    for times in (2.25, 8.0, 0.88):
        assert status(found, times) is Status.not_identifiable
    answer = found.optimum(params=8e8, tokens=1.6e10)
    said = answer.context.warnings[0]
    assert said.startswith("params takes 2 values in the fitted runs (100M to 200M)")
    assert answer.transfer is not None
    # The nearer end of what the runs tell is what is carried.
    assert answer.transfer.start.params == 2e8
    taken = found.optimum(params=8e8, tokens=1.6e10, transfer="step-law")
    assert taken.status is Status.ok


def test_three_sizes_are_answered_up_to_ten_times_beyond_and_never_inside() -> None:
    found = sized(3)
    assert found.optimum(params=2e8, tokens=4e9).context.inside
    assert found.optimum(params=4e8, tokens=8e9).context.inside
    for times in (4.2, 16.0, 40.0, 0.9, 0.1):
        answer = found.optimum(params=1e8 * times, tokens=2e9 * times)
        assert answer.status is Status.ok
        assert not answer.context.inside
        assert answer.context.distance > 1
    for times in (45.0, 0.09):
        assert status(found, times) is Status.not_identifiable
    assert (
        "up to 10 times beyond"
        in found.optimum(params=1e10, tokens=2e11).context.warnings[0]
    )


def test_beyond_three_sizes_is_not_inside_though_the_leverage_is_small() -> None:
    """Tokens spread widely: a size just beyond, at their middle, is near the centre."""
    sizes = [(1e8 * 2.0**i, 1e9 * 4.0**j) for i in range(3) for j in range(4)]
    rows = [(lr, n, d) for n, d in sizes for lr in 1e-4 * 2.0 ** np.arange(5)]
    lr, n, d = np.array(rows).T
    loss = 3 * np.exp(0.02 * np.log(lr / 4e-4) ** 2) * (n / 1e8) ** -0.05
    runs = Runs.from_arrays(
        lr=lr, batch=np.full(lr.size, 131072.0), params=n, tokens=d, loss=loss
    )
    found = fit(runs, family="quadratic", bootstrap=0)
    near = found.optimum(params=4.2e8, tokens=8e9).context
    alone = found.features.distance(
        np.array([4.2e8]), np.array([8e9]), {}, {"lr": np.array([4e-4])}
    )
    assert alone[0] < 1 < near.distance
    assert not near.inside
    assert found.optimum(params=3.9e8, tokens=8e9).context.inside


def test_four_sizes_know_no_such_bound() -> None:
    assert not few_levels(sized(4))
    assert status(sized(4), 100.0) is Status.ok


@pytest.mark.parametrize("cells", [2, 3])
def test_all_answers_keep_to_it(cells: int) -> None:
    found = sized(cells)
    where: dict[str, Any] = {"params": 1e10, "tokens": 2e11}
    for answer in (
        found.plateau(**where),
        found.regret(**where, lr=1e-4, batch=131072.0),
    ):
        assert answer.status is Status.not_identifiable
    rows = found.predict(4e-4, 131072.0, [1e8, 1e10], [2e9, 2e11])
    assert rows.status == ("ok", "not_identifiable")
    assert np.isnan(rows.loss[1])
    assert rows.inside.tolist() == [True, False]


def test_fixed_steps_do_not_leave_the_line_of_tied_tokens() -> None:
    """Tokens = steps x batch; 20 tokens a parameter in the runs."""
    runs = table(lambda x, y: 0.02 * x**2 + 0.02 * y**2, 0, batch=BATCH, cells=3)
    found = fit(runs, family="quadratic", bootstrap=0)
    off = found.optimum(params=1e8, steps=2e10 / BATCH[0])
    assert off.status is Status.not_identifiable
    assert off.context.warnings[0].startswith("tokens moves with params")

"""One run that all others contradict is named and turns no answer; walls stay."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from surrogate import fit
from surrogate.base.errors import Status
from surrogate.data import Runs

WHERE: dict[str, Any] = {"params": 1.24e8, "tokens": 2.5e9}
LRS = 4e-4 * 2.0 ** np.arange(5)
BATCHES = 2.0 ** np.arange(16, 20)


def grid(changed: dict[int, float], hot: float = 0.0) -> Runs:
    """Five lr by four batches about lr 1.8e-3 and a batch of 2.6e5."""
    lr, batch = (part.ravel() for part in np.meshgrid(LRS, BATCHES))
    y = np.log(batch / 2.6e5)
    x = np.log(lr / 1.8e-3) - 0.4 * y
    noise = np.random.default_rng(4).standard_normal(lr.size)
    wall = hot * np.expm1(2 * np.maximum(x, 0))
    loss = 3.37 * np.exp(0.012 * x**2 + 0.006 * y**2 + wall + 0.001 * noise)
    for row, factor in changed.items():
        loss[row] *= factor
    size = np.ones(lr.size)
    return Runs.from_arrays(
        lr=lr, batch=batch, params=1.24e8 * size, tokens=2.5e9 * size, loss=loss
    )


def told(runs: Runs) -> list[str]:
    warnings = fit(runs, bootstrap=20).warnings
    return [text for text in warnings if "no smooth surface" in text]


@pytest.mark.parametrize(
    "changed", [{0: 0.95}, {4: 0.96}, {19: 1.08}, {7: 1.12}], ids=str
)
def test_one_run_that_cannot_be_is_named_and_turns_nothing(
    changed: dict[int, float],
) -> None:
    fitted = fit(grid(changed), bootstrap=20)
    found = fitted.optimum(**WHERE)
    assert found.status is Status.ok
    assert found.lr_interval[0] < 1.8e-3 < found.lr_interval[1]
    assert found.batch_interval[0] < 2.6e5 < found.batch_interval[1]
    (row,) = changed
    (said,) = [text for text in fitted.warnings if "no smooth surface" in text]
    assert said.startswith("1 of 20 runs lie")
    assert f"batch {int(BATCHES[row // 5]):,} tokens" in said


@pytest.mark.parametrize("hot", [0.0, 0.004, 0.02])
def test_bowls_and_hot_walls_have_none(hot: float) -> None:
    assert not told(grid({}, hot))


def test_few_cells_that_agree_by_more_than_noise_tell_a_side() -> None:
    """Two batches at four sizes: a coin falls so once in sixteen times."""
    rows = [
        (lr, batch, n, 20 * n, 0.02 * (batch < 2e5))
        for n in (3e7, 1e8, 3e8, 9e8)
        for batch in (2.0**16, 2.0**18)
        for lr in LRS
    ]
    lr, batch, params, tokens, worse = np.array(rows).T
    noise = 0.001 * np.random.default_rng(1).standard_normal(lr.size)
    bowl = 0.012 * np.log(lr / 1.6e-3) ** 2
    loss = (1.7 + 700 * params**-0.34) * np.exp(bowl + worse + noise)
    runs = Runs.from_arrays(lr=lr, batch=batch, params=params, tokens=tokens, loss=loss)
    found = fit(runs, family="quadratic", bootstrap=20).optimum(params=1e8, tokens=2e9)
    assert found.status is Status.at_bound
    assert found.context.one_sided["batch"]["side"] == "above"
    assert found.batch == pytest.approx(2.0**18)

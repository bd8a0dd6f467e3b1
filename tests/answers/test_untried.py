"""A batch, or an lr, that the runs do not vary is answered where they stand only."""

from __future__ import annotations

from functools import cache
from typing import Any

import numpy as np
import pytest

from surrogate import Fit, fit
from surrogate.base.errors import Status
from surrogate.data import Runs

LRS = 2e-4 * 2.0 ** np.arange(6)
SIZES = ((3e7, 6e8), (1e8, 2e9), (3e8, 6e9))
WHERE: dict[str, Any] = {"params": 1e8, "tokens": 2e9}


def loss_of(x: np.ndarray, params: float, tokens: float) -> np.ndarray:
    """A bowl about 1.6e-3, the noise a wave."""
    level = 1.7 + 400 * params**-0.34 + 410 * tokens**-0.28
    return level * (1 + 0.012 * x**2 + 0.0003 * np.sin(9 * x + params))


@cache
def sweep(batches: tuple[float, ...], last: float = 0.0) -> Fit:
    """Lr at three sizes, a batch each, and one run at a far size with a batch."""
    rows = []
    for (n, d), batch in zip(SIZES, batches, strict=True):
        losses = loss_of(np.log(LRS / 1.6e-3), n, d)
        rows += [(lr, batch, n, d, y) for lr, y in zip(LRS, losses, strict=True)]
    if last:
        rows.append((4e-4, last, 7e9, 1.4e11, 2.19))
    lr, batch, params, tokens, loss = np.array(rows).T
    runs = Runs.from_arrays(lr=lr, batch=batch, params=params, tokens=tokens, loss=loss)
    return fit(runs, family="quadratic", bootstrap=20)


ONE = (2.0**18,) * 3


@pytest.mark.parametrize("factor", [0.25, 2.0, 16.0])
def test_another_batch_than_all_runs_have_is_not_answered(factor: float) -> None:
    fitted, batch = sweep(ONE), factor * 2.0**18
    held = fitted.optimum(**WHERE, batch=batch)
    assert held.status is Status.not_identifiable
    assert "a batch of 262,144 tokens" in held.context.warnings[0]
    offer = held.to_json()["offer"]
    assert offer is not None
    assert offer["batch"] == 2.0**18
    assert offer["lr"] == pytest.approx(fitted.optimum(**WHERE).lr)
    lost = fitted.regret(**WHERE, lr=1.6e-3, batch=batch)
    assert lost.status is Status.not_identifiable
    assert not lost.is_inside
    assert fitted.plateau(**WHERE, batch=batch).status is Status.not_identifiable
    points = fitted.predict(lr=1.6e-3, batch=batch, **WHERE)
    assert points.status == ("not_identifiable",)
    surface = fitted.at(**WHERE)
    assert np.isnan(surface.probability_inside(1.6e-3, batch)).all()


def test_nearly_their_batch_is_theirs() -> None:
    """262,144 tokens, written as 250,000."""
    fitted = sweep(ONE)
    assert fitted.optimum(**WHERE, batch=2.5e5).status is Status.ok
    assert fitted.regret(**WHERE, lr=1.6e-3, batch=2.5e5).status is Status.ok
    assert fitted.predict(lr=1.6e-3, batch=2.5e5, **WHERE).status == ("ok",)


def test_a_single_run_does_not_tell_the_best_lr_at_its_batch() -> None:
    fitted = sweep(ONE, 2.0**20)
    far: dict[str, Any] = {"params": 7e9, "tokens": 1.4e11}
    held = fitted.optimum(**far, batch=2.0**20)
    assert held.status is Status.not_identifiable
    offer = fitted.optimum(**far).to_json()["offer"]
    assert offer is not None
    assert offer["batch"] == 2.0**18


def test_a_batch_that_follows_the_size_is_answered_along_it() -> None:
    fitted = sweep((2.0**16, 2.0**17.1, 2.0**18.2))
    assert fitted.optimum(**WHERE, batch=2.0**17.1).status is Status.ok
    beyond: dict[str, Any] = {"params": 9e8, "tokens": 1.8e10}
    assert fitted.optimum(**beyond, batch=2.0**19.2).status is Status.ok
    assert fitted.optimum(**WHERE, batch=2.0**19).status is Status.not_identifiable


@pytest.mark.parametrize("batches", [(2.0**16, 2.0**20, 2.0**17), (2.0**16, 2.0**20)])
def test_batches_that_follow_no_size_tell_of_the_nearest_cell_only(
    batches: tuple[float, ...],
) -> None:
    """Between two cells' batches nothing was tried, whatever their order is."""
    last = batches[-1] if len(batches) == 3 else 2.0**20
    fitted = sweep((*batches[:2], last))
    assert fitted.regret(**WHERE, lr=1.6e-3, batch=2.0**20).status is Status.ok
    for batch in (2.0**19, 2.0**18, 2.0**17):
        lost = fitted.regret(**WHERE, lr=1.6e-3, batch=batch)
        assert lost.status is Status.not_identifiable, batch
        assert "tokens, each size its own, and" in lost.context.warnings[0]
        held = fitted.optimum(**WHERE, batch=batch)
        assert held.status is Status.not_identifiable, batch

"""A measured level where no optimum is shown, and what changing a setting is worth."""

from __future__ import annotations

from functools import cache
from typing import Any

import numpy as np
import pytest
from support.grids import BATCH, table

from surrogate import Fit, fit
from surrogate.base.errors import Status
from surrogate.data import Runs

WHERE: dict[str, Any] = {"params": 1e8, "tokens": 2e9}


@cache
def few(loss: tuple[float, ...], batch: tuple[float, ...]) -> Fit:
    """Four lr at one batch, then others of the second lr."""
    lr = np.array([1e-3, 3e-3, 5e-3, 1e-2, *[3e-3] * (len(loss) - 4)])
    runs = Runs.from_arrays(
        lr=lr,
        batch=np.array(batch),
        params=np.full(len(loss), 1e8),
        tokens=np.full(len(loss), 2e9),
        loss=np.array(loss),
    )
    return fit(runs, family="quadratic", bootstrap=0)


FOUR = (1.0307, 0.9549, 0.9612, 0.9641)


def test_an_inner_level_is_offered_where_runs_are_too_few() -> None:
    found = few((*FOUR, 0.9549), (*[2.0**19] * 4, 2.0**18)).optimum(**WHERE)
    assert found.status is Status.not_identifiable
    assert found.to_json()["offer"] == {"lr": 3e-3, "batch": 2.0**19}
    said = found.context.warnings[0]
    assert "Of 4 values of lr that ran at a batch of 524,288 tokens" in said
    assert "the lowest is 7.94% worse, the highest 0.963%" in said
    assert said.endswith("a measured level, not a fitted optimum.")


@pytest.mark.parametrize("shift", [1, -1])
def test_the_end_of_what_ran_is_no_inner_level(shift: int) -> None:
    falling = (1.03, 1.01, 1.02, 0.95)[::shift]
    found = few(falling, tuple([2.0**19] * 4)).optimum(**WHERE)
    assert found.to_json()["offer"] is None


def test_a_held_batch_is_kept_to() -> None:
    fitted = few((*FOUR, 0.90), (*[2.0**19] * 4, 2.0**18))
    held = fitted.optimum(**WHERE, batch=2.0**19)
    assert held.to_json()["offer"] == {"lr": 3e-3, "batch": 2.0**19}
    # At the other batch one lr ran.
    assert fitted.optimum(**WHERE, batch=2.0**18).to_json()["offer"] is None


def test_changing_a_setting_stops_at_what_was_tried() -> None:
    """Two batches, the smaller better: none smaller is what changing is worth."""
    runs = table(lambda x, y: 0.02 * x**2 + 0.05 * y, 0, batch=BATCH[:2], cells=5)
    found = fit(runs, family="quadratic", bootstrap=20)
    lost = found.regret(**WHERE, lr=4e-4, batch=BATCH[1]).to_json()
    assert lost["change"]["batch"]["best"] == pytest.approx(BATCH[0], rel=1e-6)


def test_a_setting_without_a_best_has_none_to_change_to() -> None:
    runs = table(lambda x, y: 0.02 * x**2 - 0.03 * y**2, 0, batch=BATCH, cells=5)
    found = fit(runs, family="quadratic", bootstrap=20)
    lost = found.regret(**WHERE, lr=8e-4, batch=BATCH[1]).to_json()
    assert lost["change"]["batch"] is None
    assert lost["change"]["lr"]["best"] == pytest.approx(4e-4, rel=0.2)


def test_a_plateau_without_any_best_has_no_loss() -> None:
    """Batch is told on one side only, lr not at all."""
    rng = np.random.default_rng(4)
    runs = table(
        lambda x, y: 0.05 * y + 0.02 * rng.normal(size=x.size),
        0,
        batch=BATCH[:2],
        cells=5,
    )
    found = fit(runs, family="quadratic", bootstrap=20)
    flat = found.plateau(**WHERE)
    assert flat.status is Status.not_identifiable
    document = flat.to_json()
    assert document["loss_min"] is document["loss_limit"] is None
    assert document["largest_batch"] is None
    texts = " ".join(flat.context.warnings)
    assert texts.count("The lowest batch is best in 5 of 5 cells") == 1

"""Learning rates that went unstable, where too few did to tell an edge."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from support.grids import BATCH, LR, table, with_marks

from surrogate import Fit, fit, load
from surrogate.answers.limits.unstable import unstable_near

WHERE: dict[str, Any] = {"params": 1e8, "tokens": 2e9}


@pytest.fixture(scope="module")
def edge() -> Fit:
    """Lr over 8e-4 went unstable, over 4e-4 at the smallest batch; the best is 8e-4."""
    runs = table(
        lambda x, y: 0.02 * (x - np.log(2)) ** 2 + 0.02 * y**2, 0, batch=BATCH, cells=2
    )
    top = np.where(runs.batch == BATCH[0], LR[4], LR[6])
    lost = (runs.lr > top * 1.01) & (runs.params < 1.5e8)
    return fit(with_marks(runs, lost), family="quadratic", bootstrap=50)


def test_the_lowest_unstable_lr_of_each_batch_is_kept(
    edge: Fit, tmp_path: Path
) -> None:
    assert edge.stability is None
    first, second = edge.cells
    assert second.unstable == ()
    wanted = [(BATCH[0], LR[5]), (BATCH[1], LR[7]), (BATCH[2], LR[7])]
    np.testing.assert_allclose(first.unstable, wanted, rtol=1e-12)
    edge.save(tmp_path / "f")
    assert load(tmp_path / "f").cells == edge.cells


def test_it_is_quoted_with_the_answer(edge: Fit) -> None:
    found = edge.optimum(**WHERE)
    assert found.lr < LR[7]
    near = found.to_json()["unstable"]
    assert (near["batch"], near["params"]) == (BATCH[1], 1e8)
    np.testing.assert_allclose(near["lr"], LR[7])
    assert not any("went unstable" in text for text in found.context.warnings)
    # None at the other size, of which no run diverged.
    assert edge.optimum(params=2e8, tokens=4e9).to_json()["unstable"] is None


def test_no_lr_at_or_above_it_is_answered_in_silence(edge: Fit) -> None:
    small = edge.optimum(**WHERE, batch=BATCH[0])
    assert small.lr > LR[5]
    (said,) = (t for t in small.context.warnings if "went unstable" in t)
    assert "is not below 5.66e-04, the lowest lr that went unstable" in said
    assert "batch of 65,536 tokens in the runs of 100M parameters" in said
    for lr, is_said in ((0.99 * LR[7], False), (LR[7], True), (2 * LR[7], True)):
        lost = edge.regret(**WHERE, lr=float(lr), batch=BATCH[1])
        texts = [t for t in lost.context.warnings if "went unstable" in t]
        assert bool(texts) is is_said


def test_a_plateau_that_reaches_it_says_so(edge: Fit) -> None:
    """At tolerance 2 % it reaches over 1.1e-3 at every batch; at 0.01 % it does not."""
    wide = edge.plateau(**WHERE, tol=0.02)
    assert any(
        "The plateau and its robust part reach lr 5.66e-04" in t
        for t in wide.context.warnings
    )
    narrow = edge.plateau(**WHERE, tol=1e-4)
    assert not any("went unstable" in t for t in narrow.context.warnings)


def test_a_limit_that_cannot_bind_says_so(edge: Fit) -> None:
    for answer in (
        edge.optimum(**WHERE, p_max=0.01),
        edge.plateau(**WHERE, p_max=0.01),
        edge.regret(**WHERE, lr=4e-4, batch=BATCH[1], p_max=0.01),
    ):
        assert any(
            t.startswith("--p-max 1% cannot bind: too few runs diverged")
            for t in answer.context.warnings
        )
    assert not any("bind" in t for t in edge.optimum(**WHERE).context.warnings)


def test_fits_of_before_it_was_kept_know_none(edge: Fit) -> None:
    bundled = load("bundled:steplaw-dense")
    cells = tuple(replace(cell, unstable=()) for cell in bundled.cells)
    bundled = replace(bundled, cells=cells)
    asked = bundled.at(params=1e9, tokens=2e10, p_max=0.01).question
    assert unstable_near(asked, {"lr": 1.0, "batch": 5e5}) is None
    answer = bundled.optimum(params=1e9, tokens=2e10, p_max=0.01)
    assert not any("bind" in text for text in answer.context.warnings)

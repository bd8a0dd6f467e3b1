"""The page beyond the data: the law's own error and what counts as inside, in node."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
from support import report as report_support
from support.beyond import FAR, INSIDE, with_law

from surrogate.answers import Fit

pytestmark = pytest.mark.skipif(
    report_support.NODE is None, reason="node, which runs the page's core, is missing"
)
# Within reach of no pair of cells, and at a leverage that is small.
ALONE: dict[str, Any] = {"params": 1e9, "tokens": 3e9}
ASKED = (INSIDE, FAR, ALONE)
SCRIPT = """
const model = prepare(given.document);
return given.asked.map((question) => {
  const answer = answerOf(model, question), sure = fromDraws(model, answer, 0.9);
  return { interval: answer.interval, edges: answer.edgeIntervals,
    upper: sure.regret.upper, outside: answer.outside,
    near: cellsNear(model, question) };
});
"""


def told(fit: Fit) -> list[dict[str, Any]]:
    base = {"scales": {}, "recipe": "", "tol": 0.0025, "lr": 2e-3, "batch": 5e5}
    document = report_support.document(fit)
    asked = [base | question for question in ASKED]
    return report_support.run_core(SCRIPT, {"document": document, "asked": asked})


def close(page: list[float | None], ours: tuple[float, float]) -> None:
    """Float32 of leaves and draws; an open end is null there and NaN here."""
    mine = [None if math.isnan(v) else v for v in ours]
    assert [v is None for v in page] == [v is None for v in mine]
    known = [(a, b) for a, b in zip(page, mine, strict=True) if a is not None]
    for a, b in known:
        assert a == pytest.approx(b, rel=2e-4)


def test_the_page_says_what_python_says() -> None:
    fit = with_law()
    for question, page in zip(ASKED, told(fit), strict=True):
        best = fit.optimum(**question)
        close(page["interval"]["loss"], best.loss_interval)
        for name in ("lr", "batch"):
            ends = getattr(best, f"{name}_interval")
            close(page["interval"][name] or [None, None], ends)
        lost = fit.regret(lr=2e-3, batch=5e5, **question)
        assert page["upper"] == pytest.approx(lost.upper, rel=1e-3)
        assert (page["outside"] == "") == best.context.inside
        said = [w for w in best.context.warnings if w.startswith("Extrapolation")]
        assert [page["outside"]] == (said or [""])


def test_the_law_counts_on_the_page_beyond_the_data_alone() -> None:
    one, two = told(with_law(level=0.0)), told(with_law(level=0.02))
    widths = [
        np.array([np.diff(np.log(page["interval"]["loss"]))[0] for page in pages])
        for pages in (one, two)
    ]
    assert widths[0][0] == pytest.approx(widths[1][0], rel=1e-12)
    assert widths[1][1] > 1.5 * widths[0][1]

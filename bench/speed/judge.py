"""Are replicas as good as SciPy's? By cost, and by the answers that are read off them.

A replica is good when its cost is at most 1e-4 above the lowest that SciPy found and
its ln lr*, ln batch* at the stated scales are within 2e-3 of those of that lowest fit.
SciPy looks twice: from the warm start, and from our own answer with the strictest
tolerances, so that a replica which merely stopped early is caught.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from peers import posynomial_lm

COST = 1e-4
ANSWER = 2e-3


class Verdict(NamedTuple):
    """One replica.

    Attributes:
        excess: cost over the lowest found, minus 1.
        off: ln lr*, ln batch* minus those of the lowest fit.
        evaluations: of SciPy from the warm start.
        settled: SciPy itself ended before its limit of evaluations.
    """

    excess: float
    off: np.ndarray
    evaluations: int
    settled: bool

    @property
    def is_good(self) -> bool:
        """Within both tolerances."""
        return self.excess <= COST and bool(np.all(np.abs(self.off) <= ANSWER))


def replica(
    problem: posynomial_lm.Problem,
    warm: np.ndarray,
    theta: np.ndarray,
    s: np.ndarray,
    u_scale: np.ndarray,
) -> Verdict:
    """Judge our theta of one replica.

    Args:
        problem: the replica's rows, weights and prior.
        warm: where all start.
        theta: our answer.
        s: standardised scales at which optima are compared [g].
        u_scale: ln units in one unit of u [2].
    """
    first = posynomial_lm.solve(problem, warm)
    again = posynomial_lm.solve(problem, theta, strict=True)
    lowest = min(first, again, key=lambda found: found.cost)
    own = np.sum(posynomial_lm.residuals(problem, theta) ** 2)
    off = posynomial_lm.argmin(theta, s) - posynomial_lm.argmin(lowest.theta, s)
    return Verdict(
        float(own / lowest.cost - 1),
        off * u_scale,
        first.evaluations,
        first.settled,
    )


def summary(verdicts: list[Verdict]) -> dict[str, Any]:
    """Shares and sizes, for the document."""
    good = np.array([v.is_good for v in verdicts])
    excess = np.array([v.excess for v in verdicts])
    off = np.array([np.abs(v.off).max() for v in verdicts])
    settled = np.array([v.settled for v in verdicts])
    return {
        "judged": len(verdicts),
        "share_good": float(good.mean()),
        "share_good_where_scipy_settled": float(good[settled].mean())
        if settled.any()
        else None,
        "share_cost_good": float((excess <= COST).mean()),
        "share_answers_good": float((off <= ANSWER).mean()),
        "scipy_unsettled": int((~settled).sum()),
        "bad": np.flatnonzero(~good).tolist(),
        "worst_excess": float(excess.max()),
        "worst_answer": float(off.max()),
        "median_evaluations": float(np.median([v.evaluations for v in verdicts])),
    }

"""What an answer was computed from, by which its decision is made."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from surrogate.answers.decision.document import Limits
from surrogate.answers.limits.sides import Side
from surrogate.answers.solved import Solved
from surrogate.base.defaults import PROBABILITY, TOL


@dataclass(frozen=True)
class Answered:
    """What an answer was computed from.

    Attributes:
        solved: the minimum of the fit, its leaves and draws, kept to what was tried.
        one_sided: settings of which one side only is told.
        distance: from the data, 1 at its edge.
        of: what is priced: choice, suggestion or tolerance.
        limits: on what is suggested.
        tol: of the plateau.
        probability: share of the draws of the robust box.
        choice: what was chosen, for a regret.
    """

    solved: Solved
    one_sided: Mapping[str, Side]
    distance: float
    of: str
    limits: Limits
    tol: float = TOL
    probability: float = PROBABILITY
    choice: Mapping[str, float] | None = None

"""What a user asks, in natural units: a Fit and its answers."""

from surrogate.query.answers import Evaluation, Optimum, Plateau, Prediction, Regret
from surrogate.query.disk import load
from surrogate.query.fit import CellRecord, Fit, Provenance

__all__ = [
    "CellRecord",
    "Evaluation",
    "Fit",
    "Optimum",
    "Plateau",
    "Prediction",
    "Provenance",
    "Regret",
    "load",
]

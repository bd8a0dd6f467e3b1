"""What an answer says of an optimum that a published law carried to it."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

Pair = tuple[float, float]


@dataclass(frozen=True)
class Start:
    """The optimum that is carried, at sizes that the runs tell of.

    Attributes:
        params: there.
        tokens: there.
        scales: further ones.
        lr: of the optimum.
        batch: of it [tokens].
        lr_interval: of these runs; NaN where open or unknown.
        batch_interval: likewise [tokens].
    """

    params: float
    tokens: float
    scales: dict[str, float]
    lr: float
    batch: float
    lr_interval: Pair
    batch_interval: Pair


@dataclass(frozen=True)
class Way:
    """Where one law's exponents carry it.

    Attributes:
        law: its name.
        lr: carried.
        batch: carried [tokens]; NaN where the law gives none.
        warnings: what is not as the law was fitted.
    """

    law: str
    lr: float
    batch: float
    warnings: tuple[str, ...] = ()


@dataclass(frozen=True)
class Transfer:
    """An optimum of the runs, carried by published exponents.

    Attributes:
        law: whose exponents.
        lr: carried by that law.
        batch: likewise [tokens].
        lr_range: over all laws that can carry it.
        batch_range: likewise; NaN where the batch was held.
        start: from where.
        laws: each law's.
        warnings: about the law that was taken.
    """

    law: str
    lr: float
    batch: float
    lr_range: Pair
    batch_range: Pair
    start: Start
    laws: tuple[Way, ...]
    warnings: tuple[str, ...] = ()

    def to_json(self) -> dict[str, Any]:
        """Plain numbers, null where not known."""
        start = self.start
        return {
            "law": self.law,
            "lr": _known(self.lr),
            "batch": _known(self.batch),
            "lr_range": _both(self.lr_range),
            "batch_range": _both(self.batch_range),
            "from": {
                "params": start.params,
                "tokens": start.tokens,
                "scales": dict(start.scales),
                "lr": _known(start.lr),
                "batch": _known(start.batch),
                "interval": {
                    "lr": _both(start.lr_interval),
                    "batch": _both(start.batch_interval),
                },
            },
            "laws": [
                {"law": way.law, "lr": _known(way.lr), "batch": _known(way.batch)}
                for way in self.laws
            ],
        }


def _known(value: float) -> float | None:
    return float(value) if math.isfinite(value) else None


def _both(ends: Pair) -> list[float | None] | None:
    found = [_known(end) for end in ends]
    return None if found == [None, None] else found

"""What a published law is, as data: formulas, what they were fitted to, their source.

Batches are in tokens, learning rates are peaks, compute is training FLOPs.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from fractions import Fraction
from typing import NamedTuple


class Power(NamedTuple):
    """One factor (variable / reference)^exponent.

    The variable is N (parameters), D (training tokens), C (training FLOPs), L (final
    loss, nats per token) or S (batch in sequences).
    """

    variable: str
    exponent: float | Fraction
    reference: float = 1.0

    def __str__(self) -> str:
        """As in a formula."""
        base = (
            self.variable
            if self.reference == 1
            else f"({self.variable} / {_short(self.reference)})"
        )
        if self.exponent == 1:
            return base
        if isinstance(self.exponent, Fraction):
            return f"{base}^({self.exponent})"
        return f"{base}^{self.exponent:g}"


@dataclass(frozen=True)
class PowerLaw:
    """constant x product of powers, at most `cap`; NaN is an unknown constant."""

    constant: float
    powers: tuple[Power, ...]
    cap: float | None = None

    @property
    def variables(self) -> frozenset[str]:
        """What it depends on."""
        return frozenset(power.variable for power in self.powers)

    def __call__(self, values: Mapping[str, float]) -> float:
        """Its value; computed in logarithms, where no product overflows."""
        log = math.log(self.constant) + sum(
            float(p.exponent) * math.log(values[p.variable] / p.reference)
            for p in self.powers
        )
        return math.exp(log) if self.cap is None else min(math.exp(log), self.cap)

    def __str__(self) -> str:
        """The formula."""
        known = "?" if math.isnan(self.constant) else _short(self.constant)
        text = " ".join([known, *map(str, self.powers)])
        return text if self.cap is None else f"min({self.cap:g}, {text})"


@dataclass(frozen=True)
class LogLine:
    """constant + slope x ln(variable)."""

    constant: float
    slope: float
    variable: str

    @property
    def variables(self) -> frozenset[str]:
        """What it depends on."""
        return frozenset({self.variable})

    def __call__(self, values: Mapping[str, float]) -> float:
        """Its value, which need not be positive."""
        return self.constant + self.slope * math.log(values[self.variable])

    def __str__(self) -> str:
        """The formula."""
        sign = "-" if self.slope < 0 else "+"
        return f"{self.constant:.7g} {sign} {abs(self.slope):.7g} ln {self.variable}"


Formula = PowerLaw | LogLine


def _short(value: float) -> str:
    """A number as people write it: 1.08e8."""
    return f"{value:.7g}".replace("e+0", "e").replace("e+", "e")


class Source(NamedTuple):
    """Where a law stands: a title, its address, and the place in it."""

    title: str
    url: str
    where: str


@dataclass(frozen=True)
class Law:
    """A published law.

    Attributes:
        name: as typed.
        title: as people call it.
        lr: formula of the peak learning rate; None where it gives none.
        batch: formula of the batch [tokens]; None where it gives none.
        params: what its N counts: "non_embedding", "total", or words.
        compute: how its C is counted: "6N" (6 N D), "shape" (M D, M from layers, width
            and sequence length) or "active" (6 active N and attention); None: no C.
        experts: "dense", "moe" or "both": which models it speaks of.
        counts: which count of a mixture of experts is its N: "total" or "active".
        setting: optimizer and schedule that it was fitted under.
        ranges: lowest and highest fitted value by variable; what is not here is
            unknown to us.
        limits: the value of a variable from which on the formula is void.
        fitted_on: titles of layouts (`readers.columns`) of the runs it was fitted to.
        source: where it stands.
        checked: what we saw of it.
        misprints: wrong constants in circulation.
        is_batch_critical: its batch is where time and compute are traded, not that of
            the lowest loss.
        notes: where sources disagree, and what else to know.
        unusable: why it is listed but not evaluated; None where it is.
    """

    name: str
    title: str
    lr: Formula | None
    batch: Formula | None
    params: str
    setting: str
    source: tuple[Source, ...]
    checked: str
    compute: str | None = None
    experts: str = "dense"
    counts: str = "total"
    ranges: Mapping[str, tuple[float, float]] = field(default_factory=dict)
    limits: Mapping[str, float] = field(default_factory=dict)
    fitted_on: tuple[str, ...] = ()
    misprints: tuple[str, ...] = ()
    is_batch_critical: bool = False
    notes: tuple[str, ...] = ()
    unusable: str | None = None

    @property
    def needs(self) -> frozenset[str]:
        """Variables of its formulas."""
        formulas = [f for f in (self.lr, self.batch) if f is not None]
        return frozenset().union(*(f.variables for f in formulas))

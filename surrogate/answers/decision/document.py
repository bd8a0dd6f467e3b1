"""What a person decides by, of one answer: boxes, suggestion, price, ladder, trust."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

from surrogate.answers.decision.trust import Trust
from surrogate.base.errors import DataError

# Two ends; None where the side is open.
Ends = tuple[float | None, float | None]


@dataclass(frozen=True)
class Limits:
    """What binds the suggestion and the boxes, and no optimum.

    Attributes:
        lr_max: the largest lr allowed.
        batch_max: the largest batch allowed [tokens].
        batch_multiple: the batch must be a multiple of this [tokens].
    """

    lr_max: float | None = None
    batch_max: float | None = None
    batch_multiple: float | None = None

    def check(self) -> Limits:
        """Refuse what is no limit.

        Raises:
            DataError: one is not positive.
        """
        for name in ("lr_max", "batch_max", "batch_multiple"):
            value = getattr(self, name)
            if value is not None:
                is_number = isinstance(value, int | float) and 0 < value < math.inf
                if not is_number:
                    raise DataError(
                        f"Expected {name} to be a positive number, got {value!r}."
                    )
        if (
            self.batch_max
            and self.batch_multiple
            and self.batch_multiple > self.batch_max
        ):
            raise DataError(
                f"Expected batch_multiple up to batch_max ({self.batch_max:g} tokens), "
                f"got {self.batch_multiple:g}: no batch is both. Change one of them."
            )
        return self

    @property
    def most(self) -> dict[str, float]:
        """By setting."""
        both = {"lr": self.lr_max, "batch": self.batch_max}
        return {name: value for name, value in both.items() if value is not None}


@dataclass(frozen=True)
class InnerBox:
    """Any lr of its range goes with any batch of its range.

    Attributes:
        lr: ends; None where a side is open.
        batch: likewise [tokens].
    """

    lr: Ends
    batch: Ends

    def to_json(self) -> dict[str, Any]:
        """The contract's keys."""
        return {"lr": list(self.lr), "batch": list(self.batch)}


@dataclass(frozen=True)
class Suggestion:
    """A setting that one can type.

    Attributes:
        lr: peak learning rate.
        batch: tokens per optimiser step; NaN where the fit does not choose one.
        sequences: a batch, where the length of a sequence is known and divides it.
        seq_len: tokens a sequence, where that is known.
        steps: optimiser steps.
        regret: of the fit: what rounding costs.
        regret_upper: one-sided upper end of it; NaN without draws.
        is_inside: within the robust box, or where there is none within the inner box.
    """

    lr: float
    batch: float
    sequences: int | None
    seq_len: int | None
    steps: float
    regret: float
    regret_upper: float
    is_inside: bool

    def to_json(self) -> dict[str, Any]:
        """The contract's keys and some more."""
        return {
            "lr": _known(self.lr),
            "batch": _known(self.batch),
            "batch_sequences": self.sequences,
            "seq_len": self.seq_len,
            "steps": _known(self.steps),
            "regret": _known(self.regret),
            "regret_upper": _known(self.regret_upper),
            "inside": self.is_inside,
        }


@dataclass(frozen=True)
class Price:
    """What a loss above the lowest wastes: the share of the tokens that would do.

    Attributes:
        of: what is priced: choice, suggestion or tolerance.
        share: x with min L(N, (1 - x) D) = the loss; NaN where there is a reason.
        tokens: x D.
        flops: 6 N x D.
        upper: one-sided upper end of the share; NaN where not known.
        reason: why there is no price, or how far it reaches; None where there is one.
        slope: of ln of the lowest loss in ln D.
    """

    of: str
    share: float
    tokens: float
    flops: float
    upper: float
    reason: str | None
    slope: float

    def gpu_hours(self, gpu: str, mfu: float = 0.4) -> float:
        """Hours of one GPU at a share of its peak; NaN where there is no price.

        Args:
            gpu: a name such as h100.
            mfu: model FLOPs utilisation.
        """
        from surrogate.answers.decision import gpus

        return gpus.gpu_hours(self.flops, gpu, mfu)

    def to_json(self) -> dict[str, Any]:
        """The contract's keys and some more."""
        return {
            "of": self.of,
            "tokens_share": _known(self.share),
            "tokens": _known(self.tokens),
            "flops": _known(self.flops),
            "gpu_hours": None,
            "interval": [0.0, self.upper] if math.isfinite(self.upper) else None,
            "reason": self.reason,
            "slope": _known(self.slope),
        }


@dataclass(frozen=True)
class Rung:
    """One batch of the ladder, with the best lr for it.

    Attributes:
        batch: tokens per optimiser step.
        lr: the best there.
        loss: then.
        regret: then.
        share: of the tokens that is wasted; NaN where there is no price.
        steps: optimiser steps.
    """

    batch: float
    lr: float
    loss: float
    regret: float
    share: float
    steps: float

    def to_json(self) -> dict[str, Any]:
        """The contract's keys and the loss."""
        return {
            "batch": self.batch,
            "lr": self.lr,
            "loss": self.loss,
            "regret": self.regret,
            "tokens_share": _known(self.share),
            "steps": self.steps,
        }


@dataclass(frozen=True)
class Decision:
    """All of it.

    Attributes:
        suggestion: None where the runs do not tell one.
        inner: of the fit's plateau; None where the runs do not tell it.
        inner_robust: in a share of the draws; None where there is none.
        price: of the choice, of the suggestion or of the tolerance.
        ladder: None where batch is not told.
        trust: two words and why.
        about: the recipe of the fitted runs.
        best: intervals of the best lr and batch; NaN where there are none.
    """

    suggestion: Suggestion | None
    inner: InnerBox | None
    inner_robust: InnerBox | None
    price: Price
    ladder: tuple[Rung, ...] | None
    trust: Trust
    about: dict[str, str | None] = field(default_factory=dict)
    best: dict[str, tuple[float, float]] = field(default_factory=dict)

    def to_json(self) -> dict[str, Any]:
        """The contract's keys."""
        ladder = self.ladder
        return {
            "suggestion": self.suggestion.to_json() if self.suggestion else None,
            "inner": self.inner.to_json() if self.inner else None,
            "inner_robust": self.inner_robust.to_json() if self.inner_robust else None,
            "price": self.price.to_json(),
            "ladder": None if ladder is None else [rung.to_json() for rung in ladder],
            "trust": self.trust.to_json(),
            "about": self.about,
            "best_interval": {
                name: [_known(end) for end in ends] for name, ends in self.best.items()
            },
        }


class Deferred:
    """A decision that is made when it is first looked at, and then kept."""

    def __init__(self, make: Callable[[], Decision]) -> None:
        """`make` is called once at most."""
        self._make = make

    @cached_property
    def value(self) -> Decision:
        """The decision."""
        return self._make()


def _known(value: float) -> float | None:
    return value if math.isfinite(value) else None

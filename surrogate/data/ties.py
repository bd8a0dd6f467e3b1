"""Settings that one sweep never varied apart: they cannot be told from one another."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from surrogate.data.cells import Column

# A tie is exact up to rounding: the largest deviation in ln.
_EXACT = 0.01
# A setting of one level is tied to nothing [ln].
_LEAST_SPAN = 0.05
# Of two points any line is exact.
_LEAST_POINTS = 3
_NAMED = {0.5: "the square root of batch", 1.0: "batch", -1.0: "1 / batch"}


def tie_warnings(lr: Column, batch: Column, tokens: Column) -> Iterator[str]:
    """About tokens that follow batch in all runs, and lr that does.

    Args:
        lr: of the runs of the surface.
        batch: tokens a step.
        tokens: of the whole training.
    """
    if not batch.size or np.ptp(np.log(batch)) < _LEAST_SPAN:
        return
    steps = tokens / batch
    if np.ptp(np.log(steps)) < _EXACT:
        yield (
            f"tokens = {float(np.median(steps)):,.0f} x batch in every row: batch and "
            "tokens cannot be told apart (all runs take equally many steps). Add runs "
            "of other batches at one number of tokens."
        )
    power = _power(lr, batch)
    if power is not None:
        named = [text for p, text in _NAMED.items() if abs(power - p) < _EXACT]
        what = named[0] if named else f"batch^{power:.2f}"
        yield (
            f"lr is proportional to {what} in every row: lr and batch never vary "
            "apart, and their optima cannot be told. Add runs of other lr at one batch."
        )


def _power(lr: Column, batch: Column) -> float | None:
    """The exponent of lr = c x batch^p, where that holds in all runs."""
    y, x = np.log(lr), np.log(batch)
    points = {(round(a, 3), round(b, 3)) for a, b in zip(x, y, strict=True)}
    if np.ptp(y) < _LEAST_SPAN or len(points) < _LEAST_POINTS:
        return None
    slope, level = np.polyfit(x, y, 1)
    return float(slope) if np.abs(y - slope * x - level).max() < _EXACT else None

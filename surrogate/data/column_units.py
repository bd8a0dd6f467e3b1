"""Whole columns in another unit, which no row is off from: by size alone.

Each is a warning that names the number; the rows are read as they stand.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from surrogate.base.shapes import Float64
from surrogate.base.units import format_count

Numbers = Float64[np.ndarray, " runs"]
# No optimiser of a language model peaks here; plain SGD alone comes near.
MOST_LR = 0.5
# Tokens over parameters of a whole table: beyond, one of both lacks a K or an M.
MOST_RATIO = 5_000.0
# Nats a token of the best run of a table: a trained model is far below, its perplexity
# is not.
MOST_BEST = 8.0


def odd_columns(
    lr: Numbers, params: Numbers, tokens: Numbers, loss: Numbers, loss_unit: str
) -> Iterator[str]:
    """What of a table is in another unit throughout, a sentence each."""
    middle = float(np.median(lr))
    if middle > MOST_LR:
        yield (
            f"Half of the learning rates are {middle:.3g} or more, above {MOST_LR:g}: "
            "in units of 1e-3, or -log10 of them? They are read as they stand."
        )
    ratio = float((tokens / params).min())
    if ratio > MOST_RATIO:
        yield (
            f"Every run has at least {format_count(ratio)} tokens a parameter, above "
            f"{format_count(MOST_RATIO)}: are params in thousands, or tokens a "
            "thousand times too many? They are read as they stand."
        )
    finite = loss[np.isfinite(loss)]
    if loss_unit == "nats" and finite.size and float(finite.min()) > MOST_BEST:
        yield (
            f"The lowest loss is {float(finite.min()):.3g}, above {MOST_BEST:g} nats a "
            "token: perplexities? If so say loss_unit perplexity (--loss-unit)."
        )

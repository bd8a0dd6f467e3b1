"""How long a fit will take: steps by the plan of the work, each as long as measured.

A few steps of each family are taken on the table itself, so that the estimate knows the
machine; what else runs on it comes on top.
"""

from __future__ import annotations

import time

import numpy as np

from surrogate import families
from surrogate.base.defaults import AUTO
from surrogate.data import Runs
from surrogate.data.coordinates import Features, Rows
from surrogate.families import MIX, Curved, Family, Shape
from surrogate.fitting import cross_validation, irls, shared_search
from surrogate.fitting.cross_validation import Folds
from surrogate.fitting.intervals import MIN_CELLS_PAIRS
from surrogate.fitting.irls import Wide
from surrogate.fitting.resampling import starts
from surrogate.numerics import batches, least_squares, row_weights

# Steps that a start takes before it ends or meets its limit, that one near an end
# takes, and that a draw takes, as measured on four tables; a draw's are mostly in
# float64.
_TO_END, _NEAR_END, _DRAW, _DRAW_COST = 100, 25, 22, 1.5
# Starting JAX, standardising, what is linear, saving [s].
_FIXED = 3.0
# What a further core adds: threads wait for one another's Python.
_CORE = 0.6
_SAMPLE, _SAMPLE_STEPS = 32, 4
# Of fewer rows x cells a fit takes no time worth a word.
_LEAST_WORK = 2_000


def seconds(runs: Runs, *, family: str, terms: int, bootstrap: int) -> float | None:
    """Estimate the time a fit takes on NumPy; None where it is short or unknown.

    Args:
        runs: what is fitted.
        family: as `fit` takes it.
        terms: K of the posynomial.
        bootstrap: draws asked for.
    """
    if len(runs) * len(runs.cells) < _LEAST_WORK:
        return None
    features = Features.of(runs)
    rows = features.rows(runs)
    shape = Shape(len(features.choices), len(features.givens), features.offsets)
    cells = len(np.unique(rows.cell))
    folds = (
        cross_validation.both(runs, rows, features)
        if cells >= cross_validation.MIN_CELLS
        else None
    )
    names = families.NAMES if family in (AUTO, MIX) else (family,)
    members = [families.make(name, shape, terms) for name in names]
    spent, draws = 0.0, []
    for member in members:
        if not isinstance(member, Curved):
            continue
        step = _step(member, rows)
        spent += step * steps(member, rows, folds)
        if bootstrap and cells >= MIN_CELLS_PAIRS:
            each = _DRAW * _DRAW_COST * starts(member, cells)
            draws.append(step * each * bootstrap)
    # Which family will be drawn from is not known yet.
    if draws:
        spent += float(np.exp(np.mean(np.log(draws))))
    return _FIXED + spent / (1 + _CORE * (batches.cores() - 1))


def steps(family: Family, rows: Rows, folds: Folds | None) -> int:
    """Newton steps of all folds and of the fit itself, without draws."""
    going = [irls.STARTS, *(kept for _, kept in irls.SEARCH)]
    search = sum(
        count * each for count, (each, _) in zip(going, irls.SEARCH, strict=False)
    )
    search += going[-1] * _TO_END
    if folds is None:
        return search
    absent = folds.held[:, rows.cell]
    left_out, _ = shared_search.group(absent, irls.shared(family))
    if len(left_out) == len(absent):
        return search * (1 + len(absent))
    near = going[-1] * irls.NEAR_STEPS + irls.NEAR_KEPT * _NEAR_END
    return search * (1 + len(left_out)) + near * len(absent)


def _step(family: Curved, rows: Rows) -> float:
    """Seconds of CPU of one step of one problem, among others."""
    ones = np.ones((_SAMPLE, len(rows.target)))
    wide = Wide.of(family, rows, np.ones((_SAMPLE, len(rows.cell_s))))
    start = family.starts(np.random.default_rng(0), _SAMPLE)
    every = row_weights.given(wide.all_weights(ones / 0.01**2))
    spent = []
    # The first time does not count: memory is new, and products are planned.
    for _ in range(2):
        clock = time.process_time()
        least_squares.solve(
            wide.family,
            wide.rows.z,
            wide.rows.target,
            every,
            start,
            bulk=_SAMPLE_STEPS,
            iterations=0,
            backend="numpy",
        )
        spent.append(time.process_time() - clock)
    # One more for the start, and one for the cost in float64.
    return min(spent) / (_SAMPLE * (_SAMPLE_STEPS + 2))

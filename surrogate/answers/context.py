"""What every answer says of its question: distance, state, warnings."""

from __future__ import annotations

import math
from collections.abc import Mapping

import numpy as np

from surrogate.answers import arrays, neighbours
from surrogate.answers.limits import levels
from surrogate.answers.limits.sides import Side
from surrogate.answers.limits.unstable import (
    p_max_warnings,
    setting_warnings,
    unstable_near,
)
from surrogate.answers.question import Question
from surrogate.answers.results import (
    Context,
)
from surrogate.answers.sided import default_box
from surrogate.answers.solved import only_levels
from surrogate.base.errors import Status
from surrogate.base.units import (
    format_count,
)
from surrogate.data.advice import count
from surrogate.data.coordinates import CHOICES
from surrogate.fitting import intervals
from surrogate.fitting.model import Model

# A batch this far below the smallest fitted one was probably given in sequences.
_FEW_TOKENS = 1 / 16
_POINT = np.ones(1)


def context_of(
    question: Question,
    best: Mapping[str, float],
    status: Status,
    held: Mapping[str, float] | None = None,
    extra: tuple[str, ...] = (),
    one_sided: Mapping[str, Side] | None = None,
) -> Context:
    """The keys that all answers share, with distance and warnings."""
    fit, sizes = question.fit, question.columns
    chosen = {n: v * _POINT for n, v in best.items() if math.isfinite(v)}
    distance = float(levels.distance(fit, sizes, chosen)[0])
    where = sizes, np.array([question.recipe])
    is_inside = bool(neighbours.inside(fit, *where, np.array([distance]))[0])
    warnings = [*question.warnings, *extra]
    if not is_inside:
        near = int(neighbours.cells_near(fit, *where)[0])
        warnings.append(neighbours.outside_warning(distance, near))
    warnings += _status_warnings(fit, status, one_sided)
    warnings += interval_warnings(fit)
    warnings += _level_warnings(fit)
    warnings += batch_warnings(fit, (held or {}).get("batch"))
    near = unstable_near(question, best)
    warnings += setting_warnings(best.get("lr", math.nan), near)
    warnings += p_max_warnings(question)
    return Context(
        params=float(question.params),
        tokens=float(question.tokens),
        scales=dict(question.scales),
        recipe=question.recipe or None,
        family=fit.family.name,
        loss_kind=fit.loss_kind,
        **arrays.ran(),
        inside=is_inside,
        distance=distance,
        status=status,
        warnings=tuple(warnings),
        interval_unit=fit.unit,
        loss_unit=fit.loss_unit,
        one_sided={n: side.to_json() for n, side in (one_sided or {}).items()},
        unstable=near.to_json() if near else None,
        is_box_given=any(question.box[n] != default_box(fit, n) for n in CHOICES),
    )


def _status_warnings(
    fit: Model, status: Status, one_sided: Mapping[str, Side] | None
) -> list[str]:
    """What a status means for the answer."""
    if status is Status.at_bound and not one_sided:
        return [
            "The lowest loss lies on the edge of the box that was searched, so the "
            "optimum may lie beyond it: widen --lr-range or --batch-range, or add runs "
            "there."
        ]
    if status is Status.not_converged and not fit.is_converged:
        return ["The fit had not converged: fit again with another --seed."]
    return []


def _level_warnings(fit: Model) -> list[str]:
    """Whether one lr is all that was tried."""
    level = only_levels(fit).get("lr")
    if level is None:
        return []
    return [
        f"All fitted runs have lr {level:.3g}: the answer is at that lr, and nothing "
        "tells whether another is better."
    ]


def interval_warnings(fit: Model) -> list[str]:
    """Why there are no intervals, where there are none."""
    cells = fit.fitted_cells
    if fit.freedom is not None and cells < intervals.MIN_CELLS:
        return [
            f"{count(cells, 'cell')}: intervals are over runs ({fit.freedom} degrees "
            "of freedom), the weaker kind: how cells differ is taken from released "
            "sweeps."
        ]
    if fit.freedom is not None:
        return []
    if len(fit.leaves):
        return []
    if cells >= intervals.MIN_CELLS:
        return [f"No intervals: the fit has {cells} cells and no draws."]
    return [
        f"No intervals: {count(cells, 'cell')}, and too few runs in them, or no draws."
    ]


def batch_warnings(fit: Model, batch: float | None) -> list[str]:
    """Whether a batch that was given looks like sequences, or the fit cannot see it."""
    if batch is None:
        return []
    warnings = []
    low, high = fit.features.fitted["batch"]
    if batch < low * _FEW_TOKENS:
        warnings.append(
            f"A batch of {batch:,.0f} tokens is under 1/16 of the smallest fitted one "
            f"({low:,.0f} tokens). Were sequences meant? Give tokens, or sequences x "
            "length such as 256x2048."
        )
    if "batch" not in fit.features.choices:
        warnings.append(
            f"All fitted runs have a batch of {low:,.0f} tokens: the answer is at that "
            "batch, and nothing tells whether another is better."
            if low == high
            else "In the fitted runs batch does not vary inside any cell "
            f"({format_count(low)} to {format_count(high)} tokens), so its effect is "
            "not known: the answer holds at the runs' own batch."
        )
    return warnings

"""What the noise of each run does to a fit of few cells: steps of theta, one a cause.

Under 12 cells a jackknife over cells has too few degrees of freedom to be of use. There
the fit is linearised about its optimum (the delta method), and each independent cause
of error moves theta by one standard deviation of its own:

- each run's noise (`run_noise`), by itself and by the trunk that it shares;
- what the runs of a cell share, and by how much the optimum of a cell is off the law of
  the scales, both as released sweeps show them;
- along lr and batch, a surface that is two half parabolas, of which none is smooth: how
  far its optimum lies from the fit's, as far as the runs prefer it.

The steps stand where leaves stand (`intervals.interval` sums their squares), with
Student's t of runs less effective parameters.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple, TypeAlias

import numpy as np

from surrogate.base.shapes import Float64
from surrogate.data.coordinates import Rows
from surrogate.families import Bowl, Family, Posynomial, Quadratic, Shared, forms
from surrogate.families.protocol import CELL_SPREAD
from surrogate.fitting import irls, lack_of_fit, run_noise
from surrogate.fitting.freedom import Parts
from surrogate.fitting.halves import shift
from surrogate.fitting.objective import Noise, Objective, measure_noise
from surrogate.fitting.run_noise import RunNoise
from surrogate.numerics.descent import second
from surrogate.numerics.numpy_backend.curved import Model
from surrogate.numerics.numpy_backend.least_squares import features

# Standard deviation of a cell's ln lr* and ln batch* about the law of the scales: 0.042
# and 0.048 over the 17 dense cells of Step Law, the noise of their runs included.
CELL_DRIFT = 0.05
_STEP = 1e-5
# A step so short is linear; one that errs by this share of itself is far out, and back
# is nearer where it errs by this share of that.
_SHORT, _FAR, _NEARER = 1e-3, 0.5, 0.25
# Of the largest curvature: below lies rounding.
_LEAST = 1e-12
# Of the scales of weights, whatever a table shows.
_LEAST_FLOOR, _LEAST_GROWTH = 0.0005, 0.1
# At an excess so large a run counts half for how well a form meets the optimum.
_NEAR_FLOOR, _NEAR_GROWTH = 0.002, 0.1

Moved: TypeAlias = Callable[[np.ndarray], np.ndarray]


class Propagated(NamedTuple):
    """Steps of theta away from a fit, one a cause of error.

    Attributes:
        leaves: theta after each step.
        spare: runs less effective parameters, at least 1.
        parts: what of the optimum's variance is of which cause.
        misfit: mean square of the residual near the optimum, a degree of freedom.
    """

    leaves: Float64[np.ndarray, "steps p"]
    spare: int
    parts: Parts
    misfit: float


def propagate(
    family: Family,
    rows: Rows,
    weights: Float64[np.ndarray, " n"],
    theta: Float64[np.ndarray, " p"],
    box: Float64[np.ndarray, "2 choices"],
    unit: Float64[np.ndarray, " choices"],
) -> Propagated:
    """How each cause of error moves a fit that is no mix.

    Args:
        family: what was fitted.
        rows: to these runs.
        weights: of the fit.
        theta: the fit.
        box: lower and upper bounds of u within which a cell's minimum is sought.
        unit: of each coordinate of u [ln].
    """
    surface, residual, member, line, noise = _look(family, rows, weights, theta, box)
    excess = surface.excess[0]
    variance = noise.variance(excess)
    own = residual - line.shared(residual)
    trunk = run_noise.shared(rows.cluster, own, variance, line.leverage)
    freedom = float((trunk.worth - line.leverage)[noise.sound].sum())
    slopes = _slopes(family, rows, theta) / unit
    level = noise_of(residual, excess, rows.cell).cell
    off = (rows.z[:, : len(unit)] - surface.cell_u[0][rows.cell]) * unit
    shifts = [
        shift(off, rows.cell, rows.z[:, len(unit) :], rows.target, weights, k)
        for k in range(len(unit))
    ]
    # In an order of their own, so that draws do not depend on that of the table.
    order = np.lexsort((rows.target, *rows.z.T))
    member = member[:, member.any(axis=0)]
    spent = round(float(line.leverage.sum()))
    lack = lack_of_fit.measure(rows, own, np.sqrt(variance), spent).inflation
    variance = lack * variance
    causes = [
        np.diag(np.sqrt((1 - trunk.share) * variance))[:, order],
        trunk.member * np.sqrt(trunk.share * variance)[:, None],
        member * level,
        *(member * slopes[:, [k]] * CELL_DRIFT for k in range(len(unit))),
        -slopes * np.array(shifts),
    ]
    leaves = _led(family, rows, theta, line, causes)
    sizes = [sum(part.shape[1] for part in causes[:2]), len(unit)]
    parts = _parts_of(family, rows, np.vstack([theta, leaves]), box, sizes)
    near = 1 / (_NEAR_FLOOR**2 + (_NEAR_GROWTH * excess) ** 2)
    spent = max(1 - line.leverage.sum() / len(residual), 0.5 / len(residual))
    misfit = float(near @ residual**2 / near.sum() / spent)
    return Propagated(leaves, max(int(freedom + 1e-9), 1), parts, misfit)


def _led(
    family: Family, rows: Rows, theta: np.ndarray, line: _Line, causes: list[np.ndarray]
) -> Float64[np.ndarray, "steps p"]:
    """Theta after a step for each column of the causes; as it is where that fails.

    A step means the same either way. Where one way leads far out of the range in which
    the fit is linear, and the other does not, the other is taken.
    """
    steps = np.concatenate([line.gain @ cause for cause in causes], axis=1)
    count = steps.shape[1]
    steps = np.sqrt(count / (count - 1)) * steps.T
    sizes = (1.0, -1.0, _SHORT)
    with np.errstate(all="ignore"):
        ends = [line.place(line.v + size * steps) for size in sizes]
        moved = [
            forms.log_losses(family, end[:, None], rows.z)
            - forms.log_losses(family, theta[None, None], rows.z)
            for end in ends
        ]
        linear = moved[2] / _SHORT
        size = np.linalg.norm(linear, axis=1)
        off = [
            np.nan_to_num(
                np.linalg.norm(moved[k] - sizes[k] * linear, axis=1), nan=np.inf
            )
            for k in (0, 1)
        ]
    is_back = (off[0] > _FAR * size) & (off[1] < _NEARER * off[0])
    leaves = np.where(is_back[:, None], ends[1], ends[0])
    values = np.where(is_back[:, None], moved[1], moved[0])
    leaves[~np.isfinite(values).all(axis=1)] = theta
    return leaves


def _parts_of(
    family: Family,
    rows: Rows,
    thetas: Float64[np.ndarray, "thetas p"],
    box: Float64[np.ndarray, "2 choices"],
    sizes: list[int],
) -> Parts:
    """Of the fit, then its leaves: of noise so many first, of the form so many last."""
    used = np.unique(rows.cell)
    u = irls.evaluate(family, rows, thetas, box).cell_u[:, used].mean(axis=1)
    count = len(u) - 1
    squares = (count - 1) / count * (u[1:] - u[0]) ** 2
    noise, known, form = np.split(squares, [sizes[0], count - sizes[1]])
    return Parts(u[0], noise.sum(axis=0), form.sum(axis=0), known.sum(axis=0))


def sharpen(
    family: Family,
    rows: Rows,
    weights: Float64[np.ndarray, " n"],
    theta: Float64[np.ndarray, " p"],
    box: Float64[np.ndarray, "2 choices"],
) -> tuple[Float64[np.ndarray, " p"], Float64[np.ndarray, " n"]]:
    """Fit again with the scales of the weights that the table itself shows.

    Those that every fit begins with are of big sweeps, whose far runs no form meets. Of
    few runs each counts, and as far as it is met.

    Returns:
        Theta and the weights of the rows.
    """
    noise = _look(family, rows, weights, theta, box).noise
    objective = Objective(
        floor=max(float(np.sqrt(noise.floor)), _LEAST_FLOOR),
        growth=min(max(float(np.sqrt(noise.growth)), _LEAST_GROWTH), family.misfit),
    )
    once = np.ones((1, len(weights)))
    found = irls.refit_without(
        family, rows, weights, once, theta, box, objective=objective
    ).theta
    own = irls.reweigh(
        family, rows, found, once, box, objective, weights[None], "numpy"
    )
    return found[0], own[0]


def noise_of(
    residual: Float64[np.ndarray, " n"],
    excess: Float64[np.ndarray, " n"],
    cell: np.ndarray,
) -> Noise:
    """Of few cells, whose own part a law takes for its own: no less than elsewhere."""
    found = measure_noise(residual, excess, cell)
    return found._replace(cell=max(found.cell, CELL_SPREAD))


class _Line(NamedTuple):
    """A fit as a linear function of its targets.

    Attributes:
        v: the fit in the solver's coordinates.
        place: theta of such coordinates.
        gain: derivative of v in each target.
        leverage: of each fitted value in its own target.
        shared: what the cells' own offsets take of a residual.
    """

    v: Float64[np.ndarray, " p"]
    place: Moved
    gain: Float64[np.ndarray, "p n"]
    leverage: Float64[np.ndarray, " n"]
    shared: Moved


class _Look(NamedTuple):
    """A fit beside its runs.

    Attributes:
        surface: the fit on them.
        residual: what it leaves of ln loss.
        member: whether a run is of a cell.
        line: the fit as a linear function of its targets.
        noise: of single runs.
    """

    surface: irls.Surface
    residual: Float64[np.ndarray, " n"]
    member: Float64[np.ndarray, "n cells"]
    line: _Line
    noise: RunNoise


def _look(
    family: Family,
    rows: Rows,
    weights: Float64[np.ndarray, " n"],
    theta: Float64[np.ndarray, " p"],
    box: Float64[np.ndarray, "2 choices"],
) -> _Look:
    surface = irls.evaluate(family, rows, theta[None], box)
    residual = rows.target - surface.fitted[0]
    member = np.eye(len(rows.cell_s))[rows.cell]
    line = _linearise(family, rows, weights, theta, member)
    own = residual - line.shared(residual)
    noise = run_noise.measure(
        rows, own, surface.excess[0], line.leverage, family.misfit
    )
    return _Look(surface, residual, member, line, noise)


def _linearise(
    family: Family,
    rows: Rows,
    weights: Float64[np.ndarray, " n"],
    theta: Float64[np.ndarray, " p"],
    member: Float64[np.ndarray, "n cells"],
) -> _Line:
    """By central differences, since every family can be evaluated."""
    frame = _frame(family, rows, weights, theta)
    v = frame.v
    step = _STEP * np.maximum(1.0, np.abs(v))
    ends = frame.place(np.concatenate([v + np.diag(step), v - np.diag(step)]))
    fitted = forms.log_losses(family, ends[:, None], rows.z)
    size = len(v)
    jacobian = (0.5 * (fitted[:size] - fitted[size:]) / step[:, None]).T
    pulled = weights[:, None] * jacobian
    # What cells share is minimised over where the family has offsets for it.
    free = weights / (member.T @ weights + CELL_SPREAD**-2)[rows.cell]
    free = free if isinstance(family, Shared) else np.zeros_like(free)
    sums = (member.T @ pulled)[rows.cell]
    pulled = pulled - free[:, None] * sums
    gain = np.linalg.solve(frame.hessian, pulled.T)
    own = free - (free / np.maximum(weights, 1e-300)) * np.einsum(
        "np,pn->n", sums, gain
    )
    leverage = np.einsum("np,pn->n", jacobian, gain) + own

    def shared(residual: np.ndarray) -> np.ndarray:
        return (member.T @ (free * residual))[rows.cell]

    return _Line(v, frame.place, gain, np.clip(leverage, 0.0, 1 - 1e-6), shared)


class _Frame(NamedTuple):
    """Coordinates in which a fit is nearest to linear.

    Attributes:
        v: the fit.
        place: theta of such coordinates.
        hessian: half that of the cost there, with what residuals bend it.
    """

    v: Float64[np.ndarray, " p"]
    place: Moved
    hessian: Float64[np.ndarray, "p p"]


def _frame(
    family: Family, rows: Rows, weights: np.ndarray, theta: np.ndarray
) -> _Frame:
    if isinstance(family, Quadratic):
        columns = features(family, rows.z)
        hessian = columns.T @ (weights[:, None] * columns)
        prior = np.diag(family.prior.precision)
        return _Frame(theta, lambda v: v, hessian + prior)
    wide = irls.Wide.of(family, rows, np.ones((1, len(rows.cell_s))))
    assert isinstance(wide.family, Bowl | Posynomial)
    every = wide.all_weights(weights[None])
    model = Model(wide.family, wide.rows.z, rows.target, every)
    v = model.to_solver(theta[None])
    hessian = model.normal_equations(v, np.zeros(1, np.int64)).hessian[0]
    # Short of the minimum it may bend down somewhere, where a step would go wrong.
    values, vectors = np.linalg.eigh(hessian)
    values = np.maximum(np.abs(values), _LEAST * values.max())
    return _Frame(v[0], model.from_solver, vectors * values @ vectors.T)


def _slopes(
    family: Family, rows: Rows, theta: np.ndarray
) -> Float64[np.ndarray, "n choices"]:
    """Of fitted ln loss along u."""
    choices = family.shape.choices
    u = rows.z[:, :choices]
    at = forms.form(family, theta, rows.z[:, choices:]).at(u[:, 0], second(u))
    return np.stack([at.gx, at.gy][:choices], axis=1)

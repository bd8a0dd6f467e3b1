"""Predictions of many points, and scores on runs that a fit has not seen."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from typing import NamedTuple, cast

import numpy as np

from surrogate.answers import arrays, beyond, neighbours
from surrogate.answers.checks import (
    MOST_LOSS,
    check_allow,
    check_positive,
    check_recipe,
    check_scales,
    unlikely_loss,
    unlikely_size,
)
from surrogate.answers.context import interval_warnings
from surrogate.answers.extents import check_tol
from surrogate.answers.limits import levels
from surrogate.answers.limits.unfitted import (
    unfitted_at,
    untried_at,
    untried_words,
)
from surrogate.answers.question import Values
from surrogate.answers.results import Evaluation, Prediction
from surrogate.answers.slips import unlikely_setting
from surrogate.base.defaults import SMALL
from surrogate.base.errors import DataError, Status
from surrogate.base.shapes import Bool, Float64
from surrogate.base.units import quote
from surrogate.data import Runs
from surrogate.data.coordinates import CHOICES, settings_of
from surrogate.fitting import cross_validation, intervals
from surrogate.fitting.model import Model
from surrogate.fitting.objective import Noise
from surrogate.fitting.scores import CellScore, band, loss_errors, mean_se

Column = Float64[np.ndarray, " m"]
_OUTSIDE = ("outside_grid", "outside_hull")
# Of a central difference, coordinates u.
_STEP = 1e-4


def predict(
    fit: Model,
    lr: Values,
    batch: Values,
    params: Values,
    tokens: Values,
    scales: Mapping[str, Values],
    recipe: str | Sequence[str] | None,
    seed_noise: float | None = None,
    allow: Collection[str] = (),
) -> Prediction:
    """Losses with intervals for one new run at each point.

    The interval joins the surface's standard error, what the law itself may be wrong by
    beyond the data, the noise of a cell and that within a cell, which grows with the
    fitted excess; near the optimum that is `seed_noise` where it is known.
    """
    check_allow(allow)
    noise = fit.noise
    if seed_noise is not None:
        check_positive("seed_noise", seed_noise)
        noise = noise._replace(floor=seed_noise)
    table = _columns(lr, batch, params, tokens, scales)
    size = len(table["lr"])
    further = {n: v for n, v in table.items() if n in scales}
    check_scales(fit, {n: float(v[0]) for n, v in further.items()})
    names = _recipes(fit, recipe, size)
    s = fit.features.given(table["params"], table["tokens"], further, names)
    chosen = {name: table[name] for name in CHOICES}
    u = fit.features.u_of(chosen)
    thetas = fit.refits
    losses = arrays.log_losses(fit.family, thetas, np.concatenate([u, s], axis=1))
    sizes = {n: v for n, v in table.items() if n not in CHOICES}
    wrong = _beyond(fit, sizes, u, s)
    low, high = _interval(fit, losses, s, noise, wrong)
    distance = levels.distance(fit, sizes, chosen)
    inside = neighbours.inside(fit, sizes, names, distance)
    unknown = unfitted_at(fit, sizes)
    for name in CHOICES:
        if name not in fit.features.choices:
            unknown = _untried(fit, name, table[name], sizes, names, unknown)
    status = _statuses(fit, table, unknown, _natural(fit, losses[0]), allow)
    is_told = np.array([text == "ok" for text in status])
    columns = (
        np.where(is_told, _natural(fit, v), np.nan) for v in (losses[0], low, high)
    )
    loss, loss_low, loss_high = columns
    return Prediction(
        loss=loss,
        loss_low=loss_low,
        loss_high=loss_high,
        inside=inside,
        distance=distance,
        status=status,
        level=intervals.LEVEL,
        family=fit.family.name,
        loss_kind=fit.loss_kind,
        **arrays.ran(),
        warnings=(*_warnings(fit, inside), *_unanswered(unknown, "points")),
    )


def _untried(
    fit: Model,
    name: str,
    values: Column,
    sizes: Mapping[str, Column],
    recipe: np.ndarray,
    unknown: Sequence[str | None],
) -> list[str | None]:
    """With the points at values of lr or batch that no run stands for."""
    found = list(unknown)
    for row in np.flatnonzero(untried_at(fit, name, values, sizes, recipe)):
        if found[row] is None:
            value = float(values[row])
            found[row] = untried_words(fit, name, value, str(recipe[row]))
    return found


def _statuses(
    fit: Model,
    table: Mapping[str, Column],
    unknown: Sequence[str | None],
    loss: Column,
    allow: Collection[str],
) -> tuple[str, ...]:
    """Of each point `ok`, `not_identifiable`, or why it was probably typed wrong."""
    told, untold = str(Status.ok), str(Status.not_identifiable)
    found = [told if why is None else untold for why in unknown]
    if SMALL in allow:
        return tuple(found)
    sizes_first = sorted(table, key=lambda name: name in CHOICES)
    for name in sizes_first:
        column = table[name]
        low, high = fit.features.fitted[name]
        is_setting = name in CHOICES
        for row in np.flatnonzero((column < low) | (is_setting & (column > high))):
            value = float(column[row])
            slip = (
                unlikely_setting(fit, name, value, float(table["tokens"][row]))
                if is_setting
                else unlikely_size(name, value, low, high)
            )
            if slip is not None and found[row] in (told, untold):
                found[row] = slip.said
    for row in np.flatnonzero(loss > MOST_LOSS):
        high_loss = unlikely_loss(fit, float(loss[row]))
        if high_loss is not None and found[row] == told:
            found[row] = high_loss.said
    return tuple(found)


def _unanswered(unknown: Sequence[str | None], what: str) -> tuple[str, ...]:
    """How many have no answer, and the first reason."""
    reasons = [why for why in unknown if why is not None]
    if not reasons:
        return ()
    return (f"{len(reasons)} of {len(unknown)} {what} have no answer: {reasons[0]}",)


def _warnings(fit: Model, inside: Bool[np.ndarray, " m"]) -> tuple[str, ...]:
    outside = int((~inside).sum())
    warnings = []
    if outside:
        warnings.append(
            f"{outside} of {len(inside)} points lie beyond the data: farther than 1, "
            "or with fewer than two fitted cells within a factor of 3 in every size."
        )
    return (*warnings, *interval_warnings(fit))


def _natural(fit: Model, value: np.ndarray) -> np.ndarray:
    # Far below the fitted sizes a loss may be more than a float holds.
    with np.errstate(over="ignore"):
        return np.exp(value + fit.features.level)


class Points(NamedTuple):
    """Many settings at sizes of their own, a column each.

    Attributes:
        lr: peak learning rates.
        batch: tokens per optimiser step.
        params: numbers of parameters.
        tokens: training tokens.
        scales: further scale variables.
        recipe: one of the fit's, each.
    """

    lr: Column
    batch: Column
    params: Column
    tokens: Column
    scales: Mapping[str, Column]
    recipe: np.ndarray


def surface_at(fit: Model, at: Points) -> tuple[Column, Column]:
    """The fitted loss [nats per token] and its excess in ln over the fitted minimum."""
    s = fit.features.given(at.params, at.tokens, at.scales, at.recipe)
    u = fit.features.u_of({"lr": at.lr, "batch": at.batch})
    z = np.concatenate([u, s], axis=1)
    log_loss = arrays.log_losses(fit.family, fit.theta[None], z)[0]
    least, _ = arrays.minima_at(fit.family, fit.theta, s, *fit.features.box())
    return _natural(fit, log_loss), np.maximum(log_loss - least, 0.0)


def _interval(
    fit: Model,
    losses: Float64[np.ndarray, "thetas m"],
    s: Float64[np.ndarray, "m g"],
    noise: Noise,
    wrong: Float64[np.ndarray, " m"],
) -> tuple[np.ndarray, np.ndarray]:
    cells = fit.fitted_cells
    if (cells < intervals.MIN_CELLS and fit.freedom is None) or len(losses) == 1:
        unknown = np.full(losses.shape[1], np.nan)
        return unknown, unknown
    least, _ = arrays.minima_at(fit.family, fit.theta, s, *fit.features.box())
    excess = np.maximum(losses[0] - least, 0.0)
    spread = intervals.standard_error(losses[0], losses[1:])
    run = np.sqrt(noise.cell**2 + noise.within(excess) ** 2)
    half = intervals.student(cells, freedom=fit.freedom) * np.sqrt(spread**2 + run**2)
    half = np.sqrt(half**2 + wrong**2)
    return losses[0] - half, losses[0] + half


def _beyond(
    fit: Model,
    sizes: Mapping[str, Column],
    u: Float64[np.ndarray, "m choices"],
    s: Float64[np.ndarray, "m g"],
) -> Column:
    """Half-width that the law itself may be wrong by, through level and optimum."""
    if fit.discrepancy is None:
        return np.zeros(len(u))
    at = beyond.log_scales(fit, sizes)
    wrong = fit.discrepancy.level_half(at) ** 2
    halves = fit.discrepancy.settings_half(at) / fit.features.u_scale
    for i in range(u.shape[1]):
        step = _STEP * np.eye(u.shape[1])[i]
        z = np.concatenate(
            [np.concatenate([u - step, u + step]), np.tile(s, (2, 1))], 1
        )
        below, above = arrays.log_losses(fit.family, fit.theta[None], z)[0].reshape(
            2, -1
        )
        wrong += ((above - below) / (2 * _STEP) * halves[:, i]) ** 2
    return np.sqrt(wrong)


def _columns(
    lr: Values,
    batch: Values,
    params: Values,
    tokens: Values,
    scales: Mapping[str, Values],
) -> dict[str, Column]:
    given = {"lr": lr, "batch": batch, "params": params, "tokens": tokens, **scales}
    arrays = {
        name: np.atleast_1d(np.asarray(v, np.float64)) for name, v in given.items()
    }
    try:
        table = dict(zip(arrays, np.broadcast_arrays(*arrays.values()), strict=True))
    except ValueError as error:
        sizes = ", ".join(f"{name} {value.shape}" for name, value in arrays.items())
        raise DataError(f"Expected columns of one length, got {sizes}.") from error
    for name, value in table.items():
        bad = np.flatnonzero(~(np.isfinite(value) & (value > 0)))
        if value.ndim != 1 or len(bad):
            got = (
                f"row {bad[0]}: {value[bad[0]]}" if len(bad) else f"shape {value.shape}"
            )
            raise DataError(f"Expected {name} as positive numbers, got {got}.")
    if not table["lr"].size:
        raise DataError("Expected at least one point to predict, got none.")
    return table


def _recipes(fit: Model, recipe: str | Sequence[str] | None, size: int) -> np.ndarray:
    if recipe is None or isinstance(recipe, str):
        return np.full(size, check_recipe(fit, recipe))
    if len(recipe) != size:
        raise DataError(
            f"Expected one recipe a point ({size}), got {len(recipe)} recipes."
        )
    return np.array([check_recipe(fit, name) for name in recipe], dtype=str)


def evaluate(fit: Model, runs: Runs, tol: float) -> Evaluation:
    """Errors of losses, regret of proposals cell by cell, membership of plateaus."""
    check_tol(tol)
    check_comparable(fit, runs)
    sizes = _cell_sizes(runs)
    unknown = unfitted_at(fit, sizes)
    status = _statuses(fit, sizes, unknown, np.zeros(len(unknown)), ())
    is_told = np.array([text == "ok" for text in status])
    usable = runs.usable & is_told[runs.cell]
    if not usable.any():
        raise DataError(
            "Expected runs at sizes that the fit can answer, but there are none: "
            f"{next((why for why in unknown if why is not None), status[0])}"
        )
    s_cells = fit.features.cell_points(runs)
    least, best_u = arrays.minima_at(
        fit.family, fit.theta, s_cells, *fit.features.box()
    )
    u = fit.features.u_of(settings_of(runs))[usable]
    cell = runs.cell[usable]
    z = np.concatenate([u, s_cells[cell]], axis=1)
    predicted = arrays.log_losses(fit.family, fit.theta[None], z)[0]
    loss = runs.loss[usable]
    best = np.array([c.best for c in runs.cells])[cell]
    scored = [
        _told(
            cross_validation.score(runs, index, fit.features, fit.features.from_u(u)),
            text,
        )
        for index, (u, text) in enumerate(zip(best_u, status, strict=True))
    ]
    return Evaluation(
        runs=len(runs),
        runs_diverged=int(runs.diverged.sum()),
        errors=loss_errors(_natural(fit, predicted), loss),
        regret=mean_se([row["regret"] for row in scored]),
        regret_smoothed=mean_se([row["regret_smoothed"] for row in scored]),
        cells=[
            (cell.recipe, cell.params, cell.tokens, row)
            for cell, row in zip(runs.cells, scored, strict=True)
        ],
        band=band(predicted - least[cell] <= np.log1p(tol), loss, best, tol),
        family=fit.family.name,
        loss_kind=fit.loss_kind,
        **arrays.ran(),
        warnings=(*comparison_warnings(fit, runs), *_unanswered(unknown, "cells")),
        status=status,
    )


def _cell_sizes(runs: Runs) -> dict[str, Column]:
    """Params, tokens and further scales of every cell."""
    cells = [
        {"params": cell.params, "tokens": cell.tokens, **dict(cell.scales)}
        for cell in runs.cells
    ]
    return {name: np.array([float(cell[name]) for cell in cells]) for name in cells[0]}


def _told(row: CellScore, status: str) -> CellScore:
    """A cell's row, without a proposal where the fit has none for its size."""
    if status == "ok":
        return row
    nothing = dict.fromkeys(("lr", "batch", "regret", "regret_smoothed"))
    return cast(CellScore, {**row, **nothing, **dict.fromkeys(_OUTSIDE)})


def check_comparable(fit: Model, runs: Runs) -> None:
    """Refuse runs of which the fit can say nothing.

    Raises:
        DataError: an unknown recipe, a missing scale, or none finished.
    """
    check_known(fit, runs)
    if not (runs.usable).any():
        raise DataError("Expected runs that finished, but all of them diverged.")


def check_known(fit: Model, runs: Runs) -> None:
    """Refuse runs of another kind than the fit's.

    Raises:
        DataError: an unknown recipe, or a missing scale.
    """
    unknown = sorted(set(runs.recipe.tolist()) - set(fit.recipes))
    if unknown:
        raise DataError(
            "Expected runs of the fit's recipes "
            f"({', '.join(map(quote, fit.recipes))}), got "
            f"{', '.join(map(quote, unknown))}. Fit them, or leave them out."
        )
    missing = [name for name in fit.scale_names if name not in runs.scales]
    if missing:
        raise DataError(
            f"Expected the scale variable {missing[0]}, which the fit depends on. Map "
            f"its column with --scale {missing[0]}=COLUMN."
        )


def comparison_warnings(fit: Model, runs: Runs) -> tuple[str, ...]:
    """Whether the runs' losses or parameters are of another kind than the fit's."""
    warnings = []
    if "unknown" not in (fit.loss_kind, runs.loss_kind) and (
        fit.loss_kind != runs.loss_kind
    ):
        warnings.append(
            f"The fit predicts {fit.loss_kind} loss and the runs hold {runs.loss_kind} "
            "loss: their levels need not agree."
        )
    if "unknown" not in (fit.params_kind, runs.params_kind) and (
        fit.params_kind != runs.params_kind
    ):
        warnings.append(
            f"The fit counts {fit.params_kind} parameters and the runs "
            f"{runs.params_kind} ones."
        )
    return tuple(warnings)

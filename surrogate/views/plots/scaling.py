"""Scaling: the best lr and batch against tokens and parameters, with intervals."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from surrogate.answers.arguments import FIT
from surrogate.answers.checks import check_recipe, check_scales
from surrogate.answers.context import interval_warnings
from surrogate.answers.fit import Fit
from surrogate.base.arguments import checked
from surrogate.base.errors import DataError, Status
from surrogate.base.shapes import Bool, Float64
from surrogate.base.units import format_count
from surrogate.data import Runs
from surrogate.data.arguments import RUNS
from surrogate.views.plots import canvas, numbers

if TYPE_CHECKING:
    from matplotlib.axes import Axes

_POINTS = 25
_LINES = 3
# Curves start below the smallest fitted size and end beyond the largest by these.
_BELOW, _BEYOND = 2.0, 10.0
_SIZES = ("params", "tokens")
_LETTER = {"params": "N", "tokens": "D"}


@dataclass(frozen=True)
class Curve:
    """The optimum along one size, the other held.

    Attributes:
        along: `params` or `tokens`.
        held: of the other; None where it moves along as in the fitted runs.
        x: sizes.
        best: of each setting; NaN where the box holds it.
        low: lower end of its interval; NaN without jackknife refits.
        high: upper end.
        inside: no extrapolation.
    """

    along: str
    held: float | None
    x: Float64[np.ndarray, " m"]
    best: dict[str, Float64[np.ndarray, " m"]]
    low: dict[str, Float64[np.ndarray, " m"]]
    high: dict[str, Float64[np.ndarray, " m"]]
    inside: Bool[np.ndarray, " m"]


@dataclass(frozen=True)
class ScalingPicture:
    """What the figure shows.

    Attributes:
        choices: those of lr and batch that the fit chooses: the rows.
        curves: by the size along which they run: the columns.
        cells: sizes and settings of each cell's best run; empty without runs.
        level: of the intervals.
        warnings: what to know.
    """

    choices: tuple[str, ...]
    curves: dict[str, tuple[Curve, ...]]
    cells: tuple[dict[str, float], ...]
    level: float
    warnings: tuple[str, ...]
    status: Status = Status.ok

    @classmethod
    def of(
        cls,
        fit: Fit,
        *,
        scales: Mapping[str, float] | None = None,
        recipe: str | None = None,
        runs: Runs | None = None,
    ) -> ScalingPicture:
        """Ask the fit: see `plot_scaling`."""
        name = check_recipe(fit, recipe)
        along = tuple(n for n in _SIZES if n in fit.features.givens)
        if not along:
            raise DataError(
                "plot scaling: the fit is of one params and tokens, so there is "
                "nothing to scale with. `surrogate plot slices` draws it."
            )
        only = numbers.without_draws(fit)
        used = numbers.runs_of(fit, runs)
        check_scales(fit, scales or {})
        curves = {
            size: tuple(
                _curve(only, size, held, scales, recipe)
                for held in _held(fit, _other(size), name)
            )
            for size in along
        }
        warnings = list(_warnings(fit, curves))
        cells = () if used is None else _best_runs(used, name)
        return cls(fit.features.choices, curves, cells, 0.95, tuple(warnings))

    def draw(self, axes: np.ndarray | None = None) -> np.ndarray:
        """On new axes, or on these: a row each choice, a column each size."""
        rows, columns = len(self.choices), len(self.curves)
        with canvas.style():
            if axes is None:
                inches = (4.2 * columns, 2.7 * rows + 0.7)
                axes = canvas.panels(rows, columns, *inches, sharex="col", sharey="row")
            for column, (size, curves) in enumerate(self.curves.items()):
                for row, choice in enumerate(self.choices):
                    self._panel(axes[row, column], size, choice, curves)
                canvas.legend_below(axes[-1, column], 2, 0.24)
        return axes

    def _panel(
        self, axes: Axes, size: str, choice: str, curves: tuple[Curve, ...]
    ) -> None:
        other = _other(size)
        colours = canvas.sequence(len(curves), 0.8)
        shown = []
        for curve, colour in zip(curves, colours, strict=True):
            best, x = curve.best[choice], curve.x
            axes.fill_between(
                x,
                curve.low[choice],
                curve.high[choice],
                color=colour,
                alpha=0.16,
                linewidth=0,
            )
            axes.plot(x, best, color=colour, linestyle=(0, (3, 2)), linewidth=1.2)
            axes.plot(
                x,
                np.where(curve.inside, best, np.nan),
                color=colour,
                linewidth=2,
                label=_label(other, curve.held),
            )
            shown += [best, curve.low[choice], curve.high[choice]]
        axes.plot(
            [],
            [],
            color=canvas.QUIET,
            linestyle=(0, (3, 2)),
            linewidth=1.2,
            label="extrapolated",
        )
        shown.append(self._best_points(axes, size, choice, curves, colours))
        ends = numbers.span({choice: shown}, 0.06)[choice]
        low, high = axes.get_ylim() if axes.get_yscale() == "log" else ends
        canvas.log_axis(axes.yaxis, choice, (min(low, ends[0]), max(high, ends[1])))
        canvas.log_axis(axes.xaxis, size, (curves[0].x[0], curves[0].x[-1]))
        axes.label_outer()

    def _best_points(
        self,
        axes: Axes,
        size: str,
        choice: str,
        curves: tuple[Curve, ...],
        colours: list,
    ) -> np.ndarray:
        """Each cell's best run: a curve's colour where it is of its size, else grey."""
        other = _other(size)
        for is_of_curve in (False, True):
            x, y, colour = [], [], []
            for cell in self.cells:
                near = [
                    c.held is None or abs(np.log(cell[other] / c.held)) < 0.03
                    for c in curves
                ]
                if any(near) is is_of_curve:
                    x.append(cell[size])
                    y.append(cell[choice])
                    colour.append(colours[near.index(True)] if any(near) else "#BBBBBB")
            if x:
                axes.scatter(
                    x,
                    y,
                    c=colour,
                    s=20 if is_of_curve else 12,
                    edgecolors="white",
                    linewidths=0.5,
                    zorder=4 if is_of_curve else 3,
                    label=None if is_of_curve else "best run of a cell",
                )
        return np.array([cell[choice] for cell in self.cells])


@checked(fit=FIT, runs=RUNS, axes=canvas.check_axes(1, 2, 4, is_grid=True))
def plot_scaling(
    fit: Fit,
    *,
    scales: Mapping[str, float] | None = None,
    recipe: str | None = None,
    runs: Runs | None = None,
    axes: np.ndarray | None = None,
) -> np.ndarray:
    """The best lr and batch against tokens and parameters, extrapolation dashed.

    Args:
        fit: what is drawn.
        scales: further scale variables, by name, held on every curve.
        recipe: which, where the fit has several.
        runs: measured runs, where the fit carries none: each cell's best is shown.
        axes: where to draw, a row for each choice and a column for each size;
            default a new figure.

    Raises:
        DataError: a recipe or scale is missing or unknown, the fit has one size, or
            matplotlib is not installed.
    """
    picture = ScalingPicture.of(fit, scales=scales, recipe=recipe, runs=runs)
    return picture.draw(axes)


def _other(size: str) -> str:
    return _SIZES[1 - _SIZES.index(size)]


def _label(size: str, held: float | None) -> str:
    if held is None:
        return f"{_LETTER[size]} as in the runs"
    return f"{_LETTER[size]} = {format_count(held)}"


def _held(fit: Fit, size: str, recipe: str) -> list[float] | list[None]:
    """Smallest, middle and largest of a size among the fitted cells.

    None alone where the runs do not tell its effect.
    """
    if size not in fit.features.givens:
        return [None]
    every = sorted({getattr(c, size) for c in fit.cells if c.recipe == recipe})
    at = np.linspace(0, len(every) - 1, min(_LINES, len(every))).round().astype(int)
    return [every[i] for i in at]


def _curve(
    fit: Fit,
    along: str,
    held: float | None,
    scales: Mapping[str, float] | None,
    recipe: str | None,
) -> Curve:
    low, high = fit.features.fitted[along]
    x = np.geomspace(low / _BELOW, high * _BEYOND, _POINTS)
    values = np.full((_POINTS, len(fit.features.choices), 3), np.nan)
    inside = np.zeros(_POINTS, dtype=bool)
    for k, value in enumerate(x.tolist()):
        other = held or _followed(fit, _other(along), {along: value, **(scales or {})})
        sizes = {along: value, _other(along): other}
        where: dict[str, Any] = {"scales": scales, "recipe": recipe, **sizes}
        surface = fit.at(**where)
        known: dict[str, Any] = numbers.held(fit, surface.question)
        best = surface.optimum(**known)
        inside[k] = best.context.inside
        if best.status is Status.ok:
            for j, name in enumerate(fit.features.choices):
                ends = getattr(best, f"{name}_interval")
                values[k, j] = getattr(best, name), *ends
    parts = [
        {n: values[:, j, i] for j, n in enumerate(fit.features.choices)}
        for i in range(3)
    ]
    return Curve(along, held, x, parts[0], parts[1], parts[2], inside)


def _followed(fit: Fit, size: str, given: Mapping[str, float]) -> float:
    """What a size that is not fitted is in the fitted runs, by those that are."""
    line = fit.features.lines[size]
    logs = [np.log(given[name]) for name in fit.features.givens]
    moved = sum(s * v for s, v in zip(line.slopes, logs, strict=False))
    return float(np.exp(moved + 0.5 * (line.low + line.high)))


def _warnings(fit: Fit, curves: Mapping[str, tuple[Curve, ...]]) -> list[str]:
    found = []
    every = [curve for part in curves.values() for curve in part]
    if any(np.isnan(best).any() for curve in every for best in curve.best.values()):
        found.append(
            "Where the best setting lies on the edge of what is searched, or has no "
            "certificate, curves have a gap."
        )
    return [*found, *interval_warnings(fit)]


def _best_runs(runs: Runs, recipe: str) -> tuple[dict[str, float], ...]:
    """Sizes and settings of the lowest finished run of every cell."""
    found = []
    for index, cell in enumerate(runs.cells):
        rows = np.flatnonzero((runs.cell == index) & runs.usable)
        if cell.recipe == recipe and len(rows):
            best = rows[np.argmin(runs.loss[rows])]
            names = ("params", "tokens", "lr", "batch")
            found.append({n: float(getattr(runs, n)[best]) for n in names})
    return tuple(found)

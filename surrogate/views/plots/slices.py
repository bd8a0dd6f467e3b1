"""Slices: loss along lr at the best batch, and along batch at the best lr."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from surrogate.answers.arguments import FIT
from surrogate.answers.fit import DEFAULT_TOL, Fit
from surrogate.answers.question import Question
from surrogate.answers.results import Optimum, Pair, Plateau
from surrogate.base.arguments import checked
from surrogate.base.errors import Status
from surrogate.base.shapes import Float64
from surrogate.base.units import format_count, format_lr, format_percent
from surrogate.data import Runs
from surrogate.data.arguments import RUNS
from surrogate.data.coordinates import CHOICES
from surrogate.views.plots import canvas, numbers
from surrogate.views.plots.numbers import Nearest

if TYPE_CHECKING:
    from matplotlib.axes import Axes

_POINTS = 201
# Runs are shown whose other setting is this near to the slice [ln].
_NEAR = 0.5 * np.log(2)


@dataclass(frozen=True)
class Slice:
    """Loss along one setting, the other held.

    Attributes:
        name: of the setting.
        held: of the other, natural units.
        x: settings, natural units.
        loss: of the surface [nats per token].
        low: lower end of the surface's interval; NaN without jackknife refits.
        high: upper end.
        best: where the loss is lowest.
        interval: of that.
        plateau: where the loss is within the tolerance.
        run_x: of measured runs near the slice.
        run_loss: theirs, moved along the surface to the slice [nats per token].
    """

    name: str
    held: float
    x: Float64[np.ndarray, " m"]
    loss: Float64[np.ndarray, " m"]
    low: Float64[np.ndarray, " m"]
    high: Float64[np.ndarray, " m"]
    best: float
    interval: Pair
    plateau: Pair
    run_x: Float64[np.ndarray, " runs"]
    run_loss: Float64[np.ndarray, " runs"]


@dataclass(frozen=True)
class SlicesPicture:
    """What the figure shows.

    Attributes:
        question: where.
        optimum: with its intervals; one setting is held where the fit lacks it.
        plateau: within the tolerance.
        slices: one a setting that the fit chooses.
        nearest: the nearest cell; None where no runs are at hand.
        warnings: of all answers.
    """

    question: Question
    optimum: Optimum
    plateau: Plateau
    slices: tuple[Slice, ...]
    nearest: Nearest | None
    warnings: tuple[str, ...]

    @property
    def status(self) -> Status:
        """The plateau's."""
        return self.plateau.status

    @classmethod
    def of(
        cls,
        fit: Fit,
        *,
        params: float,
        tokens: float,
        scales: Mapping[str, float] | None = None,
        recipe: str | None = None,
        tol: float = DEFAULT_TOL,
        runs: Runs | None = None,
    ) -> SlicesPicture:
        """Ask the fit: see `plot_slices`."""
        surface = fit.at(params=params, tokens=tokens, scales=scales, recipe=recipe)
        question = surface.question
        known: dict[str, Any] = numbers.held(fit, question)
        optimum = surface.optimum(**known)
        numbers.check_found(optimum)
        plateau = surface.plateau(**known, tol=tol)
        used = numbers.runs_of(fit, runs)
        near = None if used is None else numbers.nearest(fit, question, used)
        said = [*optimum.context.warnings, *plateau.context.warnings]
        slices = tuple(
            _slice(fit, question, optimum, plateau, near, name)
            for name in fit.features.choices
            if name not in numbers.untold(fit)
        )
        return cls(question, optimum, plateau, slices, near, tuple(dict.fromkeys(said)))

    def draw(self, axes: np.ndarray | None = None) -> np.ndarray:
        """On new axes, or on these: one for each slice."""
        with canvas.style():
            is_own = axes is None
            count = len(self.slices)
            drawn = canvas.row(axes, count, 4.3 * count, 3.9, sharey=True)
            for one, each in zip(drawn, self.slices, strict=True):
                self._draw_one(one, each)
            drawn[0].set_ylabel(canvas.loss_label(self.optimum.context.loss_unit))
            at = self.optimum.context
            drawn[0].figure.suptitle(
                numbers.title_of(self.question, at.inside, at.distance),
                fontsize=10,
                x=0.02,
                ha="left",
            )
            canvas.legend(drawn[0], min(count, 2), is_own=is_own)
        return drawn

    def _draw_one(self, axes: Axes, each: Slice) -> None:
        is_batch = each.name == "batch"
        limits = self._limits()
        seen = each.x[each.loss <= limits[1]]
        canvas.log_axis(axes.xaxis, each.name, (seen[0] / 1.1, seen[-1] * 1.1))
        # Open where nothing was tried: to the border.
        ends = np.where(np.isnan(each.plateau), axes.get_xlim(), each.plateau)
        axes.axvspan(
            *ends,
            color=canvas.PLATEAU,
            alpha=0.14,
            linewidth=0,
            label=f"plateau, within {format_percent(self.plateau.tol)}",
        )
        limit, least = self.plateau.loss_limit, self.plateau.loss_min
        axes.axhline(limit, color=canvas.PLATEAU, linewidth=0.9, linestyle=":")
        if np.isfinite(each.low).all():
            axes.fill_between(
                each.x,
                each.low,
                each.high,
                color=canvas.QUIET,
                alpha=0.3,
                linewidth=0,
                label=f"{self.optimum.level:.0%} interval of the surface",
            )
        axes.plot(each.x, each.loss, color=canvas.INK, label="surface")
        self._draw_runs(axes, each)
        canvas.cross(
            axes,
            (each.best, least),
            (each.interval, (np.nan, np.nan)),
            self.optimum.level,
            numbers.called(self.optimum),
        )
        axes.set_ylim(*limits)
        held = (
            f"lr {format_lr(each.held)}"
            if is_batch
            else f"batch {format_count(each.held)} tokens"
        )
        side = self.optimum.context.one_sided.get(each.name)
        open_at = f"; nothing {side['side']} was tried" if side else ""
        axes.set_title(f"at {held}{open_at}", fontsize=9)

    def _draw_runs(self, axes: Axes, each: Slice) -> None:
        if not len(each.run_x):
            return
        assert self.nearest is not None
        cell = "the cell" if self.nearest.is_same else "the nearest cell"
        moved = f"({self.nearest.title}),\nmoved along the surface to here"
        axes.plot(
            each.run_x,
            each.run_loss,
            "o",
            color="#009E73",
            markeredgecolor="white",
            markeredgewidth=0.5,
            markersize=5,
            label=f"runs of {cell} {moved}",
        )

    def _limits(self) -> tuple[float, float]:
        """Of the loss axis: the best of it, not the walls of the bowl."""
        least = self.plateau.loss_min
        lows = [each.low[np.argmin(each.loss)] for each in self.slices]
        low = min([least, *np.array(lows)[np.isfinite(lows)]])
        runs = np.concatenate([each.run_loss for each in self.slices])
        low = min([low, *runs])
        return low - 0.004 * least, least * (1 + max(0.04, 4 * self.plateau.tol))


@checked(fit=FIT, runs=RUNS, axes=canvas.check_axes(1, 2))
def plot_slices(
    fit: Fit,
    *,
    params: float,
    tokens: float,
    scales: Mapping[str, float] | None = None,
    recipe: str | None = None,
    tol: float = DEFAULT_TOL,
    runs: Runs | None = None,
    axes: np.ndarray | None = None,
) -> np.ndarray:
    """Loss along lr at the best batch and along batch at the best lr, with bands.

    A fit that chooses only one of the two has one slice, at the nearest cell's value
    of the other.

    Args:
        fit: what is drawn.
        params: number of parameters, counted as in the fitted runs.
        tokens: training tokens.
        scales: further scale variables, by name.
        recipe: which, where the fit has several.
        tol: of the plateau, a fraction.
        runs: measured runs, where the fit carries none. Those of the nearest cell
            within half an octave of a slice are shown, moved along the surface to it.
        axes: where to draw, one for each slice; default a new figure.

    Raises:
        DataError: as `Fit.plateau`, or matplotlib is not installed.
        SolveError: the surface has no minimum.
    """
    picture = SlicesPicture.of(
        fit,
        params=params,
        tokens=tokens,
        scales=scales,
        recipe=recipe,
        tol=tol,
        runs=runs,
    )
    return picture.draw(axes)


def _slice(
    fit: Fit,
    question: Question,
    optimum: Optimum,
    plateau: Plateau,
    near: Nearest | None,
    name: str,
) -> Slice:
    other = CHOICES[1 - CHOICES.index(name)]
    best = {"lr": optimum.lr, "batch": optimum.batch}
    within, along = _plateau_along(plateau, name), getattr(plateau, name)
    side = optimum.context.one_sided.get(name)
    x = np.geomspace(*_window(fit, along, name, best[name], side), _POINTS)
    settings = {name: x, other: np.full(_POINTS, best[other])}
    loss, low, high = numbers.banded(fit, question, settings)
    run_x, run_loss = _moved(fit, question, near, name, best[other])
    return Slice(
        name=name,
        held=best[other],
        x=x,
        loss=loss,
        low=low,
        high=high,
        best=best[name],
        interval=getattr(optimum, f"{name}_interval"),
        plateau=within,
        run_x=run_x,
        run_loss=run_loss,
    )


def _plateau_along(plateau: Plateau, name: str) -> Pair:
    """The plateau's interval on the slice through the optimum."""
    found = plateau.lr_at_optimal_batch if name == "lr" else plateau.batch_at_optimal_lr
    return found if np.isfinite(found).all() else getattr(plateau, name)


def _window(
    fit: Fit,
    plateau: Pair,
    name: str,
    best: float,
    side: Mapping[str, Any] | None,
) -> Pair:
    """The fitted range, stretched to the plateau; on an open side what was tried."""
    low, high = fit.features.fitted[name]
    if side is not None:
        is_above = side["side"] == "above"
        return (min(low, best / 2), best) if is_above else (best, max(high, best * 2))
    return min(low, plateau[0] / 1.5), max(high, plateau[1] * 1.5)


def _moved(
    fit: Fit, question: Question, near: Nearest | None, name: str, held: float
) -> tuple[np.ndarray, np.ndarray]:
    """Runs near the slice: what the surface says on it, times what they say of it."""
    if near is None or near.residual is None:
        return np.zeros(0), np.zeros(0)
    columns = {"lr": near.lr, "batch": near.batch}
    other = CHOICES[1 - CHOICES.index(name)]
    shown = np.isfinite(near.residual)
    if other in fit.features.choices:
        shown &= np.abs(np.log(columns[other] / held)) <= _NEAR
    x = columns[name][shown]
    on_slice = {name: x, other: np.full(len(x), held)}
    losses = numbers.log_losses(fit, fit.theta[None], question.s, on_slice)[0]
    return x, np.exp(losses + near.residual[shown])

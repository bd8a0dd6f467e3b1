"""The surface: excess loss over (lr, batch) at one (N, D), with its plateau."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from surrogate.answers.arguments import FIT
from surrogate.answers.fit import DEFAULT_TOL, Fit
from surrogate.answers.question import Question
from surrogate.answers.results import Optimum, Plateau, Regret
from surrogate.base.arguments import checked
from surrogate.base.errors import DataError, Status
from surrogate.base.shapes import Float64
from surrogate.base.units import format_percent
from surrogate.data import Runs
from surrogate.data.arguments import RUNS
from surrogate.fitting.stability import P_MAX
from surrogate.views.plots import canvas, numbers
from surrogate.views.plots.numbers import Nearest

if TYPE_CHECKING:
    from matplotlib.axes import Axes

# Excess loss of the contours [%].
LEVELS = (0.25, 0.5, 1, 2, 5, 10)
_POINTS = 161
_LABEL_ANGLE = 1.25 * np.pi


@dataclass(frozen=True)
class SurfacePicture:
    """What the figure shows.

    Attributes:
        question: where.
        optimum: with its intervals.
        plateau: with contour and robust extents.
        choice: the user's own, where given.
        nearest: the nearest cell.
        lr: columns of the grid.
        batch: rows of the grid [tokens].
        excess: fitted loss over the lowest, minus 1.
        edge: lr at which divergence reaches `p_max`, a row of the grid; None where
            the runs cannot tell.
        warnings: of all answers.
    """

    question: Question
    optimum: Optimum
    plateau: Plateau
    choice: Regret | None
    nearest: Nearest | None
    lr: Float64[np.ndarray, " x"]
    batch: Float64[np.ndarray, " y"]
    excess: Float64[np.ndarray, "y x"]
    edge: Float64[np.ndarray, " y"] | None
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
        lr: float | None = None,
        batch: float | None = None,
        runs: Runs | None = None,
        p_max: float = P_MAX,
    ) -> SurfacePicture:
        """Ask the fit: see `plot_surface`."""
        if (lr is None) != (batch is None):
            raise DataError(
                "plot surface: expected your lr and batch together, got one of them."
            )
        lacking = numbers.missing(fit)
        if lacking is not None:
            raise DataError(
                f"plot surface: the fitted runs vary {lacking} inside no cell, so "
                "there is no surface over it. `surrogate plot slices` draws the loss "
                "along the other choice."
            )
        why = " ".join(numbers.untold(fit).values())
        if why:
            raise DataError(
                f"plot surface: {why} So there is no surface with an optimum. "
                "`surrogate plot slices` draws the loss along the other choice."
            )
        surface = fit.at(
            params=params, tokens=tokens, scales=scales, recipe=recipe, p_max=p_max
        )
        question, optimum = surface.question, surface.optimum()
        numbers.check_found(optimum)
        plateau = surface.plateau(tol=tol)
        choice = None
        if lr is not None and batch is not None:
            choice = surface.regret(lr=lr, batch=batch, tol=tol)
        near = numbers.nearest(fit, question, numbers.runs_of(fit, runs))
        x, y = _grid(question, optimum, plateau, choice, near)
        columns, rows = np.meshgrid(x, y)
        mesh = {"lr": columns.ravel(), "batch": rows.ravel()}
        losses = numbers.log_losses(fit, fit.theta[None], question.s, mesh)[0]
        excess = np.expm1(losses - np.log(plateau.loss_min)).reshape(len(y), len(x))
        answers = (optimum, plateau, *(() if choice is None else (choice,)))
        said = dict.fromkeys(w for a in answers for w in a.context.warnings)
        edge = _edge(fit, question, y)
        return cls(
            question, optimum, plateau, choice, near, x, y, excess, edge, tuple(said)
        )

    def draw(self, axes: Axes | None = None) -> Axes:
        """On new axes, or on these."""
        with canvas.style():
            is_own = axes is None
            axes = canvas.axis(axes, 6.4, 5.6)
            axes.grid(False)
            canvas.log_axis(axes.xaxis, "lr", (self.lr[0], self.lr[-1]))
            canvas.log_axis(axes.yaxis, "batch", (self.batch[0], self.batch[-1]))
            colours = _colours()
            self._contours(axes, colours)
            self._measured(axes, colours)
            self._edge_line(axes)
            self._extents(axes)
            self._untried(axes)
            best = self.optimum
            canvas.cross(
                axes,
                (best.lr, best.batch),
                (best.lr_interval, best.batch_interval),
                best.level,
                numbers.called(best),
            )
            self._choice(axes)
            at = best.context
            axes.set_title(numbers.title_of(self.question, at.inside, at.distance))
            canvas.legend(axes, 2, is_own=is_own)
        return axes

    def _contours(self, axes: Axes, colours: tuple[Any, Any]) -> None:
        cmap, norm = colours
        mesh = (self.lr, self.batch, 100 * self.excess)
        axes.contourf(
            *mesh, levels=(0, *LEVELS), cmap=cmap, norm=norm, alpha=0.22, zorder=1
        )
        # The plateau is drawn on its own.
        levels = [v for v in LEVELS if abs(v / (100 * self.plateau.tol) - 1) > 0.01]
        lines = axes.contour(
            *mesh, levels=levels, cmap=cmap, norm=norm, linewidths=1, zorder=2
        )
        halo = canvas.library("patheffects").withStroke(linewidth=2, foreground="w")
        labels = axes.clabel(
            lines,
            fmt=lambda level: f"{level:g} %",
            fontsize=7,
            colors="#333333",
            manual=self._places(axes, lines),
            zorder=5,
        )
        for label in labels:
            label.set_path_effects([halo])
        if not len(self.plateau.contour_lr):
            return
        axes.fill(
            self.plateau.contour_lr,
            self.plateau.contour_batch,
            facecolor=(*_rgb(canvas.PLATEAU), 0.22),
            edgecolor=canvas.PLATEAU,
            linewidth=1.8,
            zorder=3,
            label=f"plateau, within {format_percent(self.plateau.tol)}",
        )

    def _places(self, axes: Axes, lines: Any) -> list[tuple[float, float]]:
        """Where each contour's label goes: near the ray from the optimum down left."""
        to_axes = axes.transData + axes.transAxes.inverted()
        centre = to_axes.transform((self.optimum.lr, self.optimum.batch))
        places = []
        for path in lines.get_paths():
            points = to_axes.transform(path.vertices) if len(path.vertices) else []
            seen = [p for p in points if (p > 0.08).all() and (p < 0.92).all()]
            if seen:
                angles = [abs(_angle(p - centre) - _LABEL_ANGLE) for p in seen]
                at = to_axes.inverted().transform(seen[int(np.argmin(angles))])
                places.append((float(at[0]), float(at[1])))
        return places

    def _measured(self, axes: Axes, colours: tuple[Any, Any]) -> None:
        near = self.nearest
        if near is None:
            return
        if near.excess is None:
            axes.plot(
                near.lr,
                near.batch,
                ".",
                color=canvas.QUIET,
                markersize=2.5,
                zorder=4,
                label=f"grid of the nearest cell ({near.title})",
            )
            return
        cmap, norm = colours
        finished = np.isfinite(near.excess)
        order = np.argsort(-near.excess[finished])
        dots = axes.scatter(
            near.lr[finished][order],
            near.batch[finished][order],
            c=np.clip(100 * near.excess[finished][order], 0, LEVELS[-1]),
            cmap=cmap,
            norm=norm,
            s=20,
            edgecolors="white",
            linewidths=0.5,
            zorder=4,
            label=f"runs of the {'' if near.is_same else 'nearest '}cell "
            f"({near.title})",
        )
        bar = axes.figure.colorbar(dots, ax=axes, shrink=0.7, aspect=28, pad=0.02)
        bar.set_label("measured excess over the cell's best run [%]")
        bar.set_ticks([0, *LEVELS], labels=[f"{v:g}" for v in (0, *LEVELS)])
        bar.outline.set_visible(False)
        if not finished.all():
            axes.plot(
                near.lr[~finished],
                near.batch[~finished],
                "x",
                color=canvas.EDGE,
                markersize=4,
                markeredgewidth=0.9,
                zorder=4,
                label="diverged runs",
            )

    def _edge_line(self, axes: Axes) -> None:
        if self.edge is None or not (self.edge < self.lr[-1]).any():
            return
        axes.fill_betweenx(
            self.batch,
            self.edge,
            np.maximum(self.edge, self.lr[-1]),
            facecolor="none",
            edgecolor=(*_rgb(canvas.EDGE), 0.35),
            hatch="////",
            linewidth=0,
            zorder=2,
            label=f"beyond the stability edge, divergence {self.question.p_max:.0%}",
        )
        axes.plot(self.edge, self.batch, color=canvas.EDGE, linewidth=1.6, zorder=3)

    def _extents(self, axes: Axes) -> None:
        """Bars along the axes: how far lr and batch of the robust plateau go."""
        robust = self.plateau.robust
        if robust is None or robust["lr"] is None:
            return
        style = {"color": canvas.PLATEAU, "linewidth": 4, "solid_capstyle": "butt"}
        lr, batch = ([robust[n]["low"], robust[n]["high"]] for n in ("lr", "batch"))
        axes.plot(
            lr,
            [0.012] * 2,
            transform=axes.get_xaxis_transform(),
            zorder=5,
            label=f"robust extents, inside in {robust['probability']:.0%} of draws",
            **style,
        )
        axes.plot(
            [0.012] * 2, batch, transform=axes.get_yaxis_transform(), zorder=5, **style
        )

    def _untried(self, axes: Axes) -> None:
        """Covered: there the shades would be the family's own, not the runs'."""
        label = "not tried: nothing is known there"
        for name, side in self.optimum.context.one_sided.items():
            view = axes.get_xlim() if name == "lr" else axes.get_ylim()
            ends = (
                (side["at"], view[1])
                if side["side"] == "above"
                else (view[0], side["at"])
            )
            span = axes.axvspan if name == "lr" else axes.axhspan
            span(
                *ends, color="#eeeeee", alpha=0.93, zorder=3.5, linewidth=0, label=label
            )
            label = ""

    def _choice(self, axes: Axes) -> None:
        if self.choice is None:
            return
        axes.plot(
            [self.choice.lr],
            [self.choice.batch],
            "D",
            color=canvas.CHOICE,
            markeredgecolor="black",
            markersize=7,
            zorder=7,
            label=f"your choice, regret {format_percent(self.choice.regret)}",
        )


@checked(fit=FIT, runs=RUNS, axes=canvas.check_axes(1))
def plot_surface(
    fit: Fit,
    *,
    params: float,
    tokens: float,
    scales: Mapping[str, float] | None = None,
    recipe: str | None = None,
    tol: float = DEFAULT_TOL,
    lr: float | None = None,
    batch: float | None = None,
    runs: Runs | None = None,
    axes: Axes | None = None,
) -> Axes:
    """Excess loss over (lr, batch), the plateau and the optimum with its interval.

    Args:
        fit: what is drawn.
        params: number of parameters, counted as in the fitted runs.
        tokens: training tokens.
        scales: further scale variables, by name.
        recipe: which, where the fit has several.
        tol: of the plateau, a fraction.
        lr: your own learning rate, with `batch`.
        batch: your own batch size [tokens].
        runs: measured runs, where the fit carries none.
        axes: where to draw; default a new figure.

    Raises:
        DataError: as `Fit.plateau`; the fit chooses only one of lr and batch; or
            matplotlib is not installed.
        SolveError: the surface has no minimum.
    """
    asked = SurfacePicture.of(
        fit,
        params=params,
        tokens=tokens,
        scales=scales,
        recipe=recipe,
        tol=tol,
        lr=lr,
        batch=batch,
        runs=runs,
    )
    return asked.draw(axes)


def _grid(
    question: Question,
    optimum: Optimum,
    plateau: Plateau,
    choice: Regret | None,
    near: Nearest | None,
) -> tuple[np.ndarray, np.ndarray]:
    """Lr and batch of a window about all that is shown, natural units."""
    shown: dict[str, list] = {
        "lr": [optimum.lr, optimum.lr_interval, plateau.contour_lr],
        "batch": [optimum.batch, optimum.batch_interval, plateau.contour_batch],
    }
    robust = plateau.robust or {}
    for name, parts in shown.items():
        if robust.get(name) is not None:
            parts.append([robust[name]["low"], robust[name]["high"]])
        if near is not None:
            parts.append(np.clip(getattr(near, name), *question.box[name]))
        if choice is not None:
            parts.append(getattr(choice, name))
    ends = numbers.span(shown, 0.05)
    return np.geomspace(*ends["lr"], _POINTS), np.geomspace(*ends["batch"], _POINTS)


def _edge(fit: Fit, question: Question, batch: np.ndarray) -> np.ndarray | None:
    """Lr of the stability edge at each batch; None where there is no edge in lr."""
    stability, where = fit.stability, question.sizes
    if stability is None:
        return None
    if any(name not in (*where, "lr", "batch") for name in stability.names):
        return None
    slopes, room = stability.limit(where, ("lr", "batch"), question.p_max)
    if slopes["lr"] <= 0:
        return None
    return np.exp((room - slopes["batch"] * np.log(batch)) / slopes["lr"])


def _colours() -> tuple[Any, Any]:
    """Viridis without its palest end, and where each level of excess stands in it."""
    colors = canvas.library("colors")
    cmap = colors.ListedColormap(canvas.sequence(256))
    norm = colors.FuncNorm(
        (lambda v: np.log1p(np.asarray(v) / 0.25), lambda v: 0.25 * np.expm1(v)),
        vmin=0,
        vmax=LEVELS[-1],
    )
    return cmap, norm


def _angle(step: np.ndarray) -> float:
    """Of a direction, from 0 to 2 pi."""
    return float(np.arctan2(step[1], step[0]) % (2 * np.pi))


def _rgb(colour: str) -> tuple[float, float, float]:
    return canvas.library("colors").to_rgb(colour)

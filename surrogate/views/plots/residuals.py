"""Residuals: what the surface leaves unexplained, by fitted excess and by cell."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from surrogate.answers.arguments import FIT
from surrogate.answers.fit import Fit
from surrogate.answers.predict import comparison_warnings
from surrogate.base.arguments import checked
from surrogate.base.errors import DataError, Status
from surrogate.base.shapes import Float64, Int64
from surrogate.base.units import format_count
from surrogate.data import Runs
from surrogate.data.arguments import RUNS
from surrogate.views.plots import canvas, numbers

if TYPE_CHECKING:
    from matplotlib.axes import Axes

# More dots than this are thinned evenly, more cells shown by their largest medians.
_MOST_RUNS, _MOST_CELLS = 5000, 30
# Runs within this fitted excess count for a cell's summary.
_NEAR = 0.02
# Fitted excess below this is drawn at it [%].
_LEAST = 0.01


@dataclass(frozen=True)
class ResidualsPicture:
    """What the figure shows; one entry a run that finished.

    Attributes:
        excess: fitted loss over the cell's fitted minimum, minus 1.
        residual: ln measured loss minus ln fitted loss.
        cell: of each run, an index into `titles`.
        params: of each run.
        titles: of the cells.
        warnings: what to know.
    """

    excess: Float64[np.ndarray, " runs"]
    residual: Float64[np.ndarray, " runs"]
    cell: Int64[np.ndarray, " runs"]
    params: Float64[np.ndarray, " runs"]
    titles: tuple[str, ...]
    warnings: tuple[str, ...]
    status: Status = Status.ok

    @classmethod
    def of(cls, fit: Fit, *, runs: Runs | None = None) -> ResidualsPicture:
        """Read the runs: see `plot_residuals`."""
        used = numbers.runs_of(fit, runs)
        if used is None:
            raise DataError(
                "plot residuals: a bundled fit carries no losses. Give --runs FILE "
                "with the runs."
            )
        warnings = list(comparison_warnings(fit, used))
        _, residual = numbers.measured(fit, used)
        _, log_excess = numbers.fitted_at(fit, used)
        kept = np.flatnonzero(np.isfinite(residual))
        if len(kept) > _MOST_RUNS:
            warnings.append(
                f"{_MOST_RUNS:,} of {len(kept):,} runs are drawn, evenly chosen."
            )
        has_scales = bool(fit.scale_names) or len(fit.recipes) > 1
        titles = tuple(
            f"{format_count(c.params)}, {format_count(c.tokens)}"
            + (f" ({i + 1})" if has_scales else "")
            for i, c in enumerate(used.cells)
        )
        return cls(
            excess=np.expm1(log_excess[kept]),
            residual=residual[kept],
            cell=used.cell[kept],
            params=used.params[kept],
            titles=titles,
            warnings=tuple(warnings),
        )

    def draw(self, axes: np.ndarray | None = None) -> np.ndarray:
        """On new axes, or on these two."""
        shown = self._cells()
        with canvas.style():
            height = max(3.6, 0.17 * len(shown) + 1.2)
            drawn = canvas.row(axes, 2, 9, height, width_ratios=(1.35, 1))
            self._by_excess(drawn[0])
            self._by_cell(drawn[1], shown)
        return drawn

    def _by_excess(self, axes: Axes) -> None:
        thin = np.linspace(
            0, len(self.residual) - 1, min(len(self.residual), _MOST_RUNS)
        ).astype(int)
        sizes = np.log10(self.params[thin])
        cmap = canvas.library("colors").ListedColormap(canvas.sequence(256))
        dots = axes.scatter(
            np.maximum(100 * self.excess[thin], _LEAST),
            1000 * self.residual[thin],
            c=sizes,
            cmap=cmap,
            s=9,
            alpha=0.7,
            linewidths=0,
            rasterized=True,
        )
        axes.axhline(0, color=canvas.INK, linewidth=0.8)
        axes.set_xscale("log")
        axes.xaxis.set_major_formatter(
            canvas.library("ticker").FormatStrFormatter("%g")
        )
        axes.set_xlabel("fitted excess over the cell's fitted optimum [%]")
        axes.set_ylabel("residual of ln loss [permille]")
        # Spikes have long tails: the axis keeps to the rest, they stand at its edge.
        reach = 1.3 * 1000 * float(np.quantile(np.abs(self.residual), 0.99))
        axes.set_ylim(-reach, reach)
        beyond = int((1000 * np.abs(self.residual) > reach).sum())
        axes.set_title(
            (f"{len(thin):,} of " if len(thin) < len(self.residual) else "")
            + f"{len(self.residual):,} runs"
            + (f", {beyond} beyond this axis" if beyond else "")
        )
        if np.ptp(sizes) > 0:
            bar = axes.figure.colorbar(dots, ax=axes, aspect=30, pad=0.02)
            bar.set_label(canvas.LABELS["params"])
            ticks = np.linspace(sizes.min(), sizes.max(), 4)
            bar.set_ticks(ticks.tolist(), labels=[format_count(10**v) for v in ticks])
            bar.outline.set_visible(False)
            assert bar.solids is not None
            bar.solids.set_alpha(1)

    def _by_cell(self, axes: Axes, shown: list[int]) -> None:
        for row, index in enumerate(shown):
            low, middle, high = self._summary(index)
            axes.plot([low, high], [row] * 2, color=canvas.PLATEAU, linewidth=2)
            axes.plot([middle], [row], "o", color=canvas.BEST, markersize=4.5)
        axes.axvline(0, color=canvas.INK, linewidth=0.8)
        axes.set_yticks(range(len(shown)), [self.titles[i] for i in shown], fontsize=7)
        axes.set_ylim(len(shown) - 0.4, -0.6)
        axes.set_xlabel(f"residual, excess under {_NEAR:.0%} [permille]")
        count = len(np.unique(self.cell[self.excess <= _NEAR]))
        some = f"{len(shown)} of {count} " if len(shown) < count else ""
        axes.set_title(f"{some}cells (N, D): median, 10 to 90 %")
        axes.grid(axis="y", visible=False)

    def _cells(self) -> list[int]:
        """Cells with runs near their optimum, in order; of many the farthest off."""
        known = np.unique(self.cell[self.excess <= _NEAR]).tolist()
        if len(known) > _MOST_CELLS:
            off = {i: abs(self._summary(i)[1]) for i in known}
            known = sorted(sorted(known, key=lambda i: -off[i])[:_MOST_CELLS])
        return known

    def _summary(self, index: int) -> tuple[float, float, float]:
        """10 %, 50 % and 90 % of a cell's residuals near its optimum [permille]."""
        mine = (self.cell == index) & (self.excess <= _NEAR)
        low, middle, high = np.quantile(1000 * self.residual[mine], (0.1, 0.5, 0.9))
        return float(low), float(middle), float(high)


@checked(fit=FIT, runs=RUNS, axes=canvas.check_axes(2))
def plot_residuals(
    fit: Fit, *, runs: Runs | None = None, axes: np.ndarray | None = None
) -> np.ndarray:
    """Residuals of ln loss [permille] against fitted excess, and cell by cell.

    Args:
        fit: what is drawn.
        runs: measured runs, where the fit carries none.
        axes: where to draw, two; default a new figure.

    Raises:
        DataError: there are no runs, they are not of the fit's recipes, or matplotlib
            is not installed.
    """
    return ResidualsPicture.of(fit, runs=runs).draw(axes)

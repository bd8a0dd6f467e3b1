"""Runs to standardised log coordinates and back: the only file that takes their logs.

A point is z = (u, s): first what is chosen, (ln lr, ln batch), then what is given,
(ln params, ln tokens, further scale variables, one indicator a recipe but the first).
Each logarithm is centred, so that float32 sees sizes near 1; that of a choice is also
divided by its standard deviation. A scale variable's is not, so that exponents and
their priors mean the same whatever range of sizes was fitted.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any, NamedTuple

import numpy as np

from surrogate.base.errors import DataError
from surrogate.base.shapes import Float64, Int64
from surrogate.base.units import format_count
from surrogate.data import MIN_LOG_SPAN, Runs
from surrogate.data.extrapolation import Leverage, Line

CHOICES = ("lr", "batch")
# Answers are sought in the fitted range of lr and batch, widened by this each way.
WIDEN = 4.0
# With fewer runs a cell than this, runs are scattered and share none.
_SHARED = 1.5
# Runs that a scattered design needs beyond the parameters of a surface.
_SPARE = 4


class Rows(NamedTuple):
    """What a surrogate is fitted to, one row a run that did not diverge.

    Attributes:
        z: standardised log coordinates and recipe indicators.
        target: ln loss minus `Features.level`.
        cell: the cell of each row.
        cell_s: the given part of z, one row a cell.
        error: standard error of each target that is told, 0 where none is.
        cluster: which rows share a trunk, -1 where none do; None where none is told.
    """

    z: Float64[np.ndarray, "n k"]
    target: Float64[np.ndarray, " n"]
    cell: np.ndarray
    cell_s: Float64[np.ndarray, "cells g"]
    error: Float64[np.ndarray, " n"] | None = None
    cluster: Int64[np.ndarray, " n"] | None = None


@dataclass(frozen=True)
class Features:
    """Which coordinates a fit uses, and how they are standardised.

    Attributes:
        choices: those of lr and batch that the data identify.
        givens: scale variables whose effect the cells can tell: each spans at least 0.1
            in ln, also about every power law of the ones before it.
        recipes: all fitted recipes; the first has no offset.
        mean: of ln, one a coordinate of `choices + givens`.
        scale: standard deviation of ln, likewise.
        level: mean ln loss of the fitted rows; targets are relative to it.
        fitted: smallest and largest fitted value of every setting, natural units.
        lines: what each setting that is not fitted follows, over `givens`.
        cell_leverage: of the given coordinates [ln], over cells.
        run_leverage: of chosen and given coordinates [ln], over runs.
    """

    choices: tuple[str, ...]
    givens: tuple[str, ...]
    recipes: tuple[str, ...]
    mean: tuple[float, ...]
    scale: tuple[float, ...]
    level: float
    fitted: dict[str, tuple[float, float]]
    lines: dict[str, Line]
    cell_leverage: Leverage | None
    run_leverage: Leverage

    @classmethod
    def of(cls, runs: Runs) -> Features:
        """Choose and standardise the coordinates of these runs.

        Raises:
            DataError: nothing to choose can be identified, or no run is usable.
        """
        choices, usable, columns = _choices(runs), runs.usable, settings_of(runs)
        givens, lines = _independent(runs, usable, runs.identifiable())
        for name in CHOICES:
            if name not in choices:
                lines[name] = Line.of(np.log(columns[name][usable]))
        x = np.log(np.stack([columns[name][usable] for name in choices + givens], 1))
        cells = np.unique(runs.cell[usable])
        s = np.log(_cell_values(runs, givens))[cells]
        spread = x.std(axis=0)
        return cls(
            choices=choices,
            givens=givens,
            recipes=tuple(sorted(set(runs.recipe[usable].tolist()))),
            mean=tuple(x.mean(axis=0).tolist()),
            scale=(*spread[: len(choices)].tolist(), *[1.0] * len(givens)),
            level=float(np.log(runs.loss[usable]).mean()),
            fitted={
                name: (float(v[usable].min()), float(v[usable].max()))
                for name, v in columns.items()
            },
            lines=lines,
            cell_leverage=Leverage.of_cells(s) if givens else None,
            run_leverage=Leverage.of(x),
        )

    @property
    def held(self) -> tuple[str, ...]:
        """Settings that the fit does not see: the data cannot tell their effect."""
        return tuple(name for name in self.fitted if name in self.lines)

    @property
    def offsets(self) -> int:
        """Number of recipe indicators."""
        return len(self.recipes) - 1

    def rows(self, runs: Runs) -> Rows:
        """The runs that did not diverge, in coordinates; settings as their cell's."""
        usable = runs.usable
        cell_s = self.cell_points(runs)
        cell = runs.cell[usable]
        u = self.u_of(settings_of(runs))[usable]
        return Rows(
            z=np.concatenate([u, cell_s[cell]], axis=1),
            target=np.log(runs.loss[usable]) - self.level,
            cell=cell,
            cell_s=cell_s,
            error=_told_error(runs),
            cluster=_clusters(runs),
        )

    def cell_points(self, runs: Runs) -> Float64[np.ndarray, "cells g"]:
        """The given coordinates of every cell."""
        recipes = np.array([cell.recipe for cell in runs.cells])
        return self._given(_cell_values(runs, self.givens), recipes)

    def cell_logs(self, runs: Runs) -> Float64[np.ndarray, "cells d"]:
        """Ln of the scale variables of every cell, in the order of `givens`."""
        return np.log(_cell_values(runs, self.givens))

    def given(
        self,
        params: np.ndarray,
        tokens: np.ndarray,
        scales: Mapping[str, np.ndarray],
        recipe: np.ndarray,
    ) -> Float64[np.ndarray, "m g"]:
        """The given coordinates of m questions, each array of length m."""
        values = {"params": params, "tokens": tokens, **scales}
        table = (
            np.stack([values[name] for name in self.givens], axis=-1)
            if (self.givens)
            else np.zeros((len(params), 0))
        )
        return self._given(table, recipe)

    def _given(
        self, values: Float64[np.ndarray, "m d"], recipe: np.ndarray
    ) -> Float64[np.ndarray, "m g"]:
        count = len(self.choices)
        mean, scale = np.asarray(self.mean[count:]), np.asarray(self.scale[count:])
        indicators = recipe[:, None] == np.array(self.recipes[1:], dtype=str)[None, :]
        return np.concatenate(
            [(np.log(values) - mean) / scale, indicators.astype(np.float64)], axis=1
        )

    def to_u(self, chosen: Float64[np.ndarray, "... u"]) -> np.ndarray:
        """Standardised u of the chosen settings, natural units, in `choices` order."""
        count = len(self.choices)
        mean, scale = np.asarray(self.mean[:count]), np.asarray(self.scale[:count])
        return (np.log(chosen) - mean) / scale

    def u_of(self, settings: Mapping[str, np.ndarray | float]) -> np.ndarray:
        """Standardised u of settings by name, natural units; others are ignored."""
        return self.to_u(np.stack([settings[name] for name in self.choices], axis=-1))

    def from_u(self, u: Float64[np.ndarray, "... u"]) -> np.ndarray:
        """Chosen settings in natural units."""
        count = len(self.choices)
        return np.exp(u * np.asarray(self.scale[:count]) + self.mean[:count])

    def box(self) -> Float64[np.ndarray, "2 u"]:
        """Default bounds of u: the fitted range, widened by `WIDEN` each way."""
        low, high = np.array([self.fitted[name] for name in self.choices]).T
        return np.stack([self.to_u(low / WIDEN), self.to_u(high * WIDEN)])

    @property
    def u_scale(self) -> Float64[np.ndarray, " u"]:
        """Ln units in one unit of u."""
        return np.asarray(self.scale[: len(self.choices)])

    def distance(
        self,
        params: np.ndarray,
        tokens: np.ndarray,
        scales: Mapping[str, np.ndarray],
        chosen: Mapping[str, np.ndarray],
    ) -> Float64[np.ndarray, " m"]:
        """How far m points lie from the data: 1 is its edge.

        The largest of: the square root of the leverage of the given coordinates over
        cells, 1 where nine in ten of them, each left out, are nearer to the others;
        that of chosen and given together over runs, 1 at the farthest, where all chosen
        are known;
        and, for what the fit does not see, the distance in ln from what it followed
        over 0.1.
        """
        values = {"params": params, "tokens": tokens, **scales, **chosen}
        parts = [np.zeros(len(params))]
        s = [np.log(values[name]) for name in self.givens]
        if self.cell_leverage is not None:
            parts.append(self.cell_leverage.distance(np.stack(s, axis=-1)))
        if all(name in values for name in self.choices):
            u = [np.log(values[name]) for name in self.choices]
            parts.append(self.run_leverage.distance(np.stack(u + s, axis=-1)))
        for name in self.held:
            if name in values:
                line = self.lines[name]
                parts.append(line.distance(np.log(values[name]), s))
        return np.max(parts, axis=0)

    def notes(self) -> list[str]:
        """What was left out of the fit and why, for people."""
        return [self._note(name) for name in self.held]

    def _note(self, name: str) -> str:
        low, high = (
            format_count(v) if v >= 1 else f"{v:.4g}" for v in self.fitted[name]
        )
        where = low if low == high else f"{low} to {high}"
        if name in CHOICES:
            return (
                f"{name} does not vary inside any cell ({where}): no optimum over it "
                "can be fitted"
            )
        line = self.lines[name]
        if line.span < MIN_LOG_SPAN and not line.slopes:
            return f"{name} spans less than 0.1 in ln ({where}): left out of the fit"
        if not line.slopes:
            return (
                f"{name} differs between recipes only ({where}): its effect is part of "
                "theirs, so it is left out of the fit"
            )
        law = " x ".join(
            f"{given}^{slope:.3g}"
            for given, slope in zip(self.givens, line.slopes, strict=False)
        )
        within = "" if line.span < MIN_LOG_SPAN else " in each recipe"
        return (
            f"{name} moves with {law}{within} ({where}): their effects cannot be told "
            f"apart, so {name} is left out of the fit and answers off that line are "
            "extrapolation"
        )

    def to_json(self) -> dict[str, Any]:
        """Plain numbers, strings and lists; `from_json` gives the same back."""
        return asdict(self) | {
            "lines": {name: line._asdict() for name, line in self.lines.items()},
            "cell_leverage": self.cell_leverage and self.cell_leverage._asdict(),
            "run_leverage": self.run_leverage._asdict(),
        }

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> Features:
        """From what `to_json` gave."""

        def leverage(value: Mapping[str, Any]) -> Leverage:
            precision = tuple(tuple(row) for row in value["precision"])
            return Leverage(
                tuple(value["mean"]), precision, value["offset"], value["largest"]
            )

        of_cells = data["cell_leverage"]
        return cls(
            choices=tuple(data["choices"]),
            givens=tuple(data["givens"]),
            recipes=tuple(data["recipes"]),
            mean=tuple(data["mean"]),
            scale=tuple(data["scale"]),
            level=data["level"],
            fitted={name: (low, high) for name, (low, high) in data["fitted"].items()},
            lines={
                name: Line(tuple(line["slopes"]), line["low"], line["high"])
                for name, line in data["lines"].items()
            },
            cell_leverage=None if of_cells is None else leverage(of_cells),
            run_leverage=leverage(data["run_leverage"]),
        )


def _most_levels(runs: Runs, name: str) -> int:
    """The most values of lr or batch in one cell; among all runs that share none."""
    values = settings_of(runs)[name]
    if _is_scattered(runs):
        return len(np.unique(values[runs.usable]))
    return int(runs.levels_within_cells(values).max())


def _is_scattered(runs: Runs) -> bool:
    """Whether runs share no cells, as in a random design."""
    usable = int(runs.usable.sum())
    return usable < _SHARED * len(np.unique(runs.cell[runs.usable]))


def _choices(runs: Runs) -> tuple[str, ...]:
    """What of lr and batch the runs tell.

    Raises:
        DataError: neither, or no run is usable.
    """
    if not runs.usable.any():
        raise DataError(
            f"Expected runs that finished, but all {len(runs)} diverged. Add runs at "
            f"lower learning rates.{_unused(runs)}"
        )
    choices = tuple(name for name in CHOICES if _is_told(runs, name))
    if not any(_most_levels(runs, n) > 2 or _is_slope(runs, n) for n in choices):
        raise DataError(
            "Neither lr nor batch can be fitted: expected at least one cell (one "
            "params and tokens) with 3 or more values of lr, or of batch, among runs "
            "that did not diverge, or 2 in half of the cells, or runs at random "
            "settings, many more than a surface has parameters, and there are none. "
            "Add runs, or check that params and tokens are mapped to the right "
            f"columns.{_unused(runs)}"
        )
    if len(choices) == 2 and _moves_together(runs):
        raise DataError(
            "lr and batch never vary apart: in every cell one follows from the other, "
            "so which of them changes the loss cannot be told. Add runs at another lr "
            "and the same batch, or fit one batch at a time."
        )
    return choices


def _is_told(runs: Runs, name: str) -> bool:
    """Whether the runs tell the effect of lr or batch: within cells, or scattered.

    Two values in a cell tell a slope. Scattered runs tell it where they are more than
    the parameters of an additive surface by 4, and where the setting is no power law of
    the scales.
    """
    if not _is_scattered(runs):
        return _most_levels(runs, name) > 1
    usable = runs.usable
    columns = settings_of(runs)
    scales = [
        x
        for n, v in columns.items()
        if n not in CHOICES and np.ptp(x := np.log(v[usable])) >= MIN_LOG_SPAN
    ]
    # As many as `additive` has: a level, slopes and products with lr or batch.
    size = 6 + 3 * len(scales)
    values = np.log(columns[name][usable])
    if len(values) - size < _SPARE or np.ptp(values) < MIN_LOG_SPAN:
        return False
    return Line.of(values, scales).span >= MIN_LOG_SPAN


def _is_slope(runs: Runs, name: str) -> bool:
    """Whether two values of lr or batch stand side by side in half of the cells.

    They tell which is better, though no optimum; in fewer cells they may be one table's
    sizes that were read wrongly.
    """
    if _is_scattered(runs):
        return False
    levels = runs.levels_within_cells(settings_of(runs)[name])
    used = np.unique(runs.cell[runs.usable])
    return bool(2 * (levels[used] > 1).sum() >= len(used))


def _moves_together(runs: Runs) -> bool:
    """Whether one power law joins lr and batch in all runs, each of several values."""
    if _is_scattered(runs):
        return False
    logs = [np.log(settings_of(runs)[name][runs.usable]) for name in CHOICES]
    _, cell, count = np.unique(
        runs.cell[runs.usable], return_inverse=True, return_counts=True
    )
    means = [np.bincount(cell, weights=x) / count for x in logs]
    within = np.stack(
        [x - mean[cell] for x, mean in zip(logs, means, strict=True)], axis=1
    )
    size = np.linalg.svd(within, compute_uv=False)
    return bool(size[1] <= 1e-6 * size[0])


def _unused(runs: Runs) -> str:
    """What a refusal for want of runs adds where rows were dropped."""
    if not runs.dropped:
        return ""
    count = len(runs.dropped)
    return f" Rows that could not be used: {count}; the first is {runs.dropped[0]}."


def _told_error(runs: Runs) -> Float64[np.ndarray, " n"] | None:
    """Relative standard error of each usable loss; None where none is told."""
    found = np.nan_to_num((runs.loss_se / runs.loss)[runs.usable])
    return found if found.any() else None


def _clusters(runs: Runs) -> Int64[np.ndarray, " n"] | None:
    """A number for each trunk that usable runs share; None where none do."""
    names, at, counts = np.unique(
        runs.cluster[runs.usable], return_inverse=True, return_counts=True
    )
    is_shared = (names != "") & (counts > 1)
    if not is_shared.any():
        return None
    number = np.where(is_shared, np.cumsum(is_shared) - 1, -1)
    return number[np.ravel(at)].astype(np.int64)


def settings_of(runs: Runs) -> dict[str, np.ndarray]:
    """Every setting of the runs by name, natural units, lr at its level."""
    return {
        "lr": runs.lr_level,
        "batch": runs.batch,
        "params": runs.params,
        "tokens": runs.tokens,
        **runs.scales,
    }


def _independent(
    runs: Runs, usable: np.ndarray, identifiable: Mapping[str, bool]
) -> tuple[tuple[str, ...], dict[str, Line]]:
    """The scale variables that are told apart, and what the others follow."""
    cells = np.unique(runs.cell[usable])
    names = tuple(name for name in settings_of(runs) if name not in CHOICES)
    logs = dict(zip(names, np.log(_cell_values(runs, names))[cells].T, strict=True))
    recipe = np.array([runs.cells[cell].recipe for cell in cells])
    indicators = list((recipe == np.unique(recipe)[1:, None]).astype(np.float64))
    given: list[str] = []
    lines: dict[str, Line] = {}
    for name, values in logs.items():
        others = [logs[other] for other in given]
        alone, line = Line.of(values), Line.of(values, others)
        if not identifiable[name]:
            lines[name] = alone
        elif given and line.span < MIN_LOG_SPAN:
            lines[name] = line
        elif Line.of(values, indicators).span < MIN_LOG_SPAN:
            lines[name] = alone
        elif Line.of(values, indicators + others).span < MIN_LOG_SPAN:
            slopes = Line.of(values, indicators + others).slopes[len(indicators) :]
            lines[name] = Line.along(slopes, values, others)
        else:
            given.append(name)
    return tuple(given), lines


def _cell_values(runs: Runs, givens: tuple[str, ...]) -> Float64[np.ndarray, "cells d"]:
    table = [
        [{"params": c.params, "tokens": c.tokens, **dict(c.scales)}[g] for g in givens]
        for c in runs.cells
    ]
    return np.array(table, dtype=np.float64).reshape(len(runs.cells), len(givens))


def level_columns(
    cell: Int64[np.ndarray, " n"], s: Float64[np.ndarray, "n g"]
) -> Float64[np.ndarray, "n levels"]:
    """Columns of a regression for the best loss: a level for every cell.

    Where runs share none, a second-degree polynomial of the scales.
    """
    cells = np.unique(cell)
    if len(cell) >= 2 * len(cells):
        return (cell[:, None] == cells).astype(np.float64)
    first, second = np.triu_indices(s.shape[1])
    columns = [np.ones((len(cell), 1)), s, s[:, first] * s[:, second]]
    return np.concatenate(columns, axis=1)

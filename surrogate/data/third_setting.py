"""A further setting that was swept beside lr and batch: its best level at each size.

Levels are kept apart as recipes called `weight_decay=0.1`. Where several ran at one
size, a surface of ln loss near each level's lowest (`third_setting_surface`) says what
each comes to at its own best lr and batch, and what the others lose.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from surrogate.base.shapes import Int64
from surrogate.data.cells import group
from surrogate.data.table import Runs
from surrogate.data.third_setting_surface import Low, fit, lowest, measured


@dataclass(frozen=True)
class LevelLoss:
    """What one level comes to.

    Attributes:
        level: as it is written.
        recipe: whose runs have it.
        runs: finished runs at this level.
        lr: of its lowest loss, within what it ran at.
        batch: likewise [tokens].
        loss: there.
        measured: the lowest that a run of it had.
        loses: loss over the best level's, minus 1.
        interval: of `loses`, 95 % for this level alone; None where too few runs tell.
        at_edge: its lowest loss lies at the end of what was tried.
    """

    level: str
    recipe: str
    runs: int
    lr: float
    batch: float
    loss: float
    measured: float
    loses: float
    interval: tuple[float, float] | None
    at_edge: bool


@dataclass(frozen=True)
class Levels:
    """The levels that ran at one size, the best first.

    Attributes:
        name: of the setting.
        recipe: what else differs, "" where nothing does.
        params: of the size.
        tokens: of the size.
        scales: further scale variables.
        levels: the best first.
        freedom: runs beyond what the surface has to be told.
        is_measured: the lowest measured losses: too few runs for a surface.
    """

    name: str
    recipe: str
    params: float
    tokens: float
    scales: dict[str, float]
    levels: tuple[LevelLoss, ...]
    freedom: int
    is_measured: bool

    @property
    def as_good(self) -> tuple[LevelLoss, ...]:
        """Levels but the best that these runs do not tell from it."""
        return tuple(
            item
            for item in self.levels[1:]
            if item.interval is None or item.interval[0] <= 0
        )

    def to_json(self) -> dict[str, Any]:
        """Plain values."""
        return asdict(self)


def label(rest: str, name: str, level: str) -> str:
    """The recipe of a level: `adamw/weight_decay=0.1`."""
    return "/".join(part for part in (rest, f"{name}={level}") if part)


def level_of(cell: str) -> str:
    """A level as it is named: 0.10 and 1e-1 are one."""
    try:
        value = float(cell)
    except ValueError:
        return cell
    return f"{value:g}" if math.isfinite(value) else cell


def split(recipe: str, name: str) -> tuple[str, str] | None:
    """What else differs, and the level; None where a recipe has none."""
    rest, mark, level = recipe.rpartition(f"{name}=")
    if not mark or (rest and not rest.endswith("/")):
        return None
    return rest.removesuffix("/"), level


def compare(runs: Runs) -> tuple[Levels, ...]:
    """The levels of `Runs.also` at each size where two or more ran."""
    if not runs.also:
        return ()
    parts = [split(str(recipe), runs.also) for recipe in runs.recipe]
    rest = np.array([part[0] if part else "" for part in parts], dtype=str)
    level = np.array([part[1] if part else "" for part in parts], dtype=str)
    found = []
    for rows in group(rest, runs.params, runs.tokens, runs.scales):
        kept = rows[runs.usable[rows]]
        if np.unique(level[kept]).size > 1:
            found.append(_levels(runs, kept, str(rest[kept[0]]), level))
    return tuple(found)


def _levels(
    runs: Runs, rows: Int64[np.ndarray, " _"], rest: str, level: np.ndarray
) -> Levels:
    names = sorted(set(level[rows].tolist()), key=_order)
    owner = np.array([names.index(name) for name in level[rows].tolist()])
    x = np.log(np.stack([runs.lr_level[rows], runs.batch[rows]], axis=1))
    y = np.log(runs.loss[rows])
    surface, other = fit(x, y, owner, len(names))
    low = [
        measured(x, y, owner == k)
        if surface is None
        else lowest(surface, x[owner == k], k)
        for k in range(len(names))
    ]
    # By another form of the surface, where there are runs for one.
    again = []
    if other is not None:
        again = [lowest(other, x[owner == k], k).value for k in range(len(names))]
    order = np.argsort([item.value for item in low], kind="stable").tolist()
    best, levels = low[order[0]], []
    for k in order:
        own = owner == k
        gap = low[k].value - best.value
        half = None
        if surface is not None and k != order[0]:
            step = low[k].row - best.row
            half = surface.reach * float(np.sqrt(step @ surface.covariance @ step))
            # How far the form of the surface decides.
            form = gap - (again[k] - again[order[0]]) if again else 0.0
            half = math.hypot(half, form)
        levels.append(
            LevelLoss(
                level=names[k],
                recipe=label(rest, runs.also, names[k]),
                runs=int(own.sum()),
                **_loss(low[k], gap, half),
                measured=float(np.exp(y[own].min())),
                at_edge=low[k].at_edge,
            )
        )
    return Levels(
        name=runs.also,
        recipe=rest,
        params=float(runs.params[rows[0]]),
        tokens=float(runs.tokens[rows[0]]),
        scales={key: float(values[rows[0]]) for key, values in runs.scales.items()},
        levels=tuple(levels),
        freedom=0 if surface is None else surface.freedom,
        is_measured=surface is None,
    )


def _loss(low: Low, gap: float, half: float | None) -> dict[str, Any]:
    """A lowest loss and what it loses, in natural units."""
    lr, batch = np.exp(low.x).tolist()
    ends = None
    if half is not None:
        ends = float(np.expm1(gap - half)), float(np.expm1(gap + half))
    loss = {"loss": float(np.exp(low.value)), "loses": float(np.expm1(gap))}
    return {"lr": lr, "batch": batch, **loss, "interval": ends}


def _order(level: str) -> tuple[float, str]:
    try:
        return float(level), ""
    except ValueError:
        return float("inf"), level


def nearest(found: tuple[Levels, ...], sizes: Mapping[str, float]) -> Levels | None:
    """Of comparisons, the one at the size nearest to a question, in logarithms."""

    def distance(item: Levels) -> float:
        own = {"params": item.params, "tokens": item.tokens, **item.scales}
        return sum(
            float(np.log(own[key] / value)) ** 2
            for key, value in sizes.items()
            if key in own
        )

    return min(found, key=distance, default=None)

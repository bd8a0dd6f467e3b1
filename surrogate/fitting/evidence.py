"""What the runs themselves say of an optimum along lr and batch, whatever is fitted.

Families are convex by construction, so that a constant, a hill or a saddle gets an
optimum too. Here the curvature is estimated freely, by least squares of ln loss on a
second-degree polynomial of (ln lr, ln batch) with a level for every cell, and an
optimum counts as seen where it is positive at 2.5 %, one-sided; of few cells also where
the loss falls towards the optimum and rises beyond it (`two_sided`).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any, NamedTuple

import numpy as np

from surrogate.base.chances import coin, student
from surrogate.base.shapes import Bool, Float64
from surrogate.base.units import format_lr, format_tokens_exact
from surrogate.data import Runs
from surrogate.data.coordinates import Features, Rows, level_columns
from surrogate.fitting.outliers import outliers
from surrogate.fitting.two_sided import Near, is_seen

_ONE_SIDED = 0.025
_SIGN_TEST = 0.05
# Of noise standard deviations by which the end of one grid must beat its neighbour.
_STEP = 2.0
_ANGLES = 64
# From so many cells on, the error of a curvature also counts what a cell shares.
_MIN_CLUSTERS = 5
_RANK = 1e-8
# A column of which the others leave less is theirs.
_TOLD = 1e-6


@dataclass(frozen=True)
class Direction:
    """One setting, lr or batch.

    Attributes:
        levels: the most values that it takes in one cell; where runs share no cell,
            among all of them.
        is_curved: its curvature is positive, one-sided at 2.5 %.
        is_hill: it is negative, likewise.
        low: in how many groups of runs (one cell; for lr also one batch) the lowest
            value is best.
        high: in how many the highest that did not diverge is.
        groups: of at least two values.
        is_low: the first is a finding: a sign test under 5 %, or in one group a step
            of 2 standard deviations.
        is_high: likewise.
        above: a value that lies below the optimum of every group of `high`.
        below: a value that lies above that of every group of `low`.
        ends: lowest and highest value of the best levels' groups, natural units.
        capped: in how many of `high` runs above it diverged.
    """

    levels: int
    is_curved: bool
    is_hill: bool
    low: int
    high: int
    groups: int
    is_low: bool
    is_high: bool
    above: float | None
    below: float | None
    ends: tuple[float, float]
    capped: int = 0

    def to_json(self) -> dict[str, Any]:
        """Plain numbers; `from_json` gives the same back."""
        return asdict(self)

    @classmethod
    def from_json(cls, data: dict[str, Any]) -> Direction:
        """From what `to_json` gave."""
        return cls(**{**data, "ends": tuple(data["ends"])})


def directions(
    features: Features,
    rows: Rows,
    runs: Runs,
    spread: Float64[np.ndarray, " n"],
    near: Near | None = None,
) -> dict[str, Direction]:
    """What the runs say of every setting that is fitted.

    Args:
        features: which settings are.
        rows: the fitted runs.
        runs: all runs.
        spread: size of the residual to expect of each row, in ln loss.
        near: a fit of few cells about its optimum; None of many.
    """
    odd = odd_rows(features, rows, spread)
    kept = _without(rows, odd)
    free = _Polynomial.of(features, kept, spread[~odd])
    signs = dict.fromkeys(features.choices, 0)
    if free is not None:
        signs = free.signs(features.choices)
    for i, name in enumerate(features.choices):
        if near is not None and not signs[name] and is_seen(near, rows, i):
            signs[name] = 1
    noise = free.noise if free is not None else np.inf
    sound = runs.usable
    sound[np.flatnonzero(sound)[odd]] = False
    return {
        name: _direction(name, runs, sound, signs[name], noise)
        for name in features.choices
    }


def odd_rows(
    features: Features, rows: Rows, spread: Float64[np.ndarray, " n"]
) -> Bool[np.ndarray, " n"]:
    """Runs of which the others say that they cannot be; they are no evidence."""
    root = spread.min() / spread
    levels, slopes, _, bends = _columns(len(features.choices), rows)
    design = np.concatenate([*levels, *slopes, *bends], axis=1) * root[:, None]
    return outliers(design, rows.target * root, root)


def _without(rows: Rows, odd: Bool[np.ndarray, " n"]) -> Rows:
    return rows._replace(z=rows.z[~odd], target=rows.target[~odd], cell=rows.cell[~odd])


def is_sure(count: int, groups: int) -> bool:
    """Whether so many of so many groups are more than a coin would give, at 5 %."""
    return bool(groups > 0 and coin(count, groups) < _SIGN_TEST)


class _Polynomial(NamedTuple):
    """A free second-degree polynomial of u, fitted to the rows.

    Attributes:
        names: of its second-degree terms: (i, j), i <= j.
        told: which of them no other column explains; the others have no coefficient.
        value: their coefficients.
        covariance: of them, with its degrees of freedom: of independent runs, and
            where there are enough cells of what their runs share.
        noise: standard deviation of ln loss about it near the optimum.
    """

    names: list[tuple[int, int]]
    told: Bool[np.ndarray, " terms"]
    value: Float64[np.ndarray, " terms"]
    covariance: list[tuple[Float64[np.ndarray, "terms terms"], int]]
    noise: float

    @classmethod
    def of(
        cls, features: Features, rows: Rows, spread: Float64[np.ndarray, " n"]
    ) -> _Polynomial | None:
        """None where no degree of freedom is left for its error."""
        root = spread.min() / spread
        levels, slopes, names, bends = _columns(len(features.choices), rows)
        for extra in (slopes, slopes[: len(features.choices)]):
            design = np.concatenate([*levels, *extra, *bends], axis=1) * root[:, None]
            rank = int(np.linalg.matrix_rank(design, tol=_RANK * np.sqrt(len(root))))
            if len(root) - rank >= 2:
                break
        freedom = len(root) - rank
        if freedom < 1:
            return None
        others = np.concatenate([*levels, *extra], axis=1) * root[:, None]
        wanted = np.concatenate(bends, axis=1) * root[:, None]
        target = rows.target * root
        basis = _basis(others)
        left = wanted - basis @ (basis.T @ wanted)
        told = np.linalg.norm(left, axis=0) > _TOLD * np.linalg.norm(wanted, axis=0)
        left = left * told
        inverse = np.linalg.pinv(left.T @ left, rcond=1e-10)
        rest = target - basis @ (basis.T @ target)
        found = inverse @ left.T @ rest
        residual = rest - left @ found
        variance = float(residual @ residual) / freedom
        errors = [(variance * inverse, freedom)]
        clusters = np.unique(rows.cell)
        if _MIN_CLUSTERS <= len(clusters) < len(root) / 2:
            scores = np.stack(
                [left[rows.cell == c].T @ residual[rows.cell == c] for c in clusters]
            )
            meat = scores.T @ scores * len(clusters) / (len(clusters) - 1)
            errors.append((inverse @ meat @ inverse, len(clusters) - 1))
        return cls(names, told, found, errors, float(np.sqrt(variance)))

    def signs(self, choices: Sequence[str]) -> dict[str, int]:
        """The sign of the curvature along each direction, 0 where it is not sure.

        Where each is positive and some direction between is not, the less certain one
        counts as 0.
        """
        at = {pair: k for k, pair in enumerate(self.names)}
        ratio = {}
        for i, name in enumerate(choices):
            along = np.zeros(len(self.names))
            along[at[i, i]] = 1.0
            ratio[name] = self._ratio(along)
        found = {
            name: int(value > 1) - int(value < -1) for name, value in ratio.items()
        }
        if len(choices) == 2 and min(found.values()) > 0:
            angle = np.pi * np.arange(_ANGLES) / _ANGLES
            c, s = np.cos(angle), np.sin(angle)
            # In the order of `names`: (0, 0), (0, 1), (1, 1).
            between = np.stack([c * c, 2 * c * s, s * s], axis=1) @ self.value
            if between.min() <= 0:
                found[min(ratio, key=lambda name: ratio[name])] = 0
        return found

    def _ratio(self, along: Float64[np.ndarray, " terms"]) -> float:
        """A curvature over what it must exceed to be sure; 0 where no run tells it."""
        if (along != 0)[~self.told].any():
            return 0.0
        needed = max(
            float(np.sqrt(max(along @ covariance @ along, 1e-300)))
            * student(1 - _ONE_SIDED, freedom)
            for covariance, freedom in self.covariance
        )
        return float(along @ self.value) / needed


def _columns(
    choices: int, rows: Rows
) -> tuple[list[np.ndarray], list[np.ndarray], list[tuple[int, int]], list[np.ndarray]]:
    """Columns of levels, of slopes, and of the second degree with their names."""
    u, s = rows.z[:, :choices], rows.z[:, choices:]
    levels = [level_columns(rows.cell, s)]
    slopes = [u[:, [i]] for i in range(choices)]
    if len(np.unique(rows.cell)) >= 3:
        slopes += [
            u[:, [i]] * s[:, [j]] for i in range(choices) for j in range(s.shape[1])
        ]
    names = [(i, j) for i in range(choices) for j in range(i, choices)]
    bends = [(0.5 if i == j else 1.0) * u[:, [i]] * u[:, [j]] for i, j in names]
    return levels, slopes, names, bends


def _basis(columns: np.ndarray) -> np.ndarray:
    """Orthonormal columns that span what these do."""
    u, size, _ = np.linalg.svd(columns, full_matrices=False)
    return u[:, size > _RANK * size[0]]


def _direction(
    name: str,
    runs: Runs,
    sound: Bool[np.ndarray, " runs"],
    sign: int,
    noise: float,
) -> Direction:
    values = runs.lr_level if name == "lr" else runs.batch
    levels = int(runs.levels_within_cells(values).max())
    groups = [_group(runs, rows, values, sound) for rows in _groups(name, runs)]
    groups = [group for group in groups if len(group.values) >= 2]
    low = [g for g in groups if g.best == 0]
    high = [g for g in groups if g.best == len(g.values) - 1]
    usable = values[runs.usable]
    return Direction(
        levels=levels if levels > 1 else len(np.unique(usable)),
        is_curved=sign > 0,
        is_hill=sign < 0,
        low=len(low),
        high=len(high),
        groups=len(groups),
        is_low=_is_finding(low, len(groups), 0, 1, noise),
        is_high=_is_finding(high, len(groups), -1, -2, noise),
        above=min((float(g.values[-2]) for g in high), default=None),
        below=max((float(g.values[1]) for g in low), default=None),
        ends=(float(usable.min()), float(usable.max())),
        capped=sum(g.is_capped for g in high),
    )


class _Group(NamedTuple):
    """Values of one setting, ascending, the lowest loss at each, which is best.

    Attributes:
        values: ascending.
        loss: the lowest at each.
        best: the place of the lowest; None where several values share it.
        is_capped: a run that diverged lies above the highest.
    """

    values: np.ndarray
    loss: np.ndarray
    best: int | None
    is_capped: bool


def _groups(name: str, runs: Runs) -> list[np.ndarray]:
    """Rows of one cell; for lr of one batch of it."""
    place = runs.cell[:, None]
    if name == "lr":
        place = np.stack([runs.cell, runs.batch], axis=1)
    _, group = np.unique(place, axis=0, return_inverse=True)
    group = np.ravel(group)
    order = np.argsort(group, kind="stable")
    return np.split(order, np.flatnonzero(np.diff(group[order])) + 1)


def _group(
    runs: Runs, rows: np.ndarray, values: np.ndarray, sound: np.ndarray
) -> _Group:
    """Of the sound runs among these rows; at each value the best of the others."""
    kept = rows[sound[rows]]
    each, at = np.unique(values[kept], return_inverse=True)
    loss = np.full(len(each), np.inf)
    np.minimum.at(loss, at, runs.loss[kept])
    lost = values[rows[runs.diverged[rows]]]
    is_capped = bool(each.size and (lost > each[-1]).any())
    lowest = np.flatnonzero(loss == loss.min(initial=np.inf))
    best = int(lowest[0]) if lowest.size == 1 else None
    return _Group(each, loss, best, is_capped)


def _is_finding(
    at_end: list[_Group], groups: int, end: int, beside: int, noise: float
) -> bool:
    if len(at_end) == groups > 0:
        # So few that a coin may fall so: by how much counts as well.
        logs = [np.log(group.loss) for group in at_end]
        steps = [float(loss[beside] - loss[end]) for loss in logs]
        if np.mean(steps) * np.sqrt(groups) > _STEP * noise:
            return True
    return groups > 1 and is_sure(len(at_end), groups)


def unclear(found: Direction | None, name: str) -> str | None:
    """Why the runs show no best value of a setting that is fitted; None if they do."""
    if found is None or found.is_curved:
        return None
    if found.is_hill:
        return (
            f"These runs do not show a best {name}: between the ends of what was tried "
            "the loss is higher than at both."
        )
    if found.is_low or found.is_high:
        return None
    low, high = (setting(name, end) for end in found.ends)
    if found.levels == 2:
        return (
            f"These runs do not show a best {name}: it takes two values in a cell, "
            "which tell a slope and no optimum, and the lower one is better in "
            f"{found.low} of {found.groups} groups of runs, the higher one in "
            f"{found.high}, too few to be sure. Add runs at a third value."
        )
    counts = (
        f"the lowest is best in {found.low} of {found.groups} groups of runs, the "
        f"highest in {found.high}"
    )
    return (
        f"These runs do not show a best {name} between {low} and {high}: along it the "
        f"loss does not bend more than its noise ({counts}). Add runs farther apart, "
        "or repeats."
    )


def setting(name: str, value: float) -> str:
    """A value of lr or batch for people."""
    if name == "lr":
        return format_lr(value)
    return f"{format_tokens_exact(round(value))} tokens"

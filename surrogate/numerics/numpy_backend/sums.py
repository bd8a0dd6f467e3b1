"""Sums over the rows: cost, gradient and Hessian in the affine functions' coefficients.

What a row's ln loss owes to its scales alone is the same for all rows of one place, and
is computed once a place; the walls about the optimum are computed a row. The Hessian's
large parts are matrix products of weighted with plain Jacobians. All is as precise as
the rows: float32 costs half as much, and is enough on the way to a minimum.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from jaxtyping import Float, Float64, Int

from surrogate.families.protocol import CELL_SPREAD
from surrogate.families.scaling_law import Law, Values
from surrogate_kernels.pattern import Pattern


class Normal(NamedTuple):
    """`ref.NormalEquations` of a batch.

    Attributes:
        cost: weighted squares.
        gradient: half of the cost's.
        hessian: half of the cost's.
    """

    cost: Float[np.ndarray, " R"]
    gradient: Float[np.ndarray, "R m"]
    hessian: Float[np.ndarray, "R m m"]


class Rows(NamedTuple):
    """Rows shared by all problems, ordered by place: equal scales, recipe and cell.

    Attributes:
        order: where the rows were.
        begin: the first row of each place.
        place: of each row.
        rows: (1, u, s) of each row.
        products: of all pairs of those.
        at: (1, u, s) of each place, with the u of its first row.
        linear: indicators of recipes at each place.
        member: indicators of cells at each place.
        target: of each row.
    """

    order: Int[np.ndarray, " n"]
    begin: Int[np.ndarray, " places"]
    place: Int[np.ndarray, " n"]
    rows: Float[np.ndarray, "n d"]
    products: Float[np.ndarray, "n dd"]
    at: Float[np.ndarray, "places d"]
    linear: Float[np.ndarray, "places q"]
    member: Float[np.ndarray, "places cells"]
    target: Float[np.ndarray, " n"]

    @classmethod
    def of(
        cls,
        z: Float64[np.ndarray, "n k"],
        target: Float64[np.ndarray, " n"],
        choices: int,
        scales: int,
        cells: int,
    ) -> Rows:
        """Of points (u, s), recipes and cells among the last of s."""
        _, place = np.unique(z[:, choices:], axis=0, return_inverse=True)
        place = np.ravel(place)
        order = np.argsort(place, kind="stable")
        place, z = place[order], z[order]
        begin = np.flatnonzero(np.diff(place, prepend=-1))
        own = z.shape[1] - cells
        rows = np.concatenate([np.ones((len(z), 1)), z[:, :own]], axis=1)
        products = (rows[:, :, None] * rows[:, None, :]).reshape(len(rows), -1)
        linear, member = z[begin, choices + scales : own], z[begin, own:]
        return cls(
            *(order, begin, place, rows, products, rows[begin], linear, member),
            target[order],
        )

    def of_dtype(self, dtype: type[np.floating]) -> Rows:
        """Rows whose numbers are of this precision."""
        return Rows(
            *(part if part.dtype.kind == "i" else part.astype(dtype) for part in self)
        )

    def each(self, values: np.ndarray) -> np.ndarray:
        """Sums over the rows of each place."""
        return np.add.reduceat(values, self.begin, axis=-1)


def _gram(left: np.ndarray, right: np.ndarray) -> np.ndarray:
    return left @ right.transpose(0, 2, 1)


def of_bowl(
    law: Law,
    walls: int,
    pattern: Pattern,
    at: Rows,
    coefficients: Float[np.ndarray, "R m"],
    offsets: Float[np.ndarray, "R q"],
    weights: Float[np.ndarray, "R n"],
    copies: Float[np.ndarray, "R cells"],
) -> Normal:
    """`families.Bowl`: scaling law less H, plus the walls; then the recipes' offsets.

    What each cell shares has been minimised over. The last affine functions are so
    many walls.
    """
    terms = _terms(pattern, coefficients, at.at)
    inner = pattern.terms - walls - 1
    found = law.values(list(terms[:inner]))
    height = np.exp(terms[inner])
    width = pattern.coordinates
    split = coefficients.shape[1] - walls * width
    of_walls = coefficients[:, split:].reshape(len(coefficients), walls, width)
    wall = np.exp(of_walls @ at.rows.T)
    base = found.level - height + offsets @ at.linear.T
    residual = base[:, at.place] + wall.sum(axis=1) - at.target
    heavy = at.each(weights)
    stiff, shared = copies, copies
    if at.member.shape[1]:
        stiff = heavy @ at.member + copies / CELL_SPREAD**2
        shared = -(at.each(weights * residual) @ at.member) / stiff
        residual += (shared @ at.member.T)[:, at.place]
    pull = weights * residual
    drawn = at.each(pull)
    # Walls, a row: the Jacobian and its weighted copy.
    slope = (wall[:, :, None] * at.rows.T).reshape(len(wall), walls * width, -1)
    weighted = slope * weights[:, None]
    in_walls = _gram(weighted, slope)
    bend = (wall * pull[:, None]) @ at.products
    bend = bend.reshape(len(wall), walls, width, width)
    for k in range(walls):
        part = slice(k * width, (k + 1) * width)
        in_walls[:, part, part] += bend[:, k]
    # Law, height and recipes, a place.
    term, coordinate = (
        np.array(part)[:split] for part in (pattern.term, pattern.coordinate)
    )
    first = np.stack([*found.first, -height], axis=1)
    along = at.at.T[coordinate]
    of_place = first[:, term] * along
    linear = np.broadcast_to(at.linear.T, (len(wall), *at.linear.T.shape))
    of_place = np.concatenate([of_place, linear], axis=1)
    heavy_place = of_place * heavy[:, None]
    in_place = _gram(heavy_place, of_place)
    in_place[:, :split, :split] += _bend(found, -height, term, along, drawn)
    sums = at.each(weighted)
    between = _gram(of_place, sums)
    count = coefficients.shape[1]
    own = np.concatenate([np.arange(split), np.arange(count, count + offsets.shape[1])])
    rest = np.arange(split, count)
    size = count + offsets.shape[1]
    hessian = np.empty((len(wall), size, size), wall.dtype)
    hessian[:, own[:, None], own] = in_place
    hessian[:, own[:, None], rest] = between
    hessian[:, rest[:, None], own] = between.transpose(0, 2, 1)
    hessian[:, rest[:, None], rest] = in_walls
    gradient = np.empty((len(wall), size), wall.dtype)
    gradient[:, own] = (of_place @ drawn[:, :, None])[:, :, 0]
    gradient[:, rest] = (slope @ pull[:, :, None])[:, :, 0]
    cost = np.einsum("rn,rn->r", pull, residual)
    if at.member.shape[1]:
        crossed = np.empty((len(wall), size, at.member.shape[1]), wall.dtype)
        crossed[:, own], crossed[:, rest] = heavy_place @ at.member, sums @ at.member
        hessian -= _gram(crossed / stiff[:, None], crossed)
        cost += np.sum(copies * (shared / CELL_SPREAD) ** 2, axis=1)
    return Normal(cost, gradient, hessian)


def _bend(
    found: Values,
    height: np.ndarray,
    term: np.ndarray,
    along: np.ndarray,
    drawn: np.ndarray,
) -> np.ndarray:
    """Second derivatives of law and height, pulled, in their coefficients."""
    last = len(found.first)
    second = np.zeros((last + 1, last + 1, *height.shape), height.dtype)
    for t, row in enumerate(found.second):
        for k, value in enumerate(row):
            second[t, t + k] = second[t + k, t] = value
    second[last, last] = height
    pulled = (second * drawn)[term[:, None], term]
    return np.einsum("ijrg,ig,jg->rij", pulled, along, along, optimize=True)


def of_sum(
    pattern: Pattern,
    at: Rows,
    coefficients: Float[np.ndarray, "R m"],
    offsets: Float[np.ndarray, "R q"],
    weights: Float[np.ndarray, "R n"],
) -> Normal:
    """`families.Posynomial`: the log of a sum of exponentials, then offsets."""
    exponents = _terms(pattern, coefficients, at.rows)
    top = exponents.max(axis=0)
    share = np.exp(exponents - top)
    total = share.sum(axis=0)
    share = (share / total).transpose(1, 0, 2)
    residual = top + np.log(total) - at.target + (offsets @ at.linear.T)[:, at.place]
    pull = weights * residual
    term, coordinate = np.array(pattern.term), np.array(pattern.coordinate)
    slope = share[:, term] * at.rows.T[coordinate]
    # The Hessian of ln sum exp is diag(share) - share share' in the affine functions.
    hessian = _gram(slope * (weights - pull)[:, None], slope)
    bend = (share * pull[:, None]) @ at.products
    where = coordinate[:, None] * pattern.coordinates + coordinate
    hessian += (term[:, None] == term) * bend[:, term[:, None], where]
    gradient = (slope @ pull[:, :, None])[:, :, 0]
    cost = np.einsum("rn,rn->r", pull, residual)
    if not at.linear.shape[1]:
        return Normal(cost, gradient, hessian)
    cross = at.each(slope * weights[:, None]) @ at.linear
    square = (at.linear.T * at.each(weights)[:, None]) @ at.linear
    gradient = np.concatenate([gradient, at.each(pull) @ at.linear], axis=1)
    above = np.concatenate([hessian, cross], axis=2)
    below = np.concatenate([cross.transpose(0, 2, 1), square], axis=2)
    return Normal(cost, gradient, np.concatenate([above, below], axis=1))


def _terms(
    pattern: Pattern,
    coefficients: Float[np.ndarray, "R m"],
    rows: Float[np.ndarray, "n d"],
) -> Float[np.ndarray, "t R n"]:
    """Each term's affine function of the rows.

    One product a problem: of all at once the last digit would depend on how many.
    """
    shape = len(coefficients), pattern.terms, pattern.coordinates
    matrix = np.zeros(shape, coefficients.dtype)
    matrix[:, np.array(pattern.term), np.array(pattern.coordinate)] = coefficients
    return (matrix @ rows.T).transpose(1, 0, 2)

"""Sums over the rows: cost, gradient and Hessian in the affine functions' coefficients.

What a row's ln loss owes to its scales alone is the same for all rows of one place and
computed once a place. What it owes to terms that know lr and batch, the walls, is
computed a row: the Hessian in the coefficients of two of them is one weight of the row
times the products of its coordinates, which are the same for every problem and every
pair of walls. All is as precise as the rows: float32 costs half as much, and is enough
on the way to a minimum.
"""

from __future__ import annotations

from functools import lru_cache
from typing import NamedTuple

import numpy as np

from surrogate.base.shapes import Float, Float64, Int
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
        products: of each pair of those, once.
        at: (1, u, s) of each place, with the u of its first row.
        linear: indicators of recipes at each place.
        member: indicators of cells at each place.
        target: of each row.
        choices: how many of the coordinates are u.
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
    choices: int

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
        first, second = np.triu_indices(rows.shape[1])
        products = rows[:, first] * rows[:, second]
        linear, member = z[begin, choices + scales : own], z[begin, own:]
        return cls(
            *(order, begin, place, rows, products, rows[begin], linear, member),
            target[order],
            choices,
        )

    def of_dtype(self, dtype: type[np.floating]) -> Rows:
        """Rows whose numbers are of this precision."""
        return self._replace(
            **{
                name: getattr(self, name).astype(dtype)
                for name in ("rows", "products", "at", "linear", "member", "target")
            }
        )

    def each(self, values: np.ndarray) -> np.ndarray:
        """Sums over the rows of each place."""
        return np.add.reduceat(values, self.begin, axis=-1)


class Problems(NamedTuple):
    """What differs between problems.

    Attributes:
        coefficients: of the affine functions.
        offsets: of the recipes.
        weights: of the rows.
        copies: how often each cell is there.
    """

    coefficients: Float[np.ndarray, "R m"]
    offsets: Float[np.ndarray, "R q"]
    weights: Float[np.ndarray, "R n"]
    copies: Float[np.ndarray, "R cells"]


def _gram(left: np.ndarray, right: np.ndarray) -> np.ndarray:
    return left @ right.transpose(0, 2, 1)


class _Split(NamedTuple):
    """Which coefficients are of places, which of walls.

    Attributes:
        split: the first coefficient of a wall.
        term: of each coefficient of places.
        coordinate: likewise.
        wall: of each coefficient of a wall, the number of it.
        along: likewise its coordinate.
        pairs: of walls, each once.
        where: in (pair, product of coordinates) what two such coefficients share.
        own: places' coefficients and, after all coefficients, recipes' offsets.
    """

    split: int
    term: Int[np.ndarray, " i"]
    coordinate: Int[np.ndarray, " i"]
    wall: Int[np.ndarray, " j"]
    along: Int[np.ndarray, " j"]
    pairs: list[tuple[int, int]]
    where: Int[np.ndarray, "j j"]
    own: Int[np.ndarray, " q"]


@lru_cache(maxsize=64)
def _split_of(pattern: Pattern, walls: int, offsets: int) -> _Split:
    term, coordinate = np.array(pattern.term), np.array(pattern.coordinate)
    first = pattern.terms - walls
    split = int(np.argmax(term >= first))
    wall, along = term[split:] - first, coordinate[split:]
    pairs = [(k, m) for k in range(walls) for m in range(k, walls)]
    pair = np.zeros((walls, walls), int)
    for number, (k, m) in enumerate(pairs):
        pair[k, m] = pair[m, k] = number
    width = pattern.coordinates
    upper = np.triu_indices(width)
    product = np.zeros((width, width), int)
    product[upper] = product.T[upper] = np.arange(len(upper[0]))
    where = pair[wall[:, None], wall] * len(upper[0]) + product[along[:, None], along]
    own = np.concatenate([np.arange(split), len(term) + np.arange(offsets)])
    return _Split(
        split, term[:split], coordinate[:split], wall, along, pairs, where, own
    )


def _moments(
    at: Rows, by: _Split, weighted: Float[np.ndarray, "R walls n"]
) -> Float[np.ndarray, "R j places"]:
    """Sums over each place of these weights times the coordinates of walls.

    Of the coordinates only u differs within a place.
    """
    choices = at.choices
    parts = np.empty((*weighted.shape[:2], 1 + choices, weighted.shape[2]), at.at.dtype)
    parts[:, :, 0] = weighted
    for c in range(choices):
        np.multiply(weighted, at.rows.T[1 + c], out=parts[:, :, 1 + c])
    sums = at.each(parts)
    of_row = np.minimum(by.along, 1 + choices) % (1 + choices)
    fixed = np.where((by.along > choices)[:, None], at.at.T[by.along], 1)
    return sums[:, by.wall, of_row] * fixed.astype(at.at.dtype)


def _in_walls(
    at: Rows,
    by: _Split,
    left: Float[np.ndarray, "R walls n"],
    right: Float[np.ndarray, "R walls n"],
    own: Float[np.ndarray, "R walls n"],
) -> Float[np.ndarray, "R j j"]:
    """Sums over the rows of left_k right_l, and of own_k where k is l, times x x'."""
    count, _, n = left.shape
    of_pairs = np.empty((count, len(by.pairs), n), left.dtype)
    for number, (k, m) in enumerate(by.pairs):
        np.multiply(left[:, k], right[:, m], out=of_pairs[:, number])
        if k == m:
            of_pairs[:, number] += own[:, k]
    return np.take((of_pairs @ at.products).reshape(count, -1), by.where, axis=1)


def _whole(
    by: _Split, in_place: np.ndarray, between: np.ndarray, in_walls: np.ndarray
) -> np.ndarray:
    """The Hessian of its blocks, in the order of coefficients and offsets."""
    walls = len(by.wall)
    size = len(by.own) + walls
    rest = slice(by.split, by.split + walls)
    hessian = np.empty((len(in_walls), size, size), in_walls.dtype)
    hessian[:, by.own[:, None], by.own] = in_place
    hessian[:, by.own, rest] = between
    hessian[:, rest, by.own] = between.transpose(0, 2, 1)
    hessian[:, rest, rest] = in_walls
    return hessian


def _slope(
    by: _Split, own: np.ndarray, walls: np.ndarray
) -> Float[np.ndarray, "R size"]:
    """The gradient of its parts."""
    gradient = np.empty((len(own), len(by.own) + walls.shape[1]), own.dtype)
    gradient[:, by.own] = own
    gradient[:, by.split : by.split + walls.shape[1]] = walls
    return gradient


def of_bowl(law: Law, walls: int, pattern: Pattern, at: Rows, of: Problems) -> Normal:
    """`families.Bowl`: scaling law less H, plus the walls; then the recipes' offsets.

    What each cell shares has been minimised over. The last affine functions are so
    many walls.
    """
    by = _split_of(pattern, walls, of.offsets.shape[1])
    terms = _terms(pattern, of.coefficients, at.at)
    inner = pattern.terms - walls - 1
    found = law.values(list(terms[:inner]))
    height = np.exp(terms[inner])
    of_walls = of.coefficients[:, by.split :].reshape(len(of.weights), walls, -1)
    wall = np.exp(of_walls @ at.rows.T)
    base = found.level - height + of.offsets @ at.linear.T
    residual = base[:, at.place] + wall.sum(axis=1) - at.target
    heavy = at.each(of.weights)
    shared, stiff = _of_cells(at, of, heavy, residual)
    if at.member.shape[1]:
        residual += (shared @ at.member.T)[:, at.place]
    pull = of.weights * residual
    drawn = at.each(pull)
    weighted, pulled = wall * of.weights[:, None], wall * pull[:, None]
    in_walls = _in_walls(at, by, weighted, wall, pulled)
    # Law, height and recipes, a place.
    first = np.stack([*found.first, -height], axis=1)
    along = at.at.T[by.coordinate]
    linear = np.broadcast_to(at.linear.T, (len(wall), *at.linear.T.shape))
    of_place = np.concatenate([first[:, by.term] * along, linear], axis=1)
    heavy_place = of_place * heavy[:, None]
    in_place = _gram(heavy_place, of_place)
    in_place[:, : by.split, : by.split] += _bend(found, -height, by.term, along, drawn)
    sums = _moments(at, by, weighted)
    hessian = _whole(by, in_place, _gram(of_place, sums), in_walls)
    own = (of_place @ drawn[:, :, None])[:, :, 0]
    gradient = _slope(by, own, (pulled @ at.rows).reshape(len(wall), -1))
    cost = np.einsum("rn,rn->r", pull, residual)
    if at.member.shape[1]:
        crossed = np.concatenate([heavy_place, sums], axis=1) @ at.member
        order = np.concatenate([by.own, by.split + np.arange(len(by.wall))])
        crossed[:, order] = crossed.copy()
        hessian -= _gram(crossed / stiff[:, None], crossed)
        cost += np.sum(of.copies * (shared / CELL_SPREAD) ** 2, axis=1)
    return Normal(cost, gradient, hessian)


def _of_cells(
    at: Rows, of: Problems, heavy: np.ndarray, residual: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """What each cell shares, given the rest, and the curvature of the cost in it."""
    if not at.member.shape[1]:
        return of.copies, of.copies
    stiff = heavy @ at.member + of.copies / CELL_SPREAD**2
    return -(at.each(of.weights * residual) @ at.member) / stiff, stiff


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


class _Mixed(NamedTuple):
    """The log of a sum, row by row.

    Attributes:
        place: share of each term of a place among these.
        walls: share of each wall in a row.
        rest: what a row has for its place's terms.
        residual: of each row.
        pull: that times its weight.
    """

    place: Float[np.ndarray, "R t places"]
    walls: Float[np.ndarray, "R walls n"]
    rest: Float[np.ndarray, "R n"]
    residual: Float[np.ndarray, "R n"]
    pull: Float[np.ndarray, "R n"]


def _mixed(by: _Split, walls: int, pattern: Pattern, at: Rows, of: Problems) -> _Mixed:
    """The value and the share of each term in it."""
    terms = _terms(pattern, of.coefficients, at.at)[: pattern.terms - walls]
    level = terms.max(axis=0)
    mixed = np.exp(terms - level)
    level += np.log(mixed.sum(axis=0))
    mixed = (mixed / mixed.sum(axis=0)).transpose(1, 0, 2)
    shape = len(of.weights), walls, pattern.coordinates
    matrix = np.zeros(shape, of.weights.dtype)
    matrix[:, by.wall, by.along] = of.coefficients[:, by.split :]
    # Relative to what the place alone has.
    share = matrix @ at.rows.T - level[:, None, at.place]
    top = np.maximum(share.max(axis=1), 0)
    np.exp(share - top[:, None], out=share)
    rest = np.exp(-top)
    total = rest + share.sum(axis=1)
    share /= total[:, None]
    rest /= total
    base = (level + of.offsets @ at.linear.T)[:, at.place]
    residual = base + top + np.log(total) - at.target
    return _Mixed(mixed, share, rest, residual, of.weights * residual)


def of_sum(walls: int, pattern: Pattern, at: Rows, of: Problems) -> Normal:
    """`families.Posynomial`: the log of a sum of exponentials, then offsets.

    The last affine functions are so many walls. Of the Hessian of ln sum exp in the
    affine functions, diag(share) - share share', a row has the shares of its walls;
    its place those of the others among themselves.
    """
    by = _split_of(pattern, walls, of.offsets.shape[1])
    mixed = _mixed(by, walls, pattern, at, of)
    share, rest, pull = mixed.walls, mixed.rest, mixed.pull
    bent = of.weights - pull
    pulled = share * pull[:, None]
    in_walls = _in_walls(at, by, share * bent[:, None], share, pulled)
    drawn = at.each(pull * rest)
    along = at.at.T[by.coordinate]
    of_place = mixed.place[:, by.term] * along
    in_place = _gram(of_place * at.each(bent * rest**2)[:, None], of_place)
    in_place += (by.term[:, None] == by.term) * ((of_place * drawn[:, None]) @ along.T)
    between = _gram(of_place, _moments(at, by, share * (bent * rest)[:, None]))
    own = (of_place @ drawn[:, :, None])[:, :, 0]
    in_rows = (pulled @ at.rows)[:, by.wall, by.along]
    cost = np.einsum("rn,rn->r", pull, mixed.residual)
    if at.linear.shape[1]:
        linear = np.broadcast_to(at.linear.T, (len(pull), *at.linear.T.shape))
        cross = (of_place * at.each(of.weights * rest)[:, None]) @ at.linear
        square = (linear * at.each(of.weights)[:, None]) @ at.linear
        sums = _moments(at, by, share * of.weights[:, None])
        above = np.concatenate([in_place, cross], axis=2)
        below = np.concatenate([cross.transpose(0, 2, 1), square], axis=2)
        in_place = np.concatenate([above, below], axis=1)
        between = np.concatenate([between, _gram(linear, sums)], axis=1)
        own = np.concatenate([own, at.each(pull) @ at.linear], axis=1)
    hessian = _whole(by, in_place, between, in_walls)
    return Normal(cost, _slope(by, own, in_rows), hessian)


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

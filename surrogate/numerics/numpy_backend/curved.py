"""Cost, gradient and Hessian of the curved families, of many problems, in NumPy.

First in theta, by sums over the rows in the affine functions' coefficients and their
derivatives in theta; then in the solver's coordinates, which differ in the scaling law.
"""

from __future__ import annotations

from functools import cached_property
from typing import NamedTuple, TypeAlias

import numpy as np

from surrogate.base.shapes import Float64
from surrogate.families import Bowl, Posynomial
from surrogate.numerics.numpy_backend import law, sums
from surrogate.numerics.numpy_backend.exponents import (
    Exponents,
    Places,
    add_bend,
    exponents,
)
from surrogate.numerics.numpy_backend.sums import Normal, Rows

Family: TypeAlias = Bowl | Posynomial


class Coefficients(NamedTuple):
    """Of the affine functions at the theta of each problem.

    Attributes:
        value: in the order of the family's pattern.
        slope: in theta.
        at: exponents of u, for `bend`.
    """

    value: Float64[np.ndarray, "R m"]
    slope: Float64[np.ndarray, "R m p"]
    at: Exponents


class Model:
    """A curved family on its rows; `normal_equations` is what Newton's method asks."""

    def __init__(
        self,
        family: Family,
        z: Float64[np.ndarray, "n k"],
        target: Float64[np.ndarray, " n"],
        weights: Float64[np.ndarray, "problems m"],
        dtype: type[np.floating] = np.float64,
    ) -> None:
        """Take the arguments of `Curved.normal_equations`, of all problems.

        Args:
            family: what is fitted.
            z: rows shared by all problems.
            target: of the rows.
            weights: of the rows, and how often each problem has each cell.
            dtype: of the sums over the rows; all else is in float64.
        """
        choices, scales, _ = family.shape
        self.family = family
        self.pattern = family.pattern
        rows = Rows.of(z, target, choices, scales, family.cells)
        self.dtype = dtype
        self.rows = rows.of_dtype(dtype)
        self.weights = weights[:, rows.order].astype(dtype, copy=False)
        self.copies = weights[:, len(z) :].astype(dtype, copy=False)
        self.prior = family.prior
        self.law = family.law
        self.forms = forms_of(family)

    def to_solver(
        self, theta: Float64[np.ndarray, "R p"]
    ) -> Float64[np.ndarray, "R p"]:
        """`Curved.to_solver` of many."""
        v, size = theta.copy(), self.law.size
        v[:, :size] = law.to_solver(self.law, theta[:, :size])
        return v

    def from_solver(self, v: Float64[np.ndarray, "R p"]) -> Float64[np.ndarray, "R p"]:
        """`Curved.from_solver` of many."""
        theta, size = v.copy(), self.law.size
        theta[:, :size] = law.place(self.law, v[:, :size]).theta
        return theta

    def normal_equations(
        self, v: Float64[np.ndarray, "R p"], which: np.ndarray
    ) -> Normal:
        """`Curved.normal_equations` of these problems at v."""
        size = self.law.size
        place = law.place(self.law, v[:, :size])
        theta = v.copy()
        theta[:, :size] = place.theta
        found = self._in_theta(theta, which)
        gradient, hessian = found.gradient, found.hessian
        bend = np.einsum("ri,rijk->rjk", gradient[:, :size], place.second)
        gradient[:, :size] = np.einsum("ri,rij->rj", gradient[:, :size], place.first)
        turned = place.first.transpose(0, 2, 1)
        hessian[:, :size] = turned @ hessian[:, :size]
        hessian[:, :, :size] = hessian[:, :, :size] @ place.first
        hessian[:, :size, :size] += bend
        return Normal(found.cost, gradient, hessian)

    def _in_theta(self, theta: Float64[np.ndarray, "R p"], which: np.ndarray) -> Normal:
        forms = self.forms.coefficients(theta)
        free = self.family.free
        raw = self._sums(forms.value, theta[:, free:], which)
        m = forms.value.shape[1]
        size = theta.shape[1]
        slope = forms.slope[:, :, :free]
        gradient = np.empty((len(theta), size))
        gradient[:, :free] = np.einsum("rm,rmp->rp", raw.gradient[:, :m], slope)
        gradient[:, free:] = raw.gradient[:, m:]
        hessian = np.empty((len(theta), size, size))
        turned = slope.transpose(0, 2, 1)
        hessian[:, :free, :free] = turned @ (raw.hessian[:, :m, :m] @ slope)
        if size > free:
            side = turned @ raw.hessian[:, :m, m:]
            hessian[:, :free, free:] = side
            hessian[:, free:, :free] = side.transpose(0, 2, 1)
            hessian[:, free:, free:] = raw.hessian[:, m:, m:]
        self.forms.add_bend(hessian, theta, forms, raw.gradient[:, :m])
        off = theta - self.prior.centre
        gradient += self.prior.precision * off
        diagonal = np.arange(size)
        hessian[:, diagonal, diagonal] += self.prior.precision
        cost = raw.cost + (off**2) @ self.prior.precision
        return Normal(cost, gradient, hessian)

    def _sums(
        self,
        coefficients: Float64[np.ndarray, "R m"],
        offsets: Float64[np.ndarray, "R q"],
        which: np.ndarray,
    ) -> Normal:
        """Over the rows, in the coefficients; what cells share is minimised over."""
        of = sums.Problems(
            coefficients.astype(self.dtype, copy=False),
            offsets.astype(self.dtype, copy=False),
            self.weights[which],
            self.copies[which],
        )
        if isinstance(self.family, Posynomial):
            found = sums.of_sum(self.family.terms, self.pattern, self.rows, of)
        else:
            walls = self.family.shape.choices + 1
            found = sums.of_bowl(self.law, walls, self.pattern, self.rows, of)
        return Normal(*(part.astype(np.float64, copy=False) for part in found))


def forms_of(family: Family) -> Forms:
    """A family's coefficients in theta."""
    return _BowlForms(family) if isinstance(family, Bowl) else _SumForms(family)


class Forms:
    """A family's coefficients, and its function of the affine terms."""

    def __init__(self, family: Family) -> None:
        """Of this family."""
        self.family = family
        self.law = family.law

    @cached_property
    def places(self) -> Places:
        """Where theta holds the exponents of u."""
        raise NotImplementedError

    def _law_part(
        self, value: np.ndarray, slope: np.ndarray, theta: np.ndarray
    ) -> None:
        """The law's own coefficients: each its parameter, decays -exp of theirs."""
        size = self.law.size
        each, decay = np.arange(size), self.law.places.log_powers
        value[:, :size] = theta[:, :size]
        slope[:, each, each] = 1.0
        value[:, decay] = -np.exp(theta[:, decay])
        slope[:, decay, decay] = value[:, decay]

    def _bend_law(
        self, hessian: np.ndarray, theta: np.ndarray, gradient: np.ndarray
    ) -> None:
        decay = self.law.places.log_powers
        hessian[:, decay, decay] -= np.exp(theta[:, decay]) * gradient[:, decay]

    def coefficients(self, theta: np.ndarray) -> Coefficients:
        """Those of the affine functions, with their slopes in theta."""
        raise NotImplementedError

    def add_bend(
        self,
        hessian: np.ndarray,
        theta: np.ndarray,
        forms: Coefficients,
        gradient: np.ndarray,
    ) -> None:
        """Add the coefficients' second derivatives, pulled by the cost's gradient."""
        raise NotImplementedError


class _BowlForms(Forms):
    """The scaling law, the height H, and the walls H l_k exp(a_k . (u - u*(s)))."""

    family: Bowl

    @cached_property
    def places(self) -> Places:
        """Where theta holds the exponents of u."""
        at = self.family.places
        return Places(at.walls, self.family.shape.choices, at.log_weights, at.optimum)

    def _log_shares(self, theta: np.ndarray) -> np.ndarray:
        """Ln l_k of each wall; the weight of the last is 1."""
        own = theta[:, self.places.weights]
        logs = np.concatenate([own, np.zeros((len(theta), 1))], axis=1)
        return logs - np.logaddexp.reduce(logs, axis=1, keepdims=True)

    def _walls(self) -> np.ndarray:
        """Where the coefficients of each wall stand: 1, u, s."""
        begin = self.law.size + 1 + self.family.shape.scales
        count = len(self.family.pattern.term)
        return np.arange(begin, count).reshape(self.family.shape.choices + 1, -1)

    def coefficients(self, theta: np.ndarray) -> Coefficients:
        """Those of the affine functions, with their slopes in theta."""
        choices, scales, _ = self.family.shape
        height = self.family.places.height
        at = exponents(theta, self.places)
        count = len(self.family.pattern.term)
        value = np.zeros((len(theta), count))
        slope = np.zeros((len(theta), count, theta.shape[1]))
        self._law_part(value, slope, theta)
        own, where = np.arange(1 + scales), self._walls()
        value[:, self.law.size + own] = theta[:, height]
        slope[:, self.law.size + own, height] = 1.0
        of_u = where[:, 1 : 1 + choices]
        of_s = np.delete(where, np.s_[1 : 1 + choices], axis=1)
        value[:, of_u], slope[:, of_u] = at.of_u, at.of_u_slope
        value[:, of_s], slope[:, of_s] = at.turned, at.turned_slope
        value[:, of_s[:, own]] += theta[:, None, height]
        for j in own.tolist():
            slope[:, of_s[:, j], height[j]] += 1.0
        log_share = self._log_shares(theta)
        value[:, of_s[:, 0]] += log_share
        share = np.exp(log_share)
        for k, w in enumerate(self.places.weights.tolist()):
            slope[:, of_s[:, 0], w] -= share[:, k, None]
            slope[:, of_s[k, 0], w] += 1.0
        return Coefficients(value, slope, at)

    def add_bend(
        self,
        hessian: np.ndarray,
        theta: np.ndarray,
        forms: Coefficients,
        gradient: np.ndarray,
    ) -> None:
        """Add the coefficients' second derivatives, pulled by the gradient."""
        choices = self.family.shape.choices
        self._bend_law(hessian, theta, gradient)
        where = self._walls()
        of_s = np.delete(where, np.s_[1 : 1 + choices], axis=1)
        of_u = gradient[:, where[:, 1 : 1 + choices]]
        add_bend(hessian, self.places, forms.at, of_u, gradient[:, of_s])
        share, weights = (
            np.exp(self._log_shares(theta))[:, :choices],
            self.places.weights,
        )
        pull = gradient[:, of_s[:, 0]].sum(axis=1)[:, None, None]
        spread = share[:, :, None] * (np.eye(choices) - share[:, None])
        hessian[:, weights[:, None], weights] -= pull * spread


class _SumForms(Forms):
    """A sum of exponentials of affine functions, the scaling law's among them."""

    family: Posynomial

    @cached_property
    def places(self) -> Places:
        """Where theta holds the exponents of u."""
        at, choices = self.family.places, self.family.shape.choices
        every = at.exponents
        free = np.delete(every, choices, axis=0)
        return Places(free, choices, every[choices], at.steps)

    @property
    def _of_u(self) -> np.ndarray:
        """Where theta and the coefficients hold the exponents of each term."""
        return self.family.places.exponents

    @property
    def _kept(self) -> int:
        """Coefficients that theta holds in the same places: all but what is turned."""
        return self.family.free - self.family.places.steps.size

    def _turned(self) -> np.ndarray:
        terms, recipes = self.family.terms, self.family.shape.offsets
        return self._kept + np.arange(terms * recipes).reshape(terms, recipes)

    def coefficients(self, theta: np.ndarray) -> Coefficients:
        """Those of the affine functions, with their slopes in theta."""
        at = exponents(theta, self.places)
        begin = self._kept
        count = len(self.family.pattern.term)
        value = np.zeros((len(theta), count))
        slope = np.zeros((len(theta), count, theta.shape[1]))
        each = np.arange(begin)
        value[:, :begin] = theta[:, :begin]
        slope[:, each, each] = 1.0
        self._law_part(value, slope, theta)
        of_u = self._of_u
        value[:, of_u] = at.of_u
        slope[:, of_u] = at.of_u_slope
        if self.family.shape.offsets:
            turned = self._turned()
            value[:, turned], slope[:, turned] = at.turned, at.turned_slope
        return Coefficients(value, slope, at)

    def add_bend(
        self,
        hessian: np.ndarray,
        theta: np.ndarray,
        forms: Coefficients,
        gradient: np.ndarray,
    ) -> None:
        """Add the coefficients' second derivatives, pulled by the gradient."""
        self._bend_law(hessian, theta, gradient)
        turned = gradient[:, self._turned()]
        add_bend(hessian, self.places, forms.at, gradient[:, self._of_u], turned)

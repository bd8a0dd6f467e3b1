"""Quadratic: ln L is a second-degree polynomial of the logarithms.

Linear in theta, so a fit is one weighted least-squares solve. Convex in u because the
2 x 2 block of its Hessian in u is projected onto {H >= eps I} in the metric of the fit:
where the plain solution satisfies that already, the projection is the identity.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from surrogate.base.late import Late
from surrogate.base.namespaces import Array, Numbers, jax, jnp
from surrogate.base.shapes import Bool, Float, Int
from surrogate.families.protocol import Prior, Shape, blocks

if TYPE_CHECKING:
    from surrogate_kernels import solve_spd_xla
else:
    solve_spd_xla = Late("surrogate_kernels.solve_spd_xla")

# Least curvature in a standardised u: one standard deviation away costs 0.005 permille.
EPS = 1e-5
_LEAST = (0.5 * EPS, 0.0, 0.5 * EPS)
_ANGLES = 256
_NEWTON_STEPS = 30


class Theta(NamedTuple):
    """What a quadratic's theta holds, in this order.

    Attributes:
        constant: ln loss at the centre of the data.
        slopes: of each coordinate of u and of the scales.
        products: of each pair of `Quadratic.pairs`.
        steps: of each coordinate, how far each recipe's slope is from the others'.
        offsets: ln loss that each recipe adds.
    """

    constant: Numbers
    slopes: Numbers
    products: Numbers
    steps: Numbers
    offsets: Numbers


@dataclass(frozen=True)
class Quadratic:
    """1, each coordinate, each product of two, and a recipe's own slopes and offset.

    A step of a recipe's optimum is a slope of u, and since the optimum moves with s,
    also one of s.

    Attributes:
        shape: sizes of the coordinates.
        is_additive: without products of two scale variables, which few sizes do not
            tell and which run away beyond them.
    """

    shape: Shape
    is_additive: bool = False

    terms = None
    # It lacks the third-order terms of a bowl, so far runs say little about its bottom.
    misfit = 1.0

    @property
    def name(self) -> str:
        """As in the CLI and the manifest."""
        return "additive" if self.is_additive else "quadratic"

    @cached_property
    def pairs(self) -> tuple[np.ndarray, np.ndarray]:
        """The two coordinates of each product."""
        first, second = np.triu_indices(self.shape.choices + self.shape.scales)
        if self.is_additive:
            kept = first < self.shape.choices
            first, second = first[kept], second[kept]
        return first, second

    @property
    def size(self) -> int:
        """Number of parameters p."""
        return sum(math.prod(shape) for shape in self._shapes)

    @cached_property
    def _shapes(self) -> Theta:
        """Of each part of theta."""
        choices, scales, recipes = self.shape
        inner, pairs = choices + scales, len(self.pairs[0])
        return Theta((), (inner,), (pairs,), (inner, recipes), (recipes,))

    def unpack(self, theta: Numbers) -> Theta:
        """Theta by name, [..., p]: the one place that knows its order."""
        return Theta(*blocks(theta, self._shapes))

    @cached_property
    def places(self) -> Theta:
        """Where theta holds each of them."""
        return self.unpack(np.arange(self.size))

    @property
    def prior(self) -> Prior:
        """Standard deviation 3 of slopes, 1 of products, of ln L at unit distance.

        Standard deviation 0.1 of how a recipe's slopes in the scales differ from the
        others'.
        """
        precision, at = np.full(self.size, 1 / 9.0), self.places
        precision[at.products] = 1.0
        precision[at.steps] = 1.0
        precision[at.steps[self.shape.choices :]] = 100.0
        return Prior(np.zeros(self.size), precision)

    def features(self, z: Float[Array, "n k"]) -> Float[Array, "n p"]:
        """The columns that theta multiplies, in the order of its names."""
        inner = self.shape.choices + self.shape.scales
        x, offsets = z[:, :inner], z[:, inner:]
        ones = jnp.ones((z.shape[0], 1), z.dtype)
        products = x[:, self.pairs[0]] * x[:, self.pairs[1]]
        steps = [x[:, i, None] * offsets for i in range(inner)]
        return jnp.concatenate([ones, x, products, *steps, offsets], axis=1)

    def log_loss(
        self,
        theta: Float[Array, " p"],
        u: Float[Array, " choices"],
        s: Float[Array, " g"],
    ) -> Float[Array, ""]:
        """The polynomial at one standardised point, relative to the fit's level.

        `log_losses` is its fast form: the product of `features` and theta.
        """
        names, scales = self.unpack(jnp.asarray(theta)), self.shape.scales
        x, recipe = jnp.concatenate([u, s[:scales]]), s[scales:]
        of_pairs = names.products @ (x[self.pairs[0]] * x[self.pairs[1]])
        value = names.constant + names.slopes @ x + of_pairs
        return value + x @ (names.steps @ recipe) + names.offsets @ recipe

    def log_losses(
        self, theta: Float[Array, " p"], z: Float[Array, "n k"]
    ) -> Float[Array, " n"]:
        """`log_loss` of many points (u, s)."""
        return self.features(z) @ theta

    @cached_property
    def bound(self) -> np.ndarray:
        """Coefficients of products of two choices."""
        choices = self.shape.choices
        in_u = (self.pairs[0] < choices) & (self.pairs[1] < choices)
        return self.places.products[in_u]

    def is_convex(self, theta: Float[Array, " p"]) -> Bool[Array, ""]:
        """Whether the u-block is >= EPS I already."""
        q = theta[self.bound]
        if self.shape.choices == 1:
            return q[0] >= 0.5 * EPS
        return _is_convex(q)

    def project(
        self, theta: Float[Array, "p R"], gram: Float[Array, "p p R"]
    ) -> Float[Array, "p R"]:
        """Minimise (t - theta)' gram (t - theta) over t whose u-block is >= EPS I.

        Only the coefficients q of products of u are bound; the others follow as
        t_r = theta_r - gram_rr^-1 gram_rq (t_q - theta_q), which leaves a problem in q
        alone with the Schur complement as its metric.
        """
        bound = self.bound
        # gram^-1_qq is the inverse of the Schur complement, and gram^-1_rq its answer
        # in the others: one solve gives both, singular or not thanks to the prior.
        columns = solve_spd_xla.solve_systems(gram, _units(self.size, bound, theta))
        inner = columns[bound]
        metric = solve_spd_xla.solve_systems(
            inner, _units(len(bound), np.arange(len(bound)), theta)
        )
        target = theta[bound]
        if self.shape.choices == 1:
            moved = jnp.maximum(target, 0.5 * EPS)
        else:
            moved = jax.vmap(_project_block, in_axes=-1, out_axes=-1)(target, metric)
        pull = jnp.einsum("ijr,jr->ir", metric, moved - target, precision="highest")
        others = jnp.einsum("ijr,jr->ir", columns, pull, precision="highest")
        return (theta + others).at[bound].set(moved)


def _units(
    size: int, which: Int[np.ndarray, " m"], like: Float[Array, "p R"]
) -> Float[Array, "size m R"]:
    """Columns of the identity, one copy a problem."""
    unit = jnp.eye(size, dtype=like.dtype)[:, which, None]
    return jnp.broadcast_to(unit, (*unit.shape[:2], like.shape[1]))


def _is_convex(q: Float[Array, " three"]) -> Bool[Array, ""]:
    off = q - jnp.array(_LEAST, q.dtype)
    return (off[0] >= 0) & (off[2] >= 0) & (4 * off[0] * off[2] >= off[1] ** 2)


def _project_block(
    q: Float[Array, " three"], metric: Float[Array, "three three"]
) -> Array:
    """The nearest (a, b, c) with [[2a, b], [b, 2c]] >= EPS I in a 3 x 3 metric.

    Where it binds, the answer lies on the boundary of the cone of semidefinite
    matrices: EPS I + r v v', v = (cos t, sin t). For a given t the best r >= 0 has a
    closed form; t is found on a grid and then by Newton's method.
    """
    least = jnp.array(_LEAST, q.dtype)
    off = q - least

    def ray(t: Array) -> Array:
        return jnp.stack(
            [0.5 * jnp.cos(t) ** 2, jnp.cos(t) * jnp.sin(t), 0.5 * jnp.sin(t) ** 2]
        )

    def reach(t: Array) -> Array:
        along = ray(t)
        return jnp.maximum(along @ metric @ off, 0.0) / (along @ metric @ along)

    def miss(t: Array) -> Array:
        gap = reach(t) * ray(t) - off
        return gap @ metric @ gap

    grid = jnp.arange(_ANGLES, dtype=q.dtype) * (jnp.pi / _ANGLES)
    t = grid[jnp.argmin(jax.vmap(miss)(grid))]
    slope, curve = jax.grad(miss), jax.grad(jax.grad(miss))

    def newton(_: Array, t: Array) -> Array:
        down = -slope(t) / jnp.maximum(jnp.abs(curve(t)), 1e-30)
        step = jnp.clip(down, -jnp.pi / _ANGLES, jnp.pi / _ANGLES)
        return jnp.where(miss(t + step) <= miss(t), t + step, t)

    t = jax.lax.fori_loop(0, _NEWTON_STEPS, newton, t)
    return jnp.where(_is_convex(q), q, least + reach(t) * ray(t))

"""Posynomial: the loss is a sum of positive power laws of lr, batch and the scales.

L = sum_k c_k lr^a_k B^b_k N^e_k D^f_k with c_k > 0, so that ln L is a log-sum-exp of
affine functions of the logarithms, convex in all of them.

An optimum exists if and only if 0 lies inside the convex hull of the exponent vectors
(a_k, b_k). That is built in: the last of d + 1 vectors is minus a positive combination
of the d others, d the number of choices, so for almost every theta the loss grows in
every direction of u.

Source: Boyd, Kim, Vandenberghe, Hassibi 2007 (geometric programming); Hoburg, Kirschen,
Abbeel 2016 (fitting); the first terms are Hoffmann et al. 2022, equation 2.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np
from jaxtyping import Float, Float64

from surrogate.base.errors import DataError
from surrogate.base.late import Late
from surrogate.base.worlds import Array, Numbers, jax, jnp, namespace, product
from surrogate.families.affine import Affine, Table
from surrogate.families.protocol import Prior, Shape
from surrogate.families.scaling_law import Law
from surrogate_kernels.pattern import Pattern

if TYPE_CHECKING:
    from surrogate_kernels import dispatch, ref
else:
    dispatch = Late("surrogate_kernels.dispatch")
    ref = Late("surrogate_kernels.ref")


@dataclass(frozen=True)
class Posynomial(Affine):
    """E + sum_j A_j S_j^-alpha_j over the scales, and `terms` further terms.

    Theta holds, in this order: ln E; ln A_j and ln alpha_j a scale; for each further
    term its ln c, its exponents of u and of the scales; for each choice how far each
    recipe's u is moved; an offset a recipe. Where the exponents of u are bound by
    coercivity, the logarithms of the combination's weights stand in their place.
    """

    shape: Shape
    terms: int

    def __post_init__(self) -> None:
        """Refuse too few terms for an optimum to exist."""
        if self.terms < self.shape.choices + 1:
            raise DataError(
                f"Expected at least {self.shape.choices + 1} terms for a posynomial "
                f"with an optimum over {self.shape.choices} settings, got "
                f"{self.terms}. Pass --terms {self.shape.choices + 1} or more."
            )

    name = "posynomial"
    misfit = 0.33
    has_kernel = True

    @property
    def free(self) -> int:
        """Number of parameters without offsets."""
        return self.steps.stop

    @property
    def steps(self) -> slice:
        """How far the recipes move u: [choices, offsets]."""
        start = self._first + self.terms * self.width
        return slice(start, start + self.shape.choices * self.shape.offsets)

    @property
    def width(self) -> int:
        """Parameters of a further term."""
        return 1 + self.shape.choices + self.shape.scales

    @cached_property
    def law(self) -> Law:
        """The terms without lr and batch."""
        return Law(self.shape.scales, is_bent=False)

    @property
    def _first(self) -> int:
        """Where the first further term begins in theta."""
        return self.law.size

    def _term_slice(self, term: int, begin: int, count: int) -> slice:
        start = self._first + term * self.width + begin
        return slice(start, start + count)

    @property
    def _bound(self) -> slice:
        """The exponents that coercivity binds: of u, in term `choices`."""
        return self._term_slice(self.shape.choices, 1, self.shape.choices)

    @property
    def pattern(self) -> Pattern:
        """Where the free coefficients stand in the affine functions."""
        choices, scales, offsets = self.shape
        term, coordinate = self.law.pattern(choices)
        width = self.width + offsets
        for k in range(self.terms):
            term += [1 + scales + k] * self.width
            coordinate += range(self.width)
        for k in range(self.terms):
            term += [1 + scales + k] * offsets
            coordinate += range(self.width, width)
        terms = 1 + scales + self.terms
        return Pattern(tuple(term), tuple(coordinate), terms, width)

    @property
    def prior(self) -> Prior:
        """Standard deviation 3 around plausible sizes; the law's own for its part.

        Standard deviation 1 of how far a recipe moves u.
        """
        centre = np.zeros(self.size)
        precision = np.full(self.size, 1 / 9.0)
        centre[: self._first], precision[: self._first] = self.law.prior()
        for k in range(self.terms):
            centre[self._term_slice(k, 0, 1)] = -5.0
        precision[self.steps] = 1.0
        return Prior(centre, precision)

    def coefficients(self, theta: Float[Numbers, "*problems p"]) -> Numbers:
        """Free coefficients of the affine functions: decay and coercivity built in."""
        xp, lead = namespace(theta), theta.shape[:-1]
        choices, _, offsets = self.shape
        law = self.law.coefficients(theta[..., : self._first])
        free = theta[..., self._first : self.steps.start]
        free = free.reshape(*lead, self.terms, self.width)
        others = free[..., :choices, 1 : 1 + choices]
        weights = xp.exp(theta[..., self._bound])[..., None, :]
        of_u = [
            others,
            -product(weights, others),
            free[..., choices + 1 :, 1 : 1 + choices],
        ]
        of_u = xp.concatenate(of_u, axis=-2)
        parts = [free[..., :1], of_u, free[..., 1 + choices :]]
        free = xp.concatenate(parts, axis=-1).reshape(*lead, self.terms * self.width)
        steps = theta[..., self.steps].reshape(*lead, choices, offsets)
        moved = -product(of_u, steps).reshape(*lead, self.terms * offsets)
        return xp.concatenate([law, free, moved], axis=-1)

    def log_loss(
        self,
        theta: Float[Array, " p"],
        u: Float[Array, " choices"],
        s: Float[Array, " g"],
    ) -> Float[Array, ""]:
        """Ln loss, relative to the fit's level, at one standardised point."""
        matrix = ref.affine_matrix(self.coefficients(jnp.asarray(theta)), self.pattern)
        value = jax.nn.logsumexp(matrix[:, 0] + matrix[:, 1:] @ jnp.concatenate([u, s]))
        return value + theta[self.free :] @ s[self.shape.scales :]

    def log_losses(
        self, theta: Float[Array, " p"], z: Float[Array, "n k"]
    ) -> Float[Array, " n"]:
        """`log_loss` of many points (u, s)."""
        rows, linear, _ = self._split(z)
        value, _ = ref.log_sum_exp(
            self.coefficients(jnp.asarray(theta)), self.pattern, rows
        )
        return value + linear @ theta[self.free :]

    def to_solver(self, theta: Float[Array, " p"]) -> Float[Array, " p"]:
        """Level and slopes of the law at the centre of the data; the rest as it is."""
        theta, own = jnp.asarray(theta), slice(0, self._first)
        return theta.at[own].set(self.law.to_solver(theta[own]))

    def from_solver(self, v: Float[Array, " p"]) -> Float[Array, " p"]:
        """Theta; NaN where nothing is left for E."""
        v, own = jnp.asarray(v), slice(0, self._first)
        return v.at[own].set(self.law.from_solver(v[own]))

    def _sums(
        self,
        coefficients: Float[Array, "problems m"],
        offsets: Float[Array, "problems q"],
        table: Table,
        operations: dispatch.Operations,
    ) -> ref.NormalEquations:
        """The backend's log-sum-exp."""
        of_rows = table.rows, table.linear, table.target, table.weights
        return operations.log_sum_exp_normal_equations(
            coefficients, offsets, self.pattern, *of_rows
        )

    def starts(
        self, rng: np.random.Generator, count: int
    ) -> Float64[np.ndarray, "count p"]:
        """Terms that push from all sides: exponents of u at even angles, jittered."""
        noise = rng.normal(size=(count, self.size))
        theta = self.prior.centre + 0.5 * noise
        turn = rng.uniform(size=(count, 1))
        jitter, size = rng.normal(size=(2, count, self.terms))
        even = np.arange(self.terms) / self.terms
        angle = 2 * np.pi * (turn + even) + 0.4 * jitter
        length = np.exp(0.4 * size)
        for k in range(self.terms):
            if self.shape.choices == 2:
                push = [np.cos(angle[:, k]), np.sin(angle[:, k])]
            else:
                push = [np.full(count, 1.0 if k % 2 == 0 else -1.0)]
            exponents = length[:, k, None] * np.stack(push, axis=1)
            theta[:, self._term_slice(k, 1, self.shape.choices)] = exponents
        theta[:, self.steps] = 0.0
        # Where logarithms of weights stand: near 1 each, so a triangle around 0.
        theta[:, self._bound] = 0.3 * noise[:, self._bound]
        return theta

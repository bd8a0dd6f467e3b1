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
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from surrogate.base.errors import DataError
from surrogate.base.late import Late
from surrogate.base.namespaces import Array, Numbers, jax, jnp, namespace, product
from surrogate.base.shapes import Float, Float64
from surrogate.families.affine import Affine, Table
from surrogate.families.protocol import Prior, Shape, blocks
from surrogate.families.scaling_law import Law
from surrogate_kernels.pattern import Pattern

if TYPE_CHECKING:
    from surrogate_kernels import dispatch, ref
else:
    dispatch = Late("surrogate_kernels.dispatch")
    ref = Late("surrogate_kernels.ref")


class Theta(NamedTuple):
    """What a posynomial's theta holds: the law, a line a further term, then the rest.

    Attributes:
        law: `scaling_law.Parameters` of the terms without lr and batch.
        log_c: of each further term, ln c_k.
        exponents: of each further term, its exponents of u. Of the one that is bound
            (`choices`) the logarithms of the combination's weights stand there.
        of_scales: of each further term, its exponents of the scales.
        steps: how far each recipe's u is moved, of each choice.
        offsets: ln loss that each recipe adds.
    """

    law: Numbers
    log_c: Numbers
    exponents: Numbers
    of_scales: Numbers
    steps: Numbers
    offsets: Numbers


@dataclass(frozen=True)
class Posynomial(Affine):
    """E + sum_j A_j S_j^-alpha_j over the scales, and `terms` further terms."""

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
        choices, _, recipes = self.shape
        return self.law.size + self.terms * self.width + choices * recipes

    @property
    def width(self) -> int:
        """Parameters of a further term."""
        return 1 + self.shape.choices + self.shape.scales

    def unpack(self, theta: Numbers) -> Theta:
        """Theta by name, [..., p]: the one place that knows its order."""
        choices, _, recipes = self.shape
        shapes = (self.law.size,), (self.terms, self.width)
        law, table, *rest = blocks(theta, (*shapes, (choices, recipes), (recipes,)))
        of_u, of_scales = table[..., 1 : 1 + choices], table[..., 1 + choices :]
        return Theta(law, table[..., 0], of_u, of_scales, *rest)

    def pack(self, names: Theta) -> Float64[np.ndarray, " p"]:
        """The theta of these names."""
        lines = [names.log_c[:, None], names.exponents, names.of_scales]
        table = np.concatenate(lines, axis=1)
        parts = names.law, table, names.steps, names.offsets
        return np.concatenate([np.ravel(part) for part in parts])

    @cached_property
    def places(self) -> Theta:
        """Where theta holds each of them."""
        return self.unpack(np.arange(self.size))

    @cached_property
    def law(self) -> Law:
        """The terms without lr and batch."""
        return Law(self.shape.scales, is_bent=False)

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
        centre, at = np.zeros(self.size), self.places
        precision = np.full(self.size, 1 / 9.0)
        centre[at.law], precision[at.law] = self.law.prior()
        centre[at.log_c] = -5.0
        precision[at.steps] = 1.0
        return Prior(centre, precision)

    def coefficients(self, theta: Float[Numbers, "*problems p"]) -> Numbers:
        """Free coefficients of the affine functions: decay and coercivity built in."""
        xp, lead = namespace(theta), theta.shape[:-1]
        names, recipes = self.unpack(theta), self.shape.offsets
        law, of_u = self.law.coefficients(names.law), self._exponents(names)
        parts = [names.log_c[..., None], of_u, names.of_scales]
        free = xp.concatenate(parts, axis=-1).reshape(*lead, self.terms * self.width)
        moved = -product(of_u, names.steps).reshape(*lead, self.terms * recipes)
        return xp.concatenate([law, free, moved], axis=-1)

    def _exponents(self, names: Theta) -> Numbers:
        """Exponents of u of each further term: a positive combination of some is 0."""
        xp, choices = namespace(names.exponents), self.shape.choices
        others = names.exponents[..., :choices, :]
        weights = xp.exp(names.exponents[..., choices, :])[..., None, :]
        bound = -product(weights, others)
        free = names.exponents[..., choices + 1 :, :]
        return xp.concatenate([others, bound, free], axis=-2)

    def log_loss(
        self,
        theta: Float[Array, " p"],
        u: Float[Array, " choices"],
        s: Float[Array, " g"],
    ) -> Float[Array, ""]:
        """The formula above at one standardised point, relative to the fit's level.

        `log_losses` and `coefficients` are its fast form: sums of affine functions.
        """
        names, scales = self.unpack(jnp.asarray(theta)), self.shape.scales
        law = self.law.log_loss(names.law, s[:scales])
        own = u - names.steps @ s[scales:]
        terms = self._exponents(names) @ own + names.of_scales @ s[:scales]
        further = jax.nn.logsumexp(names.log_c + terms)
        return jnp.logaddexp(law, further) + names.offsets @ s[scales:]

    def log_losses(
        self, theta: Float[Array, " p"], z: Float[Array, "n k"]
    ) -> Float[Array, " n"]:
        """`log_loss` of many points (u, s)."""
        rows, linear, _ = self._split(z)
        value, _ = ref.log_sum_exp(
            self.coefficients(jnp.asarray(theta)), self.pattern, rows
        )
        return value + linear @ self.unpack(theta).offsets

    def to_solver(self, theta: Float[Array, " p"]) -> Float[Array, " p"]:
        """Level and slopes of the law at the centre of the data; the rest as it is."""
        theta, own = jnp.asarray(theta), slice(0, self.law.size)
        return theta.at[own].set(self.law.to_solver(theta[own]))

    def from_solver(self, v: Float[Array, " p"]) -> Float[Array, " p"]:
        """Theta; NaN where nothing is left for E."""
        v, own = jnp.asarray(v), slice(0, self.law.size)
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
        theta, at = self.prior.centre + 0.5 * noise, self.places
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
            theta[:, at.exponents[k]] = exponents
        theta[:, at.steps] = 0.0
        # Where logarithms of weights stand: near 1 each, so a triangle around 0.
        bound = at.exponents[self.shape.choices]
        theta[:, bound] = 0.3 * noise[:, bound]
        return theta

"""Bowl: a scaling law of the best loss, times a penalty for missing the optimum.

ln L = ln(E + (sum_j A_j S_j^-alpha_j)^gamma)
       + H(s) (sum_k l_k exp(a_k . (u - u*(s))) - 1)

over the scales S_j with logarithms s, where H, the height, is a power law of the
scales, u* is affine in s, the shares l_k > 0 sum to 1 and sum_k l_k a_k = 0, with one
more k than choices. Sums of exponentials of affine functions are convex, so ln L is
convex in u for every theta. By sum_k l_k a_k = 0 the bracket's gradient vanishes at
u = u*(s): the argmin is u*(s) exactly, the best settings are power laws of the scales,
and the loss there is the scaling law, which the penalty cannot shift. The a_k surround
0 (the last is minus a positive combination of the others), so for almost every theta
the loss grows in every direction of u. They need not be alike: the bowl may be steeper
on one side.

Source: `scaling` for the best loss; power laws as the optimum are Li et al. 2025 (Step
Law), equation 1.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from functools import cached_property
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from surrogate.base.namespaces import (
    Array,
    Late,
    Numbers,
    jnp,
    log_sum_exp,
    namespace,
    product,
)
from surrogate.base.shapes import Float, Float64
from surrogate.families import scaling_law
from surrogate.families.affine import Affine, Table
from surrogate.families.protocol import (
    CELL_SPREAD,
    Prior,
    Shape,
    blocks,
    cell_offsets,
)
from surrogate_kernels.pattern import Pattern

if TYPE_CHECKING:
    from surrogate_kernels import dispatch, log_sum_exp_xla, ref
else:
    dispatch = Late("surrogate_kernels.dispatch")
    ref = Late("surrogate_kernels.ref")
    log_sum_exp_xla = Late("surrogate_kernels.log_sum_exp_xla")


class Theta(NamedTuple):
    """What a bowl's theta holds, in this order.

    Attributes:
        law: `scaling_law.Parameters` of the best loss, as `Law.unpack` reads them.
        height: ln H at the centre of the data, then its slopes over the scales.
        optimum: of each choice its u* there, its slopes over the scales, and how far
            each recipe's is from it.
        walls: each a_k but the last.
        log_weights: ln(l_k / l_last) of these k.
        offsets: ln loss that each recipe adds.
    """

    law: Numbers
    height: Numbers
    optimum: Numbers
    walls: Numbers
    log_weights: Numbers
    offsets: Numbers


@dataclass(frozen=True)
class Bowl(Affine):
    """A scaling law, the optimum's power laws and the penalty around it.

    Attributes:
        shape: sizes of the coordinates.
        cells: how many columns at the end of s tell cells apart, for noise they share.
    """

    shape: Shape
    cells: int = 0

    name = "bowl"
    terms = None
    misfit = 0.33
    has_kernel = False

    @cached_property
    def law(self) -> scaling_law.Law:
        """The law of the best loss; with one scale gamma would only rescale alpha."""
        return scaling_law.Law(self.shape.scales, is_bent=self.shape.scales >= 2)

    @cached_property
    def _shapes(self) -> Theta:
        """Of each part of theta."""
        choices, scales, recipes = self.shape
        return Theta(
            law=(self.law.size,),
            height=(1 + scales,),
            optimum=(choices, 1 + scales + recipes),
            walls=(choices, choices),
            log_weights=(choices,),
            offsets=(recipes,),
        )

    def unpack(self, theta: Numbers) -> Theta:
        """Theta by name, [..., p]: the one place that knows its order."""
        return Theta(*blocks(theta, self._shapes))

    @cached_property
    def places(self) -> Theta:
        """Where theta holds each of them."""
        return self.unpack(np.arange(self.size))

    @property
    def free(self) -> int:
        """Number of parameters without offsets."""
        return sum(math.prod(shape) for shape in self._shapes[:-1])

    @property
    def pattern(self) -> Pattern:
        """Affine functions of (1, u, s): of the scaling law, H, then H l_k exp(...)."""
        choices, scales, offsets = self.shape
        term, coordinate = self.law.pattern(choices)
        of_height = [0, *range(1 + choices, 1 + choices + scales)]
        law = 1 + max(term)
        term += [law] * len(of_height)
        coordinate += of_height
        width = 1 + choices + scales + offsets
        for k in range(choices + 1):
            term += [law + 1 + k] * width
            coordinate += range(width)
        return Pattern(tuple(term), tuple(coordinate), law + 2 + choices, width)

    @property
    def prior(self) -> Prior:
        """Standard deviation 3 around plausible sizes; `scaling`'s own for its part.

        Standard deviation 1 of how far a recipe's optimum is from the others'.
        """
        centre, at = np.zeros(self.size), self.places
        precision = np.full(self.size, 1 / 9.0)
        centre[at.law], precision[at.law] = self.law.prior()
        centre[at.height[0]] = np.log(0.01)
        precision[at.optimum[:, 1 + self.shape.scales :]] = 1.0
        return Prior(centre, precision)

    def with_cells(self, cells: int) -> Bowl:
        """The family with so many indicators of cells at the end of s."""
        return replace(self, cells=cells)

    def optimum(
        self, theta: Float[Array, " p"], s: Float[Array, " g"]
    ) -> Float[Array, " choices"]:
        """The argmin u*(s): affine in the scales, and a step a recipe."""
        table = self.unpack(theta).optimum
        return table[:, 0] + table[:, 1:] @ s

    def coefficients(self, theta: Float[Numbers, "*problems p"]) -> Numbers:
        """Coefficients of the affine functions, in the order of `pattern`."""
        xp, lead = namespace(theta), theta.shape[:-1]
        choices, _, recipes = self.shape
        names = self.unpack(theta)
        log_share, of_u = self._shares(names)
        # The height knows neither u nor recipes.
        steps = xp.zeros((*lead, recipes), theta.dtype)
        own = xp.concatenate([names.height, steps], axis=-1)[..., None, :]
        of_s = own - product(of_u, names.optimum)
        constant = of_s[..., :1] + log_share[..., None]
        walls = xp.concatenate([constant, of_u, of_s[..., 1:]], axis=-1)
        law = self.law.coefficients(names.law)
        width = choices + names.optimum.shape[-1]
        return xp.concatenate(
            [law, names.height, walls.reshape(*lead, (1 + choices) * width)], axis=-1
        )

    def _shares(self, names: Theta) -> tuple[Numbers, Numbers]:
        """Ln l_k and a_k of every wall: sum_k l_k = 1 and sum_k l_k a_k = 0."""
        xp, log_weight = namespace(names.walls), names.log_weights
        bound = -product(xp.exp(log_weight)[..., None, :], names.walls)
        log_share = xp.concatenate([log_weight, 0 * log_weight[..., :1]], axis=-1)
        log_share = log_share - log_sum_exp(log_share, axis=-1)[..., None]
        return log_share, xp.concatenate([names.walls, bound], axis=-2)

    def log_loss(
        self,
        theta: Float[Array, " p"],
        u: Float[Array, " choices"],
        s: Float[Array, " g"],
    ) -> Float[Array, ""]:
        """The formula above at one standardised point, relative to the fit's level.

        `log_losses` and `coefficients` are its fast form: sums of affine functions.
        """
        theta = jnp.asarray(theta)
        names, scales = self.unpack(theta), self.shape.scales
        best = self.law.log_loss(names.law, s[:scales])
        height = jnp.exp(names.height[0] + names.height[1:] @ s[:scales])
        log_share, walls = self._shares(names)
        rise = jnp.exp(log_share + walls @ (u - self.optimum(theta, s))).sum() - 1
        return best + height * rise + names.offsets @ s[scales:]

    def log_losses(
        self, theta: Float[Array, " p"], z: Float[Array, "n k"]
    ) -> Float[Array, " n"]:
        """`log_loss` of many points (u, s)."""
        rows, linear, _ = self._split(z)
        matrix = ref.affine_matrix(self.coefficients(jnp.asarray(theta)), self.pattern)
        terms = jnp.matmul(matrix, rows.T, precision="highest")
        return self._of_terms(terms) + linear @ self.unpack(theta).offsets

    def _of_terms(self, terms: Float[Array, "t ..."]) -> Numbers:
        """The scaling law, less H, and each H l_k exp(...)."""
        law = self.pattern.terms - self.shape.choices - 2
        added = jnp.exp(terms[law:])
        return self.law.level(terms[:law]) - added[0] + added[1:].sum(axis=0)

    def _parts(
        self, coefficients: Float[Array, "problems m"], rows: Float[Array, "n d"]
    ) -> tuple[scaling_law.Values, list[Array]]:
        """`_of_terms` of a batch, with the law's derivatives, addend by addend."""
        terms = log_sum_exp_xla.affine(coefficients, self.pattern, rows)
        inner = self.pattern.terms - self.shape.choices - 2
        law = self.law.values(terms[:inner])
        height, *walls = (jnp.exp(term) for term in terms[inner:])
        return law, [-height, *walls]

    def to_solver(self, theta: Float[Array, " p"]) -> Float[Array, " p"]:
        """Level and slopes of the scaling law at the centre; the rest as it is."""
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
        """No backend has a kernel of it: XLA's matrix products serve all."""
        del operations
        rows, linear, member, target, weights, copies = table
        law, walls = self._parts(coefficients, rows)
        residual = law.level + sum(walls) - target[None]
        if linear.shape[1]:
            residual = residual + jnp.matmul(offsets, linear.T, precision="highest")
        shared, stiff = cell_offsets(-residual, weights, member, copies)
        if self.cells:
            residual = residual + jnp.matmul(shared, member.T, precision="highest")
        pull = weights * residual
        columns = log_sum_exp_xla.Columns(self.pattern, rows, linear)
        first = jnp.stack([*law.first, *walls], axis=1)
        pairs = _pairs(law, walls, weights, pull)
        whole = log_sum_exp_xla.gather(columns, pairs, first, weights, pull, residual)
        if not self.cells:
            return whole
        crossed = log_sum_exp_xla.cross(columns, member, first, weights)
        turned = jnp.swapaxes(crossed / stiff[:, None], 1, 2)
        return ref.NormalEquations(
            whole.cost + jnp.sum(copies * (shared / CELL_SPREAD) ** 2, axis=1),
            whole.gradient,
            whole.hessian - jnp.matmul(crossed, turned, precision="highest"),
        )

    def starts(
        self, rng: np.random.Generator, count: int
    ) -> Float64[np.ndarray, "count p"]:
        """Optima near the data's centre; walls at even angles, jittered."""
        noise = rng.normal(size=(count, self.size))
        theta = self.prior.centre + 0.5 * noise
        choices, scales, _ = self.shape
        at = self.places
        theta[:, at.optimum[:, 1 + scales :]] = 0.0
        turn = rng.uniform(size=(count, 1))
        jitter, size = rng.normal(size=(2, count, choices))
        angle = 2 * np.pi * (turn + np.arange(choices) / (choices + 1)) + 0.4 * jitter
        if choices == 2:
            push = np.stack([np.cos(angle), np.sin(angle)], axis=2)
        else:
            push = np.ones((count, 1, 1))
        push = np.exp(0.4 * size)[:, :, None] * push
        theta[:, at.walls] = push
        # Logarithms of weights near 1 each, so a triangle around 0.
        theta[:, at.log_weights] = 0.3 * noise[:, at.log_weights]
        return theta


def _pairs(
    law: scaling_law.Values, walls: list[Array], weights: Array, pull: Array
) -> Float[Array, "problems pairs n"]:
    """Second derivatives of the squares in two affine functions, the upper triangle.

    Of the added exponentials the second derivative in an affine function is the
    first; between them and the scaling law there is none.
    """
    first = [*law.first, *walls]
    pairs = []
    for t, own in enumerate(first):
        weighted = weights * own
        row = [weighted * other for other in first[t:]]
        if t < len(law.first):
            for k, bend in enumerate(law.second[t]):
                row[k] = row[k] + pull * bend
        else:
            row[0] = row[0] + pull * own
        pairs += row
    return jnp.stack(pairs, axis=1)

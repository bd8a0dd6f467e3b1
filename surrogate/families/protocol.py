"""What every family offers the batched solver and the answers."""

from __future__ import annotations

import math
from collections.abc import Iterable
from typing import TYPE_CHECKING, NamedTuple, Protocol, runtime_checkable

import numpy as np

from surrogate.base.late import Late
from surrogate.base.namespaces import Array, Numbers, jnp, product
from surrogate.base.shapes import Bool, Float, Float64

if TYPE_CHECKING:
    from surrogate_kernels import dispatch, ref
else:
    dispatch = Late("surrogate_kernels.dispatch")
    ref = Late("surrogate_kernels.ref")

# Spread of ln loss that the runs of a cell share: released sweeps show 0.002.
CELL_SPREAD = 0.002


class Shape(NamedTuple):
    """Sizes of a point's coordinates.

    Attributes:
        choices: length of u, 1 or 2.
        scales: scale variables at the front of s.
        offsets: recipe indicators at the end of s.
    """

    choices: int
    scales: int
    offsets: int


class Prior(NamedTuple):
    """A weak Gaussian on theta: it settles only what the data leave open.

    Attributes:
        centre: its mean.
        precision: one over its variance, a parameter each.
    """

    centre: Float64[np.ndarray, " p"]
    precision: Float64[np.ndarray, " p"]

    def cost(self, theta: Float[Array, " p"]) -> Float[Array, ""]:
        """Weighted squares."""
        centre, precision = (jnp.asarray(part, theta.dtype) for part in self)
        return jnp.sum(precision * (theta - centre) ** 2)


@runtime_checkable
class Family(Protocol):
    """One parametric form of ln loss. Arrays of one problem; `jax.vmap` batches.

    A family is `Linear` or `Curved`, which says how it is fitted.
    """

    @property
    def name(self) -> str:
        """As in the CLI and the manifest."""
        ...

    @property
    def terms(self) -> int | None:
        """K where the family has it."""
        ...

    @property
    def shape(self) -> Shape:
        """Sizes of u and s."""
        ...

    @property
    def size(self) -> int:
        """Number of parameters p."""
        ...

    @property
    def misfit(self) -> float:
        """Share of the excess over the optimum by which this form may miss."""
        ...

    @property
    def prior(self) -> Prior:
        """A weak Gaussian on directions that the data leave open."""
        ...

    def log_loss(
        self,
        theta: Float[Array, " p"],
        u: Float[Array, " choices"],
        s: Float[Array, " g"],
    ) -> Float[Array, ""]:
        """Ln loss, relative to the fit's level, at one standardised point."""
        ...

    def log_losses(
        self, theta: Float[Array, " p"], z: Float[Array, "n k"]
    ) -> Float[Array, " n"]:
        """`log_loss` of many points (u, s)."""
        ...


@runtime_checkable
class Linear(Family, Protocol):
    """Linear in theta: the normal equations are solved once."""

    def features(self, z: Float[Array, "n k"]) -> Float[Array, "n p"]:
        """The columns that theta multiplies."""
        ...

    def is_convex(self, theta: Float[Array, " p"]) -> Bool[Array, ""]:
        """Whether `project` would leave theta as it is."""
        ...

    def project(
        self, theta: Float[Array, "p R"], gram: Float[Array, "p p R"]
    ) -> Float[Array, "p R"]:
        """The nearest thetas, each in the metric of its fit, that are convex in u.

        The problems are the last axis, so that every step is a vector over them.
        """
        ...


@runtime_checkable
class Curved(Family, Protocol):
    """Not linear in theta, and convex in u for every theta.

    It is fitted in coordinates v of its own choice, in which a bent valley of the cost
    runs straighter than in theta.
    """

    @property
    def has_kernel(self) -> bool:
        """Whether backends other than XLA compute its sums by a kernel."""
        ...

    def to_solver(self, theta: Float[Array, " p"]) -> Float[Array, " p"]:
        """The solver's coordinates of theta."""
        ...

    def from_solver(self, v: Float[Array, " p"]) -> Float[Array, " p"]:
        """Theta of v; NaN where v is the place of none."""
        ...

    def normal_equations(
        self,
        v: Float[Array, "problems p"],
        z: Float[Array, "n k"],
        target: Float[Array, " n"],
        weights: Float[Array, "problems m"],
        operations: dispatch.Operations,
    ) -> ref.NormalEquations:
        """Cost with the prior's, half its gradient and Hessian in v, of a batch.

        Weights are those of the rows; of a `Shared` family with cells, then how often
        each cell is there. What the cells share has been minimised over.
        """
        ...

    def cost(
        self,
        theta: Float[Array, " p"],
        z: Float[Array, "n k"],
        target: Float[Array, " n"],
        weights: Float[Array, " m"],
    ) -> Float[Array, ""]:
        """Weighted squares and the prior's, of one theta; differentiable."""
        ...

    def starts(
        self, rng: np.random.Generator, count: int
    ) -> Float64[np.ndarray, "count p"]:
        """Random thetas to search from."""
        ...


@runtime_checkable
class Shared(Curved, Protocol):
    """A family so accurate that the common error of a cell's runs is noise, not misfit.

    Runs of a cell share a part of their noise. `with_cells` gives every cell an offset,
    near 0 by a prior that counts as often as the cell; it is minimised over in closed
    form and is no parameter. In a cruder family the offsets would absorb its misfit.
    """

    @property
    def cells(self) -> int:
        """How many columns at the end of s tell cells apart."""
        ...

    def with_cells(self, cells: int) -> Shared:
        """The family with so many indicators of cells at the end of s."""
        ...


def blocks(theta: Numbers, shapes: Iterable[tuple[int, ...]]) -> list[Numbers]:
    """Parts of a theta [..., p] that follow one another, each in a shape of its own.

    Of the numbers from 0 to p - 1 they are where theta holds each part.
    """
    lead, begin, found = theta.shape[:-1], 0, []
    for shape in shapes:
        end = begin + math.prod(shape)
        found.append(theta[..., begin:end].reshape((*lead, *shape)))
        begin = end
    assert begin == theta.shape[-1], (begin, theta.shape)
    return found


def cell_offsets(
    residual: Float[Numbers, "*problems n"],
    weights: Float[Numbers, "*problems n"],
    member: Float[Numbers, "n cells"],
    copies: Float[Numbers, "*problems cells"],
) -> tuple[Float[Numbers, "*problems cells"], Float[Numbers, "*problems cells"]]:
    """What each cell shares, given the rest, and the curvature of the cost in it.

    Args:
        residual: target minus fitted.
        weights: of the squared residuals.
        member: whether a row is of a cell.
        copies: how often each cell is there; at least 1.
    """
    pull = product(weights * residual, member)
    stiff = product(weights, member)
    stiff = stiff + copies / CELL_SPREAD**2
    return pull / stiff, stiff

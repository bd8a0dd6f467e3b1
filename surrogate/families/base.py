"""What every family offers the batched solver and the answers."""

from __future__ import annotations

from typing import NamedTuple, Protocol, runtime_checkable

import numpy as np
from jaxtyping import Array, Float, Float64

from surrogate_kernels.dispatch import Operations
from surrogate_kernels.ref import NormalEquations


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


@runtime_checkable
class Family(Protocol):
    """One parametric form of ln loss. Arrays of one problem; `jax.vmap` batches."""

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
    def is_linear(self) -> bool:
        """Linear in theta: the normal equations are solved once."""
        ...

    @property
    def misfit(self) -> float:
        """Share of the excess over the optimum by which this form may miss."""
        ...

    @property
    def prior(self) -> Prior:
        """Keeps directions finite that the data do not identify."""
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

    def normal_equations(
        self,
        theta: Float[Array, " p"],
        z: Float[Array, "n k"],
        target: Float[Array, " n"],
        weights: Float[Array, " n"],
        operations: Operations,
    ) -> NormalEquations:
        """Weighted sums for one Gauss-Newton step from theta, without the prior."""
        ...

    def cost(
        self,
        theta: Float[Array, " p"],
        z: Float[Array, "n k"],
        target: Float[Array, " n"],
        weights: Float[Array, " n"],
        operations: Operations,
    ) -> Float[Array, ""]:
        """Weighted sum of squared residuals, differentiable."""
        ...

    def project(
        self, theta: Float[Array, " p"], gram: Float[Array, "p p"]
    ) -> Float[Array, " p"]:
        """The nearest theta, in the metric of the fit, that is convex in u."""
        ...

    def starts(self, key: Array, count: int) -> Float[Array, "count p"]:
        """Random thetas to search from."""
        ...

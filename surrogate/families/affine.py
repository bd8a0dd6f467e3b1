"""What families of affine functions of (1, u, s) share: sums over rows, then a chain.

Ln loss is one function of a few affine functions, plus an offset a recipe. A recipe may
also have its own optimum: u is then counted from it, which adds its indicator to the
affine functions of u. The sums over the rows are taken in the affine functions'
coefficients, as large matrix products, and the chain rule takes them to the solver's
coordinates.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import TYPE_CHECKING, NamedTuple, Protocol, runtime_checkable

from surrogate.base.late import Late
from surrogate.base.namespaces import Array, Numbers, jax, jnp
from surrogate.base.shapes import Float
from surrogate.families.protocol import (
    CELL_SPREAD,
    Prior,
    Shape,
    cell_offsets,
)
from surrogate_kernels.pattern import Pattern

if TYPE_CHECKING:
    from surrogate_kernels import dispatch, ref
else:
    dispatch = Late("surrogate_kernels.dispatch")
    ref = Late("surrogate_kernels.ref")


@runtime_checkable
class Named(Protocol):
    """A theta by name; every affine family has offsets among its names."""

    @property
    def offsets(self) -> Numbers:
        """Ln loss that each recipe adds."""
        ...


class Table(NamedTuple):
    """Rows that are fitted, and their weights in every problem.

    Attributes:
        rows: (1, u, s), without cells.
        linear: indicators of recipes.
        member: indicators of cells.
        target: ln loss.
        weights: of each row.
        copies: how often each cell is there.
    """

    rows: Float[Array, "n d"]
    linear: Float[Array, "n q"]
    member: Float[Array, "n cells"]
    target: Float[Array, " n"]
    weights: Float[Array, "problems n"]
    copies: Float[Array, "problems cells"]


class Affine(ABC):
    """A `protocol.Curved` family whose theta ends with its offsets."""

    shape: Shape
    cells: int = 0

    @abstractmethod
    def unpack(self, theta: Numbers) -> Named:
        """Theta by name, [..., p]: the one place that knows its order."""

    @property
    @abstractmethod
    def free(self) -> int:
        """Number of parameters without offsets."""

    @property
    @abstractmethod
    def pattern(self) -> Pattern:
        """Where the coefficients stand in the affine functions of (1, u, s)."""

    @property
    @abstractmethod
    def prior(self) -> Prior:
        """A weak Gaussian on directions that the data leave open."""

    @abstractmethod
    def coefficients(self, theta: Float[Numbers, "*problems p"]) -> Numbers:
        """Coefficients of the affine functions, in the order of `pattern`."""

    @abstractmethod
    def from_solver(self, v: Float[Array, " p"]) -> Float[Array, " p"]:
        """Theta of v; NaN where v is the place of none."""

    @abstractmethod
    def log_losses(
        self, theta: Float[Array, " p"], z: Float[Array, "n k"]
    ) -> Float[Array, " n"]:
        """`Family.log_loss` of many points (u, s)."""

    @abstractmethod
    def _sums(
        self,
        coefficients: Float[Array, "problems m"],
        offsets: Float[Array, "problems q"],
        table: Table,
        operations: dispatch.Operations,
    ) -> ref.NormalEquations:
        """Normal equations in coefficients and offsets, cells' own minimised over."""

    @property
    def size(self) -> int:
        """Number of parameters p."""
        return self.free + self.shape.offsets

    def normal_equations(
        self,
        v: Float[Array, "problems p"],
        z: Float[Array, "n k"],
        target: Float[Array, " n"],
        weights: Float[Array, "problems m"],
        operations: dispatch.Operations,
    ) -> ref.NormalEquations:
        """Sums over rows in the affine coefficients, then the chain rule to v."""
        rows, linear, member = self._split(z)
        weights, copies = weights[:, : len(z)], weights[:, len(z) :]
        spread = jax.vmap(self._spread)(v)
        count = len(self.pattern.term)
        table = Table(rows, linear, member, target, weights, copies)
        raw = self._sums(spread[:, :count], spread[:, count:], table, operations)

        def prior(v: Array) -> Array:
            return self.prior.cost(self.from_solver(v))

        def pulled(v: Array, gradient: Array) -> Array:
            return gradient @ self._spread(v) + 0.5 * prior(v)

        chain = jax.vmap(jax.jacfwd(self._spread))(v)
        slope = jax.vmap(jax.grad(pulled))(v, raw.gradient)
        second = jax.vmap(jax.hessian(pulled))(v, raw.gradient)
        first = jnp.matmul(raw.hessian, chain, precision="highest")
        turned = jnp.swapaxes(chain, 1, 2)
        return ref.NormalEquations(
            raw.cost + jax.vmap(prior)(v),
            slope,
            jnp.matmul(turned, first, precision="highest") + second,
        )

    def cost(
        self,
        theta: Float[Array, " p"],
        z: Float[Array, "n k"],
        target: Float[Array, " n"],
        weights: Float[Array, " m"],
    ) -> Float[Array, ""]:
        """Weighted squares and the prior's, of one theta; differentiable."""
        residual = target - self.log_losses(theta, z)
        weights, copies = weights[: len(z)], weights[len(z) :]
        own = self.prior.cost(theta)
        if self.cells:
            member = self._split(z)[2]
            shared, _ = cell_offsets(residual, weights, member, copies)
            residual = residual - member @ shared
            own = own + copies @ (shared / CELL_SPREAD) ** 2
        return jnp.sum(weights * residual**2) + own

    def _spread(self, v: Float[Array, " p"]) -> Float[Array, " k"]:
        """Affine coefficients, then offsets, of solver coordinates."""
        theta = self.from_solver(v)
        return jnp.concatenate([self.coefficients(theta), self.unpack(theta).offsets])

    def _split(self, z: Float[Array, "n k"]) -> tuple[Array, Array, Array]:
        """Rows (1, u, s), the indicators of recipes among them, and those of cells."""
        own = z.shape[1] - self.cells
        ones = jnp.ones((z.shape[0], 1), z.dtype)
        rows = jnp.concatenate([ones, z[:, :own]], axis=1)
        return rows, z[:, self.shape.choices + self.shape.scales : own], z[:, own:]

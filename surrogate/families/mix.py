"""Mix: a weighted mean of other families' ln loss.

f = sum_m w_m f_m with w >= 0 of sum 1. A mean of functions that are convex in u is
convex in u. Where members err to opposite sides, their mean errs less than each.

Source: Wolpert 1992 and Breiman 1996 (stacked regression, nonnegative weights).
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import NamedTuple

import numpy as np

from surrogate.base.defaults import MIX
from surrogate.base.namespaces import Array, Numbers, jnp
from surrogate.base.shapes import Float, Float64
from surrogate.families.protocol import Family, Prior, Shape, blocks


class Theta(NamedTuple):
    """What a mix's theta holds, in this order.

    Attributes:
        weights: of each member.
        members: the theta of each.
    """

    weights: Numbers
    members: tuple[Numbers, ...]


@dataclass(frozen=True)
class Mix:
    """Members fitted alone, and their weights.

    Attributes:
        shape: sizes of the coordinates, the same for every member.
        members: what is mixed, at least one.
        chosen: name of the member that has all the weight in the fit, where only draws
            may have others (`auto`, of an unsettled choice). None where all are mixed.
    """

    shape: Shape
    members: tuple[Family, ...]
    # Only a name: mixes of the same members are one to a compiled program.
    chosen: str | None = field(default=None, compare=False)

    @property
    def name(self) -> str:
        """Of what the fit itself is."""
        return self.chosen or MIX

    @property
    def terms(self) -> int | None:
        """K of the chosen member."""
        own = {member.name: member.terms for member in self.members}
        return own.get(self.chosen or "")

    @property
    def misfit(self) -> float:
        """That of the crudest member."""
        return max(member.misfit for member in self.members)

    @property
    def size(self) -> int:
        """Number of parameters p."""
        return len(self.members) + sum(member.size for member in self.members)

    @property
    def prior(self) -> Prior:
        """The members' own; none of the weights, which are no outcome of this fit."""
        weights = np.zeros(len(self.members))
        priors = [member.prior for member in self.members]
        return Prior(
            np.concatenate([weights, *(prior.centre for prior in priors)]),
            np.concatenate([weights, *(prior.precision for prior in priors)]),
        )

    def unpack(self, theta: Numbers) -> Theta:
        """Theta by name, [..., p]: the one place that knows its order."""
        sizes = [(len(self.members),), *((member.size,) for member in self.members)]
        weights, *members = blocks(theta, sizes)
        return Theta(weights, tuple(members))

    def join(
        self,
        weights: Float64[np.ndarray, "#n m"],
        thetas: list[Float64[np.ndarray, "n _"]],
    ) -> Float64[np.ndarray, "n p"]:
        """Theta of weights, one line for all or one a problem, and members' thetas."""
        shape = len(thetas[0]), len(self.members)
        return np.concatenate([np.broadcast_to(weights, shape), *thetas], axis=1)

    def log_loss(
        self,
        theta: Float[Array, " p"],
        u: Float[Array, " choices"],
        s: Float[Array, " g"],
    ) -> Float[Array, ""]:
        """Ln loss, relative to the fit's level, at one standardised point."""
        names = self.unpack(theta)
        pairs = zip(self.members, names.members, strict=True)
        return names.weights @ jnp.stack([m.log_loss(own, u, s) for m, own in pairs])

    def log_losses(
        self, theta: Float[Array, " p"], z: Float[Array, "n k"]
    ) -> Float[Array, " n"]:
        """`log_loss` of many points (u, s)."""
        names = self.unpack(theta)
        pairs = zip(self.members, names.members, strict=True)
        values = [member.log_losses(own, z) for member, own in pairs]
        return sum(
            (names.weights[i] * value for i, value in enumerate(values)),
            start=jnp.zeros_like(values[0]),
        )

"""NIST's certified linear regressions, as families that are linear in theta.

Each file holds decimals as they stood where `source` says: tests of released packages.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool, Float

from surrogate.families.protocol import Prior, Shape

FOLDER = Path(__file__).resolve().parents[1] / "nist_linear"
NAMES = tuple(sorted(path.stem for path in FOLDER.glob("*.json")))


@dataclass(frozen=True)
class Columns:
    """1 and the columns, or 1 and powers of one column; no prior, nothing to project.

    Attributes:
        powers: highest power; 0 where the columns stand for themselves.
        width: columns.
    """

    powers: int
    width: int

    name = "columns"
    terms = None
    misfit = 1.0

    @property
    def shape(self) -> Shape:
        return Shape(1, 0, 0)

    @property
    def size(self) -> int:
        return 1 + (self.powers or self.width)

    @property
    def prior(self) -> Prior:
        return Prior(np.zeros(self.size), np.zeros(self.size))

    def features(self, z: Float[Array, "n k"]) -> Float[Array, "n p"]:
        z = jnp.asarray(z)
        if not self.powers:
            return jnp.concatenate([jnp.ones((len(z), 1), z.dtype), z], axis=1)
        return z ** jnp.arange(self.size, dtype=z.dtype)[None]

    def log_losses(
        self, theta: Float[Array, " p"], z: Float[Array, "n k"]
    ) -> Float[Array, " n"]:
        return self.features(z) @ theta

    def log_loss(
        self,
        theta: Float[Array, " p"],
        u: Float[Array, " choices"],
        s: Float[Array, " g"],
    ) -> Float[Array, ""]:
        return self.log_losses(theta, jnp.concatenate([u, s])[None])[0]

    def is_convex(self, theta: Float[Array, " p"]) -> Bool[Array, ""]:
        return jnp.asarray(True)

    def project(
        self, theta: Float[Array, "p R"], gram: Float[Array, "p p R"]
    ) -> Float[Array, "p R"]:
        return theta


class Certified(NamedTuple):
    """One regression.

    Attributes:
        family: its columns.
        x: predictors, one a row.
        y: response.
        theta: certified coefficients.
        deviation: their certified standard deviations.
        squares: certified residual sum of squares.
    """

    family: Columns
    x: np.ndarray
    y: np.ndarray
    theta: np.ndarray
    deviation: np.ndarray
    squares: float


def load(name: str) -> Certified:
    """Read a file."""
    told = json.loads((FOLDER / f"{name}.json").read_text())
    x = np.array(told["x"], float)
    powers = int(told["model"].split()[1]) if "polynomial" in told["model"] else 0
    return Certified(
        Columns(powers, x.shape[1]),
        x,
        np.array(told["y"], float),
        np.array(told["certified"], float),
        np.array(told["deviation"], float),
        float(told["squares"]),
    )

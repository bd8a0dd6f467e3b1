"""What the tests of the answering rooms share: exact bowls, small sweeps, their fits.

Each is built once a session. Bowls are quadratics in the logarithms, so their optimum
and plateau are known in closed form.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cache
from itertools import product
from typing import Any

import numpy as np

from surrogate import fit
from surrogate.answers import Fit, load
from surrogate.answers.simulate import simulate
from surrogate.data import Runs

SIZES = (
    (1e8, 4e9),
    (1e8, 3e10),
    (2e8, 9e9),
    (2e8, 5e10),
    (4e8, 8e9),
    (4e8, 6e10),
    (9e8, 2e10),
    (9e8, 9e10),
)
# Keys of every answer to a question, with those inside: design.md, section 5.
COMMON = {
    "schema": None,
    "params": None,
    "tokens": None,
    "scales": None,
    "recipe": None,
    "family": None,
    "loss_kind": None,
    "device": None,
    "backend": None,
    "extrapolation": {"inside", "distance"},
    "status": None,
    "warnings": None,
}


@dataclass(frozen=True)
class Bowl:
    """ln L = level(N, D) + (u - u*)' H (u - u*) / 2 with u* affine in ln N and ln D."""

    xx: float = 0.02
    xy: float = -0.006
    yy: float = 0.012
    offset: float = 0.0

    def centre(self, params: float, tokens: float) -> np.ndarray:
        """(ln lr, ln batch) of the optimum."""
        n, d = np.log(params / 3e8), np.log(tokens / 2e10)
        return np.array([-6.5 - 0.4 * n + 0.15 * d, 13.0 + 0.1 * n + 0.5 * d])

    def hessian(self) -> np.ndarray:
        """H, in ln units."""
        return np.array([[self.xx, self.xy], [self.xy, self.yy]])

    def floor(self, params: float, tokens: float) -> float:
        """Ln of the lowest loss."""
        n, d = np.log(params / 3e8), np.log(tokens / 2e10)
        return 0.9 - 0.06 * n - 0.05 * d + 0.004 * n * d + self.offset

    def log_loss(self, lr: float, batch: float, params: float, tokens: float) -> float:
        """Ln loss [ln nats per token]."""
        off = np.log([lr, batch]) - self.centre(params, tokens)
        return float(self.floor(params, tokens) + 0.5 * off @ self.hessian() @ off)


BOWL = Bowl()


def table(
    bowl: Bowl = BOWL,
    *,
    sizes: tuple[tuple[float, float], ...] = SIZES,
    batches: int = 5,
    noise: float = 0.0,
) -> dict[str, Any]:
    """Columns of a sweep of 6 lr x `batches` around each cell's optimum, off centre.

    All cells share the levels of lr, or near ones of two cells would be made one.
    """
    rng = np.random.default_rng(5)
    rows = []
    for params, tokens in sizes:
        at = bowl.centre(params, tokens)
        first = np.round((at[0] + 12) / 0.6) - 2
        for i, j in product(range(6), range(batches)):
            lr = float(np.exp(0.6 * (first + i) - 12))
            batch = float(np.round(np.exp(at[1] + 0.7 * (j - 0.4 * batches))))
            rows.append((lr, batch, params, tokens))
    lr, batch, params, tokens = np.array(rows).T
    exact = np.array([bowl.log_loss(*row) for row in rows])
    loss = np.exp(exact + noise * rng.standard_normal(len(exact)))
    return {"lr": lr, "batch": batch, "params": params, "tokens": tokens, "loss": loss}


@cache
def bundled() -> Fit:
    """The Step Law fit that ships with the package."""
    return load("bundled:steplaw-dense")


@cache
def sweep(seed: int = 0) -> Runs:
    """The embedded sweep."""
    return simulate(seed)


@cache
def thinned() -> Runs:
    """Seven cells of the embedded sweep with every other lr."""
    runs = sweep()
    kept = np.isin(runs.cell, [0, 3, 5, 9, 10, 13, 15])
    levels = np.unique(runs.lr_level, return_inverse=True)[1]
    return runs.subset(kept & (levels % 2 == 0))


@cache
def posynomial() -> Fit:
    """Of the thinned sweep."""
    return fit(thinned(), family="posynomial", bootstrap=20)


@cache
def quadratic() -> Fit:
    """Of an exact bowl with a little noise."""
    return fit(Runs.from_arrays(**table(noise=5e-4)), family="quadratic", bootstrap=50)


@cache
def exact() -> Fit:
    """Of a bowl without noise or draws: what is fitted is the truth."""
    return fit(Runs.from_arrays(**table()), family="quadratic", bootstrap=0)


@cache
def lr_alone() -> Fit:
    """Each cell has one batch, the cells differ: the batch's effect is not known.

    Two recipes, of which the second has twice the batch.
    """
    one = table(batches=1)
    columns: dict[str, Any] = {name: np.tile(v, 2) for name, v in one.items()}
    names = np.repeat(["adamw", "muon"], len(one["lr"]))
    columns["batch"] = columns["batch"] * np.where(names == "muon", 2, 1)
    runs = Runs.from_arrays(**columns, recipe=names)
    return fit(runs, family="quadratic", bootstrap=50)


@cache
def rich() -> Fit:
    """Two recipes 0.03 apart in ln loss, and a further scale of exponent -0.04."""
    return fit(Runs.from_arrays(**rich_table()), family="quadratic", bootstrap=0)


def rich_table() -> dict[str, Any]:
    """Every cell of the exact bowl at two recipes and two counts of `active`."""
    one = table()
    columns: dict[str, Any] = {name: np.tile(v, 4) for name, v in one.items()}
    size = len(one["lr"])
    active = np.tile(np.repeat([1e7, 4e7], size), 2)
    columns["recipe"] = np.repeat(["adamw", "muon"], 2 * size)
    worse = np.where(columns["recipe"] == "muon", 0.03, 0.0)
    columns["loss"] = columns["loss"] * np.exp(worse) * (active / 2e7) ** -0.04
    return columns | {"scales": {"active": active}}


def log_loss_of(fitted: Fit, u: np.ndarray, **where: Any) -> float:
    """Ln of the loss that `predict` gives at u = (ln lr, ln batch)."""
    lr, batch = np.exp(u)
    return float(np.log(fitted.predict(lr, batch, **where).loss[0]))


def bare(fitted: Fit) -> Fit:
    """Without what says how sure it is: quicker to ask often."""
    return replace(fitted, draws=fitted.draws[:0], leaves=fitted.leaves[:0])


def singles(fitted: Fit, which: str = "draws") -> list[Fit]:
    """Each draw, or each leaf, as a fit of its own, to ask one after the other."""
    return [replace(bare(fitted), theta=theta) for theta in getattr(fitted, which)]

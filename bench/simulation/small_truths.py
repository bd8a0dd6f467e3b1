"""Known truths for simulated small sweeps: half inside the fitted families, half not.

    ln L(lr, batch, N, D) = ln(E + A N^-alpha + B D^-beta) + phi(x, y) + walls(x)

where x = ln lr - ln lr*(N, D) and y = ln batch - ln batch*(N, D), both optima power
laws of N and D. Every phi with a bowl has its minimum 0 at x = y = 0, and so have the
walls, so that lr* and batch* are known exactly; along a held batch lr* is minimised.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
from scipy.optimize import minimize_scalar

INSIDE = ("bowl", "quadratic")
OUTSIDE = ("power", "plateau", "kink")
# Without a bowl in lr, in batch, or in both.
FLAT = ("constant", "hill", "saddle", "flat-batch")
# Where both optima are the centres below, before the power laws.
PARAMS, TOKENS = 1e8, 2e9
# How far a minimum along one direction is looked for [e-folds].
_REACH = 4.0


class Power(NamedTuple):
    """ln optimum = centre + of_params ln(N / 1e8) + of_tokens ln(D / 2e9)."""

    centre: float
    of_params: float
    of_tokens: float

    def __call__(self, params: np.ndarray, tokens: np.ndarray) -> np.ndarray:
        """The logarithm of the optimum."""
        return (
            self.centre
            + self.of_params * np.log(params / PARAMS)
            + self.of_tokens * np.log(tokens / TOKENS)
        )


class Wall(NamedTuple):
    """Smooth walls beside the bowl, flat at its centre.

    Attributes:
        cold: height of cold^2 below -0.7 e-folds: runs that trained too little.
        hot: height of exp(rate x) - 1 - rate x above 0: steepening, yet no jump.
        rate: per e-fold of lr.
    """

    cold: float = 0.0
    hot: float = 0.0
    rate: float = 1.0

    def __call__(self, x: np.ndarray) -> np.ndarray:
        """What is added to ln L."""
        up = self.rate * np.maximum(x, 0.0)
        below = np.maximum(-x - 0.7, 0.0)
        return self.cold * below**2 + self.hot * (np.expm1(up) - up)


NO_WALL = Wall()


@dataclass(frozen=True)
class Truth:
    """One surface of ln loss.

    Attributes:
        kind: of phi: one of INSIDE, OUTSIDE or FLAT.
        law: E, A, alpha, B, beta of the best loss [nats].
        lr: the best learning rate.
        batch: the best batch [tokens].
        curvature: c of c x^2 and of c y^2, per squared e-fold.
        shape: further numbers of the kind.
        wall: beside it.
    """

    kind: str
    law: tuple[float, float, float, float, float]
    lr: Power
    batch: Power
    curvature: tuple[float, float]
    shape: tuple[float, ...]
    wall: Wall = NO_WALL

    def log_loss(
        self,
        lr: np.ndarray,
        batch: np.ndarray,
        params: np.ndarray,
        tokens: np.ndarray,
        move: np.ndarray | None = None,
    ) -> np.ndarray:
        """Logarithm of the loss [nats per token] at settings in natural units.

        `move` bends the bowl, for derivatives: shifts of x and y, stretches of both, a
        twist (x by y), skews of both.
        """
        e, a, alpha, b, beta = self.law
        level = np.log(e + a * params**-alpha + b * tokens**-beta)
        x = np.log(lr) - self.lr(params, tokens)
        y = np.log(batch) - self.batch(params, tokens)
        if move is not None:
            shifts, stretches, (twist, *skews) = move[:2], move[2:4], move[4:]
            x = (x - shifts[0]) * np.exp(stretches[0])
            y = (y - shifts[1]) * np.exp(stretches[1])
            x, y = x + twist * y + skews[0] * x**2, y + skews[1] * y**2
        return level + self.phi(x, y) + self.wall(x)

    def phi(self, x: np.ndarray, y: np.ndarray) -> np.ndarray:
        """The penalty for missing the optimum, in ln loss."""
        cx, cy = self.curvature
        if self.kind == "bowl":
            return _bowl(x, y, self.curvature, self.shape)
        if self.kind == "quadratic":
            cross = 2 * self.shape[0] * math.sqrt(cx * cy)
            return cx * x**2 + cy * y**2 + cross * x * y
        if self.kind == "power":
            low, high = self.shape
            return cx * np.where(x < 0, np.abs(x) ** low, np.abs(x) ** high) + cy * y**2
        if self.kind == "plateau":
            beyond = np.maximum(np.abs(x) - self.shape[0], 0.0)
            return 0.15 * cx * x**2 + 2.0 * cx * beyond**2 + cy * y**2
        if self.kind == "kink":
            at, slope = self.shape
            return cx * x**2 + slope * np.maximum(x - at, 0.0) + cy * y**2
        signs = {"constant": (0, 0), "hill": (-1, -1), "saddle": (1, -1)}
        of_x, of_y = signs.get(self.kind, (1, 0))
        return of_x * cx * x**2 + of_y * cy * y**2

    @property
    def has_best(self) -> dict[str, bool]:
        """Whether lr and batch have an optimum at all."""
        return {
            "lr": self.kind not in ("constant", "hill"),
            "batch": self.kind not in FLAT,
        }

    def best(
        self, params: float, tokens: float, batch: float | None = None
    ) -> tuple[float, float]:
        """(lr*, batch*) at these sizes, or lr* along a held batch; natural units."""
        size = np.array(params), np.array(tokens)
        lr, free = float(self.lr(*size)), float(self.batch(*size))
        if batch is None:
            return math.exp(lr), math.exp(free)
        y = math.log(batch) - free
        return math.exp(lr + self._argmin(lambda x: self._at(x, y))), batch

    def best_batch(self, params: float, tokens: float, lr: float) -> float:
        """batch* along a held lr [tokens]."""
        size = np.array(params), np.array(tokens)
        x = math.log(lr) - float(self.lr(*size))
        shift = self._argmin(lambda y: self._at(x, y))
        return math.exp(float(self.batch(*size)) + shift)

    def _at(self, x: float, y: float) -> float:
        point = np.array(x), np.array(y)
        return float(self.phi(*point) + self.wall(point[0]))

    @staticmethod
    def _argmin(function) -> float:
        found: Any = minimize_scalar(
            function,
            bounds=(-_REACH, _REACH),
            method="bounded",
            options={"xatol": 1e-7},
        )
        return float(found.x)


def _bowl(
    x: np.ndarray,
    y: np.ndarray,
    curvature: tuple[float, float],
    shape: tuple[float, ...],
) -> np.ndarray:
    """H (sum_k l_k exp(a_k . z) - 1), sum_k l_k a_k = 0, as in families/bowl.py."""
    height, turn, first, second = shape
    share = np.array([first, second, 1.0 - first - second])
    angle = turn + 2 * np.pi / 3 * np.arange(3)
    push = np.stack([np.cos(angle), np.sin(angle)], axis=1)
    push[2] = -(share[0] * push[0] + share[1] * push[1]) / share[2]
    # The curvature along each direction is that asked for.
    now = height * (share @ push**2)
    push *= np.sqrt(2 * np.array(curvature) / now)
    exponents = x[..., None] * push[:, 0] + y[..., None] * push[:, 1]
    return height * (np.exp(exponents) @ share - 1.0)


def draw(rng: np.random.Generator, kind: str | None, index: int) -> Truth:
    """A truth with constants of the size that published sweeps have.

    Args:
        rng: of the constants.
        kind: of phi; None for one of INSIDE where `index` is even, else of OUTSIDE.
        index: of the draw.
    """
    names = (INSIDE, OUTSIDE)[index % 2]
    kind = kind or names[index // 2 % len(names)]
    law = (
        rng.uniform(1.5, 1.9),
        406.0 * rng.uniform(0.8, 1.25),
        0.34,
        411.0 * rng.uniform(0.8, 1.25),
        0.28,
    )
    lr = Power(
        math.log(1e-3) + rng.normal(0, 0.4),
        rng.normal(-0.4, 0.15),
        rng.normal(0.1, 0.1),
    )
    batch = Power(
        math.log(2**18) + rng.normal(0, 0.3),
        rng.normal(0.0, 0.05),
        rng.normal(0.4, 0.1),
    )
    curvature = _between(rng, 0.01, 0.025), _between(rng, 0.004, 0.012)
    return Truth(kind, law, lr, batch, curvature, _shape(rng, kind))


def _shape(rng: np.random.Generator, kind: str) -> tuple[float, ...]:
    if kind == "bowl":
        height = _between(rng, 0.02, 0.06)
        shares = rng.dirichlet([12, 12, 12])
        return height, rng.uniform(0, 2 * np.pi), float(shares[0]), float(shares[1])
    if kind == "quadratic":
        return (rng.uniform(-0.4, 0.1),)
    if kind == "power":
        low, high = rng.uniform(1.6, 2.2), rng.uniform(2.2, 3.2)
        return (low, high)
    if kind == "plateau":
        return (rng.uniform(0.3, 0.7),)
    if kind == "kink":
        return rng.uniform(0.2, 0.8), rng.uniform(0.02, 0.06)
    return ()


def _between(rng: np.random.Generator, low: float, high: float) -> float:
    return float(np.exp(rng.uniform(math.log(low), math.log(high))))

"""NIST's certified nonlinear regressions: their files, formulas and a model of each.

Source: NIST StRD, nonlinear regression, https://www.itl.nist.gov/div898/strd.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array

from surrogate_kernels.dispatch import BATCHED
from surrogate_kernels.ref import NormalEquations

Formula = Callable[[Array, Array], Array]


class Problem(NamedTuple):
    """One file: rows, starts and certified values.

    Attributes:
        y: response, its logarithm where the model is of log[y].
        x: predictors, one a row.
        starts: start 1 and start 2.
        certified: parameters.
        deviation: their certified standard deviations.
        squares: certified residual sum of squares.
    """

    y: np.ndarray
    x: np.ndarray
    starts: np.ndarray
    certified: np.ndarray
    deviation: np.ndarray
    squares: float


def read(path: Path) -> Problem:
    """Read a file as its own header says where things stand."""
    text = path.read_text()
    lines = text.splitlines()
    where = re.search(r"Data +\(lines +(\d+) to +(\d+)\)", text)
    squares = re.search(r"Residual Sum of Squares: +(\S+)", text)
    assert where is not None
    assert squares is not None
    parameters = re.findall(r"^ +b\d+ = +(.+)$", text, re.MULTILINE)
    table = np.array([line.split() for line in parameters], float)
    first, last = map(int, where.groups())
    rows = np.array([line.split() for line in lines[first - 1 : last]], float)
    y, x = rows[:, 0], rows[:, 1:]
    return Problem(
        np.log(y) if "log[y]" in text else y,
        x[:, 0] if x.shape[1] == 1 else x,
        table[:, :2].T,
        table[:, 2],
        table[:, 3],
        float(squares[1]),
    )


class LeastSquares(NamedTuple):
    """Unweighted rows of one formula, differentiated by JAX, its Hessian exact."""

    formula: Formula

    def normal_equations(self, v: Array, shared: Any, each: Any) -> NormalEquations:
        x, y = shared

        def half_cost(b: Array) -> Array:
            return jnp.sum((self.formula(b, x) - y) ** 2) / 2

        def one(b: Array) -> NormalEquations:
            value, gradient = jax.value_and_grad(half_cost)(b)
            return NormalEquations(2 * value, gradient, jax.hessian(half_cost)(b))

        return jax.vmap(one)(v)

    def solve_spd(self, matrix: Array, right: Array) -> Array:
        return BATCHED["xla"].solve_spd(matrix, right)


# ---- the formulas, as the headers write them ------------------------------------


def saturating(b: Array, x: Array) -> Array:
    return b[0] * (1 - jnp.exp(-b[1] * x))


def misra1b(b: Array, x: Array) -> Array:
    return b[0] * (1 - (1 + b[1] * x / 2) ** -2)


def misra1c(b: Array, x: Array) -> Array:
    return b[0] * (1 - (1 + 2 * b[1] * x) ** -0.5)


def misra1d(b: Array, x: Array) -> Array:
    return b[0] * b[1] * x / (1 + b[1] * x)


def bennett5(b: Array, x: Array) -> Array:
    return b[0] * (b[1] + x) ** (-1 / b[2])


def chwirut(b: Array, x: Array) -> Array:
    return jnp.exp(-b[0] * x) / (b[1] + b[2] * x)


def danwood(b: Array, x: Array) -> Array:
    return b[0] * x ** b[1]


def enso(b: Array, x: Array) -> Array:
    def wave(period: Any, c: Array, s: Array) -> Array:
        turn = 2 * jnp.pi * x / period
        return c * jnp.cos(turn) + s * jnp.sin(turn)

    waves = wave(b[3], b[4], b[5]) + wave(b[6], b[7], b[8])
    return b[0] + wave(12.0, b[1], b[2]) + waves


def eckerle4(b: Array, x: Array) -> Array:
    return b[0] / b[1] * jnp.exp(-0.5 * ((x - b[2]) / b[1]) ** 2)


def gauss(b: Array, x: Array) -> Array:
    first = b[2] * jnp.exp(-((x - b[3]) ** 2) / b[4] ** 2)
    second = b[5] * jnp.exp(-((x - b[6]) ** 2) / b[7] ** 2)
    return b[0] * jnp.exp(-b[1] * x) + first + second


def kirby2(b: Array, x: Array) -> Array:
    return (b[0] + b[1] * x + b[2] * x**2) / (1 + b[3] * x + b[4] * x**2)


def cubics(b: Array, x: Array) -> Array:
    above = b[0] + b[1] * x + b[2] * x**2 + b[3] * x**3
    return above / (1 + b[4] * x + b[5] * x**2 + b[6] * x**3)


def lanczos(b: Array, x: Array) -> Array:
    late = b[2] * jnp.exp(-b[3] * x) + b[4] * jnp.exp(-b[5] * x)
    return b[0] * jnp.exp(-b[1] * x) + late


def mgh09(b: Array, x: Array) -> Array:
    return b[0] * (x**2 + x * b[1]) / (x**2 + x * b[2] + b[3])


def mgh10(b: Array, x: Array) -> Array:
    return b[0] * jnp.exp(b[1] / (x + b[2]))


def mgh17(b: Array, x: Array) -> Array:
    return b[0] + b[1] * jnp.exp(-x * b[3]) + b[2] * jnp.exp(-x * b[4])


def nelson(b: Array, x: Array) -> Array:
    return b[0] - b[1] * x[:, 0] * jnp.exp(-b[2] * x[:, 1])


def rat42(b: Array, x: Array) -> Array:
    return b[0] / (1 + jnp.exp(b[1] - b[2] * x))


def rat43(b: Array, x: Array) -> Array:
    return b[0] / (1 + jnp.exp(b[1] - b[2] * x)) ** (1 / b[3])


def roszman1(b: Array, x: Array) -> Array:
    return b[0] - b[1] * x - jnp.arctan(b[2] / (x - b[3])) / jnp.pi


FORMULAS: dict[str, Formula] = {
    "Bennett5": bennett5,
    "BoxBOD": saturating,
    "Chwirut1": chwirut,
    "Chwirut2": chwirut,
    "DanWood": danwood,
    "ENSO": enso,
    "Eckerle4": eckerle4,
    "Gauss1": gauss,
    "Gauss2": gauss,
    "Gauss3": gauss,
    "Hahn1": cubics,
    "Kirby2": kirby2,
    "Lanczos1": lanczos,
    "Lanczos2": lanczos,
    "Lanczos3": lanczos,
    "MGH09": mgh09,
    "MGH10": mgh10,
    "MGH17": mgh17,
    "Misra1a": saturating,
    "Misra1b": misra1b,
    "Misra1c": misra1c,
    "Misra1d": misra1d,
    "Nelson": nelson,
    "Rat42": rat42,
    "Rat43": rat43,
    "Roszman1": roszman1,
    "Thurber": cubics,
}

"""What is left out of the fit, dump by dump."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import NamedTuple

import numpy as np
from harness.dumps import data_dir

import surrogate
from surrogate.data import Runs
from surrogate.fitting import cross_validation

# Cells of one of the six folds: params, tokens.
THREE = ((1.074e9, 5.69e10), (5.37e8, 5e10), (1.074e9, 2e10))
ALIKE = 0.02
# Marin's budgets count in these tokens a parameter.
CHINCHILLA = 20.0

# Which cells each fold holds, by its name.
Folds = dict[str, np.ndarray]


@dataclass(frozen=True)
class Dump:
    """A released file and how its columns are read."""

    title: str
    file: str
    map: dict[str, str] = field(default_factory=dict)
    scales: dict[str, str] = field(default_factory=dict)
    recipe: str | None = None

    def read(self) -> Runs:
        """Its runs."""
        return surrogate.read_runs(
            data_dir() / self.file,
            map=self.map,
            scales=self.scales,
            recipe=self.recipe,
        )


class Protocol(NamedTuple):
    """Cells left out together, a line a fold, and how near the best errors count."""

    dump: str
    name: str
    folds: list[str]
    held: np.ndarray
    within: float

    @property
    def key(self) -> str:
        """As in the document."""
        return f"{self.dump}/{self.name}"


def one_by_one(runs: Runs) -> Folds:
    """Each cell in turn."""
    return dict(
        zip(
            map("cell {}".format, range(len(runs.cells))),
            np.eye(len(runs.cells), dtype=bool),
            strict=True,
        )
    )


def largest(runs: Runs) -> Folds:
    """Six folds of the largest cells, which overlap."""
    params, tokens = _sizes(runs)
    size = params * tokens
    three = [
        any(abs(n / a - 1) < ALIKE and abs(d / b - 1) < ALIKE for a, b in THREE)
        for n, d in zip(params, tokens, strict=True)
    ]
    return {
        "N > 1e9": params > 1e9,
        "N > 5e8": params > 5e8,
        "D >= 8e10": tokens >= 8e10,
        "D >= 4e10": tokens >= 3.99e10,
        "three cells": np.array(three),
        "six of largest N D": size >= np.sort(size)[-6],
    }


def structures(runs: Runs) -> Folds:
    """The cells of each count of active parameters, named by its share."""
    params, _ = _sizes(runs)
    active = np.array([dict(cell.scales)["active"] for cell in runs.cells])
    return {
        f"Na/N = {np.mean(value / params[active == value]):.2f}": active == value
        for value in np.unique(active)
    }


def budgets(runs: Runs) -> Folds:
    """The cells of each token budget, in multiples of 20 tokens a parameter."""
    params, tokens = _sizes(runs)
    multiple = np.round(tokens / (CHINCHILLA * params))
    return {f"{value:g} x 20 N": multiple == value for value in np.unique(multiple)}


def _sizes(runs: Runs) -> tuple[np.ndarray, np.ndarray]:
    params = np.array([cell.params for cell in runs.cells])
    return params, np.array([cell.tokens for cell in runs.cells])


DUMPS = {
    "dense": Dump("Step Law dense", "steplaw/dense_lr_bs_loss.csv"),
    # The structures differ in active parameters; all have 2.15B in total.
    "moe": Dump("Step Law MoE", "steplaw/moe_lr_bs_loss.csv", scales={"active": "Na"}),
    "marin": Dump(
        "Marin",
        "marin/marin_optimizer_sweep_upto_300m.csv",
        map={"batch": "batch_tokens"},
        recipe="opt",
    ),
}
# Dump, protocol, its folds, and how near the best of its cell a run must be to count.
_ALL: tuple[tuple[str, str, Callable[[Runs], Folds], float], ...] = (
    ("dense", cross_validation.ONE, one_by_one, 0.02),
    ("dense", cross_validation.LARGEST, largest, 0.1),
    ("moe", "leave-one-structure-out", structures, 0.02),
    ("marin", "leave-one-token-budget-out", budgets, 0.25),
)


def keys(only: str = "") -> list[str]:
    """The protocols whose key has this in it."""
    return [f"{dump}/{name}" for dump, name, *_ in _ALL if only in f"{dump}/{name}"]


def of(dump: str, runs: Runs) -> list[Protocol]:
    """The protocols of a dump."""
    found = []
    for owner, name, make, within in _ALL:
        if owner == dump:
            folds = make(runs)
            held = np.array([*folds.values()], dtype=bool)
            found.append(Protocol(dump, name, [*folds], held, within))
    return found

"""What must not change an answer: properties, each of a random table.

Every property makes a small sweep, changes it in a way that means nothing, and returns
how far answers moved over what rounding, the weak priors or the solver's tolerance
allow.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple
from unittest import mock

import numpy as np
from hypothesis import strategies as st

from surrogate import fit
from surrogate.answers import Fit
from surrogate.data import Runs
from surrogate.data.coordinates import Features
from surrogate.families import Posynomial, Quadratic, Shape
from surrogate.fitting import irls
from surrogate.numerics import batches, least_squares, row_weights

Table = dict[str, Any]
# Of ln lr, ln batch and ln loss: sums in another order, through a solve.
_ROUNDING = 1e-8
# Where the priors, which are weak, stand elsewhere.
_PRIORS = 1e-3


class Case(NamedTuple):
    """What hypothesis chooses.

    Attributes:
        seed: of the table.
        cells: how many.
        noise: of ln loss.
        factor: by which something is multiplied.
    """

    seed: int
    cells: int
    noise: float
    factor: float


CASES = st.builds(
    Case,
    st.integers(0, 2**32 - 1),
    st.integers(6, 9),
    st.sampled_from([0.0, 1e-4, 1e-3, 5e-3]),
    st.floats(0.1, 10.0).filter(lambda value: abs(np.log(value)) > 0.01),
)


def table(case: Case, apart: float = 0.0) -> Table:
    """A sweep of 4 lr x 3 batches a cell around a random convex quadratic.

    Its sizes are moved by `apart` [ln params], along the same surface.
    """
    rng = np.random.default_rng(case.seed)
    log_n = rng.uniform(np.log(5e7), np.log(1e9), case.cells)
    log_d = log_n + rng.uniform(np.log(10), np.log(200), case.cells)
    log_n = log_n + apart
    root = rng.uniform(0.05, 0.2, 2) * np.array([1.0, 0.7])
    slope = rng.uniform(-0.5, 0.5, (2, 2))
    lean = rng.uniform(-0.5, 0.5)
    rows = []
    for n, d in zip(log_n, log_d, strict=True):
        away = np.array([n - 19.0, d - 23.0])
        centre = np.array([-6.5, 13.0]) + slope @ away
        floor = 1.0 - 0.06 * away[0] - 0.05 * away[1]
        for i in range(4):
            for j in range(3):
                # All cells share levels of lr; batches are whole tokens.
                level = np.round(centre[0] / 0.5) + i - 1.5
                u = np.array([0.5 * level, np.log(np.round(np.exp(centre[1] + j - 1)))])
                off = root * (u - centre)
                bend = off @ np.array([[1.0, lean], [lean, 1.0]]) @ off
                noise = case.noise * rng.normal()
                rows.append((*np.exp(u), np.exp(n), np.exp(d), floor + bend + noise))
    lr, batch, params, tokens, log_loss = np.array(rows).T
    names = ("lr", "batch", "params", "tokens", "loss")
    return dict(zip(names, (lr, batch, params, tokens, np.exp(log_loss)), strict=True))


def answer(columns: Table, seed: int = 0, recipe: str | None = None) -> np.ndarray:
    """Ln lr, ln batch and ln loss of the optimum at the middle of the first recipe."""
    runs = Runs.from_arrays(**columns, allow=("small",))
    found = fit(runs, family="quadratic", bootstrap=0, seed=seed, backend="numpy")
    return _ask(found, *_middle(columns), recipe)


def _ask(found: Fit, params: float, tokens: float, recipe: str | None) -> np.ndarray:
    best = found.optimum(
        params=params, tokens=tokens, recipe=recipe, allow=("small",), p_max=0.999
    )
    return np.log([best.lr, best.batch, best.loss])


def _middle(columns: Table) -> tuple[float, float]:
    first = columns.get("recipe", np.full(len(columns["lr"]), "a")) == "a"
    params, tokens = (columns[name][first] for name in ("params", "tokens"))
    return float(np.exp(np.log(params).mean())), float(np.exp(np.log(tokens).mean()))


def row_order(case: Case) -> float:
    """Rows in another order."""
    one = table(case)
    order = np.random.default_rng(case.seed).permutation(len(one["lr"]))
    other = {name: values[order] for name, values in one.items()}
    return _apart(answer(one), answer(other)) / _ROUNDING


def row_twice(case: Case) -> float:
    """A row that stands twice, and one that counts twice."""
    features, rows = _rows(table(case))
    family, box = _family(features), features.box()
    twice = int(case.factor * 1e6) % len(rows.target)
    counts = np.ones((1, len(rows.target)))
    counts[0, twice] = 2.0
    again = np.append(np.arange(len(rows.target)), twice)
    longer = rows._replace(
        z=rows.z[again], target=rows.target[again], cell=rows.cell[again]
    )
    one = irls.estimate(family, rows, counts, box)
    other = irls.estimate(family, longer, np.ones((1, len(again))), box)
    return _apart(one.solution.theta, other.solution.theta) / _ROUNDING


def units(case: Case) -> float:
    """Every column in another unit."""
    one = table(case)
    factors = {"lr": case.factor, "batch": 3.0, "params": case.factor, "tokens": 0.5}
    other = one | {name: one[name] * by for name, by in factors.items()}
    moved = answer(one) + np.log([case.factor, 3.0, 1.0])
    return _apart(moved, answer(other)) / _ROUNDING


def log_params_shifted(case: Case) -> float:
    """Parameters counted otherwise, by a factor."""
    one = table(case)
    other = one | {"params": one["params"] * case.factor}
    return _apart(answer(one), answer(other)) / _ROUNDING


def log_base(case: Case) -> float:
    """Logarithms of the scales to another base."""
    features, rows = _rows(table(case))
    family, box = _family(features), features.box()
    turn = np.ones(rows.z.shape[1])
    # From base e to 2 or 10, and further.
    turn[2:] = case.factor**0.5
    scaled = rows._replace(z=rows.z * turn, cell_s=rows.cell_s * turn[2:])
    ones = np.ones((1, len(rows.target)))
    one, other = (irls.estimate(family, r, ones, box) for r in (rows, scaled))
    off = one.surface.fitted - other.surface.fitted
    return float(np.abs(off).max()) / _PRIORS


def recipe_names(case: Case) -> float:
    """Two recipes that change names, and so their order."""
    columns = _two(case, apart=0.0)
    swapped = np.where(columns["recipe"] == "a", "z", "b")
    other: Table = columns | {"recipe": swapped}
    runs = [Runs.from_arrays(**each, allow=("small",)) for each in (columns, other)]
    asked = _middle(columns)
    found = [fit(r, family="quadratic", bootstrap=0, backend="numpy") for r in runs]
    answers = [_ask(f, *asked, name) for f, name in zip(found, "az", strict=True)]
    return _apart(*answers) / _PRIORS


def same_surface(case: Case) -> float:
    """Runs of another recipe, 100 times as large, on the same surface but an offset."""
    exact = case._replace(noise=0.0)
    one, other = table(exact), table(exact, np.log(100))
    other["loss"] = other["loss"] * np.exp(0.02)
    both = {name: np.concatenate([one[name], other[name]]) for name in one}
    both["recipe"] = np.repeat(["a", "b"], len(one["lr"]))
    one["recipe"] = np.full(len(one["lr"]), "a")
    return _apart(answer(one), answer(both, recipe="a")) / (2 * _PRIORS)


def other_recipe(case: Case) -> float:
    """Likewise, but its optimum has not moved with size: a step, which has a prior."""
    exact = case._replace(noise=0.0)
    one = table(exact)
    one["recipe"] = np.full(len(one["lr"]), "a")
    both = answer(_two(exact, apart=np.log(100)), recipe="a")
    return _apart(answer(one), both) / (2 * _PRIORS)


def _two(case: Case, apart: float) -> Table:
    """A table with a second recipe: the same runs at other sizes, and offsets."""
    one = table(case)
    size = len(one["lr"])
    other = dict(one)
    other["params"] = one["params"] * np.exp(apart)
    columns = {name: np.concatenate([one[name], other[name]]) for name in one}
    columns["loss"][size:] *= np.exp(0.02 - 0.06 * apart)
    columns["recipe"] = np.repeat(["a", "b"], size)
    return columns


def seed(case: Case) -> float:
    """Another seed of starts and draws."""
    one = table(case)
    return _apart(answer(one, 0), answer(one, 1 + case.seed % 1000)) / _ROUNDING


def _problems(case: Case) -> tuple[Posynomial, Any, row_weights.Weights, np.ndarray]:
    features, rows = _rows(table(case))
    family = Posynomial(Shape(2, len(features.givens), 0), 3)
    rng = np.random.default_rng(case.seed)
    count = 66 + case.seed % 60
    weights = row_weights.given(rng.uniform(0.5, 2.0, (count, len(rows.target))) * 1e4)
    return family, rows, weights, np.tile(family.starts(rng, 1), (count, 1))


def _solve(case: Case, bulk: int = 0, steps: int = 12) -> least_squares.Solution:
    family, rows, weights, start = _problems(case)
    return least_squares.solve(
        family,
        rows.z,
        rows.target,
        weights,
        start,
        bulk=bulk,
        iterations=steps,
        backend="numpy",
    )


def workers(case: Case) -> float:
    """One core or four: bit for bit."""
    found = []
    for cores in (1, 4):
        with mock.patch.object(batches, "cores", lambda cores=cores: cores):
            found.append(_solve(case))
    same = all(
        np.array_equal(a, b) for a, b in zip(*(f[:5] for f in found), strict=True)
    )
    return 0.0 if same else np.inf


def block_size(case: Case) -> float:
    """Blocks of half the size, ten steps: rounding grows with every one."""
    whole = _solve(case, steps=10)
    with mock.patch.multiple(least_squares, _PLAIN_PROBLEMS=32, _PLAIN_ELEMENTS=2**10):
        halved = _solve(case, steps=10)
    return float(np.abs(np.log(whole.cost / halved.cost)).max()) / _ROUNDING


def float32_bulk(case: Case) -> float:
    """Steps in float32 first, polished: no worse a minimum is called converged.

    From the end of a fit in float64, which both must keep.
    """
    family, rows, weights, start = _problems(case)
    few = row_weights.given(weights.each[:4])

    def go(first: np.ndarray, bulk: int) -> least_squares.Solution:
        return least_squares.solve(
            family,
            rows.z,
            rows.target,
            few,
            first,
            bulk=bulk,
            iterations=200,
            backend="numpy",
        )

    one = go(start[:4], 0)
    other = go(one.theta, 40)
    both = one.converged & other.converged
    if not both.any():
        return 0.0
    return float(np.abs(np.log(one.cost / other.cost))[both].max()) / _ROUNDING


def _rows(columns: Table) -> tuple[Features, Any]:
    runs = Runs.from_arrays(**columns, allow=("small",))
    features = Features.of(runs)
    return features, features.rows(runs)


def _family(features: Features) -> Quadratic:
    return Quadratic(Shape(len(features.choices), len(features.givens), 0))


def _apart(one: np.ndarray, other: np.ndarray) -> float:
    return float(np.abs(one - other).max())


PROPERTIES: dict[str, Callable[[Case], float]] = {
    each.__name__: each
    for each in (
        row_order,
        row_twice,
        units,
        log_params_shifted,
        log_base,
        recipe_names,
        same_surface,
        other_recipe,
        seed,
        workers,
        block_size,
        float32_bulk,
    )
}

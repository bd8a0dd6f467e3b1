"""What counts as inside: no farther than nine in ten cells, and two cells near."""

from __future__ import annotations

import numpy as np
import pytest
from support.fit import bundled, quadratic

from surrogate.answers import neighbours
from surrogate.answers.decision.trust import NEAR_CELLS
from surrogate.data.extrapolation import LEAST_CELLS, Leverage

GRID = np.log(np.array([(n, d) for n in (2e8, 4e8, 1e9) for d in (8e9, 2e10, 1e11)]))
BIG = np.log(np.array([3e9, 3e11]))


def test_one_far_cell_brings_nothing_inside() -> None:
    far = np.log(np.array([[7e9, 1.4e11]]))
    before, after = GRID, np.concatenate([GRID, far])
    old = [float(Leverage.of(x).distance(BIG[None])[0]) for x in (before, after)]
    new = [float(Leverage.of_cells(x).distance(BIG[None])[0]) for x in (before, after)]
    assert old[0] > 1 > old[1]
    assert new[0] / new[1] < old[0] / old[1]
    # What is left to say is said by the neighbours: only the far cell is near.
    is_near = (np.abs(after - BIG) <= np.log(3)).all(axis=1)
    assert is_near.sum() == 1 < NEAR_CELLS


def test_nine_in_ten_cells_left_out_are_nearer_than_1() -> None:
    rng = np.random.default_rng(2)
    x = rng.normal(size=(41, 2))
    found = Leverage.of_cells(x)
    own = [
        float(a.distance(x[[i]])[0]) * np.sqrt(a.largest / found.largest)
        for i, a in enumerate(Leverage.of(np.delete(x, i, 0)) for i in range(len(x)))
    ]
    # 36 of 40 gaps of 41 sorted values: the quantile is one of them.
    assert np.sum(np.array(own) <= 1 + 1e-12) == 37


def test_few_cells_keep_the_farthest() -> None:
    x = GRID[: LEAST_CELLS - 1]
    assert Leverage.of_cells(x) == Leverage.of(x)


@pytest.mark.parametrize(
    ("params", "tokens", "count"), [(4e8, 2e10, None), (1e8, 2e11, 0), (9e8, 9e11, 0)]
)
def test_cells_near_are_counted_within_a_factor(
    params: float, tokens: float, count: int | None
) -> None:
    fit = quadratic()
    near = [
        cell
        for cell in fit.cells
        if max(abs(np.log(cell.params / params)), abs(np.log(cell.tokens / tokens)))
        <= np.log(3)
    ]
    sizes = {"params": np.array([params]), "tokens": np.array([tokens])}
    found = int(neighbours.cells_near(fit, sizes, np.array([""]))[0])
    assert found == len(near)
    assert count is None or found == count


def test_inside_needs_two_cells_near() -> None:
    fit = bundled()
    # In a gap: the only cell at 1.07B and few tokens is 20B.
    answer = fit.optimum(params=1.07e9, tokens=6e9)
    assert answer.context.inside == (
        answer.context.distance <= 1
        and int(
            neighbours.cells_near(
                fit,
                {"params": np.array([1.07e9]), "tokens": np.array([6e9])},
                np.array([""]),
            )[0]
        )
        >= 2
    )
    far = fit.predict(2e-3, 5e5, [5e8, 5e8], [2e10, 2e13])
    assert far.inside.tolist() == [True, False]
    assert "1 of 2 points lie beyond the data" in far.warnings[0]

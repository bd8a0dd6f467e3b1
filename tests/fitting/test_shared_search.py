"""Problems grouped for one search: it sees no row that any of them leaves out."""

from __future__ import annotations

import numpy as np
import pytest

from surrogate.fitting import shared_search


def folds(cells: int, rows: int, *more: tuple[int, ...]) -> np.ndarray:
    """Each cell left out in turn, then several together."""
    cell = np.repeat(np.arange(cells), rows)
    held = [(k,) for k in range(cells)] + list(more)
    return np.array([np.isin(cell, some) for some in held])


@pytest.mark.parametrize("share", [0.1, 0.3])
def test_a_search_leaves_out_all_that_its_problems_do(share: float) -> None:
    absent = folds(20, 7, (15, 16, 17, 18, 19), (18, 19))
    left_out, served = shared_search.group(absent, share)
    for own, search in zip(absent, served, strict=True):
        assert not (own & ~left_out[search]).any()
    # By hand: five cells are one search's, the other 15 by 2 or by 6.
    assert len(left_out) == 1 + {0.1: 8, 0.3: 3}[share]
    assert served[-1] == served[-2] == served[19]
    sizes = left_out.mean(axis=1)
    assert sorted(sizes)[-2] <= share + 1e-12


def test_a_problem_of_all_rows_has_a_search_of_its_own() -> None:
    absent = np.concatenate([np.zeros((2, 20), bool), folds(4, 5)])
    left_out, served = shared_search.group(absent, 0.6)
    assert served[0] == served[1]
    assert not left_out[served[0]].any()
    assert (served[2:] != served[0]).all()


def test_large_folds_search_alone() -> None:
    left_out, served = shared_search.group(folds(3, 4), 0.3)
    assert sorted(served.tolist()) == [0, 1, 2]
    np.testing.assert_array_equal(left_out[served], folds(3, 4))

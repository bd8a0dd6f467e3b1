"""What is a jump, a wall, a spike, a slip: each by hand, and on the dense dump."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from surrogate.data.divergence import Verdict, judge
from surrogate.data.readers import read_runs

OCTAVES = 1e-3 * 2.0 ** np.arange(8)


def line(*loss: float) -> list[int]:
    """Verdicts of runs an octave of lr apart, at one batch."""
    return verdicts(OCTAVES[: len(loss)], np.full(len(loss), 1e5), loss)


def verdicts(lr: np.ndarray, batch: np.ndarray, loss: tuple[float, ...]) -> list[int]:
    losses = np.array(loss)
    return judge(lr, batch, losses, ~np.isfinite(losses)).tolist()


def test_smooth_walls_stay() -> None:
    assert line(2.87, 3.06, 3.59, 5.20, 12.3) == [0] * 5
    assert line(3.4, 3.1, 3.0, 3.1, 3.5, 4.4, 6.5) == [0] * 7


def test_undertrained_runs_stay() -> None:
    assert line(9.0, 6.5, 4.8, 3.6, 3.0, 2.9) == [0] * 6


def test_jumps_and_what_lies_above_them_diverged() -> None:
    assert line(2.6, 2.5, 2.5, 6.9, 7.2) == [0, 0, 0, 1, 1]
    # Above a jump a run of 25 % is enough, however it falls.
    assert line(2.6, 2.5, 2.5, 6.9, 4.0) == [0, 0, 0, 1, 1]
    assert line(2.6, 2.5, float("nan"), float("inf")) == [0, 0, 1, 1]


def test_a_spike_has_stable_runs_above_it() -> None:
    assert line(2.6, 2.5, 5.0, 2.5, 2.6) == [0, 0, Verdict.SPIKE, 0, 0]


def test_losses_of_a_few_tenths_do_not_diverge_by_ratio_alone() -> None:
    assert line(0.30, 0.28, 0.29, 0.38) == [0] * 4


@pytest.mark.parametrize("slip", [0.001, 0.2, 1.6])
def test_one_loss_too_low_is_set_aside_and_no_reference(slip: float) -> None:
    found = line(2.10, 2.05, 2.02, slip, 2.01, 2.04, 2.09)
    assert found == [0, 0, 0, Verdict.TOO_LOW, 0, 0, 0]


def test_a_narrow_valley_is_no_slip() -> None:
    assert line(3.9, 3.3, 2.8, 3.4, 4.3) == [0] * 5


def test_a_batch_that_diverged_whole_is_told_by_its_neighbours() -> None:
    lr = np.tile(OCTAVES[2:5], 2)
    lr[:3] /= 4
    batch = np.repeat([1e5, 2e5], 3)
    assert verdicts(lr, batch, (2.5, 2.4, 2.45, 7.0, 7.1, 7.3)) == [0] * 3 + [1] * 3


@pytest.mark.parametrize("dead", [(5.0, 7.0, 6.0), (7.2, 6.4, 4.9), (4.6, 6.0, 8.0)])
def test_a_batch_that_diverged_from_its_lowest_lr_on(dead: tuple[float, ...]) -> None:
    """Whether its losses rise, fall or neither; beside one that diverged too."""
    lr, batch = np.tile(OCTAVES[:3], 3), np.repeat([5e4, 1e5, 2e5], 3)
    trained = (2.45, 2.4, 2.5)
    found = verdicts(lr, batch, (2.6, 2.5, 2.6, *trained, *dead))
    assert found[:6] == [0] * 6
    # Toward more steps a fall is no excuse where the batch beside is past its best.
    down = verdicts(lr, batch, (*dead, *trained, 2.6, 2.5, 2.6))
    assert down == [1] * 3 + [0] * 6
    assert verdicts(lr, batch, (*dead, *dead, *trained)) == [1] * 6 + [0] * 3


def test_a_large_batch_of_few_steps_is_undertrained_and_stays() -> None:
    lr, batch = np.tile(OCTAVES[:4], 2), np.repeat([1e5, 2e5], 4)
    assert verdicts(lr, batch, (4.2, 3.6, 3.1, 2.9, 6.0, 5.1, 4.4, 3.8)) == [0] * 8


def test_lr_far_below_the_best_are_undertrained_at_every_batch() -> None:
    lr, batch = np.tile(OCTAVES[:4], 2), np.repeat([1e5, 2e5], 4)
    assert verdicts(lr, batch, (6.9, 5.9, 5.0, 4.3, 4.9, 4.2, 3.6, 3.2)) == [0] * 8


def test_a_wall_from_the_first_run_on_stays() -> None:
    assert line(4.48, 6.34, 17.4, 325.0) == [0] * 4
    assert line(2.6, 6.9, 7.2) == [0, 1, 1]


def test_a_wall_falls_nowhere() -> None:
    """Above one stable run: what rises on is a wall, what falls again diverged."""
    assert line(4.1, 5.9, 10.0, 19.0) == [0] * 4
    assert line(4.1, 5.9, 10.0, 9.2, 10.5) == [0, 1, 1, 1, 1]


def test_one_bad_run_without_reference_is_unexplained() -> None:
    lr, batch = OCTAVES[[0, 1, 2, 0, 1]], np.array([1e5, 1e5, 1e5, 9e5, 9e5])
    found = verdicts(lr, batch, (2.5, 2.4, 2.45, 6.0, 6.1))
    assert found == [0, 0, 0, Verdict.UNEXPLAINED, Verdict.UNEXPLAINED]


def test_the_dense_dump(data_dir: Path) -> None:
    """Every run over 4 nats and no other; also where few lr a batch are left."""
    runs = read_runs(data_dir / "steplaw" / "dense_lr_bs_loss.csv")
    truth = runs.loss > 4
    assert truth.sum() == 181
    np.testing.assert_array_equal(runs.diverged, truth)
    assert (runs.usable | runs.diverged).all()
    rng = np.random.default_rng(0)
    groups = np.unique(np.stack([runs.cell, runs.batch], axis=1), axis=0)
    for kept in (2, 3, 5):
        found = met = 0
        for _ in range(5):
            mask = np.zeros(len(runs), dtype=bool)
            for cell, batch in groups:
                rows = np.flatnonzero((runs.cell == cell) & (runs.batch == batch))
                mask[rng.choice(rows, min(kept, rows.size), replace=False)] = True
            part = np.zeros(len(runs), np.int64)
            for cell in range(len(runs.cells)):
                at = np.flatnonzero(mask & (runs.cell == cell))
                columns = runs.lr_level[at], runs.batch[at], runs.loss[at]
                part[at] = judge(*columns, np.zeros(at.size, dtype=bool))
            assert not part[mask & ~truth].any()
            found += int((part[mask & truth] == Verdict.DIVERGED).sum())
            met += int((mask & truth).sum())
        assert found >= 0.97 * met

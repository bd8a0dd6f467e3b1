"""The embedded sweep: seeded, on Step Law's grid, with its noise and its divergence."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from support import fit as fit_support

from surrogate.answers.simulate import SWEEP, simulate
from surrogate.base.errors import DataError
from surrogate.data import Runs
from surrogate.fitting.objective import Noise

COLUMNS = ("lr", "batch", "params", "tokens", "loss", "diverged", "recipe")


def surface(runs: Runs) -> np.ndarray:
    """The loss that the bundled fit gives at every run."""
    columns = (runs.lr, runs.batch, runs.params, runs.tokens)
    return fit_support.bundled().predict(*columns).loss


def test_a_seed_makes_one_table() -> None:
    one, again, other = simulate(3), simulate(3, SWEEP), simulate(4)
    for name in COLUMNS:
        assert getattr(one, name).tobytes() == getattr(again, name).tobytes()
    assert not np.array_equal(one.loss, other.loss)
    np.testing.assert_array_equal(one.lr, other.lr)


def test_every_lr_and_batch_of_every_cell_is_run() -> None:
    runs, fitted = fit_support.sweep(), fit_support.bundled()
    assert len(runs.cells) == len(fitted.cells) == 17
    assert len(runs) == sum(len(c.lr) * len(c.batch) for c in fitted.cells)
    for index, (cell, record) in enumerate(zip(runs.cells, fitted.cells, strict=True)):
        assert (cell.params, cell.tokens) == (record.params, record.tokens)
        members = runs.cell == index
        settings = set(zip(runs.lr[members], runs.batch[members], strict=True))
        assert settings == {(lr, b) for lr in record.lr for b in record.batch}
        assert cell.runs == len(settings)


def test_kinds_are_those_of_the_fit_and_a_note_says_where_it_comes_from() -> None:
    runs = fit_support.sweep()
    assert (runs.loss_kind, runs.params_kind) == ("train_smoothed", "non_embedding")
    assert runs.notes == (
        "Simulated with seed 0 from a fit to 1911 runs: no loss here was measured.",
    )
    assert not runs.dropped
    assert not runs.warnings


@pytest.mark.parametrize("seed", [0, 1])
def test_as_many_runs_diverge_as_did(seed: int) -> None:
    """Statistical: of all drawn with their own probability, 4.5 standard deviations."""
    runs, model = fit_support.sweep(seed), fit_support.bundled().stability
    assert model is not None
    where = {name: getattr(runs, name) for name in model.names}
    p = np.asarray(model.probability(where))
    spread = np.sqrt(np.sum(p * (1 - p)))
    assert abs(runs.diverged.sum() - p.sum()) < 4.5 * spread
    # The dump lacks some of the grid: 181 of 1,911 diverged there.
    assert runs.diverged.mean() == pytest.approx(181 / 1911, abs=0.02)
    assert p[runs.diverged].mean() > 0.5 > p[~runs.diverged].mean()


def test_diverged_runs_end_between_the_mark_and_guessing() -> None:
    runs = fit_support.sweep()
    best = np.array([cell.best for cell in runs.cells])[runs.cell]
    loss = runs.loss[runs.diverged]
    assert (loss > 1.25 * best[runs.diverged]).all()
    assert (loss <= np.log(65_536)).all()


def test_the_noise_is_that_of_the_fit() -> None:
    """Statistical: chi-squared of runs within cells, 4.5 standard errors."""
    runs, fitted = fit_support.sweep(), fit_support.bundled()
    kept = ~runs.diverged
    residual = np.log(runs.loss / surface(runs))[kept]
    cell = runs.cell[kept]
    columns = (runs.lr, runs.batch, runs.params, runs.tokens)
    least = np.array(
        [fitted.optimum(params=c.params, tokens=c.tokens).loss for c in runs.cells]
    )
    excess = np.log(surface(runs)[kept] / least[cell])
    assert len(columns) == 4
    unit = 1 / fitted.noise.within(excess)
    shared = np.array(
        [
            np.average(residual[cell == i], weights=unit[cell == i] ** 2)
            for i in range(17)
        ]
    )
    within = (residual - shared[cell]) * unit
    freedom = len(residual) - 17
    chi = float(np.sum(within**2))
    assert chi == pytest.approx(freedom, abs=4.5 * np.sqrt(2 * freedom))
    # Seventeen draws of the part that a cell shares.
    assert np.std(shared) == pytest.approx(fitted.noise.cell, rel=4.5 / np.sqrt(34))


def test_without_noise_the_losses_are_the_surface() -> None:
    still = replace(fit_support.bundled(), noise=Noise(0.0, 0.0, 0.0), stability=None)
    runs = simulate(0, still)
    np.testing.assert_allclose(runs.loss, surface(runs), rtol=1e-13)


def test_without_a_model_of_stability_none_is_drawn() -> None:
    """Far out the surface is a smooth wall, which is no divergence."""
    runs = simulate(0, replace(fit_support.bundled(), stability=None))
    assert runs.usable.all()
    np.testing.assert_allclose(np.log(runs.loss / surface(runs)), 0, atol=0.4)


def test_any_fit_can_be_drawn_from() -> None:
    exact = fit_support.exact()
    # Of few cells that a cell has a part of its own is assumed, not found.
    assert exact.noise.cell == 0.002
    # So is a part of the noise of single runs: as much as released sweeps show.
    assert 0 < exact.noise.floor < 1e-3
    runs = simulate(0, replace(exact, noise=Noise(cell=0.0, floor=0.0, growth=0.0)))
    assert (len(runs), len(runs.cells)) == (240, 8)
    expected = [
        fit_support.BOWL.log_loss(*row)
        for row in zip(runs.lr, runs.batch, runs.params, runs.tokens, strict=True)
    ]
    np.testing.assert_allclose(np.log(runs.loss), expected, atol=1e-5)


def test_an_unknown_fit_is_refused() -> None:
    with pytest.raises(DataError, match="Expected a bundled fit"):
        simulate(0, "bundled:no-such")

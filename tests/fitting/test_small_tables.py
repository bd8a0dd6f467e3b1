"""Small tables as people have them: what is seen, what is not told, what is named."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from support.grids import random_design

import surrogate
from surrogate.answers import Fit
from surrogate.answers.limits import loose, pairs
from surrogate.answers.question import Asked, Question, ask
from surrogate.answers.solved import solve_box
from surrogate.data import Runs
from surrogate.data.coordinates import Features, Rows
from surrogate.fitting import evidence, odd_runs
from surrogate.fitting.objective import Noise
from surrogate.fitting.two_sided import Near, is_seen

LR = 1e-3 * 2.0 ** np.linspace(-2, 2, 7)
X = np.log(LR / 1e-3)
NOISE = Noise(cell=0.002, floor=0.002, growth=0.1)


def line(log_loss: np.ndarray, lr: np.ndarray = LR, **more: object) -> Runs:
    """Runs of one size along lr."""
    return Runs.from_arrays(
        lr=lr,
        batch=np.full(len(lr), 131072.0),
        params=np.full(len(lr), 1e8),
        tokens=np.full(len(lr), 2e9),
        loss=3.0 * np.exp(log_loss),
        where=[f"t.csv line {row + 2}" for row in range(len(lr))],
        **more,  # pyright: ignore[reportArgumentType]
    )


def near(y: np.ndarray, at: float = 0.0) -> tuple[Near, Rows]:
    cell = np.zeros(len(y), np.int64)
    rows = Rows(X[:, None], y, cell, np.zeros((1, 0)))
    return Near(X[:, None] - at, np.maximum(y - y.min(), 0), 0.002**2, 3), rows


WALL = 0.015 * X**2 + 0.25 * (np.expm1(np.maximum(X, 0)) - np.maximum(X, 0))


def test_a_wall_is_an_optimum_seen_from_both_sides() -> None:
    assert is_seen(*near(WALL), 0)


@pytest.mark.parametrize(
    "shape", [0 * X, -0.05 * X, np.maximum(X, 0) * 0.2, -0.02 * X**2]
)
def test_a_constant_a_slope_a_plateau_and_a_hill_are_not(shape: np.ndarray) -> None:
    assert not is_seen(*near(shape), 0)


def test_a_constant_is_seen_from_both_sides_in_under_2_5_percent() -> None:
    rng = np.random.default_rng(0)
    hits = 0
    for _ in range(1000):
        y = 0.002 * rng.normal(size=len(X))
        # Where a fit would put it: at the lowest run.
        hits += is_seen(*near(y, at=float(X[y.argmin()]) + 1e-3), 0)
    assert hits <= 25


def test_ends_that_share_the_lowest_loss_are_no_finding() -> None:
    runs = line(0 * X)
    features = Features.of(runs)
    told = evidence.directions(
        features, features.rows(runs), runs, np.full(len(X), 0.002)
    )["lr"]
    assert (told.low, told.high, told.is_low, told.is_high) == (0, 0, False, False)


@pytest.mark.parametrize(("row", "off"), [(3, -0.1), (5, -0.1), (3, 0.15), (2, 0.15)])
def test_the_odd_run_is_named(row: int, off: float) -> None:
    y = 0.015 * X**2
    y[row] += np.log1p(off)
    (text,) = odd_runs.warnings_of(line(y), NOISE, is_unclear=True)
    assert f"t.csv line {row + 2} " in text
    assert ("above" if off > 0 else "below") in text


def test_walls_kinks_and_noise_have_no_odd_run() -> None:
    rng = np.random.default_rng(1)
    for shape in (WALL, 0.1 * np.maximum(X, 0), 0.1 * np.abs(X)):
        noisy = shape + 0.003 * rng.normal(size=len(X))
        assert odd_runs.warnings_of(line(noisy), NOISE, is_unclear=True) == []


@pytest.fixture(scope="module")
def scattered() -> Fit:
    return surrogate.fit(
        random_design(), family="quadratic", bootstrap=20, backend="numpy"
    )


def test_runs_that_share_no_sizes_must_hold_the_best_to_a_factor(
    scattered: Fit, monkeypatch: pytest.MonkeyPatch
) -> None:
    where: dict[str, Any] = {"params": 2e8, "tokens": 6e9}
    told = scattered.optimum(**where)
    assert told.status == "ok"
    assert loose.is_scattered(scattered)
    half = np.log(told.lr_interval[1] / told.lr_interval[0]) / 2
    other = np.log(told.batch_interval[1] / told.batch_interval[0]) / 2
    # Between the two, so that the looser one alone is not told.
    monkeypatch.setattr(loose, "FACTOR", float(np.exp((half + other) / 2)))
    name = "lr" if half > other else "batch"
    found = scattered.optimum(**where)
    assert found.status == "not_identifiable"
    assert f"the best {name} at" in " ".join(found.context.warnings)
    assert scattered.plateau(**where, tol=0.0025).status == "not_identifiable"


def test_a_flat_side_is_not_answered_as_ok() -> None:
    lr = 1e-3 * 2.0 ** np.linspace(-3, 3, 9)
    rng = np.random.default_rng(0)
    x = np.log(lr / 1e-3)
    shape = 0.1 * np.maximum(x, 0) + 0.002 * rng.normal(size=len(x))
    fit = surrogate.fit(line(shape, lr), bootstrap=20, backend="numpy")
    assert fit.optimum(params=1e8, tokens=2e9).status != "ok"


def table(path: Path, seeds: int, spread: float) -> Path:
    rng = np.random.default_rng(5)
    lines = ["lr,batch_tokens,params,tokens,loss,seed"]
    for seed in range(seeds):
        y = 0.015 * X**2 + spread * rng.normal(size=len(X))
        lines += [
            f"{lr!r},131072,1e8,2e9,{float(3 * np.exp(v))!r},{seed}"
            for lr, v in zip(LR.tolist(), y.tolist(), strict=True)
        ]
    path.write_text("\n".join(lines) + "\n")
    return path


def test_seed_noise_is_kept_in_a_saved_fit(tmp_path: Path) -> None:
    runs = surrogate.read_runs(table(tmp_path / "t.csv", 2, 0.004))
    fit = surrogate.fit(runs, family="quadratic", bootstrap=5, backend="numpy")
    fit.save(tmp_path / "fit")
    again = surrogate.load(tmp_path / "fit")
    assert again.runs is not None
    assert runs.seed_noise is not None
    assert again.runs.seed_noise == runs.seed_noise
    assert again.summary_json()["seed_noise"] == runs.seed_noise
    # What is told of a new run is no surer than seeds are.
    assert again.noise.floor >= runs.seed_noise * np.sqrt(7 / 9) * (1 - 1e-9)


def test_errors_and_trunks_are_kept_and_counted(tmp_path: Path) -> None:
    rng = np.random.default_rng(6)
    # Both runs of a trunk have its luck.
    y = np.tile(0.015 * X**2 + 0.002 * rng.normal(size=len(X)), 2)
    y = y + 0.0002 * rng.normal(size=len(y))

    def widths(**more: object) -> tuple[float, Fit]:
        runs = line(y, np.tile(LR, 2), **more)
        fit = surrogate.fit(runs, family="quadratic", bootstrap=5, backend="numpy")
        low, high = fit.optimum(params=1e8, tokens=2e9).lr_interval
        return float(np.log(high / low)), fit

    plain, _ = widths()
    erring, _ = widths(loss_se=np.full(len(y), 0.15))
    assert erring > 2 * plain
    names = [f"trunk {k % len(X)}" for k in range(len(y))]
    wide, fit = widths(cluster=names, loss_se=np.full(len(y), 0.001))
    assert wide > 1.05 * plain
    assert fit.unit == "clusters"
    assert fit.clusters == len(X)
    fit.save(tmp_path / "fit")
    again = surrogate.load(tmp_path / "fit")
    assert again.unit == "clusters"
    assert again.runs is not None
    assert again.runs.cluster.tolist() == names
    np.testing.assert_array_equal(again.runs.loss_se, 0.001)


def test_a_fit_of_before_loads_as_it_did() -> None:
    fit = surrogate.load("bundled:steplaw-dense")
    assert fit.clusters == 0
    assert fit.unit == "cells"


def on_a_line(beside: Sequence[tuple[float, float]]) -> Runs:
    """Lr proportional to batch at three sizes, and some runs beside that line."""
    rng = np.random.default_rng(7)
    places = [(t, t) for t in np.linspace(-1.4, 1.4, 5).tolist()]
    rows = [(*pair, size) for size in (0.5, 1.0, 2.0) for pair in places]
    rows += [(*pair, 1.0) for pair in beside]
    x, y, size = np.array(rows).T
    loss = 3.0 * size**-0.1 * np.exp(0.015 * (x - 0.3) ** 2 + 0.008 * (y + 0.3) ** 2)
    return Runs.from_arrays(
        lr=1e-3 * np.exp(x),
        batch=np.round(2**18 * np.exp(y)),
        params=1e8 * size,
        tokens=2e9 * size,
        loss=loss * np.exp(0.002 * rng.normal(size=len(x))),
    )


def unheld(fit: Fit) -> tuple[Question, dict[str, float]]:
    """The optimum of the surface, whatever is told of it."""
    question = ask(fit, Asked(1e8, 2e9))
    return question, solve_box(question, question.box).best


def test_a_pair_that_no_run_came_near_is_not_answered() -> None:
    runs = on_a_line([(0.0, -0.5)])
    fit = surrogate.fit(runs, family="quadratic", bootstrap=20, backend="numpy")
    question, best = unheld(fit)
    tried = {"lr": 1e-3, "batch": 2.0**18}
    beside = {"lr": 1e-3 * np.exp(1.4), "batch": 2**18 * np.exp(-1.4)}
    text = pairs.untried(question, best, beside)
    assert text is not None
    assert "No run stood near both at once" in text
    assert pairs.untried(question, best, tried) is None


def test_a_full_grid_has_every_pair_and_what_lies_between() -> None:
    corner = [(x, y) for x in (-1.4, 0.0, 1.4) for y in (-1.4, 0.0, 1.4)]
    runs = on_a_line(corner)
    fit = surrogate.fit(runs, family="quadratic", bootstrap=20, backend="numpy")
    question, best = unheld(fit)
    for x, y in ((1.0, -1.0), (-1.0, 1.0), (0.2, 0.4)):
        at = {"lr": 1e-3 * np.exp(x), "batch": 2**18 * np.exp(y)}
        assert pairs.untried(question, best, at) is None


def test_trunks_that_cross_twelve_cells_widen_intervals() -> None:
    rng = np.random.default_rng(8)
    rows, trunks = [], []
    for size in (0.5, 1.0, 2.0, 4.0):
        for x in np.linspace(-1.4, 1.4, 5):
            luck = 0.003 * rng.normal()
            for tokens in (1e9, 2e9, 4e9):
                noise = luck + 0.0003 * rng.normal()
                rows.append((x, size, tokens, 0.015 * x**2 + noise))
                trunks.append(f"{size} {x}")
    x, size, tokens, y = np.array(rows).T

    def fitted(cluster: list[str] | str) -> Fit:
        runs = Runs.from_arrays(
            lr=1e-3 * np.exp(x),
            batch=np.full(len(x), 2.0**18),
            params=1e8 * size,
            tokens=tokens,
            loss=3 * size**-0.1 * (tokens / 2e9) ** -0.05 * np.exp(y),
            cluster=cluster,
        )
        return surrogate.fit(runs, family="quadratic", bootstrap=8, backend="numpy")

    widths = []
    for fit in (fitted(""), fitted(trunks)):
        low, high = fit.optimum(params=1e8, tokens=2e9).lr_interval
        widths.append(np.log(high / low))
    assert widths[1] > 1.3 * widths[0]
    # 12 cells and 20 trunks of 3 runs each; t with the degrees of freedom of cells.
    assert len(fit.leaves) == 12 + 20
    assert (fit.unit, fit.freedom) == ("clusters", 9)

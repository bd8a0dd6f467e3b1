"""Repeats that agree, and neighbours to one side, say that a form misses runs."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from surrogate import fit
from surrogate.data import Runs
from surrogate.data.coordinates import Rows
from surrogate.fitting.lack_of_fit import measure

ASK: dict[str, Any] = {"params": 1e8, "tokens": 2e9}


def line(off: np.ndarray, repeats: int = 1) -> tuple[Rows, np.ndarray]:
    """One cell of so many settings, each repeated."""
    x = np.repeat(np.linspace(-1, 1, len(off)), repeats)
    rows = Rows(
        z=x[:, None],
        target=np.zeros(x.size),
        cell=np.zeros(x.size, dtype=np.int64),
        cell_s=np.zeros((1, 0)),
    )
    return rows, np.repeat(off, repeats)


def test_noise_is_no_lack_of_fit() -> None:
    """So rarely that 400 tables have a handful."""
    rng, found = np.random.default_rng(0), 0
    for repeats in (1, 3):
        for _ in range(200):
            rows, zero = line(np.zeros(14), repeats)
            residual = zero + 0.002 * rng.standard_normal(zero.size)
            lack = measure(rows, residual, np.full(zero.size, 0.002), 3)
            found += lack.inflation > 1
    assert found <= 8


@pytest.mark.parametrize("repeats", [1, 3])
def test_a_wave_is(repeats: int) -> None:
    rng = np.random.default_rng(1)
    rows, wave = line(0.004 * np.sin(np.linspace(0, 9, 14)), repeats)
    residual = wave + 0.001 * rng.standard_normal(wave.size)
    lack = measure(rows, residual, np.full(wave.size, 0.003), 3)
    assert lack.inflation > 2
    assert lack.said is not None
    assert "misses these runs by more than their noise" in lack.said


def test_what_changes_nothing_is_not_said() -> None:
    rows, wave = line(0.0002 * np.sin(np.linspace(0, 9, 14)))
    assert measure(rows, wave, np.full(wave.size, 2e-4), 3).said is None


def test_a_fit_says_so_and_is_wider() -> None:
    """A wall at the hot side, which few runs of a bowl would hide."""
    lr = np.repeat(1e-4 * 1.5 ** np.arange(14), 2)
    x = np.log(lr / 2e-3)
    up = 1.6 * np.maximum(x, 0)
    noise = 0.0003 * np.random.default_rng(2).standard_normal(x.size)
    loss = 3.2 * np.exp(0.012 * x**2 + 0.03 * (np.expm1(up) - up) + noise)
    one = np.ones(x.size)
    runs = Runs.from_arrays(
        lr=lr, batch=2.0**18 * one, params=1e8 * one, tokens=2e9 * one, loss=loss
    )
    fitted = fit(runs, bootstrap=20)
    assert any("misses these runs" in text for text in fitted.warnings)
    low, high = fitted.optimum(**ASK).lr_interval
    assert low < 2e-3 < high

"""Distributions against SciPy's."""

from __future__ import annotations

import math

import numpy as np
import pytest
from scipy import special, stats

from surrogate.base.chances import coin, logistic, student


@pytest.mark.parametrize("freedom", [1, 2, 3, 4, 5, 9, 14, 15, 44, 100, 999, 5000])
def test_quantiles_of_student_are_those_of_scipy(freedom: int) -> None:
    for probability in (0.5, 0.6, 0.9, 0.95, 0.975, 0.999, 0.025):
        expected = special.stdtrit(freedom, probability)
        found = student(probability, freedom)
        assert found == pytest.approx(expected, rel=1e-11, abs=1e-12)


def test_nothing_is_known_of_no_freedom_or_no_probability() -> None:
    assert math.isnan(student(0.975, 0))
    assert math.isnan(student(0.975, -2))
    assert math.isnan(student(1.0, 5))


def test_the_coin_and_the_logistic_are_those_of_scipy() -> None:
    for throws in (1, 2, 7, 30):
        for count in range(throws + 1):
            expected = stats.binom.sf(count - 1, throws, 0.5)
            assert coin(count, throws) == pytest.approx(expected, rel=1e-12)
    logits = np.array([-800.0, -40.0, -1.0, 0.0, 0.3, 40.0, 800.0])
    np.testing.assert_allclose(logistic(logits), special.expit(logits), rtol=1e-15)
    assert float(logistic(0.3)) == pytest.approx(special.expit(0.3), rel=1e-15)

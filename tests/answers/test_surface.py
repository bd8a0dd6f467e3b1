"""The surface of a fit at one size: what its verbs say, and that it is solved once."""

from __future__ import annotations

import doctest
import re
from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from support import fit as fit_support
from support.grids import LR, table

import surrogate
from surrogate import DataError, Fit, Surface, fit
from surrogate.answers import arrays
from surrogate.cli.commands import runs as commands
from surrogate.cli.main import main
from surrogate.families import Family

WHERE: dict[str, Any] = {"params": 1e9, "tokens": 2e10}
SMALL: dict[str, Any] = {"params": 1e8, "tokens": 2e9}
CHOICES = [(1e-3, 5e5), (3e-4, 2.0**20), (2e-2, 2e6), (1e-5, 3e4)]


@pytest.fixture
def solves(monkeypatch: pytest.MonkeyPatch) -> Counter[tuple]:
    """How often each place and box was minimised over with refits and draws."""
    found: Counter[tuple] = Counter()
    minima = arrays.minima

    def counted(family: Family, thetas: np.ndarray, *where: Any) -> arrays.Minima:
        if len(thetas) > 1:
            found[tuple(np.asarray(part).tobytes() for part in where[:3])] += 1
        return minima(family, thetas, *where)

    monkeypatch.setattr(arrays, "minima", counted)
    return found


@pytest.fixture(scope="module")
def rising() -> Fit:
    """The highest lr is best in 6 of 6 cells."""
    top = np.log(LR[4] / 4e-4) + 1
    runs = table(lambda x, y: 0.03 * (x - top) ** 2, 0, lr=LR[:5], cells=6)
    return fit(runs, family="quadratic", bootstrap=50)


def test_it_answers_as_the_fit_does() -> None:
    own = fit_support.quadratic()
    surface = own.at(**WHERE)
    assert isinstance(surface, Surface)
    assert isinstance(surface, surrogate.Surface)
    assert (surface.params, surface.tokens, surface.fit) == (1e9, 2e10, own)
    assert surface.box == surface.question.box
    assert surface.optimum().to_json() == own.optimum(**WHERE).to_json()
    held = surface.optimum(batch=5e5, lr_max=1e-3)
    assert held.to_json() == own.optimum(**WHERE, batch=5e5, lr_max=1e-3).to_json()
    how: dict[str, Any] = {"tol": 0.004, "probability": 0.7, "batch": 5e5}
    flat = surface.plateau(**how)
    assert flat.to_json() == own.plateau(**WHERE, **how).to_json()
    lost = surface.regret(lr=1e-3, batch=5e5, tol=0.004)
    assert (
        lost.to_json() == own.regret(**WHERE, lr=1e-3, batch=5e5, tol=0.004).to_json()
    )
    assert surface.tolerance(0.05) == own.tolerance(0.05, **WHERE)


def test_one_minimum_serves_every_answer(solves: Counter[tuple]) -> None:
    surface = fit_support.quadratic().at(**WHERE)
    assert not solves
    for answer in (surface.optimum(), surface.plateau(), surface.plateau(tol=0.01)):
        answer.to_json()
    for lr, batch in CHOICES[:2]:
        surface.regret(lr=lr, batch=batch).to_json()
    surface.probability_inside(*np.array(CHOICES[:2]).T)
    assert list(solves.values()) == [1]
    # Another batch that is held is another question.
    surface.optimum(batch=5e5).to_json()
    assert list(solves.values()) == [1, 1]


def test_commands_and_figures_solve_nothing_twice(
    solves: Counter[tuple],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(commands, "_fit", lambda *_, **__: fit_support.quadratic())
    for command in (
        "demo --out demo",
        "plateau steplaw-dense --params 1B --tokens 20B --json",
        "regret steplaw-dense --params 1B --tokens 20B --lr 1e-3 --batch 512Ki",
        "compare steplaw-dense demo/fit --params 1B --tokens 20B",
    ):
        solves.clear()
        assert main(command.split()) in (0, 1)
        assert len(solves) == 1 + command.startswith("compare"), command
        assert set(solves.values()) == {1}, command
    capsys.readouterr()


def test_figures_solve_nothing_twice(solves: Counter[tuple]) -> None:
    pytest.importorskip("matplotlib")
    from surrogate.views import plots

    own = fit_support.quadratic()
    plots.SurfacePicture.of(own, **WHERE, lr=3e-4, batch=2.0**20)
    assert list(solves.values()) == [1]
    solves.clear()
    plots.SlicesPicture.of(own, **WHERE)
    assert list(solves.values()) == [1]


def test_probability_inside_is_that_of_each_regret(rising: Fit) -> None:
    # The same draws by two sums; tolerance: one draw, which may lie on the level.
    own = fit_support.quadratic()
    alone = fit_support.lr_alone()
    cases: list[tuple[Fit, dict[str, Any], list[tuple[float, float]]]] = [
        (own, WHERE, CHOICES),
        (fit_support.bundled(), WHERE, CHOICES),
        (own, WHERE | {"lr_range": (1e-4, 1e-3)}, CHOICES),
        # One side is told: the box of each ends at it.
        (rising, SMALL, [(2e-4, 131072.0), (3e-4, 131072.0), (1e-3, 131072.0)]),
        (alone, WHERE | {"recipe": alone.recipes[0]}, CHOICES[:2]),
    ]
    between = 0
    for asked, where, choices in cases:
        surface = asked.at(**where)
        flat = surface.plateau(tol=0.004)
        # About the edge some draws hold a setting and others do not.
        edge, batch = flat.lr_at_optimal_batch[1], flat.optimum[1]
        if np.isfinite(edge):
            near = edge * np.array([0.9, 0.97, 1.0, 1.03, 1.1])
            choices = [*choices, *((lr, batch) for lr in near.tolist())]
        found = surface.probability_inside(*np.array(choices).T, tol=0.004)
        wanted = [
            surface.regret(lr=lr, batch=batch, tol=0.004).probability_inside
            for lr, batch in choices
        ]
        slack = 1.01 / len(asked.draws)
        np.testing.assert_allclose(found, wanted, rtol=0, atol=slack)
        assert found.shape == (len(choices),)
        between += ((found > 0) & (found < 1)).sum()
    assert between >= 3
    (best,) = own.at(**WHERE).probability_inside(1e-9, 1e5)
    assert best == 0


def test_probability_inside_makes_the_robust_plateau() -> None:
    """Property: inside the robust box every corner reaches its probability."""
    surface = fit_support.quadratic().at(**WHERE)
    box = surface.plateau().decision.inner_robust
    assert box is not None
    lr, batch = np.repeat(np.array(box.lr), 2), np.tile(np.array(box.batch), 2)
    assert (surface.probability_inside(lr, batch) >= 0.9 - 1e-9).all()
    one = surface.probability_inside(lr[0], batch)
    np.testing.assert_array_equal(one[:2], surface.probability_inside(lr[0], batch[:2]))


def test_probability_inside_is_not_known_without_draws() -> None:
    exact = fit_support.exact().at(**WHERE)
    assert np.isnan(exact.probability_inside([1e-3, 2e-3], 5e5)).all()


@pytest.mark.parametrize(
    ("lr", "batch", "message"),
    [
        ([1e-3, 2e-3], [1e5, 2e5, 3e5], "lr and batch of one length, got shapes"),
        ([1e-3, -1.0], 1e5, "as positive numbers, got -1 and 100000 in row 1"),
        ([[1e-3]], 1e5, "as lists of numbers, got shape"),
        ("1e-3", 1e5, "lr"),
    ],
)
def test_wrong_settings_are_told(lr: Any, batch: Any, message: str) -> None:
    with pytest.raises(DataError, match=message):
        fit_support.quadratic().at(**WHERE).probability_inside(lr, batch)


def test_a_batch_multiple_where_all_runs_have_one_batch_is_refused(rising: Fit) -> None:
    with pytest.raises(DataError, match="no batch_multiple, since all fitted runs"):
        rising.at(**SMALL).optimum(batch_multiple=4096.0)


def test_the_example_of_the_pages_is_what_is_printed() -> None:
    page = Path(__file__).parents[2] / "docs" / "usage.md"
    found = re.search(r"```python\n(>>> .*?)```", page.read_text(), re.DOTALL)
    assert found is not None
    example = doctest.DocTestParser().get_doctest(found[1], {}, "usage", None, 0)
    assert len(example.examples) >= 5
    assert doctest.DocTestRunner().run(example).failed == 0

"""Answers of which the runs tell one side, or none."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from support.grids import BATCH, LR, table

from surrogate import Fit, fit, load
from surrogate.base.errors import Status
from surrogate.cli.main import main
from surrogate.data import Runs

WHERE: dict[str, Any] = {"params": 1e8, "tokens": 2e9}


@pytest.fixture(scope="module")
def rising() -> Fit:
    """The highest lr is best in 6 of 6 cells; the best lies at e x that."""
    top = np.log(LR[4] / 4e-4) + 1
    runs = table(lambda x, y: 0.03 * (x - top) ** 2, 0, lr=LR[:5], cells=6)
    return fit(runs, family="quadratic", bootstrap=50)


@pytest.fixture(scope="module")
def two() -> Fit:
    """Two batches, of which the smaller wins everywhere by 3.5 %."""
    runs = table(lambda x, y: 0.02 * x**2 + 0.05 * y, 0, batch=BATCH[:2], cells=5)
    return fit(runs, family="quadratic", bootstrap=50)


def test_an_optimum_beyond_the_grid_is_answered_at_its_end(rising: Fit) -> None:
    found = rising.optimum(**WHERE)
    assert found.status is Status.at_bound
    np.testing.assert_allclose(found.lr, LR[4], rtol=1e-6)
    side = found.to_json()["one_sided"]["lr"]
    assert (side["side"], side["than"], side["is_sure"]) == ("above", LR[3], True)
    assert found.to_json()["interval"]["lr"] == [LR[3], None]
    assert any("best lies above 2.83e-04" in text for text in found.context.warnings)


def test_its_plateau_is_open_above_and_has_no_robust_one(rising: Fit) -> None:
    document = rising.plateau(**WHERE).to_json()
    assert document["status"] == "at_bound"
    assert document["lr"]["low"] is not None
    assert document["lr"]["high"] is None
    assert document["open_edges"] == ["lr_high"]
    assert document["robust"] is None


def test_a_range_that_the_user_gave_is_taken(rising: Fit) -> None:
    found = rising.optimum(**WHERE, lr_range=(1e-4, 1e-2))
    assert found.to_json()["box"] == "given"
    assert found.lr > LR[4]


def test_two_values_answer_at_the_better_one(two: Fit) -> None:
    found = two.optimum(**WHERE)
    assert found.status is Status.at_bound
    assert found.batch == BATCH[0]
    # The truth's best lr; the plateau of noise 0.1 % about it.
    assert abs(np.log(found.lr / 4e-4)) < 0.1
    said = " ".join(found.context.warnings)
    assert "lowest batch is best in 5 of 5 cells" in said
    assert "below 131,072 tokens" in said
    assert "nothing under 65,536 tokens was tried" in said


def test_both_of_two_values_are_predicted(two: Fit) -> None:
    # The truth; a tenth of what the two differ by.
    found = two.predict([4e-4, 4e-4], list(BATCH[:2]), **WHERE).loss
    truth = np.exp(1.1 + 0.05 * np.log(np.array(BATCH[:2]) / 131072))
    np.testing.assert_allclose(found, truth, rtol=0.0035)


def test_regret_of_the_losing_one(two: Fit) -> None:
    found = two.regret(**WHERE, lr=4e-4, batch=BATCH[1])
    np.testing.assert_allclose(found.regret, np.exp(0.05 * np.log(2)) - 1, atol=0.004)
    assert not found.is_inside


def test_a_saddle_has_no_best_batch_but_a_best_lr_at_one() -> None:
    runs = table(lambda x, y: 0.02 * x**2 - 0.03 * y**2, 0, batch=BATCH, cells=5)
    found = fit(runs, family="quadratic", bootstrap=0)
    answer = found.optimum(**WHERE)
    assert answer.status is Status.not_identifiable
    assert answer.offer is not None
    assert abs(np.log(answer.offer["lr"] / 4e-4)) < 0.1
    assert any("do not show a best batch" in text for text in answer.context.warnings)
    held = found.optimum(**WHERE, batch=131072.0)
    assert held.status is Status.ok


@pytest.mark.parametrize("bend", [0.0, -0.02])
def test_what_does_not_bend_has_no_optimum(bend: float) -> None:
    runs = table(lambda x, y: bend * x**2, 3)
    found = fit(runs, family="quadratic", bootstrap=0)
    assert any("do not show a best lr" in text for text in found.warnings)
    answer = found.optimum(**WHERE)
    assert answer.status is Status.not_identifiable
    assert np.isnan(answer.lr)
    assert any("do not show a best lr" in text for text in answer.context.warnings)


def test_one_cell_has_intervals_over_runs() -> None:
    runs = table(lambda x, y: 0.02 * x**2, 0)
    found = fit(runs, family="quadratic", bootstrap=50)
    # A level, a slope and a curvature of 9 runs, of whose 6 degrees of freedom the sum
    # of all parts may have three times as many; a level, a drift and halves beside.
    assert (found.unit, len(found.leaves)) == ("runs", 9 + 3)
    assert found.freedom is not None
    assert 6 <= found.freedom <= 18
    answer = found.optimum(**WHERE)
    low, high = answer.lr_interval
    assert low < 4e-4 < high < 1.3 * low
    assert answer.to_json()["interval"]["unit"] == "runs"


def test_what_the_runs_say_is_saved_with_the_fit(rising: Fit, tmp_path: Path) -> None:
    rising.save(tmp_path / "fit")
    again = load(tmp_path / "fit")
    assert again.evidence == rising.evidence
    assert again.cells == rising.cells
    assert again.optimum(**WHERE).to_json() == rising.optimum(**WHERE).to_json()


def test_runs_at_random_settings_are_fitted_together() -> None:
    rng = np.random.default_rng(0)
    x, y, n, d = rng.uniform(-1.5, 1.5, size=(4, 60))
    # The best lr falls with params as N^-0.3; noise 0.2 %.
    bowl = 0.02 * (x + 0.3 * n) ** 2 + 0.01 * y**2
    runs = Runs.from_arrays(
        lr=1e-3 * np.exp(x),
        batch=262144 * np.exp(y),
        params=2e8 * np.exp(n),
        tokens=4e9 * np.exp(d),
        loss=np.exp(1.1 - 0.08 * n - 0.05 * d + bowl + 0.002 * rng.normal(size=60)),
    )
    found = fit(runs, family="additive", bootstrap=50)
    answer = found.optimum(params=4e8, tokens=4e9)
    assert answer.status is Status.ok
    truth = 1e-3 * 2**-0.3
    assert abs(np.log(answer.lr / truth)) < 0.3
    low, high = answer.lr_interval
    assert low < truth < high


def test_an_interval_that_is_open_says_why() -> None:
    """The best lies just inside the lowest lr, which is best as often as not."""
    low = np.log(LR[0] / 4e-4) + 0.02
    runs = table(lambda x, y: 0.02 * (x - low) ** 2, 2, lr=LR[::2])
    found = fit(runs, family="quadratic", bootstrap=50).optimum(**WHERE)
    assert found.status is Status.ok
    assert found.to_json()["interval"]["lr"][0] is None
    (said,) = (t for t in found.context.warnings if "interval of lr is open" in t)
    assert said.startswith(
        "Nothing under 1.00e-04 was tried, and the lowest is best in"
    )
    assert said.endswith(
        "groups of runs of one size and batch: the interval of lr is open below."
    )


def cliff(best: float, lr: np.ndarray = LR[:3]) -> Fit:
    """Three sizes, three batches; at the highest lr all runs diverged."""
    at = np.log(best / 4e-4)
    runs = table(lambda x, y: 0.03 * (x - at) ** 2 + 0.02 * y**2, 0, lr=lr, cells=3)
    columns = {n: getattr(runs, n) for n in ("lr", "batch", "params", "tokens")}
    loss = np.where(runs.lr == lr[-1], np.nan, runs.loss)
    return fit(Runs.from_arrays(**columns, loss=loss), bootstrap=50)


def test_two_stable_values_beside_a_cliff_say_below_which_the_best_lies() -> None:
    found = cliff(best=LR[0] / 2).optimum(**WHERE)
    side = found.to_json()["one_sided"]["lr"]
    assert (side["side"], side["than"], side["at"]) == ("below", LR[1], LR[0])
    assert found.lr == LR[0]


def test_beside_a_cliff_nothing_unstable_is_answered() -> None:
    """The higher of two stable values is best, the third diverged everywhere."""
    found = cliff(best=LR[1] * 2).optimum(**WHERE)
    side = found.to_json()["one_sided"]["lr"]
    assert (side["side"], side["than"], side["at"]) == ("above", LR[0], LR[1])
    assert found.lr == LR[1]
    said = " ".join(found.context.warnings)
    assert f"over {LR[1]:.2e} runs diverged" in said


def two_by_two(cells: int) -> Fit:
    """Two lr and two batches, of which the lower wins everywhere by 2 %."""
    corner = {"lr": LR[:2], "batch": BATCH[:2]}
    runs = table(lambda x, y: 0.03 * x + 0.03 * y, 0, cells=cells, **corner)
    return fit(runs, bootstrap=50)


def test_two_values_of_each_say_which_is_better() -> None:
    found = two_by_two(cells=3)
    asked = found.optimum(**WHERE)
    sides = asked.to_json()["one_sided"]
    assert asked.status is Status.at_bound
    assert (asked.lr, asked.batch) == (LR[0], BATCH[0])
    assert (sides["lr"]["side"], sides["lr"]["than"]) == ("below", LR[1])
    assert (sides["batch"]["side"], sides["batch"]["than"]) == ("below", BATCH[1])
    assert (sides["lr"]["count"], sides["batch"]["count"]) == (6, 3)


def test_of_one_cell_too_few_to_be_sure_are_counted() -> None:
    asked = two_by_two(cells=1).optimum(**WHERE)
    assert asked.status is Status.not_identifiable
    said = " ".join(asked.context.warnings)
    assert "lower one is better in 2 of 2 groups of runs" in said


def test_beyond_the_sizes_of_the_runs_a_side_bounds_nothing() -> None:
    """Without a bend nothing tells how the optimum moves with size."""
    asked = two_by_two(cells=3).optimum(params=2e9, tokens=4e10)
    sides = asked.to_json()["one_sided"]
    assert all(side["than"] is None for side in sides.values())


def bent_cliff(batch: np.ndarray, times: float, family: str) -> Fit:
    """Four stable lr; the best lies so many times above them, where runs diverged."""
    at = np.log(LR[3] * times / 4e-4)
    bowl = lambda x, y: 0.05 * (x - at) ** 2 + 0.02 * y**2  # noqa: E731
    runs = table(bowl, 0, lr=LR[:5], batch=batch, cells=6)
    columns = {n: getattr(runs, n) for n in ("lr", "batch", "params", "tokens")}
    loss = np.where(runs.lr == LR[4], 10.0, runs.loss)
    return fit(Runs.from_arrays(**columns, loss=loss), family=family, bootstrap=20)


@pytest.mark.parametrize("batch", [BATCH[2:3], BATCH], ids=["one batch", "three"])
@pytest.mark.parametrize(
    ("times", "family"), [(1.2, "quadratic"), (1.5, "bowl"), (2.0, "quadratic")]
)
def test_of_a_best_beyond_the_edge_the_highest_stable_lr_is_answered(
    batch: np.ndarray, times: float, family: str
) -> None:
    """The edge between what ran and what diverged is a guess, and no answer is ok."""
    fitted = bent_cliff(batch, times, family)
    assert fitted.stability is not None
    assert fitted.evidence["lr"].is_curved
    assert fitted.evidence["lr"].is_high
    found = fitted.optimum(**WHERE)
    assert found.status is Status.at_bound
    side = found.to_json()["one_sided"]["lr"]
    assert (side["side"], side["capped"] > 0) == ("above", True)
    assert 0.9 * LR[3] <= found.lr <= LR[3] * (1 + 1e-9)
    low, high = found.lr_interval
    assert low <= LR[3]
    assert np.isnan(high)


@pytest.mark.parametrize("lr", [LR[4], LR[4] * 0.999])
def test_the_best_of_what_was_tried_is_on_no_known_plateau(
    rising: Fit, lr: float
) -> None:
    batch = rising.optimum(**WHERE).batch
    found = rising.regret(**WHERE, lr=lr, batch=batch)
    document = found.to_json()
    assert document["status"] == "at_bound"
    assert found.regret < 0.0025
    assert document["inside"] is None
    assert document["probability_inside"] is None
    assert document["interval"]["regret"] is None
    assert document["price"]["interval"] is None
    assert document["suggestion"]["regret_upper"] is None
    surface = rising.at(**WHERE)
    assert np.isnan(surface.probability_inside(lr, batch)).all()


def test_what_loses_against_the_best_tried_is_outside(rising: Fit) -> None:
    batch = rising.optimum(**WHERE).batch
    document = rising.regret(**WHERE, lr=LR[1], batch=batch).to_json()
    assert document["inside"] is False
    assert document["regret"] > 0.0025
    assert document["price"]["reason"].startswith(("at least", "the fitted runs do"))


def test_the_text_says_what_was_tried(
    two: Fit, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    two.save(tmp_path / "f")
    asked = [str(tmp_path / "f"), "--params", "100M", "--tokens", "2B"]
    choice = ["--lr", "4e-4", "--batch", f"{BATCH[0]:.0f}"]
    assert main(["regret", *asked, *choice]) == 0
    said = " ".join(capsys.readouterr().out.split())
    assert "within the" not in said
    assert "not known:" in said
    assert "Under batch 64Ki tokens" in said
    assert main(["regret", *asked, *choice, "--all"]) == 0
    assert "on the plateau not known" in " ".join(capsys.readouterr().out.split())
    assert main(["plateau", *asked]) == 0
    said = " ".join(capsys.readouterr().out.split())
    assert "above the best that was tried" in said or "As good not known" in said


def test_the_end_of_what_was_tried_is_the_value_that_was_typed() -> None:
    """262,144 tokens were 262,143.9999999999, and no whole number of sequences."""
    rows = []
    for lr in (1e-3, 2e-3, 4e-3):
        for batch in (262_144, 524_288, 1_048_576):
            for params, tokens in ((5e7, 1.2e11), (2e8, 4e10), (6e8, 2e10)):
                x, y = np.log(lr / 2e-4), np.log(batch / 6e4)
                level = 1.7 + 400 * params**-0.34 + 410 * tokens**-0.28
                loss = level * np.exp(0.006 * x**2 + 0.004 * y**2 - 0.002 * x * y)
                rows.append((lr, batch, params, tokens, loss))
    columns = np.array(rows).T
    names = ("lr", "batch", "params", "tokens", "loss")
    runs = Runs.from_arrays(**dict(zip(names, columns, strict=True)))
    best = fit(runs, family="quadratic", bootstrap=20).optimum(params=6e8, tokens=2e10)
    assert {*best.context.one_sided} == {"lr", "batch"}
    assert best.lr == 1e-3
    assert best.batch == 262_144

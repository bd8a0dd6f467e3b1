"""The public verb: reproducible, indifferent to the order of rows, honest."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from support import fit as fit_support

from surrogate import families, fit
from surrogate.answers import load
from surrogate.base.errors import DataError
from surrogate.data import Runs, Source
from surrogate.data.coordinates import Features
from surrogate.fitting import choice as choosing
from surrogate.fitting import cross_validation, intervals, objective, resampling
from surrogate.fitting.cross_validation import HeldOut
from surrogate.fitting.fit import versions
from surrogate.fitting.stability import Stability
from surrogate.numerics import least_squares

pytestmark = pytest.mark.numeric
ASK: dict[str, Any] = {"params": 3.3e8, "tokens": 1.7e10}


def noisy(**change: Any) -> Runs:
    return Runs.from_arrays(**(fit_support.table(noise=5e-4) | change))


def permuted(runs: Runs, seed: int) -> Runs:
    order = np.random.default_rng(seed).permutation(len(runs))
    names = ("lr", "batch", "params", "tokens", "loss", "diverged")
    columns: dict[str, Any] = {name: getattr(runs, name)[order] for name in names}
    return Runs.from_arrays(**columns)


class Log:
    """Hears what runs and how far it is."""

    def __init__(self) -> None:
        self.tasks: list[list[Any]] = []
        self.stops = 0

    def start(self, task: str, total: int) -> None:
        self.tasks.append([task, total, 0])

    def advance(self, n: int) -> None:
        self.tasks[-1][2] += n

    def stop(self) -> None:
        self.stops += 1


@pytest.mark.once
@pytest.mark.parametrize("family", ["quadratic", "posynomial"])
def test_a_seed_makes_one_fit(family: str) -> None:
    runs = noisy() if family == "quadratic" else fit_support.thinned()
    old = fit_support.quadratic() if family == "quadratic" else fit_support.posynomial()
    new = fit(runs, family=family, bootstrap=len(old.draws))
    assert new.theta.tobytes() == old.theta.tobytes()
    assert new.draws.tobytes() == old.draws.tobytes()
    assert new.scores == old.scores
    assert replace(new.provenance, created="") == replace(old.provenance, created="")


def test_a_seed_is_of_no_account_where_nothing_is_drawn() -> None:
    """A linear family has no starts, and the draws of 8 cells are leaves."""
    old, new = (
        fit_support.quadratic(),
        fit(noisy(), family="quadratic", bootstrap=50, seed=1),
    )
    assert new.theta.tobytes() == old.theta.tobytes()
    assert new.draws.tobytes() == old.draws.tobytes()


def test_the_order_of_rows_is_of_no_account() -> None:
    """Property; sums in another order differ by rounding."""
    old = fit_support.quadratic()
    new = fit(permuted(noisy(), 3), family="quadratic", bootstrap=50)
    np.testing.assert_allclose(new.theta, old.theta, atol=1e-8)
    np.testing.assert_allclose(new.draws, old.draws, atol=1e-6)
    for name in ("lr", "batch", "loss"):
        one, other = (getattr(f.optimum(**ASK), name) for f in (old, new))
        assert other == pytest.approx(one, rel=1e-8)
    for name, spread in old.scores.items():
        assert new.scores[name]["mean"] == pytest.approx(spread["mean"], rel=1e-6)


@pytest.mark.once
def test_the_order_of_rows_is_of_no_account_to_a_posynomial() -> None:
    """Iterative: it stops when the cost falls by under 1e-9 of itself."""
    old = fit_support.posynomial()
    new = fit(permuted(fit_support.thinned(), 3), family="posynomial", bootstrap=20)
    for params, tokens in ((2e8, 1e10), (4e8, 2e10), (1e9, 5e10)):
        one, other = (f.optimum(params=params, tokens=tokens) for f in (old, new))
        assert other.lr == pytest.approx(one.lr, rel=1e-5)
        assert other.batch == pytest.approx(one.batch, rel=1e-5)
        assert other.loss == pytest.approx(one.loss, rel=1e-7)


def test_units_of_the_settings_are_of_no_account() -> None:
    """Property: logarithms are standardised, so a factor moves the optimum by it."""
    table = fit_support.table(noise=5e-4)
    runs = noisy(
        lr=table["lr"] * 0.5, batch=table["batch"] * 4, tokens=table["tokens"] * 8
    )
    new = fit(runs, family="quadratic", bootstrap=0)
    one = fit_support.quadratic().optimum(**ASK)
    other = new.optimum(params=ASK["params"], tokens=8 * ASK["tokens"])
    assert other.lr == pytest.approx(one.lr / 2, rel=1e-8)
    assert other.batch == pytest.approx(one.batch * 4, rel=1e-8)
    assert other.loss == pytest.approx(one.loss, rel=1e-9)


@pytest.mark.once
def test_auto_takes_the_lower_total(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(intervals, "MIN_CELLS_PAIRS", 5)
    log = Log()
    found = fit(fit_support.thinned(), bootstrap=20, progress=log)
    choice = found.provenance.selection
    assert choice is not None
    totals = choice["totals"]
    assert totals.keys() >= {"quadratic", "additive", "posynomial", "bowl"}
    assert found.family.name == min(totals, key=lambda name: totals[name])
    assert choice["chosen"] == found.family.name
    first, second, *_ = sorted(totals.values())
    assert choice["margin"] == pytest.approx(second - first)
    # The sweep is drawn from a bowl, with noise that the runs of a cell share.
    assert found.family.name in ("bowl", "mix")
    assert sum(choice["weights"].values()) == pytest.approx(1.0)
    alone = fit_support.posynomial().provenance.selection
    assert alone is not None
    assert totals["posynomial"] == alone["totals"]["posynomial"]
    assert choice["parts"]["posynomial"] == alone["parts"]["posynomial"]
    assert (
        found.scores["mae_ln"]["mean"]
        == (choice["parts"][found.family.name]["leave-one-cell-out"]["mae_ln"])
    )
    stages = [task[0] for task in log.tasks]
    assert stages[:4] == [
        "Leaving out cells, quadratic",
        "Leaving out cells, additive",
        "Leaving out cells, posynomial",
        "Leaving out cells, bowl",
    ]
    fitted = [stage for stage in stages[4:] if stage.startswith("Fitting ")]
    assert len(fitted) == max(1, len(getattr(found.family, "members", ())))
    left_out = [stage for stage in stages[4:] if stage != "Leaving out regions"]
    assert len(left_out) < len(stages[4:])
    assert left_out == [
        stage
        for first in fitted
        for stage in (first, "Leaving out each cell", "Resampling cells")
    ]
    assert all(total == done for _, total, done in log.tasks)
    assert log.stops >= 1


@pytest.mark.once
def test_a_mix_is_the_mean_of_its_members(monkeypatch: pytest.MonkeyPatch) -> None:
    """Property: of their losses, the fit's and each draw's; and it comes back."""
    # Of four families: what is tested here does not depend on how many there are.
    monkeypatch.setattr(choosing, "MIX_TERMS", (3,))
    monkeypatch.setattr(intervals, "MIN_CELLS_PAIRS", 5)
    runs = fit_support.thinned()
    found = fit(runs, family="mix", bootstrap=10)
    choice = found.provenance.selection
    assert choice is not None
    assert isinstance(found.family, families.Mix)
    assert choice["chosen"] == "mix"
    weights = choice["weights"]
    names = [m.name for m in found.family.members]
    assert names == [name.split("-")[0] for name in weights]
    at = {"lr": [1e-3, 2e-3], "batch": 3e5, "params": 4e8, "tokens": [1e10, 9e10]}
    alone = [fit(runs, family=name, bootstrap=10).predict(**at).loss for name in names]
    mean = sum(
        w * np.log(loss) for w, loss in zip(weights.values(), alone, strict=True)
    )
    np.testing.assert_allclose(np.log(found.predict(**at).loss), mean, rtol=1e-9)
    assert len(found.draws) == 10
    # Resampled cells have weights of their own.
    drawn = found.draws[:, : len(weights)]
    np.testing.assert_allclose(drawn.sum(axis=1), 1.0, rtol=1e-12)
    assert (drawn >= 0).all()
    assert len(np.unique(drawn, axis=0)) > 1
    idle = sorted({"quadratic", "additive", "posynomial-3", "bowl"} - weights.keys())
    assert not idle or any("No weight in the mix" in text for text in found.warnings)


def two_weights(
    first: HeldOut, second: HeldOut, runs: Runs, counts: np.ndarray
) -> np.ndarray:
    """Closed form: w a + (1 - w) b is least at w = <b, b - a> / |a - b|^2."""
    rows = Features.of(runs).rows(runs)
    top, bottom = 0.0, 0.0
    for fold, held in enumerate(first.folds.held):
        if first.folds.protocol[fold] != cross_validation.LARGEST:
            continue
        for cell in np.flatnonzero(held):
            at = np.flatnonzero(rows.cell == cell)
            target = rows.target[at]
            near = target <= target.min() + np.log(1.02)
            weight = (near / near.sum() + 1 / len(at)) / held.sum() * counts[cell]
            a, b = first.error[fold, at], second.error[fold, at]
            top += weight @ (b * (b - a))
            bottom += weight @ (a - b) ** 2
    if not bottom:
        # None of the cells that weights come from: they stay as they are.
        return two_weights(first, second, runs, np.ones_like(counts))
    share = np.clip(top / bottom, 0.0, 1.0)
    share = np.round(share) if min(share, 1 - share) < 0.01 else share
    return np.array([share, 1 - share])


@pytest.mark.once
def test_an_unsettled_choice_is_made_anew_in_each_draw(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """Independent code: each candidate fitted alone, picked by its totals by hand."""
    names = ("quadratic", "additive")
    monkeypatch.setattr(families, "NAMES", names)
    monkeypatch.setattr(intervals, "MIN_CELLS_PAIRS", 5)
    monkeypatch.setattr(choosing, "_RIVAL", -1.0)
    monkeypatch.setattr(choosing, "_SURE", 1.1)
    kept: dict[str, Any] = {}
    choose = cross_validation.choose

    def watched(candidates: Any, *rest: Any) -> Any:
        kept.update(candidates)
        return choose(candidates, *rest)

    monkeypatch.setattr(cross_validation, "choose", watched)
    # So noisy that now one and now another is the best.
    runs = Runs.from_arrays(**fit_support.table(noise=1e-2))
    found = fit(runs, bootstrap=20)
    alone = {name: fit(runs, family=name, bootstrap=20) for name in names}
    assert isinstance(found.family, families.Mix)
    chosen = found.provenance.selection
    assert chosen is not None
    assert found.family.name == chosen["chosen"] in names
    assert any("makes the choice anew" in text for text in found.warnings)
    at = {"lr": [1e-3, 2e-3], "batch": 3e5, "params": 4e8, "tokens": [1e10, 9e10]}
    mine, own = (f.predict(**at).loss for f in (found, alone[found.family.name]))
    np.testing.assert_allclose(mine, own, rtol=1e-12)

    # Under the cells of each resample the lowest total wins, and lends its theta.
    alone_weights = {n: np.eye(2)[k] for k, n in enumerate(names)}

    def weights(name: str, counts: np.ndarray) -> np.ndarray:
        if name != "mix":
            return alone_weights[name]
        return two_weights(kept["quadratic"], kept["additive"], runs, counts)

    assert "mix" in kept
    whole = [(chosen["weights"] or {})[n] for n in names]
    np.testing.assert_allclose(weights("mix", np.ones(8)), whole, atol=1e-5)
    counts = resampling.resample(0, 20, 8)
    taken = []
    for k, line in enumerate(counts):
        totals = {n: float(h.totals_under(line[None])[0]) for n, h in kept.items()}
        taken.append(min(totals, key=lambda n: totals[n]))
        parts = [alone[name].draws[k] for name in names]
        # The sum of a mix's weights is held at 1 by a penalty, so to 1e-6.
        atol = 1e-5 if taken[-1] == "mix" else 1e-14
        expected = weights(taken[-1], line)
        np.testing.assert_allclose(found.draws[k, :2], expected, rtol=1e-12, atol=atol)
        expected = np.concatenate(parts)
        np.testing.assert_allclose(found.draws[k, 2:], expected, rtol=1e-12, atol=1e-14)
    rivals = {n: taken.count(n) / 20 for n in kept if n != found.family.name}
    assert max(rivals.values()) > 0

    # Leaves say as much more of a variance as the rivals' shares times their offs.
    own, *others = (
        (1.0, found.family.name),
        *((share, name) for name, share in rivals.items() if share),
    )
    lean = {name: np.sqrt(share / 7) for share, name in others}
    lean[own[1]] = 1 - sum(lean.values())
    for leaf, line in zip(found.leaves, 1 - np.eye(8), strict=True):
        expected = sum(share * weights(name, line) for name, share in lean.items())
        atol = 1e-5 if "mix" in lean else 0.0
        np.testing.assert_allclose(leaf[:2], expected, rtol=1e-12, atol=atol)

    found.save(tmp_path / "fit")
    again = load(tmp_path / "fit")
    assert (again.family, again.family.name) == (found.family, found.family.name)
    assert again.optimum(**ASK) == found.optimum(**ASK)
    bare = fit(runs, bootstrap=0)
    assert bare.family.name == found.family.name
    assert not any("makes the choice anew" in text for text in bare.warnings)
    if found.family.name != "mix":
        assert bare.family == alone[found.family.name].family


def test_a_mix_of_too_few_cells_is_refused() -> None:
    table = fit_support.table(sizes=fit_support.SIZES[:2], noise=5e-4)
    with pytest.raises(DataError, match=r"too few cells for that \(2\), or no"):
        fit(Runs.from_arrays(**table), family="mix", bootstrap=0)


@pytest.mark.parametrize("family", ["quadratic", "bowl"])
def test_a_recipe_has_its_own_optimum(family: str) -> None:
    """Closed form: the second recipe's lr is 3 times, its batch half the first's."""
    one = fit_support.table(sizes=fit_support.SIZES[::2], noise=1e-4)
    two = {**one, "lr": one["lr"] * 3, "batch": one["batch"] / 2}
    columns: dict[str, Any] = {n: np.append(one[n], two[n]) for n in one}
    recipe = ["a"] * len(one["lr"]) + ["b"] * len(one["lr"])
    found = fit(Runs.from_arrays(**columns, recipe=recipe), family=family, bootstrap=0)
    first, second = (found.optimum(**ASK, recipe=name) for name in ("a", "b"))
    assert second.lr / first.lr == pytest.approx(3.0, rel=0.02)
    assert second.batch / first.batch == pytest.approx(0.5, rel=0.02)
    assert second.loss == pytest.approx(first.loss, rel=1e-4)


def test_scores_are_those_of_cells_left_out() -> None:
    found = fit_support.quadratic()
    assert found.scores.keys() == {
        "regret",
        "regret_smoothed",
        "mae_ln",
        "mae_wide",
    }
    assert found.scores["mae_ln"]["mean"] < 0.01
    assert found.scores["regret"]["mean"] < 0.002


def test_bootstrap_may_be_left_out() -> None:
    found = fit_support.exact()
    assert found.draws.shape == (0, 15)
    assert "draws_singular" not in found.provenance.fit
    assert found.provenance.bootstrap == 0


def test_what_draws_were_like_is_counted(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(intervals, "MIN_CELLS_PAIRS", 5)
    found = fit(noisy(), family="quadratic", bootstrap=50)
    assert found.draws.shape == (50, 15)
    assert found.provenance.fit["draws_unsettled"] == 0
    assert found.provenance.fit["draws_singular"] == 0
    summary = found.summary_json()
    assert (summary["bootstrap"], summary["cells"], summary["runs"]) == (50, 8, 240)
    assert {
        "family",
        "k",
        "runs",
        "cells",
        "diverged",
        "dropped",
        "bootstrap",
        "seed",
        "scores",
    } <= summary.keys()
    json.dumps(summary, allow_nan=False)


def test_two_cells_have_no_scores_so_auto_takes_the_mean_of_all_forms() -> None:
    runs = Runs.from_arrays(**fit_support.table(sizes=fit_support.SIZES[:2]))
    found = fit(runs, bootstrap=10)
    assert found.family.name == "mix"
    # Runs, levels and drifts of two cells, halves along two settings, three forms.
    assert (found.unit, len(found.leaves)) == ("runs", len(runs) + 2 * 3 + 2 + 3)
    assert found.scores == {}
    assert found.provenance.selection is None
    assert any("fewer than 3 cells (2)" in text for text in found.warnings)
    assert any("fewer than 5 cells (2)" in text for text in found.warnings)
    json.dumps(found.summary_json(), allow_nan=False)


def test_four_cells_have_scores_and_intervals_over_runs() -> None:
    runs = Runs.from_arrays(**fit_support.table(sizes=fit_support.SIZES[:4]))
    found = fit(runs, family="quadratic", bootstrap=10)
    assert (found.unit, len(found.leaves)) == ("runs", len(runs) + 4 * 3 + 2)
    assert found.draws.shape == (10, found.family.size)
    assert found.scores["regret"]["mean"] is not None
    assert not any("fewer than 3 cells" in text for text in found.warnings)
    assert any("fewer than 5 cells (4)" in text for text in found.warnings)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (
            {"family": "spline"},
            "among auto, mix, quadratic, additive, posynomial, bowl, got 'spline'",
        ),
        ({"terms": 1}, "Expected terms to be a whole number from 2 to 8.*, got 1"),
        ({"terms": 9}, "Expected terms to be a whole number from 2 to 8.*, got 9"),
        (
            {"terms": 2, "family": "posynomial"},
            "at least 3 terms for a posynomial with an optimum over 2 settings, got 2",
        ),
        (
            {"bootstrap": -1},
            "bootstrap to be a whole number from 0 to 100,000.*-1",
        ),
        ({"seed": -1}, "Expected seed to be a whole number from 0 .*, got -1"),
        ({"device": "abacus"}, "Expected --device abacus to be usable"),
        ({"backend": "abacus"}, "--backend abacus:"),
        ({"backend": "mosaic", "family": "quadratic"}, "the sums of quadratic are one"),
        # A choice may fall on any of its candidates.
        ({"backend": "mosaic"}, "the sums of quadratic are one matrix product"),
    ],
)
def test_a_wrong_argument_is_refused(change: dict[str, Any], message: str) -> None:
    with pytest.raises(DataError, match=message):
        fit(noisy(), **change)


def test_runs_that_tell_nothing_are_refused() -> None:
    columns = fit_support.table()
    one = np.arange(len(columns["lr"])) // 5 % 6 == 1
    one &= np.arange(len(one)) % 5 == 1
    few = Runs.from_arrays(**{name: v[one] for name, v in columns.items()})
    with pytest.raises(DataError, match="Neither lr nor batch can be fitted"):
        fit(few)
    lost = noisy(diverged=np.ones(240, dtype=bool))
    with pytest.raises(DataError, match="runs that finished, but all 240 diverged"):
        fit(lost)


def test_diverged_runs_tell_stability_and_not_the_bowl() -> None:
    """Property: other losses of the diverged runs change no parameter."""
    runs = fit_support.thinned()
    names = ("lr", "batch", "params", "tokens", "diverged")
    columns: dict[str, Any] = {name: getattr(runs, name) for name in names}
    mild, wild = (
        fit(
            Runs.from_arrays(**columns, loss=np.where(runs.diverged, value, runs.loss)),
            family="quadratic",
            bootstrap=0,
        )
        for value in (4.0, 9.0)
    )
    assert mild.theta.tobytes() == wild.theta.tobytes()
    assert mild.provenance.diverged == runs.diverged.sum() > 5
    assert mild.stability == wild.stability == Stability.of(runs)
    assert mild.stability is not None


def test_the_fit_says_where_it_comes_from() -> None:
    source = Source("a.csv", "f" * 64, 241)
    found = fit(noisy(sources=[source]), family="quadratic", bootstrap=0, seed=7)
    about = found.provenance
    assert about.sources == ({"file": "a.csv", "sha256": "f" * 64, "rows": 241},)
    assert (about.runs, about.diverged, about.dropped) == (240, 0, 0)
    assert (about.seed, about.bootstrap) == (7, 0)
    assert about.versions == versions()
    assert about.versions.keys() >= {"python", "jax", "numpy", "loss-surrogate"}
    assert about.fit["is_settled"] is found.is_converged is True
    assert about.device in ("cpu", "gpu")
    assert about.backend == "numpy"
    assert about.created.count("-") == 2
    assert found.runs is not None
    json.dumps(found.summary_json(), allow_nan=False)


@pytest.mark.once
def test_a_backend_that_no_draw_ran_on_is_not_recorded(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Where mosaic may run but nothing asks it, the fit's own backend is said."""
    monkeypatch.setattr(least_squares, "pick_backend", lambda *_: "mosaic")
    for bootstrap in (0, 30):
        # Six cells: draws are refits without one of them.
        found = fit(noisy(), family="quadratic", bootstrap=bootstrap, backend="mosaic")
        assert found.provenance.backend == "xla"
        assert any("ran on the backend mosaic" in text for text in found.warnings)


def test_warnings_of_the_runs_are_carried() -> None:
    found = fit_support.lr_alone()
    runs = found.runs
    assert runs is not None
    assert runs.warnings
    assert found.warnings[: len(runs.warnings)] == runs.warnings
    assert set(Features.of(runs).notes()) <= set(found.warnings)
    assert len(set(found.warnings)) == len(found.warnings)
    assert found.summary_json()["not_fitted"] == ["batch"]


def test_the_noise_is_measured() -> None:
    """Statistical: of 240 runs with 5e-4 around an exact bowl, a third either way."""
    noise = fit_support.quadratic().noise
    assert isinstance(noise, objective.Noise)
    assert noise.floor == pytest.approx(5e-4, rel=0.33)
    # Eight cells do not tell it: as much as elsewhere.
    assert noise.cell == 0.002


def test_cells_are_remembered_without_losses() -> None:
    found = fit_support.posynomial()
    runs = fit_support.thinned()
    assert len(found.cells) == len(runs.cells) == found.fitted_cells
    for index, record in enumerate(found.cells):
        members = runs.cell == index
        assert record.runs == members.sum()
        assert record.diverged == runs.diverged[members].sum()
        assert record.lr == tuple(np.unique(runs.lr_level[members]))
        assert record.batch == tuple(np.unique(runs.batch[members]))


def test_leaves_that_lean_widen_by_what_the_choice_adds() -> None:
    """Closed form: answers linear in the weights, leaves that spread by chance.

    The jackknife of leaning leaves against that of the chosen family's own, plus the
    rival's share times its squared offset; cross terms vanish where leaves centre.
    """
    cells, share, off = 17, 0.17, 0.4
    own = np.random.default_rng(0).normal(scale=0.05, size=cells)
    own -= own.mean()
    leaning = choosing._selection_shares(np.array([1 - share, share]), cells)
    assert leaning.sum() == pytest.approx(1.0)
    assert leaning[1] == pytest.approx(np.sqrt(share / 16))
    answers = leaning[0] * own + leaning[1] * (own + off)
    found = intervals.standard_error(np.float64(0), answers) ** 2
    alone = intervals.standard_error(np.float64(0), own) ** 2
    assert found == pytest.approx(alone + share * off**2, rel=1e-12)
    # Sure of the choice, leaves are the family's own.
    np.testing.assert_array_equal(
        choosing._selection_shares(np.array([1.0, 0.0]), cells), [1.0, 0.0]
    )

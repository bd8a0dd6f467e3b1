"""What runs cannot tell: one batch a cell, one cell, recipes, further scales."""

from __future__ import annotations

import json
import math
from dataclasses import replace
from functools import cache
from typing import Any

import numpy as np
import pytest
from support import fit as fit_support

from surrogate import Fit, fit
from surrogate.base.errors import DataError, Status
from surrogate.data import Runs
from surrogate.fitting.model import CellRecord

ASK: dict[str, Any] = {"params": 3.3e8, "tokens": 1.7e10}
BOWL = fit_support.BOWL


ALONE: dict[str, Any] = ASK | {"recipe": "adamw"}


@cache
def batch_alone() -> Fit:
    """Each cell has one lr; two recipes that do not differ."""
    one = fit_support.table()
    kept = np.arange(len(one["lr"])) // 5 % 6 == 2
    columns: dict[str, Any] = {n: np.tile(v[kept], 2) for n, v in one.items()}
    columns["recipe"] = np.repeat(["adamw", "muon"], kept.sum())
    return fit(Runs.from_arrays(**columns), family="quadratic", bootstrap=50)


# ------------------------------------------------------------- batch never varies


def test_an_optimum_over_a_batch_that_never_varies_is_refused() -> None:
    """Closed form: the cells' batches lie 0.28 below the optimum in ln."""
    found = fit_support.lr_alone().optimum(**ALONE)
    assert found.status is Status.not_identifiable
    assert np.isnan([found.lr, found.batch, found.loss]).all()
    assert found.offer is not None
    expected = BOWL.centre(**ASK)[0] + BOWL.xy / BOWL.xx * 0.28
    assert np.log(found.offer["lr"]) == pytest.approx(expected, abs=1e-5)
    (text,) = [t for t in found.context.warnings if "does not vary" in t]
    lr, batch = found.offer["lr"], found.offer["batch"]
    assert f"lr {lr:.2e} at batch {batch:,.0f} tokens. Hold it" in text
    assert "Hold it with --batch" in text
    document = found.to_json()
    json.dumps(document, allow_nan=False)
    assert document["offer"] == found.offer
    assert document["lr"] is document["batch"] is document["loss"] is None
    assert document["certificate"] == {
        "gradient_norm": None,
        "gap": None,
        "hessian_eigenvalues": [],
    }


def test_the_batch_offered_is_that_of_the_nearest_cell_of_the_recipe() -> None:
    fitted = fit_support.lr_alone()
    for cell in fitted.cells:
        near: dict[str, Any] = {"params": cell.params * 1.05, "tokens": cell.tokens}
        found = fitted.optimum(**near, recipe=cell.recipe)
        assert found.offer is not None
        assert found.offer["batch"] == cell.batch[0]


def test_with_the_batch_held_lr_is_answered() -> None:
    fitted = fit_support.lr_alone()
    offered = fitted.optimum(**ALONE).offer
    assert offered is not None
    found = fitted.optimum(**ALONE, batch=offered["batch"])
    assert found.status is Status.ok
    assert (found.lr, found.batch) == (offered["lr"], offered["batch"])
    assert found.lr_interval[0] < found.lr < found.lr_interval[1]
    assert np.isnan(found.batch_interval).all()
    (curvature,) = found.certificate.hessian_eigenvalues
    assert curvature == pytest.approx(BOWL.xx, rel=1e-4)
    assert any("its effect is not known" in t for t in found.context.warnings)
    assert found.context.inside
    # What is not fitted changes no answer, and has none away from the runs.
    far = fitted.optimum(**ALONE, batch=offered["batch"] * 64)
    assert far.status is Status.not_identifiable
    assert far.to_json()["offer"] == offered


def test_a_fit_of_lr_alone_refuses_what_it_cannot_answer() -> None:
    fitted = fit_support.lr_alone()
    held = fitted.optimum(**ALONE, lr=1e-3)
    assert held.status is Status.not_identifiable
    with pytest.raises(DataError, match="at most one of lr and batch"):
        fitted.optimum(**ALONE, lr=1e-3, batch=1e6)
    whole = fitted.optimum(**ALONE, batch_multiple=1e5)
    assert whole.status is Status.not_identifiable
    with pytest.raises(DataError, match="Expected batch_multiple to be a positive"):
        fitted.optimum(**ALONE, batch_multiple=-1.0)


def test_the_plateau_of_lr_alone_is_an_interval() -> None:
    fitted = fit_support.lr_alone()
    found = fitted.plateau(**ALONE, batch=3e5)
    assert found.status is Status.ok
    best = found.optimum[0]
    edge = fitted.predict(np.array(found.lr), 3e5, **ALONE).loss / found.loss_min - 1
    np.testing.assert_allclose(edge, found.tol, atol=1e-9)
    assert found.lr[0] < best < found.lr[1]
    assert found.lr_at_batch == (3e5, *found.lr)
    assert np.isnan(found.batch).all()
    document = found.to_json()
    json.dumps(document, allow_nan=False)
    for name in ("batch", "lr_at_optimal_batch", "area_octaves2", "contour"):
        assert document[name] is None
    assert document["interval"]["batch_low"] is None
    assert len(document["interval"]["lr_low"]) == 2


def test_the_plateau_without_a_batch_is_refused_with_an_offer() -> None:
    found = fit_support.lr_alone().plateau(**ALONE)
    assert found.status is Status.not_identifiable
    assert found.offer == fit_support.lr_alone().optimum(**ALONE).offer
    assert np.isfinite(found.lr).all()
    json.dumps(found.to_json(), allow_nan=False)


def test_regret_at_a_held_batch() -> None:
    fitted = fit_support.lr_alone()
    best = fitted.optimum(**ALONE, batch=3e5)
    found = fitted.regret(**ALONE, lr=best.lr, batch=3e5)
    assert 0 <= found.regret < 1e-12
    assert found.optimum == (best.lr, 3e5)
    worse = fitted.regret(**ALONE, lr=4 * best.lr, batch=3e5)
    expected = np.expm1(0.5 * BOWL.xx * np.log(4) ** 2)
    assert worse.regret == pytest.approx(expected, rel=1e-4)
    assert any("its effect is not known" in t for t in worse.context.warnings)


def test_an_lr_that_never_varies_is_treated_alike() -> None:
    fitted = batch_alone()
    assert fitted.features.choices == ("batch",)
    found = fitted.optimum(**ALONE)
    assert found.status is Status.not_identifiable
    assert found.offer is not None
    assert "lr does not vary inside any cell" in found.context.warnings[0]
    assert "Hold it with --lr" in found.context.warnings[0]
    held = fitted.optimum(**ALONE, lr=found.offer["lr"])
    assert held.status is Status.ok
    assert held.batch == found.offer["batch"]
    whole = fitted.optimum(**ALONE, lr=1e-3, batch_multiple=1000.0)
    assert whole.batch % 1000 == 0
    assert abs(whole.batch - held.batch) < 1000
    band = fitted.plateau(**ALONE, lr=1e-3)
    assert band.batch_at_lr == (1e-3, *band.batch)
    assert np.isfinite(band.batch).all()
    assert fitted.regret(**ALONE, lr=1e-3, batch=held.batch).regret < 1e-12


# ------------------------------------------------------------- few cells


@cache
def one_cell() -> Fit:
    runs = Runs.from_arrays(**fit_support.table(sizes=fit_support.SIZES[:1]))
    return fit(runs, family="quadratic", bootstrap=20)


def test_one_cell_answers_with_intervals_over_runs() -> None:
    fitted = one_cell()
    # Runs, a level and two drifts of the cell, halves along two settings.
    assert (len(fitted.leaves), len(fitted.draws)) == (30 + 3 + 2, 20)
    assert any("fewer than 5 cells (1)" in text for text in fitted.warnings)
    params, tokens = fit_support.SIZES[0]
    where: dict[str, Any] = {"params": params, "tokens": tokens}
    found = fitted.optimum(**where)
    assert found.status is Status.ok
    at = np.log([found.lr, found.batch])
    np.testing.assert_allclose(at, BOWL.centre(**where), atol=1e-5)
    document = found.to_json()
    assert document["interval"]["unit"] == "runs"
    low, high = document["interval"]["lr"]
    assert low <= found.lr <= high
    assert any("the weaker kind" in text for text in document["warnings"])
    bare = fit_support.bare(fitted).optimum(**where).to_json()
    assert bare["interval"]["lr"] is bare["interval"]["loss"] is None


def test_one_cell_knows_no_other() -> None:
    fitted = one_cell()
    assert fitted.features.givens == ()
    params, tokens = fit_support.SIZES[0]
    near, off = (fitted.optimum(params=params * k, tokens=tokens) for k in (1.09, 1.5))
    assert near.context.inside
    assert near.status is Status.ok
    assert off.context.distance == pytest.approx(np.log(1.5) / 0.1)
    answers = [
        off,
        fitted.plateau(params=params * 1.5, tokens=tokens),
        fitted.regret(params=params, tokens=tokens / 1.5, lr=1e-3, batch=5e5),
    ]
    for answer in answers:
        document = answer.to_json()
        assert document["status"] == "not_identifiable"
        assert document.get("loss") is document.get("loss_min") is None
        assert "do not tell how the optimum moves" in document["warnings"][0]
    assert math.isnan(off.lr)
    assert any("params spans less than 0.1" in text for text in fitted.warnings)


def dead(cell: CellRecord) -> CellRecord:
    return replace(cell, params=1e10, diverged=cell.runs)


def test_a_cell_in_which_all_runs_diverged_is_not_resampled() -> None:
    one = fit_support.table(noise=5e-4)
    extra = fit_support.table(sizes=((3e9, 1e11),))
    joined: dict[str, Any] = {n: np.concatenate([one[n], extra[n]]) for n in one}
    marks = np.arange(len(joined["lr"])) >= len(one["lr"])
    runs = Runs.from_arrays(**joined, diverged=marks)
    more = fit(runs, family="quadratic", bootstrap=50)
    assert (len(more.cells), more.fitted_cells) == (9, 8)
    # Rounding: the table has other rows, though no other ones count.
    expected = fit_support.quadratic()
    np.testing.assert_allclose(more.leaves, expected.leaves, rtol=0, atol=1e-10)
    np.testing.assert_allclose(more.draws, expected.draws, rtol=0, atol=1e-10)


def test_a_cell_in_which_all_runs_diverged_widens_no_interval() -> None:
    fitted = fit_support.bundled()
    more = replace(fitted, cells=(*fitted.cells, dead(fitted.cells[0])))
    choice: dict[str, Any] = {"lr": 1.2e-3, "batch": 5e5}
    one, other = (
        (
            f.optimum(**ASK).to_json()["interval"],
            f.plateau(**ASK).to_json()["interval"],
            f.regret(**ASK, **choice).upper,
            f.predict(**ASK, **choice).loss_high.tolist(),
        )
        for f in (fitted, more)
    )
    assert one == other
    four = tuple(dead(cell) for cell in fitted.cells[4:])
    fewer = replace(
        fit_support.bare(fitted),
        cells=(*fitted.cells[:4], *four),
        leaves=fitted.leaves[:4],
    )
    assert fewer.optimum(**ASK).to_json()["interval"]["lr"] is None
    assert np.isnan(fewer.regret(**ASK, **choice).probability_inside)
    assert np.isnan(fewer.predict(**ASK, **choice).loss_low).all()


# ------------------------------------------------------------- recipes and scales


def rich(**change: Any) -> dict[str, Any]:
    return {**ASK, "recipe": "adamw", "scales": {"active": 2e7}, **change}


def test_recipes_differ_by_an_offset() -> None:
    """Closed form."""
    fitted = fit_support.rich()
    assert fitted.recipes == ("adamw", "muon")
    assert len(fitted.cells) == 32
    first, second = (fitted.optimum(**rich(recipe=name)) for name in fitted.recipes)
    assert np.log(second.loss / first.loss) == pytest.approx(0.03, abs=1e-7)
    # A recipe may have its own optimum, and has the others' here.
    assert second.lr == pytest.approx(first.lr, rel=1e-4)
    at = np.log([first.lr, first.batch])
    np.testing.assert_allclose(at, BOWL.centre(**ASK), atol=1e-5)
    assert second.to_json()["recipe"] == "muon"
    both = fitted.predict(1e-3, [5e5] * 2, **rich(recipe=["adamw", "muon"]))
    assert np.log(both.loss[1] / both.loss[0]) == pytest.approx(0.03, abs=1e-7)


def test_a_further_scale_is_fitted() -> None:
    """Closed form."""
    fitted = fit_support.rich()
    assert fitted.scale_names == ("active",)
    found = [fitted.optimum(**rich(scales={"active": a})) for a in (1e7, 2e7, 4e7)]
    ratio = np.log(found[2].loss / found[0].loss)
    assert ratio == pytest.approx(-0.04 * np.log(4), abs=1e-6)
    assert found[0].to_json()["scales"] == {"active": 1e7}
    assert found[1].lr == pytest.approx(found[0].lr, rel=1e-5)
    table = fitted.predict(1e-3, 5e5, **rich(scales={"active": [1e7, 4e7]}))
    ratio = np.log(table.loss[1] / table.loss[0])
    assert ratio == pytest.approx(-0.04 * np.log(4), abs=1e-6)
    far = fitted.optimum(**rich(scales={"active": 4e9}))
    assert not far.context.inside


def test_runs_of_several_recipes_and_scales_are_evaluated() -> None:
    found = fit_support.rich().evaluate(Runs.from_arrays(**fit_support.rich_table()))
    assert found.errors["mae"] < 1e-5
    assert [name for name, *_ in found.cells] == ["adamw"] * 16 + ["muon"] * 16
    table: dict[str, Any] = {**fit_support.rich_table(), "scales": {}}
    lacking = Runs.from_arrays(**table)
    with pytest.raises(DataError, match="Expected the scale variable active, which"):
        fit_support.rich().evaluate(lacking)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (
            {"recipe": None},
            r"Expected --recipe, since the fit has 2: 'adamw', 'muon'\. Name one",
        ),
        ({"recipe": "sgd"}, r"the fit's recipes \('adamw', 'muon'\), got 'sgd'"),
        (
            {"scales": None},
            r"Expected --scale active=VALUE: .* fitted from 10M to 40M",
        ),
        (
            {"scales": {"active": 0.0}},
            r"Expected (scales\['active'\]|active) (to be a|as) positive number.*0\.0",
        ),
        (
            {"scales": {"active": 1e7, "depth": 9.0}},
            r"of the fit \(active\), got --scale 'depth'",
        ),
    ],
)
def test_recipe_and_scales_must_be_given(change: dict[str, Any], message: str) -> None:
    fitted = fit_support.rich()
    with pytest.raises(DataError, match=message):
        fitted.optimum(**rich(**change))
    with pytest.raises(DataError, match=message):
        fitted.predict(1e-3, 5e5, **rich(**change))


def test_a_scale_that_hardly_varies_is_dropped_and_named() -> None:
    columns = fit_support.table()
    active = np.where(columns["params"] > 3e8, 33.0, 32.0)
    runs = Runs.from_arrays(**columns, scales={"active": active})
    fitted = fit(runs, family="quadratic", bootstrap=0)
    assert fitted.scale_names == ()
    assert any("active spans less than 0.1 in ln" in text for text in fitted.warnings)
    plain = fitted.optimum(**ASK)
    given = fitted.optimum(**ASK, scales={"active": 32.5})
    far = fitted.optimum(**ASK, scales={"active": 64.0})
    assert plain.lr == given.lr == fit_support.exact().optimum(**ASK).lr
    assert far.status is Status.not_identifiable
    assert given.context.inside
    assert not far.context.inside


def test_one_batch_in_all_runs_is_answered_at_that_batch() -> None:
    columns, batch = fit_support.table(), 2.0**18
    sizes = np.stack([columns["params"], columns["tokens"]], axis=1)
    lowest = [columns["batch"][(sizes == size).all(axis=1)].min() for size in sizes]
    keep = columns["batch"] == np.array(lowest)
    kept: dict[str, Any] = {name: v[keep] for name, v in columns.items()}
    kept["batch"] = np.full(keep.sum(), batch)
    runs = Runs.from_arrays(**kept)
    fitted = fit(runs, family="quadratic", bootstrap=0)
    free, held = fitted.optimum(**ASK), fitted.optimum(**ASK, batch=batch)
    assert free.status is Status.ok
    assert (free.lr, free.batch) == (held.lr, batch)
    says = f"All fitted runs have a batch of {batch:,.0f} tokens"
    assert any(says in text for text in free.context.warnings)
    flat = fitted.plateau(**ASK)
    assert flat.status is Status.ok
    assert flat.optimum == (free.lr, batch)

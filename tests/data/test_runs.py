"""The checked table: cells, LR levels, diverged runs, what can be identified."""

from __future__ import annotations

import itertools
import math
import re
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from surrogate.base.errors import DataError
from surrogate.data import Dropped, Runs, Source, Verdict, levels


def sweep(**changed: Any) -> dict[str, Any]:
    """Two cells of 3 lr x 3 batch, all sound: 18 runs."""
    lr, batch, params = (
        grid.ravel()
        for grid in np.meshgrid(
            [1e-3, 2e-3, 4e-3], [65_536.0, 131_072.0, 262_144.0], [2e8, 4e8]
        )
    )
    loss = 2.5 + 0.01 * np.arange(18) - 1e-10 * params
    table = {"lr": lr, "batch": batch, "params": params, "tokens": 20 * params}
    return {**table, "loss": loss, **changed}


def replaced(field: str, row: int, value: float) -> dict[str, Any]:
    table = sweep()
    table[field] = table[field].copy()
    table[field][row] = value
    return table


def test_cells_are_ordered_and_count_their_runs() -> None:
    runs = Runs.from_arrays(**sweep(), name="a", loss_kind="validation")
    assert [(c.params, c.tokens, c.runs, c.diverged) for c in runs.cells] == [
        (2e8, 4e9, 9, 0),
        (4e8, 8e9, 9, 0),
    ]
    for k, cell in enumerate(runs.cells):
        assert cell.best == runs.loss[runs.cell == k].min()
    assert runs.name.tolist() == ["a"] * 18
    assert runs.summary() == "18 runs, 2 cells, 1 recipe, 0 diverged, 0 rows dropped"
    assert len(runs) == 18
    assert runs.loss_kind == "validation"
    assert str(runs.cells[0]) == "params 200M, tokens 4B"


def test_the_table_is_a_read_only_copy() -> None:
    given_arrays = sweep()
    runs = Runs.from_arrays(**given_arrays, scales={"depth": np.full(18, 3.0)})
    given_arrays["lr"][0] = 9.0
    assert runs.lr[0] == 1e-3
    for values in (runs.loss, runs.scales["depth"]):
        with pytest.raises(ValueError, match="read-only"):
            values[0] = 1.0


@given(st.permutations(range(18)))
def test_the_order_of_rows_changes_no_cell(order: list[int]) -> None:
    table = sweep(recipe=np.array(list("ab") * 9))
    table["loss"][3] = math.nan
    table["loss"][4] = 9.0
    runs = Runs.from_arrays(**table)
    shuffled = Runs.from_arrays(**{key: v[order] for key, v in table.items()})
    assert shuffled.cells == runs.cells
    assert np.array_equal(shuffled.cell, runs.cell[order])
    assert np.array_equal(shuffled.diverged, runs.diverged[order])
    assert np.array_equal(shuffled.lr_level, runs.lr_level[order])
    assert shuffled.warnings == runs.warnings


def test_recipes_and_scales_never_merge_and_rounded_tokens_do() -> None:
    table = sweep(
        recipe=np.array(["muon", "adamw", "adamw"] * 6),
        scales={"depth": np.repeat([12.0, 24.0], 9)},
    )
    # Nominal tokens against steps x batch: 0.22 % either way is one cell, 1 % is not.
    table["tokens"] = table["tokens"] * np.where(np.arange(18) // 2 % 2, 1.0022, 0.9978)
    runs = Runs.from_arrays(**table)
    keys = set(
        zip(
            table["recipe"].tolist(),
            table["params"].tolist(),
            table["scales"]["depth"].tolist(),
            strict=True,
        )
    )
    assert len(runs.cells) == len(keys) == 8
    assert [c.recipe for c in runs.cells] == ["adamw"] * 4 + ["muon"] * 4
    assert runs.cells[0].scales == (("depth", 12.0),)
    assert "depth 12" in str(runs.cells[0])
    table["tokens"] = 20 * table["params"] * np.where(np.arange(18) % 3, 1.0, 1.01)
    deeper = Runs.from_arrays(
        **{**table, "recipe": "", "scales": {"depth": 22.0 + np.arange(18) % 3}}
    )
    places = [(c.recipe, c.params, c.tokens, c.scales) for c in deeper.cells]
    assert places == sorted(places)
    assert len(Runs.from_arrays(**{**table, "scales": None, "recipe": ""}).cells) == 4


def test_two_roundings_are_one_level_written_with_most_digits() -> None:
    lr = np.resize([0.00276, 0.002762, 0.0111, 0.01105, 0.001, 0.00102], 18)
    level = Runs.from_arrays(**sweep(lr=lr)).lr_level
    expected = [0.002762, 0.002762, 0.01105, 0.01105, 0.001, 0.00102]
    assert level.tolist() == np.resize(expected, 18).tolist()


@given(st.lists(st.floats(1e-6, 1.0), min_size=1, max_size=60))
def test_levels_never_chain(values: list[float]) -> None:
    # Dense values chain in pairs; a group must end all the same.
    array = np.concatenate([values, np.geomspace(2.0, 3.0, 300)])
    label = levels(array, 0.01)
    starts = [array[label == k].min() for k in range(label.max() + 1)]
    for k, start in enumerate(starts):
        assert array[label == k].max() <= 1.01 * start
    assert all(b > 1.01 * a for a, b in itertools.pairwise(starts))


def test_diverged_is_said_by_loss_or_mark() -> None:
    table = sweep()
    table["loss"][[0, 1]] = [math.nan, math.inf]
    mark = np.arange(18) == 5
    runs = Runs.from_arrays(**table, diverged=mark)
    assert np.flatnonzero(runs.diverged).tolist() == [0, 1, 5]
    # The mark takes a run out of its cell's best.
    table["loss"][5] = 0.1
    runs = Runs.from_arrays(**table, diverged=mark)
    assert np.flatnonzero(runs.diverged).tolist() == [0, 1, 5]
    assert runs.cells[1].best > 2
    assert runs.cells[1].diverged == 2


def test_a_share_above_the_best_may_be_asked_for() -> None:
    loss = np.resize([2.0, 2.5, 2.5 + 1e-9], 18)
    table = sweep(loss=loss, params=np.full(18, 2e8))
    table |= {"tokens": np.full(18, 4e9)}
    assert not Runs.from_arrays(**table, diverged_above=math.inf).diverged.any()
    runs = Runs.from_arrays(**table, diverged_above=0.25)
    assert runs.diverged.tolist() == [False, False, True] * 6


def test_a_cell_that_diverged_altogether_is_kept_and_warned_of() -> None:
    table = sweep()
    table["loss"][table["params"] == 2e8] = math.nan
    runs = Runs.from_arrays(**table)
    assert math.isnan(runs.cells[0].best)
    assert runs.cells[0].diverged == 9
    assert any("1 cell with diverged runs only" in text for text in runs.warnings)
    everything = Runs.from_arrays(**sweep(loss=np.full(18, math.nan)))
    assert not any(everything.identifiable().values())


def test_identifiable_is_judged_within_cells() -> None:
    every = dict.fromkeys(("lr", "batch", "lr_batch", "params", "tokens"), True)
    assert Runs.from_arrays(**sweep()).identifiable() == every
    # Batch differs between cells only: confounded with params.
    table = sweep()
    tied = Runs.from_arrays(**{**table, "batch": table["params"] / 1000})
    assert tied.identifiable() == {**every, "batch": False, "lr_batch": False}
    assert any("batch never varies within a cell" in text for text in tied.warnings)
    two = Runs.from_arrays(**{**table, "lr": np.where(table["lr"] < 3e-3, 1e-3, 4e-3)})
    assert two.identifiable() == {**every, "lr": False, "lr_batch": False}
    assert any("lr takes at most 2 levels" in text for text in two.warnings)
    # The third level exists in runs that diverged, which say nothing of the bowl.
    lost = {**table, "loss": np.where(table["lr"] > 3e-3, math.nan, table["loss"])}
    assert not Runs.from_arrays(**lost).identifiable()["lr"]
    narrow = {"params": np.resize([2e8, 2.2e8], 18), "depth": np.resize([9, 10], 18)}
    runs = Runs.from_arrays(
        **sweep(params=narrow["params"], scales={"depth": narrow["depth"]})
    )
    # ln(1.1) = 0.095 is under a span of 0.1, ln(10/9) = 0.105 is not.
    assert runs.identifiable()["params"] is False
    assert runs.identifiable()["depth"] is True


def test_runs_on_a_cross_do_not_tell_lr_and_batch_together() -> None:
    lr = np.array([1e-3, 2e-3, 5e-3, 2e-3, 2e-3, 2e-3])
    batch = np.array([3e5, 3e5, 3e5, 1e5, 6e5, 9e5])
    size: dict[str, Any] = {"params": np.full(6, 2e8), "tokens": np.full(6, 4e9)}
    cross = Runs.from_arrays(lr=lr, batch=batch, loss=np.linspace(3, 3.5, 6), **size)
    assert not cross.identifiable()["lr_batch"]
    assert any("varies lr and batch together" in text for text in cross.warnings)
    moved = np.where(np.arange(6) == 5, 4e-3, lr)
    other = Runs.from_arrays(lr=moved, batch=batch, loss=cross.loss, **size)
    assert other.identifiable()["lr_batch"]
    assert not any("together" in text for text in other.warnings)
    # Both along one line: the product is a parabola of either.
    line = np.geomspace(1e-3, 6e-3, 6)
    tied = Runs.from_arrays(lr=line, batch=1e8 * line, loss=cross.loss, **size)
    assert not tied.identifiable()["lr_batch"]


@pytest.mark.parametrize(
    ("changed", "warning"),
    [
        ({"lr": np.full(18, 1e-3)}, r"lr has one level \(0.001\) in all runs"),
        ({"params": np.full(18, 2e8), "tokens": np.full(18, 4e9)}, "There is one cell"),
        ({}, r"fewer than 5 cells \(2\): intervals are over runs"),
        ({"params": np.append(np.full(17, 2e8), 4e8)}, "1 cell with one run"),
        (
            {"batch": np.full(18, 65_536.0)},
            "6 settings of recipe.* more than once.*params 200M, tokens 4B, lr 1.00e-03"
            ", batch 65,536.*--recipe COLUMN",
        ),
        (
            {"dropped": [Dropped("f.csv", 7, "lr", "0", "lr must be above 0")]},
            "1 row dropped; the first is f.csv line 7, column 'lr', value '0': lr must",
        ),
    ],
)
def test_warnings(changed: dict[str, Any], warning: str) -> None:
    runs = Runs.from_arrays(**sweep(**changed))
    assert any(re.search(warning, text) for text in runs.warnings)


def test_a_sound_sweep_has_no_warning() -> None:
    table: dict[str, Any]
    table = {key: np.tile(values, 3) for key, values in sweep().items()}
    table["tokens"] = table["tokens"] * np.repeat([1, 2, 4], 18)
    assert Runs.from_arrays(**table).warnings == ()


def test_a_subset_keeps_marks_levels_and_provenance() -> None:
    table = sweep()
    table["lr"][[0, 1]] = [0.00276, 0.002762]
    table["loss"][9] = 0.01  # Far below its cell: set aside.
    runs = Runs.from_arrays(
        **table, sources=[Source("f.csv", "00", 18)], notes=["read"], recipe="a"
    )
    mask = np.arange(18) != 9
    part = runs.subset(mask)
    assert np.array_equal(part.verdict, runs.verdict[mask])
    assert runs.verdict[9] == Verdict.TOO_LOW
    assert np.array_equal(part.lr_level, runs.lr_level[mask])
    assert part.cells[0] == runs.cells[0]
    assert (part.sources, part.notes) == (runs.sources, runs.notes)
    one = runs.subset(runs.cell == 1)
    assert one.cell.tolist() == [0] * 9
    assert one.cells == runs.cells[1:]
    with pytest.raises(DataError, match="selects at least one run, got one that sel"):
        runs.subset(np.zeros(18, dtype=bool))
    with pytest.raises(DataError, match="mask: expected 18 booleans"):
        runs.subset(np.ones(17, dtype=bool))
    with pytest.raises(DataError, match=r"mask: expected 18 booleans.*int64"):
        runs.subset(np.arange(18))


@pytest.mark.parametrize(
    ("field", "value", "message"),
    [
        ("lr", 0.0, "row 4, field lr: lr must be finite and above 0, got 0.0"),
        ("lr", math.nan, "lr must be finite"),
        ("lr", 10.0, "lr must be below 10, got 10.0"),
        ("batch", -1.0, "batch must be finite and above 0"),
        ("batch", 0.5, "batch must be at least 1 token"),
        ("params", math.inf, "params must be finite"),
        ("tokens", -4e9, "tokens must be finite and above 0"),
        ("loss", -2.5, "row 4, field loss: loss must be above 0, got -2.5"),
        ("loss", 0.0, "loss must be above 0"),
    ],
)
def test_a_bad_row_is_refused(field: str, value: float, message: str) -> None:
    with pytest.raises(DataError, match=message):
        Runs.from_arrays(**replaced(field, 4, value))


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"lr": ["1e-3"] * 18}, "field lr: expected a list of numbers"),
        ({"lr": []}, "field lr: expected a list of numbers"),
        ({"lr": np.array(1e-3)}, r"field lr: .* shape \(\)"),
        ({"loss": np.ones(17)}, r"field loss: expected a list of 18 numbers.*\(17,\)"),
        ({"recipe": ["a"] * 3}, "field recipe: expected one string, or 18"),
        ({"name": np.arange(18)}, "field name: expected one string"),
        ({"diverged": [0] * 18}, "diverged: expected 18 booleans"),
        ({"tokens": np.full(18, 100.0)}, r"tokens: no value reaches 1M.*100 \(row 0\)"),
        ({"params": np.full(18, 1.07)}, "params: no value reaches 10K"),
        ({"scales": {"lr": np.ones(18)}}, "scale 'lr': expected a plain word"),
        ({"scales": {"a b": np.ones(18)}}, "scale 'a b': expected a plain word"),
        ({"scales": {"a": np.zeros(18)}}, "row 0, field a: a must be finite and above"),
        ({"loss_kind": "test"}, "loss_kind to be one of train,.*got 'test'"),
        ({"params_kind": "all"}, "params_kind to be one of non_emb.*got 'all'"),
    ],
)
def test_wrong_arrays_are_refused(changed: dict[str, Any], message: str) -> None:
    with pytest.raises(DataError, match=message):
        Runs.from_arrays(**sweep(**changed))


@pytest.mark.parametrize("unit", ["perplexity", "bits_per_token", "nats"])
def test_losses_of_any_unit_are_nats(unit: str) -> None:
    """Perplexities of 36 were nats, so that half of them were no losses."""
    nats = np.linspace(3.2, 3.9, 9)
    losses, slope = {
        "perplexity": (np.exp(nats), np.exp(nats)),
        "bits_per_token": (nats / np.log(2), np.full(9, 1 / np.log(2))),
        "nats": (nats, np.ones(9)),
    }[unit]
    runs = Runs.from_arrays(
        lr=2.0 ** -np.arange(4, 13),
        batch=np.full(9, 2.0**19),
        params=np.full(9, 1e8),
        tokens=np.full(9, 2e9),
        loss=losses,
        loss_se=0.002 * slope,
        loss_unit=unit,
    )
    np.testing.assert_allclose(runs.loss, nats, rtol=1e-14)
    np.testing.assert_allclose(runs.loss_se, 0.002, rtol=1e-14)
    assert runs.loss_unit == "nats"
    assert runs.usable.all()

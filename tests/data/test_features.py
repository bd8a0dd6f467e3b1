"""Features: what is chosen and given, standardised; distance; the stored form."""

from __future__ import annotations

import json
from dataclasses import replace
from itertools import product
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from surrogate.base.errors import DataError
from surrogate.data import Dropped, Runs, Verdict
from surrogate.data.coordinates import Features
from surrogate.data.extrapolation import HELD_SPAN

ROUNDING = 1e-12
CELLS = [(1e8, 4e9), (1e8, 2e10), (3e8, 6e9), (3e8, 3e10), (9e8, 2e10)]
LR = 1e-3 * 2.0 ** np.arange(-2, 3)
BATCH = 2.0 ** np.arange(17, 21)
SHARE = st.floats(-3.0, 3.0)
# Lists and mappings of settings, one value a run.
Table = dict[str, Any]


def table(cells: list[tuple[float, float]] = CELLS, **levels: Any) -> Table:
    """A full grid in every cell, its losses uneven and without a tie."""
    grid = {"lr": LR, "batch": BATCH} | levels
    lr, batch, cell = np.array(
        list(product(grid["lr"], grid["batch"], range(len(cells))))
    ).T
    params, tokens = np.array(cells)[cell.astype(int)].T
    loss = 2 + 0.01 * np.sin(np.arange(lr.size)) + 20 * params**-0.2
    return {"lr": lr, "batch": batch, "params": params, "tokens": tokens, "loss": loss}


def features_of(arrays: Table) -> Features:
    return Features.of(Runs.from_arrays(**arrays))


def rows_of(arrays: Table) -> Any:
    runs = Runs.from_arrays(**arrays)
    return Features.of(runs).rows(runs)


def ask(features: Features, **values: Any) -> np.ndarray:
    """`Features.distance` of points given by name, scalars or arrays of one length."""
    spread = dict(zip(values, np.broadcast_arrays(*values.values()), strict=True))
    arrays = {name: np.atleast_1d(value) for name, value in spread.items()}
    chosen = {name: arrays.pop(name) for name in ("lr", "batch") if name in arrays}
    params, tokens = arrays.pop("params"), arrays.pop("tokens")
    return features.distance(params, tokens, arrays, chosen)


# ---- standardised coordinates ---------------------------------------------------


def test_coordinates_are_standardised_logarithms() -> None:
    # Closed form; tolerance: rounding.
    arrays = table()
    found = rows_of(arrays)
    logs = np.log(np.stack([arrays[n] for n in ("lr", "batch", "params", "tokens")], 1))
    # What is given keeps its unit: an exponent means the same whatever sizes there are.
    wanted = (logs - logs.mean(axis=0)) / np.append(logs[:, :2].std(axis=0), [1, 1])
    np.testing.assert_allclose(found.z, wanted, atol=ROUNDING)
    np.testing.assert_allclose(found.z.mean(axis=0), 0, atol=ROUNDING)
    np.testing.assert_allclose(found.z[:, :2].std(axis=0), 1, rtol=ROUNDING)
    level = np.log(arrays["loss"]).mean()
    np.testing.assert_allclose(found.target, np.log(arrays["loss"]) - level)


def test_diverged_runs_are_no_rows_and_move_nothing() -> None:
    arrays = table()
    extra = {"lr": 0.5, "batch": 2e5, "params": 1e8, "tokens": 4e9, "loss": 9.0}
    more = {name: np.append(column, extra[name]) for name, column in arrays.items()}
    np.testing.assert_array_equal(rows_of(more).z, rows_of(arrays).z)
    assert features_of(more) == features_of(arrays)


def test_given_coordinates_are_the_cell_s() -> None:
    # Tokens within 0.5 % are one cell, so its rows are given one and the same s.
    arrays = table()
    arrays["tokens"] = arrays["tokens"] * np.where(arrays["lr"] == LR[0], 1.003, 1.0)
    found = rows_of(arrays)
    assert len(found.cell_s) == len(CELLS)
    np.testing.assert_array_equal(found.z[:, 2:], found.cell_s[found.cell])


@given(a=SHARE, b=SHARE)
def test_u_and_settings_convert_back(a: float, b: float) -> None:
    # Closed form: from_u inverts to_u; tolerance: rounding of exp.
    features = features_of(table())
    chosen = features.from_u(np.array([a, b]))
    np.testing.assert_allclose(features.to_u(chosen), [a, b], atol=ROUNDING)
    ln_lr = a * features.scale[0] + features.mean[0]
    assert np.log(chosen[0]) == pytest.approx(ln_lr, abs=ROUNDING)


def test_rows_and_questions_get_the_same_coordinates() -> None:
    arrays = table()
    features, found = features_of(arrays), rows_of(arrays)
    recipe = np.full(arrays["lr"].size, "")
    s = features.given(arrays["params"], arrays["tokens"], {}, recipe)
    np.testing.assert_allclose(s, found.z[:, 2:], atol=ROUNDING)
    u = features.to_u(np.stack([arrays["lr"], arrays["batch"]], axis=1))
    np.testing.assert_allclose(u, found.z[:, :2], atol=ROUNDING)
    np.testing.assert_array_equal(features.u_scale, features.scale[:2])


def test_box_is_the_fitted_range_four_times_wider_each_way() -> None:
    # Closed form.
    box = features_of(table()).from_u(features_of(table()).box())
    np.testing.assert_allclose(box[0], [LR[0] / 4, BATCH[0] / 4], rtol=ROUNDING)
    np.testing.assert_allclose(box[1], [LR[-1] * 4, BATCH[-1] * 4], rtol=ROUNDING)


@pytest.mark.parametrize("name", ["lr", "batch", "params", "tokens"])
def test_units_do_not_matter(name: str) -> None:
    # Property: a factor on a column moves its mean alone; tolerance: rounding.
    arrays = table()
    units = arrays | {name: 3.7 * arrays[name]}
    np.testing.assert_allclose(rows_of(units).z, rows_of(arrays).z, atol=1e-10)


def test_row_order_does_not_matter() -> None:
    # Property; sums in another order differ by rounding.
    arrays = table()
    order = np.random.default_rng(5).permutation(arrays["lr"].size)
    mixed = {name: column[order] for name, column in arrays.items()}
    np.testing.assert_allclose(rows_of(mixed).z, rows_of(arrays).z[order], atol=1e-12)
    np.testing.assert_allclose(rows_of(mixed).cell_s, rows_of(arrays).cell_s)


# ---- what the data identify -----------------------------------------------------


def test_a_scale_that_hardly_spans_is_left_out_and_named() -> None:
    narrow = features_of(table([(1e8, 4e9), (1.05e8, 2e10), (1e8, 6e9)]))
    assert (narrow.givens, narrow.held) == (("tokens",), ("params",))
    assert narrow.notes() == [
        "params spans less than 0.1 in ln (100M to 105M): left out of the fit"
    ]
    wide = features_of(table([(1e8, 4e9), (1.12e8, 2e10), (1e8, 6e9)]))
    assert (wide.givens, wide.held, wide.notes()) == (("params", "tokens"), (), [])


LINE = [(p, 20 * p) for p in (1e8, 2e8, 4e8, 8e8)]


def test_scales_that_move_together_are_one() -> None:
    # Closed form: tokens = 20 params.
    features = features_of(table(LINE))
    assert (features.givens, features.held) == (("params",), ("tokens",))
    line = features.lines["tokens"]
    assert line.slopes == pytest.approx((1.0,))
    assert (line.low, line.high) == pytest.approx((np.log(20), np.log(20)))
    assert features.notes() == [
        "tokens moves with params^1 (2B to 16B): their effects cannot be told apart, "
        "so tokens is left out of the fit and answers off that line are extrapolation"
    ]
    on, above, below = (
        ask(features, params=3e8, tokens=k * 3e8)[0] for k in (20, 40, 10)
    )
    assert on < 1
    assert (above, below) == pytest.approx((np.log(2) / HELD_SPAN,) * 2)
    assert rows_of(table(LINE)).z.shape[1] == 3


def test_a_line_runs_over_the_scales_before_it() -> None:
    # Closed form: tokens = 20 params, whatever the depth, which is fitted behind it.
    arrays = table(LINE)
    depth = np.where(arrays["params"] > 3e8, 8.0, 24.0)
    depth[arrays["params"] == LINE[0][0]] = 12.0
    features = Features.of(Runs.from_arrays(**arrays, scales={"depth": depth}))
    assert (features.givens, features.held) == (("params", "depth"), ("tokens",))
    assert "tokens moves with params^1 (2B to 16B)" in features.notes()[0]
    on, off = (
        ask(features, params=3e8, depth=12.0, tokens=k * 3e8)[0] for k in (20, 40)
    )
    assert on < 1
    assert off == pytest.approx(np.log(2) / HELD_SPAN)


def test_a_scale_may_follow_two_others() -> None:
    # Closed form: a power law of both; and no law of them holds a fourth cell.
    arrays = table()
    width = arrays["params"] ** 0.5 * arrays["tokens"] ** -0.25
    features = Features.of(Runs.from_arrays(**arrays, scales={"width": width}))
    assert features.givens == ("params", "tokens")
    assert features.lines["width"].slopes == pytest.approx((0.5, -0.25))
    assert "width moves with params^0.5 x tokens^-0.25 (" in features.notes()[0]
    at = {"params": 2e8, "tokens": 1e10}
    wide = 2e8**0.5 * 1e10**-0.25
    on, off = (ask(features, **at, width=k * wide)[0] for k in (1, 2))
    assert on < 1
    assert off == pytest.approx(np.log(2) / HELD_SPAN)
    free = np.where(arrays["params"] == arrays["params"].min(), 2 * width, width)
    features = Features.of(Runs.from_arrays(**arrays, scales={"width": free}))
    assert features.givens == ("params", "tokens", "width")


def test_two_cells_cannot_tell_params_from_tokens() -> None:
    two = features_of(table([(1e8, 4e9), (2e8, 2e10)]))
    assert (two.givens, two.held) == (("params",), ("tokens",))
    three = features_of(table([(1e8, 4e9), (2e8, 2e10), (4e8, 4e9)]))
    assert three.givens == ("params", "tokens")


def test_each_recipe_may_have_a_line_of_its_own() -> None:
    # Closed form: 20 tokens a param in one recipe, 60 in the other.
    arrays = table([(p, k * p) for k in (20, 60) for p in (1e8, 2e8, 4e8, 8e8)])
    recipe = np.where(arrays["tokens"] > 40 * arrays["params"], "over", "chin")
    features = Features.of(Runs.from_arrays(**arrays, recipe=recipe))
    line = features.lines["tokens"]
    assert line.slopes == pytest.approx((1.0,))
    assert (line.low, line.high) == pytest.approx((np.log(20), np.log(60)))
    (note,) = features.notes()
    assert note.startswith("tokens moves with params^1 in each recipe (2B to 48B): ")
    on, off = (ask(features, params=4e8, tokens=k * 4e8)[0] for k in (30, 2.5))
    assert on < 1
    assert off == pytest.approx(np.log(8) / HELD_SPAN)


def test_a_scale_that_only_recipes_differ_in_is_theirs() -> None:
    arrays = table([(1e8, 4e9), (1e8, 2e10), (3e8, 4e9), (3e8, 2e10)])
    recipe = np.where(arrays["params"] > 2e8, "large", "small")
    features = Features.of(Runs.from_arrays(**arrays, recipe=recipe))
    assert (features.givens, features.held) == (("tokens",), ("params",))
    assert features.notes() == [
        "params differs between recipes only (100M to 300M): its effect is part of "
        "theirs, so it is left out of the fit"
    ]
    mixed = np.where(arrays["tokens"] > 1e10, "long", "short")
    both = Features.of(Runs.from_arrays(**arrays, recipe=mixed))
    assert (both.givens, both.held) == (("params",), ("tokens",))


def test_further_scales_join_the_given_coordinates() -> None:
    arrays = table()
    experts = np.where(arrays["params"] > 2e8, 64.0, 8.0)
    further = {"experts": experts, "depth": np.full(experts.size, 24.0)}
    runs = Runs.from_arrays(**arrays, scales=further)
    features = Features.of(runs)
    assert features.givens == ("params", "tokens", "experts")
    assert features.held == ("depth",)
    z = features.rows(runs).z
    assert z.shape[1] == 5
    np.testing.assert_allclose(np.sign(z[:, 4]), np.sign(experts - 30))


def test_batch_that_varies_only_across_cells_is_not_chosen() -> None:
    arrays = table(batch=[1e5])
    arrays["batch"] = np.where(arrays["params"] > 2e8, 2e5, 1e5)
    features = features_of(arrays)
    assert (features.choices, features.held) == (("lr",), ("batch",))
    (note,) = features.notes()
    assert note == (
        "batch does not vary inside any cell (100K to 200K): no optimum over it can be "
        "fitted"
    )
    assert rows_of(arrays).z.shape[1] == 3
    assert features.box().shape == (2, 1)


def test_nothing_to_choose_is_refused() -> None:
    with pytest.raises(DataError, match="Neither lr nor batch can be fitted"):
        features_of(table(lr=[1e-3], batch=[1e5]))
    # Two side by side tell which is better.
    assert features_of(table(lr=[1e-3, 2e-3], batch=[1e5])).choices == ("lr",)


def test_a_refusal_names_rows_that_could_not_be_used() -> None:
    row = Dropped("runs.csv", 4, "loss", "oops", "must be a number")
    runs = replace(Runs.from_arrays(**table(lr=[1e-3], batch=[1e5])), dropped=(row,))
    says = "could not be used: 1; the first is runs.csv line 4, column 'loss'"
    with pytest.raises(DataError, match=says):
        Features.of(runs)
    lost = np.full(len(runs), Verdict.DIVERGED, np.int64)
    everything = replace(runs, verdict=lost)
    with pytest.raises(DataError, match=says):
        Features.of(everything)


def test_no_run_that_finished_is_refused() -> None:
    arrays = table()
    with pytest.raises(DataError, match=r"all 100 diverged\. Add runs at lower"):
        features_of(arrays | {"diverged": np.full(arrays["lr"].size, True)})


def test_recipes_but_the_first_have_an_indicator() -> None:
    arrays = table()
    recipe = np.array(["muon", "adamw", "lion"])[np.arange(arrays["lr"].size) % 3]
    runs = Runs.from_arrays(**arrays, recipe=recipe)
    features = Features.of(runs)
    assert features.recipes == ("adamw", "lion", "muon")
    assert features.offsets == 2
    wanted = np.stack([recipe == "lion", recipe == "muon"], axis=1).astype(float)
    np.testing.assert_array_equal(features.rows(runs).z[:, 4:], wanted)
    asked = np.array(["adamw", "muon"])
    s = features.given(np.full(2, 1e8), np.full(2, 4e9), {}, asked)
    np.testing.assert_array_equal(s[:, 2:], [[0, 0], [0, 1]])


# ---- distance -------------------------------------------------------------------


def test_distance_is_one_at_the_farthest_fitted_cell_and_run() -> None:
    # Closed form by construction; tolerance: rounding.
    arrays = table()
    features = features_of(arrays)
    params, tokens = np.array(CELLS).T
    cells = ask(features, params=params, tokens=tokens)
    assert cells.max() == pytest.approx(1, rel=ROUNDING)
    assert np.sum(cells > 1 - 1e-9) < len(CELLS)
    runs = ask(features, **{n: v for n, v in arrays.items() if n != "loss"})
    assert runs.max() == pytest.approx(1, rel=ROUNDING)


def test_distance_is_the_root_of_the_leverage() -> None:
    # Independent code: the diagonal of the hat matrix, but for the floor of 0.05.
    features = features_of(table())
    params, tokens = np.array(CELLS).T
    design = np.stack([np.ones(5), np.log(params), np.log(tokens)], axis=1)
    hat = np.diag(design @ np.linalg.pinv(design))
    found = ask(features, params=params, tokens=tokens)
    np.testing.assert_allclose(found, np.sqrt(hat / hat.max()), rtol=2e-2)


@given(
    turn=st.floats(0, 2 * np.pi),
    near=st.floats(0.1, 5.0),
    factor=st.floats(1.01, 10.0),
    names=st.sampled_from([("params", "tokens"), ("lr", "batch"), ("lr", "tokens")]),
)
def test_distance_grows_outward(
    turn: float, near: float, factor: float, names: tuple[str, str]
) -> None:
    # Property: along every ray from the middle; never less, and in the end more.
    features = features_of(table())
    order = features.choices + features.givens
    steps = np.array([0.0, near, near * factor, 100.0, 200.0])
    middle = {n: m + 0 * steps for n, m in zip(order, features.mean, strict=True)}
    # Cells are not weighted by their runs here, so both middles agree.
    middle[names[0]] += np.cos(turn) * steps
    middle[names[1]] += np.sin(turn) * steps
    found = ask(features, **{name: np.exp(value) for name, value in middle.items()})
    assert (np.diff(found) >= -ROUNDING).all()
    assert found[4] > 1.9 * found[3] > 1.9


def test_cells_near_a_line_leave_a_distance_across_it() -> None:
    # About 20 tokens a param, 15 % more or less: off that line must be far, not near.
    near = [
        (p, k * p) for p, k in zip((1e8, 2e8, 4e8, 8e8), (17, 23, 23, 17), strict=True)
    ]
    features = features_of(table(near))
    assert features.givens == ("params", "tokens")
    along = ask(features, params=4e8, tokens=8e9)
    across = ask(features, params=4e8, tokens=1.6e10)
    assert along[0] < 1 < across[0]


def test_distance_of_what_was_held() -> None:
    # Closed form: ln from the fitted range over 0.1; inside it nothing is added.
    features = features_of(table(batch=[1e5]))
    at = {"params": 3e8, "tokens": 6e9, "lr": 1e-3}
    inside = ask(features, **at)
    np.testing.assert_array_equal(ask(features, **at, batch=1e5), inside)
    for off in (2.0, 0.5):
        far = ask(features, **at, batch=off * 1e5)
        assert far[0] == pytest.approx(np.log(2) / HELD_SPAN, rel=ROUNDING)


def test_a_question_without_lr_is_measured_over_cells_alone() -> None:
    features = features_of(table())
    at = {"params": np.array([1e8]), "tokens": np.array([4e9])}
    alone = ask(features, **at, lr=np.array([1e3]))
    np.testing.assert_array_equal(alone, ask(features, **at))


# ---- stored form ----------------------------------------------------------------


@pytest.mark.parametrize(
    "cells", [CELLS, [CELLS[0]], LINE], ids=["scales", "one cell", "line"]
)
def test_json_gives_the_same_back(cells: list[tuple[float, float]]) -> None:
    features = features_of(table(cells))
    text = json.dumps(features.to_json(), allow_nan=False)
    assert Features.from_json(json.loads(text)) == features
    other = replace(features, level=features.level + 1)
    assert Features.from_json(json.loads(text)) != other

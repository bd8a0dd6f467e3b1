"""Published laws: values typed again, what is refused, scores on cells, the recipe."""

from __future__ import annotations

import csv
import importlib
import json
import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from surrogate.answers import laws_on_cells
from surrogate.base.errors import DataError
from surrogate.data import Runs
from surrogate.data.readers import read_runs
from surrogate.laws import LAWS, Law, Point, PowerLaw, Shape, evaluate, find
from surrogate.laws.step_law import near_best, step_law_recipe

ROOT = Path(__file__).resolve().parents[2]
N, D = 1.3e9, 4.2e10
SHAPE = Shape(24, 2048, 4096)
USABLE = [law for law in LAWS if not law.unusable]


DRAWS = importlib.import_module("steplaw_draws")


# ---- values ---------------------------------------------------------------------

M = 72 * 24 * 2048**2 + 12 * 24 * 2048 * 4096
ACTIVE = 4e8
M_ACTIVE = 6 * ACTIVE + 12 * 24 * 2048 * 4096
# Typed again from the papers' formulas, not from the entries: lr, batch.
EXPECTED: dict[str, tuple[float | None, float | None]] = {
    "step-law": (1.79 * N**-0.713 * D**0.307, 0.58 * D**0.571),
    "kaplan": (0.003239 - 0.0001395 * math.log(N), 2e8 / 2.3 ** (1 / 0.21)),
    "deepseek": (0.3118 * (M * D) ** -0.125, 0.2920 * (M * D) ** 0.3271),
    "porian": (3.7 * N**-0.36, 0.7576 * N**0.703),
    "olmo-ladder": (
        0.0047 * (N / 108000000) ** (-1 / 3),
        2048 * 160 * (N / 108000000) ** (2 / 3),
    ),
    "olmo-ladder-4096": (
        0.0047 * (N / 108000000) ** (-1 / 3) / 4,
        2048 * 160 * (N / 108000000) ** (2 / 3),
    ),
    "bjorck": (1.55e-3 * (N / 1e9) ** -0.23 * (D / 1e9) ** -0.32, None),
    "moonlight": (0.0127 * (6 * N * D) ** -0.057, 0.0065 * (6 * N * D) ** 0.4138),
    "ling": (1.1576 * (M_ACTIVE * D) ** -0.1529, 0.0694 * (M_ACTIVE * D) ** 0.3644),
    "minicpm": (None, 1.21e9 / 2.3**6.24),
    "power-scheduler": (4 * 64 * D**-0.51, None),
}


@pytest.mark.parametrize("law", USABLE, ids=lambda law: law.name)
def test_value_is_the_papers_formula(law: Law) -> None:
    point = Point(
        params=N,
        tokens=D,
        active=ACTIVE if law.experts == "moe" else None,
        loss=2.3,
        shape=SHAPE,
    )
    found = evaluate(law, point, batch=64 * 4096.0)
    for got, expected in zip(found[:2], EXPECTED[law.name], strict=True):
        if expected is None:
            assert got is None
        else:
            # Rounding of logarithms; Bjorck's constant is rounded to three digits.
            rel = 2e-3 if law.name == "bjorck" else 1e-12
            assert got == pytest.approx(expected, rel=rel)


def test_every_evaluated_law_has_an_expected_value() -> None:
    assert {law.name for law in USABLE} == EXPECTED.keys()


def test_learning_rate_of_the_power_scheduler_has_a_ceiling() -> None:
    found = evaluate(find("power-scheduler"), Point(N, 1e6, seq_len=2048), batch=2e6)
    assert found.lr == 0.02


# What DeepSeek trained with, rounded by them: layers, width, lr, batch (of 4,096).
@pytest.mark.parametrize(
    ("params", "layers", "width", "lr", "batch"),
    [(6.9e9, 30, 4096, 4.2e-4, 2304), (67e9, 95, 8192, 3.2e-4, 4608)],
)
def test_deepseeks_law_gives_what_they_trained_with(
    params: float, layers: int, width: int, lr: float, batch: int
) -> None:
    point = Point(params, 2e12, shape=Shape(layers, width, 4096))
    found = evaluate(find("deepseek"), point)
    assert found.lr == pytest.approx(lr, rel=0.03)
    assert found.batch == pytest.approx(batch * 4096, rel=0.1)


def test_the_ladders_rule_is_porians_at_its_reference_size() -> None:
    point = Point(1.08e8, 2e9)
    theirs, rule = evaluate(find("porian"), point), evaluate(find("olmo-ladder"), point)
    assert rule.lr == pytest.approx(theirs.lr, rel=0.015)
    assert rule.batch == pytest.approx(theirs.batch, rel=0.03)


@given(st.sampled_from(USABLE), st.floats(1e7, 1e9), st.floats(1e9, 1e11))
def test_doubling_params_multiplies_by_two_to_the_exponent(
    law: Law, params: float, tokens: float
) -> None:
    for name, formula in (("lr", law.lr), ("batch", law.batch)):
        if not isinstance(formula, PowerLaw) or "N" not in formula.variables:
            continue
        one, two = (
            getattr(evaluate(law, Point(k * params, tokens)), name) for k in (1, 2)
        )
        (exponent,) = (p.exponent for p in formula.powers if p.variable == "N")
        assert two / one == pytest.approx(2.0 ** float(exponent), rel=1e-12)


# ---- refused and flagged ----------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "point", "message"),
    [
        ("deepseek", Point(N, D), "expected the shape of the model.*--layers"),
        ("ling", Point(N, D, shape=SHAPE), "expected the active parameters"),
        ("ling", Point(N, D, active=4e8), "expected the shape of the model"),
        ("moonlight", Point(N, D, is_moe=True), "expected the active parameters"),
        ("kaplan", Point(1.3e10, D), "expected N below 12.1B.*got 13B"),
        ("minicpm", Point(N, D), "expected the final loss.*--loss"),
        ("power-scheduler", Point(N, D), "a batch and the length.*--batch and --seq"),
        ("power-lines", Point(N, D), "its constant was not found"),
        ("internlm", Point(N, D), "the units of its N and D are not clear"),
    ],
)
def test_what_a_law_cannot_answer_is_refused(
    name: str, point: Point, message: str
) -> None:
    with pytest.raises(DataError, match=message):
        evaluate(find(name), point)


def test_a_law_that_is_not_there_is_refused_with_the_nearest() -> None:
    with pytest.raises(DataError, match=r"Did you mean step-law\?"):
        find("step_law")


@pytest.mark.parametrize(
    ("name", "point", "warning"),
    [
        ("step-law", Point(7e9, D), "N = 7e+09 is outside its fitted range"),
        ("step-law", Point(N, D, params_kind="total"), "without embeddings, the one"),
        ("porian", Point(N, D, active=4e8), "we take the total parameters"),
        ("moonlight", Point(N, D, active=4e8), "we take the active parameters"),
        ("porian", Point(N, D, is_moe=True), "we take the total parameters"),
        ("kaplan", Point(N, D), "Its batch depends on the final loss"),
        (
            "deepseek",
            Point(1e10, D, shape=SHAPE),
            "far from the 10B parameters given: C is from the shape",
        ),
    ],
)
def test_what_is_not_as_fitted_is_flagged(
    name: str, point: Point, warning: str
) -> None:
    assert any(warning in text for text in evaluate(find(name), point).warnings)


def test_inside_is_known_only_with_a_range() -> None:
    assert evaluate(find("step-law"), Point(3e8, D)).inside is True
    assert evaluate(find("step-law"), Point(7e9, D)).inside is False
    assert evaluate(find("moonlight"), Point(3e8, D)).inside is None


def test_active_parameters_and_given_compute_enter_c() -> None:
    law = find("moonlight")
    assert evaluate(law, Point(N, D, active=4e8)).compute == 6 * 4e8 * D
    assert evaluate(find("deepseek"), Point(N, D, compute=3e20)).compute == 3e20


# ---- entries and their page -------------------------------------------------------


def test_every_law_has_a_source_and_says_what_was_seen() -> None:
    assert len({law.name for law in LAWS}) == len(LAWS)
    for law in LAWS:
        assert law.checked
        assert law.setting
        assert law.source
        assert all(s.url.startswith("https://") for s in law.source)


def test_the_page_of_laws_is_up_to_date() -> None:
    page = importlib.import_module("laws_page").page()
    assert page == (ROOT / "docs" / "laws.md").read_text(encoding="utf-8"), (
        "run `python scripts/laws_page.py`"
    )
    assert all(f"]({s.url})" in page for law in LAWS for s in law.source)


def test_the_page_on_step_laws_file_is_up_to_date(data_dir: Path) -> None:
    module = importlib.import_module("steplaw_law")
    runs = read_runs(data_dir / module.RUNS_FILE)
    page = module.page(runs, DRAWS.read_draws(data_dir / module.DRAWS_FILE))
    assert page == (ROOT / "docs" / "steplaw.md").read_text(encoding="utf-8"), (
        "run `python scripts/steplaw_law.py --write`"
    )


# ---- scored on cells --------------------------------------------------------------


def grid(*, best_batch: float = 2**20, moved: int | None = None) -> Runs:
    """Six cells on a grid, ln loss a bowl around Step Law's lr; one cell moved."""
    columns: dict[str, list[float]] = {
        k: [] for k in ("lr", "batch", "params", "tokens", "loss")
    }
    for cell, (params, tokens) in enumerate(
        (n, d) for n in (2e8, 4e8, 8e8) for d in (8e9, 6.4e10)
    ):
        at = 1.79 * params**-0.713 * tokens**0.307
        shift = 2.0 if cell == moved else 1.0
        for i in range(-2, 3):
            for j in range(-2, 3):
                lr, batch = at * 2.0**i, 2.0 ** (20 + j)
                u = math.log(lr / (shift * at)), math.log(batch / best_batch)
                columns["lr"].append(lr)
                columns["batch"].append(batch)
                columns["params"].append(params)
                columns["tokens"].append(tokens)
                columns["loss"].append(2.5 * math.exp(0.01 * (u[0] ** 2 + u[1] ** 2)))
    arrays: dict[str, Any] = {k: np.array(v) for k, v in columns.items()}
    return Runs.from_arrays(**arrays)


def one_setting(*, lr: PowerLaw | None = None, batch: PowerLaw | None = None) -> Law:
    return Law("mine", "Mine", lr, batch, "unknown", "any", (), "ours")


def test_a_law_at_the_minimum_loses_nothing() -> None:
    law = find("step-law")
    exact = one_setting(lr=law.lr, batch=PowerLaw(2.0**20, ()))  # type: ignore[arg-type]
    entry = laws_on_cells.score_law(exact, laws_on_cells.Cells(grid()))
    assert entry.sample == laws_on_cells.OUT
    assert entry.outside == 0
    # A choice on a grid point is read exactly but for the rounding of its logarithm.
    assert entry.regret is not None
    assert entry.regret["max"] == pytest.approx(0.0, abs=1e-9)


@pytest.mark.parametrize("best_batch", [2.0**19, 2.0**21])
def test_a_law_without_batch_gets_the_best_and_says_so(best_batch: float) -> None:
    law = one_setting(lr=find("step-law").lr)  # type: ignore[arg-type]
    entry = laws_on_cells.score_law(
        law, laws_on_cells.Cells(grid(best_batch=best_batch))
    )
    assert {cell["batch"] for cell in entry.cells} == {best_batch}
    assert entry.warnings == ("Gives no batch: it gets the best of each cell's own.",)


def test_a_law_without_lr_gets_the_best_and_says_so() -> None:
    law = one_setting(batch=PowerLaw(2.0**20, ()))
    entry = laws_on_cells.score_law(law, laws_on_cells.Cells(grid(moved=3)))
    assert [c["lr"] for c in entry.cells] == [c["best_lr"] for c in entry.cells]
    assert "Gives no lr" in entry.warnings[0]


def test_a_choice_beyond_the_grid_is_counted() -> None:
    law = one_setting(lr=PowerLaw(10.0, ()), batch=PowerLaw(2.0**20, ()))
    assert laws_on_cells.score_law(law, laws_on_cells.Cells(grid())).outside == 6


def test_a_law_of_nothing_that_varies_is_not_scored() -> None:
    runs = grid()
    fixed = laws_on_cells.Cells(runs.subset(runs.batch == 2.0**20))
    entry = laws_on_cells.score_law(one_setting(batch=PowerLaw(2.0**20, ())), fixed)
    assert entry.reason == "gives only batch, which no cell varies."
    both = laws_on_cells.score_law(find("step-law"), fixed)
    assert "No cell varies batch: its batch is not judged." in both.warnings
    assert laws_on_cells.score_recipe(fixed, is_params_in_batch=False).reason == (
        "expected more than 3 cells that vary lr and batch, got 6 that do not vary "
        "batch."
    )


def test_a_law_that_cannot_be_computed_keeps_its_reason() -> None:
    entry = laws_on_cells.score_law(find("ling"), laws_on_cells.Cells(grid()))
    assert entry.sample is None
    assert entry.regret is None
    assert entry.reason is not None
    assert "active parameters" in entry.reason


def test_the_refit_never_sees_the_cell_that_it_is_scored_on() -> None:
    """Moving a cell moves what is proposed at the others, and nothing at itself."""
    plain, other = (
        laws_on_cells.score_recipe(
            laws_on_cells.Cells(grid(moved=k)), is_params_in_batch=True
        )
        for k in (None, 4)
    )
    assert plain.sample == laws_on_cells.HELD_OUT
    lr: list[list[Any]] = [
        [cell["lr"] for cell in entry.cells] for entry in (plain, other)
    ]
    assert lr[0][4] == lr[1][4]
    assert abs(math.log(lr[1][5] / lr[0][5])) > 0.01


def test_dense_dump_regrets_are_those_known(data_dir: Path) -> None:
    """Golden: computed by another session from the read-off's definition."""
    runs = read_runs(data_dir / "steplaw/dense_lr_bs_loss.csv")
    cells = laws_on_cells.Cells(runs)
    for name, raw, smooth, sample in (
        ("step-law", 1.228, 0.333, laws_on_cells.IN_SAMPLE),
        ("deepseek", 8.30, 7.81, laws_on_cells.OUT),
    ):
        entry = laws_on_cells.score_law(find(name), cells)
        assert (len(entry.cells), entry.outside) == (17, 0)
        assert entry.sample == sample
        assert entry.regret is not None
        assert entry.regret_smoothed is not None
        assert 1000 * (entry.regret["mean"] or 0) == pytest.approx(raw, abs=0.02)
        assert 1000 * (entry.regret_smoothed["mean"] or 0) == pytest.approx(
            smooth, abs=0.02
        )


# ---- the recipe -------------------------------------------------------------------


def drawn(seed: int = 3) -> tuple[np.ndarray, ...]:
    """Runs about a power law: lr, batch, params, tokens, cell."""
    random = np.random.default_rng(seed)
    cell = np.repeat(np.arange(8), 5)
    params = np.geomspace(2e8, 2e9, 8)[cell]
    tokens = np.array([4e9, 9e10, 2e10, 5e10, 8e9, 1e11, 3e10, 6e9])[cell]
    noise = random.normal(scale=0.3, size=(2, cell.size))
    lr = 2.0 * params**-0.7 * tokens**0.3 * np.exp(noise[0])
    batch = 0.5 * params**-0.2 * tokens**0.6 * np.exp(noise[1])
    return lr, batch, params, tokens, cell


def normal_equations(target: np.ndarray, *columns: np.ndarray) -> np.ndarray:
    """Least squares on logarithms by centred normal equations, in extended digits."""
    x = np.log(np.stack(columns, axis=1).astype(np.longdouble))
    y = np.log(target.astype(np.longdouble))
    mean_x, mean_y = x.mean(axis=0), y.mean()
    z = x - mean_x
    slopes = np.linalg.solve(
        (z.T @ z).astype(np.float64), (z.T @ (y - mean_y)).astype(np.float64)
    )
    return np.array([float(mean_y - mean_x @ slopes), *slopes])


def test_recipe_is_ordinary_least_squares() -> None:
    lr, batch, params, tokens, _ = drawn()
    law = step_law_recipe(lr, batch, params, tokens)
    with_n = step_law_recipe(lr, batch, params, tokens, is_params_in_batch=True)
    assert law.lr == pytest.approx(normal_equations(lr, params, tokens), abs=1e-9)
    assert law.batch[[0, 2]] == pytest.approx(normal_equations(batch, tokens), abs=1e-9)
    assert law.batch[1] == 0
    assert with_n.batch == pytest.approx(
        normal_equations(batch, params, tokens), abs=1e-9
    )
    assert DRAWS.at_fixed_batch(lr, batch, params, tokens) == pytest.approx(
        normal_equations(lr, params, tokens, batch), abs=1e-9
    )


def test_a_draw_is_the_recipe_on_its_repeated_cells() -> None:
    lr, batch, params, tokens, cell = drawn()
    near = DRAWS.Near(lr, batch, params, tokens, cell)
    found = DRAWS.bootstrap(near, draws=4, seed=5, is_params_in_batch=True)
    assert found.singular == 0
    picked = np.random.default_rng(5).integers(8, size=(4, 8))
    for k, cells in enumerate(picked):
        rows = np.concatenate([np.flatnonzero(cell == c) for c in cells])
        again = [column[rows] for column in (lr, batch, params, tokens)]
        law = step_law_recipe(*again, is_params_in_batch=True)
        # Normal equations of centred logarithms, condition number under 1e4.
        assert found.lr[k] == pytest.approx(law.lr, rel=1e-9, abs=1e-9)
        assert found.batch[k] == pytest.approx(law.batch, rel=1e-9, abs=1e-9)
        assert found.fixed_batch[k] == pytest.approx(
            DRAWS.at_fixed_batch(*again), rel=1e-9, abs=1e-9
        )


def test_singular_draws_are_counted_and_few_cells_refused() -> None:
    lr, batch, params, _tokens, cell = drawn()
    near = DRAWS.Near(lr, batch, params, 20 * params, cell)
    line = DRAWS.bootstrap(near, draws=6)
    assert (line.singular, len(line.lr)) == (6, 0)
    few = cell < 4
    with pytest.raises(DataError, match="at least 5 cells to resample, got 4"):
        DRAWS.bootstrap(DRAWS.Near(*(column[few] for column in drawn())))


def test_recipe_on_the_released_file_is_the_authors(data_dir: Path) -> None:
    """Against a reading of its own: exact (N, D) groups, 2,048 tokens a sequence."""
    path = data_dir / "steplaw/dense_lr_bs_loss.csv"
    with open(path, newline="", encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    best: dict[tuple[str, str], float] = {}
    for row in rows:
        key = row["N"], row["D"]
        best[key] = min(best.get(key, math.inf), float(row["smooth loss"]))
    kept = [
        row
        for row in rows
        if float(row["smooth loss"]) / best[row["N"], row["D"]] - 1 < 0.0025
    ]
    column = {k: np.array([float(r[k]) for r in kept]) for k in ("lr", "bs", "N", "D")}
    on_lr = normal_equations(column["lr"], column["N"], column["D"])
    on_batch = normal_equations(2048 * column["bs"], column["D"])
    runs = read_runs(path)
    near = near_best(runs.loss, runs.cell) & ~runs.diverged
    law = step_law_recipe(
        runs.lr[near], runs.batch[near], runs.params[near], runs.tokens[near]
    )
    assert law.lr == pytest.approx(on_lr, abs=1e-9)
    assert law.batch[[0, 2]] == pytest.approx(on_batch, abs=1e-9)
    # What the authors' code gives on it.
    assert [math.exp(law.lr[0]), *law.lr[1:]] == pytest.approx(
        [77.7, -0.766, 0.197], rel=3e-3
    )
    assert [math.exp(law.batch[0]), law.batch[2]] == pytest.approx(
        [0.209, 0.613], rel=3e-3
    )


def test_the_authors_draws_are_read(data_dir: Path) -> None:
    name = "steplaw/1004_fitted_lr_bs_scaling_model_parameters.csv"
    draws = DRAWS.read_draws(data_dir / name)
    assert draws.lr.shape == draws.batch.shape == (1000, 3)
    # They lie around the published exponents.
    assert draws.lr.mean(axis=0)[1:] == pytest.approx([-0.713, 0.307], abs=0.01)
    assert draws.batch[:, 2].mean() == pytest.approx(0.571, abs=0.01)


def test_a_wrong_file_of_draws_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "draws.csv"
    header = "lr_intercept,lr_coefN,lr_coefD,bs_intercept,bs_coefD\n"
    path.write_text("lr_intercept,lr_coefN\n1,2\n", encoding="utf-8")
    with pytest.raises(DataError, match="got none named lr_coefD"):
        DRAWS.read_draws(path)
    path.write_text(header + "1,2,nan,4,5\n", encoding="utf-8")
    with pytest.raises(DataError, match=r"line 2, column lr_coefD.*finite.*'nan'"):
        DRAWS.read_draws(path)
    path.write_text(header, encoding="utf-8")
    with pytest.raises(DataError, match="at least one draw"):
        DRAWS.read_draws(path)


def test_entries_are_plain_data() -> None:
    from surrogate.cli.commands.laws import law_json

    text = json.dumps([law_json(law) for law in LAWS], allow_nan=False)
    assert "1.79 N^-0.713 D^0.307" in text

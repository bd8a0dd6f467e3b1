"""What looks like a slip is named with its place; what people really sweep is not.

Each design is a table that is sound, into which one wrong number is put.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from surrogate import fit, read_runs
from surrogate.data import Runs

NAMES = ("lr", "batch", "params", "tokens")
Table = dict[str, np.ndarray]


def grid(lrs: Any, batches: Any, sizes: Any) -> Table:
    """All combinations, the lr fastest but for the batch, and a bowl of losses."""
    rows = [(lr, b, n, d) for n, d in sizes for lr in lrs for b in batches]
    table = dict(zip(NAMES, np.array(rows, dtype=np.float64).T, strict=True))
    u = np.log(table["lr"] / 2e-3)
    v = np.log(table["batch"] / 131072)
    bowl = 0.02 * u**2 + 0.01 * v**2 + 0.0003 * np.sin(np.arange(len(rows)) * 7.0)
    loss = (1.7 + 400 * table["params"] ** -0.34 + 1800 * table["tokens"] ** -0.37) * (
        1 + bowl
    )
    return {**table, "loss": loss}


DESIGNS = {
    "three sizes": grid(
        [1e-3, 3e-3, 9e-3],
        [65536, 131072, 262144],
        [(n, 20 * n) for n in (1e8, 2e8, 4e8)],
    ),
    "grid of sizes": grid(
        [5e-4 * 2**k for k in range(5)],
        [32768 * 2**k for k in range(5)],
        [(n, d) for n in (1e8, 2e8, 4e8) for d in (2e9, 8e9)],
    ),
    "lr at four sizes": grid(
        [5e-4 * 2**k for k in range(5)],
        [131072],
        [(n, 20 * n) for n in (5e7, 1e8, 2e8, 4e8)],
    ),
    "nine lr": grid([3e-4 * 2**k for k in range(9)], [131072], [(1e8, 2e9)]),
    "decades": grid(
        [m * 10.0**k for k in (-4, -3, -2) for m in (1, 2, 5)], [131072], [(1e8, 2e9)]
    ),
}


def odd(table: Table, **more: Any) -> list[str]:
    every: dict[str, Any] = {**table, **more}
    runs = Runs.from_arrays(**every)
    return [text for text in runs.warnings if "off the pattern" in text]


@pytest.mark.parametrize("design", DESIGNS)
def test_a_sound_design_is_not_odd(design: str) -> None:
    table: dict[str, Any] = dict(DESIGNS[design])
    runs = Runs.from_arrays(**table)
    words = ("off the pattern", "twice", "mean loss")
    assert not [w for w in runs.warnings if any(word in w for word in words)]


def slipped(design: str, field: str, row: int, factor: float) -> Table:
    table = {key: values.copy() for key, values in DESIGNS[design].items()}
    table[field][row] *= factor
    return table


@pytest.mark.parametrize(
    ("design", "field", "row", "factor"),
    [
        ("three sizes", "lr", 13, 10),
        ("three sizes", "lr", 0, 0.01),
        ("three sizes", "batch", 13, 1 / 2048),
        ("three sizes", "batch", 5, 10),
        ("three sizes", "params", 13, 10),
        ("three sizes", "tokens", 4, 1000),
        ("grid of sizes", "lr", 70, 10),
        ("grid of sizes", "lr", 70, 100),
        ("grid of sizes", "batch", 33, 2048),
        ("grid of sizes", "batch", 31, 10),
        ("grid of sizes", "params", 33, 1000),
        ("grid of sizes", "tokens", 33, 0.1),
        ("lr at four sizes", "lr", 7, 0.1),
        ("lr at four sizes", "batch", 7, 10),
        ("lr at four sizes", "tokens", 7, 10),
        ("nine lr", "lr", 3, 10),
        ("nine lr", "batch", 3, 1 / 2048),
        ("nine lr", "params", 3, 10),
        ("nine lr", "tokens", 0, 100),
        ("decades", "lr", 2, 10),
        ("decades", "lr", 2, 1000),
    ],
)
def test_one_wrong_number_is_named_with_its_row_and_column(
    design: str, field: str, row: int, factor: float
) -> None:
    said = odd(slipped(design, field, row, factor))
    assert len(said) == 1
    assert f"row {row}, column " in said[0]
    if "tokens / params" not in said[0]:
        assert f"row {row}, column '{field}'" in said[0]


def test_a_hole_that_is_filled_twice_names_the_factor() -> None:
    # 1e-2 is a level of its own: it is there twice now, and 1e-3 is missing.
    table = grid([1e-3, 3e-3, 1e-2], [65536, 131072, 262144], [(1e8, 2e9)])
    row = int(np.flatnonzero((table["lr"] == 1e-3) & (table["batch"] == 131072))[0])
    table["lr"][row] = 1e-2
    (said,) = odd(table)
    assert (
        "10 times 0.001, which is missing at these other settings and its own" in said
    )


def test_batches_in_sequences_in_half_of_the_rows() -> None:
    table = {key: values.copy() for key, values in DESIGNS["grid of sizes"].items()}
    table["batch"][::2] /= 2048
    (said,) = odd(table)
    assert "sequences and tokens mixed? (75 of 150 rows are so)" in said


def test_sizes_that_were_swapped() -> None:
    for design in ("three sizes", "nine lr"):
        table = {key: values.copy() for key, values in DESIGNS[design].items()}
        n, d = table["params"][3], table["tokens"][3]
        table["params"][3], table["tokens"][3] = d, n
        (said,) = odd(table)
        assert "row 3, column 'params'" in said
        assert "swapped?" in said


def test_tokens_per_parameter_of_one_cell() -> None:
    table = {key: values.copy() for key, values in DESIGNS["lr at four sizes"].items()}
    table["params"][15:] *= 1000
    (said,) = odd(table)
    assert "row 15, column 'tokens', value 8e+09: tokens / params 0.02, where" in said


@pytest.mark.parametrize(("field", "factor"), [("params", 10), ("tokens", 100)])
def test_a_whole_cell_whose_size_leaves_a_hole(field: str, factor: float) -> None:
    sizes = [(1e8 * 2**i, 1e9 * 4**j) for i in range(4) for j in range(4)]
    table = grid([1e-3, 2e-3, 4e-3], [65536, 131072], sizes)
    assert not odd(table)
    # Its tokens / params is within what the other cells have.
    rows = (table["params"] == 4e8) & (table["tokens"] == 4e9)
    if field == "params":
        rows = (table["params"] == 4e8) & (table["tokens"] == 6.4e10)
    table[field][rows] *= factor
    (said,) = odd(table)
    assert f"row {np.flatnonzero(rows)[0]}, column '{field}'" in said
    assert f"{factor} times" in said


@pytest.mark.parametrize("factor", [10, 100, 0.01, 1000])
def test_a_cell_whose_tokens_per_parameter_the_other_sizes_do_not_have(
    factor: float,
) -> None:
    # Two tokens / params at each of five sizes, one cell of ten in another unit.
    sizes = [(5e7 * 2**i, 5e7 * 2**i * each) for i in range(5) for each in (20, 60)]
    table = grid([1e-3, 2e-3, 4e-3], [65536, 131072], sizes)
    assert not odd(table)
    rows = (table["params"] == 2e8) & (table["tokens"] == 4e9)
    table["tokens"][rows] *= factor
    (said,) = odd(table)
    assert f"row {np.flatnonzero(rows)[0]}, column 'tokens'" in said
    assert f"{factor:g} times" in said or "where the other cells have" in said


@pytest.mark.parametrize("field", ["lr", "batch"])
def test_a_value_far_from_all_others_needs_no_grid(field: str) -> None:
    rng = np.random.default_rng(0)
    table = grid(np.exp(rng.uniform(-8, -5, 24)), [131072], [(1e8, 2e9)])
    table["batch"] = np.exp(rng.uniform(11, 13.5, 24))
    assert not odd(table)
    row = int(np.argsort(table[field])[12])
    for factor in (60, 300, 1 / 300):
        wrong = {**table, field: table[field].copy()}
        wrong[field][row] *= factor
        (said,) = odd(wrong)
        assert f"row {row}, column '{field}'" in said
    # Between a factor of 8 and the design's own gaps nothing is said.
    near = {**table, "lr": table["lr"].copy()}
    near["lr"][near["lr"].argmax()] *= 6
    assert not odd(near)


def test_every_run_twice() -> None:
    table: dict[str, Any] = {
        key: np.tile(values, 2) for key, values in DESIGNS["nine lr"].items()
    }
    runs = Runs.from_arrays(**table)
    assert any("9 runs in the table twice" in text for text in runs.warnings)
    # Losses of two digits tie by chance.
    table["loss"] = np.round(table["loss"], 1)
    runs = Runs.from_arrays(**table)
    assert not any("in the table twice" in text for text in runs.warnings)


@pytest.mark.parametrize("design", ["three sizes", "nine lr"])
def test_what_is_no_mean_loss(design: str) -> None:
    table = DESIGNS[design]
    for loss, word in (
        (2048 * table["loss"], "a sum over tokens or a batch"),
        (1 / table["loss"], "accuracy?"),
    ):
        runs = Runs.from_arrays(**{**table, "loss": loss}, called={"loss": "'acc'"})
        said = [text for text in runs.warnings if "expected a mean loss" in text]
        assert len(said) == 1
        assert "column 'acc'" in said[0]
        assert word in said[0]
    # A loss of 0.3 nats is one.
    runs = Runs.from_arrays(**{**table, "loss": 0.1 * table["loss"]})
    assert not any("mean loss" in text for text in runs.warnings)


@pytest.mark.parametrize(
    ("name", "how"),
    [
        ("steplaw/dense_lr_bs_loss.csv", {}),
        ("steplaw/moe_lr_bs_loss.csv", {}),
        ("steplaw/dense_14_small_cells.csv", {}),
        (
            "openeurollm/loss_all_exps_post_annealing_upto_983m.csv",
            {"map": {"batch": "gbsz*4096", "tokens": "D"}},
        ),
        (
            "marin/marin_optimizer_sweep_upto_300m.csv",
            {"map": {"batch": "batch_tokens"}, "recipe": ["opt", "var"]},
        ),
    ],
)
def test_released_dumps_raise_no_alarm(
    data_dir: Path, name: str, how: dict[str, Any]
) -> None:
    runs = read_runs(data_dir / name, **how)
    words = ("off the pattern", "in the table twice", "mean loss", "in every row")
    assert not [w for w in runs.warnings if any(word in w for word in words)]
    assert runs.cautions == ()


def test_a_fit_names_file_line_and_column(tmp_path: Path) -> None:
    table = slipped("nine lr", "lr", 3, 10)
    path = tmp_path / "a.csv"
    lines = ["learning_rate,batch,params,tokens,loss"]
    lines += [
        ",".join(repr(float(table[key][k])) for key in (*NAMES, "loss"))
        for k in range(9)
    ]
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")
    fitted = fit(read_runs(path), family="quadratic", bootstrap=0)
    place = f"{path} line 5, column 'learning_rate', value 0.024: 10 times 0.0024"
    assert any(place in text for text in fitted.warnings)


@pytest.mark.parametrize("rows", [[0], [7], [0, 1, 2, 3, 4]])
def test_a_loss_that_no_stable_run_has_is_named_and_no_part_of_the_surface(
    rows: list[int],
) -> None:
    """The coldest run, one in the middle, a whole cell: 23,041 nats, a sum."""
    table: dict[str, Any] = dict(DESIGNS["lr at four sizes"])
    loss = table["loss"].copy()
    loss[rows] *= 6_500.0
    runs = Runs.from_arrays(**{**table, "loss": loss})
    assert not runs.usable[rows].any()
    assert runs.usable.sum() == len(loss) - len(rows)
    said = " ".join(runs.warnings)
    assert "set aside" in said
    assert f"loss {loss[rows[0]]:.4g}" in said


def test_a_table_of_sums_is_kept_and_warned_of_as_one() -> None:
    table: dict[str, Any] = dict(DESIGNS["lr at four sizes"])
    runs = Runs.from_arrays(**{**table, "loss": 6_500 * table["loss"]})
    assert runs.usable.all()
    assert any("a sum over tokens or a batch" in text for text in runs.warnings)


def test_who_says_what_diverged_is_believed_of_high_losses_too() -> None:
    table: dict[str, Any] = dict(DESIGNS["lr at four sizes"])
    loss = np.where(np.arange(len(table["loss"])) == 0, 50.0, table["loss"])
    runs = Runs.from_arrays(**{**table, "loss": loss}, diverged_above=np.inf)
    assert runs.usable.all()

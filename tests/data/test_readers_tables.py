"""Tables as people have them: units, odd sizes, words of status, checkpoints, seeds.

The files in tests/cases are small tables in the shapes that people publish.
"""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from surrogate import DataError, Runs, fit, read_runs

CASES = Path(__file__).parents[1] / "cases"
HEADER = "lr,batch,params,tokens,loss"


def case(name: str, **how: Any) -> Runs:
    return read_runs(CASES / name, **how)


def write(folder: Path, *lines: str) -> Path:
    path = folder / "runs.csv"
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")
    return path


# ---------------------------------------------------------------- sizes


def test_few_tokens_a_parameter_are_read_with_a_warning() -> None:
    runs = case("06-few-tokens-per-parameter.csv")
    assert (len(runs), len(runs.dropped), int(runs.diverged.sum())) == (12, 0, 0)
    assert any("tokens / params under 0.1" in text for text in runs.warnings)


def test_a_batch_above_the_tokens_is_read_with_a_warning(tmp_path: Path) -> None:
    path = write(tmp_path, HEADER, "1e-3,1e10,2e8,4e9,2.9", "2e-3,65536,2e8,4e9,2.8")
    runs = read_runs(path)
    assert len(runs) == 2
    assert any("1 run with a batch above the tokens" in text for text in runs.warnings)


def test_a_toy_is_read_where_it_is_meant() -> None:
    with pytest.raises(DataError, match="--allow small if it is meant"):
        case("18-toy-scale.csv")
    runs = case("18-toy-scale.csv", allow=["small"])
    assert (len(runs), len(runs.cells)) == (6, 3)
    assert runs.batch.max() == 512


def test_a_number_that_was_typed_is_believed() -> None:
    mapped = {"params": "5000", "batch": "4096", "tokens": "300000"}
    mapped["loss"] = "Final Val Loss"
    runs = case("11-one-size-lr-only.csv", map=mapped)
    assert set(runs.params) == {5000.0}
    assert set(runs.batch) == {4096.0}


def test_the_smallest_batch_of_a_fine_tuning_is_best() -> None:
    runs = case(
        "20-finetune-accumulation.csv",
        map={"batch": "per_device*accum*max_length", "tokens": "samples*max_length"},
    )
    answer = fit(runs, family="quadratic", bootstrap=0).regret(
        params=2.2e8, tokens=5.12e6, lr=5e-5, batch=131072.0
    )
    # Measured: accumulation 16 loses 29 % to 1.
    measured = runs.loss[runs.batch.argmax()] / runs.loss.min() - 1
    np.testing.assert_allclose(answer.regret, measured, rtol=0.1)


# ---------------------------------------------------------------- status


def test_unknown_words_are_named_with_what_to_write() -> None:
    with pytest.raises(DataError, match=r"'discard' \(3 rows\).*--finished WORD") as e:
        case("16-keep-discard.tsv")
    assert "line 2" in str(e.value)
    runs = case("16-keep-discard.tsv", finished=["keep", "Discard"], failed=["crash"])
    assert (len(runs), len(runs.dropped)) == (5, 1)
    assert "--failed" in runs.dropped[0].reason


def test_a_word_cannot_mean_both() -> None:
    with pytest.raises(DataError, match="--finished and --failed both name 'keep'"):
        case("16-keep-discard.tsv", finished=["keep"], failed=["keep"])


# ---------------------------------------------------------------- unit of the loss


def test_perplexity_is_known_by_its_name_and_becomes_nats() -> None:
    runs = case("21-perplexity.csv")
    np.testing.assert_allclose(runs.loss[:2], np.log([4.61, 4.28]), rtol=1e-15)
    assert runs.loss_unit == "nats"
    assert any("in perplexity, was converted" in note for note in runs.notes)


def test_bits_per_byte_stay_and_travel_with_the_fit(tmp_path: Path) -> None:
    mapped = {"params": "17M", "batch": "524288", "tokens": "10B"}
    runs = case("17-bits-per-byte.csv", map=mapped)
    assert runs.loss_unit == "bits_per_byte"
    found = fit(runs, family="quadratic", bootstrap=0)
    found.save(tmp_path / "fit")
    answer = found.optimum(params=1.7e7, tokens=1e10).to_json()
    assert answer["loss_unit"] == found.summary_json()["loss_unit"] == "bits_per_byte"


def test_bits_per_token_are_nats_over_ln_2(tmp_path: Path) -> None:
    path = write(tmp_path, HEADER, "1e-3,65536,2e8,4e9,4.0")
    runs = read_runs(path, loss_unit="bits_per_token")
    np.testing.assert_allclose(runs.loss, [4 * math.log(2)], rtol=1e-15)


@pytest.mark.parametrize(
    ("unit", "loss", "message"),
    [
        (
            "perplexity",
            "0.9",
            "line 2, column 'loss', value 0.9: .*perplexities of at least 1, got 0.9",
        ),
        (
            "bits_per_byte",
            "7.1",
            "line 2, column 'loss', value 7.1: .*bits per byte, of which a guess",
        ),
        ("hartleys", "2.9", "Expected loss_unit to be one of nats"),
    ],
)
def test_a_unit_that_the_values_cannot_have_is_refused(
    tmp_path: Path, unit: str, loss: str, message: str
) -> None:
    path = write(tmp_path, HEADER, f"1e-3,65536,2e8,4e9,{loss}")
    with pytest.raises(DataError, match=message):
        read_runs(path, loss_unit=unit)


# ---------------------------------------------------------------- arithmetic


def test_the_length_of_a_sequence_follows_from_steps() -> None:
    mapped = {"params": "model_params", "tokens": "data_size"}
    runs = case("02-one-batch-many-sizes.csv", map=mapped)
    assert set(runs.batch) == {32.0 * 512}
    assert any("512 tokens each, as tokens / (" in note for note in runs.notes)


def test_a_length_that_the_steps_contradict_is_refused() -> None:
    name = "03-steps-contradict-seq-len.csv"
    with pytest.raises(
        DataError, match=r"'optimizer_steps'.*is 512, got --seq-len 2048"
    ):
        case(name, seq_len=2048)
    runs = case(name)
    assert set(runs.batch) == {32.0 * 512, 128.0 * 512, 512.0 * 512}
    with pytest.raises(DataError, match="lr and batch never vary apart"):
        fit(runs, bootstrap=0)


# ---------------------------------------------------------------- checkpoints


def test_a_schedule_s_lr_is_refused() -> None:
    with pytest.raises(DataError, match=r"24 checkpoints of 3 runs") as caught:
        case("10-checkpoints-of-runs.csv", seq_len=1024)
    assert "peak lr" in str(caught.value)


def checkpoints(folder: Path, column: str) -> Path:
    """Three runs of eight checkpoints at their own constant lr."""
    lines = [f"{column},lr,batch,params,tokens,loss"]
    for run in range(3):
        for k in range(1, 9):
            loss = 4 * (k * 1e8) ** -0.03 * (1 + 0.01 * abs(run - 1))
            label = f"r{run}" if column == "run" else "x"
            lines.append(f"{label},{2.0**run * 1e-3},65536,2e8,{k * 1e8},{loss:.5f}")
    return write(folder, *lines)


@pytest.mark.parametrize("column", ["run", "machine"])
def test_the_last_checkpoint_of_each_run_is_used(tmp_path: Path, column: str) -> None:
    path = checkpoints(tmp_path, column)
    runs = read_runs(path)
    assert (len(runs), set(runs.tokens)) == (3, {8e8})
    assert any("24 rows look like checkpoints of 3 runs" in n for n in runs.notes)
    assert len(read_runs(path, checkpoints="runs")) == 24
    with pytest.raises(DataError, match="--checkpoints refuse"):
        read_runs(path, checkpoints="refuse")


def test_a_grid_of_tokens_is_no_log(tmp_path: Path) -> None:
    # Equal settings at several D is every normal grid: factors, not constant steps.
    rows = [f"1e-3,65536,2e8,{2.0**k * 1e9},{3.0 - 0.1 * k}" for k in range(5)]
    assert len(read_runs(write(tmp_path, HEADER, *rows))) == 5


def test_a_table_below_the_table_lacks_a_header(tmp_path: Path) -> None:
    rows = ["1e-3,65536,2e8,4e9,2.9"] * 2 + ["1e-3,x,65536,2e8,4e9,2.9,7"] * 3
    with pytest.raises(DataError, match="lines 4 to 6 all have 7 fields where the"):
        read_runs(write(tmp_path, HEADER, *rows))


# ---------------------------------------------------------------- seeds


def test_seeds_are_replicates_and_tell_the_noise(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    noise = 0.004 * rng.normal(size=(3, 2))
    rows = [
        f"{lr},65536,2e8,4e9,{3 * math.exp(noise[i, seed])},{seed}"
        for i, lr in enumerate((1e-3, 2e-3, 4e-3))
        for seed in range(2)
    ]
    runs = read_runs(write(tmp_path, HEADER + ",seed", *rows))
    # Independent: half the squared differences of pairs.
    expected = math.sqrt(np.mean(np.diff(noise, axis=1) ** 2) / 2)
    assert runs.seed_noise is not None
    assert runs.seed_noise is not None
    np.testing.assert_allclose(runs.seed_noise, expected, rtol=1e-9)
    assert any("seed noise" in note for note in runs.notes)
    assert not any("more than once" in text for text in runs.warnings)
    assert not any("recipe" in text for text in runs.warnings)


def test_a_constant_seed_says_nothing(tmp_path: Path) -> None:
    rows = [f"1e-3,65536,2e8,4e9,{loss},7" for loss in (2.9, 2.8)]
    runs = read_runs(write(tmp_path, HEADER + ",seed", *rows))
    assert runs.seed_noise is None
    assert any("more than once" in text for text in runs.warnings)
    assert any("'seed' is '7' in all runs" in note for note in runs.notes)


def test_runs_that_differ_in_more_than_the_seed_are_no_replicates(
    tmp_path: Path,
) -> None:
    rows = [
        f"{lr},65536,2e8,4e9,{3 + 0.3 * (wd > 0.1) + 0.01 * (k % 2)},{k},{wd}"
        for lr in (1e-3, 2e-3, 4e-3)
        for k, wd in enumerate((0.1, 0.1, 0.2, 0.2))
    ]
    runs = read_runs(write(tmp_path, HEADER + ",seed,weight_decay", *rows))
    # Of pairs that differ by 0.01 in 3 or 3.3, and not by 0.3.
    expected = math.sqrt(
        np.mean([math.log(3.01 / 3) ** 2 / 2, math.log(3.31 / 3.3) ** 2 / 2])
    )
    assert runs.seed_noise is not None
    np.testing.assert_allclose(runs.seed_noise, expected, rtol=1e-9)
    assert any("6 settings repeated under other values" in n for n in runs.notes)
    assert any("more than once" in text for text in runs.warnings)
    assert any("'weight_decay'" in text for text in runs.warnings)
    # Each seed with its own weight decay: nothing is a replicate.
    confounded = [row for row in rows if row.split(",")[5] in "02"]
    apart = read_runs(write(tmp_path, HEADER + ",seed,weight_decay", *confounded))
    assert apart.seed_noise is None
    assert any("'weight_decay'" in text for text in apart.warnings)


def test_outcomes_do_not_keep_replicates_apart(tmp_path: Path) -> None:
    rows = [
        f"{lr},65536,2e8,4e9,{3 + 0.01 * k},{k},{2.5 + k % 2},n{k}"
        for lr in (1e-3, 2e-3, 4e-3)
        for k in range(2)
    ]
    header = HEADER + ",seed,valid/acc,hostname"
    assert read_runs(write(tmp_path, header, *rows)).seed_noise is not None


AGGREGATES = """run,lr,batch,params,tokens,loss
a,1e-3,65536,2e8,4e9,2.9
b,2e-3,65536,2e8,4e9,2.8
c,4e-3,131072,2e8,4e9,2.85
"""


@pytest.mark.parametrize(
    "row",
    [
        "Average,0.00233,87381,2e8,4e9,2.85",
        "Total,7e-3,262144,6e8,12e9,8.55",
        "median,2e-3,65536,2e8,4e9,2.85",
    ],
)
def test_a_row_that_a_spreadsheet_computed_is_no_run(tmp_path: Path, row: str) -> None:
    path = tmp_path / "runs.csv"
    path.write_text(f"{AGGREGATES}{row}\n")
    runs = read_runs(path)
    assert len(runs) == 3
    name = row.partition(",")[0]
    assert any(f"left out: 5 ({name!r})" in note for note in runs.notes)
    # A run of that name, but of numbers of its own.
    path.write_text(f"{AGGREGATES}average,3e-3,65536,2e8,4e9,2.83\n")
    assert len(read_runs(path)) == 4


def test_bars_part_columns_where_nothing_else_does(tmp_path: Path) -> None:
    path = tmp_path / "runs.csv"
    path.write_text(AGGREGATES.replace(",", "|"))
    assert read_runs(path).lr.tolist() == [1e-3, 2e-3, 4e-3]
    path = tmp_path / "named.csv"
    path.write_text(AGGREGATES.replace("run", "a|b|c"))
    assert len(read_runs(path)) == 3

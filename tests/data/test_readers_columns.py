"""Further columns of a run: its cluster, its standard error, whether it diverged."""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from support.cli import surrogate

from surrogate import DataError, Runs, read_runs

HEADER = "lr,batch,params,tokens,loss"
ROWS = tuple(
    f"{lr},65536,2e8,4e9,{loss}" for lr, loss in ((1e-3, 3.0), (2e-3, 2.9), (4e-3, 3.1))
)


def write(folder: Path, more: str, *cells: str, header: str = HEADER) -> Path:
    path = folder / "runs.csv"
    lines = [f"{row},{cell}" for row, cell in zip(ROWS, cells, strict=True)]
    path.write_text("\n".join([f"{header},{more}", *lines]) + "\n", encoding="utf-8")
    return path


def test_clusters_are_kept_through_subsets(tmp_path: Path) -> None:
    runs = read_runs(write(tmp_path, "trunk", "a", "b", "a"), cluster="trunk")
    assert runs.cluster.tolist() == ["a", "b", "a"]
    assert runs.subset(runs.lr > 1e-3).cluster.tolist() == ["b", "a"]
    assert any("cluster = 'trunk'" in note for note in runs.notes)
    with pytest.raises(ValueError, match="read-only"):
        runs.cluster[0] = "c"
    # A trunk is no recipe.
    assert len(runs.cells) == 1
    bare = read_runs(write(tmp_path, "trunk", "a", "b", "a"))
    assert bare.cluster.tolist() == [""] * 3
    missing = read_runs(write(tmp_path, "trunk", "a", "", "a"), cluster="trunk")
    assert [str(item.line) for item in missing.dropped] == ["3"]
    assert "the cluster is missing" in missing.dropped[0].reason
    with pytest.raises(DataError, match=r"--cluster: expected a column.*Did you mean"):
        read_runs(write(tmp_path, "trunk", "a", "b", "a"), cluster="trnk")


def test_standard_errors_are_kept_and_follow_the_unit(tmp_path: Path) -> None:
    path = write(tmp_path, "se", "0.01", "", "0.02")
    runs = read_runs(path, loss_se="se")
    np.testing.assert_array_equal(runs.loss_se, [0.01, math.nan, 0.02])
    assert runs.subset(runs.lr > 2e-3).loss_se.tolist() == [0.02]
    assert np.isnan(read_runs(path).loss_se).all()
    bits = read_runs(path, loss_se="se", loss_unit="bits_per_token").loss_se
    np.testing.assert_allclose(bits[0], 0.01 * math.log(2), rtol=1e-12)
    words = read_runs(path, loss_se="se", loss_unit="perplexity").loss_se
    np.testing.assert_allclose(words[0], 0.01 / 3.0, rtol=1e-12)


@pytest.mark.parametrize("cell", ["0", "-0.1", "nan", "inf", "x"])
def test_a_standard_error_that_is_none_is_refused(tmp_path: Path, cell: str) -> None:
    message = f"line 3, column 'se', value '{cell}': expected a standard error of the"
    with pytest.raises(DataError, match=message):
        read_runs(write(tmp_path, "se", "0.01", cell, "0.02"), loss_se="se")


def test_arrays_of_standard_errors_are_checked() -> None:
    table: dict[str, Any] = {"lr": [1e-3, 2e-3], "batch": [65536, 65536]}
    table |= {"params": [2e8, 2e8], "tokens": [4e9, 4e9], "loss": [3.0, 2.9]}
    runs = Runs.from_arrays(**table, loss_se=[0.1, math.nan], cluster="a")
    assert runs.loss_se[0] == 0.1
    for wrong in ([0.1], [0.1, 0.0]):
        with pytest.raises(DataError, match="expected 2 standard errors above 0"):
            Runs.from_arrays(**table, loss_se=wrong)


def test_a_column_may_say_what_diverged(tmp_path: Path) -> None:
    path = write(tmp_path, "fate", "fine", "Blew", "fine")
    runs = read_runs(path, diverged_above="fate=blew")
    assert runs.diverged.tolist() == [False, True, False]
    assert read_runs(write(tmp_path, "ok", "1", "1.0", "0"), diverged_above="ok=0")
    message = r"--diverged-above fate=gone: .*'gone', which no row has.*'Blew', 'fine'"
    with pytest.raises(DataError, match=message):
        read_runs(
            write(tmp_path, "fate", "fine", "Blew", "fine"), diverged_above="fate=gone"
        )
    with pytest.raises(DataError, match="--diverged-above: expected a column of"):
        read_runs(path, diverged_above="fat=gone")


def test_a_column_of_divergence_takes_the_place_of_jumps(tmp_path: Path) -> None:
    # The last run jumps by 3.4 times; the user says that it did not diverge.
    lines = [HEADER + ",bad"]
    for k, loss in enumerate((3.0, 2.95, 2.9, 2.92, 10.0)):
        lines.append(
            f"{2.0**k * 1e-4},65536,2e8,4e9,{loss},{'yes' if k == 0 else 'no'}"
        )
    path = tmp_path / "runs.csv"
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")
    assert read_runs(path).diverged.tolist() == [False] * 4 + [True]
    marked = read_runs(path, diverged_above="bad=yes")
    assert marked.diverged.tolist() == [True] + [False] * 4
    assert not read_runs(path, diverged_above=math.inf).diverged.any()
    assert read_runs(path, diverged_above=0.02).diverged.tolist() == [
        *(True, False, False, False, True)
    ]


def test_the_command_takes_them(tmp_path: Path) -> None:
    path = write(tmp_path, "trunk,se,fate", "a,0.1,x", "b,0.1,x", "a,0.1,y")
    words = ["check", str(path), "--cluster", "trunk", "--loss-se", "se", "--json"]
    found = surrogate(*words, "--diverged-above", "fate=y", cwd=tmp_path)
    assert found.returncode == 0
    document = json.loads(found.stdout)
    assert document["diverged"] == 1
    assert any("loss_se = 'se'" in note for note in document["notes"])
    wrong = surrogate(*words, "--diverged-above", "2", cwd=tmp_path)
    assert wrong.returncode == 2
    assert "COLUMN=VALUE" in wrong.stdout + wrong.stderr

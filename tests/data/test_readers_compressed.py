"""Compressed files, archives and tables of SQLite are the sweep that they hold."""

from __future__ import annotations

import bz2
import gzip
import hashlib
import lzma
import sqlite3
import zipfile
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import numpy as np
import pytest

from surrogate import DataError, Runs, read_runs
from surrogate.base.errors import FlagsError
from surrogate.data.readers.formats import compressed

HEADER = "lr,batch,params,tokens,loss"
ROWS = [(1e-3 * 2**k, 131_072, 6e7, 1.2e9, 3.0 + 0.1 * (k - 2) ** 2) for k in range(5)]
TEXT = "\n".join([HEADER, *(",".join(map(str, row)) for row in ROWS)]) + "\n"


def check(runs: Runs) -> None:
    columns = (runs.lr, runs.batch, runs.params, runs.tokens, runs.loss)
    np.testing.assert_allclose(np.stack(columns, axis=1), np.array(ROWS))


@pytest.mark.parametrize(
    ("ending", "fold"),
    [("gz", gzip.compress), ("bz2", bz2.compress), ("xz", lzma.compress)],
)
@pytest.mark.parametrize("name", ["runs.csv", "runs", "runs.tsv"])
def test_a_compressed_table(
    tmp_path: Path, ending: str, fold: Callable[[bytes], bytes], name: str
) -> None:
    text = TEXT.replace(",", "\t") if name.endswith("tsv") else TEXT
    path = tmp_path / f"{name}.{ending}"
    path.write_bytes(fold(text.encode()))
    runs = read_runs(path)
    check(runs)
    # Of the file that lies there, so that anyone can compare it.
    assert runs.sources[0].sha256 == hashlib.sha256(path.read_bytes()).hexdigest()


def test_an_archive_of_one_table(tmp_path: Path) -> None:
    path = tmp_path / "runs.zip"
    with zipfile.ZipFile(path, "w") as folder:
        folder.writestr("a/runs.csv", TEXT)
        folder.writestr("__MACOSX/a/._runs.csv", "\0\1")
    check(read_runs(path))
    with zipfile.ZipFile(path, "a") as folder:
        folder.writestr("b.csv", TEXT)
    with pytest.raises(DataError, match=r"one table, got 2 files \('a/runs.csv', 'b"):
        read_runs(path)


@pytest.mark.parametrize("ending", ["db", "sqlite", "sqlite3"])
def test_a_table_of_ones_own_in_sqlite(tmp_path: Path, ending: str) -> None:
    path = tmp_path / f"runs.{ending}"
    with closing(sqlite3.connect(path)) as link:
        link.execute('CREATE TABLE "my ""runs" (lr, batch, params, tokens, loss)')
        link.executemany('INSERT INTO "my ""runs" VALUES (?, ?, ?, ?, ?)', ROWS)
        link.commit()
    check(read_runs(path))
    with closing(sqlite3.connect(path)) as link:
        link.execute("CREATE TABLE notes (text)")
        link.commit()
    with pytest.raises(DataError, match="expected the name of one table, got 2"):
        read_runs(path)
    check(read_runs(f'{path}#my "runs'))


def test_two_sizes_in_the_names_of_runs(tmp_path: Path) -> None:
    path = tmp_path / "runs.csv"
    names = [f"60M-1.2B-lr{lr:g}-bs131072,{loss}" for lr, *_, loss in ROWS]
    path.write_text("\n".join(["run,loss", *names]))
    with pytest.raises(FlagsError) as caught:
        read_runs(path)
    said = {"lr=lr in run", 'params="size in run"', 'tokens="second size in run"'}
    assert said <= set(caught.value.flags)


def test_an_ending_of_compressed_files_that_lies(tmp_path: Path) -> None:
    path = tmp_path / "runs.csv.gz"
    path.write_text(TEXT)
    with pytest.raises(DataError, match="expected a compressed file, as its ending"):
        read_runs(path)


def test_what_unfolds_to_too_much_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "bomb.csv.gz"
    path.write_bytes(gzip.compress(bytes(10_001)))
    monkeypatch.setattr(compressed, "MOST_UNFOLDED", 10_000)
    with pytest.raises(DataError, match="at most 10,000 bytes unfolded, got more"):
        read_runs(path)

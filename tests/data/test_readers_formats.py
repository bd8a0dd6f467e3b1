"""One sweep in every format reads to the same table; what people write round-trips.

Files are written by the packages that people have (skipped where they are missing);
what a format itself rounds (Excel 16 digits, pandas' JSON 15) is written with so few.
"""

from __future__ import annotations

import io
import json
import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from surrogate.base.errors import DataError
from surrogate.data import Runs
from surrogate.data.readers import read_runs

COLUMNS = ("lr", "batch", "params", "tokens", "loss")
SWEEP: dict[str, list[float]] = {
    "lr": [0.001, 0.002, 0.00042, 0.003],
    "batch": [65536, 131072, 65536, 131072],
    "params": [2e8, 2e8, 3.5e8, 3.5e8],
    "tokens": [4e9, 4e9, 7e9, 7e9],
    "loss": [2.9134567890123, 2.81, 2.712345678901, 2.65],
}


def same(runs: Runs, table: dict[str, list[float]] = SWEEP) -> bool:
    return all(np.array_equal(getattr(runs, key), table[key]) for key in COLUMNS)


def records(table: dict[str, list[Any]] = SWEEP) -> list[dict[str, Any]]:
    return [
        dict(zip(table, row, strict=True)) for row in zip(*table.values(), strict=True)
    ]


def markdown(table: dict[str, list[Any]]) -> str:
    lines = [f"| {' | '.join(table)} |", "|---" * len(table) + "|"]
    lines += [
        f"| {' | '.join(map(repr, row))} |" for row in zip(*table.values(), strict=True)
    ]
    return "\n".join(lines) + "\n"


def delimited(table: dict[str, list[Any]], mark: str) -> str:
    lines = [mark.join(table)]
    lines += [mark.join(map(repr, row)) for row in zip(*table.values(), strict=True)]
    return "\n".join(lines) + "\n"


def padded(table: dict[str, list[Any]], *, index: bool, gap: str = " ") -> str:
    """As pandas prints it."""
    rows = [list(map(repr, row)) for row in zip(*table.values(), strict=True)]
    lines = [[*([""] if index else []), *table]]
    lines += [[*([str(k)] if index else []), *row] for k, row in enumerate(rows)]
    widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
    return "\n".join(
        gap.join(cell.rjust(w) for cell, w in zip(line, widths, strict=True))
        for line in lines
    )


# By ending, the text of a file.
TEXTS: dict[str, Callable[[dict[str, list[Any]]], str]] = {
    "a.csv": lambda t: delimited(t, ","),
    "a.tsv": lambda t: delimited(t, "\t"),
    "semicolons.csv": lambda t: delimited(t, ";"),
    "printed.txt": lambda t: padded(t, index=False),
    "frame.txt": lambda t: padded(t, index=True),
    "page.md": lambda t: f"# Runs\n\nText.\n\n{markdown(t)}\nMore text.\n",
    "page.csv": markdown,
    "page.txt": markdown,
    "records.json": lambda t: json.dumps(records(t)),
    "lists.json": lambda t: json.dumps(t),
    "envelope.json": lambda t: json.dumps({"title": "x", "results": records(t)}),
    "nested.json": lambda t: json.dumps(
        [{"config": {k: r[k] for k in COLUMNS[:4]}, "summary": {"loss": r["loss"]}}
         for r in records(t)]
    ),
    "split.json": lambda t: json.dumps(
        {"columns": list(t), "data": [list(r.values()) for r in records(t)]}
    ),
    "index.json": lambda t: json.dumps(dict(enumerate(records(t)))),
    "columns.json": lambda t: json.dumps({k: dict(enumerate(v)) for k, v in t.items()}),
    "named.json": lambda t: json.dumps({f"r{k}": r for k, r in enumerate(records(t))}),
    "grid.json": lambda t: json.dumps([list(t), *map(list, zip(*t.values()))]),  # noqa: B905
    "two.json": lambda t: json.dumps(
        {
            "configs": [{"id": k, **{c: r[c] for c in COLUMNS[:4]}}
                        for k, r in enumerate(records(t))],
            "losses": [{"id": k, "loss": r["loss"]}
                       for k, r in reversed(list(enumerate(records(t))))],
        }
    ),
    "a.jsonl": lambda t: "\n".join(map(json.dumps, records(t))) + "\n",
    "lines.json": lambda t: "\n".join(map(json.dumps, records(t))),
    "wandb.json": lambda t: json.dumps(
        [{"config": {k: {"value": r[k], "desc": None} for k in COLUMNS[:4]},
          "summary": {"loss": r["loss"], "_step": 5}, "state": "finished"}
         for r in records(t)]
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", TEXTS)
def test_a_text_of_every_shape_is_the_same_table(tmp_path: Path, name: str) -> None:
    path = tmp_path / name
    path.write_text(TEXTS[name](SWEEP), encoding="utf-8")
    runs = read_runs(path)
    assert same(runs)
    assert runs.dropped == ()


@pytest.mark.parametrize("name", TEXTS)
def test_standard_input_is_told_by_its_content(
    monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    data = TEXTS[name](SWEEP).encode()
    monkeypatch.setattr("sys.stdin", io.TextIOWrapper(io.BytesIO(data)))
    runs = read_runs("-")
    assert same(runs)
    assert runs.sources[0].file == "standard input"


LR = st.floats(1e-6, 9.0)
TABLES = st.lists(
    st.tuples(
        LR,
        st.integers(8192, 2**30),
        st.floats(1e5, 1e13),
        st.floats(1e7, 1e15),
        st.floats(0.01, 20.0),
    ),
    min_size=1,
    max_size=5,
    # Of rows that are there twice one counts.
    unique=True,
).map(lambda rows: dict(zip(COLUMNS, map(list, zip(*rows, strict=True)), strict=True)))


@pytest.mark.parametrize("name", TEXTS)
@settings(
    max_examples=100,
    deadline=None,
    derandomize=True,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
@given(table=TABLES)
def test_every_digit_comes_back(
    tmp_path: Path, name: str, table: dict[str, list[Any]]
) -> None:
    path = tmp_path / name
    path.write_text(TEXTS[name](table), encoding="utf-8")
    # Rows that look like a log are runs here.
    how: dict[str, Any] = {"checkpoints": "runs", "diverged_above": math.inf}
    if name in ("index.json", "named.json") and len(table["lr"]) == 1:
        # One record by name or index is no table of runs.
        with pytest.raises(DataError, match="expected"):
            read_runs(path, **how)
        return
    assert same(read_runs(path, **how), table)


def test_a_print_with_a_name_of_two_words_is_not_moved(tmp_path: Path) -> None:
    path = tmp_path / "a.txt"
    table = {**{k: SWEEP[k] for k in COLUMNS[:4]}, "smooth loss": SWEEP["loss"]}
    for index in (True, False):
        # Two blanks apart, as pandas has it.
        path.write_text(padded(table, index=index, gap="  "), encoding="utf-8")
        runs = read_runs(path)
        assert same(runs)
        assert runs.loss_kind == "train_smoothed"
    # Words and cells agree in number, but do not stand under one another.
    path.write_text("   lr  smooth loss\n0 1e-3          2.9\n", encoding="utf-8")
    with pytest.raises(DataError, match=r"no column for batch|header and rows"):
        read_runs(path)


def test_what_pandas_prints_is_read(tmp_path: Path) -> None:
    pd = pytest.importorskip("pandas")
    frame = pd.DataFrame(SWEEP)
    path = tmp_path / "a.txt"
    for text in (str(frame), frame.to_string(index=False), frame.to_string()):
        path.write_text(text, encoding="utf-8")
        runs = read_runs(path)
        np.testing.assert_allclose(runs.loss, SWEEP["loss"], rtol=1e-6)
        np.testing.assert_allclose(runs.lr, SWEEP["lr"], rtol=1e-6)


def frames() -> dict[str, Callable[[dict[str, list[Any]], Path], Any]]:
    """What real packages make of a table, by package."""
    import importlib.util

    found: dict[str, Callable[[dict[str, list[Any]], Path], Any]] = {}
    if importlib.util.find_spec("pandas"):
        import pandas as pd  # pyright: ignore[reportMissingImports]

        found["pandas"] = lambda t, _: pd.DataFrame(t)
    if importlib.util.find_spec("polars"):
        import polars as pl  # pyright: ignore[reportMissingImports]

        found["polars"] = lambda t, _: pl.DataFrame(t)
    if importlib.util.find_spec("pyarrow"):
        import pyarrow as pa  # pyright: ignore[reportMissingImports]
        import pyarrow.feather as feather  # pyright: ignore[reportMissingImports]
        import pyarrow.parquet as parquet  # pyright: ignore[reportMissingImports]

        def written(table: dict[str, list[Any]], path: Path) -> Path:
            write = parquet.write_table
            if path.suffix == ".feather":
                write = feather.write_feather
            write(pa.table(table), str(path))
            return path

        found["arrow"] = lambda t, _: pa.table(t)
        found["parquet"] = lambda t, folder: written(t, folder / "a.parquet")
        found["feather"] = lambda t, folder: written(t, folder / "a.feather")
    return found


@pytest.mark.parametrize("kind", ["pandas", "polars", "arrow", "parquet", "feather"])
@settings(
    max_examples=100,
    deadline=None,
    derandomize=True,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
@given(table=TABLES)
def test_every_digit_comes_back_from_frames(
    tmp_path: Path, kind: str, table: dict[str, list[Any]]
) -> None:
    makers = frames()
    if kind not in makers:
        pytest.skip(f"without the package of {kind}")
    source = makers[kind](table, tmp_path)
    runs = read_runs(source, checkpoints="runs", diverged_above=math.inf)
    assert same(runs, table)


HOSTILE = st.text(
    st.characters(codec="utf-8", exclude_characters="\0\r\n|"), max_size=12
).map(str.strip)


@settings(max_examples=150, deadline=None, derandomize=True)
@given(names=st.lists(HOSTILE, min_size=4, max_size=4), extra=HOSTILE)
def test_hostile_names_come_back_or_are_refused(names: list[str], extra: str) -> None:
    table = {**SWEEP, "name": names, f"x {extra}": names}
    for source in (table, records(table)):
        try:
            runs = read_runs(source)
        except DataError:
            continue
        assert same(runs)
        assert runs.name.tolist() == names


# ---------------------------------------------------------------- real packages


def test_pandas_frames_and_files(tmp_path: Path) -> None:
    pd = pytest.importorskip("pandas")
    frame = pd.DataFrame(SWEEP)
    assert same(read_runs(frame))
    assert same(read_runs(frame.set_index("lr")))
    assert same(read_runs(frame.convert_dtypes()))
    frame.to_csv(tmp_path / "a.csv")
    assert same(read_runs(tmp_path / "a.csv"))
    for orient in ("split", "records", "index", "columns", "table"):
        path = tmp_path / f"{orient}.json"
        frame.to_json(path, orient=orient, double_precision=15)
        assert same(read_runs(path)), orient
    frame.to_json(
        tmp_path / "a.jsonl", orient="records", lines=True, double_precision=15
    )
    assert same(read_runs(tmp_path / "a.jsonl"))


def test_missing_values_of_pandas_are_missing(tmp_path: Path) -> None:
    pd = pytest.importorskip("pandas")
    frame = pd.DataFrame({**SWEEP, "loss": [2.9, None, float("nan"), "nan"]})
    runs = read_runs(frame)
    assert [(item.line, item.column) for item in runs.dropped] == [
        (2, "loss"),
        (3, "loss"),
    ]
    assert runs.diverged.tolist() == [False, True]


def test_polars_frames_and_files(tmp_path: Path) -> None:
    pl = pytest.importorskip("polars")
    frame = pl.DataFrame(SWEEP)
    assert same(read_runs(frame))
    frame.write_csv(tmp_path / "a.csv")
    frame.write_ndjson(tmp_path / "a.ndjson")
    frame.write_json(tmp_path / "a.json")
    for name in ("a.csv", "a.ndjson", "a.json"):
        assert same(read_runs(tmp_path / name)), name
    with pytest.raises(DataError, match=r"Call .collect\(\) on it"):
        read_runs(frame.lazy())
    # What did not end with a number is known apart from what is missing.
    runs = read_runs(frame.with_columns(loss=pl.Series([2.9, None, math.nan, 2.8])))
    assert [item.line for item in runs.dropped] == [2]
    assert int(runs.diverged.sum()) == 1


def test_arrow_tables_and_files(tmp_path: Path) -> None:
    pa = pytest.importorskip("pyarrow")
    import pyarrow.feather as feather  # pyright: ignore[reportMissingImports]
    import pyarrow.parquet as parquet  # pyright: ignore[reportMissingImports]

    table = pa.table(SWEEP)
    assert same(read_runs(table))
    assert same(read_runs(table.to_batches()[0]))
    parquet.write_table(table, tmp_path / "a.parquet")
    parquet.write_table(table, tmp_path / "a.pq", row_group_size=2, compression="zstd")
    feather.write_feather(table, str(tmp_path / "a.feather"))
    with pa.OSFile(str(tmp_path / "a.arrow"), "wb") as sink:
        with pa.ipc.new_stream(sink, table.schema) as writer:
            writer.write_table(table)
    for name in ("a.parquet", "a.pq", "a.feather", "a.arrow"):
        assert same(read_runs(tmp_path / name)), name
    nested = pa.table(
        {
            "config": [{k: r[k] for k in COLUMNS[:4]} for r in records()],
            "loss": pa.array(SWEEP["loss"]),
            "history": [[1.0, 2.0]] * 4,
        }
    )
    parquet.write_table(nested, tmp_path / "nested.parquet")
    assert same(read_runs(tmp_path / "nested.parquet"))
    twice = pa.table([[1.0], [2.0]], names=["lr", "lr"])
    with pytest.raises(DataError, match="every column once"):
        read_runs(twice)


def test_excel_workbooks(tmp_path: Path) -> None:
    openpyxl = pytest.importorskip("openpyxl")
    book = openpyxl.Workbook()
    sheet = book.active
    sheet.append([])
    sheet.append(list(SWEEP))
    for record in records():
        sheet.append(list(record.values()))
    book.create_sheet("notes").append(["x"])
    book.save(tmp_path / "a.xlsx")
    runs = read_runs(tmp_path / "a.xlsx")
    assert same(runs)
    assert any("'notes'" in note for note in runs.notes)
    assert runs.where[0].endswith("line 3")


@settings(
    max_examples=40,
    deadline=None,
    derandomize=True,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
@given(table=TABLES)
def test_every_digit_of_a_workbook_comes_back(
    tmp_path: Path, table: dict[str, list[Any]]
) -> None:
    openpyxl = pytest.importorskip("openpyxl")
    # A workbook holds 16 digits.
    rounded = {k: [float(f"{x:.15g}") for x in v] for k, v in table.items()}
    book = openpyxl.Workbook()
    book.active.append(list(rounded))
    for record in records(rounded):
        book.active.append(list(record.values()))
    book.save(tmp_path / "a.xlsx")
    runs = read_runs(tmp_path / "a.xlsx", checkpoints="runs", diverged_above=math.inf)
    assert same(runs, rounded)


def test_a_format_without_its_package_says_what_to_install(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(__import__("sys").modules, "openpyxl", None)
    monkeypatch.setitem(__import__("sys").modules, "pyarrow.parquet", None)
    for name, package in (("a.xlsx", "openpyxl"), ("a.parquet", "pyarrow")):
        (tmp_path / name).write_bytes(b"PK\x03\x04")
        with pytest.raises(DataError, match=rf"'{package}' to read.*\[formats\]"):
            read_runs(tmp_path / name)


@pytest.mark.filterwarnings("ignore")
def test_mlflow_s_search_runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    mlflow = pytest.importorskip("mlflow")
    pytest.importorskip("sqlalchemy")
    pytest.importorskip("pandas")
    mlflow.set_tracking_uri(f"sqlite:///{tmp_path / 'ml.db'}")
    mlflow.set_experiment("sweep")
    for k, record in enumerate(records()):
        with mlflow.start_run(run_name=f"run {k}"):
            mlflow.log_params(
                {
                    "learning_rate": record["lr"],
                    "batch_tokens": int(record["batch"]),
                    "n_params": record["params"],
                    "tokens": record["tokens"],
                }
            )
            mlflow.log_metric("val_loss", record["loss"])
    mlflow.start_run(run_name="lost")
    mlflow.log_params({"learning_rate": 1.0})
    mlflow.end_run("FAILED")
    frame = mlflow.search_runs()
    frame.to_csv(tmp_path / "ml.csv", index=False)
    for source in (frame, tmp_path / "ml.csv"):
        runs = read_runs(source)
        order, sweep = np.argsort(runs.lr), np.argsort(SWEEP["lr"])
        for key in COLUMNS:
            expected = np.array(SWEEP[key])[sweep]
            assert np.array_equal(getattr(runs, key)[order], expected)
        assert runs.loss_kind == "validation"
        (lost,) = runs.dropped
        assert lost.reason.startswith("unfinished run")


@pytest.mark.filterwarnings("ignore")
def test_optuna_s_trials(tmp_path: Path) -> None:
    optuna = pytest.importorskip("optuna")
    pytest.importorskip("pandas")
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    study = optuna.create_study(storage=f"sqlite:///{tmp_path / 'o.db'}")
    queue = records()
    for record in queue:
        study.enqueue_trial({"lr": record["lr"], "batch_tokens": int(record["batch"])})

    def objective(trial: Any) -> float:
        lr = trial.suggest_float("lr", 1e-5, 1e-1)
        trial.suggest_int("batch_tokens", 1, 10**9)
        record = next(r for r in queue if r["lr"] == lr)
        trial.set_user_attr("params", record["params"])
        trial.set_user_attr("tokens", record["tokens"])
        return float(record["loss"])

    study.optimize(objective, n_trials=4)
    frame = study.trials_dataframe()
    frame.to_csv(tmp_path / "o.csv")
    assert same(read_runs(frame))
    assert same(read_runs(tmp_path / "o.csv"))


# ------------------------------------------------- W&B, by its documented layouts


def wandb_api() -> list[dict[str, Any]]:
    """What docs.wandb.ai shows: summaries, configs and names of an API's runs."""
    return [
        {
            "summary": {"val/loss": r["loss"], "_step": 9, "_runtime": 3.5, "lr": 1e-5},
            "config": {
                "learning_rate": r["lr"],
                "batch_tokens": int(r["batch"]),
                "n_params": r["params"],
                "max_tokens": r["tokens"],
                "_wandb": {"lr": 7},
            },
            "name": f"run-{k}",
            "state": "finished",
        }
        for k, r in enumerate(records())
    ]


@pytest.mark.parametrize("form", ["json", "repr", "frame"])
def test_wandb_s_api_by_json_by_python_and_as_a_frame(
    tmp_path: Path, form: str
) -> None:
    import csv

    rows = wandb_api()
    mapped = {"lr": "config.learning_rate"}
    source: Any = rows
    if form != "frame":
        write = json.dumps if form == "json" else repr
        source = tmp_path / "wandb.csv"
        with source.open("w", newline="", encoding="utf-8") as stream:
            writer = csv.DictWriter(stream, rows[0])
            writer.writeheader()
            for row in rows:
                cells = {k: write(row[k]) for k in ("summary", "config")}
                writer.writerow({**row, **cells})
    with pytest.raises(DataError, match=r"--map|map=") as caught:
        read_runs(source)
    assert "config.learning_rate" in str(caught.value).splitlines()[-1]
    runs = read_runs(source, map=mapped)
    assert same(runs)
    assert runs.loss_kind == "validation"
    assert runs.name.tolist() == [f"run-{k}" for k in range(4)]


def test_what_diverged_is_known_in_a_summary_of_python(tmp_path: Path) -> None:
    path = tmp_path / "x.csv"
    cells = ["{'loss': nan, 'best': -inf}", "{'loss': 2.9, 'best': -1.5}", "{'x': f()}"]
    rows = [f'"{cell}",1e-3,65536,2e8,4e9' for cell in cells]
    path.write_text("\n".join(["summary,lr,batch,params,tokens", *rows]))
    runs = read_runs(path)
    assert runs.diverged.tolist() == [True, False]
    (dropped,) = runs.dropped
    assert (dropped.line, dropped.reason.split(":")[0]) == (4, "empty cell")


def test_a_config_is_parsed_and_never_run(tmp_path: Path) -> None:
    path = tmp_path / "x.csv"
    bad = "{'lr': __import__('os').system('true')}"
    path.write_text(
        "config,batch,params,tokens,loss,lr\n" + f'"{bad}",65536,2e8,4e9,2.9,1e-3\n',
        encoding="utf-8",
    )
    assert len(read_runs(path)) == 1


def test_lines_that_are_no_runs_are_listed(tmp_path: Path) -> None:
    path = tmp_path / "log.jsonl"
    lines = ["started", '{"event": 1', "[1]", *map(json.dumps, records()), '"x"']
    path.write_text("\n".join(lines), encoding="utf-8")
    runs = read_runs(path)
    assert same(runs)
    assert [item.line for item in runs.dropped] == [1, 2, 3, 8]

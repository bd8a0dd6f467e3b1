"""SQLite files: a storage of Optuna, a tracking store of MLflow, or a table of runs.

They are read by Python's own sqlite3, so that neither package is needed and nothing is
ever written: a storage opened by Optuna would get tables where it has none. Columns
have the names that both packages give them in their data frames.
"""

from __future__ import annotations

import hashlib
import json
import os
import re
import sqlite3
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from surrogate.base.errors import DataError
from surrogate.base.units import quote
from surrogate.data.readers.formats.content import (
    MOST_BYTES,
    check_size,
    printable,
    too_large,
)
from surrogate.data.readers.formats.csv import Table
from surrogate.data.readers.formats.records import from_records

ENDINGS = (".db", ".sqlite", ".sqlite3")
_URL = re.compile(r"([a-z][a-z0-9]*)(?:\+[a-z0-9]+)?:/+(.*)", re.IGNORECASE)
_OPTUNA = {"studies", "trials", "trial_params", "trial_values"}
_MLFLOW = {"runs", "params", "latest_metrics"}
_VALUES = {"INF_POS": "inf", "INF_NEG": "-inf"}
_MANY = 6


def is_database(source: str | os.PathLike[str]) -> bool:
    """Whether a name is a URL of a database, or ends like a file of SQLite."""
    text = os.fspath(source)
    return _URL.fullmatch(text) is not None or text.partition("#")[0].endswith(ENDINGS)


def read_database(source: str | os.PathLike[str]) -> Table:
    """The trials of a study, the runs of a tracking store, or the rows of a table.

    Args:
        source: a path, or a URL that begins with sqlite:///; behind a # the name of one
            of several studies, experiments or tables.

    Raises:
        DataError: it is none of these, holds several and none is named, or cannot be
            read.
    """
    path, part = _path_of(os.fspath(source))
    file = printable(path)
    if not path.is_file():
        raise DataError(
            f"{file}: expected a file of SQLite, but there is none. Correct the path."
        )
    if path.stat().st_size > MOST_BYTES:
        raise too_large(file, path.stat().st_size)
    digest = hashlib.sha256(path.read_bytes()).hexdigest()
    try:
        link = sqlite3.connect(f"{path.resolve().as_uri()}?mode=ro", uri=True)
    except sqlite3.Error as error:
        raise _broken(file, error) from error
    try:
        names = {row[0] for row in link.execute("SELECT name FROM sqlite_master")}
        if names >= _OPTUNA:
            return _optuna(link, file, digest, part)
        if names >= _MLFLOW:
            return _mlflow(link, file, digest, part)
        return _rows(link, file, digest, part)
    except (sqlite3.Error, ValueError) as error:
        if isinstance(error, DataError):
            raise
        raise _broken(file, error) from error
    finally:
        link.close()


def _path_of(text: str) -> tuple[Path, str]:
    """The file that a path or URL names, and the study or experiment behind a #."""
    found = _URL.fullmatch(text)
    if found and found[1].lower() != "sqlite":
        raise DataError(
            f"{printable(_safe(text))}: expected a file of SQLite, got a URL of "
            f"{quote(found[1])}. Export it: study.trials_dataframe().to_csv('runs.csv')"
            " or mlflow.search_runs().to_csv('runs.csv')."
        )
    name, _, part = (found[2] if found else text).partition("#")
    # A path on the command line has lost the slashes that tell it absolute.
    is_lost = found is not None and not os.path.exists(name)
    is_absolute = is_lost and os.path.exists(f"/{name}")
    return Path(f"/{name}" if is_absolute else name), part


def _safe(url: str) -> str:
    """A URL without what may be a password."""
    return re.sub(r"(:/+[^:@/]*):[^@/]*@", r"\1:...@", url)


def _broken(file: str, error: Exception) -> DataError:
    said = " ".join(str(error).split())[:120]
    return DataError(
        f"{file}: expected a database of SQLite, got one that cannot be read "
        f"so ({said}). Export the runs as CSV."
    )


def _one(file: str, kind: str, names: Mapping[int, str], part: str) -> int:
    """Of several studies or experiments the one that is meant.

    Raises:
        DataError: there is none, it is unknown, or several and none is named.
    """
    if part:
        chosen = [key for key, name in names.items() if name == part]
    else:
        chosen = list(names)
    if len(chosen) == 1:
        return chosen[0]
    some = ", ".join(quote(str(name)) for name in list(names.values())[:_MANY])
    what = f"the name of one {kind}" if part or names else f"a {kind}"
    raise DataError(
        f"{file}: expected {what}, got {quote(part) if part else len(names)} where it "
        f"has {some or 'none'}. Name one: {file}#NAME."
    )


def _rows(link: sqlite3.Connection, file: str, digest: str, part: str) -> Table:
    """A table of somebody's own."""
    kinds = "type IN ('table', 'view') AND name NOT LIKE 'sqlite\\_%' ESCAPE '\\'"
    found = link.execute(f"SELECT name FROM sqlite_master WHERE {kinds}").fetchall()
    names = {k: str(name) for k, (name,) in enumerate(found)}
    name = names[_one(file, "table", names, part)]
    spelled = '"' + name.replace('"', '""') + '"'
    (count,) = link.execute(f"SELECT count(*) FROM {spelled}").fetchone()
    rows = link.execute(f"SELECT * FROM {spelled}")
    header = [str(column[0]) for column in rows.description]
    check_size(file, count, len(header))
    records: dict[int, dict[str, Any]] = {}
    for k, row in enumerate(rows):
        if any(isinstance(cell, bytes) for cell in row):
            raise DataError(
                f"{file}: expected numbers and texts in table {quote(name)}, got bytes "
                f"in row {k + 1}. Export the runs as CSV."
            )
        records[k] = dict(zip(header, row, strict=True))
    note = f"{file}: rows of table {quote(name)} of SQLite"
    return _table(file, digest, records, note)


def _optuna(link: sqlite3.Connection, file: str, digest: str, part: str) -> Table:
    studies = dict(link.execute("SELECT study_id, study_name FROM studies").fetchall())
    study = _one(file, "study", studies, part)
    trials = link.execute(
        "SELECT trial_id, number, state FROM trials WHERE study_id = ? ORDER BY number",
        (study,),
    ).fetchall()
    records: dict[int, dict[str, Any]] = {
        trial: {"number": number, "state": state} for trial, number, state in trials
    }
    check_size(file, len(records), 1)
    objectives = dict.fromkeys(
        row[0] for row in link.execute("SELECT objective FROM trial_values")
    )
    values = link.execute(
        "SELECT trial_id, objective, value, value_type FROM trial_values"
    )
    for trial, objective, value, kind in values:
        name = "value" if len(objectives) == 1 else f"values_{objective}"
        if trial in records:
            records[trial][name] = _VALUES.get(kind, value)
    params = link.execute(
        "SELECT trial_id, param_name, param_value, distribution_json FROM trial_params"
    )
    for trial, name, value, how in params:
        if trial in records:
            records[trial][f"params_{name}"] = _choice(value, how)
    attributes = link.execute(
        "SELECT trial_id, key, value_json FROM trial_user_attributes"
    )
    for trial, key, value in attributes:
        if trial in records:
            records[trial][f"user_attrs_{key}"] = json.loads(value)
    note = f"{file}: trials of study {quote(str(studies[study]))} of Optuna"
    return _table(file, digest, records, note)


def _choice(value: float, how: str) -> Any:
    """A parameter as it was suggested: a choice is stored by its place."""
    about = json.loads(how)
    attributes = about.get("attributes", {})
    if "choices" in attributes:
        return attributes["choices"][int(value)]
    return int(value) if about.get("name", "").startswith("Int") else value


def _mlflow(link: sqlite3.Connection, file: str, digest: str, part: str) -> Table:
    runs = link.execute(
        "SELECT run_uuid, name, status, experiment_id FROM runs "
        "WHERE lifecycle_stage = 'active'"
    ).fetchall()
    named = dict(link.execute("SELECT experiment_id, name FROM experiments").fetchall())
    used = {key: name for key, name in named.items() if key in {r[3] for r in runs}}
    chosen = _one(file, "experiment", used, part)
    records: dict[str, dict[str, Any]] = {
        run: {"run_id": run, "run_name": name, "status": status}
        for run, name, status, experiment in runs
        if experiment == chosen
    }
    for run, key, value in link.execute("SELECT run_uuid, key, value FROM params"):
        if run in records:
            records[run][f"params.{key}"] = value
    metrics = link.execute("SELECT run_uuid, key, value, is_nan FROM latest_metrics")
    for run, key, value, is_nan in metrics:
        if run in records:
            records[run][f"metrics.{key}"] = "nan" if is_nan else value
    # `run_id` tells them apart; the name is the user's.
    for record in records.values():
        record["tags.mlflow.runName"] = record.pop("run_name")
    note = f"{file}: runs of experiment {quote(str(used[chosen]))} of MLflow"
    return _table(file, digest, records, note)


def _table(
    file: str, digest: str, records: Mapping[Any, Mapping[str, Any]], note: str
) -> Table:
    numbered = [(k + 1, record) for k, record in enumerate(records.values())]
    return from_records(file, digest, numbered, notes=[note])

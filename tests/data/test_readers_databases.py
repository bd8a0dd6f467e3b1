"""SQLite files of Optuna and MLflow are read as their exports are, and never written.

The tables are made with the columns that optuna/storages/_rdb/models.py and
mlflow/store/tracking/dbmodels/models.py give them; with the real packages the last test
holds that (it skips without).
"""

from __future__ import annotations

import json
import sqlite3
from contextlib import closing
from pathlib import Path

import numpy as np
import pytest

from surrogate.base.errors import DataError
from surrogate.cli.main import main
from surrogate.data.readers import read_runs

LR = (1e-3, 2e-3, 4e-3)
MAP = {"batch": "params_batch*1", "params": "124M", "tokens": "2.6B"}


def optuna_file(path: Path, studies: tuple[str, ...] = ("sweep",)) -> Path:
    with closing(sqlite3.connect(path)) as link:
        link.executescript(
            "CREATE TABLE studies (study_id INTEGER, study_name TEXT);"
            "CREATE TABLE trials (trial_id INTEGER, number INTEGER, study_id INTEGER,"
            " state TEXT, datetime_start TEXT, datetime_complete TEXT);"
            "CREATE TABLE trial_params (param_id INTEGER, trial_id INTEGER,"
            " param_name TEXT, param_value REAL, distribution_json TEXT);"
            "CREATE TABLE trial_values (trial_value_id INTEGER, trial_id INTEGER,"
            " objective INTEGER, value REAL, value_type TEXT);"
            "CREATE TABLE trial_user_attributes (trial_user_attribute_id INTEGER,"
            " trial_id INTEGER, key TEXT, value_json TEXT);"
        )
        choices = json.dumps({"name": "CategoricalDistribution",
                              "attributes": {"choices": [65536, 131072]}})  # fmt: skip
        floats = json.dumps({"name": "FloatDistribution", "attributes": {}})
        for s, study in enumerate(studies, 1):
            link.execute("INSERT INTO studies VALUES (?, ?)", (s, study))
            for k, lr in enumerate((*LR, 8e-3)):
                trial = 10 * s + k
                state = "FAIL" if k == 3 else "COMPLETE"
                link.execute("INSERT INTO trials VALUES (?,?,?,?,?,?)",
                             (trial, k, s, state, "", ""))  # fmt: skip
                for name, value, how in (("lr", lr, floats), ("batch", 1.0, choices)):
                    link.execute("INSERT INTO trial_params VALUES (?,?,?,?,?)",
                                 (0, trial, name, value, how))  # fmt: skip
                kind = "INF_POS" if k == 2 else "FINITE"
                value = None if k == 2 else 2.9 + k / 10
                if state == "COMPLETE":
                    link.execute("INSERT INTO trial_values VALUES (?,?,?,?,?)",
                                 (0, trial, 0, value, kind))  # fmt: skip
        link.commit()
    return path


def mlflow_file(path: Path) -> Path:
    with closing(sqlite3.connect(path)) as link:
        link.executescript(
            "CREATE TABLE experiments (experiment_id INTEGER, name TEXT);"
            "CREATE TABLE runs (run_uuid TEXT, name TEXT, status TEXT,"
            " lifecycle_stage TEXT, experiment_id INTEGER);"
            "CREATE TABLE params (key TEXT, value TEXT, run_uuid TEXT);"
            "CREATE TABLE latest_metrics (key TEXT, value REAL, timestamp INTEGER,"
            " step INTEGER, is_nan INTEGER, run_uuid TEXT);"
            "INSERT INTO experiments VALUES (0, 'Default'), (1, 'sweep');"
        )
        for k, lr in enumerate(LR):
            run = f"{k:032x}"
            stage = "active" if k < 2 else "deleted"
            link.execute("INSERT INTO runs VALUES (?,?,'FINISHED',?,1)",
                         (run, f"run-{k}", stage))  # fmt: skip
            settings = {"learning_rate": lr, "batch_tokens": 65536, "n_params": "2e8",
                        "train_tokens": "4e9"}  # fmt: skip
            for key, value in settings.items():
                link.execute(
                    "INSERT INTO params VALUES (?,?,?)", (key, str(value), run)
                )
            link.execute("INSERT INTO latest_metrics VALUES ('val_loss',?,0,9,0,?)",
                         (2.9 + k / 10, run))  # fmt: skip
        link.commit()
    return path


def test_a_storage_of_optuna_is_read(tmp_path: Path) -> None:
    path = optuna_file(tmp_path / "study.db")
    before = path.read_bytes()
    for source in (path, f"sqlite:///{path}", Path(f"sqlite:///{path}")):
        runs = read_runs(source, map=MAP)
        assert runs.lr.tolist() == list(LR)
        # The second choice of two, and a value that is infinite.
        assert set(runs.batch) == {131072.0}
        np.testing.assert_array_equal(runs.loss[:2], [2.9, 3.0])
        assert runs.diverged.tolist() == [False, False, True]
        assert [item.value for item in runs.dropped] == ["FAIL"]
    assert path.read_bytes() == before
    assert [p.name for p in tmp_path.iterdir()] == ["study.db"]


def test_one_of_several_studies_is_named(tmp_path: Path) -> None:
    path = optuna_file(tmp_path / "study.db", ("a", "b"))
    with pytest.raises(DataError, match=r"one study, got 2 where it has 'a', 'b'"):
        read_runs(path)
    with pytest.raises(DataError, match=r"got 'c' where it has 'a', 'b'. Name one"):
        read_runs(f"{path}#c")
    runs = read_runs(f"{path}#b", map=MAP)
    assert any("study 'b'" in note for note in runs.notes)


def test_a_tracking_store_of_mlflow_is_read(tmp_path: Path) -> None:
    path = mlflow_file(tmp_path / "mlflow.db")
    runs = read_runs(path)
    assert runs.lr.tolist() == list(LR[:2])
    assert set(runs.params) == {2e8}
    assert any("experiment 'sweep'" in note for note in runs.notes)
    assert main(["check", f"sqlite:///{path}"]) == 0


def test_wrong_databases_are_refused(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(DataError, match="but there is none"):
        read_runs(tmp_path / "none.db")
    assert not (tmp_path / "none.db").exists()
    (tmp_path / "text.db").write_text("lr,loss\n")
    with pytest.raises(DataError, match=r"cannot be read so .file is not a database"):
        read_runs(tmp_path / "text.db")
    with closing(sqlite3.connect(tmp_path / "other.db")) as link:
        link.execute("CREATE TABLE cats (name TEXT)")
        link.execute("CREATE TABLE dogs (name TEXT)")
        link.commit()
    with pytest.raises(DataError, match="got 2 where it has 'cats', 'dogs'"):
        read_runs(tmp_path / "other.db")
    with pytest.raises(DataError, match="expected records of runs, got none"):
        read_runs(f"{tmp_path / 'other.db'}#cats")
    (tmp_path / "none.sqlite").touch()
    with pytest.raises(DataError, match="expected a table, got 0 where it has none"):
        read_runs(tmp_path / "none.sqlite")
    with closing(sqlite3.connect(tmp_path / "old.db")) as link:
        for name in ("studies", "trials", "trial_params", "trial_values"):
            link.execute(f"CREATE TABLE {name} (x TEXT)")
        link.commit()
    with pytest.raises(DataError, match="no such column"):
        read_runs(tmp_path / "old.db")
    for url in ("postgresql://me:secret@host/db", "mysql+pymysql://me:secret@host/db"):
        assert main(["check", url]) == 2
        err = capsys.readouterr().err
        assert "trials_dataframe()" in err
        assert "secret" not in err


def test_a_real_storage_is_read_so(tmp_path: Path) -> None:
    optuna = pytest.importorskip("optuna", reason="optuna is not installed")
    optuna.logging.disable_default_handler()
    url = f"sqlite:///{tmp_path / 'study.db'}"
    study = optuna.create_study(storage=url, study_name="sweep")

    def objective(trial: object) -> float:
        lr = trial.suggest_float("lr", 1e-4, 1e-2, log=True)  # type: ignore[attr-defined]
        trial.suggest_categorical("batch", [65536, 131072])  # type: ignore[attr-defined]
        return 2.9 + lr

    study.optimize(objective, n_trials=5)
    runs = read_runs(url, map=MAP)
    assert runs.lr.tolist() == [trial.params["lr"] for trial in study.trials]
    assert runs.batch.tolist() == [trial.params["batch"] for trial in study.trials]
    assert runs.loss.tolist() == [trial.value for trial in study.trials]

"""Folders of runs: each run's own files, as Hydra, Trainer and W&B leave them."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from surrogate import DataError, read_runs
from surrogate.data.readers.formats.folders import read_folder
from surrogate.data.readers.formats.plain_yaml import parse_yaml

SETTINGS = [(1e-3, 3.1), (2e-3, 3.0), (4e-3, 3.2)]
HYDRA = """\
# the defaults
optim:
  lr: {lr}   # peak
  betas: [0.9, 0.95]
data:
  seq_len: 2048
train:
  global_batch_size: 64
  total_tokens: 1_200_000_000
model:
  "n_params": 60e6
notes: |
  lr: 7 was tried
  before
name: 'a: b'
"""


def write(path: Path, text: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text, encoding="utf-8")


def test_hydras_multirun(tmp_path: Path) -> None:
    for k, (lr, loss) in enumerate(SETTINGS):
        run = tmp_path / "multirun" / "2026-01-02" / "03-04-05" / str(k)
        write(run / ".hydra" / "config.yaml", HYDRA.format(lr=lr))
        write(run / ".hydra" / "hydra.yaml", "hydra:\n  lr: 9\n")
        write(run / "metrics.json", json.dumps({"val_loss": loss, "lr": lr}))
        write(run / "checkpoint-10" / "config.json", '{"lr": 8}')
        write(run.parent / "multirun.yaml", "lr: 1,2,3\n")
    runs = read_runs(tmp_path / "multirun")
    assert runs.lr.tolist() == [lr for lr, _ in SETTINGS]
    assert runs.loss.tolist() == [loss for _, loss in SETTINGS]
    assert set(runs.batch) == {64 * 2048.0}
    assert set(runs.params) == {60e6}
    assert set(runs.tokens) == {1.2e9}
    assert any("a folder of runs: 3 of them, from 6 files" in x for x in runs.notes)


def test_wandbs_own_folders(tmp_path: Path) -> None:
    for k, (lr, loss) in enumerate(SETTINGS):
        files = tmp_path / f"offline-run-{k}" / "files"
        config = f"lr:\n  desc: null\n  value: {lr}\n_wandb:\n  value:\n    t: 1\n"
        rest = "".join(
            f"{name}:\n  value: {value}\n"
            for name, value in (("batch", 65536), ("params", 60000000), ("tokens", 2e9))
        )
        write(files / "config.yaml", config + rest)
        write(files / "wandb-summary.json", json.dumps({"val_loss": loss, "_step": 9}))
        write(files / "wandb-metadata.json", '{"lr": 5}')
    runs = read_runs(tmp_path)
    assert runs.lr.tolist() == [lr for lr, _ in SETTINGS]
    assert runs.loss.tolist() == [loss for _, loss in SETTINGS]


def test_trainers_outputs(tmp_path: Path) -> None:
    for k, (lr, loss) in enumerate(SETTINGS):
        log = [{"learning_rate": lr, "loss": 5.0}, {"eval_loss": loss}]
        state = {"log_history": log, "global_step": 90, "max_steps": 90}
        write(tmp_path / f"r{k}" / "trainer_state.json", json.dumps(state))
        more = {"batch": 65536, "params": 600000, "tokens": 90 * 65536}
        write(tmp_path / f"r{k}" / "args.json", json.dumps(more))
        write(tmp_path / f"r{k}" / "tokenizer.json", '{"lr": 4}')
    runs = read_runs(tmp_path, map={"loss": "eval_loss"})
    assert runs.lr.tolist() == [lr for lr, _ in SETTINGS]
    assert runs.loss.tolist() == [loss for _, loss in SETTINGS]


def record(lr: float, loss: float) -> str:
    sizes = {"batch": 65536, "params": 60000000, "tokens": 2000000000}
    return json.dumps({"lr": lr, **sizes, "loss": loss})


def test_a_file_a_run(tmp_path: Path) -> None:
    for k, each in enumerate(SETTINGS):
        write(tmp_path / f"r{k}.json", record(*each))
    runs = read_runs(tmp_path)
    assert (len(runs), list(runs.name)) == (3, ["r0", "r1", "r2"])
    again = read_runs([tmp_path / f"r{k}.json" for k in range(3)])
    assert again.loss.tolist() == runs.loss.tolist()


def test_the_last_line_of_a_log_is_the_run(tmp_path: Path) -> None:
    for k, each in enumerate(SETTINGS):
        write(
            tmp_path / str(k) / "log.jsonl",
            f"{record(each[0], 9.0)}\n{record(*each)}\n",
        )
    assert read_runs(tmp_path).loss.tolist() == [loss for _, loss in SETTINGS]


def test_what_two_files_say_differently_is_kept_apart(tmp_path: Path) -> None:
    write(tmp_path / "a" / "config.json", '{"lr": 0.001, "seed": 1}')
    write(tmp_path / "a" / "end.json", '{"lr": 0.0001, "seed": "1"}')
    table = read_folder(tmp_path)
    assert table.header == ("run", "lr", "seed", "end.lr")


def test_folders_that_hold_no_runs_are_refused(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"got a directory\. Name the file in"):
        read_runs(tmp_path)
    write(tmp_path / "sweep.csv", "lr\n1\n")
    with pytest.raises(DataError, match='inside it, such as "sweep'):
        read_runs(tmp_path)
    write(tmp_path / "manifest.json", "{}")
    with pytest.raises(DataError, match="a directory that is a fit"):
        read_runs(tmp_path)


def test_a_broken_file_is_named(tmp_path: Path) -> None:
    write(tmp_path / "a" / "end.json", '{"lr": ')
    with pytest.raises(DataError, match=r"a/end\.json line 1: expected JSON"):
        read_runs(tmp_path)


def test_plain_yaml() -> None:
    text = HYDRA.format(lr="3e-4") + "empty:\nlist:\n  - lr: 5\n\ttab: 1\nnone: null\n"
    found = parse_yaml(text)
    assert found["optim"] == {"lr": "3e-4", "betas": "[0.9, 0.95]"}
    assert found["model"] == {"n_params": "60e6"}
    assert (found["notes"] if "notes" in found else None) is None
    assert (found["name"], found["none"], found["empty"]) == ("a: b", None, {})


def test_columns_that_say_the_same_are_one(tmp_path: Path) -> None:
    path = tmp_path / "runs.csv"
    lines = ["config.lr,summary.lr,batch,params,tokens,loss"]
    lines += [f"{lr},{lr},65536,6e7,2e9,{loss}" for lr, loss in SETTINGS]
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")
    assert read_runs(path).lr.tolist() == [lr for lr, _ in SETTINGS]
    path.write_text("\n".join([*lines, "1e-3,1e-4,65536,6e7,2e9,3.3"]) + "\n")
    with pytest.raises(DataError, match="2 columns could be lr"):
        read_runs(path)

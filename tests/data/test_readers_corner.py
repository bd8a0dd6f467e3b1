"""Columns, units and shapes of tables that no tool's own export has.

One small sweep is written as people write it; what is read must be the sweep, at once
or after the command of the refusal.
"""

from __future__ import annotations

import json
import math
import re
import shlex
from collections.abc import Callable
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from surrogate import DataError, Runs, read_runs

LENGTH = 2048
Row = dict[str, Any]
Cell = Callable[[Row], Any]


def sweep() -> list[Row]:
    """18 runs of two sizes, 3 lr and 3 batches."""
    return [
        {
            "lr": lr,
            "seqs": seqs,
            "batch": seqs * LENGTH,
            "params": params,
            "tokens": tokens,
            "steps": tokens // (seqs * LENGTH),
            "loss": round(3 + 0.1 * k + 0.01 * j + 2e7 / params, 4),
        }
        for params, tokens in (
            (60_000_000, 4578 * 262144),
            (350_000_000, 26703 * 2**18),
        )
        for k, lr in enumerate((5e-4, 2e-3, 8e-3))
        for j, seqs in enumerate((32, 64, 128))
    ]


def of(name: str) -> Cell:
    return lambda row: row[name]


def always(value: Any) -> Cell:
    return lambda row: value


LR, BATCH, PARAMS, TOKENS, LOSS = map(of, ("lr", "batch", "params", "tokens", "loss"))
PLAIN: dict[str, Cell] = {
    "lr": LR, "batch": BATCH, "params": PARAMS, "tokens": TOKENS, "loss": LOSS,
}  # fmt: skip


def table(columns: dict[str, Cell], mark: str = ",") -> str:
    lines = [mark.join(columns)]
    for row in sweep():
        cells = [str(cell(row)) for cell in columns.values()]
        lines.append(mark.join(f'"{x}"' if mark in x else x for x in cells))
    return "\n".join(lines) + "\n"


def flags_of(error: DataError) -> dict[str, Any]:
    """The flags of a refusal as arguments."""
    words = shlex.split(str(error).rpartition("Type: ")[2])
    found: dict[str, Any] = {"map": {}}
    for flag, value in pairwise(words):
        if flag == "--map":
            role, _, text = value.partition("=")
            found["map"][role] = text
        elif flag in ("--finished", "--failed"):
            found[flag[2:]] = value.split(",")
        elif flag == "--fill-down":
            found["fill_down"] = value
    return found


def read(folder: Path, text: str, **how: Any) -> Runs:
    path = folder / "runs.csv"
    path.write_text(text, encoding="utf-8")
    return read_runs(path, **how)


def refused(folder: Path, text: str, **how: Any) -> DataError:
    with pytest.raises(DataError) as caught:
        read(folder, text, **how)
    return caught.value


def assert_is_sweep(runs: Runs, without: set[int] = frozenset()) -> None:  # type: ignore[assignment]
    rows = [row for k, row in enumerate(sweep()) if k not in without]
    for key in PLAIN:
        wanted = np.array([row[key] for row in rows])
        np.testing.assert_allclose(getattr(runs, key), wanted, rtol=2e-6, err_msg=key)


def swap(old: str, new: str, cell: Cell) -> dict[str, Cell]:
    """The plain columns with one under another name."""
    return {new if key == old else key: cell if key == old else value
            for key, value in PLAIN.items()}  # fmt: skip


def sequences(**more: Cell) -> dict[str, Cell]:
    return {
        "lr": LR,
        "n_params": PARAMS,
        "val_loss": LOSS,
        "seq_len": always(2048),
    } | more


AT_ONCE: dict[str, dict[str, Cell]] = {
    "aim": {"run.hparams.learning_rate": LR, "run.hparams.batch_size": of("seqs"),
            "run.hparams.seq_len": always(2048), "run.hparams.n_params": PARAMS,
            "run.hparams.total_tokens": TOKENS, "val_loss": LOSS},
    "neptune": {"parameters/lr": LR, "parameters/batch_size": of("seqs"),
                "parameters/seq_len": always(2048), "parameters/n_params": PARAMS,
                "parameters/total_tokens": TOKENS, "metrics/val/loss (last)": LOSS},
    "clearml": {"hyperparams.Args.lr": LR, "hyperparams.Args.batch_size": of("seqs"),
                "hyperparams.Args.seq_len": always(2048),
                "hyperparams.Args.n_params": PARAMS,
                "hyperparams.Args.total_tokens": TOKENS, "last_metrics.val.loss": LOSS},
    "litgpt": {"optimizer.init_args.lr": LR, "train.global_batch_size": of("seqs"),
               "train.max_seq_length": always(2048), "train.max_tokens": TOKENS,
               "params": PARAMS, "val_loss": LOSS},
    "dvc": {"eval.loss": LOSS, "train.lr": LR, "train.batch_size": of("seqs"),
            "train.seq_len": always(2048), "model.n_params": PARAMS,
            "train.tokens": TOKENS},
    "german": {"Lernrate": LR, "Batchgröße (Token)": BATCH, "Parameter": PARAMS,
               "Trainingstoken": TOKENS, "Validierungsverlust": LOSS},
    "chinese": {"学习率": LR, "批大小 (tokens)": BATCH, "参数量": PARAMS,
                "训练token数": TOKENS, "验证损失": LOSS},
    "words in cells": {"lr": lambda r: f"{r['lr']} (peak)",
                       "batch": lambda r: f"{r['batch']:,} tokens", "params": PARAMS,
                       "tokens": TOKENS, "loss": lambda r: f"{r['loss']} nats"},
    "decimal commas": {"lr": lambda r: f"{r['lr']:.4f}".replace(".", ","),
                       "batch": BATCH, "params": PARAMS, "tokens": TOKENS,
                       "loss": lambda r: f"{r['loss']:.5f}".replace(".", ",")},
}  # fmt: skip


@pytest.mark.parametrize("name", AT_ONCE)
def test_what_is_read_without_a_flag(tmp_path: Path, name: str) -> None:
    assert_is_sweep(read(tmp_path, table(AT_ONCE[name])))


def accumulated(row: Row) -> int:
    return row["seqs"] // 32


DEVICE = {"per_device_train_batch_size": always(4),
          "gradient_accumulation_steps": accumulated}  # fmt: skip
AFTER_A_PASTE: dict[str, dict[str, Cell]] = {
    "processes": sequences(**DEVICE, num_processes=always(8), max_steps=of("steps")),
    "nodes": sequences(**{**DEVICE, "per_device_train_batch_size": always(2)},
                       nodes=always(2), gpus_per_node=always(8), max_steps=of("steps")),
    "groups": sequences(**{"micro-batch-size": always(4), "grad-acc": accumulated,
                                  "dp-size": always(8), "n_gpus": always(16),
                                  "train-iters": of("steps")}),
    "trainer": sequences(**DEVICE, train_batch_size=always(4), world_size=always(8),
                         max_steps=of("steps")),
    "devices are the factor": sequences(batch_size=lambda r: r["seqs"] // 8,
                                        n_gpus=always(8), steps=of("steps"),
                                        tokens=TOKENS),
    "tokens called sequences": sequences(global_batch_size=BATCH, tokens=TOKENS),
    "llm.c": sequences(total_batch_size=BATCH, max_steps=of("steps")),
    "papers": {"N": PARAMS, "D": TOKENS, "B": BATCH, "eta": LR, "L": LOSS},
    "log10": swap("lr", "log10(lr)", lambda r: math.log10(r["lr"])),
    "behind": swap("lr", "lr (log10)", lambda r: math.log10(r["lr"])),
    "negative": swap("lr", "-log10(lr)", lambda r: -math.log10(r["lr"])),
    "natural": swap("lr", "ln_lr", lambda r: math.log(r["lr"])),
    "log2 batch": swap("batch", "log2_batch", lambda r: math.log2(r["batch"])),
    "lr times": swap("lr", "lr x1e4", lambda r: r["lr"] * 1e4),
    "lr in": swap("lr", "lr (1e-4)", lambda r: r["lr"] * 1e4),
    "base and multiple": {"base_lr": always(1e-3), "lr_mult": lambda r: r["lr"] / 1e-3,
                          "batch": BATCH, "params": PARAMS, "tokens": TOKENS,
                          "loss": LOSS},
    "points part thousands": swap("batch", "batch", lambda r: r["batch"] / 1000),
    "size": swap("params", "model size (M params)", lambda r: r["params"] / 1e6),
    "suffix": swap("params", "n_params_m", lambda r: r["params"] / 1e6),
    "glued": swap("tokens", "tokens [Gtok]", lambda r: r["tokens"] / 1e9),
    "binary": swap("batch", "batch (Ki tokens)", lambda r: r["batch"] // 1024),
    "bare millions": swap("params", "params", lambda r: r["params"] / 1e6),
    "bare billions": swap("tokens", "tokens", lambda r: r["tokens"] / 1e9),
    "both bare": {**PLAIN, "params": lambda r: r["params"] / 1e6,
                  "tokens": lambda r: r["tokens"] / 1e9},
    "flops": swap("tokens", "FLOPs (1e18)",
                  lambda r: 6 * r["params"] * r["tokens"] / 1e18),
    "days": swap("tokens", "compute (PF-days)",
                 lambda r: 6 * r["params"] * r["tokens"] / 8.64e19),
    "ratio": swap("tokens", "tok/param", lambda r: r["tokens"] / r["params"]),
    "samples": {"lr": LR, "params": PARAMS, "loss": LOSS, "seq_len": always(2048),
                "global_batch_size": of("seqs"),
                "samples_seen": lambda r: r["tokens"] // 2048},
    "two counts": {**PLAIN, "params": lambda r: r["params"] + 40_000_000,
                   "n_params_non_emb": PARAMS},
    "two of one name": {**PLAIN, "loss ": lambda r: r["loss"] + 1},
    "parts of a loss": {**swap("loss", "val_loss_step", lambda r: r["loss"] + 1),
                        "val_loss_epoch": LOSS},
    "objective": swap("loss", "FinalObjectiveValue", LOSS),
}  # fmt: skip


@pytest.mark.parametrize("name", AFTER_A_PASTE)
def test_what_is_read_after_one_paste(tmp_path: Path, name: str) -> None:
    text = table(AFTER_A_PASTE[name])
    error = refused(tmp_path, text)
    assert_is_sweep(read(tmp_path, text, **flags_of(error)))


def test_devices_that_no_column_counts_are_asked(tmp_path: Path) -> None:
    text = table(sequences(**DEVICE, max_steps=of("steps")))
    error = refused(tmp_path, text)
    assert "DEVICES by 8 (1 where one device trains)" in str(error)
    assert "per_device_train_batch_size*DEVICES*gradient_acc" in str(error)


def test_the_base_of_a_logarithm_is_asked_where_it_is_unknown(tmp_path: Path) -> None:
    error = refused(
        tmp_path, table(swap("lr", "log_lr", lambda r: math.log10(r["lr"])))
    )
    assert "lr=BASE^log_lr" in str(error)
    assert "Which base the logarithm has, its name does not say" in str(error)
    natural = table(swap("lr", "log_lr", lambda r: math.log(r["lr"])))
    assert_is_sweep(read(tmp_path, natural, **flags_of(refused(tmp_path, natural))))


def test_a_batch_beside_several_devices_is_doubted(tmp_path: Path) -> None:
    columns = sequences(batch_size=of("seqs"), n_gpus=always(8), tokens=TOKENS)
    runs = read(tmp_path, table(columns))
    assert any("'n_gpus' says that several devices" in text for text in runs.warnings)
    columns = sequences(batch_size=of("seqs"), n_gpus=always(1), tokens=TOKENS)
    assert not any(
        "devices" in text for text in read(tmp_path, table(columns)).warnings
    )
    whole = sequences(global_batch_size=of("seqs"), n_gpus=always(8), tokens=TOKENS)
    assert not any("devices" in text for text in read(tmp_path, table(whole)).warnings)


def test_an_lr_logged_in_training_is_doubted(tmp_path: Path) -> None:
    error = refused(tmp_path, table(swap("lr", "train/learning_rate", LR)))
    assert "at its end it is the peak only if lr is constant" in str(error)


UNITS = [
    ("[-],[tokens],[M],[B],[nats]", 1, 1e6, 1e9),
    ("(1e-3),(tokens),(millions),(billions),", 1e-3, 1e6, 1e9),
]


@pytest.mark.parametrize(("line", "of_lr", "of_params", "of_tokens"), UNITS)
def test_a_row_of_units_is_no_run(
    tmp_path: Path, line: str, of_lr: float, of_params: float, of_tokens: float
) -> None:
    columns: dict[str, Cell] = {
        **PLAIN,
        "lr": lambda r: r["lr"] / of_lr,
        "params": lambda r: r["params"] / of_params,
        "tokens": lambda r: r["tokens"] / of_tokens,
    }
    head, _, body = table(columns).partition("\n")
    text = f"{head}\n{line}\n{body}"
    runs = read(tmp_path, text, **flags_of(refused(tmp_path, text)))
    assert_is_sweep(runs)
    assert not runs.dropped
    assert any("line 2 holds units" in note for note in runs.notes)


def test_a_first_run_in_words_is_no_row_of_units(tmp_path: Path) -> None:
    runs = read(tmp_path, "lr,batch,params,tokens,loss\nx,64K,60M,1.2B,3\n"
                          "1e-3,64K,60M,1.2B,3\n2e-3,64K,60M,1.2B,3\n")  # fmt: skip
    assert (len(runs), len(runs.dropped)) == (2, 1)


@pytest.mark.parametrize(
    "head", ["lr={:g}", "lr {:g}", "{:g} (lr)", "{:g}", "loss @ lr={:g}"]
)
def test_a_column_a_learning_rate(tmp_path: Path, head: str) -> None:
    rows = sweep()
    rates = sorted({row["lr"] for row in rows})
    keys = sorted({(row["params"], row["tokens"], row["batch"]) for row in rows})
    loss = {(row["params"], row["batch"], row["lr"]): row["loss"] for row in rows}
    lines = [",".join(["params", "tokens", "batch", *(head.format(x) for x in rates)])]
    for n, d, b in keys:
        cells = [str(loss[n, b, lr]) for lr in rates]
        lines.append(",".join([str(n), str(d), str(b), *cells]))
    runs = read(tmp_path, "\n".join(lines) + "\n")
    assert len(runs) == 18
    found = zip(runs.params, runs.batch, runs.lr, runs.loss, strict=True)
    assert all(loss[int(n), int(b), lr] == x for n, b, lr, x in found)
    assert any("their cells are read as losses" in note for note in runs.notes)


def test_cells_that_stand_once_a_group_are_asked(tmp_path: Path) -> None:
    lines, last = ["params,tokens,batch,lr,loss"], None
    for row in sweep():
        group = (row["params"], row["tokens"])
        cells = ["", ""] if group == last else [str(x) for x in group]
        lines.append(
            ",".join([*cells, str(row["batch"]), str(row["lr"]), str(row["loss"])])
        )
        last = group
    text = "\n".join(lines) + "\n"
    error = refused(tmp_path, text)
    assert "--fill-down params,tokens" in str(error)
    runs = read(tmp_path, text, **flags_of(error))
    assert_is_sweep(runs)
    assert any("32 empty cells" in note for note in runs.notes)
    with pytest.raises(DataError, match="--fill-down: expected columns of"):
        read(tmp_path, text, fill_down="prams")
    with pytest.raises(DataError, match="expected a value in the first row"):
        read(
            tmp_path,
            "lr,batch,params,tokens,loss\n,65536,6e7,2e9,3\n",
            fill_down=["lr"],
        )


def test_a_few_empty_cells_are_missing_values(tmp_path: Path) -> None:
    lines = table(PLAIN).splitlines()
    lines[3] = lines[3].replace("60000000", "")
    runs = read(tmp_path, "\n".join(lines) + "\n")
    assert (len(runs), len(runs.dropped)) == (17, 1)


ENDINGS = [
    ("how it ended", "good", "oom-killed"),
    ("crashed", "False", "True"),
    ("is_killed", "0", "1"),
    ("exit", "done", "timeout"),
]


@pytest.mark.parametrize(("name", "good", "bad"), ENDINGS)
def test_a_column_of_endings_is_asked(
    tmp_path: Path, name: str, good: str, bad: str
) -> None:
    ends = iter([bad if k in (4, 7) else good for k in range(18)])
    text = table({**PLAIN, name: lambda r: next(ends)})
    error = refused(tmp_path, text)
    assert "2 rows may be of runs that did not end" in str(error)
    assert_is_sweep(read(tmp_path, text, **flags_of(error)), {4, 7})


def test_words_that_are_no_endings_are_not_asked(tmp_path: Path) -> None:
    notes = iter(["failed twice before, then fine", *"abcdefghijklmnopq"])
    assert len(read(tmp_path, table({**PLAIN, "note": lambda r: next(notes)}))) == 18


def test_a_side_on_table_whose_first_line_is_a_setting(tmp_path: Path) -> None:
    lines = [",".join([key, *(str(row[key]) for row in sweep())]) for key in PLAIN]
    assert_is_sweep(read(tmp_path, "\n".join(lines) + "\n"))


def test_kilo_in_a_cell_is_said(tmp_path: Path) -> None:
    text = table(swap("batch", "batch", lambda r: f"{r['batch'] // 1024}K"))
    runs = read(tmp_path, text)
    assert any("K is 1,000, Ki 1,024" in note for note in runs.notes)


def test_a_toy_is_still_offered_as_one(tmp_path: Path) -> None:
    text = (
        "lr,batch,params,tokens,loss\n1e-3,256,54000,300000,3\n2e-3,256,54000,3e5,3.1\n"
    )
    error = refused(tmp_path, text)
    assert "--allow small" in str(error).rpartition("Type: ")[2]


def test_columns_behind_unknown_groups_are_proposed(tmp_path: Path) -> None:
    columns = {"a.b.lr": LR, "c/batch": BATCH, "x.params": PARAMS, "y.z.tokens": TOKENS}
    text = table({**columns, "aux/loss": always(0.01), "eval_loss": LOSS})
    error = refused(tmp_path, text)
    assert re.search("lr=a.b.lr", str(error))
    assert_is_sweep(read(tmp_path, text, **flags_of(error)))


def test_a_mapping_in_a_cell_keeps_its_groups(tmp_path: Path) -> None:
    rows = [
        ",".join(
            [
                '"'
                + json.dumps({"optimizer": {"lr": row["lr"]}}).replace('"', '""')
                + '"',
                *(str(row[key]) for key in ("batch", "params", "tokens", "loss")),
            ]
        )
        for row in sweep()
    ]
    text = "\n".join(["config,batch,params,tokens,loss", *rows]) + "\n"
    assert_is_sweep(read(tmp_path, text))

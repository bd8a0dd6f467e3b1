"""Tables as strangers have them: one sweep of six runs, written in some fifty ways.

Each reads with no flag, or with the command that its refusal ends with, its words
in capitals filled in by what the owner knows; then it is the same six runs.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from support.readers import pasted

from surrogate.base.errors import DataError, FlagsError
from surrogate.data import Runs
from surrogate.data.readers import read_runs

FOLDER = Path(__file__).parents[1] / "cases" / "strangers"
LR = [4e-4, 8e-4, 1.6e-3] * 2
BATCH = [131072.0] * 3 + [524288.0] * 3
LOSS = [3.5328, 3.5533, 3.6098, 3.5262, 3.5209, 3.5606]


@dataclass(frozen=True)
class Stranger:
    """A file, what its owner fills in, and what of the sweep it holds.

    `rows` are those of the sweep, `is_asked` whether a command must be pasted, `digits`
    how far the file rounds, `change` what it says otherwise.
    """

    file: str
    is_asked: bool = True
    fill: dict[str, str] = field(default_factory=dict)
    rows: tuple[int, ...] = (0, 1, 2, 3, 4, 5)
    digits: float = 1e-12
    change: dict[str, Any] = field(default_factory=dict)
    dropped: int = 0


def plain(file: str, **more: Any) -> Stranger:
    return Stranger(file, is_asked=False, **more)


LENGTH, SIZES = {"LENGTH": "1024"}, {"PARAMS": "124M", "TOKENS": "2.6B"}
BASE = {"BASE_LOSS": "3.5209"}
GPT2 = 12.0 * 12 * 768 * 768
STRANGERS = (
    # Steps of the log are not those of 2.6B tokens.
    Stranger("01-nanogpt-grep.txt", fill={**LENGTH, **SIZES},
             change={"tokens": [5000 * b for b in BATCH]}),
    plain("02-key-value.log"),
    Stranger("04-wandb-api.csv", digits=1e-3, change={"params": GPT2}),
    Stranger("05-mlflow-experiments.csv", rows=(0, 1, 2, 3, 4), dropped=1),
    Stranger("06-optuna.csv", rows=(0, 2, 3, 5), dropped=2,
             change={"params": 124439808.0}),
    Stranger("09-european.tsv"),
    plain("11-markdown.md", change={"batch": [128e3] * 3 + [512e3] * 3}),
    plain("12-latex.tex"),
    plain("13-latex-cells.csv"),
    plain("14-times-ten.csv"),
    Stranger("15-slurm-names.csv"),
    Stranger("15b-names-eq.csv"),
    Stranger("16-units-in-header.csv"),
    Stranger("16b-units-in-header.csv"),
    Stranger("16c-units-in-header.csv"),
    plain("17-mixed-case.csv"),
    plain("17b-names.csv"),
    plain("17c-names.csv"),
    Stranger("17d-names.csv"),
    plain("19-utf16.csv"),
    plain("20-blank-total.csv"),
    plain("20b-repeated-header.csv"),
    plain("20c-comments.csv"),
    plain("20d-title.csv"),
    plain("21-thousands.csv"),
    plain("21b-thousands-space.csv"),
    plain("22-inf.csv", change={"loss": [*LOSS[:3], *[math.nan] * 3]}, dropped=4),
    Stranger("23-percent.csv", fill=BASE, digits=1e-4),
    Stranger("23b-percent.csv", fill=BASE, digits=1e-4),
    Stranger("23c-delta.csv", fill=BASE),
    Stranger("24-train-val.csv"),
    plain("25-ppl.csv", digits=1e-3),
    Stranger("25b-wikitext-ppl.csv", digits=1e-3),
    plain("26b-bpb.csv", digits=1e-3,
          change={"loss": [x / math.log(2) / 4.2 for x in LOSS]}),
    Stranger("26c-bits.csv", fill={"UNIT": "bits_per_token"}, digits=1e-4),
    Stranger("29-wandb-chart.csv", fill={**LENGTH, **SIZES}, rows=(0, 1, 2),
             change={"tokens": 6000 * 131072.0}),
    Stranger("32-keys.json", fill=SIZES),
    plain("34-pm.csv"),
    plain("34b-paren.csv", digits=1e-3),
    Stranger("35-log2lr.csv", change={"lr": [2.0**-11, 2.0**-10, 2.0**-9] * 2}),
    plain("35b-fractions.csv", change={"lr": [2.0**-12, 2.0**-11, 2.0**-10] * 2}),
    Stranger("36-chinchilla.csv", change={"tokens": 20 * 124e6}),
    plain("37-batch-x.csv"),
    plain("38-transposed.csv"),
    Stranger("39-model-names.csv"),
    Stranger("40-two-lr.csv", change={"lr": [30 * x for x in LR]}),
    Stranger("44-epochs.csv"),
    Stranger("47-hf-argparse.csv", fill=SIZES, digits=1e-3),
)  # fmt: skip
# What can be no table of runs, and the sentence that says so.
NONE = {
    "23d-accuracy.csv": "Without a loss no setting can be told to be better",
    "27-gpt3-table.csv": "Without a loss no setting can be told to be better",
    "27b-palm-table.csv": "Without a loss no setting can be told to be better",
    "30-tensorboard.csv": "This is one curve of TensorBoard",
    "31-lightning-metrics.csv": "the log of one run .Lightning",
}
OTHERS = {"03", "28-history.csv", "42-wd.csv"}


def check(runs: Runs, case: Stranger) -> None:
    kept = runs.params < 2e8
    expected = {"lr": LR, "batch": BATCH, "params": 124e6, "tokens": 2.6e9}
    expected |= {"loss": LOSS, **case.change}
    rows = list(case.rows)
    for name, values in expected.items():
        full = np.broadcast_to(np.asarray(values, dtype=float), (6,))[rows]
        # The same runs at another size follow, in some.
        found = getattr(runs, name)[kept][: len(rows)]
        np.testing.assert_allclose(found, full, rtol=case.digits, err_msg=name)
    assert len(runs.dropped) == case.dropped


@pytest.mark.parametrize("case", STRANGERS, ids=lambda case: case.file)
def test_a_stranger_s_table_is_the_sweep(case: Stranger) -> None:
    path = FOLDER / case.file
    how = pasted(path, case.fill) if case.is_asked else {}
    check(read_runs(path, **how), case)  # type: ignore[arg-type]


@pytest.mark.parametrize("file", NONE)
def test_what_is_no_table_of_runs_is_told(file: str) -> None:
    with pytest.raises(FlagsError, match=NONE[file]) as caught:
        read_runs(FOLDER / file)
    assert len(str(caught.value).splitlines()) <= 11


def test_every_file_has_its_test() -> None:
    known = {case.file for case in STRANGERS} | set(NONE) | OTHERS
    assert {path.name for path in FOLDER.iterdir()} == known


def test_states_of_the_trainer_are_one_table() -> None:
    paths = sorted((FOLDER / "03").glob("*/trainer_state.json"))
    with pytest.raises(FlagsError) as caught:
        read_runs(paths)
    flags = caught.value.flags
    mapped = dict(text.split("=", 1) for text in flags[1::2])
    runs = read_runs(paths, map=mapped)
    assert mapped["loss"] == "eval_loss"
    np.testing.assert_allclose(sorted(runs.lr), LR[:3])
    np.testing.assert_allclose(np.sort(runs.loss), LOSS[:3], rtol=1e-3)
    np.testing.assert_allclose(runs.params, 124e6, rtol=1e-3)
    np.testing.assert_allclose(runs.batch, 131072, rtol=1e-3)
    assert any("the largest of 6 logged" in note for note in runs.notes)


def test_a_history_is_asked_for_its_peaks() -> None:
    path = FOLDER / "28-history.csv"
    how = pasted(path, {"BATCH": "131072", "PARAMS": "124M"})
    with pytest.raises(FlagsError, match="the schedule's value") as caught:
        read_runs(path, **how)  # type: ignore[arg-type]
    assert caught.value.flags == ("--lr-is-schedule", "cosine")
    runs = read_runs(path, **how, lr_is_schedule="cosine:floor=0%")  # type: ignore[arg-type]
    np.testing.assert_allclose(np.sort(runs.lr), LR[:3], rtol=0.01)


def test_an_unknown_setting_that_was_swept_is_told() -> None:
    runs = read_runs(FOLDER / "42-wd.csv")
    assert any("if it was swept, with --also" in text for text in runs.warnings)


# --------------------------------------------------------------- not read as numbers

ODD = [
    # 0x10 is no product, nor a count of steps a number of tokens.
    ("batch", "0x10"), ("tokens", "5000 steps"), ("batch", "512 seqs"),
    # A power with a footnote's look, a fraction over 1, an unknown unit.
    ("val_loss", "3^"), ("lr", "4/2"), ("params", "124Q"), ("val_loss", "2.9K"),
    ("val_loss", "3.1 (best"), ("lr", "10^-x"), ("val_loss", "±0.1"),
    ("val_loss", "3,345"), ("lr", "1e-3 or 2e-3"), ("params", "12x768"),
]  # fmt: skip


@pytest.mark.parametrize(("column", "cell"), ODD)
def test_what_is_no_number_stays_none(tmp_path: Path, column: str, cell: str) -> None:
    row = {"lr": "1e-3", "batch": "65536", "params": "2e8", "tokens": "4e9"}
    row["val_loss"] = "2.9"
    lines = [",".join(row), ",".join(row.values())]
    lines.append(",".join(f'"{x}"' for x in {**row, column: cell}.values()))
    path = tmp_path / "runs.csv"
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")
    runs = read_runs(path)
    assert len(runs) == 1
    assert [(item.column, item.value) for item in runs.dropped] == [(column, cell)]


def test_tokens_in_a_column_of_sequences_are_no_sequences(tmp_path: Path) -> None:
    path = tmp_path / "runs.csv"
    head = "lr,batch_size,seq_len,params,tokens,loss"
    for cell in ("512K tokens", "64x8"):
        path.write_text(f"{head}\n1e-3,{cell},1024,2e8,4e9,2.9\n", encoding="utf-8")
        with pytest.raises(DataError, match="none of its 1 rows"):
            read_runs(path)


def test_a_workbook_with_titles_merged_cells_and_sheets(tmp_path: Path) -> None:
    openpyxl = pytest.importorskip("openpyxl", reason="needs the extra `formats`")
    book = openpyxl.Workbook()
    book.active.title = "README"
    book.active["A1"] = "See the other sheets"
    for part in (slice(0, 3), slice(3, 6)):
        sheet = book.create_sheet(f"{part.start}")
        sheet["A1"] = "GPT-2 small"
        sheet.merge_cells("A1:E1")
        for k, name in enumerate(["Params", "LR", "Batch (tokens)", "Tokens", "Loss"]):
            sheet.cell(3, k + 1, name)
        rows = zip(LR[part], BATCH[part], LOSS[part], strict=True)
        for k, (lr, batch, loss) in enumerate(rows):
            for place, cell in enumerate([124e6, lr, batch, 2.6e9, loss]):
                if place or not k:
                    sheet.cell(4 + k, place + 1, cell)
        sheet.merge_cells("A4:A6")
        sheet.cell(7, 1, "Best")
        sheet.cell(7, 5, min(LOSS[part]))
    path = tmp_path / "sweep.xlsx"
    book.save(path)
    runs = read_runs(path)
    check(runs, plain("sweep.xlsx"))
    for said in ("have one header", "header is line 3", "'Best'", "others are not"):
        assert any(said in note for note in runs.notes), said

"""Reading tables: released dumps, own files, and every way to get one wrong."""

from __future__ import annotations

import csv
import math
import os
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from surrogate.base.errors import DataError, FlagsError
from surrogate.data import Runs, Source, Verdict
from surrogate.data.readers import read_runs
from surrogate.data.readers.columns.repeats import separating_columns
from surrogate.data.readers.columns.roles import ALIASES, LAYOUTS, fold
from surrogate.data.readers.columns.terms import Mapped
from surrogate.data.readers.formats.csv import Table

HEADER = "lr,batch,params,tokens,loss"
ROWS = (
    "1e-3,65536,2e8,4e9,2.9",
    "2e-3,131072,2e8,4e9,2.8",
    "4e-3,262144,2e8,4e9,2.85",
    "1e-3,65536,4e8,8e9,2.7",
)


def write(folder: Path, *lines: str, name: str = "runs.csv") -> Path:
    path = folder / name
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")
    return path


def read_text(folder: Path, *lines: str, **how: Any) -> Runs:
    return read_runs(write(folder, *lines), **how)


def dicts(path: Path) -> list[dict[str, str]]:
    with path.open(newline="", encoding="utf-8") as stream:
        return list(csv.DictReader(stream))


# --- released dumps, against plain loops over csv.DictReader (independent code)


def test_step_law_dense_reads_with_no_flags(data_dir: Path) -> None:
    path = data_dir / "steplaw/dense_lr_bs_loss.csv"
    runs = read_runs(path)
    rows = dicts(path)
    assert len(runs) == len(rows) == 1911
    assert runs.dropped == runs.warnings == ()
    best: dict[tuple[str, str], float] = {}
    for row in rows:
        key = (row["N"], row["D"])
        best[key] = min(best.get(key, math.inf), float(row["smooth loss"]))
    assert len(runs.cells) == len(best) == 17
    assert {(f"{c.params:.0f}", f"{c.tokens:.0f}"): c.best for c in runs.cells} == best
    assert runs.loss.tolist() == [float(row["smooth loss"]) for row in rows]
    assert runs.batch.tolist() == [float(row["bs"]) * 2048 for row in rows]
    marks = [
        float(row["smooth loss"]) > 1.25 * best[row["N"], row["D"]] for row in rows
    ]
    assert runs.diverged.tolist() == marks
    assert sum(marks) == 181
    # 26 stored values are 14 levels of 2^(k/2), to the four digits of the longer one.
    assert np.unique(runs.lr).size == 26
    grid = 2.0 ** (np.arange(-24, -10) / 2)
    assert np.unique(runs.lr_level) == pytest.approx(grid, rel=5e-4)
    assert (runs.loss_kind, runs.params_kind) == ("train_smoothed", "non_embedding")
    assert all(runs.identifiable().values())
    assert "Step Law dense sweep recognised" in runs.notes[0]
    assert "2,048 tokens each" in runs.notes[0]
    assert runs.sources[0].rows == 1911
    # N x D overflows 64-bit integers: it must not here.
    assert (runs.params * runs.tokens).max() > 6e19


def test_step_law_dense_with_tokens_as_steps_times_batch(data_dir: Path) -> None:
    path = data_dir / "steplaw/dense_lr_bs_loss.csv"
    runs = read_runs(path, map={"tokens": "ti*bs*2048", "loss": "loss"})
    assert np.array_equal(runs.cell, read_runs(path).cell)
    assert runs.loss_kind == "train"


def test_step_law_dense_refuses_another_length(data_dir: Path) -> None:
    path = data_dir / "steplaw/dense_lr_bs_loss.csv"
    with pytest.raises(DataError, match=r"line 2: .* sequence, 4096, got 2048"):
        read_runs(path, seq_len=4096)


def test_step_law_moe_reads_with_a_scale(data_dir: Path) -> None:
    path = data_dir / "steplaw/moe_lr_bs_loss.csv"
    runs, rows = read_runs(path, scales={"active": "Na"}), dicts(path)
    assert len(runs) == 708
    assert len(runs.cells) == len({(r["moe_name"], r["D"]) for r in rows}) == 16
    assert runs.scales["active"].tolist() == [float(row["Na"]) for row in rows]
    assert runs.batch.tolist() == [float(row["bs"]) * 2048 for row in rows]
    assert runs.params_kind == "total"
    assert runs.identifiable()["active"]
    assert not runs.identifiable()["params"]
    assert not runs.diverged.any()


def test_step_law_moe_has_a_scale_or_recipes_or_both_if_asked(data_dir: Path) -> None:
    # The structures differ in active parameters: with that scale they are no recipes.
    path = data_dir / "steplaw/moe_lr_bs_loss.csv"
    names, active = ([row[c] for row in dicts(path)] for c in ("moe_name", "Na"))
    bare = read_runs(path)
    assert (bare.recipe.tolist(), dict(bare.scales)) == (names, {})
    scaled = read_runs(path, scales={"active": "Na"})
    assert set(scaled.recipe) == {""}
    assert "recipe" not in scaled.notes[0]
    assert "active = 'Na'" in scaled.notes[0]
    both = read_runs(path, scales={"active": "Na"}, recipe="moe_name")
    assert both.recipe.tolist() == names
    assert both.scales["active"].tolist() == list(map(float, active))
    assert "recipe = 'moe_name', active = 'Na'" in both.notes[0]
    assert len(bare.cells) == len(scaled.cells) == len(both.cells) == 16


def test_marin_is_recognised(data_dir: Path) -> None:
    path = data_dir / "marin/marin_optimizer_sweep_upto_300m.csv"
    runs = read_runs(path)
    missing = [k + 2 for k, row in enumerate(dicts(path)) if not row["loss"]]
    assert [item.line for item in runs.dropped] == missing
    assert len(missing) == 99
    assert {item.column for item in runs.dropped} == {"loss"}
    assert len(runs) == 1556 - 99
    assert set(runs.recipe) == {row["opt"] for row in dicts(path)}
    by_sequences = read_runs(path, map={"batch": "bs"}, seq_len=4096, recipe="opt")
    assert np.array_equal(by_sequences.batch, runs.batch)
    both = read_runs(path, map={"batch": "batch_tokens"}, recipe=["opt", "var"])
    assert "adamw/Baseline" in both.recipe


def test_openeurollm_is_recognised(data_dir: Path) -> None:
    path = data_dir / "openeurollm/loss_all_exps_post_annealing_upto_983m.csv"
    runs = read_runs(path)
    mapped = read_runs(path, map={"batch": "gbsz*4096", "tokens": "D"})
    assert (len(runs), len(runs.cells), len(runs.dropped)) == (850, 45, 0)
    assert runs.loss_kind == "validation"
    assert np.array_equal(runs.batch, mapped.batch)
    assert set(runs.tokens) == {float(row["D"]) for row in dicts(path)}


def test_schaipp_is_recognised(data_dir: Path) -> None:
    path = data_dir / "schaipp/lr_scheduling_runs.csv"
    runs = read_runs(path)
    assert runs.tokens.tolist() == [
        float(row["batch_size"]) * 512 * float(row["iterations"]) for row in dicts(path)
    ]
    assert set(runs.batch) == {50 * 512}
    assert runs.loss_kind == "validation"
    assert not runs.identifiable()["batch"]
    assert any("batch has one level (25600)" in text for text in runs.warnings)


def test_nanochat_lacks_params(data_dir: Path) -> None:
    path = data_dir / "nanochat/nanochat_d8_d12_runs.csv"
    with pytest.raises(FlagsError, match=r"no column for params") as caught:
        read_runs(path)
    assert caught.value.flags == ("--map", "params=12*n_layers*d_model*d_model")
    runs = read_runs(path, map={"params": "124M"})
    assert set(runs.params) == {124e6}
    assert not runs.identifiable()["batch"]


# --- own files


def test_a_tidy_file_reads(tmp_path: Path) -> None:
    header = HEADER + ",recipe,run,note"
    rows = [f'{row},r{k % 2},"run, ""{k}""",x' for k, row in enumerate(ROWS)]
    runs = read_text(tmp_path, header, *rows, params_kind="total")
    assert runs.lr.tolist() == [1e-3, 2e-3, 4e-3, 1e-3]
    assert runs.recipe.tolist() == ["r0", "r1", "r0", "r1"]
    assert runs.name[1] == 'run, "1"'
    assert len(runs.cells) == 3
    assert (runs.loss_kind, runs.params_kind) == ("unknown", "total")
    assert len(runs.sources[0].sha256) == 64


@given(data=st.data())
def test_what_is_written_reads_back_exactly(
    tmp_path_factory: pytest.TempPathFactory, data: st.DataObject
) -> None:
    rows = data.draw(
        st.lists(
            st.tuples(
                st.floats(1e-6, 1.0),
                st.floats(8192, 1e6),
                st.floats(1e8, 1e9),
                st.floats(1e9, 1e11),
                st.floats(1.0, 12.0),
            ),
            min_size=1,
            max_size=20,
            # Of rows that are equal in all columns the first counts.
            unique=True,
        )
    )
    lines = [",".join(map(repr, row)) for row in rows]
    runs = read_text(tmp_path_factory.mktemp("trip"), HEADER, *lines)
    columns = (runs.lr, runs.batch, runs.params, runs.tokens, runs.loss)
    assert np.array_equal(np.stack(columns, axis=1), np.array(rows))


@pytest.mark.parametrize("mark", [";", "\t"])
@pytest.mark.parametrize("lead", ["", "\ufeff"])
def test_other_delimiters_and_a_byte_order_mark(
    tmp_path: Path, mark: str, lead: str
) -> None:
    text = lead + "\n".join((HEADER, *ROWS)).replace(",", mark)
    assert len(read_text(tmp_path, text)) == 4


@pytest.mark.parametrize("role", ["lr", "params", "tokens", "loss", "batch"])
def test_every_usual_name_is_found_in_any_spelling(tmp_path: Path, role: str) -> None:
    for alias in ALIASES[role]:
        assert fold(alias) == alias
        spelled = alias.replace("_", " ").title()
        header = HEADER.replace(role, spelled, 1)
        assert len(read_text(tmp_path, header, *ROWS)) == 4


def test_hints_name_columns_that_explain_repeats() -> None:
    header = ("lr", "wd", "seed_like", "mostly_same", "", "loss")
    # Two repeats, rows 0-2 and 3-5, of six runs.
    columns = (["1"] * 6, ["0", "1"] * 3, list("abcdef"), list("xyxxxx"), ["", "1"] * 3)
    rows = [(*row, str(k)) for k, row in enumerate(zip(*columns, strict=True))]
    repeats = [np.array([0, 1, 2]), np.array([3, 4, 5])]
    named = separating_columns(header, rows, repeats, used={0})
    assert named == ["'wd'", "'mostly_same'"]
    three = [*repeats, np.array([2, 4])]
    assert separating_columns(header, rows, three, used={0, 1}) == []


# Of layouts that are told by fewer columns than they use.
LAYOUT_COLUMNS = {
    *("lr", "loss", "run", "batch_size", "sequence_length", "scheduler", "name"),
    *("params", "val_loss", "train_loss"),
}


def test_layouts_name_columns_that_they_need() -> None:
    for layout in LAYOUTS:
        table = Table("x.csv", "", tuple(sorted(layout.needs | LAYOUT_COLUMNS)), (), ())
        mapped = Mapped(table, {})
        for text in (*layout.roles.values(), *layout.loss_kinds):
            assert mapped.of(text, "layout").columns
        assert layout.steps is None or layout.steps in layout.needs


def test_the_loss_column_tells_its_kind(tmp_path: Path) -> None:
    for name, kind in (("val_loss", "validation"), ("train loss", "train")):
        header = HEADER.replace("loss", name)
        assert read_text(tmp_path, header, *ROWS).loss_kind == kind
        assert read_text(tmp_path, header, *ROWS, loss_kind="train").loss_kind == (
            "train"
        )


def test_sequences_become_tokens(tmp_path: Path) -> None:
    header = "lr,batch_size,seq_len,params,tokens,loss"
    rows = ["1e-3,32,1024,2e8,4e9,2.9", "2e-3,32,4096,2e8,4e9,2.8"]
    assert read_text(tmp_path, header, *rows).batch.tolist() == [32768, 131072]
    with pytest.raises(DataError, match=r"line 3, .*'seq_len', value 4096: exp.* 1024"):
        read_text(tmp_path, header, *rows, seq_len=1024)
    bare = [",".join(r.split(",")[:2] + r.split(",")[3:]) for r in rows]
    bare_header = "lr,batch_size,params,tokens,loss"
    with pytest.raises(DataError, match=r"'batch_size': .*unknown length.*--seq-len"):
        read_text(tmp_path, bare_header, *bare)
    assert set(read_text(tmp_path, bare_header, *bare, seq_len=512).batch) == {16384}
    product = {"batch": "batch_size*2048"}
    assert set(read_text(tmp_path, bare_header, *bare, map=product).batch) == {65536}


def test_a_batch_that_looks_like_the_other_unit_is_refused(tmp_path: Path) -> None:
    rows = [row.replace("65536", "64").replace("131072", "128") for row in ROWS]
    rows = [row.replace("262144", "256") for row in rows]
    message = r"line 4, column 'batch', value 256: .*looks like seq.*--seq-len 2048"
    with pytest.raises(DataError, match=message):
        read_text(tmp_path, HEADER, *rows)
    runs = read_text(tmp_path, HEADER, *rows, seq_len=2048)
    assert runs.batch.tolist() == [131072, 262144, 524288, 131072]
    assert read_text(tmp_path, HEADER, *rows, seq_len=1).batch[0] == 64
    header = HEADER.replace("batch", "batch_size") + ",seq_len"
    tokens = [f"{row},2048".replace("65536", "131072") for row in ROWS]
    with pytest.raises(DataError, match=r"no run has 50 steps.*--map batch="):
        read_text(tmp_path, header, *tokens)
    runs = read_text(tmp_path, header, *tokens, map={"batch": "batch_size*4*0.25"})
    assert runs.batch[0] == 131072
    unused = read_text(tmp_path, HEADER, *ROWS, seq_len=2048)
    assert unused.batch[0] == 65536
    assert "--seq-len not used" in unused.notes[0]


def test_steps_must_agree_with_the_length(tmp_path: Path, data_dir: Path) -> None:
    lines = (data_dir / "steplaw/dense_lr_bs_loss.csv").read_text().splitlines()[:30]
    assert set(read_text(tmp_path, *lines).batch % 2048) == {0}
    lines[7] = lines[7].replace(",10000000000,", ",9000000000,")
    fields = lines[8].split(",")
    fields[6] = str(int(int(fields[6]) * 1.01))
    with pytest.raises(DataError, match=r"line 9: expected tokens / \(steps x seq"):
        read_text(tmp_path, *lines[:8], ",".join(fields), *lines[9:])
    # No length follows from a row that is wrong in itself: that row is dropped.
    fields[5] = "-32"
    runs = read_text(tmp_path, *lines[:8], ",".join(fields), *lines[9:])
    assert [(item.line, item.column) for item in runs.dropped] == [(9, "bs")]


def test_several_files_are_one_table(tmp_path: Path) -> None:
    one = write(tmp_path, HEADER, *ROWS[:2], name="a.csv")
    two = write(tmp_path, HEADER, *ROWS[2:], "bad", name="b.csv")
    runs = read_runs([one, str(two)])
    assert [cell.runs for cell in runs.cells] == [3, 1]
    assert [source.file for source in runs.sources] == [str(one), str(two)]
    assert [source.rows for source in runs.sources] == [2, 3]
    assert [item.file for item in runs.dropped] == [str(two)]
    assert isinstance(runs.sources[0], Source)
    copy = write(tmp_path, HEADER, *ROWS[:2], name="c.csv")
    with pytest.raises(DataError, match=r"c.csv: expected every file once.*a.csv"):
        read_runs([one, copy])
    other = write(tmp_path, HEADER.replace("loss", "val_loss"), *ROWS, name="d.csv")
    with pytest.raises(DataError, match=r"d.csv: .* validation where .*a.csv has unkn"):
        read_runs([one, other])
    assert len(read_runs([one, other], loss_kind="train")) == 6
    with pytest.raises(DataError, match="expected at least one file"):
        read_runs([])


# --- diverged and unfinished runs


@pytest.mark.parametrize(
    ("loss", "status", "flag", "outcome"),
    [
        ("nan", "", "", "diverged"),
        ("NaN", "crashed", "0", "diverged"),
        ("Diverged", "", "", "diverged"),
        ("1e999", "", "", "diverged"),
        ("2.9", "diverged", "", "diverged"),
        ("2.9", "", "True", "diverged"),
        ("", "diverged", "", "diverged"),
        ("99", "ok", "no", "aside"),
        ("2.9", "Finished", "False", "kept"),
        ("2.9", "crashed", "", "unfinished run; if it diverged, write diverged"),
        ("", "running", "", "unfinished run; if it diverged, write diverged"),
        ("2.9", "", "maybe", "expected true or false"),
        ("", "", "", "empty cell: the value is missing"),
        ("-2.9", "", "", "loss must be above 0"),
        ("-2.9", "diverged", "", "loss must be above 0"),
        ("n/a", "", "", "must be a number"),
    ],
)
def test_how_a_run_ended(
    tmp_path: Path, loss: str, status: str, flag: str, outcome: str
) -> None:
    row = f"1e-3,65536,2e8,4e9,{loss},{status},{flag}"
    sound = [f"{row},," for row in ROWS]
    runs = read_text(tmp_path, HEADER + ",State,diverged", *sound, row)
    if outcome == "aside":
        assert runs.verdict.tolist() == [0, 0, 0, 0, Verdict.UNEXPLAINED]
        assert any("runs.csv line 6: lr 1.00e-03" in text for text in runs.warnings)
    elif outcome in ("diverged", "kept"):
        assert runs.diverged.tolist() == [False] * 4 + [outcome == "diverged"]
        assert runs.dropped == ()
    else:
        assert [(item.line, item.reason) for item in runs.dropped] == [(6, outcome)]


# --- rows that cannot be used


@pytest.mark.parametrize(
    ("row", "column", "value", "reason"),
    [
        ("0,65536,2e8,4e9,2.9", "lr", "0", "lr must be finite and above 0"),
        ("-1e-3,65536,2e8,4e9,2.9", "lr", "-1e-3", "lr must be finite and above 0"),
        ("20,65536,2e8,4e9,2.9", "lr", "20", "lr must be below 10"),
        ("1e-3,65536,2e8,nan,2.9", "tokens", "nan", "must be a finite number"),
        ("1e-3,65536,inf,4e9,2.9", "params", "inf", "must be a finite number"),
        ("1e-3,,2e8,4e9,2.9", "batch", "", "empty cell: the value is missing"),
        ('1e-3,65536,"0,2",4e9,2.9', "params", "0,2", "decimal comma: write 0.2"),
        ('1e-3,65536,2e8,4e9,"2,345"', "loss", "2,345", "thousands .*write 2345"),
        ("1e-3,65536,2e8,4e9,3K", "loss", "3K", "plain numbers: write 3000.0"),
        ("1e-3,0x10,2e8,4e9,2.9", "batch", "0x10", "must be a number"),
        ("1e-3,65536,2e8,4e9,0", "loss", "0", "loss must be above 0"),
        ("1e-3,65536,2e8,4e9", "", "", "4 fields where the header has 5"),
        ("1e-3,65536,2e8,4e9,2.9,7", "", "", "6 fields where the header has 5"),
        ("\x1b[2J,65536,2e8,4e9,2.9", "lr", r"\x1b[2J", "must be a number"),
    ],
)
def test_a_bad_row_is_dropped_with_its_place(
    tmp_path: Path, row: str, column: str, value: str, reason: str
) -> None:
    path = write(tmp_path, HEADER, ROWS[0], "", row, *ROWS[1:])
    runs = read_runs(path)
    (dropped,) = runs.dropped
    place = (dropped.file, dropped.line, dropped.column, dropped.value)
    assert place == (str(path), 4, column, value)
    with pytest.raises(DataError, match=reason):
        raise DataError(dropped.reason)
    assert len(runs) == 4
    assert "1 row dropped" in runs.warnings[0]
    # Alone, the same row is an error that says all of it.
    with pytest.raises(DataError, match=r"none of its 1 rows|1 of another|no value re"):
        read_text(tmp_path, HEADER, row)


def test_lines_count_those_inside_quotes(tmp_path: Path) -> None:
    rows = ['"a\nb",' + ROWS[0], '"c\r\nd\n",0' + ROWS[1], "e,1e-3,,2e8,4e9,2.9"]
    runs = read_text(tmp_path, "name," + HEADER, *rows, "f,0,65536,2e8,4e9,2.9", "g")
    assert runs.name.tolist() == ["a\nb", "c\r\nd"]
    assert [item.line for item in runs.dropped] == [7, 8, 9]


def test_a_missing_recipe_or_scale_drops_the_row(tmp_path: Path) -> None:
    rows = [f"{row},a,1" for row in ROWS]
    bad = [f"{ROWS[0]},,1", f"{ROWS[0]},a,-1"]
    runs = read_text(
        tmp_path,
        HEADER + ",opt,depth",
        *rows,
        *bad,
        recipe="opt",
        scales={"layers": "depth"},
    )
    assert [(item.column, item.reason) for item in runs.dropped] == [
        ("opt", "empty cell: the recipe is missing"),
        ("depth", "layers must be finite and above 0"),
    ]


# --- whole files that are wrong


@pytest.mark.parametrize(
    ("lines", "message"),
    [
        ([HEADER + ",lr", ROWS[0] + ",1"], "2 columns could be lr: 'lr.1'.*'lr.2'"),
        ([HEADER + ",LR", ROWS[0] + ",1"], "2 columns could be lr: 'lr'.*'LR'"),
        ([HEADER], "expected a header and rows below it, got 0 rows"),
        (["", "  "], "got an empty file"),
        (
            [HEADER.replace("tokens", "T"), ROWS[0]],
            r"no column for tokens(.|\n)*columns are",
        ),
        ([ROWS[0], ROWS[1]], "The first line must name the columns"),
        ([HEADER, '1,"2', "3"], "line 2: .*unexpected end of data.*not closed"),
        ([HEADER, ROWS[0], '"1"2,3'], "line 3: .*expected after.*stands alone"),
        (["lr;batch\tx", "1"], "line 1: .*both semicolons and tabs"),
        (
            [HEADER, "1e-3,65536,2e8,4,2.9", "1e-3,65536,2e8,100,2.9"],
            r"line 3, column 'tokens', value 100: .*no value reaches 1M[\s\S]*\*1e9",
        ),
        (
            [HEADER, "1e-3,65536,0.2,4e9,2.9"],
            "line 2, column 'params', value 0.2: .*no value reaches 10K",
        ),
        (
            [HEADER, "1e-3,65536,2e8,4e9,2.9,", "1e-3,65536,2e8,4e9"],
            "got 0 rows to use and 2 of another length. The first: .* line 2: 6 fields",
        ),
        (
            [HEADER, "0,65536,2e8,4e9,2.9", "0,65536,2e8,4e9,2.9", "1,0.5,2e8,4e9,2"],
            r"none of its 3 rows.*2 x lr must be.*1 x batch must.*line 2, column 'lr'",
        ),
    ],
)
def test_a_wrong_file_is_refused(
    tmp_path: Path, lines: list[str], message: str
) -> None:
    with pytest.raises(DataError, match=message) as caught:
        read_text(tmp_path, *lines)
    assert str(caught.value).startswith(str(tmp_path / "runs.csv"))
    lines = str(caught.value).split("\n")
    assert len(lines) == 1 or isinstance(caught.value, FlagsError)
    assert len(lines) < 11
    assert max(map(len, lines)) < 600


def test_what_is_no_text_file_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "x.csv"
    with pytest.raises(DataError, match=r"cannot be read .No such file"):
        read_runs(path)
    with pytest.raises(DataError, match="got a directory"):
        read_runs(tmp_path)
    with pytest.raises(DataError, match="no file can have"):
        read_runs("a\0.csv")
    with pytest.raises(DataError, match=r"ends in .csv, .*, got '.docx'"):
        read_runs(tmp_path / "x.docx")
    for ending in (".csv", ".md"):
        with pytest.raises(DataError, match=r"File name too long"):
            read_runs("x" * 300 + ending)
    path.write_bytes(b"")
    with pytest.raises(DataError, match="got an empty file"):
        read_runs(path)
    path.write_bytes("lr,batch\n1,2\n".encode("utf-16-le"))
    with pytest.raises(DataError, match=r"line 1: .*NUL byte"):
        read_runs(path)
    path.write_bytes(b"lr,batch\n1,\xff\n")
    with pytest.raises(DataError, match=r"line 2: expected UTF-8, got the byte 0xff"):
        read_runs(path)
    odd = write(tmp_path, HEADER, name="a\nb.csv")
    with pytest.raises(DataError, match=r"a\\nb\.csv: expected a header"):
        read_runs(odd)


@pytest.mark.skipif(os.geteuid() == 0, reason="root reads everything")
def test_an_unreadable_file_is_refused(tmp_path: Path) -> None:
    path = write(tmp_path, HEADER, *ROWS)
    path.chmod(0)
    with pytest.raises(DataError, match=r"cannot be read .Permission denied"):
        read_runs(path)


@pytest.mark.parametrize(
    ("how", "message"),
    [
        ({"map": {"bsz": "batch"}}, "--map: expected a role out of lr, batch.*'bsz'"),
        (
            {"map": {"lr": "Lr"}},
            "--map lr: .*a product.*got 'Lr'. The columns are 'lr'",
        ),
        ({"map": {"tokens": "lr*steps"}}, "--map tokens: .*product .*got 'steps'"),
        ({"map": {"tokens": "-1"}}, "--map tokens: expected a column"),
        ({"map": {"loss": "2.9"}}, "--map loss: expected a column.*number '2.9'"),
        ({"map": {"name": "lr*2"}}, r"--map name: expected a column .*'lr\*2'"),
        ({"recipe": "los"}, "--recipe: .*got 'los'. Did you mean 'loss'"),
        ({"recipe": "lr", "map": {"recipe": "lr"}}, "--recipe lr: .*recipe=lr"),
        ({"scales": {"depth": "x"}}, "--scale depth: expected a column.*got 'x'"),
        ({"scales": {"loss": "lr"}}, "scale 'loss': expected a plain word"),
        ({"seq_len": 0}, "seq_len to be a whole number from 1 to .*got 0"),
        ({"loss_kind": "valid"}, "loss_kind to be one of train"),
        ({"params_kind": "N"}, "params_kind to be one of non_embedding"),
    ],
)
def test_wrong_options_are_refused(
    tmp_path: Path, how: dict[str, Any], message: str
) -> None:
    with pytest.raises(DataError, match=message):
        read_text(tmp_path, HEADER, *ROWS, **how)


def test_a_fractional_length_is_refused(tmp_path: Path) -> None:
    header = HEADER.replace("batch", "bs") + ",seq_len"
    with pytest.raises(DataError, match=r"value 0.5: expected a whole number"):
        read_text(tmp_path, header, "1e-3,64,2e8,4e9,2.9,0.5")

"""Every table that people have reads with no flag, or with the command that it is told.

A refusal ends with a command. The test pastes it, with the words in capitals filled in
by what the owner knows, and counts the rows.
"""

from __future__ import annotations

import shlex
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import pytest
from support.readers import pasted

from surrogate.base.errors import FlagsError
from surrogate.cli.main import main
from surrogate.data import Runs
from surrogate.data.readers import read_runs

CASES = Path(__file__).parents[1] / "cases"


@dataclass(frozen=True)
class Case:
    """A file: its rows, those not used, and what its owner fills in."""

    file: str
    runs: int
    dropped: int = 0
    fill: dict[str, str] = field(default_factory=dict)
    is_asked: bool = True


SIZES = {"BATCH": "524288", "PARAMS": "124M", "TOKENS": "2.6B"}
TABLES = (
    Case("02-one-batch-many-sizes.csv", 23, is_asked=False),
    Case("03-steps-contradict-seq-len.csv", 6, 2, is_asked=False),
    Case("04-best-at-top-lr.csv", 30, fill={"BATCH": "32768"}),
    Case("04-best-at-top-lr.json", 30, fill={"BATCH": "32768"}),
    Case("05-two-batches.csv", 30, fill={"LENGTH": "512"}),
    Case("05-flops-not-tokens.csv", 30, fill={"LENGTH": "512"}),
    Case("05-nested.json", 12, fill={"LENGTH": "512"}),
    Case("06-few-tokens-per-parameter.csv", 12, is_asked=False),
    Case("09-wandb-table.csv", 9),
    Case("10-checkpoints-of-runs.csv", 3),
    Case("11-markdown-lr-table.md", 9, fill=SIZES),
    Case("11-one-size-lr-only.csv", 9, fill=SIZES),
    Case("13-lr-multipliers.csv", 13, fill={"BASE_LR": "0.01"}),
    Case("14-lr-per-group.csv", 20, 1),
    Case("15-long.csv", 30, fill=SIZES),
    Case("15-lr-by-weight-decay.csv", 48, fill=SIZES),
    Case("16-keep-discard.tsv", 5, 1),
    Case("17-bits-per-byte.csv", 5, fill=SIZES),
    Case("17-dict-of-bpb.json", 5, fill=SIZES),
    Case("18-toy-scale.csv", 6),
    Case("20-finetune-accumulation.csv", 5, fill={"DEVICES": "1"}),
    Case("21-perplexity.csv", 7, is_asked=False),
)
# Runs and dropped rows of the released dumps; nanochat's rows are of two splits.
DUMPS = (
    Case("steplaw/dense_lr_bs_loss.csv", 1911, is_asked=False),
    Case("steplaw/moe_lr_bs_loss.csv", 708, is_asked=False),
    Case("steplaw/dense_14_small_cells.csv", 519, is_asked=False),
    Case("openeurollm/loss_all_exps_post_annealing_upto_983m.csv", 850, is_asked=False),
    Case("marin/marin_optimizer_sweep_upto_300m.csv", 1457, 99, is_asked=False),
    Case("schaipp/lr_scheduling_runs.csv", 235, is_asked=False),
    Case("nanochat/nanochat_d8_d12_runs.csv", 590),
    Case("olmo_ladder/final_losses.csv", 30, fill={"PARAMS": "190M", "LOSS": "c4"}),
)


def read(path: Path, case: Case) -> Runs:
    if not case.is_asked:
        return read_runs(path)
    return read_runs(path, **pasted(path, case.fill))  # type: ignore[arg-type]


@pytest.mark.parametrize("case", TABLES, ids=lambda case: case.file)
def test_a_table_reads_with_one_command_at_most(case: Case) -> None:
    runs = read(CASES / case.file, case)
    assert (len(runs), len(runs.dropped)) == (case.runs, case.dropped)


@pytest.mark.parametrize("case", DUMPS, ids=lambda case: case.file)
def test_a_released_dump_reads_so_too(case: Case, data_dir: Path) -> None:
    runs = read(data_dir / case.file, case)
    assert (len(runs), len(runs.dropped)) == (case.runs, case.dropped)


def test_every_case_is_asked_in_a_few_lines() -> None:
    for case in TABLES:
        if not case.is_asked:
            continue
        with pytest.raises(FlagsError) as caught:
            read_runs(CASES / case.file)
        lines = str(caught.value).splitlines()
        assert len(lines) <= 8
        assert max(map(len, lines)) <= 450


def test_accumulation_is_part_of_what_is_proposed() -> None:
    how = pasted(CASES / "09-wandb-table.csv", {})
    assert how["map"] == {
        "lr": "learning_rate",
        "tokens": "max_iters*batch",
        "loss": "val/loss",
        "batch": "batch_size*gradient_accumulation_steps*block_size",
    }
    runs = read_runs(CASES / "09-wandb-table.csv", **how)  # type: ignore[arg-type]
    assert set(runs.batch) == {4.0 * 8 * 1024}
    assert set(runs.tokens) == {50000.0 * 4 * 8 * 1024}
    assert runs.loss_kind == "validation"
    assert runs.lr.min() == 1e-5


def test_the_same_table_in_other_shapes_is_the_same_table() -> None:
    flat = CASES / "04-best-at-top-lr.csv"
    mapped = {"batch": "32768"}
    one, other = (
        read_runs(path, map=mapped) for path in (flat, CASES / "04-best-at-top-lr.json")
    )
    assert np.array_equal(one.lr, other.lr)
    assert np.array_equal(one.loss, other.loss)
    sizes = {"params": "124M", "tokens": "2.6B", "batch": "524288"}
    long = read_runs(CASES / "15-long.csv", map=sizes, recipe="wd")
    pivot = read_runs(CASES / "15-lr-by-weight-decay.csv", map=sizes, recipe="WD")
    table = {(r, x): y for r, x, y in zip(pivot.recipe, pivot.lr, pivot.loss)}  # noqa: B905
    assert len(table) == 48
    assert all(
        table[(r, x)] == y
        for r, x, y in zip(long.recipe, long.lr, long.loss, strict=True)
    )


def test_flops_over_size_are_tokens() -> None:
    how = pasted(CASES / "05-flops-not-tokens.csv", {"LENGTH": "512"})
    runs = read_runs(CASES / "05-flops-not-tokens.csv", **how)  # type: ignore[arg-type]
    given = read_runs(
        CASES / "05-two-batches.csv",
        map={"params": "12*num_layers*d_model*d_model"},
        seq_len=512,
    )
    np.testing.assert_allclose(runs.tokens, given.tokens, rtol=1e-7)


def test_marks_and_multiples_are_read_with_a_note() -> None:
    runs = read_runs(CASES / "13-lr-multipliers.csv", map={"lr": "lr_mult*0.01"})
    assert runs.loss.min() == 3.173
    assert 3.819 in runs.loss
    assert sorted({round(x, 5) for x in runs.lr})[0] == 0.0025
    assert any("'0.25x' as 0.25" in note for note in runs.notes)
    assert any("'**3.819**' as 3.819" in note for note in runs.notes)


def test_the_command_repeats_what_was_typed(capsys: pytest.CaptureFixture[str]) -> None:
    path = str(CASES / "09-wandb-table.csv")
    assert main(["check", path, "--map", "loss=val/loss", "--json"]) == 2
    last = capsys.readouterr().err.splitlines()[-1]
    assert last.strip().startswith(
        f"Type: surrogate check {path} --map loss=val/loss --json --map "
        "lr=learning_rate"
    )
    words = shlex.split(last)[2:]
    assert main(words) == 0


@pytest.mark.parametrize(
    "file", ["03-steps-contradict-seq-len.csv", "21-perplexity.csv"]
)
def test_a_fixed_table_reads_without_flags(
    tmp_path: Path, file: str, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "fixed.csv"
    code = main(["check", str(CASES / file), "--fix", str(out)])
    assert code in (0, 1)
    said = capsys.readouterr().out
    assert f"Next: surrogate fit {out} --out out/fit" in said
    runs, again = read_runs(CASES / file), read_runs(out)
    for key in ("lr", "batch", "params", "tokens", "loss", "verdict"):
        assert np.array_equal(getattr(runs, key), getattr(again, key))
    assert again.dropped == ()
    # Not over a file that is there.
    assert main(["check", str(CASES / file), "--fix", str(out)]) == 2
    assert "add --overwrite" in capsys.readouterr().err
    assert main(["check", str(CASES / file), "--fix", str(tmp_path / "x.txt")]) == 2
    assert "ends in .csv" in capsys.readouterr().err


def test_a_fixed_table_keeps_kinds_recipes_and_what_diverged(tmp_path: Path) -> None:
    from surrogate.data.readers.cleaned import write_cleaned

    path = tmp_path / "runs.csv"
    rows = ["lr,batch,non_embedding_params,tokens,val_bpb,recipe,why"]
    rows += [f"{lr},65536,2e8,4e9,{2 + lr},a,x" for lr in (1e-3, 2e-3)]
    rows += ["4e-3,65536,2e8,4e9,2.5,b c,bad", "8e-3,65536,2e8,4e9,nan,a,bad"]
    path.write_text("\n".join(rows) + "\n", encoding="utf-8")
    runs = read_runs(path, diverged_above="why=bad")
    assert int(runs.diverged.sum()) == 2
    out = tmp_path / "out.csv"
    assert write_cleaned(runs, out) == []
    again = read_runs(out)
    assert np.array_equal(again.diverged, runs.diverged)
    assert again.recipe.tolist() == ["a", "a", "b c", "a"]
    kinds = (again.loss_kind, again.params_kind, again.loss_unit)
    assert kinds == ("validation", "non_embedding", "bits_per_byte")


def test_check_says_what_was_understood(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["check", str(CASES / "02-one-batch-many-sizes.csv")]) == 0
    out = capsys.readouterr().out.splitlines()
    row = next(line for line in out if line.startswith("batch"))
    assert row.split("  ")[0] == "batch"
    assert "'batch_size'" in row
    assert "sequences" in row
    assert "32 read as 16,384" in row
    assert any(line.startswith("Next: surrogate fit") for line in out)


GUESSES = [
    ("lr,batch,params (M),tokens (B),loss", "1e-3,65536,124,2.6,2.9",
     {"params": '"params (M)"*1e6', "tokens": '"tokens (B)"*1e9'}),
    ("lr,batch,params in millions,tokens,loss", "1e-3,65536,124,2.6e9,2.9",
     {"params": '"params in millions"*1e6'}),
    ("lr,whole_batch,params,tokens,loss", "1e-3,524288,2e8,4e9,2.9",
     {"batch": "whole_batch"}),
    ("lr,my_batch,params,tokens,loss", "1e-3,256,2e8,4e9,2.9",
     {"batch": "my_batch*LENGTH"}),
    ("eta,batch,params,tokens,loss", "1e-3,524288,2e8,4e9,2.9", {"lr": "eta"}),
    ("eta,wd,batch,params,tokens,loss", "1e-3,0.1,524288,2e8,4e9,2.9", {"lr": "LR"}),
    ("lr,batch,params,tokens_per_param,loss", "1e-3,65536,124M,20,2.9",
     {"tokens": "tokens_per_param*params"}),
    ("lr,batch,params,tokens,train/loss,eval/loss", "1e-3,65536,2e8,4e9,2.9,3",
     {"loss": "eval/loss"}),
    ("lr,bs,batch_tokens,params,tokens,loss", "1e-3,16,65536,2e8,4e9,2.9",
     {"batch": "batch_tokens"}),
    ("summary.lr,config.lr,batch,params,tokens,loss", "1e-5,1e-3,65536,2e8,4e9,2.9",
     {"lr": "config.lr"}),
    ("lr,learning_rate,min_lr,batch,params,tokens,loss",
     "1e-4,1e-3,1e-4,65536,2e8,4e9,2.9", {"lr": "learning_rate"}),
    ("lr,per_device_train_batch_size,world_size,block_size,params,tokens,loss",
     "1e-3,4,8,2048,2e8,4e9,2.9",
     {"batch": "per_device_train_batch_size*world_size*block_size"}),
]  # fmt: skip


@pytest.mark.parametrize(("header", "row", "guess"), GUESSES, ids=range(len(GUESSES)))
def test_what_is_proposed(
    tmp_path: Path, header: str, row: str, guess: dict[str, str]
) -> None:
    path = tmp_path / "runs.csv"
    path.write_text(f"{header}\n{row}\n", encoding="utf-8")
    how = pasted(path, {"LENGTH": "2048"})
    found = {role: text.replace("2048", "LENGTH") for role, text in how["map"].items()}  # type: ignore[attr-defined]
    assert found == guess
    if "LR" not in guess.values():
        assert len(read_runs(path, **how)) == 1  # type: ignore[arg-type]


@pytest.mark.parametrize(
    "head", ["lr \\ batch", "lr/batch", "lr | batch", "lr by batch"]
)
def test_a_pivot_s_corner_names_both_sides(tmp_path: Path, head: str) -> None:
    path = tmp_path / "runs.csv"
    path.write_text(
        f"{head},64K,131072\n1e-3,2.9,**2.8**\n2e-3,,2.7\n", encoding="utf-8"
    )
    runs = read_runs(path, map={"params": "124M", "tokens": "2.6B"})
    assert list(zip(runs.lr, runs.batch, runs.loss, strict=True)) == [
        (1e-3, 64000.0, 2.9),
        (1e-3, 131072.0, 2.8),
        (2e-3, 131072.0, 2.7),
    ]
    assert any("1 empty cells are no runs" in note for note in runs.notes)


def test_steps_of_a_log_only_warn(tmp_path: Path) -> None:
    path = tmp_path / "runs.csv"
    text = "lr,batch,params,tokens,loss,step\n1e-3,65536,2e8,4e9,2.9,100\n"
    path.write_text(text, encoding="utf-8")
    runs = read_runs(path)
    assert any("100 steps x a batch" in text for text in runs.warnings)


def test_lengths_are_asked_only_for_sequences(tmp_path: Path) -> None:
    path = tmp_path / "runs.csv"
    header, row = "params,tokens,loss,max_length,block_size", "2e8,4e9,2.9,512,1024"
    path.write_text(f"lr,batch,{header}\n1e-3,65536,{row}\n", encoding="utf-8")
    assert len(read_runs(path)) == 1
    path.write_text(f"lr,bs,{header}\n1e-3,64,{row}\n", encoding="utf-8")
    with pytest.raises(FlagsError, match="2 columns could be seq_len"):
        read_runs(path)


def test_several_files_are_understood_each(tmp_path: Path) -> None:
    row = "1e-3,65536,2e8,4e9,2.9"
    for name, header in (("a", "lr"), ("b", "learning_rate"), ("c", "lr")):
        text = f"{header},batch,params,tokens,loss\n{row},{name}\n".replace(
            f",{name}\n", f"{ord(name)}\n"
        )
        (tmp_path / f"{name}.csv").write_text(text, encoding="utf-8")
    runs = read_runs([tmp_path / f"{name}.csv" for name in "abc"])
    columns = [line.column for line in runs.understood if line.role == "lr"]
    assert columns == ["'lr'", "'learning_rate'"]
    assert len(runs.understood) == 6


def test_hostile_names_stay_on_their_line(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "runs.csv"
    header = 'lr,batch,params,tokens,"x\x1b[2J\n;rm -rf loss",my\'loss'
    path.write_text(f"{header}\n1e-3,65536,2e8,4e9,2.9,3\n", encoding="utf-8")
    with pytest.raises(FlagsError) as caught:
        read_runs(path)
    for line in str(caught.value).splitlines():
        assert line.isprintable()
    words = shlex.split(str(caught.value).splitlines()[-1])
    assert words[-2] == "--map"
    assert words[-1].startswith("loss=x")
    assert main(["check", str(path)]) == 2
    assert "\x1b" not in capsys.readouterr().err


@pytest.mark.parametrize("name", ["my acc", 'a "b" steps', "steps'"])
def test_odd_names_are_quoted_in_expressions(tmp_path: Path, name: str) -> None:
    import csv

    path = tmp_path / "runs.csv"
    with path.open("w", newline="", encoding="utf-8") as stream:
        writer = csv.writer(stream)
        writer.writerow(["lr mult", "batch", "params", name, "loss"])
        writer.writerow(["2", "65536", "2e8", "1000000", "2.9"])
    from surrogate.data.readers.columns.places import spelled

    tokens = f"{spelled(name)}*1000"
    runs = read_runs(path, map={"lr": '"lr mult"*0.001', "tokens": tokens})
    assert (runs.lr[0], runs.tokens[0]) == (0.002, 1e9)


@pytest.mark.parametrize(
    ("header", "row"),
    [
        ("LR,LEARNING_RATE,BATCH,PARAMS,TOKENS,LOSS", "1e-3,2e-3,65536,2e8,4e9,2.9"),
        ("LR,BS,BATCH_TOKENS,PARAMS,TOKENS,LOSS", "1e-3,16,65536,2e8,4e9,2.9"),
        ("LR,BATCH,PARAMS,TOKENS,BPB,VAL_BPB", "1e-3,65536,2e8,4e9,0.9,0.8"),
        ("LR,BATCH,PARAMS,TOKENS,STATUS,STATE,LOSS", "1e-3,65536,2e8,4e9,ok,ok,2.9"),
    ],
)
def test_columns_in_capitals_are_no_words_to_fill_in(
    tmp_path: Path, header: str, row: str
) -> None:
    path = tmp_path / "runs.csv"
    path.write_text(f"{header}\n{row}\n", encoding="utf-8")
    with pytest.raises(FlagsError) as caught:
        read_runs(path)
    assert "Fill in" not in str(caught.value)
    assert len(read_runs(path, **pasted(path, {}))) == 1  # type: ignore[arg-type]


def test_a_name_of_a_hundred_thousand_letters_is_not_printed(tmp_path: Path) -> None:
    path = tmp_path / "runs.csv"
    header = f"lr,batch,params,tokens,{'x' * 100_000} loss"
    path.write_text(f"{header}\n1e-3,65536,2e8,4e9,2.9\n", encoding="utf-8")
    with pytest.raises(FlagsError) as caught:
        read_runs(path)
    assert len(str(caught.value)) < 1000

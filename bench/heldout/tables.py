"""The tables that people read; figures in permille."""

from __future__ import annotations

from typing import Any

from rich import box
from rich.console import Console
from rich.table import Table

from heldout.pairs import PAIRED
from heldout.scores import permille

WIDTH = 88
_HEADS = {"regret": "regret", "regret_smoothed": "smoothed", "mae_ln": "error of ln L"}
# Protocols of more folds have no table of them.
_MOST_FOLDS = 6
# Kinds of rows that are ours.
OURS = ("single", "nested")
# So that the longest method and six folds fit.
_FOLD_WIDTH = 7
_SHORT = {
    "surrogate, ": "",
    "posynomial K = ": "posyn.",
    "quadratic": "quadr.",
    "additive": "addit.",
}


def show(title: str, table: dict[str, Any], *, has_worst: bool) -> None:
    """Everything about one protocol."""
    console = Console(width=WIDTH)
    console.print(_means(title, table["rows"], has_worst))
    if len(table["folds"]) <= _MOST_FOLDS:
        for part in ("mae_ln", "regret"):
            console.print(_folds(table, part))
    for row in table["rows"]:
        if row.get("chosen_folds"):
            console.print(f"{row['method']} chose", highlight=False)
            pairs = zip(table["folds"], row["chosen_folds"], strict=True)
            for fold, chosen in pairs:
                console.print(f"  {fold}: {chosen}", highlight=False)
    if table["pairs"]:
        console.print(_pairs(table["pairs"]))


def new_table(title: str, *columns: str, name: str = "method") -> Table:
    """A table with a name column and columns of numbers."""
    table = Table(
        title=title, box=box.SIMPLE_HEAD, padding=(0, 1, 0, 0), title_justify="left"
    )
    table.add_column(name, ratio=1)
    for column in columns:
        table.add_column(column, justify="right", max_width=14)
    return table


def _means(title: str, rows: list[dict[str, Any]], has_worst: bool) -> Table:
    more = ("worst run",) if has_worst else ()
    table = new_table(f"{title}, permille", *_HEADS.values(), *more)
    last = None
    for row in rows:
        if last in OURS and row["kind"] not in OURS:
            table.add_section()
        last = row["kind"]
        name = row["method"] + ("" if row["held_out"] else " (in-sample)")
        if "missing" in row:
            table.add_row(name, row["missing"])
            continue
        worst = row["worst_ln"]
        tail = ["-" if worst is None else f"{1e3 * worst:.0f}"] if has_worst else []
        table.add_row(name, *(permille(row[part]) for part in _HEADS), *tail)
    return table


def _folds(table: dict[str, Any], part: str) -> Table:
    """One part of every fold, and which single family is best there."""
    folds = table["folds"]
    found = new_table(f"{_HEADS[part]}, each fold, permille", *folds)
    for column in found.columns[1:]:
        column.max_width = _FOLD_WIDTH
    last = None
    for row in table["rows"]:
        values = row.get(f"{part}_folds", [])
        if all(value is None for value in values):
            continue
        if last in OURS and row["kind"] not in OURS:
            _best_lines(found, table["best_single"][part])
        last = row["kind"]
        found.add_row(_plain(row["method"]), *map(_number, values))
    return found


def _best_lines(found: Table, best: dict[str, Any]) -> None:
    found.add_section()
    found.add_row("best single family", *(_short(name) for name in best["method"]))
    for name, over in best["over"].items():
        found.add_row(f"{_plain(name)} minus that", *map(_signed, over))
    found.add_section()


def _plain(name: str) -> str:
    return name.removeprefix("surrogate, ")


def _short(name: str | None) -> str:
    for long, short in _SHORT.items():
        name = name and name.replace(long, short)
    return name or "-"


def _pairs(pairs: dict[str, Any]) -> Table:
    title = (
        f"{pairs['of']} minus each baseline, mean over {pairs['cells']} distinct "
        "held-out cells\nwith its standard error over "
        f"{pairs['resamples']:,} resamples of them, permille"
    )
    table = new_table(title, *_HEADS.values(), name="against")
    for row in pairs["rows"]:
        parts = [row[part] for part in PAIRED]
        shown = (
            "-"
            if part["mean"] is None
            else f"{1e3 * part['mean']:+.2f} +- {1e3 * part['se']:.2f}"
            for part in parts
        )
        table.add_row(row["against"], *shown)
    return table


def _number(value: float | None) -> str:
    return "-" if value is None else f"{1e3 * value:.2f}"


def _signed(value: float | None) -> str:
    return "-" if value is None else f"{1e3 * value:+.2f}"

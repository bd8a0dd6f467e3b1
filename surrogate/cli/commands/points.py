"""`--points FILE`: a question a row in, the same rows with answers beside them out."""

from __future__ import annotations

import csv
import io
from collections import Counter
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, NamedTuple

import typer

from surrogate.base.errors import DataError, Status, UnlikelyError
from surrogate.base.units import quote
from surrogate.cli import documents, output, sizes, typing_numbers

if TYPE_CHECKING:
    from rich.console import RenderableType

    from surrogate.answers import Fit
    from surrogate.data.readers.formats.csv import Table

PointsFile = Annotated[
    Path | None,
    typer.Option(
        "--points",
        metavar="FILE",
        help="A CSV of questions, a row each: params, tokens, ...; needs --out.",
    ),
]
Out = Annotated[
    Path | None,
    typer.Option("--out", metavar="CSV", help="The file to write, with --points."),
]

# Where a document holds what is written, by the name of its column.
_DECIDED = {
    "suggested_lr": ("suggestion", "lr"),
    "suggested_batch": ("suggestion", "batch"),
    "steps": ("suggestion", "steps"),
    "trust": ("trust", "level"),
}
_BOX = {
    f"inner_{name}_{end}": (name, k)
    for name in ("lr", "batch")
    for k, end in enumerate(("low", "high"))
}
_OWN: dict[str, dict[str, tuple[Any, ...]]] = {
    "optimum": {
        "best_lr": ("lr",),
        "best_batch": ("batch",),
        "loss": ("loss",),
        "lr_low": ("interval", "lr", 0),
        "lr_high": ("interval", "lr", 1),
        "batch_low": ("interval", "batch", 0),
        "batch_high": ("interval", "batch", 1),
    },
    "plateau": {
        "loss_min": ("loss_min",),
        "tokens_share": ("price", "tokens_share"),
    },
    "regret": {
        "regret": ("regret",),
        "regret_upper": ("interval", "regret", 1),
        "tokens_share": ("price", "tokens_share"),
        "inside": ("inside",),
    },
}
_SIZES = ("params", "tokens", "flops", "model")
Ask = Callable[..., Any]


class Questions(NamedTuple):
    """What is asked of many points.

    Attributes:
        command: optimum, plateau or regret.
        points: the CSV file to read.
        out: the CSV file to write.
        overwrite: whether `out` may be replaced.
        typed: sizes and settings of all rows, as typed, where a row says nothing.
        shared: what every question has besides.
    """

    command: str
    points: Path
    out: Path | None
    overwrite: bool
    typed: Mapping[str, str | None]
    shared: Mapping[str, Any]


def answer(fit: Fit, asked: Questions) -> dict[str, Any]:
    """Ask every row of a file and write the file with the answers.

    Returns:
        The JSON document.

    Raises:
        DataError: a file cannot be used.
    """
    from surrogate.base.files import write_whole
    from surrogate.cli.commands.predict import check_out
    from surrogate.data.readers.formats.choose import read_any
    from surrogate.data.readers.formula import guarded_row

    check(asked.points, asked.out)
    assert asked.out is not None
    check_out(asked.out, asked.points, asked.overwrite)
    table = read_any(asked.points)
    added = _columns(asked.command)
    _check(table, added, asked.command)
    _check_told(table, asked)
    stream = io.StringIO(newline="")
    writer = csv.writer(stream, lineterminator="\n")
    writer.writerow(guarded_row([*table.header, *added, "status"]))
    refused: Counter[str] = Counter()
    for row in table.rows:
        own = dict(zip(table.header, row.fields, strict=True))
        try:
            found = _ask(fit, asked, own)
            cells, said = _cells(asked.command, found), str(found["status"])
        except DataError as error:
            cells, said = [""] * len(added), _why(error)
            refused[said] += 1
        writer.writerow(guarded_row([*row.fields, *cells, said]))
    write_whole(asked.out, stream.getvalue().encode())
    return {
        **documents.with_common_keys({}),
        "schema": output.SCHEMA,
        "status": Status.ok,
        "warnings": [],
        "out": str(asked.out),
        "points": len(table.rows),
        "answered": len(table.rows) - sum(refused.values()),
        "refused": dict(refused.most_common()),
    }


def _why(error: DataError) -> str:
    """Why a row has no answer, and what to write in it."""
    if not isinstance(error, UnlikelyError):
        return str(error)
    has_question = "did you mean" in error.said or error.meant is None
    return error.said if has_question else f"{error.said} Write {error.meant}."


def check(points: Path | None, out: Path | None) -> None:
    """Refuse one of the two files without the other.

    Raises:
        DataError: and which to add.
    """
    if points is None and out is not None:
        raise DataError(f"--out {out}: expected with --points FILE, got it alone.")
    if points is not None and out is None:
        raise DataError(
            "--points: expected --out CSV with it, the file to write the answers to."
        )


def plain(tol: float | typing_numbers.TokensShare) -> float:
    """A tolerance of many questions: a share of the loss.

    Raises:
        DataError: it is asked in tokens, which is another one at every size.
    """
    if isinstance(tol, typing_numbers.TokensShare):
        raise DataError(
            "--tol: expected a share of the loss with --points, such as 0.25%, got a "
            "share of the tokens, which is another tolerance at every size."
        )
    return tol


def run(fit: str, asked: Questions, as_json: bool) -> int:
    """Answer a file of questions; the exit code is 1 where no row has an answer."""
    from surrogate.answers import load

    found = answer(load(fit), asked)
    code = output.emit(found, as_json, text)
    return code or int(found["points"] > 0 and found["answered"] == 0)


def text(document: dict[str, Any]) -> list[RenderableType]:
    """What was written, and why rows have no answer."""
    from surrogate.cli.text import common

    rows = [
        ("questions", f"{document['points']:,}"),
        ("answered", f"{document['answered']:,}"),
        ("written to", document["out"]),
    ]
    rows += [(f"refused {n}", why) for why, n in document["refused"].items()]
    return [common.grid(rows)]


def _columns(command: str) -> list[str]:
    box = list(_BOX) if command == "plateau" else []
    return [*_OWN[command], *box, *_DECIDED]


def _check(table: Table, added: list[str], command: str) -> None:
    taken = [name for name in table.header if name in (*added, "status")]
    if taken:
        raise DataError(
            f"{table.file} line 1: column {quote(taken[0])} has the name of a column "
            f"that {command} adds. Rename it."
        )
    if table.dropped:
        raise DataError(
            f"{table.dropped[0]}. Its cells cannot be told apart, so nothing was "
            "asked. Correct the row."
        )


def _check_told(table: Table, asked: Questions) -> None:
    """Refuse what is said twice, in the file and by an option, or nowhere.

    Raises:
        DataError: naming the column.
    """
    has = {
        name
        for place, name in enumerate(table.header)
        if any(row.fields[place] for row in table.rows)
    }
    for name, typed in asked.typed.items():
        if typed is not None and name in has:
            raise DataError(
                f"--{name}: {table.file} has a column {name}. Leave one of them out."
            )
    if asked.command != "regret" or "model" in has or asked.typed.get("model"):
        return
    lacks = [n for n in ("lr", "batch") if n not in has and not asked.typed.get(n)]
    if lacks:
        raise DataError(
            f"{table.file} line 1: expected columns lr and batch, the settings that "
            f"regret is asked about, got {table.columns()}. Add {' and '.join(lacks)}, "
            f"or give {' and '.join(f'--{name}' for name in lacks)} for all rows."
        )


def _ask(fit: Fit, asked: Questions, own: Mapping[str, str]) -> dict[str, Any]:
    """The document of one row's question."""
    command, typed, shared = asked.command, asked.typed, asked.shared
    size = sizes.read({name: own.get(name) or typed.get(name) for name in _SIZES})
    question = dict(shared) | sizes.known(size, fit.params_kind, fit.scale_names)
    scales = dict(shared.get("scales") or {})
    for name in fit.scale_names:
        if own.get(name):
            scales[name] = typing_numbers.scale(own[name], what=name)
    question["scales"] = scales or None
    question["recipe"] = own.get("recipe") or shared.get("recipe")
    lr, batch = own.get("lr") or typed.get("lr"), own.get("batch") or typed.get("batch")
    named = size.named
    if lr:
        question["lr"] = typing_numbers.lr(lr, what="lr")
    elif command == "regret" and named and named.lr:
        question["lr"] = named.lr
    if batch:
        question["batch"] = typing_numbers.batch(batch, what="batch")
    elif command == "regret" and named and named.batch:
        question["batch"] = named.batch
    if command == "regret":
        for name in ("lr", "batch"):
            if question.get(name) is None:
                raise DataError(f"{name}: expected a value, got an empty cell.")
    ask: Ask = getattr(fit, command)
    return ask(**question).to_json()


def _cells(command: str, found: Mapping[str, Any]) -> list[str]:
    """The added cells of a row; empty where nothing is known."""
    cells = [_cell(found, path) for path in _OWN[command].values()]
    if command == "plateau":
        box = found["inner_robust"] or found["inner"]
        cells += ["" if box is None else _cell(box, path) for path in _BOX.values()]
    return cells + [_cell(found, path) for path in _DECIDED.values()]


def _cell(found: Any, path: tuple[Any, ...]) -> str:
    for part in path:
        if found is None:
            return ""
        found = found[part]
    if found is None:
        return ""
    if isinstance(found, bool):
        return str(found).lower()
    return repr(float(found)) if isinstance(found, int | float) else str(found)

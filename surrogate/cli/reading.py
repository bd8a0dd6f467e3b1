"""How a table of runs is read: the options of it, and the command that repeats it."""

from __future__ import annotations

import math
import os
import shlex
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any, TypedDict

import typer

from surrogate.base import defaults, units
from surrogate.base.defaults import LOSS_KINDS, LOSS_UNITS, PARAMS_KINDS
from surrogate.base.errors import DataError
from surrogate.cli.groups import Group
from surrogate.cli.options import Allow, SeqLen, allowed, choose, pairs, whole

ColumnMap = Annotated[
    list[str],
    typer.Option(
        "--map", metavar="ROLE=COLUMN", help="Which column is what; repeatable."
    ),
]
RecipeColumns = Annotated[
    list[str],
    typer.Option(
        "--recipe", metavar="COLUMN", help="A column of the recipe; repeatable."
    ),
]
ScaleColumns = Annotated[
    list[str],
    typer.Option(
        "--scale", metavar="NAME=COLUMN", help="A further scale variable; repeatable."
    ),
]
LossKind = Annotated[
    str | None,
    typer.Option(metavar="|".join(LOSS_KINDS), help="What kind of loss it is."),
]
ParamsKind = Annotated[
    str | None,
    typer.Option(metavar="|".join(PARAMS_KINDS), help="What the parameters count."),
]
DivergedAbove = Annotated[
    str | None,
    typer.Option(
        metavar="SHARE|never|COLUMN=VALUE",
        help="Which runs diverged: this far above their cell's lowest loss; none but "
        "those marked; or by a column; default: by jumps.",
    ),
]
LossUnit = Annotated[
    str | None,
    typer.Option(metavar="|".join(LOSS_UNITS), help="The unit of the loss column."),
]
Cluster = Annotated[
    str | None,
    typer.Option(
        metavar="COLUMN",
        help="Runs that share a trunk; kept with the runs, not used by a fit yet.",
    ),
]
LossSe = Annotated[
    str | None,
    typer.Option(
        metavar="COLUMN",
        help="Standard error of each loss; kept with the runs, not used by a fit yet.",
    ),
]
Finished = Annotated[
    str | None,
    typer.Option(metavar="WORD,WORD", help="Status words of runs that ended."),
]
Failed = Annotated[
    str | None,
    typer.Option(metavar="WORD,WORD", help="Status words of runs that never count."),
]
Checkpoints = Annotated[
    str,
    typer.Option(
        metavar="|".join(defaults.CHECKPOINTS), help="Rows that are of one run."
    ),
]
LrIsSchedule = Annotated[
    str | None,
    typer.Option(
        metavar="cosine[:floor=10%,warmup=2000]",
        help="lr falls along each run: compute its peak.",
    ),
]
Also = Annotated[
    str | None,
    typer.Option(
        metavar="COLUMN",
        help="A further setting that was swept, such as weight_decay: compare its "
        "levels.",
    ),
]
FillDown = Annotated[
    str | None,
    typer.Option(
        metavar="COLUMN,COLUMN",
        help="Columns whose empty cells mean the value above them.",
    ),
]

_OPTIONS = Group(
    {
        "column_map": (ColumnMap, []),
        "seq_len": (SeqLen, None),
        "recipe": (RecipeColumns, []),
        "scale": (ScaleColumns, []),
        "loss_kind": (LossKind, None),
        "params_kind": (ParamsKind, None),
        "diverged_above": (DivergedAbove, None),
        "loss_unit": (LossUnit, None),
        "cluster": (Cluster, None),
        "loss_se": (LossSe, None),
        "finished": (Finished, None),
        "failed": (Failed, None),
        "allow": (Allow, []),
        "checkpoints": (Checkpoints, defaults.CHECKPOINTS[0]),
        "lr_is_schedule": (LrIsSchedule, None),
        "also": (Also, None),
        "fill_down": (FillDown, None),
    }
)
# All of them; those of tables that need little said.
Typed = Annotated[dict[str, Any], _OPTIONS]
TypedPlainly = Annotated[
    dict[str, Any], _OPTIONS.only(*list(_OPTIONS.options)[:7], "also")
]
# The bundled fit that few runs are compared with.
OTHERS = "steplaw-dense"
_SINGLE = (
    *("seq_len", "loss_kind", "params_kind", "loss_unit", "cluster", "loss_se"),
    *("checkpoints", "lr_is_schedule", "also", "fill_down"),
)


class Reading(TypedDict):
    """What `readers.read_runs` takes besides the files."""

    map: dict[str, str] | None
    seq_len: int | None
    recipe: list[str] | None
    scales: dict[str, str] | None
    loss_kind: str | None
    params_kind: str | None
    diverged_above: float | str | None
    loss_unit: str | None
    cluster: str | None
    loss_se: str | None
    finished: list[str]
    failed: list[str]
    allow: list[str]
    checkpoints: str
    lr_is_schedule: str | None
    also: str | None
    fill_down: str


def parsed(typed: Mapping[str, Any]) -> Reading:
    """Parse the options that say how a table of runs is read."""
    loss_kind, params_kind = typed["loss_kind"], typed["params_kind"]
    if loss_kind is not None:
        choose("--loss-kind", loss_kind, LOSS_KINDS)
    if params_kind is not None:
        choose("--params-kind", params_kind, PARAMS_KINDS)
    form = 'ROLE=COLUMN, such as loss="smooth loss"'
    seq_len, loss_unit = typed["seq_len"], typed.get("loss_unit")
    checkpoints = typed.get("checkpoints", defaults.CHECKPOINTS[0])
    return {
        "map": pairs("--map", typed["column_map"], form),
        "seq_len": None if seq_len is None else whole("--seq-len", seq_len),
        "recipe": list(typed["recipe"]) or None,
        "scales": pairs("--scale", typed["scale"], "NAME=COLUMN, such as active=Na"),
        "loss_kind": loss_kind,
        "params_kind": params_kind,
        "diverged_above": _diverged_above(typed["diverged_above"]),
        "loss_unit": loss_unit and choose("--loss-unit", loss_unit, LOSS_UNITS),
        "cluster": typed.get("cluster"),
        "loss_se": typed.get("loss_se"),
        "finished": _words(typed.get("finished")),
        "failed": _words(typed.get("failed")),
        "allow": allowed(typed.get("allow", ())),
        "checkpoints": choose("--checkpoints", checkpoints, defaults.CHECKPOINTS),
        "lr_is_schedule": typed.get("lr_is_schedule"),
        "also": typed.get("also"),
        "fill_down": typed.get("fill_down") or "",
    }


def check_also(command: str, also: str | None, files: Sequence[Path]) -> None:
    """Refuse `--also` where no table is read.

    Raises:
        DataError: it is given without files.
    """
    if also is not None and not files:
        raise DataError(
            f"{command}: --also says how a table of runs is read, but none is named. "
            "Add --runs FILE, or leave it out: a fit knows the levels it was fitted to."
        )


def fit_command(files: Sequence[Path], how: Mapping[str, Any]) -> str:
    """The command that fits what was read so."""
    words = ["surrogate", "fit", *_read_so(files, how), "--out", _free("out/fit")]
    return shlex.join(words)


def _free(name: str) -> str:
    """A folder that `fit` may write: this one, or it with the first free number."""
    taken, k = name, 1
    while os.path.isfile(taken) or (os.path.isdir(taken) and os.listdir(taken)):
        k += 1
        taken = f"{name}-{k}"
    return taken


def evaluate_command(files: Sequence[Path], how: Mapping[str, Any]) -> str:
    """The command that asks how a bundled fit does on what was read so."""
    # It knows none of their scales and recipes.
    plain = {**how, "scales": None, "recipe": None, "also": None}
    words = _read_so(files, plain)
    return shlex.join(["surrogate", "evaluate", OTHERS, *words])


def _read_so(files: Sequence[Path], how: Mapping[str, Any]) -> list[str]:
    """The files and the options by which they were read."""
    words = [*map(str, files)]
    for option, name in (("--map", "map"), ("--scale", "scales")):
        for key, text in (how.get(name) or {}).items():
            words += [option, f"{key}={text}"]
    for column in how.get("recipe") or ():
        words += ["--recipe", column]
    for name in ("finished", "failed"):
        if how.get(name):
            words += [f"--{name}", ",".join(how[name])]
    for value in how.get("allow") or ():
        words += ["--allow", value]
    above = how.get("diverged_above")
    if above is not None:
        words += ["--diverged-above", _above(above)]
    for name in _SINGLE:
        value = how.get(name)
        if value not in (None, "") and (name, value) != ("checkpoints", "last"):
            words += [f"--{name.replace('_', '-')}", str(value)]
    return words


def _above(value: float | str) -> str:
    """What `_diverged_above` reads back."""
    if isinstance(value, str):
        return value
    return "never" if math.isinf(value) else f"{100 * value!r}%"


def _words(text: str | None) -> list[str]:
    """Words between commas."""
    return [word for part in (text or "").split(",") if (word := part.strip())]


def _diverged_above(text: str | None) -> float | str | None:
    """Parse `--diverged-above`: a share, `never` for infinity, or COLUMN=VALUE."""
    if text is None:
        return None
    if text == "never":
        return math.inf
    if "=" in text:
        pairs("--diverged-above", [text], "COLUMN=VALUE, such as status=nan")
        return text
    value = units.parse_number(text, what="--diverged-above")
    if value <= 0 or (value > 1 and not text.rstrip().endswith("%")):
        raise DataError(
            "--diverged-above: expected a share above 0% with its sign, never, or "
            f"COLUMN=VALUE, got {units.quote(text)}. Write 25%, never or status=nan."
        )
    return value

"""The options that commands share, and the parsing of what stands behind them.

Options arrive as text and are parsed by `surrogate.base.units`, so that a number is
read and refused alike everywhere. Each parser raises a `DataError` that names the
option.
"""

from __future__ import annotations

import contextlib
import difflib
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any, TypedDict

import typer

from surrogate.base import defaults, units
from surrogate.base.defaults import (
    DEVICES,
)
from surrogate.base.errors import DataError, UnlikelyError
from surrogate.cli import typing_numbers
from surrogate.cli.groups import Group
from surrogate_kernels.backends import NAMES as BACKENDS

# Defaults as text, since options are parsed from it.
TOL, PROBABILITY, P_MAX, MAX_DROPPED = map(
    units.format_percent,
    (defaults.TOL, defaults.PROBABILITY, defaults.P_MAX, defaults.MAX_DROPPED),
)

FitArgument = Annotated[
    str,
    typer.Argument(
        metavar="FIT", help="A folder written by `fit`, or a bundled fit's name."
    ),
]
RunsArgument = Annotated[
    list[Path],
    typer.Argument(
        metavar="RUNS",
        help="Tables of finished runs (CSV, JSON, Parquet, Excel, markdown), - for "
        "standard input.",
    ),
]
Json = Annotated[
    bool, typer.Option("--json", help="Print one JSON document instead of text.")
]
Overwrite = Annotated[
    bool, typer.Option("--overwrite", help="Replace what --out names.")
]
Device = Annotated[
    str, typer.Option(metavar="|".join(DEVICES), help="Where to compute.")
]
Backend = Annotated[
    str, typer.Option(metavar="|".join(BACKENDS), help="Which kernels to use.")
]
Seed = Annotated[int, typer.Option(min=0, metavar="S", help="Seed of all randomness.")]

SeqLen = Annotated[
    str | None,
    typer.Option(metavar="N", help="Tokens per sequence, for batches in sequences."),
]
About = Annotated[
    list[str],
    typer.Option(
        "--about",
        metavar="KEY=VALUE",
        help="The recipe of the runs, said with every answer: optimizer=AdamW, "
        'schedule="cosine to 1e-5", seq_len=2048; repeatable.',
    ),
]
MaxDropped = Annotated[
    str, typer.Option(metavar="SHARE", help="Dropped rows above this share: exit 1.")
]

OptionalParams = Annotated[
    str | None, typer.Option("--params", metavar="N", help="Parameters, such as 1.07B.")
]
OptionalTokens = Annotated[
    str | None, typer.Option("--tokens", metavar="D", help="Training tokens, as 100B.")
]
Steps = Annotated[
    str | None,
    typer.Option(metavar="S", help="Optimiser steps, instead of --tokens."),
]
Flops = Annotated[
    str | None,
    typer.Option(
        metavar="C", help="6 N D, instead of one of --params and --tokens; 3EF."
    ),
]
RecipeName = Annotated[
    str | None, typer.Option("--recipe", metavar="R", help="Which recipe of the fit.")
]
ScaleValues = Annotated[
    list[str],
    typer.Option(
        "--scale", metavar="NAME=VALUE", help="A further scale's value; repeatable."
    ),
]
Batch = Annotated[
    str | None,
    typer.Option(metavar="B", help="Batch in tokens, or 256x2048 for sequences."),
]
Lr = Annotated[str | None, typer.Option(metavar="LR", help="Peak learning rate.")]
LrRange = Annotated[
    str | None, typer.Option(metavar="LO:HI", help="Allowed learning rates.")
]
BatchRange = Annotated[
    str | None, typer.Option(metavar="LO:HI", help="Allowed batch sizes, in tokens.")
]
PMax = Annotated[
    str,
    typer.Option("--p-max", metavar="SHARE", help="Allowed probability of divergence."),
]
Probability = Annotated[
    str, typer.Option(metavar="SHARE", help="Of draws, for the robust plateau.")
]
Tol = Annotated[
    str, typer.Option(metavar="SHARE", help="Loss above the lowest, relative.")
]


Transfer = Annotated[
    str | None,
    typer.Option(
        metavar="LAW",
        help="Where the runs tell nothing: carried by a published law (step-law, ...).",
    ),
]
Allow = Annotated[
    list[str],
    typer.Option(
        metavar="|".join(defaults.ALLOWED),
        help="Sizes that look like a slip: under 1/1,000 of the smallest fitted.",
    ),
]


WhereTyped = Annotated[
    dict[str, Any],
    Group(
        {
            "recipe": (RecipeName, None),
            "scale": (ScaleValues, []),
            "lr_range": (LrRange, None),
            "batch_range": (BatchRange, None),
            "p_max": (PMax, P_MAX),
            "allow": (Allow, []),
        }
    ),
]


class Where(TypedDict):
    """What a question says besides its sizes."""

    scales: dict[str, float] | None
    recipe: str | None
    lr_range: tuple[float, float] | None
    batch_range: tuple[float, float] | None
    p_max: float
    allow: list[str]


class Point(Where):
    """A question at known sizes."""

    params: float
    tokens: float


def choose(option: str, value: str, choices: Sequence[str]) -> str:
    """Return `value` if it is one of `choices`; raise a DataError otherwise."""
    if value in choices:
        return value
    near = difflib.get_close_matches(value, choices, n=1)
    hint = f" Did you mean {near[0]}?" if near else ""
    raise DataError(
        f"{option}: expected one of {', '.join(choices)}, got {units.quote(value)}."
        f"{hint}"
    )


def pairs(option: str, values: Sequence[str], form: str) -> dict[str, str] | None:
    """Read repeated NAME=TEXT options, split at the first equals sign.

    Args:
        option: the option's name, for messages.
        values: the texts, one an occurrence.
        form: what each should look like, for messages.

    Returns:
        The texts by name, or None where the option was not given.

    Raises:
        DataError: if one has no equals sign or an empty side, or a name comes twice.
    """
    found: dict[str, str] = {}
    for value in values:
        name, equals, text = (part.strip() for part in value.partition("="))
        if not (name and equals and text):
            raise DataError(f"{option}: expected {form}, got {units.quote(value)}.")
        if name in found:
            raise DataError(
                f"{option}: {units.quote(name)} is given twice, as "
                f"{units.quote(found[name])} and {units.quote(text)}. Give it once."
            )
        found[name] = text
    return found or None


def whole(option: str, text: str) -> int:
    """Read a whole number above 0; raise a DataError otherwise."""
    value = units.parse_count(text, what=option)
    if not value.is_integer():
        raise DataError(
            f"{option}: expected a whole number, got {units.quote(text)}."
            " Write it without decimals, such as 2048."
        )
    return int(value)


def share(option: str, text: str) -> float:
    """Read a share from 0% to 100%, both allowed; raise a DataError otherwise."""
    value = units.parse_number(text, what=option)
    if not 0 <= value <= 1:
        raise DataError(
            f"{option}: expected a share from 0% to 100%, got {units.quote(text)}."
            " Write 10% or 0.1."
        )
    return value


def inner_share(option: str, text: str) -> float:
    """Read a share between 0% and 100%, neither allowed; raise a DataError."""
    value = share(option, text)
    if value in (0, 1):
        raise DataError(
            f"{option}: expected a share above 0% and below 100%, got "
            f"{units.quote(text)}. Write 5% or 0.05."
        )
    return value


def scale_values(values: Sequence[str]) -> dict[str, float] | None:
    """Parse repeated `--scale NAME=VALUE`."""
    texts = pairs("--scale", values, "NAME=VALUE, such as active=500M")
    if texts is None:
        return None
    return {
        name: typing_numbers.scale(text, what=f"--scale {name}")
        for name, text in texts.items()
    }


def optional_lr(text: str | None) -> float | None:
    """Parse `--lr` where it is given."""
    return None if text is None else typing_numbers.lr(text)


def optional_batch(text: str | None, option: str = "--batch") -> float | None:
    """Parse a batch [tokens] where it is given."""
    return None if text is None else typing_numbers.batch(text, what=option)


def allowed(values: Sequence[str]) -> list[str]:
    """Parse repeated `--allow`."""
    return [choose("--allow", value, defaults.ALLOWED) for value in values]


# Arguments that are options of their own name; others are scales.
_ARGUMENTS = (
    *("params", "tokens", "lr", "lr_max", "lr_range"),
    *("batch", "batch_max", "batch_range"),
)


@contextlib.contextmanager
def dashed(*, can_allow: bool = True) -> Iterator[None]:
    """Put the dashes on a refusal of what was probably typed wrong.

    Args:
        can_allow: the command has `--allow`.

    Raises:
        DataError: in the command line's words.
    """
    try:
        yield
    except UnlikelyError as error:
        said, advice = error.said, []
        if error.name is not None:
            option = f"--{error.name.replace('_', '-')}"
            is_option = error.name in _ARGUMENTS
            option = option if is_option else f"--scale {error.name}="
            said = f"{option.rstrip('=')}{said.removeprefix(error.name)}"
            if error.meant:
                gap = " " if is_option else ""
                advice.append(f"write {option}{gap}{error.meant}")
        if can_allow:
            advice.append(f"add --allow {error.allow} to be answered all the same")
        remedy = ", or ".join(advice) or "correct it"
        raise DataError(f"{said} {remedy[0].upper()}{remedy[1:]}.") from error


def where(typed: Mapping[str, Any]) -> Where:
    """Parse what a question says besides its sizes (`WhereTyped`)."""
    lr_range, batch_range = typed["lr_range"], typed["batch_range"]
    return {
        "scales": scale_values(typed["scale"]),
        "recipe": typed["recipe"],
        "lr_range": None
        if lr_range is None
        else units.parse_range(lr_range, what="--lr-range"),
        "batch_range": None
        if batch_range is None
        else units.parse_range(
            batch_range, what="--batch-range", parse=typing_numbers.batch
        ),
        "p_max": inner_share("--p-max", typed["p_max"]),
        "allow": allowed(typed["allow"]),
    }


def optional_counts(typed: Mapping[str, str | None]) -> dict[str, float | None]:
    """Parse sizes by name, those that are given; tokens may be a ratio to params."""
    found: dict[str, float | None] = {}
    for name, text in typed.items():
        if text is None:
            found[name] = None
        elif name == "tokens":
            found[name] = typing_numbers.tokens(text, found.get("params"))
        else:
            found[name] = typing_numbers.count(text, what=f"--{name}")
    return found


def optional_count(option: str, text: str | None) -> float | None:
    """Parse a count where it is given."""
    return None if text is None else typing_numbers.count(text, what=option)

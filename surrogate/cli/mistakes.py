"""What was probably meant by a command that was typed wrong, with the line to type."""

from __future__ import annotations

import difflib
import os
import shlex
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

from surrogate.base.errors import UnlikelyError
from surrogate.cli import guide

# What other tools call an option, or people do.
_OPTIONS = {
    **dict.fromkeys(("--learning-rate", "--learning_rate", "--peak-lr"), "--lr"),
    **dict.fromkeys(("--bs", "--batch-size", "--batch_size", "--b", "-b"), "--batch"),
    **dict.fromkeys(
        ("--param", "--parameters", "--n", "-n", "--n-params", "--size"), "--params"
    ),
    **dict.fromkeys(("--token", "--d", "-d", "--n-tokens", "--data"), "--tokens"),
    **dict.fromkeys(("--output", "-o", "--file", "--save"), "--out"),
    **dict.fromkeys(("--tolerance", "-t"), "--tol"),
    **dict.fromkeys(("--flop", "--compute", "-c"), "--flops"),
    **dict.fromkeys(("--force", "-f"), "--overwrite"),
    **dict.fromkeys(("--draws", "--resamples"), "--bootstrap"),
    **dict.fromkeys(("--column", "--columns"), "--map"),
    "--seqlen": "--seq-len",
    "--seq-length": "--seq-len",
}
_COMMANDS = {
    **dict.fromkeys(("help", "-help"), "--help"),
    **dict.fromkeys(("version", "-v", "-V"), "--version"),
    **dict.fromkeys(("best", "ask", "argmin", "min"), "optimum"),
    **dict.fromkeys(("read", "load", "inspect", "describe"), "check"),
    **dict.fromkeys(("train", "run", "build"), "fit"),
    **dict.fromkeys(("list", "ls"), "models"),
    **dict.fromkeys(("score", "test"), "evaluate"),
    **dict.fromkeys(("laws", "formula"), "law"),
    **dict.fromkeys(("range", "region", "band"), "plateau"),
    **dict.fromkeys(("cost", "loss", "waste"), "regret"),
    **dict.fromkeys(("plan", "design", "suggest"), "next"),
    **dict.fromkeys(("html", "page"), "report"),
    **dict.fromkeys(("figure", "draw", "show"), "plot"),
    **dict.fromkeys(("fetch", "download", "dumps"), "data"),
}
_TABLES = (".csv", ".tsv", ".json", ".jsonl", ".parquet", ".xlsx", ".md", ".txt")
# Commands whose first word is a fit, and those that take tables alone.
_OF_FITS = ("optimum", "plateau", "regret", "predict", "evaluate", "report")
_OF_TABLES = ("check", "fit", "validate")


def option(name: str, own: Sequence[str], others: Mapping[str, Sequence[str]]) -> str:
    """What an option that a command lacks was meant to be, as a sentence, or "".

    Args:
        name: as it was typed.
        own: the options of the command.
        others: those of the other commands, by their names.
    """
    meant = near_option(name, own)
    if meant:
        return f"Did you mean {meant}?"
    holders = [command for command, names in others.items() if name in names]
    if not holders:
        return ""
    named = ", ".join(f"`surrogate {command}`" for command in holders[:3])
    return f"It is an option of {named}."


def near_option(name: str, own: Sequence[str]) -> str | None:
    """The option that was probably meant: by another name, else by its letters."""
    known = _OPTIONS.get(name.lower()) or _OPTIONS.get(name)
    if known in own:
        return known
    near = difflib.get_close_matches(name, own, n=1, cutoff=0.75)
    begins = [other for other in own if other.startswith(f"{name}-")]
    return (near or begins or [None])[0]


def command(name: str, known: Iterable[str]) -> str | None:
    """The command that was probably meant."""
    names = list(known)
    meant = _COMMANDS.get(name.lower())
    if meant:
        return meant
    near = difflib.get_close_matches(name, names, n=1, cutoff=0.6)
    begins = [other for other in names if other.startswith(name.lower())]
    return (begins or near or [None])[0]


def line(words: Sequence[str]) -> str:
    """A whole command to type."""
    return f"Type: surrogate {shlex.join(words)}"


def corrected(given: Sequence[str], own: Sequence[str]) -> list[str]:
    """A command with the options that it has in the place of those meant."""
    words = []
    for word in given:
        name, mark, value = word.partition("=")
        meant = None
        if name.startswith("-") and name not in own and not _is_number(name):
            meant = near_option(name, own)
        words.append(f"{meant}{mark}{value}" if meant else word)
    return words


def retyped(given: Sequence[str], cause: BaseException | None) -> str:
    """The whole line with the value that was probably meant; "" where none is known.

    Args:
        given: the words of a command that was refused.
        cause: why.
    """
    if not isinstance(cause, UnlikelyError) or not (cause.name and cause.meant):
        return ""
    option, words = f"--{cause.name.replace('_', '-')}", list(given)
    for k, word in enumerate(words):
        name, mark, _ = word.partition("=")
        if name == option and mark:
            words[k] = f"{option}={cause.meant}"
        elif name == option and k + 1 < len(words):
            words[k + 1] = cause.meant
        elif name == cause.name and words[k - 1] == "--scale":
            words[k] = f"{cause.name}={cause.meant}"
        else:
            continue
        return f" {line(words)}"
    return ""


def _is_number(word: str) -> bool:
    try:
        float(word)
    except ValueError:
        return False
    return True


def missing(name: str, which: str, bundled: Callable[[], Sequence[str]]) -> str:
    """What an argument that is not there should be, with an example that runs."""
    what = {
        "FIT": "a folder written by `surrogate fit`, or a fit that comes with the "
        f"package ({', '.join(bundled())})",
        "RUNS": "a table of finished runs, such as runs.csv",
        "POINTS": "a CSV file of points with columns lr, batch, params and tokens",
        "NAME": "a law's name, or list",
        "WHAT": "what to draw, such as surface",
    }.get(which)
    example = guide.EXAMPLES.get(name, ("",))[0]
    said = f"{name}: expected {what or which.replace('|', ' or ')}, got none."
    return f"{said} For example: {example}" if example else said


def swapped(given: Sequence[str], bundled: Callable[[], Sequence[str]]) -> str | None:
    """What to say of a table in the place of a fit, or a fit in that of a table.

    Args:
        given: the words of a command that failed.
        bundled: the names of the fits that come with the package.
    """
    if len(given) < 2 or given[1].startswith("-"):
        return None
    name, first, rest = given[0], given[1], list(given[2:])
    if name in _OF_TABLES and _is_fit(first, bundled):
        return (
            f"{name}: expected a table of runs, got the fit {first!r}. Ask it with "
            f"`surrogate plateau {shlex.quote(first)} --params N --tokens D`, or name "
            "the table it was fitted to."
        )
    if name not in _OF_FITS:
        return None
    inside = os.path.dirname(first)
    if os.path.basename(first) == "manifest.json" and os.path.isfile(first):
        said = f"{name}: expected the folder of a fit, got a file in it."
        return f"{said} {line([name, inside or '.', *rest])}"
    if _is_table(first):
        other = rest[0] if rest and not rest[0].startswith("-") else None
        if other is not None and _is_fit(other, bundled):
            said = f"{name}: expected the fit first, then the table."
            return f"{said} {line([name, other, first, *rest[1:]])}"
        return (
            f"{name}: expected a fit, got the table {first!r}. Fit it first: surrogate "
            f"fit {shlex.quote(first)} --out FIT, then {name} FIT."
        )
    if os.path.lexists(first) or first.startswith("bundled:") or first in bundled():
        return None
    begins = [other for other in bundled() if other.startswith(first.lower())]
    near = begins or difflib.get_close_matches(first.lower(), bundled(), cutoff=0.6)
    if not near:
        return None
    said = f"{name}: expected a fit, and there is none at {first!r}."
    return f"{said} Did you mean {' or '.join(near)}? {line([name, near[0], *rest])}"


def _is_fit(word: str, bundled: Callable[[], Sequence[str]]) -> bool:
    is_folder = os.path.isfile(os.path.join(word, "manifest.json"))
    return is_folder or (word in bundled() and not os.path.lexists(word))


def _is_table(word: str) -> bool:
    return os.path.isfile(word) and os.path.splitext(word)[1].lower() in _TABLES


def options_of(command: Any) -> list[str]:
    """The options that a parsed command takes."""
    return [
        name
        for parameter in command.params
        for name in (*parameter.opts, *parameter.secondary_opts)
        if name.startswith("-")
    ]

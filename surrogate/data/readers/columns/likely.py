"""Columns whose names say a role in part: proposed where no name says it all."""

from __future__ import annotations

import re

from surrogate.data.readers.columns.roles import fold, role_of
from surrogate.data.readers.formats.csv import Table, parse_cell

_LOSS = re.compile(r"loss|ppl|perplexity|bpb|nll|entropy|verlust|损失|損失")
# What a tuner calls what it minimises, and how papers write a loss.
_WIDE = re.compile(
    r"(^|_)(objective|objective_value|values?(_0)?|score|metric)($|_)|^l$"
)
# Parts of a loss, its spread, and values that are not those of the end.
_LESS = re.compile(
    r"(^|_)(step|min|max|std|stderr|stdev|se|var|aux|z|router|balance|moe|mtp|initial"
    r"|first|start|delta|diff|scale|scaler|weight)($|_)"
)
_RATE = re.compile(r"per_|_per|batch|sec|rate|/s|vocab|step|ratio|throughput|embed")
_LEAST = {"param": 1e4, "token": 1e6}


def inner_role(name: str) -> str | None:
    """The role of a name behind groups that are not known, such as "a.b.lr"; else None.

    A loss behind a group is of that group, as "aux/loss" is, and no candidate.
    """
    if role_of(name) is not None:
        return None
    parts = re.split(r"[./]", name)
    for k in range(1, len(parts)):
        role = role_of(".".join(parts[k:]))
        if role is not None:
            return None if role == "loss" else role
    return None


def likely_losses(table: Table, *, is_wide: bool = False) -> list[str]:
    """Columns that may be the loss by a word of their names, the likeliest first."""
    words = _WIDE if is_wide else _LOSS
    found = [
        name
        for k, name in enumerate(table.header)
        if words.search(_words(name) if is_wide else name.lower())
        and (not is_wide or _are_losses(table, k))
    ]
    return sorted(found, key=lambda name: bool(_LESS.search(fold(name))))


def likely_sizes(table: Table, word: str) -> list[str]:
    """Columns of large numbers with `param` or `token` in their names."""
    found = [
        name
        for k, name in enumerate(table.header)
        if word in fold(name)
        and role_of(name) is None
        and not _RATE.search(fold(name).replace("non_embed", ""))
        and _largest(table, k) >= _LEAST[word]
    ]
    return sorted(found, key=lambda name: "non" not in fold(name))


def _words(name: str) -> str:
    """A name folded, with its humps as words: FinalObjectiveValue."""
    return fold(re.sub(r"(?<=[a-z0-9])(?=[A-Z])", "_", name))


def _are_losses(table: Table, place: int) -> bool:
    """Whether all numbers of a column could be losses, and some are not whole."""
    cells = [parse_cell(row.fields[place]) for row in table.rows]
    numbers = [x for x in cells if isinstance(x, float)]
    is_loss = bool(numbers) and all(0.05 < x < 20 for x in numbers)
    return is_loss and not all(x.is_integer() for x in numbers)


def _largest(table: Table, place: int) -> float:
    cells = (parse_cell(row.fields[place]) for row in table.rows)
    return max((x for x in cells if isinstance(x, float)), default=0.0)

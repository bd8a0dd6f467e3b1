"""Settings that only the names of runs hold: gpt-124M_lr6e-4_bs512, lr=6e-4,bs=512.

They become columns such as `lr in JobName`, which play no role by themselves: they are
proposed where nothing else says what they say.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import replace

from surrogate.data.readers.columns.roles import role_of
from surrogate.data.readers.formats.csv import Row, Table, parse_cell

_PART = re.compile(
    r"([A-Za-z][A-Za-z_]*?)\s?[=:]?\s?"
    r"([0-9]+\.?[0-9]*(?:e-?[0-9]+)?(?:Ki|Mi|Gi|[kKmMbBT])?)(?=$|[^A-Za-z0-9.])"
)
_SIZE = re.compile(r"(?:^|(?<=[-_ ]))([0-9]+\.?[0-9]*[mMbBtT])(?=$|[-_ ])")
_SPLIT = re.compile(r"[-_,; /]+(?=[A-Za-z])")
_LEAST = 2
# Of two sizes without a name the first is of the model, as in 60M-1.2B-lr1e-3.
SIZE, SECOND_SIZE = "size", "second size"
_SHORT = {"tok": "tokens", "toks": "tokens", "sl": "seq_len", "seq": "seq_len"}


def with_names(table: Table) -> Table:
    """`table` with columns of what the names of its runs say, where lr is nowhere."""
    roles = {role_of(name) for name in table.header if name}
    if "lr" in roles and "params" in roles:
        return table
    for place, name in enumerate(table.header):
        texts = [row.fields[place] for row in table.rows]
        if not _are_names(texts):
            continue
        found = [_parts(text) for text in texts]
        if "lr" in roles:
            # Only the size of a model is worth a guess beside settings that are there.
            found = [
                {k: v for k, v in parts.items() if k in (SIZE, SECOND_SIZE)}
                for parts in found
            ]
        keys = [key for key in found[0] if all(key in parts for parts in found)]
        sizes = [key for key in keys if key in (SIZE, SECOND_SIZE)]
        known = [key for key in keys if role_in_names(key) or key in sizes]
        keys = [key for key in keys if f"{key} in {name}" not in table.header]
        is_size = bool(keys) and keys == sizes and "params" not in roles
        if (len(known) >= _LEAST and "lr" not in roles) or is_size:
            header = tuple(f"{key} in {name or 'the first column'}" for key in keys)
            rows = tuple(
                Row(row.line, (*row.fields, *(parts[key] for key in keys)))
                for row, parts in zip(table.rows, found, strict=True)
            )
            return replace(table, header=(*table.header, *header), rows=rows)
    return table


def role_in_names(key: str) -> str | None:
    """What a part of a name is: as a column of that name, or by a short form."""
    return role_of(key) or _SHORT.get(key.lower())


def _are_names(texts: Sequence[str]) -> bool:
    """Whether cells are words with numbers in them."""
    return all(
        text and len(text) < 300 and re.search("[A-Za-z]", text) for text in texts
    ) and not any(isinstance(parse_cell(text), float) for text in texts)


def _parts(text: str) -> dict[str, str]:
    """The numbers of a name by what stands before each, the first of a kind."""
    found: dict[str, str] = {}
    for part in _SPLIT.split(text):
        match = _PART.match(part)
        if match is None:
            continue
        key = match[1].strip("_")
        if role_in_names(key):
            found.setdefault(key, match[2])
    sizes = [size.upper() for size in _SIZE.findall(text)]
    if sizes and not any(role_of(key) == "params" for key in found):
        found[SIZE] = sizes[0]
        if len(sizes) == 2 and not any(role_in_names(k) == "tokens" for k in found):
            found[SECOND_SIZE] = sizes[1]
    return found

"""Tables in JSON: the shapes in which people write runs down.

A list of records; lists by name; records by name; values by setting (`{"1e-3": 2.9}`);
what pandas writes (split, table, index, columns); or one of these inside an envelope,
whose own numbers hold for all records. Two lists that share their ids are joined.
Numbers keep their digits.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from surrogate.base.errors import DataError
from surrogate.base.units import quote
from surrogate.data.readers.columns.roles import role_of
from surrogate.data.readers.formats.content import MOST_DEPTH, Content
from surrogate.data.readers.formats.csv import Table, decode, parse_cell
from surrogate.data.readers.formats.records import (
    Record,
    flatten,
    from_records,
    too_deep,
)
from surrogate.data.readers.formats.trainer_state import (
    is_trainer_state,
    record_of,
)
from surrogate.data.readers.formats.values import Number, is_wrapped

COUNTED = "records are counted from 1 where a line is named"
# What pandas writes beside its rows.
# Settings and a loss that make a record of a run.
_LEAST_ROLES = 3
_SPLIT, _SCHEMA = {"columns", "data"}, {"schema", "data"}


def parse_json(content: Content) -> Table:
    """The table in a JSON file.

    Raises:
        DataError: it is no JSON, or no table of any of the shapes.
    """
    file = content.file
    value = loads(file, decode(content))
    if is_trainer_state(value):
        record, note = record_of(file, value)
        return from_records(file, content.sha256, [(1, record)], notes=[note])
    found = list(_tables(file, value, "", {}, 0))
    if not found and _is_run(file, value):
        return from_records(file, content.sha256, [(1, value)])
    if not found:
        raise DataError(
            f"{file}: expected a list of records, lists by name, or values by "
            'setting such as {"1e-3": 2.9}, got none of these. Write one record a '
            "run, or CSV."
        )
    records = found[0][1] if len(found) == 1 else _joined(file, found)
    numbered = [(k + 1, record) for k, record in enumerate(records)]
    notes = [f"{file}: {COUNTED}"]
    if any(set(records[0]) == {_setting(name), "loss"} for name, records in found):
        notes.append(
            f"{file}: values by setting are read as losses in nats per token (say "
            "--loss-unit bits_per_byte or perplexity if they are)"
        )
    return from_records(file, content.sha256, numbered, notes=notes)


def _is_run(file: str, value: Any) -> bool:
    """Whether a document is the record of one run: settings and a loss."""
    if not isinstance(value, Mapping):
        return False
    roles = {role_of(name) for name in flatten(file, value, 1)}
    return "loss" in roles and len(roles - {None, "name", "status"}) >= _LEAST_ROLES


def loads(file: str, text: str) -> Any:
    """A JSON document whose numbers keep their digits.

    Raises:
        DataError: naming the line where it ends to be JSON, or that it is too deep.
    """
    try:
        return json.loads(
            text,
            parse_float=Number,
            parse_int=Number,
            parse_constant=Number,
            object_pairs_hook=_once,
        )
    except json.JSONDecodeError as error:
        raise DataError(
            f"{file} line {error.lineno}: expected JSON, got something else at column "
            f"{error.colno} ({error.msg}). Correct it, or export the runs as CSV."
        ) from error
    except _TwiceError as error:
        raise DataError(
            f"{file}: expected every name once in an object, got {quote(str(error))} "
            "twice. Rename or remove one."
        ) from error
    except RecursionError as error:
        raise too_deep(file) from error


class _TwiceError(Exception):
    """A name that an object has twice."""


def _once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) != len(pairs):
        counts = Counter(name for name, _ in pairs)
        raise _TwiceError(counts.most_common(1)[0][0])
    return found


def _tables(
    file: str, value: Any, name: str, around: dict[str, Any], depth: int
) -> Iterator[tuple[str, list[Record]]]:
    """Every table in a document, with its name; the outermost of nested ones."""
    if depth > MOST_DEPTH:
        raise too_deep(file)
    records = _records(file, value, name)
    if records is not None:
        yield name, [{**_absent(around, record), **record} for record in records]
        return
    if not isinstance(value, Mapping):
        return
    scalars = {k: v for k, v in value.items() if not isinstance(v, Mapping | list)}
    for key, item in value.items():
        if isinstance(item, Mapping | list):
            yield from _tables(file, item, key, {**around, **scalars}, depth + 1)


def _absent(around: Record, record: Record) -> dict[str, Any]:
    """What the envelope says, where it says what a setting of all records is."""
    return {
        name: value
        for name, value in around.items()
        if name not in record and role_of(name) not in (None, "loss")
    }


def _records(file: str, value: Any, name: str) -> list[Record] | None:
    """The records of a value that is a table by itself."""
    if isinstance(value, list):
        if value and all(isinstance(item, Mapping) for item in value):
            return value
        is_grid = len(value) > 1 and all(isinstance(row, list) for row in value)
        if is_grid and all(_is_name(cell) for cell in value[0]):
            return [_zipped(file, value[0], row) for row in value[1:]]
        return None
    if not isinstance(value, Mapping) or not value or is_wrapped(value):
        return None
    if set(value) >= _SCHEMA and isinstance(value["schema"], Mapping):
        return _records(file, value["data"], name)
    if set(value) >= _SPLIT and all(isinstance(value[key], list) for key in _SPLIT):
        return [_zipped(file, value["columns"], row) for row in value["data"]]
    items = list(value.values())
    if _is_by_words(value):
        return [{"name": k, "loss": v} for k, v in value.items()]
    if _is_by_value(value):
        return [{_setting(name): k, "loss": v} for k, v in value.items()]
    if all(isinstance(item, list) for item in items):
        return _of_lists(file, value)
    if len(items) > 1 and all(isinstance(item, Mapping) and item for item in items):
        return _of_mappings(value)
    return None


def _is_name(cell: Any) -> bool:
    return isinstance(cell, str) and not isinstance(cell, Number)


def _is_by_value(value: Any) -> bool:
    """Whether numbers stand for numbers: `{"1e-3": 2.9}`."""
    return (
        isinstance(value, Mapping)
        and len(value) > 1
        and all(isinstance(parse_cell(str(key)), float) for key in value)
        and all(item is None or isinstance(item, str) for item in value.values())
    )


def _is_by_words(value: Mapping[str, Any]) -> bool:
    """Whether losses stand by their settings in words: `{"lr=1e-3,bs=64": 2.9}`."""
    return len(value) > 1 and all(
        ("=" in str(key) or ":" in str(key)) and isinstance(item, Number)
        for key, item in value.items()
    )


def _setting(name: str) -> str:
    """What the keys of values by setting are: "lr_sweep" is of lr."""
    return name.removesuffix("_sweep").removeprefix("sweep_") or "setting"


def _zipped(file: str, names: Sequence[Any], row: Any) -> Record:
    if not isinstance(row, list) or len(row) != len(names):
        count = len(row) if isinstance(row, list) else 1
        raise DataError(
            f"{file}: expected rows of {len(names)} values, one a column, got one of "
            f"{count}. Correct it."
        )
    return dict(zip(map(str, names), row, strict=True))


def _of_lists(file: str, value: Mapping[str, list[Any]]) -> list[Record] | None:
    """Lists by name: one record of each place; None where they hold no values."""
    lists = list(value.values())
    if not lists[0] or any(isinstance(x, Mapping | list) for x in lists[0]):
        return None
    for key, items in value.items():
        if len(items) != len(lists[0]):
            raise DataError(
                f"{file}: expected lists of one length, got {len(lists[0])} values of "
                f"{quote(next(iter(value)))} and {len(items)} of {quote(key)}. Correct "
                "the shorter."
            )
    return [dict(zip(value, row, strict=True)) for row in zip(*lists, strict=True)]


def _of_mappings(value: Mapping[str, Mapping[str, Any]]) -> list[Record] | None:
    """Columns of cells by index, or records by name; None where they are neither."""
    if all(_is_wrapped_or_scalar(item) for v in value.values() for item in v.values()):
        if any(role_of(name) for name in value):
            index = list(next(iter(value.values())))
            if all(list(column) == index for column in value.values()):
                return [{n: column[i] for n, column in value.items()} for i in index]
            return None
    names = Counter(name for record in value.values() for name in record)
    # Runs have their names in common; parts of one record do not.
    if sum(count == len(value) for count in names.values()) * 2 < len(names):
        return None
    if any(role_of(name) in ("lr", "loss") for name in value):
        return None
    return [{"name": name, **record} for name, record in value.items()]


def _is_wrapped_or_scalar(item: Any) -> bool:
    return not isinstance(item, Mapping | list)


def _joined(file: str, found: Sequence[tuple[str, list[Record]]]) -> list[Record]:
    """Records of two lists that are of the same runs, by their ids.

    Raises:
        DataError: there are more, or they share no ids.
    """
    named = " and ".join(f"{quote(n)} ({len(r)} records)" for n, r in found[:3])
    if len(found) == 2:
        (_, one), (_, other) = found
        names = [
            {name for record in records for name in record} for _, records in found
        ]
        both = names[0] & names[1]
        # Two that share more than their ids are two tables, and not halves of one.
        for key in both if len(both) == 1 else ():
            if role_of(key) not in (None, "name"):
                continue
            ids = [str(record.get(key)) for record in one]
            further = {str(record.get(key)): record for record in other}
            if len(set(ids)) == len(ids) == len(further) and set(ids) == set(further):
                return [
                    {**record, **further[i]} for i, record in zip(ids, one, strict=True)
                ]
    raise DataError(
        f"{file}: expected one table, got {len(found)}: {named}, which are no halves "
        "of one with a column of ids in both. Keep one of them, or join them first."
    )

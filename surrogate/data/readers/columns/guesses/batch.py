"""A guess for the batch, in tokens: of a step, of all devices, of a length."""

from __future__ import annotations

import re

from surrogate.data.readers.columns.guesses.seen import LEAST_BATCH, Seen
from surrogate.data.readers.columns.likely import inner_role
from surrogate.data.readers.columns.places import (
    has_number,
    of_one_device,
    places_of,
    spelled,
)
from surrogate.data.readers.columns.roles import ALIASES, fold, role_of
from surrogate.data.readers.formats.csv import parse_cell


def guess_batch(seen: Seen) -> str:
    """The batch, in tokens where the columns tell; else BATCH."""
    header = seen.table.header
    asked = seen.asked.get("batch", ())
    in_tokens = [k for k in asked if role_of(header[k]) == "batch"]
    if in_tokens:
        name = header[in_tokens[0]]
        is_whole = seen.length() is None or seen.is_tokens(name)
        return name if is_whole else f"{spelled(name)}*{_length(seen)}"
    places = list(asked)
    if not places and "batch" in seen.found:
        places = [seen.found["batch"]]
    if places and of_one_device(seen.table, places[0]) is not None:
        places = []
    device = seen.one(ALIASES["device"])
    if device is not None and (not places or is_accumulated(seen)):
        # Whatever the devices and parts of a step are, this is what it takes.
        steps, tokens = seen.steps(), seen.place("tokens")
        is_told = devices(seen) != ["DEVICES"]
        if steps is not None and tokens is not None and not is_told:
            return f"{seen.spelled(tokens)}/{seen.spelled(steps)}"
    if places:
        return _of_steps(seen, places[0])
    return _unnamed(seen) if device is None else _of_devices(seen, device)


def _length(seen: Seen) -> str:
    """The length of a sequence as a factor."""
    length = seen.length()
    return "LENGTH" if length is None else seen.spelled(length)


def _of_steps(seen: Seen, place: int) -> str:
    """A batch that is added up over parts of a step, if it is, in tokens."""
    part = seen.one(ALIASES["accumulation"]) if is_accumulated(seen) else None
    if part is None:
        return seen.table.header[place]
    parts = [k for k in (place, part, seen.length()) if k is not None]
    return "*".join(seen.spelled(k) for k in parts)


def _of_devices(seen: Seen, device: int) -> str:
    """What one device takes, times devices, parts of a step and length."""
    further = (seen.one(ALIASES["accumulation"]), seen.length())
    named = [seen.spelled(k) for k in further if k is not None]
    return "*".join([seen.spelled(device), *devices(seen), *named])


def _unnamed(seen: Seen) -> str:
    """A batch in a unit, as a logarithm, in names of runs, or called so somehow."""
    unit = seen.in_unit("batch") or _logarithmic(seen)
    if unit:
        return unit
    named = seen.of_names("batch")
    if named is None:
        return _loose(seen)
    if role_of(named.partition(" in ")[0]) == "batch" or seen.is_tokens(named):
        return named
    held = seen.of_names("seq_len") if seen.length() is None else None
    return f"{spelled(named)}*{spelled(held) if held else _length(seen)}"


def _logarithmic(seen: Seen) -> str | None:
    """A power that is a batch, in tokens."""
    power = seen.power("batch")
    if power is None:
        return None
    base, _, _ = power.removeprefix("1/").partition("^")
    known = {"2": 2.0, "10": 10.0}.get(base, 2.718281828459045)
    places = [
        k
        for k, n in enumerate(seen.table.header)
        if spelled(n) == power.partition("^")[2]
    ]
    largest = max(seen.numbers(places[0]))
    if largest < 300 and known**largest >= LEAST_BATCH:
        return power
    return f"{power}*{_length(seen)}"


def _loose(seen: Seen) -> str:
    """A column that is called a batch somehow, or the unnamed side of a pivot."""
    header = seen.table.header
    named = [
        k for k, n in enumerate(header) if re.search(r"batch|bsz|\bbs\b", n.lower())
    ]
    named += [k for k, n in enumerate(header) if n in ("column", "row", "B")]
    named.sort(key=lambda k: inner_role(header[k]) not in ("batch", "sequences"))
    places = [k for k in named if role_of(header[k]) is None]
    places = [k for k in places if seen.is_free(k, 1.0, 1e12)]
    if not places:
        return "BATCH"
    cells = [row.fields[places[0]] for row in seen.table.rows]
    is_tokens = any(float(parse_cell(cell)) >= LEAST_BATCH for cell in cells)
    if is_tokens:
        return header[places[0]]
    return f"{seen.spelled(places[0])}*{_length(seen)}"


def batch_in_tokens(seen: Seen) -> str:
    """The batch in tokens as a factor: a role, a column, or a product."""
    if "batch" in seen.known and not seen.known["batch"].is_column:
        return "batch"
    if "batch" in seen.asked or is_accumulated(seen):
        text = guess_batch(seen)
        is_column = text in seen.table.header
        if is_column and role_of(text) != "sequences":
            return spelled(text)
        if not is_column:
            return "batch" if "batch" not in seen.table.header else f"({text})"
    place = seen.place("batch")
    if place is None:
        return "BATCH"
    named = seen.spelled(place)
    if role_of(seen.table.header[place]) == "batch":
        return named
    return f"{named}*{_length(seen)}"


def devices(seen: Seen) -> list[str]:
    """Columns whose product is the number of devices; a word to fill in if none."""
    places = [
        k
        for k in places_of(seen.table, ALIASES["devices"])
        if has_number(seen.table, k)
    ]
    # Of devices that hold one model together, only groups take batches.
    places.sort(key=lambda k: not fold(seen.table.header[k]).startswith(("dp", "data")))
    if places:
        return [seen.spelled(places[0])]
    per_node, nodes = seen.one(ALIASES["per_node"]), seen.one(ALIASES["nodes"])
    if per_node is not None:
        counts = [per_node] if nodes is None else [nodes, per_node]
        return [seen.spelled(k) for k in counts]
    return ["DEVICES"]


def is_accumulated(seen: Seen) -> bool:
    """Whether a step adds up several batches, and the batch is one of them."""
    place = seen.one(ALIASES["accumulation"])
    if place is None:
        return False
    if seen.place("batch") is not None:
        name = seen.table.header[seen.place("batch") or 0]
        if role_of(name) == "batch" or fold(name).startswith("global"):
            return False
    return any(row.fields[place] not in ("", "1", "1.0") for row in seen.table.rows)


def needs_length(seen: Seen, batch: str | None) -> bool:
    """Whether a batch is in sequences of a length that nothing tells."""
    if seen.has_length or seen.length() is not None or "batch" in seen.known:
        return False
    if seen.one(ALIASES["steps"]) is not None and "tokens" not in seen.asked:
        return False
    place = seen.found.get("batch")
    if batch is not None:
        place = seen.table.header.index(batch) if batch in seen.table.header else None
    return place is not None and role_of(seen.table.header[place]) == "sequences"

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
    """In tokens, where the columns tell."""
    header = seen.table.header
    tokens = [k for k in seen.asked.get("batch", ()) if role_of(header[k]) == "batch"]
    if tokens:
        name = header[tokens[0]]
        length = seen.length()
        if length is None or seen.is_tokens(name):
            return name
        return f"{spelled(name)}*{seen.spelled(length)}"
    places = list(seen.asked.get("batch", ())) or [
        k for k in (seen.found.get("batch"),) if k is not None
    ]
    device = seen.one(ALIASES["device"])
    if places and of_one_device(seen.table, places[0]) is not None:
        places = []
    steps = seen.one(ALIASES["steps"]) or seen.one(ALIASES["last_step"])
    seen = seen.place("tokens")
    is_partial = not places or is_accumulated(seen)
    if is_partial and device is not None and steps is not None and seen is not None:
        # Whatever the devices and parts of a step are, this is what it takes.
        if devices(seen) == ["DEVICES"]:
            return f"{seen.spelled(seen)}/{seen.spelled(steps)}"
    if not places and device is None:
        unit = seen.in_unit("batch") or _logarithmic(seen)
        if unit:
            return unit
        named = seen.of_names("batch")
        if named is None:
            return _loose(seen)
        if role_of(named.partition(" in ")[0]) == "batch" or seen.is_tokens(named):
            return named
        length = seen.length()
        held = seen.of_names("seq_len")
        factor = (held and spelled(held)) or "LENGTH"
        return f"{spelled(named)}*" + (
            factor if length is None else seen.spelled(length)
        )
    parts = [places[0] if places else device]
    if not places or is_accumulated(seen):
        parts.append(seen.one(ALIASES["accumulation"]))
    if len([k for k in parts if k is not None]) == 1 and not places == []:
        return header[places[0]]
    parts.append(seen.length())
    named = [seen.spelled(k) for k in parts if k is not None]
    if not places:
        named[1:1] = devices(seen)
    return "*".join(named)


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
    length = seen.length()
    return f"{power}*{'LENGTH' if length is None else seen.spelled(length)}"


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
    length = seen.length()
    factor = "LENGTH" if length is None else seen.spelled(length)
    return f"{seen.spelled(places[0])}*{factor}"


def batch_in_tokens(seen: Seen, length: int | None) -> str:
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
    return f"{named}*{'LENGTH' if length is None else seen.spelled(length)}"


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

"""The columns of roles by their names; what names do not tell is asked, with a guess.

Two candidates for a role are never chosen between. What is asked comes as one command:
every role that is missing, with the guess that the other columns allow, or a word in
capitals to fill in.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence

from surrogate.base.errors import FlagsError
from surrogate.base.units import quote
from surrogate.data.readers.columns import (
    ALIASES,
    LEAST_LRS,
    LOSS_KINDS,
    REQUIRED,
    fold,
    role_of,
)
from surrogate.data.readers.csv import Table, parse_cell
from surrogate.data.readers.terms import Term, names_of

_FEW = 5
# A name that nobody pastes.
_LONGEST = 300
# What is filled in, with an example.
_EXAMPLES = {
    "LR": "3e-4",
    "BASE_LR": "3e-4",
    "BATCH": "524288",
    "PARAMS": "124M",
    "TOKENS": "2.6B",
    "LOSS": "the column of the loss",
    "LENGTH": "2048",
}
# Nobody trains on fewer tokens a step in every run.
_LEAST_TOKENS = 8192
_IN_UNIT = re.compile(r"(.+?)[\s_]*(?:\(|\bin[\s_]+)?\b(K|M|B|T|[mb]illions?)\)?")
_UNITS = {"K": "1e3", "M": "1e6", "B": "1e9", "T": "1e12"}
_PLAIN = re.compile(r"[A-Za-z_]\w*(?:[./]\w+)*")


def find_columns(
    table: Table,
    roles: Sequence[str],
    known: Mapping[str, Term],
    *,
    has_length: bool,
) -> dict[str, int]:
    """The column of each role that names tell.

    Args:
        table: the file.
        roles: to look for.
        known: what is mapped already.
        has_length: the user says how long a sequence is.

    Raises:
        FlagsError: a role has several candidates, or a number is missing; with what
            to add to the command.
    """
    found: dict[str, int] = {}
    asked: dict[str, list[int]] = {}
    for role in roles:
        places = _places(table, names_of(role))
        if role == "name" and places:
            # A label only: the first of its usual names does.
            names = ALIASES["name"]
            found[role] = min(places, key=lambda k: names.index(fold(table.header[k])))
        elif len(places) == 1:
            found[role] = places[0]
        elif places or role in REQUIRED:
            asked[role] = places
    if "seq_len" in asked and not _in_sequences(table, found, known, asked):
        # A batch in tokens needs no length.
        del asked["seq_len"]
    if not asked:
        return found
    guess = _Guess(table, found, known, asked, has_length)
    lines = [_asked(table, role, places) for role, places in asked.items()]
    numbers = all(isinstance(parse_cell(name), float) for name in table.header)
    hint = ["The first line must name the columns."] if numbers else []
    raise FlagsError(
        "\n".join(
            [
                f"{table.file}: expected one column for each of lr, batch, "
                "params, tokens and loss; say which:",
                *lines,
                f"The columns are {table.columns()}.",
                *hint,
                *guess.notes(),
            ]
        ),
        table.file,
        guess.flags(),
    )


def _places(table: Table, names: Sequence[str]) -> list[int]:
    return [k for k, name in enumerate(table.header) if name and fold(name) in names]


def _in_sequences(
    table: Table,
    found: Mapping[str, int],
    known: Mapping[str, Term],
    asked: Mapping[str, Sequence[int]],
) -> bool:
    """Whether the batch is, or may be, a number of sequences."""
    places = [found["batch"]] if "batch" in found else list(asked.get("batch", ()))
    if "batch" in known and known["batch"].is_column:
        places += known["batch"].columns
    return any(role_of(table.header[k]) == "sequences" for k in places)


def _asked(table: Table, role: str, places: Sequence[int]) -> str:
    """One line: what could be a role."""
    if not places:
        names = ", ".join(names_of(role)[:_FEW])
        return f"  {role}: no column for {role} (known names: {names}, ...)"
    named = ", ".join(
        f"{quote(table.header[k])} (column {k + 1})" for k in places[:_FEW]
    )
    more = f" and {len(places) - _FEW} more" if len(places) > _FEW else ""
    return f"  {role}: {len(places)} columns could be {role}: {named}{more}"


class _Guess:
    """What the flags probably are."""

    def __init__(
        self,
        table: Table,
        found: Mapping[str, int],
        known: Mapping[str, Term],
        asked: Mapping[str, Sequence[int]],
        has_length: bool,
    ) -> None:
        self.table, self.found, self.known = table, found, known
        self.asked, self.has_length = asked, has_length

    def flags(self) -> list[str]:
        """Words to add to the command."""
        maps = {role: self.of(role) for role in self.asked}
        if self.is_accumulated() and "batch" in self.found and "tokens" in maps:
            maps["batch"] = self.batch()
        words = [x for r, text in maps.items() for x in ("--map", f"{r}={text}")]
        batch = maps.get("batch")
        if self.needs_length(batch):
            words += ["--seq-len", "LENGTH"]
        return words

    def notes(self) -> list[str]:
        """What to fill in, if anything."""
        pattern = r"(?:[=*]|^)([A-Z_]{2,})$"
        found = re.findall(pattern, "\n".join(self.flags()), re.MULTILINE)
        # A column may be called so as well.
        blank = [word for word in found if word in _EXAMPLES]
        blank = [word for word in blank if word not in self.table.header]
        if not blank:
            return []
        words = [f"{word} by {_EXAMPLES[word]}" for word in dict.fromkeys(blank)]
        return [f"Fill in the words in capitals, such as {', '.join(words)}."]

    def of(self, role: str) -> str:
        """The right side of one --map."""
        text = getattr(self, role, lambda: self.best(role))()
        return text if len(text) <= _LONGEST else role.upper()

    def best(self, role: str) -> str:
        """The likeliest of several candidates, as it is typed."""
        return self.table.header[self.asked[role][0]]

    def lr(self) -> str:
        header = self.table.header
        places = list(self.asked["lr"])
        least = self.one(LEAST_LRS)
        if places:
            # The schedule's last value is no peak; a config comes before a summary.
            places.sort(key=lambda k: (self.is_low(k, least), "summary" in header[k]))
            order = ALIASES["lr"]
            low = [k for k in places if not self.is_low(k, least)] or places
            named = sorted(low, key=lambda k: fold(header[k]) != "learning_rate")
            return header[named[0]] if len(order) > 1 else header[low[0]]
        loose = [
            name
            for name in header
            if re.search(r"(^|_)(lr|learning_rate)($|_)", fold(name))
            and fold(name) not in LEAST_LRS
        ]
        if not loose:
            # Nothing else of a run is a number below 1 in every row.
            small = [k for k in range(len(header)) if self.is_free(k, 1e-7, 1.0)]
            return header[small[0]] if len(small) == 1 else "LR"
        times = re.search(r"mult|scale|factor|ratio|times", fold(loose[0]))
        return f"{spelled(loose[0])}*BASE_LR" if times else loose[0]

    def loss(self) -> str:
        header = self.table.header
        ranked = sorted(
            self.asked["loss"],
            key=lambda k: LOSS_KINDS.get(fold(header[k])) != "validation",
        )
        if ranked:
            return header[ranked[0]]
        loose = [n for n in header if re.search(r"loss|ppl|perplexity|bpb", n.lower())]
        return loose[0] if loose else "LOSS"

    def params(self) -> str:
        places = self.asked["params"]
        if places:
            return self.table.header[places[0]]
        layers, width = self.one(ALIASES["layers"]), self.one(ALIASES["width"])
        if layers is not None and width is not None:
            depth, wide = self.spelled(layers), self.spelled(width)
            return f"12*{depth}*{wide}*{wide}"
        return self.in_unit("params") or "PARAMS"

    def batch(self) -> str:
        """In tokens, where the columns tell."""
        header = self.table.header
        tokens = [
            k for k in self.asked.get("batch", ()) if role_of(header[k]) == "batch"
        ]
        if tokens:
            return header[tokens[0]]
        places = list(self.asked.get("batch", ())) or [
            k for k in (self.found.get("batch"),) if k is not None
        ]
        device = self.one(ALIASES["device"])
        if not places and device is None:
            return self.in_unit("batch") or self.loose_batch()
        parts = [places[0] if places else device]
        if not places:
            parts.append(self.one(ALIASES["devices"]))
        if not places or self.is_accumulated():
            parts.append(self.one(ALIASES["accumulation"]))
        if len([k for k in parts if k is not None]) == 1 and not places == []:
            return header[places[0]]
        parts.append(self.length())
        return "*".join(self.spelled(k) for k in parts if k is not None)

    def tokens(self) -> str:
        places = self.asked["tokens"]
        if places:
            return self.table.header[places[0]]
        flops = self.one(ALIASES["flops"])
        if flops is not None:
            return f"{self.spelled(flops)}/(6*{self.name('params')})"
        steps = self.one(ALIASES["steps"])
        if steps is None:
            steps = self.one(ALIASES["last_step"])
        length = self.length()
        if steps is not None:
            # A batch in tokens is what is mapped, or a column of its own.
            return f"{self.spelled(steps)}*{self.batch_in_tokens(length)}"
        samples = self.one(ALIASES["samples"])
        if samples is not None and length is not None:
            return f"{self.spelled(samples)}*{self.spelled(length)}"
        ratio = self.one(ALIASES["ratio"])
        if ratio is not None:
            return f"{self.spelled(ratio)}*{self.name('params')}"
        return self.in_unit("tokens") or "TOKENS"

    def in_unit(self, role: str) -> str | None:
        """A column whose name has a unit behind it, such as "params (M)", times it."""
        for name in self.table.header:
            found = _IN_UNIT.fullmatch(name.strip())
            if found and fold(found[1]) in names_of(role):
                return f'"{name}"*{_UNITS[found[2][0].upper()]}'
        return None

    def loose_batch(self) -> str:
        """A column that is called a batch somehow, or the unnamed side of a pivot."""
        header = self.table.header
        named = [k for k, n in enumerate(header) if re.search("batch|bsz", n.lower())]
        named += [k for k, n in enumerate(header) if n in ("column", "row")]
        places = [k for k in named if role_of(header[k]) is None]
        places = [k for k in places if self.is_free(k, 1.0, 1e12)]
        if not places:
            return "BATCH"
        cells = [row.fields[places[0]] for row in self.table.rows]
        is_tokens = any(float(parse_cell(cell)) >= _LEAST_TOKENS for cell in cells)
        if is_tokens:
            return header[places[0]]
        length = self.length()
        factor = "LENGTH" if length is None else self.spelled(length)
        return f"{self.spelled(places[0])}*{factor}"

    def is_free(self, place: int, low: float, high: float) -> bool:
        """Whether a column has no role and only numbers from low up to below high."""
        if role_of(self.table.header[place]) is not None:
            return False
        cells = [parse_cell(row.fields[place]) for row in self.table.rows]
        return all(isinstance(x, float) and low <= x < high for x in cells)

    def batch_in_tokens(self, length: int | None) -> str:
        if "batch" in self.known and not self.known["batch"].is_column:
            return "batch"
        if "batch" in self.asked or self.is_accumulated():
            text = self.batch()
            is_column = text in self.table.header
            if not is_column:
                return "batch" if "batch" not in self.table.header else f"({text})"
        place = self.place("batch")
        if place is None:
            return "BATCH"
        named = self.spelled(place)
        if role_of(self.table.header[place]) == "batch":
            return named
        return f"{named}*{'LENGTH' if length is None else self.spelled(length)}"

    def name(self, role: str) -> str:
        """How another role is named in an expression."""
        return role if role in self.asked or role in self.known else self.of_found(role)

    def of_found(self, role: str) -> str:
        place = self.found.get(role)
        return role.upper() if place is None else self.spelled(place)

    def place(self, role: str) -> int | None:
        """The column of a role that is found, mapped, or the first that could be."""
        if role in self.found:
            return self.found[role]
        if role in self.known and self.known[role].is_column:
            return self.known[role].columns[0]
        return next(iter(self.asked.get(role, ())), None)

    def length(self) -> int | None:
        return self.place("seq_len")

    def needs_length(self, batch: str | None) -> bool:
        """Whether a batch is in sequences of a length that nothing tells."""
        if self.has_length or self.length() is not None or "batch" in self.known:
            return False
        if self.one(ALIASES["steps"]) is not None and "tokens" not in self.asked:
            return False
        place = self.found.get("batch")
        if batch is not None:
            place = (
                self.table.header.index(batch) if batch in self.table.header else None
            )
        return place is not None and role_of(self.table.header[place]) == "sequences"

    def is_accumulated(self) -> bool:
        """Whether a step adds up several batches, and the batch is one of them."""
        place = self.one(ALIASES["accumulation"])
        if place is None:
            return False
        if self.place("batch") is not None:
            name = self.table.header[self.place("batch") or 0]
            if role_of(name) == "batch" or fold(name).startswith("global"):
                return False
        return any(row.fields[place] not in ("", "1", "1.0") for row in self.table.rows)

    def is_low(self, place: int, least: int | None) -> bool:
        """Whether an lr is the schedule's last in every row."""
        if least is None:
            return False
        cells = ((row.fields[place], row.fields[least]) for row in self.table.rows)
        return all(parse_cell(a) == parse_cell(b) for a, b in cells)

    def one(self, names: Sequence[str]) -> int | None:
        """The first column of such a name."""
        places = _places(self.table, names)
        return places[0] if places else None

    def spelled(self, place: int) -> str:
        return spelled(self.table.header[place])


def spelled(name: str) -> str:
    """A column's name as an expression takes it."""
    if _PLAIN.fullmatch(name):
        return name
    mark = next((mark for mark in "\"'`" if mark not in name), '"')
    return f"{mark}{name}{mark}"

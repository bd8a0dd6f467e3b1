"""What is seen of a table whose columns are asked about, for guesses to draw on."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from surrogate.data.readers.columns.headings import Heading, heading
from surrogate.data.readers.columns.likely import inner_role
from surrogate.data.readers.columns.logarithms import power_of
from surrogate.data.readers.columns.places import places_of, spelled
from surrogate.data.readers.columns.roles import ALIASES, role_of
from surrogate.data.readers.columns.run_names import role_in_names
from surrogate.data.readers.columns.terms import Term
from surrogate.data.readers.formats.csv import Table, parse_cell
from surrogate.data.readers.numbers import read_number

# Nobody trains on fewer tokens a step in every run.
LEAST_BATCH = 8192


@dataclass(frozen=True)
class Seen:
    """A table, and which of its columns are known.

    Attributes:
        table: the file.
        found: the column of each role that names tell.
        known: what is mapped already.
        asked: the candidates of each role that is asked about.
        has_length: the user says how long a sequence is.
    """

    table: Table
    found: Mapping[str, int]
    known: Mapping[str, Term]
    asked: Mapping[str, Sequence[int]]
    has_length: bool

    def inner(self, role: str) -> str | None:
        """A column whose name ends as one of the role does, behind unknown groups."""
        names = self.table.header
        return next((n for n in names if n and inner_role(n) == role), None)

    def power(self, role: str) -> str | None:
        """A column of the role's logarithm, as a power."""
        for k, name in enumerate(self.table.header):
            found = power_of(name, role, self.numbers(k), spelled(name))
            if found is not None:
                return found
        return None

    def numbers(self, place: int) -> list[float]:
        """The cells of a column that are numbers."""
        cells = (parse_cell(row.fields[place]) for row in self.table.rows)
        return [x for x in cells if isinstance(x, float)]

    def of_names(self, role: str) -> str | None:
        """A setting that the names of the runs hold."""
        roles = (role, "sequences") if role == "batch" else (role,)
        for name in self.table.header:
            key, _, source = name.partition(" in ")
            if source and role_in_names(key) in roles:
                return name
        return None

    def in_unit(self, role: str) -> str | None:
        """A column whose name has a unit behind it, such as "params (M)", times it."""
        for name in self.table.header:
            found = heading(name)
            if found is None or not found.factor:
                continue
            for base in (found.base, f"{found.base} {found.said}"):
                if role_of(base) == role or (role == "batch" and _is_batch(found)):
                    place = self.table.header.index(name)
                    times = self.times(role, found.factor, place)
                    return f"{spelled(name)}{times}"
        return None

    def times(self, role: str, factor: str, place: int) -> str:
        """How a factor is meant: `lr x1e4` is what lr was multiplied by."""
        numbers = sorted(self.numbers(place))
        if role != "lr" or not numbers:
            return f"*{factor}"
        middle = numbers[len(numbers) // 2]
        is_inverse = middle * float(factor) > 1.0 and middle / float(factor) < 1.0
        return f"/{factor}" if is_inverse else f"*{factor}"

    def is_tokens(self, name: str) -> bool:
        """Whether the numbers of a batch are too large to be sequences."""
        place = self.table.header.index(name)
        cells = [row.fields[place] for row in self.table.rows]
        if self.table.has_commas:
            cells = [cell.replace(".", "") for cell in cells]
        texts = [read_number(x, is_count=True, is_factor=False) or "" for x in cells]
        numbers = [x for x in map(parse_cell, texts) if isinstance(x, float)]
        return bool(numbers) and max(numbers) >= LEAST_BATCH

    def is_free(self, place: int, low: float, high: float) -> bool:
        """Whether a column has no role and only numbers from low up to below high."""
        if role_of(self.table.header[place]) is not None:
            return False
        texts = [row.fields[place] for row in self.table.rows]
        if self.table.has_commas:
            texts = [text.replace(".", "").replace(",", ".") for text in texts]
        cells = [parse_cell(text) for text in texts]
        return all(isinstance(x, float) and low <= x < high for x in cells)

    def name(self, role: str) -> str:
        """How another role is named in an expression."""
        return role if role in self.asked or role in self.known else self.of_found(role)

    def of_found(self, role: str) -> str:
        """How the column of a role that names tell is spelled; the role in capitals."""
        place = self.found.get(role)
        return role.upper() if place is None else self.spelled(place)

    def place(self, role: str) -> int | None:
        """The column of a role that is found, mapped, or the first that could be."""
        if role in self.found:
            return self.found[role]
        if role in self.known and self.known[role].is_column:
            return self.known[role].columns[0]
        asked = next(iter(self.asked.get(role, ())), None)
        inner = self.inner(role) if asked is None and role in self.asked else None
        return self.table.header.index(inner) if inner is not None else asked

    def steps(self) -> int | None:
        """The column of a run's steps, or of its last."""
        place = self.one(ALIASES["steps"])
        return self.one(ALIASES["last_step"]) if place is None else place

    def length(self) -> int | None:
        """The column of the length of a sequence, if any."""
        place = self.place("seq_len")
        return self.one(ALIASES["seq_len"]) if place is None else place

    def one(self, names: Sequence[str]) -> int | None:
        """The first column of such a name, or one that ends so behind a group."""
        places = places_of(self.table, names)
        role = role_of(names[0])
        inner = None if places or role is None else self.inner(role)
        if inner is not None:
            return self.table.header.index(inner)
        return places[0] if places else None

    def spelled(self, place: int) -> str:
        """A column as an expression takes it."""
        return spelled(self.table.header[place])


def _is_batch(found: Heading) -> bool:
    """Whether a name with a unit is of a batch in tokens: `batch size (M tokens)`."""
    role = role_of(found.base)
    return role == "batch" or (role == "sequences" and found.said == "tokens")

"""What `--map` and layouts say, as terms: columns, or expressions of them.

A name in an expression is a column, else a role that the same command maps, else a role
that the file has under one of its usual names. A name that could be two of these with
different values is refused, and so are roles that need one another.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field

from surrogate.base.errors import DataError
from surrogate.base.units import quote
from surrogate.data.readers.columns.expression import Expression, parse
from surrogate.data.readers.columns.roles import ALIASES, MAPPABLE, TEXTS, role_of
from surrogate.data.readers.formats.csv import Table


@dataclass(frozen=True)
class Term:
    """One column as it stands, or an expression of columns (their places)."""

    label: str
    columns: tuple[int, ...]
    expression: Expression
    is_column: bool = True


def column_term(table: Table, column: int) -> Term:
    """The term that is one column."""
    places = (column,)
    return Term(quote(table.header[column]), places, Expression(places, places))


@dataclass
class Mapped:
    """The terms of a command's roles, each made once.

    Attributes:
        table: the file.
        named: what the user, or a layout, says of each role.
    """

    table: Table
    named: Mapping[str, str]
    _made: dict[str, Term] = field(default_factory=dict)
    _open: list[str] = field(default_factory=list)

    def term(self, role: str) -> Term:
        """The term of a role that is mapped.

        Raises:
            DataError: it is no column and no expression, or needs itself.
        """
        if role in self._open:
            circle = " -> ".join([*self._open[self._open.index(role) :], role])
            raise DataError(
                f"--map {role}: expected roles that do not need one another, got "
                f"{circle}. Write one of them in columns."
            )
        if role not in self._made:
            self._open.append(role)
            self._made[role] = self.of(self.named[role], f"--map {role}", role)
            self._open.pop()
        return self._made[role]

    def of(self, text: str, what: str, role: str = "") -> Term:
        """The term of a text: a column by its exact name, else an expression."""
        header = self.table.header
        if text in header:
            return column_term(self.table, header.index(text))
        found = parse(
            text,
            header,
            lambda name: self._role(name, what),
            what=what,
            file=self.table.file,
        )
        if not found.columns:
            _check_number(found, text, what, self.table)
        for place in found.columns:
            self._check_meant(header[place], role, what)
        return Term(text, found.columns, found, is_column=False)

    def _check_meant(self, name: str, role: str, what: str) -> None:
        """Refuse a name that is a column and another role of this command."""
        if name in self.named and name != role and self.named[name] != name:
            raise DataError(
                f"{what}: {quote(name)} is a column of {self.table.file} and what "
                f"--map {name}={self.named[name]} says. Write the latter in full, or "
                "rename the column."
            )

    def _role(self, name: str, what: str) -> Expression | None:
        """What a name that is no column stands for."""
        if name not in MAPPABLE or name in TEXTS:
            return None
        if name in self.named:
            term = self.term(name)
            if name == "batch" and self._in_sequences(term):
                raise DataError(
                    f"{what}: the batch of --map batch={self.named[name]} is in "
                    "sequences. Write it in tokens, such as --map "
                    f"batch={self.named[name]}*2048."
                )
            return term.expression
        places = [k for k, n in enumerate(self.table.header) if role_of(n) == name]
        if len(places) == 1:
            return column_term(self.table, places[0]).expression
        return None

    def _in_sequences(self, term: Term) -> bool:
        header = self.table.header
        return term.is_column and role_of(header[term.columns[0]]) in (
            "sequences",
            "device",
        )


def _check_number(found: Expression, text: str, what: str, table: Table) -> None:
    """Refuse a number that no setting is."""
    try:
        value = found.of(lambda _: math.nan)
    except ZeroDivisionError:
        value = math.nan
    if not (math.isfinite(value) and value > 0):
        raise DataError(
            f"{what}: expected a column of {table.file} or a number above 0, got "
            f"{quote(text)}. The columns are {table.columns()}."
        )


def names_of(role: str) -> tuple[str, ...]:
    """The usual names of a role, the units of a batch together."""
    return ALIASES[role] + (ALIASES["sequences"] if role == "batch" else ())

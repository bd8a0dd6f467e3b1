"""A small language for `--map`: names, numbers, + - * / ^ and ( ), parsed by hand.

    tokens=C/(6*params)      params=12*n_layer*d_model*d_model      lr="lr mult"*0.01

A name is a column's whole name, the longest that fits, so that `D/N` is the column of
that name where there is one and a quotient where there is none; quotes take it as it
is. Other names are roles mapped in the same command. Nothing is ever run.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from surrogate.base.errors import DataError
from surrogate.base.units import parse_number, quote

MOST_CHARACTERS = 500
MOST_DEPTH = 30
_NUMBER = re.compile(
    r"(?:[0-9][0-9_]*\.?[0-9]*|\.[0-9]+)(?:[eE][+-]?[0-9]+)?(?:Ki|Mi|Gi|[KMBT])?"
    r"(?![A-Za-z0-9_.])"
)
_NAME = re.compile(r"[^\W\d][\w./:]*")
_QUOTED = re.compile(r"\"([^\"]*)\"|'([^']*)'|`([^`]*)`")
_WORD = re.compile(r"\w")

# Numbers, places of columns, and operators behind their operands.
Step = float | int | str


@dataclass(frozen=True)
class Expression:
    """What is computed of a row.

    Attributes:
        steps: numbers (float), columns (int, their places) and operators (str), in the
            order of reverse Polish notation; `~` changes the sign.
        columns: the places of columns in it, each once.
    """

    steps: tuple[Step, ...]
    columns: tuple[int, ...]

    def of(self, values: Callable[[int], float]) -> float:
        """Its value where columns have these values.

        Raises:
            ZeroDivisionError: a divisor is 0.
        """
        stack: list[float] = []
        for step in self.steps:
            if isinstance(step, float):
                stack.append(step)
            elif isinstance(step, int):
                stack.append(values(step))
            elif step == "~":
                stack.append(-stack.pop())
            else:
                right, left = stack.pop(), stack.pop()
                stack.append(_OPERATORS[step](left, right))
        return stack[0]


_OPERATORS: dict[str, Callable[[float, float], float]] = {
    "+": lambda a, b: a + b,
    "-": lambda a, b: a - b,
    "*": lambda a, b: a * b,
    "/": lambda a, b: a / b,
    "^": lambda a, b: _power(a, b),
}


def _power(base: float, exponent: float) -> float:
    """A power of a number above 0; what overflows is infinite, as in a cell."""
    if base <= 0:
        return math.nan
    try:
        return base**exponent
    except OverflowError:
        return math.inf


def parse(
    text: str,
    columns: Sequence[str],
    resolve: Callable[[str], Expression | None],
    *,
    what: str,
    file: str,
) -> Expression:
    """Read an expression.

    Args:
        text: as typed.
        columns: the names of the file's columns.
        resolve: what another name stands for, None if nothing.
        what: the option, for messages.
        file: likewise.

    Raises:
        DataError: it is none, too long or nested too deep, or a name is unknown.
    """
    if len(text) > MOST_CHARACTERS:
        raise DataError(
            f"{what}: expected at most {MOST_CHARACTERS} characters, got "
            f"{len(text):,}. Add a column to the file instead."
        )
    return _Parser(text, columns, resolve, what, file).whole()


class _Parser:
    """Recursive descent: sums of products of factors."""

    def __init__(
        self,
        text: str,
        columns: Sequence[str],
        resolve: Callable[[str], Expression | None],
        what: str,
        file: str,
    ) -> None:
        self.text, self.what, self.file = text, what, file
        self.columns, self.resolve = columns, resolve
        # The longest first; a name without a letter would hide numbers.
        named = [name for name in columns if name and not _NUMBER.fullmatch(name)]
        self.by_length = sorted(set(named), key=len, reverse=True)
        self.at, self.depth = 0, 0
        self.steps: list[Step] = []

    def whole(self) -> Expression:
        self.sum()
        if self.peek():
            raise self.fault(f"expected + - * or / before {quote(self.rest())}")
        places = [step for step in self.steps if isinstance(step, int)]
        return Expression(tuple(self.steps), tuple(dict.fromkeys(places)))

    def sum(self) -> None:
        self.product()
        while self.peek() in ("+", "-"):
            sign = self.take()
            self.product()
            self.steps.append(sign)

    def product(self) -> None:
        self.power()
        while self.peek() in ("*", "/"):
            sign = self.take()
            self.power()
            self.steps.append(sign)

    def power(self) -> None:
        """A factor, raised to another: 2^log2lr, 10**log10lr."""
        self.factor()
        self.skip()
        sign = "**" if self.text.startswith("**", self.at) else "^"
        if self.text.startswith(sign, self.at):
            self.at += len(sign)
            self.factor()
            self.steps.append("^")

    def factor(self) -> None:
        self.depth += 1
        if self.depth > MOST_DEPTH:
            raise self.fault(f"expected at most {MOST_DEPTH} brackets and signs deep")
        sign = self.peek()
        name = self.column()
        if name is not None:
            self.steps.append(self.columns.index(name))
        elif sign == "(":
            self.take()
            self.sum()
            if self.peek() != ")":
                raise self.fault(f"expected ) before {quote(self.rest())}")
            self.take()
        elif sign in ("-", "+"):
            self.take()
            self.factor()
            self.steps += ["~"] if sign == "-" else []
        else:
            self.atom()
        self.depth -= 1

    def column(self) -> str | None:
        """The longest column whose name stands here, taken."""
        self.skip()
        quoted = _QUOTED.match(self.text, self.at)
        if quoted:
            name = next(part for part in quoted.groups() if part is not None)
            if name not in self.columns:
                raise self.unknown(name)
            self.at = quoted.end()
            return name
        for name in self.by_length:
            end = self.at + len(name)
            is_here = self.text.startswith(name, self.at)
            if is_here and not (
                _WORD.match(name[-1]) and _WORD.match(self.text[end : end + 1])
            ):
                self.at = end
                return name
        return None

    def atom(self) -> None:
        number = _NUMBER.match(self.text, self.at)
        if number:
            self.at = number.end()
            digits = number[0].replace("_", "")
            self.steps.append(parse_number(digits, what=self.what))
            return
        name = _NAME.match(self.text, self.at)
        if name is None:
            raise self.fault(
                f"expected a column, a number or ( before {quote(self.rest())}"
            )
        found = self.resolve(name[0])
        if found is None:
            # val/loss is no column: the quotient of two names.
            short = re.match(r"\w+", name[0])
            assert short is not None
            found = self.resolve(short[0])
            if found is None:
                raise self.unknown(name[0])
            self.at += len(short[0])
        else:
            self.at = name.end()
        self.steps += found.steps

    def unknown(self, name: str) -> DataError:
        import difflib

        near = difflib.get_close_matches(name, self.columns, n=1)
        hint = f" Did you mean {quote(near[0])}?" if near else ""
        shown = ", ".join(quote(column) for column in self.columns[:16])
        return DataError(
            f"{self.what}: expected a column of {self.file}, a number, or a product "
            f"or quotient of them such as batch_size*2048, got {quote(name)}.{hint} "
            f"The columns are {shown}."
        )

    def fault(self, expected: str) -> DataError:
        return DataError(
            f"{self.what}: {expected}, got {quote(self.text)}. Write for example "
            "tokens=C/(6*params); quote a column of several words."
        )

    def skip(self) -> None:
        while self.at < len(self.text) and self.text[self.at].isspace():
            self.at += 1

    def peek(self) -> str:
        self.skip()
        return self.text[self.at : self.at + 1]

    def take(self) -> str:
        sign = self.peek()
        self.at += 1
        return sign

    def rest(self) -> str:
        return self.text[self.at :][:20] or "the end"

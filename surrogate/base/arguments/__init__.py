"""The arguments of public functions: each is checked before a function begins.

`checked` decorates a public function. What an argument must be is told by its name,
which means the same everywhere, in the one table of `kinds`; a function for which a
name means something else says so. A wrong argument raises one DataError that names
it, whatever it is; a right one arrives in one form: numbers as floats, ranges as pairs.
"""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable
from typing import ParamSpec, TypeVar

from surrogate.base.arguments import kinds
from surrogate.base.arguments.kinds import Kind, instance

__all__ = ["Kind", "checked", "instance", "kinds"]

P = ParamSpec("P")
R = TypeVar("R")


def checked(**own: Kind) -> Callable[[Callable[P, R]], Callable[P, R]]:
    """Check every argument of a public function.

    Args:
        own: what an argument must be, by name, where the table of `kinds` has it
            otherwise or not at all.

    Returns:
        A decorator. None passes where it is the default; a call that lacks an argument
        or has one too many is Python's own TypeError.
    """

    def decorate(function: Callable[P, R]) -> Callable[P, R]:
        signature = inspect.signature(function)
        asked = {
            name: own.get(name) or kinds.BY_NAME[name]
            for name in signature.parameters
            if name not in ("self", "cls")
        }
        optional = {
            name for name in asked if signature.parameters[name].default is None
        }

        @functools.wraps(function)
        def call(*args: P.args, **kwargs: P.kwargs) -> R:
            try:
                bound = signature.bind(*args, **kwargs)
            except TypeError:
                return function(*args, **kwargs)  # whose message names the function
            for name, kind in asked.items():
                if name not in bound.arguments:
                    continue
                value = bound.arguments[name]
                if not (value is None and name in optional):
                    bound.arguments[name] = kind(name, value)
            return function(*bound.args, **bound.kwargs)

        return call

    return decorate

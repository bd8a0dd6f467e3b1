"""Options that commands share: one parameter stands for all of a group."""

from __future__ import annotations

import inspect
from typing import Annotated, Any

import pytest
import typer

from surrogate.cli.groups import Group, spread
from surrogate.cli.main import COMMANDS

PAIR = Group(
    {
        "name": (Annotated[str | None, typer.Option(metavar="N")], None),
        "count": (Annotated[int, typer.Option(min=1)], 2),
    }
)
Both = Annotated[dict[str, Any], PAIR]
Name = Annotated[dict[str, Any], PAIR.only("name")]


def both(first: str, *, pair: Both, last: bool = False) -> int:
    """Take a group between two of its own."""
    assert (first, pair, last) == ("a", {"name": "b", "count": 3}, True)
    return 7


def one(*, pair: Name) -> int:
    """Take a part of the group."""
    return len(pair)


def test_options_of_a_group_stand_in_its_place_and_come_as_one() -> None:
    command = spread(both)
    parameters = inspect.signature(command).parameters
    assert list(parameters) == ["first", "name", "count", "last"]
    assert parameters["count"].default == 2
    assert command("a", name="b", count=3, last=True) == 7
    assert command.__doc__ == both.__doc__


def test_a_part_of_a_group_has_no_other_options() -> None:
    command = spread(one)
    assert list(inspect.signature(command).parameters) == ["name"]
    assert command(name=None) == 1


@pytest.mark.parametrize("name", COMMANDS)
def test_typer_is_told_of_every_option(name: str) -> None:
    for parameter in inspect.signature(spread(COMMANDS[name])).parameters.values():
        kinds = {type(meta) for meta in parameter.annotation.__metadata__}
        assert kinds & {type(typer.Option()), type(typer.Argument())}, parameter

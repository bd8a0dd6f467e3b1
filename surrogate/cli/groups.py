"""Options that several commands take: one parameter of each stands for them all."""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class Group:
    """Options that stand together.

    Attributes:
        options: what typer is told of each and its default, by parameter, in order.
    """

    options: Mapping[str, tuple[Any, Any]]

    def only(self, *names: str) -> Group:
        """Some of them."""
        return Group({name: self.options[name] for name in names})


def spread(command: Callable[..., int]) -> Callable[..., int]:
    """The command with every option of its groups, in the place of each group.

    Args:
        command: a parameter that is annotated with a `Group` gets a dict of what was
            typed.
    """
    signature = inspect.signature(command, eval_str=True)
    groups = {
        parameter.name: meta
        for parameter in signature.parameters.values()
        for meta in getattr(parameter.annotation, "__metadata__", ())
        if isinstance(meta, Group)
    }

    @functools.wraps(command)
    def spread_out(*given: Any, **typed: Any) -> int:
        for name, group in groups.items():
            typed[name] = {key: typed.pop(key) for key in group.options}
        return command(*given, **typed)

    parameters: list[inspect.Parameter] = []
    for parameter in signature.parameters.values():
        if parameter.name not in groups:
            parameters.append(parameter)
            continue
        for name, (annotation, default) in groups[parameter.name].options.items():
            kind = inspect.Parameter.KEYWORD_ONLY
            parameters.append(
                inspect.Parameter(name, kind, default=default, annotation=annotation)
            )
    spread_out.__signature__ = signature.replace(parameters=parameters)  # pyright: ignore[reportAttributeAccessIssue]
    return spread_out

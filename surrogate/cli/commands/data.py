"""The command about released dumps: data list, data fetch."""

from __future__ import annotations

import shlex
from typing import TYPE_CHECKING, Annotated, Any

import typer

from surrogate.base.errors import DataError
from surrogate.cli import options, output
from surrogate.cli.progress import Bar
from surrogate.cli.text import common

if TYPE_CHECKING:
    from rich.console import RenderableType

_ACTIONS = ("list", "fetch")
_SAID = {
    "pinned": "the digest that is known of it",
    "recorded": "the digest of the first fetch: nothing else is known of it",
    "placed": "put there by hand: nothing is known of its digest",
}


def data(
    action: Annotated[str, typer.Argument(metavar="|".join(_ACTIONS))],
    names: Annotated[
        list[str] | None,
        typer.Argument(metavar="NAME...", help="Dumps to fetch, by name."),
    ] = None,
    *,
    json: options.Json = False,
) -> int:
    """Released dumps of runs: list them, or fetch some into your cache."""
    from surrogate.data import released

    options.choose("data", action, _ACTIONS)
    if action == "list":
        if names:
            raise DataError(
                f"data list: expected nothing more, got {names[0]!r}. To fetch it, "
                f"type: surrogate data fetch {shlex.join(names)}"
            )
        listed = [_about(dump) for dump in released.DUMPS]
        return output.emit({"schema": output.SCHEMA, "dumps": listed}, json, _list)
    if not names:
        known = ", ".join(dump.name for dump in released.DUMPS)
        raise DataError(f"data fetch: expected a name out of {known}, got none.")
    bar = Bar()
    fetched = []
    try:
        for dump in [released.find(name) for name in names]:
            found = released.fetch(dump, progress=bar)
            fetched.append(
                {
                    **_about(dump),
                    "path": str(found.path),
                    "sha256": found.sha256,
                    "bytes": found.size,
                    "digest": found.how,
                    "fetched": found.is_new,
                }
            )
    finally:
        bar.stop()
    return output.emit({"schema": output.SCHEMA, "dumps": fetched}, json, _fetched)


def _about(dump: Any) -> dict[str, Any]:
    from surrogate.data import released

    path = released.path_of(dump)
    return {
        "name": dump.name,
        "about": dump.about,
        "runs": dump.runs,
        "source": dump.source,
        "licence": dump.licence,
        "url": dump.url or None,
        "sha256": dump.sha256 or None,
        "bytes": dump.size or None,
        "path": str(path),
        "here": path.exists(),
    }


def _list(document: common.Document) -> list[RenderableType]:
    rows = [
        [
            dump["name"],
            "" if dump["runs"] is None else f"{dump['runs']:,}",
            "here" if dump["here"] else "fetch" if dump["url"] else "by hand",
            dump["licence"],
            f"{dump['about']} ({dump['source']})",
        ]
        for dump in document["dumps"]
    ]
    names = ["name", "runs", "how", "licence", "what"]
    return [common.columns(names, rows, left=["name", "how", "licence", "what"])]


def _fetched(document: common.Document) -> list[RenderableType]:
    parts: list[RenderableType] = []
    for dump in document["dumps"]:
        what = "fetched" if dump["fetched"] else "already here"
        rows = [
            ("from", dump["source"]),
            ("licence", dump["licence"]),
            ("sha256", f"{dump['sha256']}, {_SAID[dump['digest']]}"),
            ("bytes", f"{dump['bytes']:,}"),
        ]
        command = f"Next: surrogate check {shlex.quote(dump['path'])}"
        parts += [common.title(f"{dump['name']}: {what}"), common.grid(rows)]
        parts += [common.command(command), common.title("")]
    return parts[:-1]

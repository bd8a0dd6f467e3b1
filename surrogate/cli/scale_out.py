"""Draws kept in ranges beside a fit that is being made: --resume and --hosts."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from surrogate.base.errors import DataError
from surrogate.base.late import Late
from surrogate.cli import output

if TYPE_CHECKING:
    from surrogate.fitting.shards import Shards
    from surrogate.storage import archive
else:
    # Help is there without waiting for NumPy.
    archive = Late("surrogate.storage.archive")

Resume = Annotated[
    bool,
    typer.Option("--resume", help="Go on from the draws that a stopped fit finished."),
]
Hosts = Annotated[
    bool,
    typer.Option("--hosts", help="Share the draws among the processes of a cluster."),
]
# Seconds of a range that are worth keeping where nobody asked.
_WORTH = 5.0
_SUFFIX = ".draws"
# Seconds without news of others until their draws are taken over.
_PATIENCE = 10.0


def prepare(out: Path, *, overwrite: bool, resume: bool, hosts: bool) -> Shards:
    """Where the ranges of a fit's draws go, and whether the fit may be written.

    Raises:
        DataError: it may not, or the processes of --hosts do not find each other.
    """
    from surrogate.fitting.shards import Shards

    may = may_replace(out, overwrite=overwrite, resume=resume)
    if resume and not may and (out / "manifest.json").is_file():
        raise DataError(
            f"Expected --resume with a fit that was stopped, but all draws of "
            f"{archive.shown(str(out))} are there. Pass --overwrite to fit anew."
        )
    archive.check_out(out, overwrite=may)
    least = 0.0 if resume or hosts else _WORTH
    place = out.with_name(out.name + _SUFFIX)
    shards = Shards(place, least=least, patience=_PATIENCE)
    if not hosts:
        if not resume:
            shards.clear()
        return shards
    return _shared(shards, resume=resume)


def _shared(shards: Shards, *, resume: bool) -> Shards:
    """As one of several processes, which all see the folder that the first made."""
    from surrogate.fitting import hosts

    def first() -> None:
        if not resume:
            shards.clear()
        shards.folder.mkdir(parents=True, exist_ok=True)

    host = hosts.meet(first)
    if not shards.folder.is_dir():
        raise DataError(
            f"Expected --out on a file system that all processes share, but process "
            f"{host.process} of {host.processes} sees no "
            f"{archive.shown(str(shards.folder))}, which process 0 made."
        )
    return replace(shards, process=host.process, processes=host.processes)


def _is_interrupted(out: Path) -> bool:
    """Whether a fit lacks draws that were asked for."""
    if not (out / "manifest.json").is_file():
        return False
    told = archive.read(out)[0].get("provenance", {}).get("fit", {})
    return bool(told.get("draws_interrupted", False))


def may_replace(out: Path, *, overwrite: bool, resume: bool) -> bool:
    """Whether the save may replace what stands there."""
    return overwrite or (resume and _is_interrupted(out))


def finish(shards: Shards, *, is_whole: bool) -> None:
    """Remove the ranges of a fit that has all its draws; else say how to go on."""
    if is_whole:
        shards.wait()
        shards.clear()
    elif shards.kept():
        output.note(
            "note",
            f"{shards.kept()} ranges of finished draws are kept in "
            f"{archive.shown(str(shards.folder))}: the same command with --resume goes "
            "on from them.",
        )


def tell_share(shards: Shards, out: Path, as_json: bool) -> int:
    """What a process says that writes no fit; its exit code."""
    shards.leave()
    document = {
        "schema": output.SCHEMA,
        "out": str(out),
        "process": shards.process,
        "processes": shards.processes,
        "status": "ok",
        "warnings": [],
    }
    return output.emit(document, as_json, _share_text)


def _share_text(document: dict[str, Any]) -> list[str]:
    """The same for people."""
    return [
        f"Process {document['process']} of {document['processes']}: its share of the "
        f"draws is done; process 0 writes {document['out']}."
    ]

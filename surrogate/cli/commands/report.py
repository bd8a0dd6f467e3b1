"""The command that draws: report."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from surrogate.base import interrupts
from surrogate.cli import documents, options, output, progress, reading

if TYPE_CHECKING:
    from surrogate.answers import Fit


def report(
    fit: options.FitArgument,
    *,
    out: Annotated[
        Path, typer.Option("--out", metavar="FILE.html", help="The page to write.")
    ],
    runs: Annotated[
        list[Path],
        typer.Option(
            metavar="FILE", help="Measured runs to show, CSV; default the fit's own."
        ),
    ] = [],  # noqa: B006
    overwrite: options.Overwrite = False,
    typed: reading.TypedPlainly,
    json: options.Json = False,
) -> int:
    """Write a fit as one HTML page that answers without a network."""
    from surrogate.answers import load
    from surrogate.cli.text import tables
    from surrogate.views.explorer import page

    how = reading.parsed(typed)
    reading.check_also("report", how["also"], runs)
    page.check_out(out, overwrite=overwrite)
    table = progress.read(runs, how) if runs else None
    interrupts.begin("writing the page")
    fitted = load(fit)
    made = page.write(fitted, out, runs=table, name=fit, overwrite=overwrite)
    return output.emit(_document(fitted, out, made), json, tables.report)


def _document(fitted: Fit, out: Path, made: Any) -> dict[str, Any]:
    """What was written, with every answer's keys."""
    counts = made.counts
    warnings = list(fitted.warnings)
    if counts["runs"] < counts["runs_of"]:
        warnings.append(
            f"The page holds {counts['runs']:,} of {counts['runs_of']:,} runs, thinned "
            "evenly cell by cell."
        )
    return documents.with_common_keys(
        {
            "schema": output.SCHEMA,
            "out": str(out),
            "bytes": len(made.html.encode()),
            **counts,
            "family": fitted.family.name,
            "loss_kind": fitted.loss_kind,
            "status": "ok" if fitted.is_converged else "not_converged",
            "warnings": warnings,
        }
    )

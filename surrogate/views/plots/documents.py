"""The benchmarks' JSON documents, of which two figures are made."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from surrogate.base.arguments import checked, kinds
from surrogate.base.errors import DataError
from surrogate.base.units import quote


@checked(bench=kinds.one_of(("coverage", "throughput")))
def read(path: str | Path, bench: str) -> dict[str, Any]:
    """A benchmark's document: a whole file, or the last line of what was printed.

    Args:
        path: of the file.
        bench: which benchmark: `coverage` or `throughput`.

    Raises:
        DataError: there is no such file, or it is no such document.
    """
    file = Path(path)
    if not file.is_file():
        raise DataError(
            f"plot {bench}: expected a file that `python bench/{bench}.py` printed, "
            f"and there is none at {quote(str(path))}."
        )
    try:
        content = file.read_text(encoding="utf-8").strip()
        try:
            document = json.loads(content)
        except ValueError:
            document = json.loads(content.rpartition("\n")[2])
        named = isinstance(document, dict) and document.get("bench") == bench
    except ValueError:
        document, named = {}, False
    if not (named and isinstance(document.get("rows"), list) and document["rows"]):
        raise DataError(
            f"plot {bench}: {quote(file.name)} holds no rows of `python "
            f"bench/{bench}.py`, whose last line is the document that is drawn."
        )
    return document


def malformed(bench: str, error: Exception) -> DataError:
    """A document whose rows lack something."""
    return DataError(
        f"plot {bench}: a row of the document lacks {error}. Print it anew with "
        f"`python bench/{bench}.py --json`."
    )

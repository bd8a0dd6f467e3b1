"""The columns of roles by their names; what names do not tell is asked, with a guess.

Two candidates for a role are never chosen between. What is asked comes as one command:
every role that is missing, with the guess that the other columns allow, or a word in
capitals to fill in.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from surrogate.data.readers.columns.guesses.command import ask
from surrogate.data.readers.columns.guesses.seen import Seen
from surrogate.data.readers.columns.places import of_one_device, places_of
from surrogate.data.readers.columns.roles import ALIASES, REQUIRED, fold, role_of
from surrogate.data.readers.columns.terms import Term, names_of
from surrogate.data.readers.formats.csv import Table, parse_cell


def find_columns(
    table: Table,
    roles: Sequence[str],
    known: Mapping[str, Term],
    *,
    has_length: bool,
) -> dict[str, int]:
    """The column of each role that names tell.

    Args:
        table: the file.
        roles: to look for.
        known: what is mapped already.
        has_length: the user says how long a sequence is.

    Raises:
        FlagsError: a role has several candidates, or a number is missing; with what
            to add to the command.
    """
    found: dict[str, int] = {}
    asked: dict[str, list[int]] = {}
    for role in roles:
        places = places_of(table, names_of(role))
        if role == "name" and places:
            # A label only: the first of its usual names does.
            names = ALIASES["name"]
            found[role] = min(places, key=lambda k: names.index(fold(table.header[k])))
        elif len(places) == 1 or (places and _are_alike(table, places)):
            found[role] = places[0]
        elif places or role in REQUIRED:
            asked[role] = places
    place = found.get("batch")
    if place is not None and of_one_device(table, place) is not None:
        asked = {"batch": [found.pop("batch")], **asked}
    if "seq_len" in asked and not _in_sequences(table, found, known, asked):
        # A batch in tokens needs no length.
        del asked["seq_len"]
    if not asked:
        return found
    seen = Seen(table, found, known, asked, has_length=has_length)
    raise ask(seen)


def _are_alike(table: Table, places: Sequence[int]) -> bool:
    """Whether columns hold the same numbers, so that any of them does."""
    cells = [[parse_cell(row.fields[k]) for k in places] for row in table.rows]
    return all(
        isinstance(row[0], float) and all(cell == row[0] for cell in row)
        for row in cells
    )


def _in_sequences(
    table: Table,
    found: Mapping[str, int],
    known: Mapping[str, Term],
    asked: Mapping[str, Sequence[int]],
) -> bool:
    """Whether the batch is, or may be, a number of sequences."""
    places = [found["batch"]] if "batch" in found else list(asked.get("batch", ()))
    if "batch" in known and known["batch"].is_column:
        places += known["batch"].columns
    return any(role_of(table.header[k]) == "sequences" for k in places)

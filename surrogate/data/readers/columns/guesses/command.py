"""What is asked, and the words to add to the command that probably answer it."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence

from surrogate.base.errors import FlagsError
from surrogate.base.units import quote
from surrogate.data.readers.columns.guesses.batch import (
    devices,
    guess_batch,
    is_accumulated,
    needs_length,
)
from surrogate.data.readers.columns.guesses.seen import Seen
from surrogate.data.readers.columns.guesses.settings import (
    guess_loss,
    guess_lr,
    guess_params,
)
from surrogate.data.readers.columns.guesses.tokens import guess_tokens
from surrogate.data.readers.columns.likely import likely_losses
from surrogate.data.readers.columns.places import of_one_device, spelled
from surrogate.data.readers.columns.terms import names_of
from surrogate.data.readers.formats.csv import Table, parse_cell
from surrogate.data.readers.formats.curves import known_exports

_FEW = 5
# A name that nobody pastes.
_LONGEST = 300
# What is filled in, with an example.
_EXAMPLES = {
    "LR": "3e-4",
    "BASE_LR": "3e-4",
    "BATCH": "524288",
    "PARAMS": "124M",
    "TOKENS": "2.6B",
    "LOSS": "the column of the loss",
    "LENGTH": "2048",
    "DEVICES": "8 (1 where one device trains)",
    "BASE": "10 or 2.718281828459045",
    "BASE_LOSS": "2.9",
    "UNIT": "bits_per_token or bits_per_byte",
}
_GUESSES: dict[str, Callable[[Seen], str]] = {
    "lr": guess_lr,
    "batch": guess_batch,
    "params": guess_params,
    "tokens": guess_tokens,
    "loss": guess_loss,
}


def ask(seen: Seen) -> FlagsError:
    """What is asked, and the command that probably answers it."""
    table = seen.table
    lines = [_asked(table, role, places) for role, places in seen.asked.items()]
    is_numbers = all(isinstance(parse_cell(name), float) for name in table.header)
    hint = ["The first line must name the columns."] if is_numbers else []
    said = [
        f"{table.file}: expected one column for each of lr, batch, params, tokens "
        "and loss; say which:",
        *lines,
        f"The columns are {table.columns()}.",
        *hint,
        *known_exports(table),
        *_notes(seen, is_numbers=is_numbers),
    ]
    return FlagsError("\n".join(said), table.file, _flags(seen))


def _flags(seen: Seen) -> list[str]:
    """Words to add to the command."""
    maps = {role: _of(seen, role) for role in seen.asked}
    if is_accumulated(seen) and "batch" in seen.found and "tokens" in maps:
        maps["batch"] = guess_batch(seen)
    found = seen.found.get("batch")
    name = None if found is None else seen.table.header[found]
    if "batch" not in maps and name and needs_length(seen, None):
        if seen.is_tokens(name):
            maps["batch"] = f"{spelled(name)}*1"
    words = [x for r, text in maps.items() for x in ("--map", f"{r}={text}")]
    if re.search(r"bits?\b(?!.?(per|/))", maps.get("loss", "").lower()):
        words += ["--loss-unit", "UNIT"]
    batch = maps.get("batch")
    if needs_length(seen, batch):
        words += ["--seq-len", "LENGTH"]
    return words


def _notes(seen: Seen, *, is_numbers: bool) -> list[str]:
    """What to fill in, if anything; a header of numbers is no table of settings."""
    warned = [] if is_numbers else [*_warned(seen), *_doubts(seen)]
    pattern = r"(?:[=*/]|^)([A-Z_]{2,})(?=$|[*+^])"
    found = re.findall(pattern, "\n".join(_flags(seen)), re.MULTILINE)
    # A column may be called so as well.
    blank = [word for word in found if word in _EXAMPLES]
    blank = [word for word in blank if word not in seen.table.header]
    if not blank:
        return warned
    words = [f"{word} by {_EXAMPLES[word]}" for word in dict.fromkeys(blank)]
    return [
        *warned,
        f"Fill in the words in capitals, such as {', '.join(words)}.",
    ]


def _warned(seen: Seen) -> list[str]:
    """What a table without a loss is."""
    is_asked = "loss" in seen.asked and _of(seen, "loss") == "LOSS"
    if not is_asked or known_exports(seen.table):
        return []
    return [
        "Without a loss no setting can be told to be better: settings alone, as "
        "papers print them, can be asked of `surrogate regret FIT`."
    ]


def _doubts(seen: Seen) -> list[str]:
    """What a guess may be wrong in."""
    said = []
    lr = _of(seen, "lr") if "lr" in seen.asked else ""
    if re.search(r"(^|[./])train/(lr|learning_rate)", lr.lower()):
        said.append(
            f"{quote(lr)} is logged during training: at its end it is the peak "
            "only if lr is constant."
        )
    batch = _of(seen, "batch") if "batch" in seen.asked else ""
    count = devices(seen)
    names = [] if "DEVICES" in count else count
    is_many = names and not all(name in batch for name in names)
    if batch and is_many and "batch_size" in batch and "global" not in batch:
        said.append(
            f"{' x '.join(names)} takes no part in the batch: if that is what one "
            f"device takes, multiply it as well."
        )
    others = likely_losses(seen.table) if seen.asked.get("loss") == [] else []
    if len(others) > 1:
        named = ", ".join(map(quote, others[:_FEW]))
        said.append(f"Columns that may be the loss: {named}.")
    if "BASE^" in "".join(_flags(seen)):
        said.append("Which base the logarithm has, its name does not say.")
    return said


def _of(seen: Seen, role: str) -> str:
    """The right side of one --map."""
    if role in _GUESSES:
        text = _GUESSES[role](seen)
    else:
        text = seen.table.header[seen.asked[role][0]]
    return text if len(text) <= _LONGEST else role.upper()


def _asked(table: Table, role: str, places: Sequence[int]) -> str:
    """One line: what could be a role."""
    if not places:
        names = ", ".join(names_of(role)[:_FEW])
        return f"  {role}: no column for {role} (known names: {names}, ...)"
    if len(places) == 1:
        of = of_one_device(table, places[0])
        name = quote(table.header[places[0]])
        as_well = "" if of is None else f", as {quote(table.header[of])} says"
        return f"  {role}: {name} is what one device takes at once{as_well}"
    named = ", ".join(
        f"{quote(table.header[k])} (column {k + 1})" for k in places[:_FEW]
    )
    more = f" and {len(places) - _FEW} more" if len(places) > _FEW else ""
    return f"  {role}: {len(places)} columns could be {role}: {named}{more}"

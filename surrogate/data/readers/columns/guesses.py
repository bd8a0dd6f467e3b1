"""The columns of roles by their names; what names do not tell is asked, with a guess.

Two candidates for a role are never chosen between. What is asked comes as one command:
every role that is missing, with the guess that the other columns allow, or a word in
capitals to fill in.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence

from surrogate.base.errors import FlagsError
from surrogate.base.units import quote
from surrogate.data.readers.columns.differences import difference
from surrogate.data.readers.columns.headings import Heading, heading
from surrogate.data.readers.columns.likely import (
    inner_role,
    likely_losses,
    likely_sizes,
)
from surrogate.data.readers.columns.logarithms import power_of
from surrogate.data.readers.columns.roles import (
    ALIASES,
    LEAST_LRS,
    REQUIRED,
    TEXTS,
    fold,
    loss_kind_of,
    role_of,
)
from surrogate.data.readers.columns.run_names import role_in_names
from surrogate.data.readers.columns.terms import Term, names_of
from surrogate.data.readers.formats.csv import Table, parse_cell
from surrogate.data.readers.formats.curves import known_exports
from surrogate.data.readers.numbers import read_number

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
# Batches of a whole step, or of one device: the name does not tell.
_PERHAPS_OF_A_DEVICE = ("train_batch_size", "batch_size", "bs", "bsz")
# Nobody trains on fewer tokens a step in every run.
_LEAST_TOKENS = 8192
_PLAIN = re.compile(r"[A-Za-z_]\w*(?:[./]\w+)*")


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
        places = _places(table, names_of(role))
        if role == "name" and places:
            # A label only: the first of its usual names does.
            names = ALIASES["name"]
            found[role] = min(places, key=lambda k: names.index(fold(table.header[k])))
        elif len(places) == 1 or (places and _are_alike(table, places)):
            found[role] = places[0]
        elif places or role in REQUIRED:
            asked[role] = places
    place = found.get("batch")
    if place is not None and _of_one_device(table, place) is not None:
        asked = {"batch": [found.pop("batch")], **asked}
    if "seq_len" in asked and not _in_sequences(table, found, known, asked):
        # A batch in tokens needs no length.
        del asked["seq_len"]
    if not asked:
        return found
    raise _Guess(table, found, known, asked, has_length).error()


def _are_alike(table: Table, places: Sequence[int]) -> bool:
    """Whether columns hold the same numbers, so that any of them does."""
    cells = [[parse_cell(row.fields[k]) for k in places] for row in table.rows]
    return all(
        isinstance(row[0], float) and all(cell == row[0] for cell in row)
        for row in cells
    )


def _of_one_device(table: Table, place: int) -> int | None:
    """The column that says that a batch is what one device takes, or None.

    The Trainer's `train_batch_size` is its `per_device_train_batch_size`.
    """
    if fold(table.header[place]) not in _PERHAPS_OF_A_DEVICE:
        return None
    for k, name in enumerate(table.header):
        if k != place and role_of(name) == "device":
            pairs = ((row.fields[k], row.fields[place]) for row in table.rows)
            if all(parse_cell(one) == parse_cell(other) for one, other in pairs):
                return k
    return None


def _places(table: Table, names: Sequence[str]) -> list[int]:
    found = [k for k, name in enumerate(table.header) if name and fold(name) in names]
    if len(found) < 2 or role_of(table.header[found[0]]) in TEXTS:
        return found
    # Of several, words are none: a model_size of "small" beside a number of params.
    return [k for k in found if _has_number(table, k)] or found


def _has_number(table: Table, place: int) -> bool:
    return any(
        isinstance(parse_cell(cell), float)
        or cell.lower() in ("nan", "inf")
        or read_number(cell, is_count=True, is_factor=True)
        for cell in (row.fields[place] for row in table.rows)
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


def _asked(table: Table, role: str, places: Sequence[int]) -> str:
    """One line: what could be a role."""
    if not places:
        names = ", ".join(names_of(role)[:_FEW])
        return f"  {role}: no column for {role} (known names: {names}, ...)"
    if len(places) == 1:
        of = _of_one_device(table, places[0])
        name = quote(table.header[places[0]])
        as_well = "" if of is None else f", as {quote(table.header[of])} says"
        return f"  {role}: {name} is what one device takes at once{as_well}"
    named = ", ".join(
        f"{quote(table.header[k])} (column {k + 1})" for k in places[:_FEW]
    )
    more = f" and {len(places) - _FEW} more" if len(places) > _FEW else ""
    return f"  {role}: {len(places)} columns could be {role}: {named}{more}"


class _Guess:
    """What the flags probably are."""

    def __init__(
        self,
        table: Table,
        found: Mapping[str, int],
        known: Mapping[str, Term],
        asked: Mapping[str, Sequence[int]],
        has_length: bool,
    ) -> None:
        self.table, self.found, self.known = table, found, known
        self.asked, self.has_length = asked, has_length

    def error(self) -> FlagsError:
        """What is asked, and the command that probably answers it."""
        table = self.table
        lines = [_asked(table, role, places) for role, places in self.asked.items()]
        is_numbers = all(isinstance(parse_cell(name), float) for name in table.header)
        hint = ["The first line must name the columns."] if is_numbers else []
        said = [
            f"{table.file}: expected one column for each of lr, batch, params, tokens "
            "and loss; say which:",
            *lines,
            f"The columns are {table.columns()}.",
            *hint,
            *known_exports(table),
            *self.notes(is_numbers=is_numbers),
        ]
        return FlagsError("\n".join(said), table.file, self.flags())

    def flags(self) -> list[str]:
        """Words to add to the command."""
        maps = {role: self.of(role) for role in self.asked}
        if self.is_accumulated() and "batch" in self.found and "tokens" in maps:
            maps["batch"] = self.batch()
        found = self.found.get("batch")
        name = None if found is None else self.table.header[found]
        if "batch" not in maps and name and self.needs_length(None):
            if self.is_tokens(name):
                maps["batch"] = f"{spelled(name)}*1"
        words = [x for r, text in maps.items() for x in ("--map", f"{r}={text}")]
        if re.search(r"bits?\b(?!.?(per|/))", maps.get("loss", "").lower()):
            words += ["--loss-unit", "UNIT"]
        batch = maps.get("batch")
        if self.needs_length(batch):
            words += ["--seq-len", "LENGTH"]
        return words

    def notes(self, *, is_numbers: bool) -> list[str]:
        """What to fill in, if anything; a header of numbers is no table of settings."""
        warned = [] if is_numbers else [*self.warned(), *self.doubts()]
        pattern = r"(?:[=*/]|^)([A-Z_]{2,})(?=$|[*+^])"
        found = re.findall(pattern, "\n".join(self.flags()), re.MULTILINE)
        # A column may be called so as well.
        blank = [word for word in found if word in _EXAMPLES]
        blank = [word for word in blank if word not in self.table.header]
        if not blank:
            return warned
        words = [f"{word} by {_EXAMPLES[word]}" for word in dict.fromkeys(blank)]
        return [
            *warned,
            f"Fill in the words in capitals, such as {', '.join(words)}.",
        ]

    def warned(self) -> list[str]:
        """What a table without a loss is."""
        is_asked = "loss" in self.asked and self.of("loss") == "LOSS"
        if not is_asked or known_exports(self.table):
            return []
        return [
            "Without a loss no setting can be told to be better: settings alone, as "
            "papers print them, can be asked of `surrogate regret FIT`."
        ]

    def doubts(self) -> list[str]:
        """What a guess may be wrong in."""
        said = []
        lr = self.of("lr") if "lr" in self.asked else ""
        if re.search(r"(^|[./])train/(lr|learning_rate)", lr.lower()):
            said.append(
                f"{quote(lr)} is logged during training: at its end it is the peak "
                "only if lr is constant."
            )
        batch = self.of("batch") if "batch" in self.asked else ""
        count = self.devices()
        names = [] if "DEVICES" in count else count
        is_many = names and not all(name in batch for name in names)
        if batch and is_many and "batch_size" in batch and "global" not in batch:
            said.append(
                f"{' x '.join(names)} takes no part in the batch: if that is what one "
                f"device takes, multiply it as well."
            )
        others = likely_losses(self.table) if self.asked.get("loss") == [] else []
        if len(others) > 1:
            named = ", ".join(map(quote, others[:_FEW]))
            said.append(f"Columns that may be the loss: {named}.")
        if "BASE^" in "".join(self.flags()):
            said.append("Which base the logarithm has, its name does not say.")
        return said

    def devices(self) -> list[str]:
        """Columns whose product is the number of devices; a word to fill in if none."""
        places = [
            k
            for k in _places(self.table, ALIASES["devices"])
            if _has_number(self.table, k)
        ]
        # Of devices that hold one model together, only groups take batches.
        places.sort(
            key=lambda k: not fold(self.table.header[k]).startswith(("dp", "data"))
        )
        if places:
            return [self.spelled(places[0])]
        per_node, nodes = self.one(ALIASES["per_node"]), self.one(ALIASES["nodes"])
        if per_node is not None:
            counts = [per_node] if nodes is None else [nodes, per_node]
            return [self.spelled(k) for k in counts]
        return ["DEVICES"]

    def of(self, role: str) -> str:
        """The right side of one --map."""
        text = getattr(self, role, lambda: self.best(role))()
        return text if len(text) <= _LONGEST else role.upper()

    def best(self, role: str) -> str:
        """The likeliest of several candidates, as it is typed."""
        return self.table.header[self.asked[role][0]]

    def inner(self, role: str) -> str | None:
        """A column whose name ends as one of the role does, behind unknown groups."""
        names = self.table.header
        return next((n for n in names if n and inner_role(n) == role), None)

    def power(self, role: str) -> str | None:
        """A column of the role's logarithm, as a power."""
        for k, name in enumerate(self.table.header):
            found = power_of(name, role, self.numbers(k), spelled(name))
            if found is not None:
                return found
        return None

    def numbers(self, place: int) -> list[float]:
        """The cells of a column that are numbers."""
        cells = (parse_cell(row.fields[place]) for row in self.table.rows)
        return [x for x in cells if isinstance(x, float)]

    def lr(self) -> str:
        header = self.table.header
        places = list(self.asked["lr"])
        least = self.one(LEAST_LRS)
        if places:
            # The schedule's last value is no peak; a config comes before a summary.
            places.sort(key=lambda k: (self.is_low(k, least), "summary" in header[k]))
            order = ALIASES["lr"]
            low = [k for k in places if not self.is_low(k, least)] or places
            peaks = ("peak", "max")
            named = sorted(
                low,
                key=lambda k: (
                    not any(word in fold(header[k]) for word in peaks),
                    fold(header[k]) != "learning_rate",
                ),
            )
            return header[named[0]] if len(order) > 1 else header[low[0]]
        unit = self.in_unit("lr") or self.power("lr")
        if unit:
            return unit
        inner = self.inner("lr")
        if inner:
            return inner
        loose = [
            name
            for name in header
            if re.search(r"(^|_)(log2_?|log10_?)?(lr|learning_rate)($|_)", fold(name))
            and fold(name) not in LEAST_LRS
        ]
        if not loose:
            # Nothing else of a run is a number below 1 in every row.
            small = [k for k in range(len(header)) if self.is_free(k, 1e-7, 1.0)]
            return header[small[0]] if len(small) == 1 else "LR"
        power = re.search(r"(^|_)log_?(2|10)", fold(loose[0]))
        if power:
            return f"{power[2]}^{spelled(loose[0])}"
        times = [
            n for n in loose if re.search(r"mult|scale|factor|ratio|times", fold(n))
        ]
        bases = [n for n in loose if n not in times]
        if not times:
            return loose[0]
        base = spelled(bases[0]) if bases else "BASE_LR"
        return f"{spelled(times[0])}*{base}"

    def loss(self) -> str:
        header = self.table.header
        ranked = sorted(
            self.asked["loss"], key=lambda k: loss_kind_of(header[k]) != "validation"
        )
        if ranked:
            return header[ranked[0]]
        unit = self.in_unit("loss")
        if unit:
            return unit
        loose = likely_losses(self.table)
        relative = [text for n in header if (text := difference(self.table, n))]
        loose = [n for n in loose if not difference(self.table, n)]
        # A score of a validation set is called after it.
        loose += [
            n for n in header if fold(n) in ("val", "valid", "validation", "eval")
        ]
        loose += [n for n in header if fold(n) == "train"]
        loose += likely_losses(self.table, is_wide=True)
        return loose[0] if loose else relative[0] if relative else "LOSS"

    def params(self) -> str:
        places = self.asked["params"]
        if places:
            # The fits that come with the package count without embeddings.
            names = [self.table.header[k] for k in places]
            return min(names, key=lambda n: "non" not in fold(n))
        layers, width = self.one(ALIASES["layers"]), self.one(ALIASES["width"])
        if layers is not None and width is not None:
            depth, wide = self.spelled(layers), self.spelled(width)
            return f"12*{depth}*{wide}*{wide}"
        flops, tokens = self.one(ALIASES["flops"]), self.place("tokens")
        if flops is not None and tokens is not None:
            return f"{self.spelled(flops)}/(6*{self.spelled(tokens)})"
        sizes = [n for n in self.table.header if n.startswith("size in ")]
        return (
            self.in_unit("params")
            or self.inner("params")
            or self.of_names("params")
            or next(iter(likely_sizes(self.table, "param")), None)
            or next((spelled(name) for name in sizes), "PARAMS")
        )

    def batch(self) -> str:
        """In tokens, where the columns tell."""
        header = self.table.header
        tokens = [
            k for k in self.asked.get("batch", ()) if role_of(header[k]) == "batch"
        ]
        if tokens:
            name = header[tokens[0]]
            length = self.length()
            if length is None or self.is_tokens(name):
                return name
            return f"{spelled(name)}*{self.spelled(length)}"
        places = list(self.asked.get("batch", ())) or [
            k for k in (self.found.get("batch"),) if k is not None
        ]
        device = self.one(ALIASES["device"])
        if places and _of_one_device(self.table, places[0]) is not None:
            places = []
        steps = self.one(ALIASES["steps"]) or self.one(ALIASES["last_step"])
        seen = self.place("tokens")
        is_partial = not places or self.is_accumulated()
        if is_partial and device is not None and steps is not None and seen is not None:
            # Whatever the devices and parts of a step are, this is what it takes.
            if self.devices() == ["DEVICES"]:
                return f"{self.spelled(seen)}/{self.spelled(steps)}"
        if not places and device is None:
            unit = self.in_unit("batch") or self.logarithmic_batch()
            if unit:
                return unit
            named = self.of_names("batch")
            if named is None:
                return self.loose_batch()
            if role_of(named.partition(" in ")[0]) == "batch" or self.is_tokens(named):
                return named
            length = self.length()
            held = self.of_names("seq_len")
            factor = (held and spelled(held)) or "LENGTH"
            return f"{spelled(named)}*" + (
                factor if length is None else self.spelled(length)
            )
        parts = [places[0] if places else device]
        if not places or self.is_accumulated():
            parts.append(self.one(ALIASES["accumulation"]))
        if len([k for k in parts if k is not None]) == 1 and not places == []:
            return header[places[0]]
        parts.append(self.length())
        named = [self.spelled(k) for k in parts if k is not None]
        if not places:
            named[1:1] = self.devices()
        return "*".join(named)

    def logarithmic_batch(self) -> str | None:
        """A power that is a batch, in tokens."""
        power = self.power("batch")
        if power is None:
            return None
        base, _, _ = power.removeprefix("1/").partition("^")
        known = {"2": 2.0, "10": 10.0}.get(base, 2.718281828459045)
        places = [
            k
            for k, n in enumerate(self.table.header)
            if spelled(n) == power.partition("^")[2]
        ]
        largest = max(self.numbers(places[0]))
        if largest < 300 and known**largest >= _LEAST_TOKENS:
            return power
        length = self.length()
        return f"{power}*{'LENGTH' if length is None else self.spelled(length)}"

    def tokens(self) -> str:
        places = self.asked["tokens"]
        if places:
            return self.table.header[places[0]]
        flops = self.one(ALIASES["flops"])
        computed = None if flops is None else self.spelled(flops)
        computed = computed or self.in_unit("flops")
        if computed is not None:
            return f"{computed}/(6*{self.name('params')})"
        steps = self.one(ALIASES["steps"])
        if steps is None:
            steps = self.one(ALIASES["last_step"])
        length = self.length()
        if steps is None and (counted := self.in_unit("steps")):
            return f"{counted}*{self.batch_in_tokens(length)}"
        if steps is not None:
            # A batch in tokens is what is mapped, or a column of its own.
            return f"{self.spelled(steps)}*{self.batch_in_tokens(length)}"
        samples = self.one(ALIASES["samples"])
        if samples is not None and length is not None:
            return f"{self.spelled(samples)}*{self.spelled(length)}"
        ratio = self.one(ALIASES["ratio"])
        if ratio is not None:
            return f"{self.spelled(ratio)}*{self.name('params')}"
        unit = self.in_unit("tokens") or self.inner("tokens") or self.of_names("tokens")
        if unit:
            return unit
        times = [n for n in self.table.header if "chinchilla" in n.lower()]
        if times:
            return f"20*{spelled(times[0])}*{self.name('params')}"
        likely = likely_sizes(self.table, "token")
        return self.epochs() or next(iter(likely), "TOKENS")

    def epochs(self) -> str | None:
        """Epochs times the size of the data."""
        header = self.table.header
        data = [n for n in header if fold(n) in ("dataset_tokens", "tokens_per_epoch")]
        times = [n for n in header if fold(n) in ("epochs", "num_epochs", "epoch")]
        return f"{spelled(times[0])}*{spelled(data[0])}" if data and times else None

    def of_names(self, role: str) -> str | None:
        """A setting that the names of the runs hold."""
        roles = (role, "sequences") if role == "batch" else (role,)
        for name in self.table.header:
            key, _, source = name.partition(" in ")
            if source and role_in_names(key) in roles:
                return name
        return None

    def in_unit(self, role: str) -> str | None:
        """A column whose name has a unit behind it, such as "params (M)", times it."""
        for name in self.table.header:
            found = heading(name)
            if found is None or not found.factor:
                continue
            for base in (found.base, f"{found.base} {found.said}"):
                if role_of(base) == role or (role == "batch" and _is_batch(found)):
                    place = self.table.header.index(name)
                    times = self.times(role, found.factor, place)
                    return f"{spelled(name)}{times}"
        return None

    def times(self, role: str, factor: str, place: int) -> str:
        """How a factor is meant: `lr x1e4` is what lr was multiplied by."""
        numbers = sorted(self.numbers(place))
        if role != "lr" or not numbers:
            return f"*{factor}"
        middle = numbers[len(numbers) // 2]
        is_inverse = middle * float(factor) > 1.0 and middle / float(factor) < 1.0
        return f"/{factor}" if is_inverse else f"*{factor}"

    def loose_batch(self) -> str:
        """A column that is called a batch somehow, or the unnamed side of a pivot."""
        header = self.table.header
        named = [
            k for k, n in enumerate(header) if re.search(r"batch|bsz|\bbs\b", n.lower())
        ]
        named += [k for k, n in enumerate(header) if n in ("column", "row", "B")]
        named.sort(key=lambda k: inner_role(header[k]) not in ("batch", "sequences"))
        places = [k for k in named if role_of(header[k]) is None]
        places = [k for k in places if self.is_free(k, 1.0, 1e12)]
        if not places:
            return "BATCH"
        cells = [row.fields[places[0]] for row in self.table.rows]
        is_tokens = any(float(parse_cell(cell)) >= _LEAST_TOKENS for cell in cells)
        if is_tokens:
            return header[places[0]]
        length = self.length()
        factor = "LENGTH" if length is None else self.spelled(length)
        return f"{self.spelled(places[0])}*{factor}"

    def is_tokens(self, name: str) -> bool:
        """Whether the numbers of a batch are too large to be sequences."""
        place = self.table.header.index(name)
        cells = [row.fields[place] for row in self.table.rows]
        if self.table.has_commas:
            cells = [cell.replace(".", "") for cell in cells]
        texts = [read_number(x, is_count=True, is_factor=False) or "" for x in cells]
        numbers = [x for x in map(parse_cell, texts) if isinstance(x, float)]
        return bool(numbers) and max(numbers) >= _LEAST_TOKENS

    def is_free(self, place: int, low: float, high: float) -> bool:
        """Whether a column has no role and only numbers from low up to below high."""
        if role_of(self.table.header[place]) is not None:
            return False
        texts = [row.fields[place] for row in self.table.rows]
        if self.table.has_commas:
            texts = [text.replace(".", "").replace(",", ".") for text in texts]
        cells = [parse_cell(text) for text in texts]
        return all(isinstance(x, float) and low <= x < high for x in cells)

    def batch_in_tokens(self, length: int | None) -> str:
        if "batch" in self.known and not self.known["batch"].is_column:
            return "batch"
        if "batch" in self.asked or self.is_accumulated():
            text = self.batch()
            is_column = text in self.table.header
            if is_column and role_of(text) != "sequences":
                return spelled(text)
            if not is_column:
                return "batch" if "batch" not in self.table.header else f"({text})"
        place = self.place("batch")
        if place is None:
            return "BATCH"
        named = self.spelled(place)
        if role_of(self.table.header[place]) == "batch":
            return named
        return f"{named}*{'LENGTH' if length is None else self.spelled(length)}"

    def name(self, role: str) -> str:
        """How another role is named in an expression."""
        return role if role in self.asked or role in self.known else self.of_found(role)

    def of_found(self, role: str) -> str:
        place = self.found.get(role)
        return role.upper() if place is None else self.spelled(place)

    def place(self, role: str) -> int | None:
        """The column of a role that is found, mapped, or the first that could be."""
        if role in self.found:
            return self.found[role]
        if role in self.known and self.known[role].is_column:
            return self.known[role].columns[0]
        asked = next(iter(self.asked.get(role, ())), None)
        inner = self.inner(role) if asked is None and role in self.asked else None
        return self.table.header.index(inner) if inner is not None else asked

    def length(self) -> int | None:
        place = self.place("seq_len")
        return self.one(ALIASES["seq_len"]) if place is None else place

    def needs_length(self, batch: str | None) -> bool:
        """Whether a batch is in sequences of a length that nothing tells."""
        if self.has_length or self.length() is not None or "batch" in self.known:
            return False
        if self.one(ALIASES["steps"]) is not None and "tokens" not in self.asked:
            return False
        place = self.found.get("batch")
        if batch is not None:
            place = (
                self.table.header.index(batch) if batch in self.table.header else None
            )
        return place is not None and role_of(self.table.header[place]) == "sequences"

    def is_accumulated(self) -> bool:
        """Whether a step adds up several batches, and the batch is one of them."""
        place = self.one(ALIASES["accumulation"])
        if place is None:
            return False
        if self.place("batch") is not None:
            name = self.table.header[self.place("batch") or 0]
            if role_of(name) == "batch" or fold(name).startswith("global"):
                return False
        return any(row.fields[place] not in ("", "1", "1.0") for row in self.table.rows)

    def is_low(self, place: int, least: int | None) -> bool:
        """Whether an lr is the schedule's last in every row."""
        if least is None:
            return False
        cells = ((row.fields[place], row.fields[least]) for row in self.table.rows)
        return all(parse_cell(a) == parse_cell(b) for a, b in cells)

    def one(self, names: Sequence[str]) -> int | None:
        """The first column of such a name, or one that ends so behind a group."""
        places = _places(self.table, names)
        role = role_of(names[0])
        inner = None if places or role is None else self.inner(role)
        if inner is not None:
            return self.table.header.index(inner)
        return places[0] if places else None

    def spelled(self, place: int) -> str:
        return spelled(self.table.header[place])


def _is_batch(found: Heading) -> bool:
    """Whether a name with a unit is of a batch in tokens: `batch size (M tokens)`."""
    role = role_of(found.base)
    return role == "batch" or (role == "sequences" and found.said == "tokens")


def spelled(name: str) -> str:
    """A column's name as an expression takes it."""
    if _PLAIN.fullmatch(name):
        return name
    mark = next((mark for mark in "\"'`" if mark not in name), '"')
    return f"{mark}{name}{mark}"

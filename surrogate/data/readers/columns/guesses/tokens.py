"""A guess for the tokens of a run: counted, computed from FLOPs, steps or epochs."""

from __future__ import annotations

from surrogate.data.readers.columns.guesses.batch import batch_in_tokens
from surrogate.data.readers.columns.guesses.seen import Seen
from surrogate.data.readers.columns.likely import likely_sizes
from surrogate.data.readers.columns.places import spelled
from surrogate.data.readers.columns.roles import ALIASES, fold
from surrogate.data.readers.columns.run_names import SECOND_SIZE


def guess_tokens(seen: Seen) -> str:
    """The tokens of a run; else TOKENS."""
    places = seen.asked["tokens"]
    if places:
        return seen.table.header[places[0]]
    flops = seen.one(ALIASES["flops"])
    computed = None if flops is None else seen.spelled(flops)
    computed = computed or seen.in_unit("flops")
    if computed is not None:
        return f"{computed}/(6*{seen.name('params')})"
    steps = seen.steps()
    length = seen.length()
    if steps is None and (counted := seen.in_unit("steps")):
        return f"{counted}*{batch_in_tokens(seen)}"
    if steps is not None:
        # A batch in tokens is what is mapped, or a column of its own.
        return f"{seen.spelled(steps)}*{batch_in_tokens(seen)}"
    samples = seen.one(ALIASES["samples"])
    if samples is not None and length is not None:
        return f"{seen.spelled(samples)}*{seen.spelled(length)}"
    ratio = seen.one(ALIASES["ratio"])
    if ratio is not None:
        return f"{seen.spelled(ratio)}*{seen.name('params')}"
    unit = seen.in_unit("tokens") or seen.inner("tokens") or seen.of_names("tokens")
    if unit:
        return unit
    times = [n for n in seen.table.header if "chinchilla" in n.lower()]
    if times:
        return f"20*{spelled(times[0])}*{seen.name('params')}"
    likely = likely_sizes(seen.table, "token")
    likely += [
        spelled(n) for n in seen.table.header if n.startswith(f"{SECOND_SIZE} in ")
    ]
    return _epochs(seen) or next(iter(likely), "TOKENS")


def _epochs(seen: Seen) -> str | None:
    """Epochs times the size of the data."""
    header = seen.table.header
    data = [n for n in header if fold(n) in ("dataset_tokens", "tokens_per_epoch")]
    times = [n for n in header if fold(n) in ("epochs", "num_epochs", "epoch")]
    return f"{spelled(times[0])}*{spelled(data[0])}" if data and times else None

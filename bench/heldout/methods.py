"""Which rows each protocol has."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from importlib.util import find_spec
from typing import NamedTuple

from heldout import rivals, surrogates
from heldout.baselines import Ols15
from heldout.learned import PROCESS_RUNS, GaussianProcess, Trees
from heldout.protocols import Protocol
from heldout.scores import Answers
from surrogate.data import Runs
from surrogate.data.coordinates import Features
from surrogate.fitting import cross_validation

AUTO, BOWL = "surrogate, auto", "surrogate, bowl"


class Method(NamedTuple):
    """A row of a table.

    Attributes:
        name: of the row.
        kind: `single` (one family), `nested` (`mix`, `auto`) or `baseline`.
        answers: of each fold.
        held_out: it was not fitted to these very cells.
        missing: how to install what it needs; None where it can run.
    """

    name: str
    kind: str
    answers: Callable[[Runs, Protocol], list[Answers]]
    held_out: bool = True
    missing: str | None = None


def methods(runs: Runs, protocol: Protocol, with_auto: bool) -> list[Method]:
    """In the order of the table."""
    found = [
        Method(name, "single", partial(surrogates.family, *which))
        for name, which in surrogates.SINGLE.items()
    ]
    # 17 whole fits of every family take too long; so does a mix of Marin's recipes.
    if with_auto and protocol.name != cross_validation.ONE:
        names = ("auto",) if protocol.dump == "marin" else ("mix", "auto")
        found += [
            Method(f"surrogate, {name}", "nested", partial(surrogates.nested, name))
            for name in names
        ]
    return found + _regressions(runs, protocol) + _laws(protocol)


def _regressions(runs: Runs, protocol: Protocol) -> list[Method]:
    """Models of ln loss over all settings."""
    features = Features.of(runs)
    logs = 2 + len(features.givens)
    size = 1 + logs + logs * (logs + 1) // 2 + features.offsets
    widest = max(0.1, protocol.within)
    found = [
        Method(
            f"{size}-parameter OLS within {100 * within:g}%",
            "baseline",
            partial(rivals.regression, Ols15, within),
        )
        for within in sorted({0.005, 0.01, 0.02, 0.1, widest})
    ]
    lacks = None if find_spec("sklearn") else "pip install scikit-learn"
    kept = f"{PROCESS_RUNS:,} runs"
    learned: dict[str, rivals.Make] = {
        f"GP, mean 0, {kept}": GaussianProcess,
        f"GP on the OLS, {kept}": partial(GaussianProcess, is_on_ols=True),
        "gradient-boosted trees": Trees,
    }
    for name, make in learned.items():
        run = partial(rivals.regression, make, widest)
        found.append(Method(name, "baseline", run, missing=lacks))
    return found


def _laws(protocol: Protocol) -> list[Method]:
    """Power laws of the loss, and of the best lr and batch."""
    found = [Method("Chinchilla, no lr or batch", "baseline", rivals.chinchilla)]
    if protocol.dump == "marin":
        return found
    scale, more = "params", ("", ", N in batch")
    if protocol.dump == "moe":
        scale, more = "active", (", Na for N", ", Na in batch")
    for is_in_batch, what in enumerate(more):
        run = partial(rivals.recipe, bool(is_in_batch), scale)
        found.append(Method(f"Step Law's recipe{what}", "baseline", run))
    is_new = protocol.dump != "dense"
    name = "Step Law published" + (", total N" if is_new else "")
    found.append(Method(name, "baseline", rivals.published, held_out=is_new))
    return found

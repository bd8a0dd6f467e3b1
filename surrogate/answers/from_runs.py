"""The public verb `fit`."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from surrogate.answers.fit import Fit
from surrogate.base.arguments import checked
from surrogate.base.defaults import AUTO, BOOTSTRAP, SEED, TERMS
from surrogate.data import Runs
from surrogate.data.arguments import RUNS

if TYPE_CHECKING:
    from surrogate.fitting.shards import Shards
    from surrogate.numerics.least_squares import Progress


@checked(runs=RUNS)
def fit(
    runs: Runs,
    *,
    family: str = AUTO,
    terms: int = TERMS,
    bootstrap: int = BOOTSTRAP,
    seed: int = SEED,
    device: str = "auto",
    backend: str = "auto",
    progress: Progress | None = None,
    about: Mapping[str, str] | None = None,
    shards: Shards | None = None,
) -> Fit:
    """Fit a surface of final loss to finished runs.

    Args:
        runs: at least one cell in which lr or batch takes 3 values.
        family: `quadratic`, `additive`, `posynomial`, `bowl`; `mix`, the mean of all,
            weighted on cells left out; or `auto`, the best of these on cells left out.
        terms: K of the posynomial; a mix has 3, 4 and 5.
        bootstrap: draws of resampled cells; 0 for none. Under 5 cells there are none.
        seed: of starts and resampling.
        device: `auto`, `cpu` or `gpu`.
        backend: of the arithmetic: `auto`, `numpy`, `xla` or `mosaic`.
        progress: told what runs and how far it is.
        about: the recipe of the runs, by name: optimizer, schedule, final_lr, seq_len.
        shards: where finished ranges of draws are kept, to go on from and to share.

    Returns:
        The fit; `is_converged` says whether it settled.

    Raises:
        DataError: the runs identify neither lr nor batch, or an argument is wrong.
    """
    from surrogate.fitting.fit import fit_model

    found = fit_model(
        runs,
        family=family,
        terms=terms,
        bootstrap=bootstrap,
        seed=seed,
        device=device,
        backend=backend,
        progress=progress,
        about=about,
        shards=shards,
    )
    return Fit(**vars(found))

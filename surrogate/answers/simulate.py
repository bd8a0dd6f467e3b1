"""The embedded sweep: runs drawn from a bundled fit on the grid of its cells.

Losses are the fit's surface plus the noise that was measured when it was fitted: a part
that a cell shares and a part that grows with the excess. Where training is unstable
runs diverge, with the probability that the fit's divergence model gives.
"""

from __future__ import annotations

from itertools import product

import numpy as np

from surrogate.answers import Fit, load, predict
from surrogate.answers.arguments import FIT_OR_NAME
from surrogate.base.arguments import checked
from surrogate.base.defaults import SEED
from surrogate.data import WORSE, Runs

SWEEP = "bundled:steplaw-dense"
# A diverged run ends between just above the mark and the loss of guessing among 65,536
# tokens: ln 65,536 = 11.09 nats, where Step Law's worst runs ended.
_GUESSING = float(np.log(65_536))
_MARGIN = 1.05


@checked(fit=FIT_OR_NAME)
def simulate(seed: int = SEED, fit: Fit | str = SWEEP) -> Runs:
    """Draw a table of finished runs.

    Args:
        seed: of the noise; the same table for the same seed.
        fit: a fit or the name of one.

    Returns:
        A run for every lr and batch of every cell of the fit.
    """
    source = load(fit) if isinstance(fit, str) else fit
    rng = np.random.default_rng(seed)
    at, index = _grid(source)
    loss, excess = predict.surface_at(source, at)
    shared = rng.normal(0.0, source.noise.cell, len(source.cells))[index]
    loss = loss * np.exp(shared + rng.normal(0.0, source.noise.within(excess)))
    loss, diverged = _diverged(source, at, index, loss, rng)
    return Runs.from_arrays(
        **at._asdict(),
        loss=loss,
        diverged=diverged,
        loss_kind=source.loss_kind,
        params_kind=source.params_kind,
        notes=(
            f"Simulated with seed {seed} from a fit to {source.provenance.runs} runs: "
            "no loss here was measured.",
        ),
    )


def _grid(source: Fit) -> tuple[predict.Points, np.ndarray]:
    """Every lr and batch of every cell, and the cell of each."""
    cells = [
        (cell, np.array(list(product(cell.lr, cell.batch)))) for cell in source.cells
    ]
    sizes = [len(grid) for _, grid in cells]
    lr, batch = np.concatenate([grid for _, grid in cells]).T
    params = np.repeat([cell.params for cell, _ in cells], sizes)
    tokens = np.repeat([cell.tokens for cell, _ in cells], sizes)
    recipe = np.repeat([cell.recipe for cell, _ in cells], sizes)
    scales = {
        name: np.repeat([cell.scales[name] for cell, _ in cells], sizes)
        for name in cells[0][0].scales
    }
    at = predict.Points(lr, batch, params, tokens, scales, recipe)
    return at, np.repeat(np.arange(len(cells)), sizes)


def _diverged(
    source: Fit,
    at: predict.Points,
    index: np.ndarray,
    loss: np.ndarray,
    rng: np.random.Generator,
) -> tuple[np.ndarray, np.ndarray]:
    """Losses, where training is unstable far above the others; and which those are."""
    diverged = np.zeros(len(loss), dtype=bool)
    if source.stability is None:
        return loss, diverged
    cells = range(len(source.cells))
    best = np.array([loss[index == i].min() for i in cells])[index]
    where = at._asdict() | dict(at.scales)
    diverged = rng.random(len(loss)) < source.stability.probability(where)
    mark = best * (1 + WORSE) * _MARGIN
    lost = mark + rng.random(len(loss)) * np.maximum(_GUESSING - mark, 0.0)
    return np.where(diverged, lost, loss), diverged

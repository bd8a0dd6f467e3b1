"""What the page needs to decide: the cells' sizes, the recipe, public models, GPUs."""

from __future__ import annotations

from typing import Any

from surrogate.answers import Fit
from surrogate.answers.decision import gpus
from surrogate.answers.decision.decide import about
from surrogate.base.about import sentence
from surrogate.fitting.intervals import MIN_CELLS_PAIRS
from surrogate.laws.public_models import MODELS
from surrogate.views.explorer.told import where


def document(fit: Fit) -> dict[str, Any]:
    """Keys of the page's document.

    Args:
        fit: what is shown.
    """
    known = about(fit)
    return {
        "sizes": [where(cell) for cell in fit.cells],
        "recipe_about": known,
        "recipe_said": sentence(known),
        "presets": [] if fit.scale_names else _presets(fit),
        "left_out": list(range(len(fit.cells))) if _is_refitted(fit) else None,
        "gpus": gpus.PEAK,
        "mfu": gpus.MFU,
    }


def _is_refitted(fit: Fit) -> bool:
    """Whether jackknife refit i is the one without cell i."""
    return fit.freedom is None and len(fit.leaves) == len(fit.cells) >= MIN_CELLS_PAIRS


def _presets(fit: Fit) -> list[dict[str, Any]]:
    """Public models of a size that the fit may be asked, in its own count of N."""
    found = []
    for each in MODELS:
        params = each.params(fit.params_kind)
        found.append(
            {
                "name": each.name,
                "params": params,
                "tokens": each.tokens,
                "lr": each.lr,
                "batch": each.batch,
            }
        )
    return found

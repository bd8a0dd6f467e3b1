"""What a plan leans on: one size, the edge of what is tried, one assumption."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from surrogate.answers.limits.unfitted import unfitted
from surrogate.answers.planning.assumed import BEND, UNSEEN
from surrogate.answers.planning.belief import Belief
from surrogate.answers.planning.candidates import Candidates
from surrogate.answers.planning.choose import after
from surrogate.answers.planning.target import Target
from surrogate.base.units import format_count

# Of what a plan lowers.
_MOST = 0.5
_FEW = 2
_RISKY = 0.02


def leans(
    target: Target,
    belief: Belief,
    found: Candidates,
    chosen: Sequence[int],
    aim: np.ndarray,
    *,
    is_prior: bool,
) -> list[str]:
    """Warnings of a plan that one wrong assumption would spoil."""
    if not len(chosen):
        return ["No run within the limits tells anything about the target."]
    said = _about_sizes(target, found, chosen)
    said += _about_edges(target, found, chosen)
    said += _about_bend(belief, found, chosen, aim)
    risky = [j for j in chosen if found.probability[j] > _RISKY]
    if risky:
        most = max(float(found.probability[j]) for j in risky)
        said.append(
            f"{len(risky)} of the runs may diverge (up to {100 * most:.2g} %), which "
            "would tell where the edge is but not the loss."
        )
    why = unfitted(target.question)
    if why is not None and not target.carries:
        said.append(f"There is no answer at the target so far: {why}")
    if target.carries:
        said.append(
            f"The runs tell nothing of other {' and '.join(target.carries)}: the first "
            "guess there is a published law's, taken as known to "
            f"{UNSEEN:g} in the exponent."
        )
    if is_prior:
        said.append(
            "Planned from another lab's runs: its shape is trusted, its level and best "
            "settings hardly. Fit your own runs as they finish, and plan again."
        )
    return said


def _about_sizes(target: Target, found: Candidates, chosen: Sequence[int]) -> list[str]:
    if len(chosen) < _FEW:
        return []
    places = [found.places[found.place[j]] for j in chosen]
    said = []
    asked = {"params": target.question.params, "tokens": target.question.tokens}
    for name, value in asked.items():
        levels = {getattr(place, name) for place in places}
        fitted = target.fit.features.fitted[name]
        if len(levels) == 1 and fitted[0] == fitted[1] and value != fitted[0]:
            said.append(
                f"All runs have {format_count(levels.pop())} {name}, as those so far "
                f"have: how the best settings move with {name} stays a guess. Raise "
                "the budget, or per_run_max."
            )
    if len({place.flops for place in places}) == 1:
        said.append(
            "All runs are at one size: if that size is odd, so is all they tell."
        )
    return said


def _about_edges(target: Target, found: Candidates, chosen: Sequence[int]) -> list[str]:
    """Whether all runs are at the lowest or the highest that is tried of a setting."""
    if len(chosen) < _FEW:
        return []
    said = []
    for i, name in enumerate(target.fit.features.choices):
        sides = []
        for j in chosen:
            own = found.log_settings[found.place == found.place[j], i]
            low, high = own.min(), own.max()
            at = found.log_settings[j, i]
            sides.append(0 if low < at < high else 1 if at == high else -1)
        if low_or_high := {-1, 1} & set(sides):
            if len(set(sides)) == 1:
                which = "highest" if 1 in low_or_high else "lowest"
                said.append(
                    f"All runs are at the {which} {name} that was considered: if the "
                    "surface is not what the fit says there, they tell little."
                )
    return said


def _about_bend(
    belief: Belief, found: Candidates, chosen: Sequence[int], aim: np.ndarray
) -> list[str]:
    """How much of what a plan buys is its assumption that the law may bend."""
    whole = belief.target - after(belief, found.flops, chosen).target
    choices = (len(aim) - 2) // 2
    own, more = slice(0, choices), slice(choices, 2 * choices)
    law = np.zeros_like(aim)
    law[own, own], law[-2, -2] = aim[more, more], aim[-1, -1]
    all_of_it, by_law = float(np.sum(aim * whole)), float(np.sum(law * whole))
    if all_of_it > 0 and by_law < (1 - _MOST) * all_of_it:
        return [
            "More than half of what the plan buys is to see whether the law bends "
            f"away from the fitted sizes (assumed: by {100 * BEND:.0f} % of lr and "
            "batch after an e-fold), which no interval so far holds."
        ]
    return []

"""Whether runs pay: what they save at the target against what they cost."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from surrogate.answers.planned import Standing, Stop
from surrogate.answers.planning.target import Target


def stop(
    target: Target,
    target_flops: float,
    stages: Sequence[np.ndarray],
    spent: Sequence[float],
    further: Standing,
) -> Stop:
    """Judge a plan and a second one after it.

    Args:
        target: where the answer is wanted.
        target_flops: of one run there.
        stages: covariance of the target's rows now, after each run of the plan, and
            last after the second.
        spent: FLOPs by then.
        further: what is known after the second.
    """
    choices = len(target.shift)
    whole = slice(choices, 2 * choices)
    lost = [0.5 * float(np.sum(target.hessian * c[whole, whole])) for c in stages]
    # A loss of r wastes the share r / -slope of the tokens.
    worth = target_flops / -target.slope * (lost[0] - np.array(lost))
    cost, more = spent[-2], spent[-1] - spent[-2]
    is_known = bool(np.isfinite(worth).all())
    return Stop(
        target_flops=target_flops,
        worth=float(worth[-2]),
        more_flops=more,
        more_worth=float(worth[-1] - worth[-2]),
        more_upper=further.regret_upper,
        pays=bool(worth[-2] > cost) if is_known else None,
        more_pays=bool(worth[-1] - worth[-2] > more) if is_known else None,
        runs=int(np.argmax((worth - spent)[:-1])) if is_known else None,
    )

"""One softmax-affine fit by gpfit, in a process of its own.

    python bench/peers/gpfit_once.py ROWS.npz [--terms 6] [--seed 0]

ROWS.npz holds z [n, d], logarithms of the settings, and target [n], ln loss. Prints, as
its last line, one JSON document: seconds of the fit alone, its root mean square in ln
loss, its number of parameters. A process of its own, because gpkit, which gpfit
imports, builds itself and runs tests on its first import, and prints.

Source: Hoburg, Kirschen, Abbeel 2016; PyPI gpfit 0.2.
"""

from __future__ import annotations

import argparse
import importlib
import json
import time


def main() -> None:
    """Time one fit."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("rows", help="npz with z and target")
    parser.add_argument("--terms", type=int, default=6)
    parser.add_argument("--seed", type=int, default=0)
    arguments = parser.parse_args()
    import numpy as np

    fit = importlib.import_module("gpfit.fit").fit

    rows = np.load(arguments.rows)
    start = time.perf_counter()
    found = fit(
        rows["z"].T,
        rows["target"],
        arguments.terms,
        fit_type="sma",
        seed=arguments.seed,
    )
    document = {
        "seconds": time.perf_counter() - start,
        "rms": float(found.errors["rms_log"]),
        "parameters": int(found.params.size),
        "softness": float(found.params[-1]),
    }
    print(json.dumps(document))


if __name__ == "__main__":
    main()

"""Step Law's bootstrap of its two regressions, the way its authors' tool does it.

    python bench/peers/authors_tool.py ROWS.csv REPLICAS [--tool code/fit_tool.py]

Per replica: a table of rows sampled with replacement, two LinearRegression fits on its
columns, sent to a pool of processes; then one table of all coefficients, grown by a row
a model. Without --tool this is written here from that description; with it, the
authors' own file runs. Prints one JSON document: seconds of the bootstrap alone, and
means and standard deviations of the coefficients.

A process of its own, because the tool forks a pool, which JAX's threads do not survive.

Source: Li et al. 2025 (Step Law), github step-law/steplaw, code/fit_tool.py.
"""

from __future__ import annotations

import argparse
import importlib
import importlib.util
import json
import sys
import time
import types
import warnings
from multiprocessing import Pool, cpu_count
from typing import Any

ON_LR = ["logN", "logD"]
ON_BATCH = ["logD"]
COLUMNS = ["lr_intercept", "lr_coefN", "lr_coefD", "bs_intercept", "bs_coefD"]
# What the tool imports and its bootstrap does not use; a stand-in where absent.
_UNUSED = ("torch", "seaborn", "matplotlib", "matplotlib.pyplot", "tqdm", "typer")


def main() -> None:
    """Time one bootstrap."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("rows", help="CSV with columns logN, logD, loglr, logbs")
    parser.add_argument("replicas", type=int)
    parser.add_argument("--tool", help="the authors' fit_tool.py")
    arguments = parser.parse_args()
    import numpy as np

    pandas = importlib.import_module("pandas")
    # Before the pool forks, as in the tool.
    importlib.import_module("sklearn.linear_model")
    rows = pandas.read_csv(arguments.rows)
    np.random.seed(42)  # noqa: NPY002 - DataFrame.sample draws from the global state
    run = written_here if arguments.tool is None else authors(arguments.tool)
    warnings.simplefilter("ignore")
    start = time.perf_counter()
    table = run(rows, arguments.replicas)
    seconds = time.perf_counter() - start
    values = table[COLUMNS].astype(float)
    document = {
        "seconds": seconds,
        "mean": values.mean().tolist(),
        "sd": values.std().tolist(),
    }
    print(json.dumps(document))


def fit_pair(sample: Any) -> tuple[Any, Any]:
    """The two regressions of one resampled table."""
    linear = importlib.import_module("sklearn.linear_model").LinearRegression
    on_lr = linear().fit(sample[ON_LR], sample["loglr"])
    return on_lr, linear().fit(sample[ON_BATCH], sample["logbs"])


def written_here(rows: Any, replicas: int) -> Any:
    """A table of coefficients, a replica a line."""
    pandas = importlib.import_module("pandas")
    with Pool(processes=cpu_count()) as pool:
        waiting = [
            pool.apply_async(fit_pair, (rows.sample(frac=1, replace=True),))
            for _ in range(replicas)
        ]
        models = [result.get() for result in waiting]
    table = pandas.DataFrame(columns=COLUMNS)
    for on_lr, on_batch in models:
        values = [on_lr.intercept_, *on_lr.coef_, on_batch.intercept_, *on_batch.coef_]
        line = pandas.DataFrame([values], columns=COLUMNS)
        table = pandas.concat([table, line], ignore_index=True)
    return table


def authors(path: str) -> Any:
    """The same from the authors' file."""
    absent = [n for n in _UNUSED if importlib.util.find_spec(n.split(".")[0]) is None]
    sys.modules.update({name: _stand_in(name) for name in absent})
    spec = importlib.util.spec_from_file_location("fit_tool", path)
    if spec is None or spec.loader is None:
        sys.exit(f"cannot load the authors' tool from {path}")
    tool = importlib.util.module_from_spec(spec)
    # The pool's processes look its functions up by module name.
    sys.modules["fit_tool"] = tool
    spec.loader.exec_module(tool)

    def run(rows: Any, replicas: int) -> Any:
        models = tool.get_bootstrap_lr_bs_scaling_models(
            rows, replicas, X_lr_key=ON_LR, X_bs_key=ON_BATCH
        )
        return tool.get_lr_bs_scaling_model_parameters(
            models, X_lr_key=ON_LR, X_bs_key=ON_BATCH
        )

    return run


class _Anything(types.ModuleType):
    """A module whose every attribute is an empty class."""

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__"):
            raise AttributeError(name)
        return type(name, (), {"__init__": lambda self, *a, **k: None})


def _stand_in(name: str) -> types.ModuleType:
    module = _Anything(name)
    if name == "tqdm":
        vars(module)["tqdm"] = lambda items: items
    if name == "typer":
        vars(module)["Typer"] = _Commands
    if name == "torch":
        for part in ("nn", "optim"):
            inner = _Anything(f"torch.{part}")
            setattr(module, part, inner)
            sys.modules[f"torch.{part}"] = inner
    return module


class _Commands:
    """Stands for typer.Typer: a decorator that leaves the function as it is."""

    def command(self) -> Any:
        return lambda function: function


if __name__ == "__main__":
    main()

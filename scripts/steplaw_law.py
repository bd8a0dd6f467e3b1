"""What Step Law's released dense file says of Step Law; writes docs/steplaw.md.

Run from the project's root with the dumps in SURROGATE_DATA (default ../shared/data):
`python scripts/steplaw_law.py` prints the page, `--write` also writes it. `--runs FILE`
and `--draws FILE` name other files.
"""

from __future__ import annotations

import argparse
import os
import sys
from pathlib import Path

import numpy as np
from steplaw_draws import Draws, Near, at_fixed_batch, bootstrap, read_draws

from surrogate.answers.laws_on_cells import (
    Cells,
    Entry,
    score_law,
    score_recipe,
)
from surrogate.data import Runs
from surrogate.data.readers import read_runs
from surrogate.laws import find
from surrogate.laws.evaluate import Point, evaluate
from surrogate.laws.step_law import Recipe, step_law_recipe

ROOT = Path(__file__).resolve().parents[1]
PAGE = ROOT / "docs" / "steplaw.md"
DRAWS, SEED = 10_000, 0
_COLUMNS = "published | from the file | 95 %, cells resampled | 95 %, authors' draws"
# Where the law is asked far from its runs: 7B parameters, 1.4T tokens.
FAR = (7e9, 1.4e12)
RUNS_FILE = "steplaw/dense_lr_bs_loss.csv"
DRAWS_FILE = "steplaw/1004_fitted_lr_bs_scaling_model_parameters.csv"


def page(runs: Runs, authors: Draws) -> str:
    """The whole page."""
    near = Near.of(runs)
    law = step_law_recipe(*near[:4])
    with_n = step_law_recipe(*near[:4], is_params_in_batch=True)
    fixed = at_fixed_batch(*near[:4])
    draws = bootstrap(near, draws=DRAWS, seed=SEED)
    n_draws = bootstrap(near, draws=DRAWS, seed=SEED, is_params_in_batch=True)
    rows = [
        ("lr, constant", "1.79", np.exp(law.lr[0]), draws.lr[:, 0], authors.lr[:, 0]),
        ("lr, exponent of N", "-0.713", law.lr[1], draws.lr[:, 1], authors.lr[:, 1]),
        ("lr, exponent of D", "0.307", law.lr[2], draws.lr[:, 2], authors.lr[:, 2]),
        (
            "batch, constant",
            "0.58",
            np.exp(law.batch[0]),
            draws.batch[:, 0],
            authors.batch[:, 0],
        ),
        (
            "batch, exponent of D",
            "0.571",
            law.batch[2],
            draws.batch[:, 2],
            authors.batch[:, 2],
        ),
    ]
    table = [
        f"| | {_COLUMNS} |",
        "|---|---|---|---|---|",
        *(
            f"| {name} | {said} | {_number(value)} | {_ends(ours, name)} | "
            f"{_ends(theirs, name)} |"
            for name, said, value, ours, theirs in rows
        ),
    ]
    cells = Cells(runs)
    return _TEXT.format(
        near=len(near.lr),
        runs=f"{len(runs):,}",
        cells=len(runs.cells),
        draws=f"{DRAWS:,}",
        singular=draws.singular,
        authors=f"{len(authors.lr):,}",
        table="\n".join(table),
        far=_far(law, draws, authors),
        fixed_exponent=_number(fixed[2]),
        fixed_ends=_ends(draws.fixed_batch[:, 2]),
        fixed_batch=_number(fixed[3]),
        fixed_batch_ends=_ends(draws.fixed_batch[:, 3]),
        free_exponent=_number(law.lr[2]),
        with_n=_number(with_n.batch[1]),
        with_n_ends=_ends(n_draws.batch[:, 1]),
        with_n_d=_number(with_n.batch[2]),
        with_n_d_ends=_ends(n_draws.batch[:, 2]),
        verdict=_verdict(n_draws.batch[:, 1]),
        regrets=_regrets(cells),
    )


def _verdict(exponent: np.ndarray) -> str:
    low, high = np.quantile(exponent, [0.025, 0.975])
    if low > 0 or high < 0:
        return "The interval leaves out 0: in this file N enters the batch law."
    return "The interval holds 0: this file does not tell that N enters the batch law."


def _far(law: Recipe, draws: Draws, authors: Draws) -> str:
    at = np.array([1.0, np.log(FAR[0]), np.log(FAR[1])])
    choice = evaluate(find("step-law"), Point(*FAR))
    lr, batch = law(*FAR)
    rows = [
        f"| at 7B parameters, 1.4T tokens | {_COLUMNS} |",
        "|---|---|---|---|---|",
        f"| lr | {choice.lr:.3g} | {lr:.3g} | {_exp(draws.lr @ at)} | "
        f"{_exp(authors.lr @ at)} |",
        f"| batch [tokens] | {choice.batch:,.0f} | {batch:,.0f} | "
        f"{_exp(draws.batch @ at, ',.0f')} | {_exp(authors.batch @ at, ',.0f')} |",
    ]
    return "\n".join(rows)


def _regrets(cells: Cells) -> str:
    entries = [
        ("published (fitted to these runs)", score_law(find("step-law"), cells)),
        ("refitted, batch on D", score_recipe(cells, is_params_in_batch=False)),
        ("refitted, batch on N and D", score_recipe(cells, is_params_in_batch=True)),
    ]
    rows = ["| law | regret, permille | smoothed |", "|---|---|---|"]
    rows += [f"| {name} | {_spread(entry)} |" for name, entry in entries]
    return "\n".join(rows)


def _spread(entry: Entry) -> str:
    parts = []
    for part in (entry.regret, entry.regret_smoothed):
        assert part is not None
        assert part["mean"] is not None
        assert part["se"] is not None
        parts.append(f"{1000 * part['mean']:.2f} ± {1000 * part['se']:.2f}")
    return " | ".join(parts)


def _number(value: float) -> str:
    return f"{value:.3g}"


def _ends(values: np.ndarray, name: str = "") -> str:
    """A central 95 % interval; of a constant, whose logarithm was drawn."""
    ends = np.quantile(values, [0.025, 0.975])
    ends = np.exp(ends) if "constant" in name else ends
    return " to ".join(map(_number, ends))


def _exp(logs: np.ndarray, form: str = ".3g") -> str:
    low, high = np.exp(np.quantile(logs, [0.025, 0.975]))
    return f"{low:{form}} to {high:{form}}"


_TEXT = """\
# What the released file says of Step Law

Every figure here is printed by `python scripts/steplaw_law.py` (`--write` writes this
page); do not edit. The file is Step Law's dense sweep, {runs} runs in {cells} cells of
one (N, D) each. The authors' recipe, as in their code: runs within 0.25 % of their
cell's lowest smoothed loss ({near} of them), ordinary least squares in natural
logarithms, pooled over cells; ln lr on ln N and ln D, ln batch (in tokens) on ln D.

## Coefficients

{table}

Intervals of ours resample whole cells ({draws} draws, {singular} left out as singular)
and are plain percentiles, which are a little too short with {cells} cells. The authors'
are the percentiles of the {authors} draws that they released, which resample runs and
not cells; they lie around the published law and not around what this file gives. The
constants and the exponents move together, so that what counts is where the laws lead.

## Where that leads

{far}

Both are far outside the runs (N up to 1.07B, D up to 100B).

## D-exponent of lr at a fixed batch

With the batch free, the learning rate grows as D^{free_exponent}. The batch grows with
D too: with ln batch beside ln N and ln D in the regression over the same runs, lr goes
as batch^{fixed_batch} ({fixed_batch_ends}), and **at a fixed batch as
D^{fixed_exponent}** (95 %: {fixed_ends}).

## Does N enter the batch law?

With ln N beside ln D, batch goes as N^{with_n} (95 %: {with_n_ends}) and D^{with_n_d}
({with_n_d_ends}). {verdict}

What each loses on these cells (mean and standard error; the refits never see the cell
that they are scored on, the published law saw all):

{regrets}
"""


def main() -> int:
    """Prints the page, and writes it where asked."""
    parser = argparse.ArgumentParser(description=__doc__)
    data = Path(os.environ.get("SURROGATE_DATA", ROOT / "../shared/data"))
    parser.add_argument("--runs", type=Path, default=data / RUNS_FILE)
    parser.add_argument("--draws", type=Path, default=data / DRAWS_FILE)
    parser.add_argument("--write", action="store_true", help=f"write {PAGE.name}")
    given = parser.parse_args()
    text = page(read_runs(given.runs), read_draws(given.draws))
    print(text, end="")
    if given.write:
        PAGE.write_text(text, encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())

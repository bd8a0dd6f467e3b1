"""The rows of cold.py: what is run, in turn with what, and what is asked."""

from __future__ import annotations

import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
from harness.dumps import data_dir

AT = ("--params", "1B", "--tokens", "20B")
FIT = "steplaw-dense"
POINTS = 10_000
ANSWER_TURNS, FIT_TURNS = 5, 3
DENSE = "steplaw/dense_lr_bs_loss.csv"
OPENEUROLLM = "openeurollm/loss_all_exps_post_annealing_upto_983m.csv"
# Beside the folder of released dumps.
CASE = "cases/recipes11_cells121.csv"
# What each answer may cost, in R.
ANSWERS = {
    "help": 0.1,
    "optimum": 0.4,
    "plateau": 0.7,
    "regret": 0.5,
    "predict": 1.0,
    "report": 1.0,
    "check": 0.6,
}
SMALLEST = "fit-60"
# What each fit may cost, in that of the other commit.
FITS = {
    "fit-dense": 0.3,
    SMALLEST: 0.15,
    "fit-850": 0.3,
    "demo": 0.35,
    "fit-11-recipes": 0.2,
}
# A second process finds the programs of the first.
AGAIN = 0.2
# 850 runs in 45 cells, in the dense dump's 1,911 in 17.
MORE_CELLS = 2.0


class Command(NamedTuple):
    """One process.

    Attributes:
        argv: `{out}` stands for a folder of its own.
        cache: where compiled programs are kept; None for nowhere.
        on_one_core: it may use only one.
    """

    argv: tuple[str, ...]
    cache: Path | None = None
    on_one_core: bool = False


class Row(NamedTuple):
    """Contenders that run in turn, the first unmeasured where they are short.

    Attributes:
        name: as `--only` takes it.
        what: for people.
        contenders: `ours`, `R`, `against` and others.
        limits: the most that one may cost in another's: (of, to, limit).
        turns: that count.
        is_long: no unmeasured turn.
    """

    name: str
    what: str
    contenders: dict[str, Command]
    limits: tuple[tuple[str, str, float], ...]
    turns: int
    is_long: bool = False


R = Command((sys.executable, "-c", "import jax, orbax.checkpoint"))


def rows_in(names: Sequence[str], folder: Path, other: Path | None) -> Iterator[Row]:
    """The rows of these names.

    Args:
        names: of `ANSWERS` and `FITS`.
        folder: where tables of points and runs are written, and caches kept.
        other: the Python of the other commit.
    """
    for name in names:
        if name in ANSWERS:
            words = _answer(name, folder)
            contenders = {"R": R, "ours": _surrogate(words)}
            limits = (("ours", "R", ANSWERS[name]),)
            what = f"surrogate {' '.join(words[:2])}"
            yield Row(name, what, contenders, limits, ANSWER_TURNS)
        else:
            yield _fit(name, folder, other)


def _surrogate(words: Sequence[str], python: Path | None = None) -> Command:
    home = python or Path(sys.executable)
    return Command((str(home.with_name("surrogate")), *words))


def _answer(name: str, folder: Path) -> tuple[str, ...]:
    if name == "predict":
        return ("predict", FIT, _points(folder), "--out", "{out}/predicted.csv")
    if name == "check":
        return ("check", str(data_dir() / DENSE))
    return {
        "help": ("--help",),
        "optimum": ("optimum", FIT, *AT),
        "plateau": ("plateau", FIT, *AT),
        "regret": ("regret", FIT, *AT, "--lr", "1e-3", "--batch", "512Ki"),
        "report": ("report", FIT, "--out", "{out}/page.html"),
    }[name]


def _fit(name: str, folder: Path, other: Path | None) -> Row:
    words, what = _fit_of(name, folder)
    is_pinned = name == "fit-11-recipes"
    ours = _surrogate(words)._replace(on_one_core=is_pinned)
    contenders = {"R": R, "ours": ours}
    limits = [("ours", "against", FITS[name])]
    if name == "fit-dense":
        contenders["second process"] = ours._replace(cache=folder / "cache")
        limits.append(("second process", "against", AGAIN))
    if name == "fit-850":
        contenders["dense"] = _surrogate(_fit_of("fit-dense", folder)[0])
        limits.append(("ours", "dense", MORE_CELLS))
    if other is not None:
        theirs = _surrogate(words, other)._replace(on_one_core=is_pinned)
        contenders["against"] = theirs
    return Row(name, what, contenders, tuple(limits), FIT_TURNS, is_long=True)


def _fit_of(name: str, folder: Path) -> tuple[tuple[str, ...], str]:
    """Words of the command, and what it is for people."""
    out = ("--out", "{out}/fit")
    if name == "fit-dense":
        runs = str(data_dir() / DENSE)
        return ("fit", runs, *out), "fit of 1,911 runs, 17 cells, 1,000 draws"
    if name == "fit-850":
        runs = str(data_dir() / OPENEUROLLM)
        how = ("--map", "batch=gbsz*4096", "--map", "tokens=D")
        return ("fit", runs, *how, *out), "fit of 850 runs, 45 cells, 1,000 draws"
    if name == "fit-11-recipes":
        how = ("--recipe", "recipe", "--bootstrap", "0")
        what = "fit of 2,134 runs, 121 cells, 11 recipes, no draws, one core"
        return ("fit", str(data_dir().parent / CASE), *how, *out), what
    if name == "demo":
        return ("demo", "--out", "{out}/demo"), "demo"
    return ("fit", _sixty(folder), *out), "fit of 60 runs, 5 cells, 1,000 draws"


def _points(folder: Path) -> str:
    rng = np.random.default_rng(0)
    file = folder / "points.csv"
    columns = np.exp(
        rng.uniform(
            np.log([2e-4, 6e4, 1e8, 5e9]),
            np.log([4e-3, 2e6, 1e9, 5e10]),
            (POINTS, 4),
        )
    )
    rows = [",".join(f"{value:.6g}" for value in row) for row in columns]
    file.write_text("\n".join(["lr,batch,params,tokens", *rows]) + "\n")
    return str(file)


def _sixty(folder: Path) -> str:
    """A student's sweep: 5 sizes, each at 4 lr x 3 batches, smooth bowls with noise."""
    rng = np.random.default_rng(60)
    lines = ["lr,batch,params,tokens,loss"]
    for params, tokens in zip(
        (2e7, 4e7, 8e7, 1.6e8, 3.2e8), (8e8, 1e9, 3e9, 2e9, 6e9), strict=True
    ):
        best_lr = np.log(2e-3) - 0.25 * np.log(params / 2e7)
        best_batch = np.log(2**17) + 0.4 * np.log(tokens / 8e8)
        for lr in best_lr + np.array([-1.2, -0.4, 0.4, 1.2]):
            for batch in (2**16, 2**17, 2**18):
                bend = 0.01 * (lr - best_lr) ** 2
                bend += 0.006 * (np.log(batch) - best_batch) ** 2
                level = 1.8 + 60 * params**-0.3 + 90 * tokens**-0.25
                loss = level * np.exp(bend + 1e-3 * rng.normal())
                lines.append(
                    f"{np.exp(lr):.5g},{batch},{params:.0f},{tokens:.0f},{loss:.6f}"
                )
    file = folder / "sixty.csv"
    file.write_text("\n".join(lines) + "\n")
    return str(file)

"""Tables as strangers write them, broken, and folders of runs: what guesses read."""

from __future__ import annotations

import json
import math
import random
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

from surrogate.base.errors import DataError
from surrogate.data.readers import read_runs
from trust.fuzz_case import Case, told

_NAMES = ("lr", "batch", "params", "tokens", "loss")
_RUNS = [
    (lr, batch, params, 20 * params, 2.5 + 40 * lr)
    for params in (1e8, 2e8)
    for batch in (65536, 131072)
    for lr in (5e-4, 1e-3, 2e-3, 4e-3)
]


def _lines(head: str, line: Callable[..., str], tail: str = "") -> str:
    return "\n".join([head, *(line(*run) for run in _RUNS)]) + tail + "\n"


def _csv(*values: Any) -> str:
    return ",".join(map(str, values))


def _decimal_commas(*values: float) -> str:
    return ";".join(f"{value:.6g}".replace(".", ",") for value in values)


def _logarithms(lr: float, batch: int, *rest: float) -> str:
    return _csv(round(math.log10(lr), 6), round(math.log2(batch)), *rest)


def _tracked(lr: float, batch: int, params: float, *rest: float) -> str:
    return _csv(lr, batch // 2048, 2048, f"{params / 1e6:g}M", *rest)


def _logged(*run: float) -> str:
    return " ".join(f"{k}={v:g}" for k, v in zip(_NAMES, run, strict=True))


def _of_curve(step: int) -> str:
    fixed = {"lr": 1e-3, "batch": 131072, "params": 1e8}
    moved = {"step": step, "loss": 5 - step / 300, "tokens": step * 131072}
    return json.dumps(fixed | moved)


def _nested(*run: float) -> dict[str, Any]:
    *settings, loss = run
    return {"config": dict(zip(_NAMES[:4], settings, strict=True)), "loss": loss}


# Ending and text: a row of units, decimal commas, logarithms, words of other languages
# and trackers, a pivot, side by side, LaTeX, logs, curves and nested records.
TEXTS: tuple[tuple[str, str], ...] = (
    (".csv", _lines("lr,batch,params,tokens,loss\n[-],[tokens],[1],[1],[nats]", _csv)),
    (".csv", _lines(";".join(_NAMES), _decimal_commas)),
    (".csv", _lines("log10(lr),log2(batch),params,tokens,val_loss", _logarithms)),
    (".csv", _lines("# ours\n\nLernrate,Batchgröße,Parameter,Token,Verlust", _csv)),
    (
        ".csv",
        _lines("config/lr,config/batch_size,config/seq_len,n_params,D,loss", _tracked),
    ),
    (".csv", "params,tokens,batch,lr=5e-4,lr=1e-3,lr=2e-3\n1e8,2e9,65536,3,2.9,3.1\n"),
    (
        ".csv",
        "\n".join(_csv(n, *(r[k] for r in _RUNS)) for k, n in enumerate(_NAMES)),
    ),
    (
        ".tex",
        _lines(
            r"\begin{tabular}{lllll} " + " & ".join(_NAMES) + r" \\ \hline",
            lambda *run: " & ".join(map(str, run)) + r" \\",
            r"\end{tabular}",
        ),
    ),
    (".log", _lines("start", _logged)),
    (".jsonl", "\n".join(map(_of_curve, range(25, 300, 25)))),
    (".json", json.dumps({f"run{k}": _nested(*run) for k, run in enumerate(_RUNS)})),
)
_YAML = """\
optim:
  lr: 0.001  # peak
  betas: [0.9, 0.95]
data: {seq_len: 2048}
train:
  global_batch_size: 64
  total_tokens: 1_200_000_000
model:
  "n_params": 60e6
notes: |
  lr: 7 was tried
name: 'a: b'
"""
_MAPS: tuple[dict[str, str] | None, ...] = (
    None,
    {"params": "1e8", "tokens": "2e9"},
    {"batch": "batch*2048", "loss": "loss"},
    {"lr": "10^lr"},
)


def strangers(mutated: Callable[..., str]) -> Callable[[Path], Case]:
    """Of tables that only guesses can read."""

    def part(folder: Path) -> Case:
        def run(dice: random.Random, _: int) -> int:
            ending, text = dice.choice(TEXTS)
            file = folder / f"stranger{ending}"
            text = mutated(text, dice, dice.choice((1, 2, 8)))
            file.write_bytes(text.encode("utf-8", "surrogatepass"))
            return _asked(file, dice)

        return Case(run)

    return part


def run_folders(mutated: Callable[..., str]) -> Callable[[Path], Case]:
    """Of folders of runs with a YAML and a JSON file each."""

    def part(folder: Path) -> Case:
        def run(dice: random.Random, _: int) -> int:
            root = folder / "sweep"
            shutil.rmtree(root, ignore_errors=True)
            for k, (lr, *_rest, loss) in enumerate(_RUNS[:4]):
                own = root / f"run{k}"
                own.mkdir(parents=True)
                config = _YAML.replace("0.001", str(lr))
                metrics = json.dumps({"val_loss": loss, "step": 100})
                if dice.random() < 0.5:
                    config = mutated(config, dice, 4)
                if dice.random() < 0.3:
                    metrics = mutated(metrics, dice, 2)
                for name, text in (("config.yaml", config), ("metrics.json", metrics)):
                    (own / name).write_bytes(text.encode("utf-8", "surrogatepass"))
            return _asked(root, dice)

        return Case(run)

    return part


def _asked(source: Path, dice: random.Random) -> int:
    try:
        runs = read_runs(source, map=dice.choice(_MAPS))
    except DataError as error:
        return told(error)
    for text in (*runs.warnings, *runs.notes, *map(str, runs.dropped)):
        told(Exception(text), 10_000)
    return 0

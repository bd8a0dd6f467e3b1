"""Tables as strangers write them, broken, and folders of runs: what guesses read."""

from __future__ import annotations

import json
import random
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

from surrogate.base.errors import DataError
from surrogate.data.readers import read_runs
from trust.fuzz_case import Case, told

_LR = (5e-4, 1e-3, 2e-3, 4e-3)
_RUNS = [
    (lr, batch, params, 20 * params, 2.5 + 40 * lr)
    for params in (1e8, 2e8)
    for batch in (64, 128)
    for lr in _LR
]


def _lines(head: str, line: Callable[..., str], tail: str = "") -> str:
    return "\n".join([head, *(line(*run) for run in _RUNS)]) + tail + "\n"


def _csv(*values: Any) -> str:
    return ",".join(map(str, values))


def _of_curve(step: int) -> str:
    return json.dumps(
        {"step": step, "lr": 1e-3, "loss": 5 - step / 300, "tokens_seen": step * 131072}
    )


# Ending and text: a row of units, decimal commas, logarithms, words of other languages
# and trackers, groups in the head, a pivot, side by side, LaTeX, logs and curves.
TEXTS: tuple[tuple[str, str], ...] = (
    (".csv", _lines("lr,batch,N,D,loss\n[-],[seqs],[M],[B],[nats]", _csv)),
    (
        ".csv",
        _lines(
            "lr;batch;params;tokens;loss",
            lambda *run: ";".join(str(v).replace(".", ",") for v in run),
        ),
    ),
    (".csv", _lines("log10(lr),log2_bs,log N,ln D,val_loss", _csv)),
    (
        ".csv",
        _lines("# made by us\n\nLernrate,Batchgröße,Parameter,Token,Verlust", _csv),
    ),
    (
        ".csv",
        _lines(
            "config/lr,config/global_batch_size,config/seq_len,n_params,D,eval/loss",
            lambda lr, b, n, d, loss: _csv(
                lr, b, 2048, f"{n / 1e6:g}M", f"{d:g}", loss
            ),
        ),
    ),
    (".csv", "params,tokens,batch,lr=5e-4,lr=1e-3,lr=2e-3\n1e8,2e9,65536,3,2.9,3.1\n"),
    (
        ".csv",
        "\n".join(
            _csv(name, *(run[k] for run in _RUNS))
            for k, name in enumerate(("lr", "batch", "params", "tokens", "loss"))
        ),
    ),
    (
        ".tex",
        _lines(
            r"\begin{tabular}{lllll} lr & batch & params & tokens & loss \\ \hline",
            lambda *run: " & ".join(map(str, run)) + r" \\",
            r"\end{tabular}",
        ),
    ),
    (
        ".log",
        _lines(
            "start",
            lambda lr, b, n, d, loss: f"lr={lr} bs={b} N={n:g} D={d:g} loss: {loss}",
        ),
    ),
    (".jsonl", "\n".join(map(_of_curve, range(0, 300, 25)))),
    (
        ".json",
        json.dumps(
            {
                f"run{k}": {"config": {"lr": run[0], "bs": run[1]}, "loss": run[4]}
                for k, run in enumerate(_RUNS)
            }
        ),
    ),
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

"""What is fuzzed, and how a case is made from its number; `fuzz` runs them."""

from __future__ import annotations

import json
import random
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path

from surrogate.answers import load
from surrogate.base.errors import DataError
from surrogate.base.units import (
    parse_batch,
    parse_count,
    parse_fraction,
    parse_number,
    parse_range,
)
from surrogate.data.readers import read_runs
from surrogate.data.readers.columns.expression import parse
from surrogate.views.explorer import page
from surrogate.views.explorer.document import document
from trust.fuzz_case import Case, Fault, told
from trust.fuzz_fits import folders, manifests, manifests_sealed
from trust.fuzz_strangers import run_folders, strangers

HEADER = "lr,batch,params,tokens,loss,recipe,status"
ROWS = [
    f"{lr:g},{batch},{params:g},{20 * params:g},{2.5 + 40 * lr:.4f},adam,finished"
    for params in (1e8, 2e8)
    for batch in (65536, 131072)
    for lr in (5e-4, 1e-3, 2e-3)
]
RECORDS = [dict(zip(HEADER.split(","), row.split(","), strict=True)) for row in ROWS]
TABLES: dict[str, str] = {
    ".csv": "\n".join([HEADER, *ROWS]) + "\n",
    ".tsv": "\n".join([HEADER, *ROWS]).replace(",", "\t") + "\n",
    ".json": json.dumps(RECORDS),
    ".jsonl": "\n".join(map(json.dumps, RECORDS)) + "\n",
    ".md": "\n".join(
        f"| {line.replace(',', ' | ')} |"
        for line in (HEADER, ",".join(["---"] * 7), *ROWS)
    ),
    ".txt": "\n".join([HEADER, *ROWS]).replace(",", "  ") + "\n",
}
# What breaks readers: marks of the formats, of numbers, of Unicode and of the shell.
SHARDS = (
    *("", ",", ";", "\t", '"', "'", "\n", "\r", "\r\n", "\0", "\\", "|", "---", "{"),
    *("}", "[", "]", ":", "null", "true", "nan", "inf", "-inf", "1e400", "-1e400"),
    *("1e-400", "9" * 40, "0x1p3", "1_000", "1,5", "1.2.3", "\u2212" + "5", "\uff11"),
    *("\u0661", "\u202e", "\u200b", "\ufeff", "\ud7ff", "\U0010ffff", "é", "%", "=1+1"),
    *("@x", "$(x)", "`x`", "../..", "K", "Ki", "1e", "e9", "--", "#", "//", "\x1b[2J"),
)
EXPRESSIONS = (
    *("C/(6*params)", "batch*2048", "'val loss'", "-lr", "1e9*tokens", "(((lr)))"),
    *('"lr"*2', "lr/batch/params", "params+tokens-1", "0.5*(lr+lr)", "steps*batch"),
)
NUMBERS = (
    *("1e9", "7B", "512Ki", "0.25%", "256x2048", "1e-4:1e-2", "3.5T", "-2", "1_000"),
)


def mutated(text: str, dice: random.Random, most: int = 8) -> str:
    """A text in which pieces are cut, doubled, moved or replaced by shards."""
    for _ in range(dice.randint(1, most)):
        at = dice.randint(0, len(text))
        end = min(len(text), at + int(dice.paretovariate(0.7)))
        kind = dice.randrange(5)
        if kind == 0:
            text = text[:at] + text[end:]
        elif kind == 1:
            text = text[:at] + text[at:end] * dice.randint(2, 5) + text[end:]
        elif kind == 2:
            text = text[:at] + dice.choice(SHARDS) + text[end:]
        elif kind == 3:
            text = text[:at] + dice.choice(SHARDS) + text[at:]
        else:
            text = text[:at] + chr(dice.randint(0, 0x2FFF)) + text[end:]
    return text[:100_000]


def tables(folder: Path) -> Case:
    """Tables of every text format, broken, in UTF-8 or worse."""

    def run(dice: random.Random, _: int) -> int:
        ending, text = dice.choice(list(TABLES.items()))
        data = mutated(text, dice).encode("utf-8", "surrogatepass")
        if dice.random() < 0.1:
            data = bytes(b ^ (dice.random() < 0.01) for b in data)
        file = folder / f"table{ending}"
        file.write_bytes(data)
        try:
            runs = read_runs(file)
        except DataError as error:
            return told(error)
        for text in (*runs.warnings, *runs.notes, *map(str, runs.dropped)):
            told(Exception(text), 10_000)
        return 0

    return Case(run)


def units(_: Path) -> Case:
    """Numbers as people type them."""
    readers = (parse_number, parse_count, parse_fraction, parse_batch, parse_range)

    def run(dice: random.Random, _: int) -> int:
        text = mutated(dice.choice(NUMBERS), dice, 4)
        try:
            dice.choice(readers)(text, what="--x")
        except DataError as error:
            return told(error)
        return 0

    return Case(run)


def expressions(_: Path) -> Case:
    """Expressions of columns, and their values."""
    columns = ["lr", "batch", "params", "tokens", "C", "steps", "val loss", "1e9", ""]

    def run(dice: random.Random, _: int) -> int:
        text = mutated(dice.choice(EXPRESSIONS), dice, 6)
        if dice.random() < 0.05:
            text = dice.choice("(-+") * dice.randint(1, 5000) + text
        try:
            parse(text, columns, lambda _: None, what="--map", file="table.csv")
        except DataError as error:
            return told(error)
        return 0

    return Case(run)


_SCRIPT = """
const bad = [], model = prepare(given.document);
for (const hash of given.hashes) {
  const first = firstState(model);
  const [state, refused] = stateOf(model, hash, first);
  const again = stateOf(model, hashOf(model, state), first);
  const isSize = (value) => Number.isFinite(value) && value > 0;
  // No choice of one's own until one is made.
  const isFinite = [state.params, state.tokens, state.tol].every(isSize)
    && [state.lr, state.batch].every((value) => value === null || isSize(value));
  if (!isFinite || again[1].length || JSON.stringify(again[0]) !== JSON.stringify(state)
      || refused.some((said) => said.length > 400)) bad.push(hash);
}
process.stdout.write(JSON.stringify(bad));
"""
HASHES = (
    "#n=1e9&d=2e10&lr=0.001&b=524288&tol=0.0025",
    "#n=7000000000&d=140000000000&view=box&seq=2048",
    "#n=1B&d=20B&r=adam&s.active=3e8&answer",
)


def addresses(_: Path) -> Case:
    """The page's state from the hash of its address, under node, many at a time."""
    fit = load("bundled:steplaw-dense")
    whole = json.loads(page.embedded(document(fit, None, "FIT")))
    program = (
        f"'use strict';\n{page.joined(page.CORE)}\n"
        "const given = JSON.parse(require('fs').readFileSync(0, 'utf8'));\n" + _SCRIPT
    )
    width = 2000

    def run(dice: random.Random, _: int) -> int:
        hashes = [mutated(dice.choice(HASHES), dice, 6) for _ in range(width)]
        done = subprocess.run(
            ["node", "-e", program],
            input=json.dumps({"document": whole, "hashes": hashes}),
            capture_output=True,
            text=True,
            check=False,
        )
        if done.returncode:
            raise Fault(done.stderr[:300])
        bad = json.loads(done.stdout)
        if bad:
            raise Fault(f"{len(bad)} addresses, such as {bad[0][:100]!r}")
        return 0

    return Case(run, width)


PARTS: dict[str, Callable[[Path], Case]] = {
    "tables": tables,
    "strangers": strangers(mutated),
    "run folders": run_folders(mutated),
    "units": units,
    "expressions": expressions,
    "manifests": manifests,
    "folders": folders,
    "sealed": manifests_sealed,
}
if shutil.which("node"):
    PARTS["addresses"] = addresses

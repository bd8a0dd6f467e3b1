"""The recipe that a table of runs shares: what an answer from it holds for.

Told by `--about KEY=VALUE`, or known of a released dump by the SHA-256 of its file.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from surrogate.base.errors import DataError
from surrogate.base.units import parse_count, quote

# Longer ones are no line of a text.
_LONGEST = 120
_KINDS = ("params_kind", "loss_kind")

# One recipe of Step Law's sweeps (arXiv:2503.04715): AdamW and a fixed final lr are as
# in alphaxiv.org/overview/2503.04715, the cosine as in issue 19, and the length of a
# sequence as the reader of its files has it. Nothing else was found.
_STEP_LAW = {
    "lab": "Step Law",
    "optimizer": "AdamW",
    "schedule": "cosine",
    "final_lr": "1e-5",
    "seq_len": "2048",
}
# OpenEuroLLM's (arXiv:2608.28308): its file has beta2, and does not name the optimizer.
_OPEN_EURO = {"lab": "OpenEuroLLM", "schedule": "WSD", "seq_len": "4096"}
KNOWN: dict[str, dict[str, str]] = {
    "9e46181076c04d450294d75dfe6f72adc416e231e154a07b337e378f9410002c": _STEP_LAW,
    "653d585244a7b227423007e8b796bc16d76f6d24eb87b1919b8f048a91897b92": _STEP_LAW,
    # Up to 983M parameters.
    "62c30ae2b15d3e80e08f0d5b902a9756e4cc22fa17f2ae5fbc2de2ef917dbf3d": _OPEN_EURO,
}


def parse_about(values: Iterable[str]) -> dict[str, str]:
    """Read KEY=VALUE texts, as `--about` takes them.

    Args:
        values: the texts.

    Raises:
        DataError: one is no such pair, or a key has two values.
    """
    found: dict[str, str] = {}
    for value in values:
        key, equals, text = (part.strip() for part in value.partition("="))
        if not (key and equals and text):
            raise DataError(
                f"--about: expected KEY=VALUE, such as optimizer=AdamW, got "
                f"{quote(value)}."
            )
        name = key.lower().replace(" ", "_").replace("-", "_")
        if found.get(name, text) != text:
            raise DataError(
                f"--about: {quote(name)} is said twice, as {quote(found[name])} and as "
                f"{quote(text)}. Say it once."
            )
        found[name] = text
    return found


def check_about(
    about: Mapping[str, str], kinds: Mapping[str, str], seq_len: int | None = None
) -> dict[str, str]:
    """Refuse what contradicts what is known of the runs.

    Args:
        about: what is said of the recipe.
        kinds: the kinds of params and loss that were read with the runs.
        seq_len: as given to the reader.

    Returns:
        What is said, but for what the runs themselves hold.

    Raises:
        DataError: it contradicts them, or a value is no line of text.
    """
    said = dict(about)
    for name, value in said.items():
        if not isinstance(value, str) or not value or len(value) > _LONGEST:
            raise DataError(
                f"Expected a short text for {name} in about, got {value!r}."
            )
        if any(not c.isprintable() for c in value):
            raise DataError(f"Expected a line of text for {name}, got {quote(value)}.")
    for name in _KINDS:
        value = said.pop(name, None)
        if value is not None and value != kinds.get(name):
            option = name.replace("_", "-")
            raise DataError(
                f"--about {name}={value} contradicts the runs, whose {name} is "
                f"{kinds.get(name)}. Leave it out, or give --{option} {value}."
            )
    if "seq_len" in said:
        length = parse_count(said["seq_len"], what="--about seq_len")
        if not length.is_integer():
            raise DataError(
                f"--about seq_len: expected a whole number, got {said['seq_len']}."
            )
        if seq_len is not None and length != seq_len:
            raise DataError(
                f"--about seq_len={said['seq_len']} contradicts --seq-len {seq_len}. "
                "Give one of them."
            )
        said["seq_len"] = str(int(length))
    return said


def known_about(sources: Iterable[Mapping[str, Any]]) -> dict[str, str]:
    """What is known of a released dump; nothing where files differ or are unknown."""
    found = [KNOWN.get(str(source.get("sha256")), {}) for source in sources]
    if found and all(each == found[0] for each in found):
        return dict(found[0])
    return {}


def sentence(about: Mapping[str, str | None]) -> str:
    """What an answer holds for, in one line."""
    parts = []
    if about.get("optimizer"):
        parts.append(str(about["optimizer"]))
    if about.get("schedule"):
        end = f" to {about['final_lr']}" if about.get("final_lr") else ""
        parts.append(f"{about['schedule']}{end}")
    counts = {
        "non_embedding": "params without embeddings",
        "total": "params with embeddings",
    }
    kind = counts.get(str(about.get("params_kind")))
    if kind:
        parts.append(kind)
    if about.get("lab"):
        first, *parts = parts or ["recipe"]
        parts = [f"{about['lab']}'s {first}", *parts]
    shown = {"lab", "optimizer", "schedule", "final_lr", "seq_len", *_KINDS}
    rest = ("warmup", "weight_decay")
    parts += [
        f"{name.replace('_', ' ')} {value}"
        for name, value in about.items()
        if value and name not in shown and name not in rest
    ]
    unsaid = [
        what
        for what, is_said in (
            ("optimizer", about.get("optimizer")),
            ("schedule", about.get("schedule")),
            ("what params count", kind),
        )
        if not is_said
    ]
    line = f"Holds for {', '.join(parts)}" if parts else "Holds for the recipe fitted"
    if not unsaid:
        return f"{line}."
    *first, last = unsaid
    missing = f"{', '.join(first)} and {last}" if first else last
    return f"{line} (not stated: {missing})."

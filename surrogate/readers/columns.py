"""What columns may be: roles, their usual names, and files whose columns are known."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass

from surrogate.runs import LossKind, ParamsKind

# A loss in another unit than nats per token, known by its name.
LOSS_UNITS_BY_NAME: dict[str, str] = {
    **dict.fromkeys(("bpb", "val_bpb", "bits_per_byte"), "bits_per_byte"),
    **dict.fromkeys(("bits_per_token", "val_bits_per_token"), "bits_per_token"),
    **dict.fromkeys(
        ("ppl", "perplexity", "val_ppl", "val_perplexity", "eval_ppl"), "perplexity"
    ),
}
# `batch` is in tokens and `sequences` the same setting in sequences.
ALIASES: dict[str, tuple[str, ...]] = {
    "lr": ("lr", "learning_rate", "peak_lr", "max_lr"),
    "batch": (
        "batch",
        "batch_tokens",
        "batch_size_tokens",
        "tokens_per_batch",
        "global_batch_tokens",
    ),
    "sequences": ("bs", "batch_size", "global_batch_size", "batch_sequences"),
    "params": (
        "params",
        "n",
        "n_params",
        "parameters",
        "num_params",
        "non_embedding_params",
    ),
    "tokens": (
        "tokens",
        "d",
        "n_tokens",
        "train_tokens",
        "tokens_seen",
        "total_tokens",
    ),
    "loss": (
        "loss",
        "final_loss",
        "smooth_loss",
        "val_loss",
        "valid_loss",
        "validation_loss",
        "train_loss",
        "eval_loss",
        *LOSS_UNITS_BY_NAME,
    ),
    "recipe": ("recipe",),
    "status": ("status", "state"),
    "diverged": ("diverged", "is_diverged", "has_diverged"),
    "name": ("name", "run", "run_name", "run_id", "exp_name"),
    "seq_len": ("seq_len", "sequence_length", "seqlen", "context_length"),
}
# Optimiser steps, where the file is none of LAYOUTS.
STEPS = (
    *("steps", "optimizer_steps", "num_steps", "train_steps", "total_steps"),
    *("max_steps", "max_iters", "iters", "num_iterations"),
)
# How many parts of a batch one optimiser step adds up.
ACCUMULATIONS = (
    *("gradient_accumulation_steps", "gradient_accumulation", "grad_accum_steps"),
    *("grad_accum", "accumulation_steps", "accumulation", "accum_steps", "accum"),
    *("acc_steps", "grad_acc", "grad_acc_steps"),
)
# The schedule's last lr.
LEAST_LRS = ("min_lr", "lr_min", "final_lr", "end_lr", "lr_end", "lr_final")
# `batch` stands for either unit wherever a user names a role.
REQUIRED = ("lr", "batch", "params", "tokens", "loss")
# These are one column as it stands; any other role may be a product of columns.
TEXTS = ("recipe", "status", "diverged", "name")
MAPPABLE = (*REQUIRED, "seq_len", *TEXTS)

LOSS_KINDS: dict[str, LossKind] = {
    "smooth_loss": "train_smoothed",
    "train_loss": "train",
    "val_loss": "validation",
    "valid_loss": "validation",
    "validation_loss": "validation",
    "eval_loss": "validation",
}


@dataclass(frozen=True)
class Layout:
    """A published file whose columns are known, recognised by their names.

    Attributes:
        title: what the file is.
        needs: columns that together tell it; extra columns do not matter.
        roles: the column of each role.
        loss_kinds: the kind of each column that may serve as the loss.
        params_kind: what the params column counts.
        steps: the column of optimiser steps, where the length of a sequence is to be
            computed as tokens / (steps x sequences).
    """

    title: str
    needs: frozenset[str]
    roles: Mapping[str, str]
    loss_kinds: Mapping[str, LossKind]
    params_kind: ParamsKind
    steps: str | None = None


_STEP_LAW = frozenset(
    ("numh", "numl", "lr", "bs", "ti", "loss", "smooth loss", "exp_name", "D", "N")
)
_STEP_LAW_ROLES = {
    "lr": "lr",
    "sequences": "bs",
    "params": "N",
    "tokens": "D",
    "loss": "smooth loss",
    "name": "exp_name",
}
_STEP_LAW_LOSSES: dict[str, LossKind] = {
    "smooth loss": "train_smoothed",
    "loss": "train",
}
# The first that fits is taken, so the more special one comes first.
LAYOUTS = (
    Layout(
        title="Step Law MoE sweep",
        needs=_STEP_LAW | {"seq_len", "moe_name", "Na"},
        roles={**_STEP_LAW_ROLES, "recipe": "moe_name", "seq_len": "seq_len"},
        loss_kinds=_STEP_LAW_LOSSES,
        params_kind="total",
    ),
    Layout(
        title="Step Law dense sweep",
        needs=_STEP_LAW | {"ffnh", "D/N"},
        roles=_STEP_LAW_ROLES,
        loss_kinds=_STEP_LAW_LOSSES,
        params_kind="non_embedding",
        steps="ti",
    ),
)


def fold(name: str) -> str:
    """A column's name with case and the choice of blank, - or _ taken out."""
    return re.sub(r"[\s_-]+", "_", name.strip().lower())

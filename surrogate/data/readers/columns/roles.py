"""What columns may be: roles, their usual names, and files whose columns are known.

docs/columns.md is made from here by scripts/columns_page.py.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import NamedTuple

from surrogate.data import LossKind, ParamsKind
from surrogate.data.readers.columns.headings import heading, variants
from surrogate.data.readers.columns.more_names import (
    LANGUAGES,
    TRACKERS,
    TRAINING,
    VALIDATION,
)


class Alias(NamedTuple):
    """Names of a column, what they stand for, and who writes them so.

    Attributes:
        role: what the column is; a unit of the batch is a role of its own.
        names: as `fold` leaves them, the best first.
        source: where they are written so.
    """

    role: str
    names: tuple[str, ...]
    source: str


# The one table of names; docs/columns.md is made from it. `batch` is in tokens and
# `sequences` the same setting in sequences, `device` what one device takes at once.
ALIASES_BY_SOURCE = (
    Alias("lr", ("lr", "learning_rate", "peak_lr", "max_lr"), "this tool, nanoGPT, HF"),
    Alias("lr", ("matrix_lr",), "nanochat, modded-nanogpt"),
    Alias(
        "lr",
        ("peak_learning_rate", "max_learning_rate", "lr_peak", "lr_max"),
        "spreadsheets",
    ),
    Alias(
        "batch",
        (
            *("batch", "batch_tokens", "batch_size_tokens", "tokens_per_batch"),
            *("global_batch_tokens", "tokens_per_step", "tokens_per_iter"),
        ),
        "this tool, nanoGPT",
    ),
    Alias(
        "batch",
        (
            *("batch_size_in_tokens", "global_batch_size_tokens", "bs_tokens"),
            *("batch_in_tokens", "batch_token", "tokens_batch", "global_batch_tok"),
        ),
        "spreadsheets",
    ),
    Alias(
        "sequences",
        (
            *("batch_size_sequences", "batch_size_in_sequences", "batch_seqs"),
            *("bs_sequences", "batch_size_seqs", "bsz", "effective_batch_size"),
        ),
        "spreadsheets, fairseq",
    ),
    Alias(
        "sequences",
        ("bs", "batch_size", "global_batch_size", "batch_sequences"),
        "Step Law, nanoGPT, Megatron-LM, torchtitan, litgpt",
    ),
    Alias("sequences", ("global_train_batch_size",), "OLMo, llm-foundry"),
    Alias("sequences", ("train_batch_size",), "HF Trainer, DeepSpeed, levanter"),
    Alias("sequences", ("gbs", "gbsz"), "Megatron-LM, OpenEuroLLM"),
    Alias(
        "device",
        (
            *("per_device_train_batch_size", "per_device_batch_size", "per_device"),
            *("device_batch_size", "device_train_microbatch_size"),
            *("micro_batch_size", "mbs", "train_micro_batch_size_per_gpu"),
        ),
        "HF Trainer, nanochat, Megatron-LM, DeepSpeed",
    ),
    Alias("devices", ("world_size", "num_gpus", "n_gpus", "num_devices"), "torch"),
    Alias(
        "params",
        ("params", "n", "n_params", "parameters", "num_params", "num_parameters"),
        "this tool, Step Law, HF",
    ),
    Alias("params", ("parameter_count", "model_params"), "levanter"),
    Alias("params", ("non_embedding_params", "total_params"), "this tool"),
    Alias("params", ("active_params",), "Marin's ladders"),
    Alias(
        "params",
        (
            *("model_size", "param_count", "n_params_total", "total_parameters"),
            *("number_of_parameters", "non_embedding_parameters", "nparams"),
            "parameter",
        ),
        "spreadsheets",
    ),
    Alias(
        "tokens",
        (
            *("tokens", "d", "n_tokens", "train_tokens", "tokens_seen"),
            *("total_tokens", "num_tokens", "max_tokens", "training_tokens"),
        ),
        "this tool, Step Law, litgpt",
    ),
    Alias("tokens", ("num_input_tokens_seen",), "HF Trainer"),
    Alias(
        "tokens",
        (
            *("tokens_trained", "trained_tokens", "num_train_tokens", "token_count"),
            *("n_train_tokens", "tokens_total", "number_of_tokens"),
        ),
        "spreadsheets",
    ),
    Alias("tokens", ("consumed_tokens", "data_size"), "nanotron, course projects"),
    Alias(
        "loss",
        (
            *("loss", "final_loss", "smooth_loss", "val_loss", "valid_loss"),
            *("validation_loss", "train_loss", "eval_loss", "final_val_loss"),
            *("final_train_loss", "test_loss", "val_loss_final", "final_eval_loss"),
        ),
        "this tool, nanoGPT (val/loss), HF (eval/loss)",
    ),
    Alias("loss", ("lm_loss", "train_lm_loss", "val_lm_loss"), "Megatron-LM, nanotron"),
    Alias("loss", ("train_crossentropyloss", "eval_crossentropyloss"), "OLMo"),
    Alias("loss", ("macro_loss",), "Marin"),
    Alias(
        "loss",
        (
            *("cross_entropy", "val_cross_entropy", "cross_entropy_loss", "ce_loss"),
            *("val_ce_loss", "val_ce", "nll", "val_nll", "test_nll", "eval_nll"),
            *("loss_val", "loss_train", "loss_eval", "loss_validation", "loss_test"),
        ),
        "levanter, spreadsheets",
    ),
    Alias("loss", ("bpb", "val_bpb", "bits_per_byte"), "nanochat, lm-eval"),
    Alias("loss", ("bits_per_token", "val_bits_per_token"), "this tool"),
    Alias(
        "loss",
        (
            *("val_bits_per_byte", "loss_bits_per_byte", "val_loss_bits_per_byte"),
            *("loss_bits_per_token", "val_loss_bits_per_token"),
        ),
        "spreadsheets: loss (bits/byte)",
    ),
    Alias(
        "loss",
        (
            *("ppl", "perplexity", "val_ppl", "val_perplexity", "eval_ppl"),
            *("valid_ppl", "test_ppl", "validation_ppl", "validation_perplexity"),
        ),
        "course projects, lm-eval",
    ),
    Alias("recipe", ("recipe",), "this tool"),
    Alias("status", ("status", "state"), "MLflow, W&B, Optuna"),
    Alias("diverged", ("diverged", "is_diverged", "has_diverged"), "this tool"),
    Alias(
        "name",
        ("name", "run", "run_name", "run_id", "exp_name", "tags_mlflow_runname"),
        "W&B, MLflow, Step Law",
    ),
    Alias(
        "seq_len",
        (
            *("seq_len", "sequence_length", "seqlen", "context_length", "block_size"),
            *("seq_length", "max_seq_len", "max_seq_length", "max_sequence_length"),
            *("max_length", "model_max_length", "context_size", "n_ctx", "ctx_len"),
            *("sequence_len", "ctx_length", "ctx", "context_len"),
        ),
        "torchtitan, nanoGPT, Megatron-LM, HF, OLMo",
    ),
    Alias(
        "steps",
        (
            *("steps", "optimizer_steps", "num_steps", "train_steps", "total_steps"),
            *("max_steps", "max_iters", "iters", "num_iterations", "iterations"),
            *("train_iters", "training_steps", "num_train_steps"),
        ),
        "HF, nanoGPT, nanochat, Megatron-LM",
    ),
    # Where a log stands; steps of the training only where no other column says them.
    Alias("last_step", ("iter", "iteration", "step", "global_step"), "nanoGPT, HF"),
    Alias(
        "accumulation",
        (
            *("gradient_accumulation_steps", "gradient_accumulation"),
            *("grad_accum_steps", "grad_accum", "accumulation_steps", "accumulation"),
            *("accum_steps", "accum", "acc_steps", "grad_acc", "grad_acc_steps"),
            "accumulate_grad_batches",
        ),
        "HF, nanoGPT, Lightning",
    ),
    Alias(
        "min_lr",
        ("min_lr", "lr_min", "final_lr", "end_lr", "lr_end", "lr_final"),
        "nanoGPT, Megatron-LM",
    ),
    Alias(
        "flops",
        ("flops", "train_flops", "total_flops", "total_flos", "compute", "c"),
        "HF, OpenEuroLLM, Chinchilla's notation",
    ),
    Alias("layers", ("n_layer", "n_layers", "num_layers", "num_hidden_layers"), "HF"),
    Alias("width", ("n_embd", "d_model", "hidden_size", "hidden_dim"), "nanoGPT, HF"),
    Alias("samples", ("samples", "train_samples", "num_samples"), "Megatron-LM"),
    Alias("ratio", ("tokens_per_param", "tokens_per_parameter", "d_n"), "Step Law"),
    *(Alias(*each) for each in (*TRACKERS, *LANGUAGES)),
)


def _names(role: str) -> tuple[str, ...]:
    return tuple(n for a in ALIASES_BY_SOURCE if a.role == role for n in a.names)


ALIASES: dict[str, tuple[str, ...]] = {
    alias.role: _names(alias.role) for alias in ALIASES_BY_SOURCE
}
_ROLES = {name: alias.role for alias in ALIASES_BY_SOURCE for name in alias.names}
# A loss in another unit than nats per token, known by a part of its name.
LOSS_UNITS_BY_WORD: tuple[tuple[re.Pattern[str], str], ...] = (
    (re.compile(r"(^|_)(bpb|bits_per_byte)($|_)"), "bits_per_byte"),
    (re.compile(r"(^|_)(bpt|bits_per_token)($|_)"), "bits_per_token"),
    (re.compile(r"(^|_)(ppl|perplexity)($|_)"), "perplexity"),
)
STEPS, LAST_STEPS = ALIASES["steps"], ALIASES["last_step"]
# How many parts of a batch one optimiser step adds up.
ACCUMULATIONS = ALIASES["accumulation"]
# The schedule's last lr.
LEAST_LRS = ALIASES["min_lr"]
# `batch` stands for either unit wherever a user names a role.
REQUIRED = ("lr", "batch", "params", "tokens", "loss")
# These are one column as it stands; any other role may be a product of columns.
TEXTS = ("recipe", "status", "diverged", "name")
MAPPABLE = (*REQUIRED, "seq_len", *TEXTS)
# What counts something: a comma in such a number cannot be a decimal one.
COUNTS = (
    *("batch", "sequences", "device", "devices", "params", "tokens", "seq_len"),
    *("steps", "last_step", "accumulation", "samples", "nodes", "per_node"),
)
# What trackers and configs put before a name.
PREFIXES = frozenset(
    (
        *("config", "summary", "params", "metrics", "user_attrs", "system_attrs"),
        *("hparams", "hyperparameters", "args", "training_args", "train_config"),
        *("training", "trainer", "model", "optimizer", "optim", "data", "dataset"),
        *("experiment", "experiment_config", "body", "result", "results", "output"),
        *("parameters", "hparam", "hyperparams", "run", "cfg", "exp", "settings"),
        *("last_metrics", "init_args", "learning_rate_scheduler", "parallelism"),
    )
)
# Groups of a config that settings stand in, as in `train.lr` or nanotron's
# `tokens.train_steps`; behind a slash `train/lr` is what was logged.
_GROUPS = frozenset(("train", "tokens", "pretrain", "optimization", "lr_scheduler"))
_GROUPED = frozenset(
    (
        *("lr", "batch", "sequences", "device", "devices", "params", "tokens"),
        *("seq_len", "steps", "accumulation", "min_lr", "samples"),
    )
)
# A name that can be read in one way only.
_BARE = re.compile(r"[a-z0-9_]+")
# How Optuna joins them.
_JOINED = re.compile(r"(?:params|user_attrs)_(?=.)")

# What of a loss's name tells which it is, the first that fits.
LOSS_KINDS_BY_WORD: tuple[tuple[re.Pattern[str], LossKind], ...] = (
    (re.compile("|".join(VALIDATION)), "validation"),
    (re.compile("|".join(TRAINING)), "train"),
    (re.compile(r"(^|_)smooth(ed)?($|_)"), "train_smoothed"),
    (re.compile(r"(^|_)(val|valid|validation|eval|test|heldout)($|_)"), "validation"),
    (re.compile(r"(^|_)(train|training)($|_)"), "train"),
)


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
    Layout(
        title="OpenEuroLLM sweep",
        needs=frozenset(
            ("job_name", "N", "N_approx", "D", "lr", "gbsz", "train_tokens", "loss_se")
        ),
        roles={
            "lr": "lr",
            "batch": "gbsz*4096",
            "params": "N",
            "tokens": "D",
            "loss": "loss",
            "name": "job_name",
        },
        loss_kinds={"loss": "validation"},
        params_kind="unknown",
    ),
    Layout(
        title="Marin optimizer sweep",
        needs=frozenset(("opt", "N", "D", "change", "var", "lr", "bs", "batch_tokens")),
        roles={
            "lr": "lr",
            "batch": "batch_tokens",
            "params": "N",
            "tokens": "D",
            "loss": "loss",
            "recipe": "opt",
            "name": "run",
        },
        loss_kinds={"loss": "validation"},
        params_kind="unknown",
    ),
    Layout(
        title="learning-rate schedule sweep (Schaipp)",
        needs=frozenset(("acc_steps", "wsd_fract_decay", "final_val", "iterations")),
        roles={
            "lr": "lr",
            "sequences": "batch_size",
            "params": "params",
            "tokens": "batch_size*sequence_length*iterations",
            "loss": "val_loss",
            "seq_len": "sequence_length",
            "recipe": "scheduler",
            "name": "name",
        },
        loss_kinds={
            "val_loss": "validation",
            "final_val": "validation",
            "train_loss": "train",
        },
        params_kind="total",
    ),
)


@lru_cache(maxsize=20_000)
def fold(name: str) -> str:
    """A column's name in small letters, words joined by _, without prefixes.

    "config.learning_rate", "params/learning_rate", "params_learning_rate",
    "LearningRate" and "Learning Rate" are all `learning_rate`; "val/loss" and
    "loss (val)" are `val_loss`.
    """
    first = _fold(name)
    if first in _ROLES or _BARE.fullmatch(name):
        return first
    batch = _in_a_unit(name)
    if batch is not None:
        return batch
    for text in variants(name):
        folded = _fold(text)
        if folded in _ROLES:
            return folded
    return first


def _in_a_unit(name: str) -> str | None:
    """The name of a batch whose bracket says whether it is in tokens or sequences."""
    unit = heading(name)
    if unit is None or unit.factor or unit.said not in ("tokens", "sequences"):
        return None
    is_batch = _ROLES.get(_fold(unit.base)) in ("sequences", "batch")
    return f"batch_size_{unit.said}" if is_batch or unit.base == "B" else None


def _fold(name: str) -> str:
    parts = [p for p in (_plain(p) for p in re.split(r"[./:]", name)) if p] or [""]
    while len(parts) > 1 and parts[0] in PREFIXES:
        parts.pop(0)
    folded = "_".join(parts)
    if folded in _ROLES:
        return folded
    if "/" not in name and len(parts) > 1 and parts[0] in _GROUPS:
        while len(parts) > 1 and parts[0] in (_GROUPS | PREFIXES):
            parts.pop(0)
        if _ROLES.get("_".join(parts)) in _GROUPED:
            return "_".join(parts)
    bare = _JOINED.sub("", folded, count=1) if _JOINED.match(folded) else folded
    return bare if bare in _ROLES else folded


def loss_kind_of(name: str) -> LossKind:
    """Which loss a column of this name holds."""
    folded = fold(name)
    for part, kind in LOSS_KINDS_BY_WORD:
        if part.search(folded):
            return kind
    return "unknown"


def loss_unit_of(name: str) -> str:
    """The unit of a loss by its column's name: nats, where it says nothing."""
    folded = fold(name)
    found = (unit for part, unit in LOSS_UNITS_BY_WORD if part.search(folded))
    return next(found, "nats")


def role_of(name: str) -> str | None:
    """What a column is by its name, or None."""
    return _ROLES.get(fold(name))


def _plain(part: str) -> str:
    return re.sub(r"[\s_-]+", "_", part.strip().lower().replace("ß", "ss"))

"""The size of a question: typed, a public model's, or total parameters less embeddings.

What was typed is checked at once; what depends on a fit's own count waits for the fit.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Any

import typer

from surrogate.base.defaults import ACTIVE
from surrogate.base.errors import DataError
from surrogate.base.late import Late
from surrogate.cli import options, typing_numbers
from surrogate.cli.groups import Group

if TYPE_CHECKING:
    from surrogate.laws import public_models
else:
    # Help is there without waiting for what only a question needs.
    public_models = Late("surrogate.laws.public_models")

ModelName = Annotated[
    str | None,
    typer.Option(
        "--model", metavar="NAME", help="Sizes of a public model: `surrogate models`."
    ),
]
TotalParams = Annotated[
    str | None,
    typer.Option(
        metavar="N", help="Parameters with embeddings; needs --vocab and --width."
    ),
]
Vocab = Annotated[
    str | None, typer.Option(metavar="V", help="Vocabulary, beside --total-params.")
]
Width = Annotated[
    str | None, typer.Option(metavar="W", help="Model width, beside --total-params.")
]
Tied = Annotated[
    bool, typer.Option("--tied", help="Input and output share the embedding.")
]


_OPTIONS = Group(
    {
        "params": (options.OptionalParams, None),
        "tokens": (options.OptionalTokens, None),
        "steps": (options.Steps, None),
        "flops": (options.Flops, None),
        "model": (ModelName, None),
        "total_params": (TotalParams, None),
        "vocab": (Vocab, None),
        "width": (Width, None),
        "tied": (Tied, False),
    }
)
_EMBEDDED = ("total_params", "vocab", "width", "tied")
# With steps and FLOPs in the place of tokens; without; by params and tokens alone.
TypedOrBudget = Annotated[dict[str, Any], _OPTIONS]
Typed = Annotated[
    dict[str, Any], _OPTIONS.only("params", "tokens", "flops", "model", *_EMBEDDED)
]
TypedPlainly = Annotated[
    dict[str, Any], _OPTIONS.only("params", "tokens", "flops", "model")
]
# Training FLOPs a parameter and token.
_FLOPS = 6.0


@dataclass(frozen=True)
class Sizes:
    """What was typed of a size, read.

    Attributes:
        params: parameters as the fit counts them; None where they are computed.
        tokens: as typed; None where the model's serve.
        named: a public model, if any.
        total: parameters with embeddings, vocabulary and width, if given.
        tied: the output shares the embedding.
        flops: a budget, 6 x params x tokens, in the place of one of them.
    """

    params: float | None
    tokens: str | None
    named: public_models.Model | None
    total: tuple[float, float, float] | None
    tied: bool
    flops: float | None = None

    @property
    def is_computed(self) -> bool:
        """Whether the parameters come of what a fit counts."""
        return self.params is None and (self.named or self.total) is not None

    @property
    def computed(self) -> str | None:
        """What comes of the budget: `params` or `tokens`; None where neither does."""
        if self.flops is None:
            return None
        if self.params is not None or self.is_computed:
            return None if self.tokens is not None else "tokens"
        return None if self.tokens is None else "params"

    def params_of(self, kind: str) -> float | None:
        """Parameters in a fit's own count."""
        if self.params is not None:
            return self.params
        if self.total is not None:
            if kind != "non_embedding":
                return self.total[0]
            return public_models.without_embeddings(*self.total, tied=self.tied)
        if self.computed == "params":
            assert self.tokens is not None
            assert self.flops is not None
            return typing_numbers.params_of_budget(self.flops / _FLOPS, self.tokens)
        return self.named.params(kind) if self.named else None

    def tokens_of(self, params: float | None) -> float | None:
        """Tokens, where they are given."""
        if self.computed == "tokens":
            assert self.flops is not None
            return None if params is None else self.flops / (_FLOPS * params)
        if self.tokens is not None:
            return typing_numbers.tokens(self.tokens, params)
        return self.named.tokens if self.named else None


def read(typed: Mapping[str, Any]) -> Sizes:
    """Read and check what was typed (`Typed`); what is missing was not.

    Raises:
        DataError: a number or name cannot be read, or two of them say one thing.
    """
    params, tokens, named = typed["params"], typed["tokens"], typed["model"]
    total, vocab, width = map(typed.get, ("total_params", "vocab", "width"))
    tied = bool(typed.get("tied"))
    if params is not None and total is not None:
        raise DataError(
            "--params and --total-params are both given. Give --params as the fit "
            "counts them, or --total-params with --vocab and --width."
        )
    whole = None
    if total is not None:
        if vocab is None or width is None:
            raise DataError(
                "--total-params: expected --vocab and --width with it, such as "
                "--total-params 7B --vocab 128K --width 4096."
            )
        whole = (
            typing_numbers.count(total, what="--total-params"),
            typing_numbers.count(vocab, what="--vocab"),
            typing_numbers.count(width, what="--width"),
        )
        public_models.without_embeddings(*whole, tied=tied)
    elif vocab is not None or width is not None or tied:
        raise DataError(
            "--vocab, --width and --tied: expected with --total-params, got them alone."
        )
    found = Sizes(
        params=None
        if params is None
        else typing_numbers.count(params, what="--params"),
        tokens=tokens,
        named=None if named is None else public_models.model(named),
        total=whole,
        tied=tied,
        flops=None
        if typed.get("flops") is None
        else typing_numbers.flops(typed["flops"]),
    )
    if found.flops is not None and found.computed is None and tokens is not None:
        raise DataError(
            "--params, --tokens and --flops: expected two of them, since FLOPs are 6 x "
            "params x tokens, got all three. Leave one out."
        )
    # Read once now, so that what is typed wrong is told before a fit is loaded.
    if tokens is not None:
        known = found.params or (1e9 if found.is_computed else found.params_of(""))
        found.tokens_of(known)
    return found


def known(found: Sizes, kind: str, scales: Iterable[str] = ()) -> dict[str, float]:
    """Both sizes in a fit's own count.

    Args:
        found: what was typed.
        kind: what the fit counts as params.
        scales: its further scale variables.

    Raises:
        DataError: one is missing.
    """
    params = found.params_of(kind)
    tokens = found.tokens_of(params)
    check_both(found)
    check_budget(found, scales)
    assert params is not None
    assert tokens is not None
    return {"params": params, "tokens": tokens}


def check_budget(found: Sizes, scales: Iterable[str]) -> None:
    """Refuse a budget where FLOPs go by another number than params.

    Args:
        found: what was typed.
        scales: further scale variables of the fit.

    Raises:
        DataError: the fit knows active parameters.
    """
    active = [name for name in scales if name in ACTIVE]
    if found.computed is not None and active:
        raise DataError(
            f"--flops: the FLOPs of these runs go by {active[0]}, not by params. Give "
            "--params and --tokens."
        )


def check_both(found: Sizes) -> None:
    """Refuse a question that lacks a size.

    Raises:
        DataError: naming the option.
    """
    missing = []
    if found.params is None and not found.is_computed:
        missing.append("--params")
    if found.computed is not None:
        return
    if found.tokens is None and found.named is None:
        missing.append("--tokens")
    if found.flops is not None and len(missing) == 2:
        raise DataError(
            "--flops alone leaves both sizes open here. Add --params or --tokens, or "
            "ask `surrogate optimum`, which finds the best sizes for a budget."
        )
    if missing:
        raise DataError(
            f"Missing option '{missing[0]}'. Give --params and --tokens, such as "
            "--params 7B --tokens 2T, one of them with --flops, or --model NAME."
        )

"""The size of a question: typed, a public model's, or total parameters less embeddings.

What was typed is checked at once; what depends on a fit's own count waits for the fit.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Any

import typer

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
    dict[str, Any], _OPTIONS.only("params", "tokens", "model", *_EMBEDDED)
]
TypedPlainly = Annotated[dict[str, Any], _OPTIONS.only("params", "tokens", "model")]


@dataclass(frozen=True)
class Sizes:
    """What was typed of a size, read.

    Attributes:
        params: parameters as the fit counts them; None where they are computed.
        tokens: as typed; None where the model's serve.
        named: a public model, if any.
        total: parameters with embeddings, vocabulary and width, if given.
        tied: the output shares the embedding.
    """

    params: float | None
    tokens: str | None
    named: public_models.Model | None
    total: tuple[float, float, float] | None
    tied: bool

    @property
    def is_computed(self) -> bool:
        """Whether the parameters come of what a fit counts."""
        return self.params is None and (self.named or self.total) is not None

    def params_of(self, kind: str) -> float | None:
        """Parameters in a fit's own count."""
        if self.params is not None:
            return self.params
        if self.total is not None:
            if kind != "non_embedding":
                return self.total[0]
            return public_models.without_embeddings(*self.total, tied=self.tied)
        return self.named.params(kind) if self.named else None

    def tokens_of(self, params: float | None) -> float | None:
        """Tokens, where they are given."""
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
    )
    # Read once now, so that what is typed wrong is told before a fit is loaded.
    if tokens is not None:
        found.tokens_of(found.params or (1e9 if found.is_computed else None))
    return found


def known(found: Sizes, kind: str) -> dict[str, float]:
    """Both sizes in a fit's own count.

    Raises:
        DataError: one is missing.
    """
    params = found.params_of(kind)
    tokens = found.tokens_of(params)
    check_both(found)
    assert params is not None
    assert tokens is not None
    return {"params": params, "tokens": tokens}


def check_both(found: Sizes) -> None:
    """Refuse a question that lacks a size.

    Raises:
        DataError: naming the option.
    """
    missing = []
    if found.params is None and not found.is_computed:
        missing.append("--params")
    if found.tokens is None and found.named is None:
        missing.append("--tokens")
    if missing:
        raise DataError(
            f"Missing option '{missing[0]}'. Give --params and --tokens, such as "
            "--params 7B --tokens 2T, or --model NAME."
        )

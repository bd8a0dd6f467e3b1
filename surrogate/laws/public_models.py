"""Public models: sizes, tokens, and the lr and batch that their makers chose.

Numbers are from the sources named; what none of them says is None, never a guess.
"""

from __future__ import annotations

import difflib
from dataclasses import dataclass

from surrogate.base.errors import DataError
from surrogate.base.units import quote


@dataclass(frozen=True)
class Model:
    """A model as its makers describe it.

    Attributes:
        name: as it is typed.
        total: parameters with embeddings.
        tokens: of pretraining.
        lr: peak learning rate.
        batch: tokens per optimiser step, after any ramp.
        non_embedding: parameters without embeddings, where the source counts them.
        vocab: rows of the embedding.
        width: of the model.
        tied: whether input and output share the embedding.
        source: where each number is found.
    """

    name: str
    total: float
    tokens: float
    lr: float | None
    batch: float | None
    source: str
    non_embedding: float | None = None
    vocab: int | None = None
    width: int | None = None
    tied: bool = False

    def params(self, kind: str) -> float:
        """In a fit's own count; with embeddings where they cannot be counted."""
        if kind != "non_embedding":
            return self.total
        if self.non_embedding is not None:
            return self.non_embedding
        if self.vocab is None or self.width is None:
            return self.total
        return without_embeddings(self.total, self.vocab, self.width, tied=self.tied)


def without_embeddings(
    total: float, vocab: float | int, width: float | int, *, tied: bool = False
) -> float:
    """Parameters less the embedding, and less the output's own where it is not tied.

    Args:
        total: parameters with embeddings.
        vocab: size of the vocabulary.
        width: of the model.
        tied: whether the output shares the embedding.

    Raises:
        DataError: the embeddings are larger than the model.
    """
    found = total - (1 if tied else 2) * vocab * width
    if found <= 0:
        raise DataError(
            f"Expected more parameters than embeddings, got {total:g} parameters, a "
            f"vocabulary of {vocab:g} and a width of {width:g}. Correct one of them."
        )
    return found


_LLAMA = (
    "Touvron et al. 2023, arXiv:2302.13971, table 2, as in "
    "github.com/wgwang/awesome-LLMs-In-China, Open-LLMs/llama.md"
)
_LLAMA2 = (
    "Touvron et al. 2023, arXiv:2307.09288, table 1, as in "
    "proyectodescartes.org/iCartesiLibri/materiales_didacticos/IA2024/docs/llama2/6.html"
)
_LLAMA3 = (
    "Llama Team 2024, arXiv:2407.21783, as in aarnphm.xyz/thoughts/Llama-3 (width, "
    "lr), github.com/chunhuizhang/personal_chatgpt (tokens, vocabulary)"
)
_PYTHIA = (
    "model card of pythia-12b-deduped, as in github.com/Wenxin-Jiang/CS577-NLP, "
    "project/model_cards/_train"
)
_DEEPSEEK = (
    "github.com/deepseek-ai/DeepSeek-LLM, README.md, Pre-Training; vocabulary: "
    "arXiv:2401.02954"
)
_PYTHIA_TOKENS, _PYTHIA_BATCH = 299_892_736_000.0, 2_097_152.0


def _pythia(name: str, total: float, non_embedding: float, lr: float) -> Model:
    return Model(
        *(f"pythia-{name}", total, _PYTHIA_TOKENS, lr, _PYTHIA_BATCH, _PYTHIA),
        non_embedding=non_embedding,
    )


MODELS = (
    _pythia("70m", 70_426_624.0, 18_915_328.0, 1e-3),
    _pythia("160m", 162_322_944.0, 85_056_000.0, 6e-4),
    _pythia("410m", 405_334_016.0, 302_311_424.0, 3e-4),
    _pythia("1b", 1_011_781_632.0, 805_736_448.0, 3e-4),
    _pythia("1.4b", 1_414_647_808.0, 1_208_602_624.0, 2e-4),
    _pythia("2.8b", 2_775_208_960.0, 2_517_652_480.0, 1.6e-4),
    _pythia("6.9b", 6_857_302_016.0, 6_444_163_072.0, 1.2e-4),
    _pythia("12b", 11_846_072_320.0, 11_327_027_200.0, 1.2e-4),
    Model("llama-7b", 6.7e9, 1e12, 3e-4, 4e6, _LLAMA, None, 32_000, 4096),
    Model("llama-13b", 13e9, 1e12, 3e-4, 4e6, _LLAMA, None, 32_000, 5120),
    Model("llama-33b", 32.5e9, 1.4e12, 1.5e-4, 4e6, _LLAMA, None, 32_000, 6656),
    Model("llama-65b", 65.2e9, 1.4e12, 1.5e-4, 4e6, _LLAMA, None, 32_000, 8192),
    Model("llama-2-7b", 7e9, 2e12, 3e-4, 4e6, _LLAMA2, None, 32_000),
    Model("llama-2-13b", 13e9, 2e12, 3e-4, 4e6, _LLAMA2, None, 32_000),
    Model("llama-2-34b", 34e9, 2e12, 1.5e-4, 4e6, _LLAMA2, None, 32_000),
    Model("llama-2-70b", 70e9, 2e12, 1.5e-4, 4e6, _LLAMA2, None, 32_000),
    Model("llama-3-8b", 8e9, 15e12, 3e-4, None, _LLAMA3, None, 128_256, 4096),
    Model("llama-3-70b", 70e9, 15e12, None, None, _LLAMA3, None, 128_256, 8192),
    Model(
        *("falcon-7b", 7e9, 1.5e12, 6e-4, 2304 * 2048.0),
        "model card of falcon-7b, as in github.com/tenstorrent/tt-buda, "
        "pybuda/test/falcon/models/falcon7b/README.md",
    ),
    Model("deepseek-7b", 7e9, 2e12, 4.2e-4, 2304 * 4096.0, _DEEPSEEK, None, 102_400),
    Model("deepseek-67b", 67e9, 2e12, 3.2e-4, 4608 * 4096.0, _DEEPSEEK, None, 102_400),
    Model(
        *("olmo-2-7b", 7e9, 4e12, 3e-4, 1024 * 4096.0),
        "github.com/allenai/OLMo, configs/official-1124/OLMo2-7B-stage1.yaml; tokens: "
        "model card of OLMo-2-1124-13B",
        *(None, 100_352, 4096),
    ),
    Model(
        *("tinyllama-1.1b", 1.1e9, 3e12, 4e-4, 1024 * 2048.0),
        "github.com/jzhang38/TinyLlama, README.md; vocabulary: that of Llama 2",
        *(None, 32_000, 2048),
    ),
    Model(
        *("smollm3-3b", 3e9, 11.2e12, 2e-4, 2_359_296.0),
        "SmolLM3-3B-checkpoints (batch), smollm3-configs (tokens) of HuggingFaceTB; "
        "lr: microscale.academy/act/how-they-learn/lesson/three-stages",
    ),
    Model(
        *("stablelm-3b", 2_795_443_200.0, 4e12, None, None),
        "model card of stablelm-3b-4e1t, as in github.com/YinanWusoymilk/hf-readme",
        *(None, 50_257, 2560),
    ),
)


def model(name: str) -> Model:
    """A model by its name.

    Raises:
        DataError: it is not in the table; the nearest names are said.
    """
    known = {each.name: each for each in MODELS}
    wanted = name.strip().lower().replace("_", "-").replace(" ", "-")
    if wanted in known:
        return known[wanted]
    near = difflib.get_close_matches(wanted, known, n=3)
    if near:
        raise DataError(
            f"--model: expected a model of `surrogate models`, got {quote(name)}. Did "
            f"you mean {' or '.join(near)}? Otherwise give --params and --tokens."
        )
    raise DataError(
        f"--model: expected one of {', '.join(known)}, got {quote(name)}. "
        "Otherwise give --params and --tokens."
    )

"""The published laws, each looked up before it was entered; `checked` says how."""

from __future__ import annotations

import difflib
import math
from fractions import Fraction

from surrogate.base.arguments import checked
from surrogate.base.errors import DataError
from surrogate.base.units import quote
from surrogate.laws.law import Law, LogLine, Power, PowerLaw, Source

# Of a rule that counts 160 sequences of 2,048 tokens.
_OLMO_BATCH = PowerLaw(160.0 * 2048, (Power("N", Fraction(2, 3), 1.08e8),))
_OLMO = Source(
    "OLMo-core, the baseline of its model ladder",
    "https://github.com/allenai/OLMo-core/blob/"
    "14b6609ee5d48445d94447fc0b32a5bb3e1f5a75/src/scripts/train/OLMo2-ladder.py",
    "`get_optim_config`; the batch in src/olmo_core/model_ladder.py, "
    "`get_global_batch_size`",
)
_OLMO_CHECKED = "Read in the source, at that commit."
_OLMO_NOTES = (
    "The code says that it takes the rule from Porian et al. (CorpusID 270764838): at "
    "N = 1.08e8 their fit gives 0.0047 and 164 sequences of 2,048.",
    "The code rounds the batch to a multiple of its data-parallel ranks.",
)
_SIZES = (1.9e8, 1.3e10)

STEP_LAW = Law(
    name="step-law",
    title="Step Law",
    lr=PowerLaw(1.79, (Power("N", -0.713), Power("D", 0.307))),
    batch=PowerLaw(0.58, (Power("D", 0.571),)),
    params="non_embedding",
    experts="both",
    setting="AdamW, cosine to a fixed 1e-5",
    ranges={"N": (5.9e7, 1.08e9), "D": (3.9e9, 1.01e11)},
    fitted_on=("Step Law dense sweep",),
    source=(
        Source(
            'Li et al. 2025, "Predictable Scale: Part I"',
            "https://arxiv.org/abs/2503.04715",
            "abstract and Table 1",
        ),
        Source(
            "the authors' fitting code",
            "https://github.com/step-law/steplaw/blob/main/code/fit_tool.py",
            "`query_optimal_lr_bs_data`, `fit_models`",
        ),
    ),
    checked="Quoted alike in several public texts; of the source we read the code.",
    notes=(
        "The released dense file does not give these constants back: 77.7 N^-0.766 "
        "D^0.197 and 0.209 D^0.613 (docs/steplaw.md).",
        "For mixtures of experts its authors take N as the total.",
        "Ranges: N as quoted, D as in the released file.",
        "It is fitted with a floor of the schedule at 1e-5; under a floor at a share "
        "of the peak the best learning rate is another.",
    ),
)

LAWS = (
    STEP_LAW,
    Law(
        name="kaplan",
        title="Kaplan et al. (OpenAI)",
        lr=LogLine(0.003239, -0.0001395, "N"),
        batch=PowerLaw(2e8, (Power("L", Fraction(-100, 21)),)),
        params="non_embedding",
        setting="Adam, 3,000 steps of warmup, cosine to zero, batch of 2^19 tokens",
        ranges={"N": (768.0, 1.5e9)},
        limits={"N": math.exp(0.003239 / 0.0001395)},
        is_batch_critical=True,
        source=(
            Source(
                'Kaplan et al. 2020, "Scaling Laws for Neural Language Models"',
                "https://arxiv.org/abs/2001.08361",
                "Eq. D.1 (learning rate), Eq. 1.4 (critical batch)",
            ),
        ),
        checked="Eq. D.1 and the setting seen quoted in many texts, 2e8 in one; not "
        "seen in the paper.",
        misprints=("2e18 for 2e8: Step Law's Table 1, and texts that copy it.",),
        notes=(
            "The learning rate is 0 at N = 1.2e10: refused from there on.",
            "The batch is the critical one, at which time and compute are traded, and "
            "not that of the lowest loss; L is of their own data and tokenizer.",
        ),
    ),
    Law(
        name="deepseek",
        title="DeepSeek LLM",
        lr=PowerLaw(0.3118, (Power("C", -0.125),)),
        batch=PowerLaw(0.2920, (Power("C", 0.3271),)),
        params="non_embedding",
        compute="shape",
        counts="active",
        setting="AdamW, multi-step schedule (80 %, 10 %, 10 %)",
        ranges={"C": (1e17, 1e20)},
        source=(
            Source(
                'DeepSeek-AI 2024, "DeepSeek LLM"',
                "https://arxiv.org/abs/2401.02954",
                "Eq. 1; M in Eq. 2",
            ),
        ),
        checked="Quoted alike in ten public texts, one a translation of the paper.",
        misprints=(
            "0.3188 for 0.3118: Step Law's Table 1 and lectures that show it.",
            "0.3318 for 0.3118: a widely read guide to hyper-parameter transfer.",
        ),
        notes=(
            "C = M D, where M counts the FLOPs a token of all but the embedding, with "
            "attention: 72 layers width^2 + 12 layers width seq_len.",
            "Fitted between 1e17 and 2e19 FLOPs, validated at 1e20.",
        ),
    ),
    Law(
        name="porian",
        title="Porian et al.",
        lr=PowerLaw(3.7, (Power("N", -0.36),)),
        batch=PowerLaw(0.7576, (Power("N", 0.703),)),
        params="without embeddings but with one vocabulary matrix",
        setting="AdamW with tuned beta2, constant after warmup",
        source=(
            Source(
                'Porian et al. 2024, "Resolving Discrepancies in Compute-Optimal '
                'Scaling of Language Models"',
                "https://arxiv.org/abs/2406.19146",
                "section on tuned hyper-parameters",
            ),
            Source(
                "the authors' code",
                "https://github.com/formll/resolving-scaling-law-discrepancies",
                "README",
            ),
        ),
        checked="Quoted in a lecture's table, and with 0.00037 N^0.703 sequences (of "
        "2,048) in a draft; not seen in the paper.",
        notes=("It has no term in D, so that it says nothing of longer training.",),
    ),
    Law(
        name="olmo-ladder",
        title="OLMo ladder, sequences of 2,048",
        lr=PowerLaw(0.0047, (Power("N", Fraction(-1, 3), 1.08e8),)),
        batch=_OLMO_BATCH,
        params="non_embedding",
        setting="AdamW (0.9, 0.95), cosine; 0.5 to 10 times 20 tokens a parameter",
        ranges={"N": _SIZES},
        source=(_OLMO,),
        checked=_OLMO_CHECKED,
        notes=_OLMO_NOTES,
    ),
    Law(
        name="olmo-ladder-4096",
        title="OLMo ladder, sequences of 4,096",
        lr=PowerLaw(0.0047 / 4, (Power("N", Fraction(-1, 3), 1.08e8),)),
        batch=_OLMO_BATCH,
        params="non_embedding",
        setting="AdamW (0.9, 0.95), cosine; 0.5 to 10 times 20 tokens a parameter",
        ranges={"N": _SIZES},
        source=(_OLMO,),
        checked=_OLMO_CHECKED,
        notes=(
            "The condition of the quarter: `if self.sequence_length == 4096: lr /= 4`; "
            "the released runs have sequences of 4,096.",
            *_OLMO_NOTES,
        ),
    ),
    Law(
        name="bjorck",
        title="Bjorck et al. (Microsoft), inferred constant",
        lr=PowerLaw(138.0, (Power("N", -0.23), Power("D", -0.32))),
        batch=None,
        params="non_embedding",
        setting="AdamW, cosine, batch of about 0.5M tokens throughout",
        source=(
            Source(
                'Bjorck et al. 2024, "Scaling Optimal LR Across Token Horizons"',
                "https://arxiv.org/abs/2409.19913",
                "joint law of N and D; the constant from its figure",
            ),
        ),
        checked="The form and the exponents seen quoted; 138 is 1.55e-3 at N = D = "
        "1e9, which we saw in one draft. The constant is inferred, not published so.",
        misprints=(
            "1.3192e-5: the constant in circulation (Step Law's Table 1) gives "
            "3e-11 at N = 1e9, D = 1e11; code that reads it as 1.3192 e^-5, 2e-8.",
        ),
        notes=("It says nothing of the batch.",),
    ),
    Law(
        name="moonlight",
        title="Moonlight (Moonshot AI)",
        lr=PowerLaw(0.0127, (Power("C", -0.057),)),
        batch=PowerLaw(0.0065, (Power("C", 0.4138),)),
        params="non_embedding",
        compute="6N",
        counts="active",
        setting="AdamW, the baseline that Muon is compared with, cosine",
        source=(
            Source(
                'Liu et al. 2025, "Muon is Scalable for LLM Training"',
                "https://arxiv.org/abs/2502.16982",
                "scaling-law experiments, table of dense models",
            ),
        ),
        checked="Quoted in one public guide (with C = 6 N D), not seen in the paper.",
    ),
    Law(
        name="ling",
        title="Ling (Ant Group), mixtures of experts",
        lr=PowerLaw(1.1576, (Power("C", -0.1529),)),
        batch=PowerLaw(0.0694, (Power("C", 0.3644),)),
        params="non_embedding",
        compute="active",
        experts="moe",
        counts="active",
        setting="WSD; 4 of 64 experts and a shared one, activation of 7.8 %",
        ranges={"C": (3e17, 3e20)},
        source=(
            Source(
                'Ling Team 2025, "Towards Greater Leverage"',
                "https://arxiv.org/abs/2507.17702",
                "Eq. 3; C in Eq. 2 and Appendix C",
            ),
        ),
        checked="Read in a copy of the paper's section 2.2.",
        notes=(
            "C = M D of what is active. The text calls M the FLOPs of a forward pass, "
            "and says that it follows DeepSeek, whose M counts forward and backward: "
            "we take both (6 a parameter). Were it forward only, lr would be 18 % "
            "higher and the batch 33 % lower.",
            "Its exact M counts experts one by one; ours is 6 active parameters and "
            "12 layers width seq_len.",
            "Shown to hold for activation of 4.7 % to 10.9 %.",
        ),
    ),
    Law(
        name="minicpm",
        title="MiniCPM",
        lr=None,
        batch=PowerLaw(1.21e9, (Power("L", -6.24),)),
        params="non_embedding",
        setting="Adam under muP, cosine, lr 0.01, models of 9M to 170M",
        source=(
            Source(
                'Hu et al. 2024, "MiniCPM"',
                "https://arxiv.org/abs/2404.06395",
                "section 3.2, Figure 2",
            ),
        ),
        checked="Read in a copy of the paper's section 3.2.",
        misprints=("2e18 for 1.21e9: Step Law's Table 1, and texts that copy it.",),
        notes=(
            "L is the loss on C4 in their tokens. Its learning rate, 0.01 under muP, "
            "means another thing elsewhere, so that none is given.",
            "The batch is that of fewest tokens to a loss.",
        ),
    ),
    Law(
        name="power-scheduler",
        title="Power Scheduler (IBM)",
        lr=PowerLaw(4.0, (Power("S", 1.0), Power("D", -0.51)), cap=0.02),
        batch=None,
        params="any (under muP)",
        setting="AdamW under muP, warmup, stable, decay; batch in sequences",
        source=(
            Source(
                'Shen et al. 2024, "Power Scheduler"',
                "https://arxiv.org/abs/2408.13359",
                "lr = min(max, batch a T^b)",
            ),
        ),
        checked="The form seen in the abstract's copies; a = 4, b = -0.51 and the cap "
        "0.02 in one public implementation; not seen in the paper.",
        notes=(
            "The constants are for learning rates under muP: without it they are too "
            "high by the ratio of widths.",
            "It grows with the batch without end: it says nothing of the best one.",
        ),
    ),
    Law(
        name="power-lines",
        title="Power Lines (Cerebras)",
        lr=None,
        batch=PowerLaw(math.nan, (Power("D", 0.383),)),
        params="non_embedding",
        setting="AdamW under muP, linear decay to zero",
        source=(
            Source(
                'Bergsma et al. 2025, "Power Lines"',
                "https://arxiv.org/abs/2505.13738",
                "Figure 1, middle",
            ),
        ),
        checked="The exponent seen in ten public texts (nanochat's code among them).",
        notes=("Critical batch: D^0.462.",),
        unusable="its constant was not found by us, only B ~ D^0.383",
    ),
    Law(
        name="internlm",
        title="InternLM 2026",
        lr=PowerLaw(38.4588, (Power("N", -0.2219), Power("D", -0.3509))),
        batch=None,
        params="unknown",
        setting="WSD",
        source=(
            Source(
                '"How to Set the Learning Rate for Large-Scale Pre-training?"',
                "https://openreview.net/pdf?id=SrJEEWSg1c",
                "law of N and D",
            ),
        ),
        checked="The formula seen in one public text.",
        unusable="the units of its N and D are not clear to us",
    ),
)


@checked()
def find(name: str) -> Law:
    """The law of that name.

    Raises:
        DataError: there is none; names the nearest.
    """
    for law in LAWS:
        if law.name == name:
            return law
    names = [law.name for law in LAWS]
    near = difflib.get_close_matches(name, names, n=1)
    hint = f" Did you mean {near[0]}?" if near else ""
    raise DataError(
        f"law: expected one of {', '.join(names)}, or list, got {quote(name)}.{hint}"
    )

"""What is asked of each table in ../shared/cases, and what its owner calls good.

Data for `tables.py`. A step is a command as a user types it, FILE and FIT standing for
the table and the fit. An expectation has the words that stand in docs/tables.md where
it is not met.
"""

from __future__ import annotations

from table_expect import Case, between, either, exits, says, silent, unknown
from table_shapes import SHAPES

_AT_11 = "--params 57M --tokens 1638400000"
_AT_15 = "--params 124M --tokens 2.6B"
_AT_05 = "--params 100663296 --tokens 16556846"
_KEEP = "--finished keep,discard --failed crash"
_READ = {"fit exits 0": exits("fit", 0)}
_NONE_DIVERGED = {"a run is called diverged": between("check", "diverged", 0, 0)}

_COLUMNS = (
    Case(
        "02-one-batch-many-sizes.csv",
        "--map params=model_params --map tokens=data_size",
        "Sequence length 512 inferred; the answer at the only batch, said so, exit 0; "
        "24M: measured best 1e-2 of {1e-3, 3e-3, 1e-2}.",
        {"optimum": "optimum FIT --params 24084480 --tokens 33554432"},
        _READ
        | {
            "length 512 not said": says("fit", r"\b512\b"),
            "optimum exits 0": exits("optimum", 0),
            "lr not near 1e-2": between("optimum", "lr", 5e-3, 2e-2),
            "only batch not said": says("optimum", r"batch of 16,384|only batch"),
        },
    ),
    Case(
        "03-steps-contradict-seq-len.csv",
        "--seq-len 2048",
        "Refused, naming the column of steps and the length it implies (512); killed "
        "runs never count; lr and batch never vary apart.",
        {"fit": "fit FILE FLAGS --out FIT", "check": "check FILE"},
        {
            "not refused": exits("fit", 2),
            "column of steps not named": says("fit", "optimizer_steps"),
            "length 512 not named": says("fit", r"\b512\b"),
            "lr tied to batch not said": says(
                "check", "vary apart|vary together|tied to|never var|moves? with"
            ),
        },
    ),
    Case(
        "04-best-at-top-lr.csv",
        "--map batch=32768",
        "The largest lr is best in every cell: the optimum lies above the second "
        "largest; an interval open above; no robust plateau that touches the box.",
        {
            "optimum": "optimum FIT --params 1327104 --tokens 3767602",
            "plateau": "plateau FIT --params 1327104 --tokens 3767602",
        },
        _READ
        | {
            "largest lr not said to be best": says(
                "optimum", "largest lr is (the )?best|(lies|is) above|at or above"
            ),
            "optimum not open above": unknown("optimum", "interval.lr.1"),
            "one-sided exits 0": exits("optimum", 0),
            "a robust plateau": either(
                unknown("plateau", "robust"), unknown("plateau", "robust.lr")
            ),
        },
    ),
    Case(
        "05-two-batches.csv",
        "--map params=12*num_layers*d_model*d_model --seq-len 512",
        "Two levels give a slope: both predicted within 2 % (6.247 and 6.703 at 6e-4); "
        "65,536 tokens is better in 5 of 5 cells, so the best lies below 131,072; "
        "nothing under 65,536 was tested.",
        {
            "optimum": f"optimum FIT {_AT_05}",
            "small": f"regret FIT {_AT_05} --lr 6e-4 --batch 65536",
            "large": f"regret FIT {_AT_05} --lr 6e-4 --batch 131072",
        },
        _READ
        | {
            "6.247 not predicted": between("small", "loss", 6.122, 6.372),
            "6.703 not predicted": between("large", "loss", 6.569, 6.837),
            "5 of 5 cells not said": says("optimum", "5 of 5"),
            "below 131,072 not said": says("optimum", r"below 131,072"),
        },
    ),
    Case(
        "06-few-tokens-per-parameter.csv",
        "",
        "Read with a warning; lr* of each size 1e-3 to 3e-3.",
        {
            "29M": "optimum FIT --params 28901376 --tokens 10485760",
            "118M": "optimum FIT --params 117964800 --tokens 10485760",
            "462M": "optimum FIT --params 462422016 --tokens 10485760",
        },
        _READ
        | _NONE_DIVERGED
        | {
            "tokens per parameter not warned of": says(
                "fit", "tokens / params under 0.1"
            ),
            "lr* of 29M": between("29M", "lr", 9e-4, 4.5e-3),
            "lr* of 118M": between("118M", "lr", 9e-4, 3.3e-3),
            "lr* of 462M": between("462M", "lr", 9e-4, 4.5e-3),
        },
    ),
    Case(
        "08-columns-appended.csv",
        "--map batch=4096",
        "Refused, with one sentence more: rows 8 to 10 all have 11 fields where the "
        "header has 7: a second header is missing.",
        {"fit": "fit FILE FLAGS --out FIT"},
        {
            "not refused": exits("fit", 2),
            "rows not named": says("fit", r"(rows|lines) 8 to 10"),
            "fields not counted": says("fit", r"11 fields.*\b7\b"),
            "second header not named": says("fit", "second header"),
        },
    ),
    Case(
        "10-checkpoints-of-runs.csv",
        "",
        "These look like checkpoints of 3 runs: the last of each, or refused; the "
        "column lr is a schedule's and not the peak (best peak 6e-4).",
        {"fit": "fit FILE FLAGS --out FIT"},
        {
            "checkpoints not recognised": says("fit", "checkpoints"),
            "3 runs not named": says("fit", r"\b3 runs"),
            "fitted on the schedule's lr": exits("fit", 1, 2),
        },
    ),
    Case(
        "11-one-size-lr-only.csv",
        "--map params=57M --map batch=32768 --map tokens=1638400000 "
        "--map 'loss=Final Val Loss'",
        "At its own size lr 6.1e-4, plateau at 0.5 % 3.3e-4 to 1.1e-3; at another "
        "size not identifiable, exit 1, published exponents offered as such.",
        {
            "optimum": f"optimum FIT {_AT_11}",
            "plateau": f"plateau FIT {_AT_11} --tol 0.5%",
            "7B": "optimum FIT --params 7B --tokens 140B",
            "7B by a law": "optimum FIT --params 7B --tokens 140B --transfer step-law",
        },
        _READ
        | _NONE_DIVERGED
        | {
            "optimum exits 0": exits("optimum", 0),
            "lr not 6.1e-4": between("optimum", "lr", 4.8e-4, 7.7e-4),
            "lower end not 3.3e-4": between("plateau", "lr.low", 2.6e-4, 4.2e-4),
            "upper end not 1.1e-3": between("plateau", "lr.high", 8.8e-4, 1.4e-3),
            "7B answered": exits("7B", 1),
            "published law not offered": says("7B", "add --transfer step-law"),
            "offer not labelled": says("7B", "not these runs'"),
            "a law is not taken": exits("7B by a law", 0),
            "no spread over laws": between("7B by a law", "transfer.lr_range.0", 0, 1),
        },
    ),
    Case(
        "15-long.csv",
        "--recipe wd --map params=124M --map tokens=2.6B --map batch=524288",
        "Nothing diverged, too few runs tell of it; best weight decay named (0.2); the "
        "largest lr is best where it is.",
        {
            "optimum": f"optimum FIT {_AT_15} --recipe 0.2",
            "wd 0": f"optimum FIT {_AT_15} --recipe 0.0",
            "limit": f"optimum FIT {_AT_15} --recipe 0.2 --p-max 1%",
        },
        _READ
        | _NONE_DIVERGED
        | {
            "a probability of divergence": silent(
                "optimum", r"diverge\w* with probability"
            ),
            "largest lr not said to be best": says(
                "wd 0", "largest lr is (the )?best|(lies|is) above|at or above"
            ),
            "best weight decay not named": says("fit", r"best recipe +0\.2: lowest"),
            "--p-max silent": says("limit", r"p-max|cannot bind|too few runs"),
        },
    ),
    Case(
        "16-keep-discard.tsv",
        _KEEP,
        "Unknown words asked once with what to write; crash never counts.",
        {
            "bare": "check FILE",
            "optimum": "optimum FIT --params 50M --tokens 500M",
        },
        _READ
        | {
            "words not asked": says("bare", "--finished"),
            "asked with exit 2": exits("bare", 2),
            "crash counted": between("check", "runs", 5, 5),
            "unit not said": says("fit", "bits per byte"),
            "best measured lr 3e-3 not offered": either(
                between("optimum", "lr", 2e-3, 6e-3),
                between("optimum", "offer.lr", 2.9e-3, 3.1e-3),
            ),
        },
    ),
    Case(
        "17-bits-per-byte.csv",
        "--map params=17M --map batch=524288 --map tokens=10B",
        "The unit is read from the name or asked, printed, and relative rules know it "
        "(the lowest lr is best: the optimum lies below 8e-4).",
        {"optimum": "optimum FIT --params 17M --tokens 10B"},
        _READ
        | {
            "unit not said": says("optimum", "bits per byte"),
            "printed as nats": silent("optimum", "nats per token"),
            "not said to be open below": either(
                unknown("optimum", "interval.lr.0"), says("optimum", "below")
            ),
        },
    ),
    Case(
        "18-toy-scale.csv",
        "--allow small",
        "A way to say that it is meant.",
        {
            "bare": "check FILE",
            "optimum": "optimum FIT --params 53632 --tokens 256000 --batch 256",
        },
        _READ
        | {
            "not asked": exits("bare", 2),
            "--allow small not named": says("bare", "--allow small"),
            "best measured lr 3e-3 not offered": either(
                between("optimum", "lr", 2e-3, 8e-3),
                between("optimum", "offer.lr", 2.9e-3, 3.1e-3),
            ),
        },
    ),
    Case(
        "20-finetune-accumulation.csv",
        "--map batch=per_device*accum*max_length --map tokens=samples*max_length",
        "Read; accumulation 16 loses 29 %; the smallest batch is best: the optimum "
        "lies below the second smallest.",
        {
            "optimum": "optimum FIT --params 220M --tokens 5120000",
            "regret": "regret FIT --params 220M --tokens 5120000 --lr 5e-5 "
            "--batch 131072",
        },
        _READ
        | {
            "29 % not said": between("regret", "regret", 0.25, 0.33),
            "smallest batch not said to be best": says(
                "optimum", r"smallest batch is (the )?best|below (16,384|16\.4)"
            ),
        },
    ),
    Case(
        "21-perplexity.csv",
        "",
        "ln taken, said so.",
        {"optimum": "optimum FIT --params 36M --tokens 163840000"},
        _READ
        | {
            "perplexity not said": says("fit", "perplexity"),
            "jumps not found": between("check", "diverged", 2, 2),
            "lr not near 2e-3": between("optimum", "lr", 1.2e-3, 4e-3),
        },
    ),
)
CASES = (*_COLUMNS, *SHAPES)

"""What is asked of the tables in ../shared/cases that are no CSV with its columns.

Data for `tables.py`, as `table_cases.py`: JSON, markdown, pivots, quotients, trackers.
"""

from __future__ import annotations

from table_expect import Case, between, either, exits, says, silent, unknown

_AT_15 = "--params 124M --tokens 2.6B"
_SIZES_15 = "--map params=124M --map tokens=2.6B --map batch=524288"
_READ = {"fit exits 0": exits("fit", 0)}
_NONE_DIVERGED = {"a run is called diverged": between("check", "diverged", 0, 0)}
# Where a table is only read.
_BARE = {"fit": "check FILE"}
_ASKED = {"not asked": exits("fit", 2), "not read": exits("check", 0, 1)}

SHAPES = (
    Case(
        "04-best-at-top-lr.json",
        "--map batch=32768",
        "As the CSV: 30 runs, the largest lr is best in every cell.",
        {"optimum": "optimum FIT --params 1327104 --tokens 3767602"},
        _READ
        | {
            "30 runs not read": between("check", "runs", 30, 30),
            "not said to lie above": says("optimum", "(lies|is) above|at or above"),
            "optimum not open above": unknown("optimum", "interval.lr.1"),
        },
    ),
    Case(
        "05-flops-not-tokens.csv",
        "--map params=12*num_layers*d_model*d_model "
        "--map 'tokens=train_flops/(6*params)' --seq-len 512",
        "D = C / (6 N) can be written, and is proposed.",
        {"bare": "check FILE", **_BARE},
        {
            "quotient not proposed": says("bare", r"tokens=\S+/\(6\*params\)"),
            "30 runs not read": between("check", "runs", 30, 30),
        },
    ),
    Case(
        "05-nested.json",
        "--map 'params=12*params.num_layers*params.d_model*params.d_model' "
        "--map 'tokens=params.train_flops/(6*params)' --seq-len 512",
        "Nested records are read by dotted names.",
        _BARE,
        _ASKED | {"12 runs not read": between("check", "runs", 12, 12)},
    ),
    Case(
        "09-wandb-table.csv",
        "--map lr=learning_rate --map 'tokens=max_iters*batch' --map loss=val/loss "
        "--map 'batch=batch_size*gradient_accumulation_steps*block_size'",
        "Read without a flag or with one message ready to paste; batch 4 x 8 x 1,024; "
        "seed is a replicate.",
        {
            "bare": "check FILE",
            "optimum": "optimum FIT --params 57M --tokens 1638400000",
        },
        _READ
        | {
            "accumulation not proposed": says(
                "bare", r"batch=batch_size\*gradient_accumulation_steps\*block_size"
            ),
            "batch not 32,768": between("check", "ranges.batch.0", 32768, 32768),
            "lr not near 6e-4": between("optimum", "lr", 4e-4, 9e-4),
            "seed taken for a recipe": silent("check", "recipe.*'seed'"),
        },
    ),
    Case(
        "11-markdown-lr-table.md",
        "--map params=57M --map batch=32768 --map tokens=1638400000",
        "As the CSV of it: nine lr, lr 6.1e-4, plateau at 0.5 % 3.3e-4 to 1.1e-3.",
        {"optimum": "optimum FIT --params 57M --tokens 1638400000"},
        _READ
        | _NONE_DIVERGED
        | {
            "9 runs not read": between("check", "runs", 9, 9),
            "lr not 6.1e-4": between("optimum", "lr", 4.8e-4, 7.7e-4),
        },
    ),
    Case(
        "13-lr-multipliers.csv",
        "--map 'lr=lr_mult*0.01'",
        "Marks and `x` read with a note; `20.7M` in a cell as on the command line; the "
        "best row, in bold, is kept.",
        {"bare": "check FILE", **_BARE},
        {
            "multiple not proposed": says("bare", r"lr=lr_mult\*BASE_LR"),
            "13 runs not read": between("check", "runs", 13, 13),
            "marks not noted": says("check", r"\*\*3\.819\*\*"),
        },
    ),
    Case(
        "14-lr-per-group.csv",
        "",
        "Per-knob sensitivity, or: this chooses lr and batch only.",
        _BARE,
        {"not asked once": exits("fit", 2), "no command": says("fit", "Type: surr")},
    ),
    Case(
        "15-lr-by-weight-decay.csv",
        f"--also WD {_SIZES_15}",
        "The pivot is recognised; nothing diverged; best weight decay named, 0 "
        "allowed; the largest lr is best where it is.",
        {
            "optimum": f"optimum FIT {_AT_15}",
            "wd 0": f"optimum FIT {_AT_15} --recipe WD=0",
        },
        _READ
        | _NONE_DIVERGED
        | {
            "pivot not recognised": says("check", "a pivot of"),
            "48 runs not read": between("check", "runs", 48, 48),
            "levels not compared": between("check", "also.0.levels.5.loses", 0, 0.01),
            "0 not the worst": says("check", "not tell .* from the best"),
            "measured best not named": says(
                "check", r"lowest measured loss is at 0\.2"
            ),
            "level not taken": says("optimum", "is taken, the best of 6 levels"),
            "largest lr not said to be best": says(
                "wd 0", "largest lr is (the )?best|(lies|is) above|at or above"
            ),
        },
    ),
    Case(
        "17-dict-of-bpb.json",
        "--loss-unit bits_per_byte --map params=17M --map batch=524288 "
        "--map tokens=10B",
        "Values by setting are read; the unit is asked or said.",
        _BARE,
        _ASKED
        | {
            "5 runs not read": between("check", "runs", 5, 5),
            "unit not said": says("check", "bits per byte"),
        },
    ),
    Case(
        "recipes11_cells121.csv",
        "",
        "Read; a fit ends (`bench/hang.py` holds that).",
        {"fit": "check FILE"},
        {
            "2,134 runs not read": between("check", "runs", 2134, 2134),
            "check exits": either(exits("check", 0), exits("check", 1)),
        },
    ),
)

"""What `--help` says besides options: groups of commands, and examples that run."""

from __future__ import annotations

from typing import Any

from typer.core import TyperGroup

INTRODUCTION = """What learning rate and batch size should the next pretraining run use?

\b
Ask a fit that comes with the package, of Step Law's 1,911 released runs:
  surrogate plateau steplaw-dense --params 3B --tokens 60B
"""

GROUPS = {
    "Ask": ("optimum", "plateau", "regret", "next", "predict", "models", "law"),
    "Your runs": ("demo", "check", "fit", "evaluate", "validate", "compare", "data"),
    "See": ("report", "plot"),
}

EXAMPLES = {
    "optimum": (
        "surrogate optimum steplaw-dense --params 7B --tokens 20x",
        "surrogate optimum steplaw-dense --model llama-7b --batch 4Mi",
    ),
    "plateau": (
        "surrogate plateau steplaw-dense --params 7B --tokens 2T --ladder",
        "surrogate plateau steplaw-dense --params 1b --tokens 20b --tol 5%tokens",
    ),
    "regret": (
        "surrogate regret steplaw-dense --params 7B --tokens 2T --lr 3e-4 "
        "--batch 1024x4096",
        "surrogate regret steplaw-dense --model deepseek-7b --gpu h100",
    ),
    "next": (
        "surrogate next steplaw-dense --params 7B --tokens 2T --budget 1e20",
        "surrogate next --prior steplaw-dense --params 3B --tokens 20x --budget 5% "
        "--out plan.csv",
    ),
    "predict": ("surrogate predict steplaw-dense points.csv --out losses.csv",),
    "models": ("surrogate models", "surrogate models steplaw-dense"),
    "law": (
        "surrogate law list",
        "surrogate law step-law --params 7B --tokens 2T",
    ),
    "demo": ("surrogate demo", "surrogate demo --out somewhere"),
    "check": (
        "surrogate check runs.csv",
        "surrogate check runs.csv --map loss=val_loss --seq-len 2048",
    ),
    "fit": (
        "surrogate fit runs.csv --out mine",
        "surrogate fit runs.csv --out mine --about optimizer=AdamW "
        '--about schedule="cosine to 1e-5"',
    ),
    "data": ("surrogate data list", "surrogate data fetch steplaw-dense"),
    "evaluate": ("surrogate evaluate steplaw-dense runs.csv",),
    "validate": (
        "surrogate validate runs.csv --family quadratic",
        "surrogate validate runs.csv --folds cells",
    ),
    "compare": (
        "surrogate compare steplaw-dense --params 7B --tokens 2T",
        "surrogate compare runs.csv",
    ),
    "report": ("surrogate report steplaw-dense --out report.html",),
    "plot": (
        "surrogate plot surface steplaw-dense --params 1B --tokens 20B --out s.svg",
    ),
}


def epilog(name: str) -> str:
    """The examples of a command, a line each."""
    lines = EXAMPLES[name]
    head = "Example:" if len(lines) == 1 else "Examples:"
    return "\n".join(("\b", head, *(f"  {line}" for line in lines)))


class Grouped(TyperGroup):
    """Lists commands under what they are for."""

    def format_commands(self, ctx: Any, formatter: Any) -> None:
        """Write a section a group."""
        for title, names in GROUPS.items():
            found = [(name, self.get_command(ctx, name)) for name in names]
            rows = [
                (name, command.get_short_help_str(limit=68))
                for name, command in found
                if command is not None and not command.hidden
            ]
            with formatter.section(title):
                formatter.write_dl(rows)

"""How the house stands: rooms, arrows, circles, long functions, long signatures.

    python scripts/structure.py [--against COMMIT] [--json]

Prints each number beside what is asked of it; exits 1 where files import one another in
a circle or a room imports a higher one. `--against` counts lines of another commit.
"""

from __future__ import annotations

import argparse
import ast
import json
import subprocess
import sys
from collections.abc import Iterator
from functools import cache
from graphlib import CycleError, TopologicalSorter
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[1]
# From the lowest to the highest.
ROOMS = ("base", "storage", "data", "laws", "families", "numerics", "fitting")
ROOMS += ("answers", "views", "cli")
LONG, MANY = 50, 7
ASKED = {
    "top level": 11,
    "floors": 9,
    "arrows": 60,
    "circles": 0,
    "functions over 50 lines": 10,
    "functions of 7 parameters": 20,
    "lines of README": 150,
    "files that params passes": 12,
}
_TRACE = """
import contextlib, io, json, os, sys, threading
from surrogate.cli.start import main
seen = set()
def note(frame, event, arg):
    name = frame.f_code.co_filename
    if event == "call" and "/surrogate/" in name:
        code = frame.f_code
        if "params" in code.co_varnames[: code.co_argcount + code.co_kwonlyargcount]:
            seen.add(name)
os._exit = sys.exit
sys.setprofile(note)
threading.setprofile(note)
sys.argv = "surrogate plateau steplaw-dense --params 1B --tokens 20B".split()
with contextlib.redirect_stdout(io.StringIO()), contextlib.suppress(SystemExit):
    main()
sys.setprofile(None)
print(json.dumps(sorted(seen)))
"""


def main() -> int:
    """Print the table; 1 where the structure does not hold."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--against", help="a commit whose lines are counted too")
    parser.add_argument("--json", action="store_true", help="the document alone")
    options = parser.parse_args()
    files = {module(file): file for file in sources()}
    graph = {name: imports(file, files) for name, file in files.items()}
    pairs = ((room(name), other) for name in graph for other in rooms(graph[name]))
    arrows = {(above, below) for above, below in pairs if above != below}
    upward = sorted((a, b) for a, b in arrows if ROOMS.index(a) < ROOMS.index(b))
    found = circle(graph)
    long = [name for name, node in functions() if lines(node) > LONG]
    many = [name for name, node in functions() if parameters(node) >= MANY]
    try:
        answered = passed()
    except subprocess.CalledProcessError as error:
        reason = error.stderr.strip().rpartition("\n")[2]
        print(
            f"Expected {sys.executable} to answer `surrogate plateau steplaw-dense`, "
            f"got: {reason}. Install the checkout into it: pip install .",
            file=sys.stderr,
        )
        return 2
    numbers: dict[str, Any] = {
        "top level": len(top_level()),
        "floors": floors(arrows),
        "arrows": len(arrows),
        "circles": int(found is not None),
        "functions over 50 lines": len(long),
        "functions of 7 parameters": len(many),
        "lines of README": len((ROOT / "README.md").read_text().splitlines()),
        "files that params passes": len(answered),
        "lines": total(),
    }
    if options.against:
        numbers["lines before"] = total_of(options.against)
    document = {"numbers": numbers, "asked": ASKED, "circle": found, "upward": upward}
    document |= {"long": long, "many": many}
    if not options.json:
        for name, value in numbers.items():
            asked = f"at most {ASKED[name]}" if name in ASKED else ""
            print(f"{name:<28} {value:>7}  {asked}")
    print(json.dumps(document))
    return int(found is not None or bool(upward))


def sources() -> list[Path]:
    """Files of the library but its front door."""
    package = ROOT / "surrogate"
    return sorted(f for f in package.rglob("*.py") if f != package / "__init__.py")


def module(file: Path) -> str:
    """A file's dotted name."""
    parts = file.relative_to(ROOT).with_suffix("").parts
    return ".".join(parts).removesuffix(".__init__")


def room(name: str) -> str:
    """The room of a module."""
    return name.split(".")[1]


def rooms(names: set[str]) -> set[str]:
    """Their rooms."""
    return {room(name) for name in names}


@cache
def tree(file: Path) -> ast.Module:
    """A file's syntax tree."""
    return ast.parse(file.read_text())


def imports(file: Path, files: dict[str, Path]) -> set[str]:
    """Modules of the library that a file imports, at any depth."""
    found: set[str] = set()
    for node in ast.walk(tree(file)):
        if isinstance(node, ast.ImportFrom) and node.module:
            whole = {f"{node.module}.{alias.name}" for alias in node.names}
            found |= {name if name in files else node.module for name in whole}
        elif isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
    return (found & files.keys()) - {module(file)}


def circle(graph: dict[str, set[str]]) -> list[str] | None:
    """Modules that import one another round about; None if there are none."""
    try:
        TopologicalSorter(graph).prepare()
    except CycleError as error:
        return list(error.args[1])
    return None


def floors(arrows: set[tuple[str, str]]) -> int:
    """Rooms on the longest way down."""
    below: dict[str, set[str]] = {name: set() for name in ROOMS}
    for above, under in arrows:
        if ROOMS.index(under) < ROOMS.index(above):
            below[above].add(under)

    @cache
    def height(name: str) -> int:
        return 1 + max((height(under) for under in below[name]), default=0)

    return max(map(height, ROOMS))


def top_level() -> list[str]:
    """Modules and packages beside the front door."""
    package = ROOT / "surrogate"
    kept = {"__init__", "bundled", "py", "__pycache__"}
    return sorted({f.name.split(".")[0] for f in package.iterdir()} - kept)


def functions() -> Iterator[tuple[str, ast.FunctionDef]]:
    """Functions of library and kernels but commands and public verbs, by place."""
    files = [*sources(), *sorted((ROOT / "kernels").rglob("*.py"))]
    for file in files:
        where, known = file.relative_to(ROOT), public(file)
        for top in tree(file).body:
            if isinstance(top, ast.FunctionDef) and top.name in known:
                continue
            is_public = isinstance(top, ast.ClassDef) and top.name in known
            for node in ast.walk(top):
                if not isinstance(node, ast.FunctionDef):
                    continue
                if not is_public or node.name.startswith("_"):
                    yield f"{where}:{node.lineno} {node.name}", node


def public(file: Path) -> set[str]:
    """Its commands, and what else people call: their arguments are theirs."""
    package = ROOT / "surrogate"
    if not file.is_relative_to(package):
        return set()
    if "cli" in file.parts:
        commands = ast.walk(assigned(package / "cli" / "main.py", "COMMANDS"))
        return {
            node.attr
            for node in commands
            if isinstance(node, ast.Attribute) and ast.unparse(node.value) == file.stem
        }
    if file.parent.name == "plots":
        return set(ast.literal_eval(assigned(file.parent / "__init__.py", "__all__")))
    homes = ast.literal_eval(assigned(package / "__init__.py", "_HOME"))
    name = f"{module(file)}."
    return {key for key, home in homes.items() if name.startswith(f"{home}.")}


def assigned(file: Path, name: str) -> ast.expr:
    """What a file assigns to a name."""
    return next(
        node.value
        for node in tree(file).body
        if isinstance(node, ast.Assign) and ast.unparse(node.targets[0]) == name
    )


def lines(node: ast.FunctionDef) -> int:
    """From `def` to the end."""
    return (node.end_lineno or node.lineno) - node.lineno + 1


def parameters(node: ast.FunctionDef) -> int:
    """Arguments, self counted."""
    a = node.args
    return len(a.posonlyargs) + len(a.args) + len(a.kwonlyargs)


def total() -> int:
    """Lines of library and kernels."""
    files = [
        f for name in ("surrogate", "kernels") for f in (ROOT / name).rglob("*.py")
    ]
    return sum(len(file.read_text().splitlines()) for file in files)


def total_of(commit: str) -> int:
    """The same of another commit."""
    names = git("ls-tree", "-r", "--name-only", commit, "surrogate", "kernels")
    files = [name for name in names.splitlines() if name.endswith(".py")]
    return sum(len(git("show", f"{commit}:{name}").splitlines()) for name in files)


def git(*arguments: str) -> str:
    """What git prints here."""
    command = ["git", *arguments]
    return subprocess.run(
        command, cwd=ROOT, check=True, capture_output=True, text=True
    ).stdout


def passed() -> list[str]:
    """Files with a function that takes `params`, called to answer one plateau."""
    command = [sys.executable, "-c", _TRACE]
    done = subprocess.run(command, check=True, capture_output=True, text=True)
    return json.loads(done.stdout)


if __name__ == "__main__":
    sys.exit(main())

"""The edge: builds the command, turns every failure into a message and an exit code.

Exit codes: 0 answered; 1 answered, but the status is a failed one or too many rows were
dropped, or a signal came and the fit was saved; 2 asked wrongly; 70 a bug of ours; 130
or 143 ended by Ctrl-C or SIGTERM with nothing kept.
"""

from __future__ import annotations

import contextlib
import errno
import re
import sys
import traceback
import warnings
from collections.abc import Sequence
from typing import Annotated, Any, cast

import typer

from surrogate.base import interrupts
from surrogate.base.errors import DataError, FlagsError, SolveError, Status
from surrogate.cli import (
    compiled,
    groups,
    guide,
    mistakes,
    output,
    progress,
    screen,
    supervise,
    validating,
)
from surrogate.cli.commands import ask, data, laws, models, plan, plot, report, runs

ASKED_WRONGLY = 2
BUG = 70
INTERRUPTED = 130
# How the loader, threads, and XLA say that there is no memory.
_NO_MEMORY = (
    "failed to map segment",
    "cannot allocate memory",
    "Cannot allocate memory",
    "can't start new thread",
    "Out of memory",
    "out of memory",
    "bad_alloc",
)

# typer keeps this class to itself; its public BadParameter derives from it.
UsageError = cast("type[Exception]", typer.BadParameter.__mro__[1])

COMMANDS = {
    command.__name__: command
    for command in (
        runs.demo,
        runs.check,
        runs.fit,
        runs.predict,
        runs.evaluate,
        ask.optimum,
        ask.plateau,
        ask.regret,
        plan.next,
        laws.law,
        laws.compare,
        models.models,
        report.report,
        plot.plot,
        data.data,
        validating.validate,
    )
}


def _program(asked: str) -> typer.Typer:
    """The commands, of which only the one that is asked for has its options.

    Typer reads the options of all that it is given, which takes longer than all else
    that `--help` does; of the others names and summaries are enough.
    """
    program = typer.Typer(
        name="surrogate",
        help=guide.INTRODUCTION,
        cls=guide.Grouped,
        add_completion=False,
        rich_markup_mode=None,
        pretty_exceptions_enable=False,
        context_settings={"help_option_names": ["-h", "--help"]},
    )
    program.callback()(_root)
    for name, command in COMMANDS.items():
        is_asked = name == asked
        about = {"help": command.__doc__, "epilog": guide.epilog(name)}
        program.command(name, **about)(groups.spread(command) if is_asked else _unasked)
    return program


def _unasked() -> None:
    """Stand for a command that is not run."""


def _print_version(wanted: bool) -> bool:
    if wanted:
        import surrogate

        print(f"surrogate {surrogate.__version__}")
        raise typer.Exit
    return wanted


def _root(
    version: Annotated[
        bool,
        typer.Option(
            "--version",
            callback=_print_version,
            is_eager=True,
            help="Print the version and exit.",
        ),
    ] = False,
) -> None:
    """Options that stand before the command."""


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command and return its exit code.

    Args:
        arguments: what stands after `surrogate`; None takes the process's own.
    """
    given = list(sys.argv[1:] if arguments is None else arguments)
    as_json = "--json" in given
    command = next((word for word in given if not word.startswith("-")), "surrogate")
    with warnings.catch_warnings():
        warnings.showwarning = _show_warning
        return supervise.run(
            lambda: _answer(given, as_json),
            command,
            say=progress.say,
            give_up=lambda: _interrupted(as_json),
            show=screen.draw,
        )


def _answer(given: list[str], as_json: bool) -> int:
    """Run the command; every failure becomes a message and an exit code."""
    try:
        return _run(given, as_json)
    except (KeyboardInterrupt, typer.Abort):
        return _interrupted(as_json)
    except BrokenPipeError:
        return _hang_up()
    except OSError as error:
        if error.errno == errno.ENOMEM:
            return _no_memory(as_json)
        output.fail(_os_message(error), as_json)
        return ASKED_WRONGLY
    except MemoryError:
        return _no_memory(as_json)
    except Exception as error:  # the last resort: a bug must not look like an answer
        if _is_memory(error):
            return _no_memory(as_json)
        traceback.print_exc()
        output.fail(
            "this is a bug in surrogate, not in your data. Please report it with "
            "the lines above and the command that you typed.",
            as_json,
        )
        return BUG


def _run(given: list[str], as_json: bool) -> int:
    """Run the command; what the user asked wrongly becomes exit code 2."""
    program = _program(given[0] if given else "")
    if not given:
        with contextlib.redirect_stdout(sys.stderr):
            program(["--help"], prog_name="surrogate", standalone_mode=False)
        return ASKED_WRONGLY
    try:
        code = program(given, prog_name="surrogate", standalone_mode=False)
    except FlagsError as error:
        output.fail(error.typed(given), as_json)
        return ASKED_WRONGLY
    except DataError as error:
        said = mistakes.swapped(given, _bundled) or str(error)
        output.fail(said + mistakes.retyped(given, error.__cause__), as_json)
        return ASKED_WRONGLY
    except SolveError as error:
        output.fail(str(error), as_json, Status.not_converged)
        return 1
    except UsageError as error:
        output.fail(_usage_message(error, given), as_json)
        return ASKED_WRONGLY
    if code == INTERRUPTED:
        return _interrupted(as_json)
    return code or 0


def _bundled() -> Sequence[str]:
    from surrogate.storage.archive import bundled

    return bundled()


def _usage_message(error: BaseException, given: list[str]) -> str:
    """What the parser says, what was probably meant, and where to read more."""
    context = getattr(error, "ctx", None)
    path = "surrogate" if context is None else context.command_path
    said = _meant(error, given) or getattr(error, "format_message", error.__str__)()
    stop = "" if said.rstrip().endswith(("?", ".", ")")) else "."
    if "Type: " in said or "For example: " in said:
        return said
    return f"{said.rstrip()}{stop} Run `{path} --help` to see what it takes."


def _meant(error: Any, given: list[str]) -> str | None:
    """A better word than the parser's for a mistake that people make."""
    name = given[0]
    kind = type(error).__name__
    if kind == "NoSuchOption" and name in COMMANDS:
        own = mistakes.options_of(error.ctx.command)
        typed = error.option_name
        hint = mistakes.option(typed, own, _options_of_others(name))
        near = mistakes.near_option(typed, own)
        said = f"{name}: there is no option {typed}. {hint}".rstrip()
        if near is None or not any(word.startswith(typed) for word in given):
            return said
        return f"{said} {mistakes.line(mistakes.corrected(given, own))}"
    if kind == "MissingParameter" and error.param.param_type_name == "argument":
        which = str(error.param.metavar or error.param.name).strip("{}[].")
        return mistakes.missing(name, which, _bundled)
    if kind == "MissingParameter" and error.param.opts and "Give" not in str(error):
        return mistakes.missing(name, error.param.opts[0], _bundled)
    if "unexpected extra argument" in str(error):
        words = str(error).rpartition("(")[2].rstrip(")")
        return f"{name}: expected options, each with its name, got the word {words!r}."
    if name not in COMMANDS and kind in ("NoSuchCommand", "UsageError", "NoSuchOption"):
        meant = mistakes.command(name, COMMANDS)
        said = f"There is no command {name}."
        if meant is None:
            return f"{said} The commands are {', '.join(COMMANDS)}."
        rest = given[1:]
        if meant == "--help" and rest[:1] and rest[0] in COMMANDS:
            meant, rest = rest[0], ["--help"]
        words = mistakes.line([meant, *rest])
        return f"{said} Did you mean {meant}? {words}"
    return None


def _options_of_others(name: str) -> dict[str, list[str]]:
    """The options of all commands but one, read only where one was typed wrong."""
    found = {}
    for other in COMMANDS:
        if other != name:
            group = typer.main.get_command(_program(other))
            command = cast("Any", group).commands[other]
            found[other] = mistakes.options_of(command)
    return found


def _os_message(error: OSError) -> str:
    """Which file, and what the system says of it."""
    # A file is written beside its goal under a name of its own.
    name = re.sub(r"(^|/)\.([^/]+)\.[a-z0-9_]{8}$", r"\1\2", str(error.filename))
    file = "" if error.filename is None else f"{name}: "
    return (
        f"{file}{error.strerror or error}. Check the path, its permissions and the "
        "free space."
    )


def _no_memory(as_json: bool) -> int:
    output.fail(
        "there is not enough memory for this. Free some, raise the limit (ulimit -v), "
        "or ask for fewer draws (--bootstrap).",
        as_json,
    )
    return ASKED_WRONGLY


def _is_memory(error: BaseException | None) -> bool:
    """Whether what failed, or what it came of, is the system's want of memory."""
    while error is not None:
        is_own = isinstance(error, MemoryError)
        if is_own or any(words in str(error) for words in _NO_MEMORY):
            return True
        error = error.__cause__ or error.__context__
    return False


def _interrupted(as_json: bool) -> int:
    progress.clear()
    output.fail("interrupted before the answer was complete.", as_json, "interrupted")
    return supervise.code_of(interrupts.now().signal)


def _hang_up() -> int:
    """The reader of stdout is gone: stop quietly, also at Python's own last flush."""
    import os

    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    return 1


def _show_warning(
    message: Warning | str,
    category: type[Warning],
    filename: str,
    lineno: int,
    file: object = None,
    line: str | None = None,
) -> None:
    """Show a Python warning as ours are shown, without the line of code."""
    if not compiled.heard(str(message), progress.warn):
        progress.warn(str(message))


if __name__ == "__main__":
    sys.exit(main())

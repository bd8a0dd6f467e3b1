"""Scripts and styles without comments and needless spaces: the page is sent around.

No name changes, and statements stay on lines of their own but where the one before
ends in a bracket, a comma or a semicolon, or a block and a word that begins a statement
meet: scripts end every other statement with a semicolon.
"""

from __future__ import annotations

import re

_NAME = re.compile(r"[A-Za-z0-9_$\\]")
# Code in which nothing begins.
_PLAIN = re.compile(r"[^\s'\"`/]+")
# What a "/" may follow where it begins a regular expression, and no division.
_BEFORE_PATTERN = set("(,=:[!&|?{};+-*%<>~^\n")
# After these no line break means anything.
_GOES_ON = set(";,{([")
_STATEMENT = re.compile(r"(?:const|let|for|if|return|function|switch|throw|try)\b")
_WORDS_BEFORE_PATTERN = re.compile(r"(?:return|typeof|case|in|of|void|delete)$")


def script(text: str) -> str:
    """A script that does the same."""
    out: list[str] = []
    at, before = 0, "\n"
    while at < len(text):
        kind, end = _token(text, at, before)
        piece = text[at:end]
        if kind == "comment":
            piece = ""
        elif kind == "space":
            piece = _space(piece, before[-1], text[end : end + 10])
        out.append(piece)
        before = (before + piece)[-10:]
        at = end
    joined = re.sub(r"\n{2,}", "\n", "".join(out))
    return joined.lstrip("\n")


def _token(text: str, at: int, before: str) -> tuple[str, int]:
    """What begins at a place, and where it ends."""
    first, two = text[at], text[at : at + 2]
    if two == "//":
        end = text.find("\n", at)
        return "comment", len(text) if end < 0 else end
    if two == "/*":
        return "comment", text.index("*/", at) + 2
    if first in " \t\n":
        end = at
        while end < len(text) and text[end] in " \t\n":
            end += 1
        return "space", end
    if first in "'\"":
        return "code", _closed(text, at, first)
    if first == "`":
        return "code", _template(text, at)
    if first == "/" and _is_pattern(before):
        return "code", _pattern(text, at)
    plain = _PLAIN.match(text, at)
    return "code", plain.end() if plain else at + 1


def _space(piece: str, before: str, after: str) -> str:
    """What is left of a run of spaces between a character and what follows."""
    if "\n" in piece:
        is_block_before = before == "}" and _STATEMENT.match(after)
        return "" if before in _GOES_ON or is_block_before else "\n"
    is_between_names = bool(_NAME.match(before) and _NAME.match(after or " "))
    is_doubled = before == after[:1] and before in "+-"
    return " " if is_between_names or is_doubled else ""


def _is_pattern(before: str) -> bool:
    bare = before.rstrip(" ")
    if not bare or bare[-1] in _BEFORE_PATTERN:
        return True
    return bool(_WORDS_BEFORE_PATTERN.search(bare))


def _closed(text: str, at: int, quote: str) -> int:
    """Where a string ends."""
    end = at + 1
    while text[end] != quote:
        end += 2 if text[end] == "\\" else 1
    return end + 1


def _pattern(text: str, at: int) -> int:
    """Where a regular expression ends; its flags are a name that follows."""
    end, is_class = at + 1, False
    while text[end] != "/" or is_class:
        if text[end] == "\\":
            end += 1
        elif text[end] == "[":
            is_class = True
        elif text[end] == "]":
            is_class = False
        end += 1
    return end + 1


def _template(text: str, at: int) -> int:
    """Where a template ends, with all that is nested in it."""
    end = at + 1
    while text[end] != "`":
        if text[end] == "\\":
            end += 2
        elif text[end : end + 2] == "${":
            end = _nested(text, end + 2)
        else:
            end += 1
    return end + 1


def _nested(text: str, at: int) -> int:
    """Where the code of a template's `${` ends."""
    depth, end, seen = 1, at, "("
    while depth:
        first = text[end]
        if first in "'\"":
            end = _closed(text, end, first)
        elif first == "`":
            end = _template(text, end)
        elif first == "/" and _is_pattern(seen):
            end = _pattern(text, end)
        else:
            depth += (first == "{") - (first == "}")
            end += 1
        seen = text[max(end - 8, 0) : end]
    return end


def style(text: str) -> str:
    """A style sheet that does the same."""
    bare = re.sub(r"/\*.*?\*/", "", text, flags=re.DOTALL)
    bare = re.sub(r"\s+", " ", bare)
    return re.sub(r" ?([{};,]) ?", r"\1", bare).strip()

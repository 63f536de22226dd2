"""What is wrong with an expression, in words for its author, and where."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass

from app.domain.rules.expression_scope import EVENT, FIELDS
from app.domain.shared.problems import Problem, UserErrorCode


@dataclass(frozen=True)
class ExpressionProblem(Problem):
    """Line and column count from 1, the column in characters."""

    line: int = 1
    column: int = 1


def wrong(message: str, text: str, offset: int = 0) -> ExpressionProblem:
    """A problem at an offset of the expression's text."""
    begin = text.rfind("\n", 0, offset) + 1
    line = text.count("\n", 0, offset) + 1
    code = UserErrorCode.EXPRESSION_INVALID
    return ExpressionProblem(code, message, (), line, offset - begin + 1)


def told(error: str, text: str) -> Iterator[tuple[int, str]]:
    """What CEL says of the text: offset and message of each error."""
    found = list(_ISSUE.finditer(error))
    if not found:
        yield 0, _in_words(_STATUS.sub("", error))
    starts = [0, *(each.end() for each in re.finditer("\n", text))]
    for each in found:
        if any(sign in each["message"] for sign in _CONSEQUENCES):
            continue
        line, column = int(each["line"]), int(each["column"])
        # What CEL knows no place of, it puts at -1:-1.
        offset = starts[min(line, len(starts)) - 1] + max(column, 1) - 1 if line > 0 else 0
        yield offset, _in_words(each["message"])


DEEPEST = 32
TOO_DEEP = f"Is nested deeper than {DEEPEST} levels, or chains more than {DEEPEST} operations."
NO_OVERLOAD = "does not go with"
_LONGEST_MESSAGE = 300

_ISSUE = re.compile(
    r"^(?:[A-Z_]+: )?ERROR: <input>:(?P<line>-?\d+):(?P<column>-?\d+): (?P<message>.*)$", re.M
)
_CONSEQUENCES = ("'*error*'", "<<nil>>")  # of an error that is told as well
_STATUS = re.compile(r"^[A-Z_]+: | \[[A-Z_]+\]$")
_WORDS: list[tuple[re.Pattern[str], str]] = [
    (re.compile(r".*(?:recursion (?:depth|limit)|deep).*", re.I), TOO_DEEP),
    (
        re.compile(rf"undefined field '(\w+)' not found in struct '{FIELDS}'"),
        r"The type has no field \1.",
    ),
    (re.compile(rf"undefined field '(\w+)' not found in struct '{EVENT}'"), r"An event has no \1."),
    (
        re.compile(r"undeclared reference to '(.+)' \(in container ''\)"),
        r"Nothing here is called \1.",
    ),
]
_CLASH = re.compile(r"found no matching overload for '(?P<called>.+)' applied to '(?P<given>.*)'")


def _in_words(message: str) -> str:
    message = _STATUS.sub("", message)
    if clash := _CLASH.fullmatch(message):
        given = re.sub(r"wrapper\((\w+)\)", r"\1", clash["given"]).replace("tocsin.", "")
        return f"{clash['called'].replace('_', ' ').strip(' @')} {NO_OVERLOAD} {given}."
    for pattern, words in _WORDS:
        if found := pattern.fullmatch(message):
            return found.expand(words)
    return message[:_LONGEST_MESSAGE]

"""Errors in expressions, with their position and a message for the author."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass

from app.domain.rules.expression_messages import EVENT_MESSAGE, FIELDS_MESSAGE
from app.domain.shared.problems import Problem, UserErrorCode


@dataclass(frozen=True)
class ExpressionProblem(Problem):
    """A problem with its position: line and column start at 1, the column counts characters."""

    line: int = 1
    column: int = 1


def expression_problem(message: str, text: str, offset: int = 0) -> ExpressionProblem:
    """Returns a problem at an offset of the expression's text."""
    line_start = text.rfind("\n", 0, offset) + 1
    line = text.count("\n", 0, offset) + 1
    code = UserErrorCode.EXPRESSION_INVALID
    return ExpressionProblem(code, message, (), line, offset - line_start + 1)


def strip_status_code(error: str) -> str:
    """Returns CEL's message of an evaluation error without its status code and final period."""
    return _STATUS_CODE.sub("", error).rstrip(".")


def parse_cel_errors(
    error: str, text: str, variables: str, find_path: Callable[[str], str | None]
) -> Iterator[tuple[int, str]]:
    """Parses CEL's error message. Yields the offset and the message of each error.

    `variables`: the names of those that the expression can use, for messages. `find_path` returns
    what the author may have meant by an unknown name.
    """
    matches = list(_CEL_ERROR.finditer(error))
    if not matches:
        yield 0, _translate_message(strip_status_code(error), text, 0, variables, find_path)
    line_starts = [0, *(newline.end() for newline in re.finditer("\n", text))]
    has_syntax_error = False
    for match in matches:
        message = strip_status_code(match["message"])
        is_syntax_error = message.startswith(_SYNTAX_ERROR)
        # The parser continues after a syntax error, and most of its later errors follow from it.
        if any(sign in message for sign in _FOLLOW_UP_ERRORS) or (
            has_syntax_error and is_syntax_error
        ):
            continue
        has_syntax_error = has_syntax_error or is_syntax_error
        line, column = int(match["line"]), int(match["column"])
        # CEL reports -1:-1 if it does not know the position.
        offset = (
            line_starts[min(line, len(line_starts)) - 1] + max(column, 1) - 1 if line > 0 else 0
        )
        message = message.removeprefix(_SYNTAX_ERROR)
        yield offset, _translate_message(message, text, offset, variables, find_path)


MAX_DEPTH = 32
TOO_DEEP_MESSAGE = (
    f"The expression is nested deeper than {MAX_DEPTH} levels or chains more than {MAX_DEPTH} "
    "operations. Split the expression into several rules."
)
NO_OVERLOAD_MESSAGE = "cannot be applied to"
_MAX_MESSAGE_LENGTH = 300

_CEL_ERROR = re.compile(
    r"^(?:[A-Z_]+: )?ERROR: <input>:(?P<line>-?\d+):(?P<column>-?\d+): (?P<message>.*)$", re.M
)
# Signs of an error that only follows from another one.
_SYNTAX_ERROR = "Syntax error: "
_FOLLOW_UP_ERRORS = ("'*error*'", "<<nil>>")
_STATUS_CODE = re.compile(r"^[A-Z_]+: | \[[A-Z_]+\]$")
_TRANSLATIONS: list[tuple[re.Pattern[str], str]] = [
    (re.compile(r".*(?:recursion (?:depth|limit)|deep).*", re.I), TOO_DEEP_MESSAGE),
    (
        re.compile(rf"undefined field '(\w+)' not found in struct '{FIELDS_MESSAGE}'"),
        r"Unknown field '\1': the event type has no such field.",
    ),
    (
        re.compile(rf"undefined field '(\w+)' not found in struct '{EVENT_MESSAGE}'"),
        r"Unknown attribute '\1': events have no such attribute. Custom fields are in "
        r"event.fields.",
    ),
    (
        re.compile(r"reserved identifier: (.+)"),
        r"'\1' is a reserved word of CEL. Use a different name.",
    ),
    (
        re.compile(r"has\(\) argument must be a field selection"),
        "The argument of has() must be an attribute or a field, for example has(event.content).",
    ),
    # A set of tokens that has `true` is that of all values.
    (
        re.compile(r"mismatched input '<EOF>' expecting \{.*'true'.*\}"),
        "The expression is incomplete: a value is missing at the end.",
    ),
    (
        re.compile(r"mismatched input '<EOF>' expecting \{?(.+?)\}?"),
        r"The expression is incomplete: expected \1 at the end.",
    ),
    (
        re.compile(r"missing (.+) at '<EOF>'"),
        r"The expression is incomplete: \1 is missing at the end.",
    ),
    (re.compile(r"missing (.+) at (.+)"), r"\1 is missing before \2."),
    (re.compile(r"token recognition error at: '=.*'"), "Use == instead of = to compare values."),
    (re.compile(r"token recognition error at: '&.*'"), "Use && instead of &."),
    (re.compile(r"token recognition error at: '\|.*'"), "Use || instead of |."),
    (
        re.compile(r"token recognition error at: '[\"'].*'"),
        "The string has no closing quotation mark.",
    ),
    (re.compile(r"token recognition error at: '(.+?)\s*'"), r"Unexpected '\1'."),
    (re.compile(r"(?:mismatched|extraneous) input 'and' expecting .*"), "Use && instead of and."),
    (re.compile(r"(?:mismatched|extraneous) input 'or' expecting .*"), "Use || instead of or."),
    (
        re.compile(
            r"(?:(?:mismatched|extraneous) input|no viable alternative at input) '(.+?)'"
            r"(?: expecting .*)?"
        ),
        r"Unexpected '\1'.",
    ),
]
# The position of a function is that of its parenthesis.
_UNKNOWN_NAME = re.compile(r"undeclared reference to '(.+)' \(in container ''\)")
_OVERLOAD_ERROR = re.compile(
    r"found no matching overload for '(?P<function>.+)' applied to '(?P<arguments>.*)'"
)


def _translate_message(
    message: str, text: str, offset: int, variables: str, find_path: Callable[[str], str | None]
) -> str:
    if match := _UNKNOWN_NAME.fullmatch(message):
        if text.startswith("(", offset):
            return f"Unknown function '{match[1]}', or wrong number of arguments."
        path = find_path(match[1])
        suggestion = "" if path is None else f"Did you mean {path}? "
        return f"Unknown name '{match[1]}'. {suggestion}The available variables are {variables}."
    if message.endswith("expecting <EOF>") and re.search(r"(?<![\w.])not\s+$", text[:offset]):
        return "Use ! instead of not."
    if match := _OVERLOAD_ERROR.fullmatch(message):
        arguments = re.sub(r"wrapper\((\w+)\)", r"\1", match["arguments"]).replace("tocsin.", "")
        function = match["function"].replace("_", " ").strip(" @")
        return f"'{function}' {NO_OVERLOAD_MESSAGE} {arguments}."
    for pattern, template in _TRANSLATIONS:
        if match := pattern.fullmatch(message):
            return match.expand(template)
    return f"{message[:_MAX_MESSAGE_LENGTH].rstrip('.')}."

"""Expressions in CEL: what they may say of an event, and whether they hold. The one room of CEL.

Nothing reaches CEL that could hang it or end the process: texts are short, a tree is looked
through before its types are checked, and its cost is reckoned before it runs.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import datetime
from functools import lru_cache
from itertools import pairwise
from typing import Any

from cel_expr_python import cel
from google.protobuf.message import DecodeError

from app.domain.event_types.patterns import is_common
from app.domain.events.state import EventState
from app.domain.rules.expression_costs import cost
from app.domain.rules.expression_problems import (
    NO_OVERLOAD,
    TOO_DEEP,
    ExpressionProblem,
    told,
    wrong,
)
from app.domain.rules.expression_scope import EVENT, FIELDS, Form, Scope, stamp
from app.domain.rules.expression_trees import (
    Node,
    Tree,
    inner,
    is_arithmetic,
    literal_text,
    macros_deep,
    takes_numbers,
    whole_numbers,
)
from app.domain.shared.limits import Limits
from app.domain.shared.values import text_problems


@dataclass(frozen=True)
class Expression:
    """An expression that compiled against a form; None: against any event of the organization.

    `fields` are the custom fields that it names, `steps` what it may cost at worst.
    """

    text: str
    form: Form
    fields: frozenset[str]
    steps: int
    language: _Language = field(repr=False, compare=False)
    program: Any = field(repr=False, compare=False)


def compile_expression(
    text: str, form: Form, limits: Limits
) -> Expression | list[ExpressionProblem]:
    """The expression, or everything that is wrong with it."""
    compiled = _compiled(text, form, limits)
    return compiled if isinstance(compiled, Expression) else list(compiled)


class Occasion:
    """What expressions are asked about: an event, the one before it, now. It is read once a form,
    for an event of many values takes a tenth of a second to read.
    """

    def __init__(self, event: EventState, old: EventState | None, now: datetime) -> None:
        self._event, self._old, self._now = event, old, stamp(now)
        self._read: dict[_Language, dict[str, Any]] = {}

    def holds(self, expression: Expression) -> bool | str:
        """Whether the expression is true, or why that cannot be said: then it does not hold."""
        language = expression.language
        if language not in self._read:
            message = language.scope.message
            old = None if self._old is None else message(self._old)
            self._read[language] = {"event": message(self._event), "old": old, "now": self._now}
        return _ran(expression.program, self._read[language])


def evaluate(
    expression: Expression, event: EventState, old: EventState | None, now: datetime
) -> bool | str:
    """Whether the expression holds, or why that cannot be said."""
    return Occasion(event, old, now).holds(expression)


def _ran(program: Any, given: dict[str, Any]) -> bool | str:
    try:
        result = program.eval(data=given)
        # No other value is read: that of a NULL result frees None once too often, which ends
        # CPython.
        kind = result.type().name()
        said = result.value() if kind in ("BOOL", "ERROR") else f"Is {kind}, not true or false."
    except Exception as error:  # the iteration budget, a key that is there twice
        said = str(error)
    return said if isinstance(said, bool) else str(said)[:_LONGEST_ERROR]


_LONGEST_ERROR = 300


class _ExpressionError(Exception):
    """What is wrong with a text, each with its offset."""

    def __init__(self, found: list[tuple[int, str]]) -> None:
        super().__init__(found)
        self.found = found


@lru_cache(maxsize=1024)
def _compiled(text: str, form: Form, limits: Limits) -> Expression | tuple[ExpressionProblem, ...]:
    try:
        _look_at_text(text, limits)
        language = _language(form)
        parsed = _tree(text, language.checker, disable_check=True)
        _look_at_tree(parsed, limits)
        checked = _checked(text, parsed, language.checker)
        steps = cost(checked, form, limits)
        _look_at_verdict(checked, steps, limits)
        fields = _fields_named(checked)
        _ask_instants_for_null(checked, language.scope)
        program = language.runner.deserialize(checked.serialized())
        return Expression(text, form, fields, steps, language, program)
    except _ExpressionError as refused:
        problems = [wrong(message, text, offset) for offset, message in sorted(refused.found)]
        return tuple(dict.fromkeys(problems))


class _Language:
    """The scope of a form and its two environments: expressions are checked in one and run in the
    other, where `old` may be null, as no variable of a message type can.
    """

    def __init__(self, form: Form) -> None:
        self.scope = Scope(form)
        typed = {"event": cel.Type(EVENT), "old": cel.Type(EVENT), "now": cel.Type.TIMESTAMP}
        untyped = dict.fromkeys(typed, cel.Type.DYN)
        self.checker = cel.NewEnv(self.scope.checked, variables=typed)
        self.runner = cel.NewEnv(self.scope.running, variables=untyped)


_language = lru_cache(maxsize=256)(_Language)


def _tree(text: str, language: Any, *, disable_check: bool = False) -> Tree:
    try:
        return Tree(language.compile(text, disable_check=disable_check).serialize())
    except DecodeError:
        raise _ExpressionError([(0, TOO_DEEP)]) from None
    except RuntimeError as error:
        raise _ExpressionError(list(told(str(error), text))) from None


def _look_at_text(text: str, limits: Limits) -> None:
    if unkept := text_problems(text, limits.expression):
        raise _ExpressionError([(0, each.message) for each in unkept])


def _look_at_tree(tree: Tree, limits: Limits) -> None:
    """Refuses what the check of types, or the run, could hang on."""
    found = [
        (tree.offsets.get(node.id, 0), message)
        for node in tree.nodes()
        for message in _hazards(node)
    ]
    if macros_deep(tree.root) > limits.expression_macros:
        found.append((0, f"Has macros more than {limits.expression_macros} deep."))
    if found:
        raise _ExpressionError(found)


def _look_at_verdict(tree: Tree, steps: int, limits: Limits) -> None:
    if not tree.is_truth(tree.root):
        raise _ExpressionError([(0, "Must be true or false.")])
    if steps > limits.expression_steps:
        most = f"could take {steps:,} steps; at most {limits.expression_steps:,}"
        raise _ExpressionError([(0, f"With the largest event this {most}.")])


def _hazards(node: Node) -> Iterator[str]:
    kind = node.WhichOneof("kind")
    if kind == "struct" and node.struct.message:
        yield f"{node.struct.message} cannot be made in an expression."
    elif kind == "struct":
        # The type of {a: a} is twice as long as that of a: thirty of them in a chain hang.
        if any(entry.key.WhichOneof("kind") != "const" for entry in node.struct.entries):
            yield "The keys of a map must be literals."
    elif kind == "call" and (given := inner(node)):
        said = literal_text(given[-1])
        if node.call.function == "matches" and not _is_pattern(said):
            yield _NO_PATTERN
        if node.call.function.startswith("get") and node.call.args and not _is_zone(said):
            yield _NO_ZONE


_NO_PATTERN = (
    "A pattern must be a literal, and a regular expression that server and browsers read alike "
    "(no lookaround, backreference or named group; the flag (?i) may come first)."
)
_NO_ZONE = "A time zone must be a literal, as 'Europe/Berlin' or '+02:00', and be known."
_PROBE = cel.NewEnv(variables={"said": cel.Type.STRING})
_PATTERN = _PROBE.compile("''.matches(said)")
_HOURS = _PROBE.compile("timestamp(0).getHours(said) >= 0")
# CEL reads a zone from the file of its name: a path could name a pipe, and wait for ever.
_ZONE = re.compile(r"[A-Z]\w*(?:[/+-]\w+)*|[+-][0-9]{2}:[0-9]{2}", re.ASCII)


def _is_pattern(said: str | None) -> bool:
    if said is None or not is_common(said.removeprefix("(?i)")):
        return False
    return isinstance(_ran(_PATTERN, {"said": said}), bool)


def _is_zone(said: str | None) -> bool:
    if said is None or not _ZONE.fullmatch(said):
        return False
    return isinstance(_ran(_HOURS, {"said": said}), bool)


def _checked(text: str, parsed: Tree, language: Any) -> Tree:
    """The tree with its types. Where only a double fits, an integer literal is written as one."""
    ends: set[int] = set()
    while True:
        written = _written(text, ends)
        try:
            tree = _tree(written, language)
            clashing = {
                _unwritten(tree.offsets.get(node.id, 0), ends)
                for node in tree.nodes()
                if is_arithmetic(node) and any(map(tree.is_dynamic, inner(node)))
            }
            found = []
        except _ExpressionError as refused:
            found = [
                (_unwritten(offset, ends), message) for offset, message in sorted(refused.found)
            ]
            clashing = {at for at, said in found if NO_OVERLOAD in said and "double" in said}
        wanted = {
            end
            for node in parsed.nodes()
            if takes_numbers(node) and parsed.offsets.get(node.id) in clashing
            for end in _literal_ends(text, parsed, node)
        }
        if wanted <= ends:
            if found:
                raise _ExpressionError(found)
            return tree
        ends |= wanted


def _literal_ends(text: str, tree: Tree, node: Node) -> Iterator[int]:
    for literal in (each for part in inner(node) for each in whole_numbers(part)):
        if found := _WHOLE_NUMBER.match(text, tree.offsets[literal.id]):
            yield found.end()


_WHOLE_NUMBER = re.compile(r"-?\s*[0-9]+(?![0-9xX])")


def _written(text: str, ends: set[int]) -> str:
    parts = [text[begin:end] for begin, end in pairwise([0, *sorted(ends), len(text)])]
    return ".0".join(parts)


def _unwritten(offset: int, ends: set[int]) -> int:
    """The offset in the text as it was given."""
    for end in sorted(ends):
        if offset >= end + len(".0"):
            offset -= len(".0")
    return offset


def _fields_named(tree: Tree) -> frozenset[str]:
    """The custom fields that are asked for, by whichever way the expression came to them."""
    named = set()
    for node in tree.nodes():
        if node.WhichOneof("kind") == "select":
            operand, name = node.select.operand, node.select.field
        elif node.WhichOneof("kind") == "call" and node.call.function == "_[_]":
            operand, name = node.call.args[0], literal_text(node.call.args[1])
        else:
            continue
        if name is not None and (tree.message_of(operand) == FIELDS or tree.is_dynamic(operand)):
            named.add(name)
    return frozenset(named)


def _ask_instants_for_null(tree: Tree, scope: Scope) -> None:
    """An instant is there in every event, as a null where it is absent: has() must not say so."""
    for node in list(tree.nodes()):
        if (
            node.WhichOneof("kind") == "select"
            and node.select.test_only
            and tree.message_of(node.select.operand) == FIELDS
            and scope.is_instant(node.select.field)
        ):
            tree.ask_for_null(node)

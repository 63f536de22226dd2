"""Compiles and evaluates expressions in CEL: those of guard rules, and those of the mappings of
sources. Only this module and `expression_environments` use CEL.

CEL never receives anything that could block it or crash the process: the length of texts is
limited, trees are validated before the type check, and the cost is estimated before evaluation.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from functools import lru_cache
from itertools import pairwise
from typing import TYPE_CHECKING, Any

from google.protobuf.message import DecodeError

from app.domain.event_types.patterns import is_portable_pattern
from app.domain.events.state import EventState
from app.domain.rules.expression_comparisons import ComparisonFinder
from app.domain.rules.expression_constants import ConstantFinder, describe_constant_error
from app.domain.rules.expression_costs import estimate_cost, estimate_mapping_cost
from app.domain.rules.expression_messages import (
    FIELDS_MESSAGE,
    MAPPED_VALUE_MESSAGE,
    EventMessages,
    TypeFields,
    build_json_message,
    read_mapped_value,
    to_timestamp,
)
from app.domain.rules.expression_problems import (
    NO_OVERLOAD_MESSAGE,
    TOO_DEEP_MESSAGE,
    ExpressionProblem,
    expression_problem,
    parse_cel_errors,
    strip_status_code,
)
from app.domain.rules.expression_references import References, find_references
from app.domain.rules.expression_trees import (
    ExpressionTree,
    Node,
    child_nodes,
    integer_literals,
    is_access,
    is_arithmetic,
    is_extremum,
    is_numeric_operator,
    is_optional_access,
    literal_string,
    macro_depth,
)
from app.domain.shared.limits import Limits
from app.domain.shared.messages import limit_message, quote_value
from app.domain.shared.values import validate_text

if TYPE_CHECKING:
    from app.domain.rules.expression_environments import Checker, Environments


@dataclass(frozen=True)
class Expression:
    """An expression compiled for the fields of an event type.

    `type_fields` is None for events of all types. `field_names` are the custom fields that the
    expression uses, `steps` is its maximum cost. `problems` prevent that a rule is saved, such as
    constants that can never be evaluated. A rule that was saved with them stays in effect.
    `unknown_options` are fields with the strings that they are compared with, and that are none of
    their options. `references` is what the expression reads from events.
    """

    text: str
    type_fields: TypeFields
    field_names: frozenset[str]
    steps: int
    problems: tuple[ExpressionProblem, ...]
    unknown_options: frozenset[tuple[str, str]]
    references: References
    environments: Environments = field(repr=False, compare=False)
    program: Any = field(repr=False, compare=False)


def compile_expression(
    text: str, type_fields: TypeFields, limits: Limits
) -> Expression | list[ExpressionProblem]:
    """Compiles an expression, or returns its errors."""
    compiled = _compile_cached(text, type_fields, limits)
    return compiled if isinstance(compiled, Expression) else list(compiled)


def validate_expression(
    text: str, type_fields: TypeFields, limits: Limits
) -> list[ExpressionProblem]:
    """Returns the problems that prevent that an expression is saved."""
    compiled = _compile_cached(text, type_fields, limits)
    return list(compiled.problems if isinstance(compiled, Expression) else compiled)


class EvaluationContext:
    """The variables of an evaluation: the event, its previous state, and the time.

    Messages are cached per environment, because a large event takes 0.1 s to convert.
    """

    def __init__(self, event: EventState, old: EventState | None, now: datetime) -> None:
        self._event, self._old, self._now = event, old, to_timestamp(now)
        self._variables: dict[Environments, dict[str, Any]] = {}

    def evaluate(self, expression: Expression) -> bool | str:
        """Returns the result of the expression, or the error message of the evaluation."""
        environments = expression.environments
        if environments not in self._variables:
            build_message = environments.messages.build_message
            old = None if self._old is None else build_message(self._old)
            self._variables[environments] = {
                "event": build_message(self._event),
                "old": old,
                "now": self._now,
            }
        return _run_program(expression.program, self._variables[environments])

    def find_absent(self, expression: Expression, error: str) -> list[str]:
        """Returns the absent values that an evaluation error is about, such as `event.content`."""
        if _ABSENCE_ERROR.search(error) is None:
            return []
        return expression.references.find_absent(self._event, self._old)

    def describe_values(self, expression: Expression) -> list[str]:
        """Describes what the expression reads from the event, such as `event.content is absent`."""
        return expression.references.describe_values(self._event)


def _run_program(program: Any, variables: dict[str, Any]) -> bool | str:
    kind, value = _evaluate_program(program, variables)
    if kind == "BOOL":
        return bool(value)
    if kind == "ERROR":
        return str(value)[:_MAX_ERROR_LENGTH]
    return f"The result is of type {kind}. It must be true or false."


def _evaluate_program(program: Any, variables: dict[str, Any]) -> tuple[str, Any]:
    """Returns the type of the result, and the value of a boolean, a string or an error."""
    try:
        result = program.eval(data=variables)
        kind = result.type().name()
        # No other value may be read: reading a NULL result releases None once too often, which
        # crashes CPython.
        return kind, result.value() if kind in _READABLE_KINDS else None
    except TypeError:  # the library has no type for optional values, and reports ERROR
        return "OPTIONAL", None
    except Exception as error:  # the iteration budget was exceeded, or a key is repeated
        return "ERROR", str(error)


_MAX_ERROR_LENGTH = 300
_READABLE_KINDS = frozenset({"BOOL", "STRING", "ERROR", MAPPED_VALUE_MESSAGE})
# CEL's errors about an operand that is null, a missing key or element, and an event that is null.
# Logical operators report no types.
_ABSENCE_ERROR = re.compile(
    r"null_type|No matching overloads found : [^(]*$|of type NULL|Key not found|Index error|"
    r"to non-message type|optional\.none\(\) dereference"
)


@dataclass(frozen=True)
class MappingExpression:
    """An expression of a mapping, with a value of any JSON type. `steps`: its maximum cost."""

    text: str
    steps: int
    program: Any = field(repr=False, compare=False)


_OPTIONAL_TYPE = "optional_type<"
# CEL's errors about a member of a value that is not an object: `.name` and `.?name`.
_NOT_OBJECT_ERROR = re.compile(r"to non-message type|overloads found : _\?\._")


class MappingError(Exception):
    """An expression of a mapping has no value for this payload. The message says why."""


def compile_mapping_expression(
    text: str, limits: Limits
) -> MappingExpression | list[ExpressionProblem]:
    """Compiles an expression over `body` and `headers`, or returns its errors."""
    compiled = _compile_mapping_cached(text, limits)
    return compiled if isinstance(compiled, MappingExpression) else list(compiled)


class MappingContext:
    """The variables of the expressions of a mapping: a JSON value, and headers by name."""

    def __init__(self, body: Any, headers: Mapping[str, str]) -> None:
        self._variables = {"body": build_json_message(body), "headers": dict(headers)}

    def evaluate(self, expression: MappingExpression) -> Any:
        """Returns the JSON value of the expression; None if it is absent. Raises MappingError."""
        kind, value = _evaluate_program(expression.program, self._variables)
        if kind != MAPPED_VALUE_MESSAGE:
            reason = str(value) if kind == "ERROR" else f"the result is of type {kind}"
            if _NOT_OBJECT_ERROR.search(reason):
                raise MappingError("A value before `.` is not an object.")
            raise MappingError(
                f"{strip_status_code(reason)[:_MAX_ERROR_LENGTH]}. For a key that may be absent, "
                "write `.?name` instead of `.name`."
            )
        return read_mapped_value(value)


class _ExpressionError(Exception):
    """Errors in an expression, each with its offset."""

    def __init__(self, errors: list[tuple[int, str]]) -> None:
        super().__init__(errors)
        self.errors = errors


@lru_cache(maxsize=1024)
def _compile_cached(
    text: str, type_fields: TypeFields, limits: Limits
) -> Expression | tuple[ExpressionProblem, ...]:
    from app.domain.rules.expression_environments import get_environments

    try:
        _validate_expression_text(text, limits)
        environments = get_environments(type_fields)
        parsed = _parse_tree(text, environments.checker, disable_check=True)
        _validate_tree(parsed, limits)
        tree, _ = _check_types(text, parsed, environments.checker)
        steps = estimate_cost(tree, type_fields, limits)
        _validate_result(tree)
        _validate_steps(steps, limits, "event")
        field_names = _find_field_names(tree)
        constants = _ConstantEvaluator(tree, environments.runner)
        comparisons = ComparisonFinder.create(tree, type_fields, constants.evaluate_string)
        unknown_values = list(comparisons.find_unknown_values())
        errors = [
            *constants.find_errors(),
            *((each.node, each.message) for each in unknown_values),
        ]
        references = find_references(tree)
        _replace_instant_tests(tree, environments.messages)
        program = environments.runner.deserialize(tree.serialize())
        problems = _locate_problems(
            text, [(parsed.offsets.get(node.id, 0), message) for node, message in errors]
        )
        return Expression(
            text,
            type_fields,
            field_names,
            steps,
            problems,
            frozenset(each.option for each in unknown_values if each.option is not None),
            references,
            environments,
            program,
        )
    except _ExpressionError as error:
        return _locate_problems(text, error.errors)


@lru_cache(maxsize=1024)
def _compile_mapping_cached(
    text: str, limits: Limits
) -> MappingExpression | tuple[ExpressionProblem, ...]:
    from app.domain.rules.expression_environments import MAPPING_CHECKER

    try:
        _validate_expression_text(text, limits)
        parsed = _parse_tree(text, MAPPING_CHECKER, disable_check=True)
        _validate_tree(parsed, limits)
        tree, suffixed = _check_types(text, parsed, MAPPING_CHECKER)
        steps = estimate_mapping_cost(tree, limits)
        _validate_steps(steps, limits, "payload")
        environment = MAPPING_CHECKER.environment
        constants = _ConstantEvaluator(tree, environment, is_condition=False)
        errors = [
            (parsed.offsets.get(node.id, 0), message) for node, message in constants.find_errors()
        ]
        if errors:
            raise _ExpressionError(errors)
        # As a message, because the library cannot read null, nor lists and maps that contain it.
        # The line breaks end a comment.
        return_type = environment.compile(suffixed).return_type().name()
        is_optional = return_type.startswith(_OPTIONAL_TYPE)
        value = f"?value: (\n{suffixed}\n)" if is_optional else f"value: dyn(\n{suffixed}\n)"
        program = environment.compile(f"{MAPPED_VALUE_MESSAGE}{{{value}}}")
        return MappingExpression(text, steps, program)
    except _ExpressionError as error:
        return _locate_problems(text, error.errors)


def _locate_problems(text: str, errors: list[tuple[int, str]]) -> tuple[ExpressionProblem, ...]:
    problems = [expression_problem(message, text, offset) for offset, message in sorted(errors)]
    return tuple(dict.fromkeys(problems))


def _parse_tree(text: str, checker: Checker, *, disable_check: bool = False) -> ExpressionTree:
    try:
        expression = checker.environment.compile(text, disable_check=disable_check)
        return ExpressionTree(expression.serialize())
    except DecodeError:
        raise _ExpressionError([(0, TOO_DEEP_MESSAGE)]) from None
    except RuntimeError as error:
        errors = parse_cel_errors(str(error), text, checker.variables, checker.find_path)
        raise _ExpressionError(list(errors)) from None


def _validate_expression_text(text: str, limits: Limits) -> None:
    if not text.strip():
        raise _ExpressionError([(0, "The expression must not be empty.")])
    if problems := validate_text(text, limits.expression_characters, "expression"):
        raise _ExpressionError([(0, problem.message) for problem in problems])


def _validate_tree(tree: ExpressionTree, limits: Limits) -> None:
    """Rejects trees for which the type check or the evaluation could take forever."""
    errors = [
        (tree.offsets.get(node.id, 0), message)
        for node in tree.iterate_nodes()
        for message in _find_hazards(node)
    ]
    if (depth := macro_depth(tree.root)) > limits.expression_macros:
        message = limit_message(
            limits.expression_macros,
            "level of nested macros",
            "this expression",
            depth,
            plural="levels of nested macros",
        )
        errors.append((0, message))
    if errors:
        raise _ExpressionError(errors)


class _ConstantEvaluator:
    """Evaluates the constant parts of a checked tree."""

    def __init__(self, tree: ExpressionTree, runner: Any, *, is_condition: bool = True) -> None:
        self._tree, self._runner, self._is_condition = tree, runner, is_condition
        self._finder = ConstantFinder.create(tree, self._find_error)

    def find_errors(self) -> Iterator[tuple[Node, str]]:
        """Yields the constant parts that can never be evaluated, with messages."""
        for node, error in self._finder.find_errors():
            yield node, describe_constant_error(node, error)

    def evaluate_string(self, node: Node) -> str | None:
        """Returns the value of a part that is a constant string, otherwise None."""
        if not self._finder.constants[node.id]:
            return None
        kind, value = self._evaluate(node)
        return str(value) if kind == "STRING" else None

    def _find_error(self, node: Node) -> str | None:
        kind, error = self._evaluate(node)
        is_result = self._is_condition and node.id == self._tree.root.id
        if kind in ("BOOL", "ERROR") or not is_result:
            return str(error) if kind == "ERROR" else None
        return f"its result is of type {kind}, not true or false"

    def _evaluate(self, node: Node) -> tuple[str, Any]:
        program = self._runner.deserialize(self._tree.serialize_node(node))
        return _evaluate_program(program, {})


def _validate_result(tree: ExpressionTree) -> None:
    if not tree.may_be_boolean(tree.root):
        raise _ExpressionError([(0, "The expression must evaluate to true or false.")])


def _validate_steps(steps: int, limits: Limits, subject: str) -> None:
    if steps > limits.expression_steps:
        message = (
            f"At most {limits.expression_steps:,} evaluation steps are allowed; for the largest "
            f"possible {subject}, this expression could take {steps:,} steps. Simplify the "
            "expression."
        )
        raise _ExpressionError([(0, message)])


def _find_hazards(node: Node) -> Iterator[str]:
    kind = node.WhichOneof("kind")
    if kind == "struct" and node.struct.message:
        yield f"An expression cannot construct the message {quote_value(node.struct.message)}."
    elif kind == "struct":
        # The type of {a: a} is twice as long as that of a, so a chain of thirty would never finish.
        if any(entry.key.WhichOneof("kind") != "const" for entry in node.struct.entries):
            yield "Map keys must be literals."
    elif kind == "call" and (operands := child_nodes(node)):
        literal = literal_string(operands[-1])
        if node.call.function == "matches" and not _is_pattern(literal):
            yield _INVALID_PATTERN_MESSAGE
        if node.call.function.startswith("get") and node.call.args and not _is_time_zone(literal):
            yield _INVALID_TIME_ZONE_MESSAGE
        if node.call.function == "format" and literal_string(operands[0]) is None:
            yield "The format must be a string literal."


_INVALID_PATTERN_MESSAGE = (
    "The pattern must be a string literal with a regular expression that has no lookaround, "
    "backreferences or named groups, and no flags except (?i) at the start."
)
_INVALID_TIME_ZONE_MESSAGE = (
    "The time zone must be a string literal with a known time zone, such as 'Europe/Berlin' or "
    "'+02:00'."
)
# CEL reads a time zone from the file of that name. A path could name a pipe and block forever.
_TIME_ZONE = re.compile(r"[A-Z]\w*(?:[/+-]\w+)*|[+-](?:[01][0-9]|2[0-3]):[0-5][0-9]", re.ASCII)


def _is_pattern(literal: str | None) -> bool:
    if literal is None or not is_portable_pattern(literal.removeprefix("(?i)")):
        return False
    from app.domain.rules.expression_environments import PATTERN_PROBE

    return isinstance(_run_program(PATTERN_PROBE, {"argument": literal}), bool)


def _is_time_zone(literal: str | None) -> bool:
    if literal is None or not _TIME_ZONE.fullmatch(literal):
        return False
    from app.domain.rules.expression_environments import TIME_ZONE_PROBE

    return isinstance(_run_program(TIME_ZONE_PROBE, {"argument": literal}), bool)


def _check_types(text: str, parsed: ExpressionTree, checker: Checker) -> tuple[ExpressionTree, str]:
    """Checks types. Integer literals become doubles where only a double fits.

    Returns the tree, and the text with these doubles.
    """
    suffix_positions: set[int] = set()
    while True:
        suffixed = _insert_double_suffixes(text, suffix_positions)
        try:
            tree = _parse_tree(suffixed, checker)
            mismatches = {
                _to_original_offset(tree.offsets.get(node.id, 0), suffix_positions)
                for node in tree.iterate_nodes()
                if (is_arithmetic(node) and any(map(tree.is_dynamic, child_nodes(node))))
                or (is_extremum(node) and tree.is_dynamic(node))
            }
            errors = []
        except _ExpressionError as error:
            errors = [
                (_to_original_offset(offset, suffix_positions), message)
                for offset, message in sorted(error.errors)
            ]
            mismatches = {
                offset
                for offset, message in errors
                if NO_OVERLOAD_MESSAGE in message and "double" in message
            }
        required_positions = {
            end
            for node in parsed.iterate_nodes()
            if is_numeric_operator(node) and parsed.offsets.get(node.id) in mismatches
            for end in _find_literal_ends(text, parsed, node)
        }
        if required_positions <= suffix_positions:
            if errors:
                raise _ExpressionError(errors)
            return tree, suffixed
        suffix_positions |= required_positions


def _find_literal_ends(text: str, tree: ExpressionTree, node: Node) -> Iterator[int]:
    for literal in (
        literal for operand in child_nodes(node) for literal in integer_literals(operand)
    ):
        if match := _WHOLE_NUMBER.match(text, tree.offsets[literal.id]):
            yield match.end()


_WHOLE_NUMBER = re.compile(r"-?\s*[0-9]+(?![0-9xX])")


def _insert_double_suffixes(text: str, suffix_positions: set[int]) -> str:
    segments = [
        text[begin:end] for begin, end in pairwise([0, *sorted(suffix_positions), len(text)])
    ]
    return ".0".join(segments)


def _to_original_offset(offset: int, suffix_positions: set[int]) -> int:
    """Converts an offset in the suffixed text to one in the original text."""
    for end in sorted(suffix_positions):
        if offset >= end + len(".0"):
            offset -= len(".0")
    return offset


def _find_field_names(tree: ExpressionTree) -> frozenset[str]:
    """Finds the custom fields that an expression uses, however it accesses them."""
    names = set()
    for node in tree.iterate_nodes():
        if node.WhichOneof("kind") == "select":
            operand, name = node.select.operand, node.select.field
        elif is_access(node):
            operand, name = node.call.args[0], literal_string(node.call.args[1])
        else:
            continue
        if name is not None and (
            tree.message_type(operand) == FIELDS_MESSAGE or tree.is_dynamic(operand)
        ):
            names.add(name)
    return frozenset(names)


def _replace_instant_tests(tree: ExpressionTree, messages: EventMessages) -> None:
    """Replaces tests whether an instant is present: it always is, and null if it is absent."""
    for node in list(tree.iterate_nodes()):
        if node.WhichOneof("kind") == "select" and node.select.test_only:
            if messages.is_instant(tree.message_type(node.select.operand), node.select.field):
                tree.replace_has_with_null_check(node)
        elif is_optional_access(node):
            operand, name = node.call.args
            field = literal_string(name) or ""
            if messages.is_instant(tree.message_type(operand), field):
                tree.replace_optional_with_null_check(node)

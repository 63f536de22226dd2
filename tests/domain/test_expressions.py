"""Expressions: which are valid, their results, and the errors of the others."""

from __future__ import annotations

import re
from datetime import timedelta
from typing import Any

import pytest

from app.domain.event_types.fields import FieldDefinition, FieldKind
from app.domain.events.state import EventState
from app.domain.rules.expression_messages import TypeFields
from app.domain.rules.expressions import (
    Expression,
    compile_expression,
    validate_expression,
)
from app.domain.shared.limits import Limits
from tests.domain.examples import (
    EARLIER,
    NOW,
    evaluate_expression,
    make_event,
    make_field,
    nest_value,
)

FORM = (
    make_field(name="volume_mcf"),
    make_field(name="wells_shut_in", kind=FieldKind.INTEGER),
    make_field(name="cause", kind=FieldKind.SELECT, options=("equipment", "weather", "other")),
    make_field(name="wells", kind=FieldKind.MULTI_SELECT, options=("w-1", "w-2")),
    make_field(name="started_at", kind=FieldKind.DATETIME),
    make_field(name="ended_at", kind=FieldKind.DATETIME),
    make_field(name="reported_on", kind=FieldKind.DATE),
    make_field(name="planned", kind=FieldKind.BOOLEAN),
    make_field(name="remarks", kind=FieldKind.LONG_TEXT),
)
FULL: dict[str, Any] = {
    "volume_mcf": 150,
    "wells_shut_in": 2,
    "cause": "weather",
    "wells": ["w-1"],
    "started_at": "2026-04-10T08:00:00+02:00",
    "reported_on": "2026-04-10",
    "planned": True,
    "remarks": "Storm.",
}


def compile_valid(text: str, form: TypeFields = FORM) -> Expression:
    expression = compile_expression(text, form, Limits())
    assert isinstance(expression, Expression), expression
    return expression


def evaluate_text(
    text: str, values: dict[str, Any], form: TypeFields = FORM, old: EventState | None = None
) -> bool | str:
    return evaluate_expression(compile_valid(text, form), make_event(fields=values), old, NOW)


def compile_problems(
    text: str, form: TypeFields = FORM, limits: Limits | None = None
) -> list[tuple[int, int, str]]:
    problems = compile_expression(text, form, limits or Limits())
    assert isinstance(problems, list), problems
    assert {problem.code.value for problem in problems} == {"EXPRESSION_INVALID"}
    return [(problem.line, problem.column, problem.message) for problem in problems]


def unsaved_problems(text: str, form: TypeFields = FORM) -> list[tuple[int, str]]:
    """Columns and messages of the problems because of which an expression is not saved."""
    problems = validate_expression(text, form, Limits())
    assert problems == list(compile_valid(text, form).problems)
    return [(problem.column, problem.message) for problem in problems]


@pytest.mark.parametrize(
    ("text", "answer"),
    [
        ("event.fields.volume_mcf > 100", True),
        ("event.fields.volume_mcf == 150", True),
        ("event.fields.volume_mcf == 150.0", True),
        ("event.fields.volume_mcf in [1, 150]", True),
        ("event.fields.volume_mcf * 2 - 1 < 60 * 5", True),
        ("event.fields.volume_mcf > -5", True),
        ("event.fields.volume_mcf > (event.fields.planned ? 100 : 200)", True),
        ("event.fields.wells_shut_in == 2", True),
        ("int(event.fields.wells_shut_in) % 2 == 0", True),
        ("event.fields.cause != 'equipment'", True),
        ("event.fields.wells == ['w-1']", True),
        ("'w-2' in event.fields.wells", False),
        ("event.fields.wells.size() == 1", True),
        ("event.fields.planned", True),
        ("event.fields.started_at.getHours() == 6", True),
        ("event.fields.started_at.getHours('Europe/Berlin') == 8", True),
        ("event.fields.started_at < now", True),
        ("now - event.fields.started_at == duration('4h30m')", True),
        ("event.fields.reported_on >= '2026-01-01'", True),
        ("timestamp(event.fields.reported_on + 'T00:00:00Z') < now", True),
        ("event.fields.remarks.matches('(?i)^storm[.]$')", True),
        ("event.fields.remarks.trim().lowerAscii().replace('.', '') == 'storm'", True),
        ("event.summary.split(' ')[0].charAt(0) == 'P'", True),
        ("event.fields.wells.join(', ') == 'w-1'", True),
        ("math.abs(event.fields.volume_mcf - 160) <= 10", True),
        ("math.greatest(event.fields.volume_mcf, 5) + 1 == 151", True),
        ("math.least(1, event.fields.volume_mcf) - 1 == 0", True),
        ("event.fields.?volume_mcf.orValue(0) > 100", True),
        ("event.fields.?cause.orValue('none') != 'none'", True),
        ("event.fields.?started_at.hasValue() && !event.fields.?ended_at.hasValue()", True),
        ("event.fields.?started_at.optMap(at, at < now).orValue(false)", True),
        ("event.fields.?ended_at.orValue(now) == now", True),
        ("event.fields.?volume_mcf.optMap(v, v * 2).orValue(0) == 300", True),
        (
            "'%s, %.1f'.format([event.fields.cause, event.fields.volume_mcf]) == 'weather, 150.0'",
            True,
        ),
    ],
)
def test_a_typed_expression_is_evaluated_on_the_values(text: str, answer: bool) -> None:
    assert evaluate_text(text, FULL) is answer


@pytest.mark.parametrize(
    ("text", "answer"),
    [
        ("event.type == 'pump.tripped'", True),
        ("event.category == 'pumps'", True),
        ("event.entity.type == 'Well' && event.entity.id == 'well-001'", True),
        ("event.severity == 'WARN'", True),
        ("event.outcome == 'FAILURE'", True),
        ("event.summary.startsWith('Pump') && event.content.contains('bearing')", True),
        ("event.source == '//scada/pumps' && event.source_id == 'trip-17'", True),
        ("event.subject == 'pump-3'", True),
        ("event.tags.exists(tag, tag.startsWith('Study:'))", True),
        ("event.notification", True),
        ("event.acknowledged", True),
        ("event.occurred_at < now && event.recorded_at == event.occurred_at", True),
        ("old == null", True),
    ],
)
def test_the_attributes_of_the_event_are_in_scope(text: str, answer: bool) -> None:
    assert evaluate_text(text, {}) is answer


@pytest.mark.parametrize("field", FORM, ids=lambda field: field.kind.value)
def test_an_absent_field_is_null_and_has_is_false(field: FieldDefinition) -> None:
    name = field.name

    assert evaluate_text(f"has(event.fields.{name})", {}) is False
    if field.kind is FieldKind.MULTI_SELECT:
        assert evaluate_text(f"event.fields.{name} == []", {}) is True
    else:
        assert evaluate_text(f"event.fields.{name} == null", {}) is True
        assert evaluate_text(
            f"event.fields.{name} != null", FULL | {"ended_at": "2026-04-10T09:00:00Z"}
        )


@pytest.mark.parametrize(("name", "value"), FULL.items())
def test_has_is_true_for_a_present_field(name: str, value: Any) -> None:
    assert evaluate_text(f"has(event.fields.{name})", {name: value}) is True


@pytest.mark.parametrize(
    ("name", "value"), [("volume_mcf", 0), ("remarks", ""), ("planned", False)]
)
def test_zero_and_empty_values_are_not_absent(name: str, value: Any) -> None:
    assert (
        evaluate_text(f"has(event.fields.{name}) && event.fields.{name} != null", {name: value})
        is True
    )


def test_only_an_organization_wide_rule_distinguishes_an_empty_list_from_an_absent_one() -> None:
    has, has_element = "has(event.fields.wells)", "event.fields.wells.size() > 0"

    assert evaluate_text(has, {"wells": []}) is False
    assert evaluate_text(has, {"wells": []}, None) is True
    assert evaluate_text(has, {}, None) is False
    for form in (FORM, None):
        for wells in ([], ["w-1"]):
            present = evaluate_text(f"{has} && {has_element}", {"wells": wells}, form)
            assert present is bool(wells)
        assert evaluate_text(f"{has} && {has_element}", {}, form) is False


@pytest.mark.parametrize("form", [FORM, None], ids=["event type", "organization"])
def test_has_is_false_for_an_attribute_that_is_an_empty_list(form: TypeFields) -> None:
    rule = compile_valid("has(event.tags)", form)

    assert evaluate_expression(rule, make_event(tags=()), None, NOW) is False
    assert evaluate_expression(rule, make_event(tags=("a",)), None, NOW) is True


@pytest.mark.parametrize("attribute", ["content", "subject", "outcome", "source_id", "entity"])
def test_has_is_false_for_an_absent_attribute(attribute: str) -> None:
    event = make_event(**{attribute: None})

    assert evaluate_expression(compile_valid(f"has(event.{attribute})"), event, None, NOW) is False


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("event.fields.volume_mcf > 1", "No matching overloads found : _>_(null_type, double)"),
        ("event.fields.ended_at < now", "No matching overloads found : _<_(null_type, timestamp)"),
        ("event.fields.planned", "The result is of type NULL. It must be true or false."),
        ("old.fields.volume_mcf > 1", "Applying SELECT to non-message type"),
        ("1 / 0 == 1", "divide by zero"),
        ("9223372036854775807 + 1 > 0", "integer overflow"),
        ("timestamp('later') < now", "String to Timestamp conversion failed"),
        ("{'a': 1, 'a': 2}.size() == 1", "duplicate key in map"),
        ("event.tags[7] == 'a'", "Index error: index=7 size=1"),
        ("string(b'\\xff') == ''", "malformed UTF-8"),
        ("event.fields.remarks.trim() == ''", "No matching overloads found : (null_type).trim()"),
        ("event.fields.?volume_mcf.value() > 1", "optional.none() dereference"),
        ("dyn(event.?content)", "The result is of type OPTIONAL. It must be true or false."),
        ("'%d'.format([event.summary]) == ''", "decimal clause can only be used on numbers"),
    ],
)
def test_an_evaluation_error_is_returned_as_its_message(text: str, reason: str) -> None:
    answer = evaluate_text(text, {})

    assert isinstance(answer, str)
    assert reason in answer


def test_an_error_in_an_irrelevant_operand_is_ignored() -> None:
    assert evaluate_text("event.fields.volume_mcf > 1 || true", {}) is True


def test_old_is_the_event_before_the_update() -> None:
    text = "old == null || event.fields.volume_mcf >= old.fields.volume_mcf"

    assert evaluate_text(text, {"volume_mcf": 1}) is True
    assert evaluate_text(text, {"volume_mcf": 1}, old=make_event(fields={"volume_mcf": 0})) is True
    assert evaluate_text(text, {"volume_mcf": 1}, old=make_event(fields={"volume_mcf": 2})) is False


def test_now_is_the_time_of_the_evaluation() -> None:
    within_a_day = compile_valid("now - event.occurred_at <= duration('24h')")

    assert (
        evaluate_expression(within_a_day, make_event(), None, EARLIER + timedelta(hours=24)) is True
    )
    assert (
        evaluate_expression(within_a_day, make_event(), None, EARLIER + timedelta(hours=25))
        is False
    )


@pytest.mark.parametrize(
    ("text", "problems"),
    [
        (
            "event.fields.volume > 1",
            [(1, 13, "Unknown field 'volume': the event type has no such field.")],
        ),
        (
            "event.colour == 'red'",
            [
                (
                    1,
                    6,
                    "Unknown attribute 'colour': events have no such attribute. Custom fields are "
                    "in event.fields.",
                )
            ],
        ),
        (
            "volume_mcf > 1",
            [
                (
                    1,
                    1,
                    "Unknown name 'volume_mcf'. Did you mean event.fields.volume_mcf? The "
                    "available variables are event, old and now.",
                )
            ],
        ),
        (
            "now > occurred_at",
            [
                (
                    1,
                    7,
                    "Unknown name 'occurred_at'. Did you mean event.occurred_at? The available "
                    "variables are event, old and now.",
                )
            ],
        ),
        (
            "event.fields.cause > 5 &&\n  '😀' == event.fields.volume_mcf",
            [
                (1, 20, "'>' cannot be applied to (string, int)."),
                (2, 7, "'==' cannot be applied to (string, double)."),
            ],
        ),
        (
            "event.fields.volume_mcf > 5 && x",
            [(1, 32, "Unknown name 'x'. The available variables are event, old and now.")],
        ),
        ("event.tags.size() > 0.5", [(1, 19, "'>' cannot be applied to (int, double).")]),
        ("event.fields.volume_mcf % 2 == 0", [(1, 25, "'%' cannot be applied to (double, int).")]),
        ("event.fields.volume_mcf", [(1, 1, "The expression must evaluate to true or false.")]),
        ("null", [(1, 1, "The expression must evaluate to true or false.")]),
        ("'\0'", [(1, 1, "Character 2 is U+0000, which is not allowed. Remove the character.")]),
        (
            "'\ud800' == ''",
            [(1, 1, "Character 2 is U+D800, which is not allowed. Remove the character.")],
        ),
    ],
)
def test_an_error_has_its_line_and_column(text: str, problems: list[tuple[int, int, str]]) -> None:
    assert compile_problems(text) == problems


@pytest.mark.parametrize(
    ("text", "line", "column"),
    [("", 1, 1), ("true &&", 1, 8), ("true\n  && &", 2, 6), ("for == 1", 1, 1), ("1 ? 2", 1, 6)],
)
def test_a_syntax_error_has_its_position(text: str, line: int, column: int) -> None:
    assert compile_problems(text)[0][:2] == (line, column)


@pytest.mark.parametrize(
    ("text", "column", "message"),
    [
        ("", 1, "The expression must not be empty."),
        (" \n ", 1, "The expression must not be empty."),
        ("true &&", 8, "The expression is incomplete: a value is missing at the end."),
        ("(true", 6, "The expression is incomplete: ')' is missing at the end."),
        ("1 ? 2", 6, "The expression is incomplete: expected ':' at the end."),
        ("event.severity = 'ERROR'", 16, "Use == instead of = to compare values."),
        ("event.severity === 'ERROR'", 18, "Use == instead of = to compare values."),
        ("true and true", 6, "Use && instead of and."),
        ("true or true", 6, "Use || instead of or."),
        ("not true", 5, "Use ! instead of not."),
        ("true & true", 6, "Use && instead of &."),
        ("true | true", 6, "Use || instead of |."),
        ("event.type == 'a", 15, "The string has no closing quotation mark."),
        ("event.severity <> 'ERROR'", 17, "Unexpected '>'."),
        ("event.type like 'a'", 12, "Unexpected 'like'."),
        ("event..type", 7, "Unexpected '..'."),
        ("a; b", 2, "Unexpected ';'."),
        ("for == 1", 1, "'for' is a reserved word of CEL. Use a different name."),
        (
            "has(event)",
            5,
            "The argument of has() must be an attribute or a field, for example "
            "has(event.content).",
        ),
        ("foo(event)", 4, "Unknown function 'foo', or wrong number of arguments."),
        ("event.type.size(1) > 1", 16, "Unknown function 'size', or wrong number of arguments."),
    ],
)
def test_the_first_mistake_in_the_syntax_is_explained(text: str, column: int, message: str) -> None:
    assert compile_problems(text) == [(1, column, message)]


@pytest.mark.parametrize(
    ("text", "problems"),
    [
        (
            "event.severity == 'CRITICAL'",
            [(16, "Unknown severity 'CRITICAL': expected ERROR, WARN, INFO or SUCCESS.")],
        ),
        (
            "'error' != old.severity || event.outcome in ['SUCCESS', 'FAILED']",
            [
                (9, "Unknown severity 'error': expected ERROR, WARN, INFO or SUCCESS."),
                (42, "Unknown outcome 'FAILED': expected SUCCESS or FAILURE."),
            ],
        ),
        ("event.severity in ['ERROR', 'WARN'] || event.outcome == null", []),
        ("event.summary == 'CRITICAL' || event.severity == event.summary", []),
        (
            "event.fields.cause == 'wether'",
            [
                (
                    20,
                    "Unknown option 'wether' of field 'cause': expected one of 'equipment', "
                    "'weather', 'other'.",
                )
            ],
        ),
        (
            "'' != old.fields.cause || event.fields.cause in ['other', 'none']",
            [(4, ""), (46, "none")],
        ),
        (
            "event.fields.cause in {'none': 1} || event.fields.cause > 'a'",
            [(20, "none"), (57, "a")],
        ),
        ("[event].all(e, e.fields.cause == 'none')", [(31, "none")]),
        ("'w-3' in event.fields.wells", [(7, "w-3")]),
        (
            "event.fields.wells == ['w-1', 'w-3'] || event.fields.wells[0] == 'w-4'",
            [(20, "w-3"), (63, "w-4")],
        ),
        ("event.fields.wells.exists(well, well in ['w-1', 'w-3'])", [(38, "w-3")]),
        ("event.fields.wells.all(w, event.tags.all(w, w == 'w-3'))", []),
        (
            "event.fields.?cause.orValue('') == 'wether' || event.fields.?cause.orValue('') == ''",
            [(33, "wether")],
        ),
        ("event.fields.?cause.value() == 'wether'", [(29, "wether")]),
        ("event.fields.?cause.optMap(c, c == 'wether').orValue(true)", [(33, "wether")]),
        ("event.fields.wells[?0].orValue('') == 'w-3'", [(36, "w-3")]),
        ("event.?outcome.orValue('NONE') in ['NONE', 'SUCCESS']", []),
        ("event.fields.cause in ['weather', 'other'] && 'w-1' in event.fields.wells", []),
        ("event.fields.cause == event.summary || event.summary in ['none']", []),
        ("event.tags.exists(severity, severity == 'CRITICAL')", []),
        # Behind operators, functions and macros that leave a string as it is.
        ("(event.fields.planned ? 'other' : 'none') == event.fields.cause", [(43, "none")]),
        (
            "event.fields.cause in (event.fields.planned ? ['other'] : ['none'] + ['nil'])",
            [(20, "nil"), (20, "none")],
        ),
        ("[[event.fields.cause]] == [['none']]", [(24, "none")]),
        (
            "[event.fields.cause, event.severity] == ['other', 'other']",
            [(38, "Unknown severity 'other': expected ERROR, WARN, INFO or SUCCESS.")],
        ),
        ("['other', 'none'].exists(x, x == event.fields.cause)", [(31, "none")]),
        ("{'none': 1}.all(key, event.fields.cause != key)", [(41, "none")]),
        ("event.fields.wells.exists(w, [w].exists(w, w == 'w-3'))", [(46, "w-3")]),
        ("event.fields.?cause == optional.of('none')", [(21, "none")]),
        (
            "optional.of(event.fields.cause).or(event.?fields.cause).value() == 'none'",
            [(65, "none")],
        ),
        ("event.fields.?cause.optMap(c, c).orValue('') == 'none'", [(46, "none")]),
        ("event.fields.wells.first().orValue('') == 'w-3'", [(40, "w-3")]),
        (
            "dyn(event).fields.cause == 'none' || dyn(event.fields.cause) == dyn('nil')",
            [(25, "none"), (62, "nil")],
        ),
        (
            "event.fields.cause == 'no' + 'ne' || event.fields.cause == 'NIL'.lowerAscii()",
            [(20, "none"), (57, "nil")],
        ),
        ("event.fields.cause == ['other', 'none'][event.tags.size()]", [(20, "none")]),
        ("event.fields.cause == {'a': 'none'}[event.type]", [(20, "none")]),
        # Strings that are in place of an absent value, or that may be meant for another comparison.
        ("event.fields.cause == (has(old.fields.cause) ? old.fields.cause : '')", []),
        ("event.fields.?cause.orValue('') == old.fields.?cause.orValue('none')", []),
        ("(has(event.fields.cause) ? event.fields.cause : 'none') == 'none'", []),
        ("['none'].exists(x, x == event.fields.cause || x == event.summary)", []),
        ("'none' in [event.fields.cause, event.summary]", []),
        ("'ERROR' in [event.fields.cause, event.severity]", []),
        ("[event.severity, event.fields.cause].exists(x, x == 'other')", []),
        ("[event.fields.cause] + [event.severity] == ['other', 'ERROR']", []),
        ("'w-3' in event.fields.wells + ['w-3']", []),
        # Keys of a map that are not compared.
        ("event.fields.cause == {'none': 'other'}[event.type]", []),
        ("event.fields.cause == [{'none': 'other'}][event.tags.size()]['none']", []),
        # Functions that change a string.
        ("event.fields.cause.upperAscii() == 'WEATHER' || event.fields.cause + 's' == 'none'", []),
        ("string(event.fields.planned ? 1 : 2) == event.fields.cause", []),
        ("event.fields.wells.map(well, well + '!') == ['none']", []),
    ],
)
def test_a_comparison_with_a_value_that_an_attribute_never_has_is_found(
    text: str, problems: list[tuple[int, str]]
) -> None:
    unsaved = unsaved_problems(text)

    assert [column for column, _ in unsaved] == [column for column, _ in problems]
    for (_, actual), (_, expected) in zip(unsaved, problems, strict=True):
        assert actual == expected or actual.startswith(f"Unknown option {expected!r} of field ")


def test_no_value_of_a_field_is_unknown_if_the_type_has_other_fields() -> None:
    text = "event.fields.cause == 'wether'"

    assert unsaved_problems(text, (make_field(name="cause", kind=FieldKind.TEXT),)) == []
    assert unsaved_problems(text, None) == []


_NO_DURATION = (
    "Invalid duration '1d': expected numbers with the units h, m, s, ms, us or ns, such as '36h' "
    "or '1h30m'; one day is '24h'."
)
_NO_TIMESTAMP = (
    "Invalid timestamp {}: expected a date and a time with a time zone, such as "
    "'2026-04-10T10:30:00Z'."
)
_NEVER = "This part of the expression can never be evaluated: {}."


@pytest.mark.parametrize(
    ("text", "problems"),
    [
        ("now - event.occurred_at < duration('1d')", [(35, _NO_DURATION)]),
        (
            "event.occurred_at > timestamp('2026-13-01T00:00:00Z')",
            [(30, _NO_TIMESTAMP.format("'2026-13-01T00:00:00Z'"))],
        ),
        ("timestamp('2026-04-10') < now", [(10, _NO_TIMESTAMP.format("'2026-04-10'"))]),
        ("event.tags.size() > int('x')", [(24, _NEVER.format("cannot convert string to int"))]),
        (
            "event.fields.volume_mcf > double('1,5')",
            [(33, _NEVER.format("cannot convert string to double"))],
        ),
        ("event.tags.size() > 1 / (2 - 2)", [(23, _NEVER.format("divide by zero"))]),
        ("int(event.fields.volume_mcf) % 0 == 1", [(30, _NEVER.format("modulus by zero"))]),
        ("event.tags.size() / (1 - 1) == 1", [(19, _NEVER.format("divide by zero"))]),
        (
            "event.tags.size() < 9223372036854775807 + 1",
            [(41, _NEVER.format("integer overflow"))],
        ),
        (
            "event.type in [['a'][1]]",
            [(21, _NEVER.format("Index error: index=1 size=1"))],
        ),
        (
            "event.type in {'a': 1, 'a': 2}",
            [(15, _NEVER.format("duplicate key in map"))],
        ),
        ("dyn(1)", [(4, _NEVER.format("its result is of type INT, not true or false"))]),
        (
            "event.summary == '%y'.format([event.type])",
            [(29, _NEVER.format('unrecognized formatting clause "y"'))],
        ),
        (
            "event.summary == '%s%s'.format([event.type])",
            [(31, _NEVER.format("index 1 out of range"))],
        ),
        (
            "event.type == optional.none().value()",
            [(36, _NEVER.format("optional.none() dereference"))],
        ),
        (
            "now - event.occurred_at < duration(dyn(event.fields.planned ? '1h' : '1d'))",
            [(35, _NO_DURATION)],
        ),
        (
            "duration(event.fields.?remarks.orValue('1d')) < (now - event.occurred_at)",
            [(9, _NO_DURATION)],
        ),
        (
            "int(event.fields.planned ? '1' : event.summary == '' ? 'x' : 'y') == 1",
            [(4, _NEVER.format("cannot convert string to int"))],
        ),
        (
            "event.tags.size() % (event.fields.planned ? 0 : 2) == 1",
            [(19, _NEVER.format("modulus by zero"))],
        ),
        (
            "['a'][event.fields.planned ? 1 : 0] == 'a'",
            [(6, _NEVER.format("Index error: index=1 size=1"))],
        ),
        # Wherever it is, and although the rest of the expression has a result without it.
        ("true || duration('1d') > duration('1s')", [(17, _NO_DURATION)]),
        (
            "event.fields.planned ? int('x') == 1 : true",
            [(27, _NEVER.format("cannot convert string to int"))],
        ),
        (
            "event.tags.all(tag, size(tag) < int('x'))",
            [(36, _NEVER.format("cannot convert string to int"))],
        ),
        (
            "['1d'].all(d, event.fields.planned || duration('1d') < duration(d))",
            [(47, _NO_DURATION)],
        ),
        (
            "['1h', '1d'].all(d, duration(d) > duration('1s'))",
            [(17, _NEVER.format("String to Duration conversion failed"))],
        ),
        (
            "duration('1d') < now - event.occurred_at && 1 / 0 == event.tags.size()",
            [(9, _NO_DURATION), (47, _NEVER.format("divide by zero"))],
        ),
    ],
)
def test_a_constant_that_can_never_be_evaluated_is_found(
    text: str, problems: list[tuple[int, str]]
) -> None:
    assert unsaved_problems(text) == problems


@pytest.mark.parametrize(
    "text",
    [
        "now - event.occurred_at < duration('1h30m')",
        "event.tags.size() / 2 == 1 && event.fields.volume_mcf / 0 > 1.0",
        "int(event.fields.remarks) == int('12')",
        "[1, 0].exists(n, 1 / n == 1)",
        "false || [dyn(1), 'a'].size() == 2",
        "type(event.fields.volume_mcf) == double && null == null",
        "[1].map(event, event + 1) == [2]",
        "optional.of('a').orValue(event.summary) == 'a' && optional.none() == event.?content",
        "'%s %d %f %e %x %b %o %%'.format([1, 2, 3, 4, 5, 6, 7]) == event.summary",
        "'%s %x %f'.format([event.summary, event.summary, event.fields.volume_mcf]) == ''",
        "event.tags[0] == 'a' || event.fields.remarks == string(now)",
        "now - event.occurred_at < duration(event.fields.planned ? '24h' : '1h')",
        "duration(event.fields.planned ? event.summary : '1h') > duration('1s')",
        "event.tags.size() / (event.tags.size() == 0 ? 1 : event.tags.size()) == 1",
        "now.getHours('-23:59') < now.getHours('+14:00')",
    ],
)
def test_constants_that_can_be_evaluated_are_accepted(text: str) -> None:
    assert unsaved_problems(text) == []


_DEEP = (
    "The expression is nested deeper than 32 levels or chains more than 32 operations. Split the "
    "expression into several rules."
)
_NO_PATTERN = (
    "The pattern must be a string literal with a regular expression that has no lookaround, "
    "backreferences or named groups, and no flags except (?i) at the start."
)
_NO_ZONE = (
    "The time zone must be a string literal with a known time zone, such as 'Europe/Berlin' or "
    "'+02:00'."
)


@pytest.mark.parametrize(
    ("text", "column", "message"),
    [
        ("a" * 4_097, 1, "At most 4,096 characters are allowed; expression has 4,097."),
        ("[" * 40 + "]" * 40 + " == []", 1, _DEEP),
        ("1 + " * 40 + "1 > 0", 1, _DEEP),
        (
            "[1].all(a, " * 6 + "true" + ")" * 6,
            1,
            "At most 5 levels of nested macros are allowed; this expression has 6.",
        ),
        ("[1]" + ".map(a, {a: a})" * 20 + " == []", 12, "Map keys must be literals."),
        (
            "google.protobuf.Struct{} == null",
            1,
            "An expression cannot construct the message 'google.protobuf.Struct'.",
        ),
        ("event.content.matches(event.summary)", 22, _NO_PATTERN),
        ("event.content.matches('(')", 22, _NO_PATTERN),
        (r"event.content.matches('(?P<a>b)')", 22, _NO_PATTERN),
        ("now.getHours('/dev/stdin') == 1", 13, _NO_ZONE),
        ("now.getHours('../zone') == 1", 13, _NO_ZONE),
        ("now.getHours('Europe/Atlantis') == 1", 13, _NO_ZONE),
        ("now.getHours('+99:99') == 1", 13, _NO_ZONE),
        ("now.getHours('+24:00') == 1", 13, _NO_ZONE),
        ("now.getHours('-00:60') == 1", 13, _NO_ZONE),
        ("now.getHours(event.summary) == 1", 13, _NO_ZONE),
        ("event.summary.format([1]) == ''", 21, "The format must be a string literal."),
        ("('%s' + '%s').format([1, 2]) == ''", 21, "The format must be a string literal."),
    ],
)
def test_an_expression_that_could_harm_the_server_is_rejected(
    text: str, column: int, message: str
) -> None:
    assert (1, column, message) in compile_problems(text)


@pytest.mark.parametrize(
    "text",
    [
        "event.content.matches('(a?){900}a{900}b')",
        "['x']" + ".map(a, a + a + a + a + a + a + a + a + a + a + a + a)" * 5 + " == []",
        "[dyn(1)]" + ".map(a, [a, a, a, a, a, a, a, a, a, a, a, a, a, a])" * 5 + " == []",
        " + ".join(["event.content"] * 30) + " == ''",
        "[" + "1," * 1_900 + "1].filter(a, true) == []",
        "event.content.replace('a', event.content) == ''",
        "event.content.replace('', event.summary) == ''",
        "event.content.replace('', 'a').replace('', 'aaaaaaaa').replace('', 'aaaaaaaa') == ''",
        "event.content.split('').join(event.content) == ''",
        "event.content.split('').map(a, a + 'b') == []",
        "event.tags.map(a, event.content.split('')) == []",
        "event.content.replace(event.content + 'b', 'c') == ''",
        "event.content.indexOf(event.content + event.content) > 1",
        "event.content.lastIndexOf(event.content + event.content) > 1",
        "event.content.split(event.content + event.content) == []",
        "'" + "%s" * 60 + "'.format([" + "event.content, " * 60 + "]) == ''",
        "'" + "%.1000f" * 300 + "'.format([1.5]).replace('', '" + "a" * 60 + "') == ''",
        "optional.of(event.content)" + ".optMap(a, a + a + a + a)" * 5 + ".orValue('') == ''",
        "optional.of(event.content).value().replace('', event.summary) == ''",
        "event.?content.orValue('').replace('', event.summary) == ''",
        "strings.quote(event.content).replace('', '" + "a" * 60 + "') == ''",
        "event.content.upperAscii().trim().reverse().substring(1).replace('', event.summary) == ''",
    ],
)
def test_an_expression_that_costs_too_much_is_rejected(text: str) -> None:
    [(line, column, message)] = compile_problems(text)

    assert (line, column) == (1, 1)
    assert re.fullmatch(
        "At most 10,000,000 evaluation steps are allowed; for the largest possible event, this "
        "expression could take [0-9,]+ steps. Simplify the expression[.]",
        message,
    )


def test_an_evaluation_is_limited_by_its_iteration_budget() -> None:
    text = "event.fields.all(a, event.fields.all(b, event.fields.all(c, true)))"
    generous = Limits(expression_steps=10**30)
    expression = compile_expression(text, None, generous)
    assert isinstance(expression, Expression)

    answers = [
        evaluate_expression(
            expression, make_event(fields={str(i): 1 for i in range(count)}), None, NOW
        )
        for count in (20, 22)
    ]

    # 20 + 20² + 20³ iterations are within 10,000; those of 22 are not.
    assert answers == [True, "INTERNAL: Iteration budget exceeded [INTERNAL]"]


@pytest.mark.parametrize(
    ("text", "answer"),
    [
        ("event.fields.volume > 100", True),
        ("event.fields.volume * 2 + 1 == 301", True),
        ("event.fields['volume'] in [1, 150]", True),
        ("has(event.fields.nothing)", False),
        ("!has(event.fields.nothing) || event.fields.nothing > 1", True),
        ("has(event.fields.unset) && event.fields.unset == null", True),
        ("event.fields.readings.all(reading, reading * 2 < 10)", True),
        ("event.fields.readings.exists_one(reading, reading == 2)", True),
        ("event.fields.pump.name == 'P-3'", True),
        ("event.fields.all(name, name != 'colour')", True),
        ("'volume' in event.fields", True),
    ],
)
def test_an_expression_for_every_event_has_the_fields_as_a_map(text: str, answer: bool) -> None:
    values = {"volume": 150, "unset": None, "readings": [1, 2.5, 2], "pump": {"name": "P-3"}}

    assert evaluate_text(text, values, None) is answer


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("event.fields.nothing > 1", "Key not found"),
        ("event.fields.nothing == null", "Key not found"),
        ("event.fields.volume > 'a'", "No matching overloads"),
        ("event.fields.volume", "The result is of type DOUBLE. It must be true or false."),
    ],
)
def test_an_expression_for_every_event_fails_on_an_absent_key(text: str, reason: str) -> None:
    answer = evaluate_text(text, {"volume": 150}, None)

    assert isinstance(answer, str)
    assert reason in answer


def test_a_value_nested_too_deeply_is_null() -> None:
    values = {"deep": nest_value(49, 1, key="a")}
    text = "[event.fields.deep" + ".a" * 14 + "].all(deeper, deeper"

    assert evaluate_text(text + ".a" * 14 + " != null)", values, None) is True
    assert evaluate_text(text + ".a" * 15 + " == null)", values, None) is True


@pytest.mark.parametrize(
    ("text", "fields"),
    [
        ("true", set()),
        ("event.type == 'cause'", set()),
        ("event.fields.volume_mcf > 1 && has(event.fields.cause)", {"volume_mcf", "cause"}),
        ("old == null || old.fields.cause == 'other'", {"cause"}),
        ("[event.fields].all(f, f.volume_mcf > 1)", {"volume_mcf"}),
        ("dyn(event).fields.volume_mcf > 1", {"fields", "volume_mcf"}),
        ("event.fields.?cause.orValue('') != ''", {"cause"}),
        ("old.?fields.?cause.hasValue()", set()),
    ],
)
def test_the_fields_that_an_expression_names_are_known(text: str, fields: set[str]) -> None:
    assert compile_valid(text).field_names == fields


@pytest.mark.parametrize(
    "text",
    [
        "event.fields.cause == 'a'",
        "event.fields['cause'] == 'a'",
        "has(old.fields.cause)",
        "event.fields.?cause.hasValue()",
        "event.fields[?'cause'].hasValue()",
    ],
)
def test_the_fields_that_an_expression_for_every_event_names_are_known(text: str) -> None:
    assert compile_valid(text, None).field_names == {"cause"}


def test_an_expression_is_compiled_again_for_changed_fields() -> None:
    text = "event.fields.cause > 5"

    assert compile_problems(text) == [(1, 20, "'>' cannot be applied to (string, int).")]
    assert compile_valid(text, (make_field(name="cause"),)).text == text


def test_fields_with_the_same_name_in_json_are_distinguished() -> None:
    form = (make_field(name="a_b"), make_field(name="a__b"))

    assert (
        evaluate_text("event.fields.a_b < event.fields.a__b", {"a_b": 1, "a__b": 2}, form) is True
    )


def test_a_value_that_no_longer_fits_its_field_is_absent() -> None:
    assert evaluate_text("has(event.fields.volume_mcf)", {"volume_mcf": "150"}) is False

"""Guard rules: which of them an event violates, and the effect on reports and updates."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from typing import Any
from uuid import UUID

import pytest
from hypothesis import given

from app.domain.event_types.fields import FieldDefinition, FieldKind
from app.domain.events.severity import Severity
from app.domain.events.state import Entity, EventDraft
from app.domain.intake.intake import (
    Accepted,
    EventTypeSnapshot,
    Rejected,
    validate_report,
    validate_update,
)
from app.domain.rules.expressions import Expression, compile_expression
from app.domain.rules.guards import (
    Guard,
    GuardEnforcement,
    GuardViolationReason,
    TrialFailure,
    Violation,
    find_trial_failure,
    find_violations,
)
from app.domain.shared.limits import Limits
from app.domain.shared.problems import UserErrorCode
from app.domain.shared.values import format_instant
from tests.domain.examples import (
    EVENT_ID,
    FREE_FORM,
    NOW,
    accepted_event,
    codes_and_paths,
    make_command_context,
    make_event,
    make_event_type,
    make_field,
    rejected_problems,
)
from tests.domain.strategies import ANY_JSON, DRAFTS

RULE_ID = UUID("0196201a-0000-7000-8000-0000000000aa")
FORM = (
    make_field(name="volume_mcf", required=True, minimum=0.0),
    make_field(name="duration_hours"),
    make_field(name="cause", kind=FieldKind.SELECT, options=("equipment", "weather", "other")),
    make_field(name="wells", kind=FieldKind.MULTI_SELECT, options=("w-1", "w-2")),
)


def make_guard(expression: str, *form: FieldDefinition, **overrides: Any) -> Guard:
    """A guard rule of a type if there are fields, otherwise of the whole organization."""
    defaults = {"id": RULE_ID, "name": "volume", "version": 4, "message": "Is too much."}
    return Guard(**defaults | overrides, expression=expression, type_fields=form or None)  # type: ignore[arg-type]


def make_violation(**overrides: Any) -> Violation:
    defaults: dict[str, Any] = {
        "code": UserErrorCode.GUARD_REJECTED,
        "message": "Is too much.",
        "path": ("fields",),
        "rule_id": RULE_ID,
        "version": 4,
        "enforcement": GuardEnforcement.REJECT,
    }
    return Violation(**defaults | overrides)


def event_type_with_guards(*expressions: str, **overrides: Any) -> EventTypeSnapshot:
    return make_event_type(
        *FORM, guards=tuple(make_guard(each, *FORM, **overrides) for each in expressions)
    )


def flare_draft(**values: Any) -> EventDraft:
    return EventDraft(fields={"volume_mcf": 150} | values)


@pytest.mark.parametrize(
    ("expression", "values", "passes"),
    [
        ("event.fields.volume_mcf > 0 && event.fields.volume_mcf <= 500", {}, True),
        ("event.fields.volume_mcf > 150", {}, False),
        ("event.fields.duration_hours <= 24", {"duration_hours": 24}, True),
        ("event.fields.duration_hours <= 24", {"duration_hours": 24.5}, False),
        ("!has(event.fields.duration_hours) || event.fields.duration_hours <= 24", {}, True),
        ("event.fields.cause != 'weather' || event.severity == 'ERROR'", {"cause": "other"}, True),
        (
            "event.fields.cause != 'weather' || event.severity == 'ERROR'",
            {"cause": "weather"},
            False,
        ),
        ("event.fields.wells.size() > 0", {}, False),
        ("event.fields.wells.exists(well, well == 'w-1')", {"wells": ["w-1"]}, True),
        ("event.tags.exists(tag, tag.startsWith('permit:'))", {}, False),
        ("has(event.entity) && event.entity.type == 'Well'", {}, False),
        ("event.occurred_at <= now", {}, True),
        ("old == null", {}, True),
    ],
)
def test_a_report_passes_rules_that_are_true(
    expression: str, values: dict[str, Any], passes: bool
) -> None:
    result = validate_report(
        flare_draft(**values), event_type_with_guards(expression), make_command_context(), EVENT_ID
    )

    assert isinstance(result, Accepted) is passes


def test_a_violation_has_the_rule_and_its_version() -> None:
    result = validate_report(
        flare_draft(),
        event_type_with_guards("event.fields.volume_mcf < 1"),
        make_command_context(),
        EVENT_ID,
    )

    assert result == Rejected((make_violation(),))


NO_VALUE = "Add it to the event, or let the rule test it with has() first."


@pytest.mark.parametrize(
    ("expression", "values", "error"),
    [
        (
            "event.fields.duration_hours <= 24",
            {},
            f"event.fields.duration_hours is absent. {NO_VALUE}",
        ),
        (
            "event.fields.duration_hours <= 24 && event.fields.cause > 'other'",
            {},
            "event.fields.duration_hours, event.fields.cause are absent. Add them to the event, or "
            "let the rule test them with has() first.",
        ),
        (
            "!has(event.fields.cause) && event.fields.duration_hours > event.fields.volume_mcf",
            {},
            f"event.fields.duration_hours is absent. {NO_VALUE}",
        ),
        (
            "event.fields.cause == null && event.content.size() > 1",
            {},
            f"event.content is absent. {NO_VALUE}",
        ),
        (
            "has(event.fields.cause) || event.fields.cause.startsWith('a')",
            {},
            f"event.fields.cause is absent. {NO_VALUE}",
        ),
        ("event.fields.wells[0] == 'w-1'", {}, f"event.fields.wells is absent. {NO_VALUE}"),
        ("event.fields.?cause.value() == 'other'", {}, f"event.fields.cause is absent. {NO_VALUE}"),
        ("event.content.trim() != ''", {}, f"event.content is absent. {NO_VALUE}"),
        (
            "math.abs(event.fields.duration_hours) > 1",
            {},
            f"event.fields.duration_hours is absent. {NO_VALUE}",
        ),
        (
            "old.?content.hasValue()",
            {},
            "old is null, because the event is new. Let the rule begin with old == null ||.",
        ),
        ("event.entity.type.size() > 1", {}, f"event.entity is absent. {NO_VALUE}"),
        (
            "!has(event.content) && !(event.tags[1] == 'a')",
            {},
            "Index error: index=1 size=0. Change the event or the rule.",
        ),
        (
            "event.fields.volume_mcf > old.fields.volume_mcf",
            {},
            "old is null, because the event is new. Let the rule begin with old == null ||.",
        ),
        (
            "10 / (int(event.fields.volume_mcf) - 150) > 1 || has(event.fields.cause)",
            {},
            "divide by zero. Change the event or the rule.",
        ),
    ],
)
def test_a_rule_that_cannot_be_evaluated_names_what_is_absent(
    expression: str, values: dict[str, Any], error: str
) -> None:
    result = validate_report(
        flare_draft(**values), event_type_with_guards(expression), make_command_context(), EVENT_ID
    )

    [violation] = rejected_problems(result)
    assert isinstance(violation, Violation)
    assert violation.reason is GuardViolationReason.NOT_EVALUABLE
    assert violation.message == f"The guard rule 'volume' cannot be evaluated: {error}"


@pytest.mark.parametrize(
    ("expression", "values", "error"),
    [
        ("event.fields.volume > 1", {}, f"event.fields.volume is absent. {NO_VALUE}"),
        ("event.fields.volume > 1", {"volume": None}, f"event.fields.volume is absent. {NO_VALUE}"),
        ("event.fields['a b'] > 1", {}, f"event.fields['a b'] is absent. {NO_VALUE}"),
        (
            "event.fields.pump.name == 'P-3'",
            {"pump": {}},
            f"event.fields.pump.name is absent. {NO_VALUE}",
        ),
        ("event.fields.pump.name == 'P-3'", {}, f"event.fields.pump is absent. {NO_VALUE}"),
        (
            "event.fields.volume > 1",
            {"volume": "much"},
            "No matching overloads found : _>_(string, int64). Change the event or the rule.",
        ),
        (
            "event.fields.volume",
            {"volume": 1},
            "The result is of type DOUBLE. It must be true or false. Change the event or the rule.",
        ),
    ],
)
def test_an_organization_wide_rule_that_cannot_be_evaluated_names_what_is_absent(
    expression: str, values: dict[str, Any], error: str
) -> None:
    command = make_command_context(guards=(make_guard(expression),))

    [violation] = rejected_problems(
        validate_report(EventDraft(fields=values), None, command, EVENT_ID)
    )

    assert violation == make_violation(
        message=f"The guard rule 'volume' cannot be evaluated: {error}",
        reason=GuardViolationReason.NOT_EVALUABLE,
    )


def test_a_field_that_the_previous_event_lacks_is_named() -> None:
    event = make_event(fields={"volume_mcf": 150})

    [violation] = rejected_problems(
        validate_update(
            event,
            {"fields": {"duration_hours": 3}},
            event_type_with_guards("event.fields.duration_hours > old.fields.duration_hours"),
            make_command_context(),
        )
    )

    assert violation.message == (
        "The guard rule 'volume' cannot be evaluated: old.fields.duration_hours is absent. Let the "
        "rule test it with has() first."
    )


def test_a_violation_that_concerns_no_field_has_an_empty_path() -> None:
    result = validate_report(
        flare_draft(),
        event_type_with_guards("event.severity == 'ERROR'"),
        make_command_context(),
        EVENT_ID,
    )

    assert result == Rejected((make_violation(path=()),))


def test_a_violated_warning_rule_accepts_the_event_with_a_warning() -> None:
    spec = event_type_with_guards("event.fields.volume_mcf < 1", enforcement=GuardEnforcement.WARN)

    result = validate_report(flare_draft(), spec, make_command_context(), EVENT_ID)

    assert isinstance(result, Accepted)
    assert result.warnings == (make_violation(enforcement=GuardEnforcement.WARN),)


def test_every_violation_is_reported_with_all_other_problems() -> None:
    spec = event_type_with_guards(
        "event.fields.duration_hours <= 24", "event.severity == 'ERROR'", "true"
    )
    command = make_command_context(guards=(make_guard("has(event.entity)", message="Of what?"),))

    result = validate_report(
        flare_draft(cause="boredom", duration_hours=25), spec, command, EVENT_ID
    )

    assert codes_and_paths(rejected_problems(result)) == [
        ("FIELD_INVALID", ("fields", "cause")),
        ("GUARD_REJECTED", ()),
        ("GUARD_REJECTED", ()),
        ("GUARD_REJECTED", ("fields",)),
    ]


@pytest.mark.parametrize("values", [{"volume_mcf": "much"}, {"volume_mcf": [1]}])
def test_a_rule_that_uses_an_invalid_field_is_not_evaluated(values: dict[str, Any]) -> None:
    spec = event_type_with_guards("event.fields.volume_mcf > 200")

    [problem] = rejected_problems(
        validate_report(flare_draft(**values), spec, make_command_context(), EVENT_ID)
    )

    assert (problem.code.value, problem.path) == ("FIELD_INVALID", ("fields", "volume_mcf"))


@pytest.mark.parametrize("values", ["text", {"deep": [[[]]]}, {"long": "x" * 70_000}])
def test_no_rule_is_evaluated_on_fields_that_cannot_be_stored(values: Any) -> None:
    command = make_command_context(guards=(make_guard("false"),), limits=Limits(fields_depth=2))

    problems = rejected_problems(
        validate_report(EventDraft(fields=values), None, command, EVENT_ID)
    )

    assert codes_and_paths(problems) == [("INVALID_INPUT", ("fields",))]


def test_no_rule_is_evaluated_on_an_event_with_invalid_attributes() -> None:
    problems = rejected_problems(
        validate_report(
            EventDraft(summary="\0"),
            event_type_with_guards("false"),
            make_command_context(),
            EVENT_ID,
        )
    )

    assert codes_and_paths(problems) == [
        ("FIELD_REQUIRED", ("fields", "volume_mcf")),
        ("INVALID_INPUT", ("summary",)),
    ]


def test_organization_wide_rules_apply_to_free_form_events() -> None:
    command = make_command_context(
        guards=(make_guard("!has(event.fields.volume) || event.fields.volume < 100"),)
    )

    assert (
        accepted_event(validate_report(EventDraft(fields={}), None, command, EVENT_ID)).fields == {}
    )
    result = validate_report(EventDraft(fields={"volume": 150}), None, command, EVENT_ID)
    assert result == Rejected((make_violation(),))


def test_rules_are_evaluated_on_the_values_that_will_be_stored() -> None:
    fields = (*FORM, make_field(name="unit", kind=FieldKind.TEXT, default="mcf"))
    guard = make_guard("event.fields.unit == 'mcf' && event.summary == 'Flaring Incident'", *fields)

    result = validate_report(
        flare_draft(), make_event_type(*fields, guards=(guard,)), make_command_context(), EVENT_ID
    )

    assert accepted_event(result).fields["unit"] == "mcf"


GROWS = "old == null || event.fields.volume_mcf >= old.fields.volume_mcf"


@pytest.mark.parametrize(("volume", "passes"), [(150, True), (149, False), (151, True)])
def test_an_update_is_evaluated_with_the_previous_event(volume: float, passes: bool) -> None:
    event = make_event(fields={"volume_mcf": 150})

    result = validate_update(
        event,
        {"fields": {"volume_mcf": volume}},
        event_type_with_guards(GROWS),
        make_command_context(),
    )

    assert isinstance(result, Accepted) is passes
    if not passes:
        assert result == Rejected((make_violation(),))


def test_an_update_without_fields_is_evaluated() -> None:
    event = make_event(fields={"volume_mcf": 150})

    result = validate_update(
        event,
        {"summary": "Over."},
        event_type_with_guards("event.summary != 'Over.'"),
        make_command_context(),
    )

    assert result == Rejected((make_violation(path=()),))


@pytest.mark.parametrize(
    "own",
    [
        (make_field(name="volume_mcf"),),
        (make_field(name="volume_mcf"), make_field(name="duration_hours", kind=FieldKind.TEXT)),
    ],
)
def test_a_rule_with_a_field_that_the_version_lacks_is_skipped(
    own: tuple[FieldDefinition, ...],
) -> None:
    guards = (
        make_guard("event.fields.duration_hours <= 24", *FORM),
        make_guard("event.fields.volume_mcf < 1", *FORM, version=5),
    )
    event = make_event(fields={"volume_mcf": 150})

    result = validate_update(
        event, {"summary": "Over."}, make_event_type(*own, guards=guards), make_command_context()
    )

    assert result == Rejected((make_violation(version=5),))


def test_an_organization_wide_rule_is_never_skipped() -> None:
    command = make_command_context(guards=(make_guard("has(event.fields.approved)"),))

    result = validate_update(FREE_FORM, {"summary": "Over."}, None, command)

    assert result == Rejected((make_violation(),))


def test_a_rule_that_no_longer_compiles_is_not_evaluable() -> None:
    guard = make_guard("event.fields.removed > 1", *FORM)

    [violation] = find_violations([guard], make_event(), None, NOW, Limits(), version_fields=FORM)

    assert violation == make_violation(
        path=(),
        message="The guard rule 'volume' cannot be evaluated: Unknown field 'removed': the event "
        "type has no such field. Change or retire the rule.",
        reason=GuardViolationReason.NOT_EVALUABLE,
    )


@pytest.mark.parametrize(
    ("expression", "message"),
    [
        (
            "event.severity != 'ERROR' || has(event.content)",
            "The expression is false: event.severity is 'ERROR', event.content is absent.",
        ),
        (
            "old == null && event.occurred_at > now && event.fields.volume_mcf < 1.0",
            "The expression is false: old is absent, "
            f"event.occurred_at is '{format_instant(NOW)}', event.fields.volume_mcf is 900.",
        ),
        (
            "size(event.tags) == 1 && event.entity.id == 'w-2'",
            "The expression is false: event.tags is ['a', 'b'], event.entity.id is 'w-1'.",
        ),
        ("has(event.fields.cause)", "The expression is false: event.fields.cause is absent."),
        ("now < now", "The expression is false, and does not depend on the event."),
    ],
)
def test_a_trial_says_what_a_false_expression_reads(expression: str, message: str) -> None:
    compiled = compile_expression(expression, FORM, Limits())
    event = make_event(
        severity=Severity.ERROR,
        content=None,
        occurred_at=NOW,
        tags=("a", "b"),
        entity=Entity("Well", "w-1"),
        fields={"volume_mcf": 900},
    )

    assert isinstance(compiled, Expression)
    failure = find_trial_failure(compiled, event, NOW, FORM)

    assert failure == TrialFailure(GuardViolationReason.VIOLATED, message)


@pytest.mark.parametrize("value", ["text", ["a", "b"], 1.5])
def test_a_trial_describes_a_value_without_members(value: Any) -> None:
    # Names of methods of Python, which are no members of the value.
    expression = "event.severity == 'INFO' && event.fields.doc.title == event.fields.doc.count"
    compiled = compile_expression(expression, None, Limits())
    event = make_event(severity=Severity.ERROR, fields={"doc": value})

    assert isinstance(compiled, Expression)
    failure = find_trial_failure(compiled, event, NOW, ())

    assert failure is not None
    assert failure.message.startswith("The expression is false: event.severity is 'ERROR', ")
    assert "event.fields.doc is " in failure.message


def test_a_trial_passes_an_event_whose_version_lacks_a_field() -> None:
    compiled = compile_expression("event.fields.volume_mcf < 1.0", FORM, Limits())

    assert isinstance(compiled, Expression)
    assert find_trial_failure(compiled, make_event(fields={"volume_mcf": 900}), NOW, ()) is None


def test_rules_use_the_time_of_the_command() -> None:
    spec = event_type_with_guards("now - event.occurred_at <= duration('1h')")
    draft = replace(flare_draft(), occurred_at=NOW - timedelta(hours=2))

    assert validate_report(draft, spec, make_command_context(), EVENT_ID) == Rejected(
        (make_violation(path=()),)
    )
    assert accepted_event(
        validate_report(draft, spec, make_command_context(now=NOW - timedelta(hours=1)), EVENT_ID)
    )


@given(DRAFTS)
def test_rules_can_be_evaluated_on_any_draft(draft: EventDraft) -> None:
    command = make_command_context(guards=(make_guard("event.fields.all(name, name != 'colour')"),))

    assert isinstance(validate_report(draft, None, command, EVENT_ID), Accepted | Rejected)
    assert isinstance(
        validate_report(draft, event_type_with_guards(GROWS), command, EVENT_ID),
        Accepted | Rejected,
    )


@given(ANY_JSON)
def test_rules_can_be_evaluated_on_any_update(values: Any) -> None:
    command = make_command_context(guards=(make_guard("has(event.fields.a)"),))

    assert isinstance(
        validate_update(FREE_FORM, {"fields": values}, None, command), Accepted | Rejected
    )


def test_a_guard_uses_fields_whose_names_have_upper_case() -> None:
    # Also names of methods of protobuf messages, and names that differ only in notation.
    names = (
        "contentLength",
        "content_length",
        "contentlength",
        "Clear",
        "DESCRIPTOR",
        "Extensions",
    )
    values = {name: float(number) for number, name in enumerate(names, 1)}
    form = tuple(make_field(name=name) for name in names)
    expression = " && ".join(
        f"has(event.fields.{name}) && event.fields.{name} == {value}"
        for name, value in values.items()
    )

    violations = find_violations(
        [make_guard(expression, *form)],
        make_event(fields=values),
        None,
        NOW,
        Limits(),
        version_fields=form,
    )

    assert violations == []

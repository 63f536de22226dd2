"""Guards: which rules an event violates, and what becomes of a report and of an update then."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from typing import Any
from uuid import UUID

import pytest
from hypothesis import given

from app.domain.event_types.fields import FieldDefinition, FieldKind
from app.domain.intake.intake import Accepted, Draft, Refused, TypeSpec, judge, revise
from app.domain.rules.guards import Guard, GuardEnforcement, Violation, violations
from app.domain.shared.limits import Limits
from app.domain.shared.problems import UserErrorCode
from tests.domain.examples import (
    EVENT_ID,
    FREE_FORM,
    NOW,
    a_desk,
    a_field,
    a_spec,
    accepted,
    an_event,
    refused,
    told,
)
from tests.domain.strategies import ANY_JSON, DRAFTS

RULE_ID = UUID("0196201a-0000-7000-8000-0000000000aa")
FORM = (
    a_field(name="volume_mcf", required=True, minimum=0.0),
    a_field(name="duration_hours"),
    a_field(name="cause", kind=FieldKind.SELECT, options=("equipment", "weather", "other")),
    a_field(name="wells", kind=FieldKind.MULTI_SELECT, options=("w-1", "w-2")),
)


def a_guard(expression: str, *form: FieldDefinition, **given: Any) -> Guard:
    """A rule of a type that has fields, and of the whole organization without."""
    said = {"id": RULE_ID, "name": "volume", "version": 4, "message": "Is too much."}
    return Guard(**said | given, expression=expression, form=form or None)  # type: ignore[arg-type]


def a_violation(**given: Any) -> Violation:
    said: dict[str, Any] = {
        "code": UserErrorCode.GUARD_REJECTED,
        "message": "Is too much.",
        "path": ("fields",),
        "rule_id": RULE_ID,
        "version": 4,
        "enforcement": GuardEnforcement.REJECT,
    }
    return Violation(**said | given)


def guarded(*expressions: str, **given: Any) -> TypeSpec:
    return a_spec(*FORM, guards=tuple(a_guard(each, *FORM, **given) for each in expressions))


def flared(**values: Any) -> Draft:
    return Draft(fields={"volume_mcf": 150} | values)


@pytest.mark.parametrize(
    ("expression", "values", "passes"),
    [
        ("event.fields.volume_mcf > 0 && event.fields.volume_mcf <= 500", {}, True),
        ("event.fields.volume_mcf > 150", {}, False),
        ("event.fields.duration_hours <= 24", {"duration_hours": 24}, True),
        ("event.fields.duration_hours <= 24", {"duration_hours": 24.5}, False),
        ("event.fields.duration_hours <= 24", {}, False),
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
def test_a_report_passes_the_rules_that_hold(
    expression: str, values: dict[str, Any], passes: bool
) -> None:
    verdict = judge(flared(**values), guarded(expression), a_desk(), EVENT_ID)

    assert isinstance(verdict, Accepted) is passes


def test_a_violation_says_which_rule_and_version() -> None:
    verdict = judge(flared(), guarded("event.fields.volume_mcf < 1"), a_desk(), EVENT_ID)

    assert verdict == Refused((a_violation(),))


def test_a_violation_that_is_about_no_field_is_told_of_the_event() -> None:
    verdict = judge(flared(), guarded("event.severity == 'ERROR'"), a_desk(), EVENT_ID)

    assert verdict == Refused((a_violation(path=()),))


def test_a_rule_that_warns_lets_the_event_pass_and_says_so() -> None:
    spec = guarded("event.fields.volume_mcf < 1", enforcement=GuardEnforcement.WARN)

    verdict = judge(flared(), spec, a_desk(), EVENT_ID)

    assert isinstance(verdict, Accepted)
    assert verdict.warnings == (a_violation(enforcement=GuardEnforcement.WARN),)


def test_every_violation_is_told_with_all_else_that_is_wrong() -> None:
    spec = guarded("event.fields.duration_hours <= 24", "event.severity == 'ERROR'", "true")
    desk = a_desk(guards=(a_guard("has(event.entity)", message="Of what?"),))

    verdict = judge(flared(cause="boredom", duration_hours=25), spec, desk, EVENT_ID)

    assert told(refused(verdict)) == [
        ("FIELD_INVALID", ("fields", "cause")),
        ("GUARD_REJECTED", ()),
        ("GUARD_REJECTED", ()),
        ("GUARD_REJECTED", ("fields",)),
    ]


@pytest.mark.parametrize("values", [{"volume_mcf": "much"}, {"volume_mcf": None}])
def test_a_rule_about_a_field_that_is_wrong_is_not_asked(values: dict[str, Any]) -> None:
    spec = guarded("event.fields.volume_mcf > 200")

    [problem] = refused(judge(flared(**values), spec, a_desk(), EVENT_ID))

    assert (problem.code.value, problem.path) == ("FIELD_INVALID", ("fields", "volume_mcf"))


@pytest.mark.parametrize("values", ["text", {"deep": [[[]]]}, {"long": "x" * 70_000}])
def test_no_rule_is_asked_about_fields_that_cannot_be_kept(values: Any) -> None:
    desk = a_desk(guards=(a_guard("false"),), limits=Limits(fields_depth=2))

    problems = refused(judge(Draft(fields=values), None, desk, EVENT_ID))

    assert told(problems) == [("INVALID_INPUT", ("fields",))]


def test_no_rule_is_asked_about_an_event_whose_attributes_are_wrong() -> None:
    problems = refused(judge(Draft(summary="\0"), guarded("false"), a_desk(), EVENT_ID))

    assert told(problems) == [
        ("FIELD_REQUIRED", ("fields", "volume_mcf")),
        ("INVALID_INPUT", ("summary",)),
    ]


def test_the_rules_of_the_organization_judge_free_form_events_too() -> None:
    desk = a_desk(guards=(a_guard("!has(event.fields.volume) || event.fields.volume < 100"),))

    assert accepted(judge(Draft(fields={}), None, desk, EVENT_ID)).fields == {}
    verdict = judge(Draft(fields={"volume": 150}), None, desk, EVENT_ID)
    assert verdict == Refused((a_violation(),))


def test_rules_see_what_is_stored_and_not_what_was_given() -> None:
    fields = (*FORM, a_field(name="unit", kind=FieldKind.TEXT, default="mcf"))
    guard = a_guard("event.fields.unit == 'mcf' && event.summary == 'Flaring Incident'", *fields)

    verdict = judge(flared(), a_spec(*fields, guards=(guard,)), a_desk(), EVENT_ID)

    assert accepted(verdict).fields["unit"] == "mcf"


GROWS = "old == null || event.fields.volume_mcf >= old.fields.volume_mcf"


@pytest.mark.parametrize(("volume", "passes"), [(150, True), (149, False), (151, True)])
def test_an_update_is_judged_beside_the_event_before_it(volume: float, passes: bool) -> None:
    event = an_event(fields={"volume_mcf": 150})

    verdict = revise(event, {"fields": {"volume_mcf": volume}}, guarded(GROWS), a_desk())

    assert isinstance(verdict, Accepted) is passes
    if not passes:
        assert verdict == Refused((a_violation(),))


def test_an_update_that_leaves_the_fields_alone_is_judged_too() -> None:
    event = an_event(fields={"volume_mcf": 150})

    verdict = revise(event, {"summary": "Over."}, guarded("event.summary != 'Over.'"), a_desk())

    assert verdict == Refused((a_violation(path=()),))


@pytest.mark.parametrize(
    "own",
    [
        (a_field(name="volume_mcf"),),
        (a_field(name="volume_mcf"), a_field(name="duration_hours", kind=FieldKind.TEXT)),
    ],
)
def test_a_rule_that_names_what_the_event_s_version_lacks_is_skipped(
    own: tuple[FieldDefinition, ...],
) -> None:
    guards = (
        a_guard("event.fields.duration_hours <= 24", *FORM),
        a_guard("event.fields.volume_mcf < 1", *FORM, version=5),
    )
    event = an_event(fields={"volume_mcf": 150})

    verdict = revise(event, {"summary": "Over."}, a_spec(*own, guards=guards), a_desk())

    assert verdict == Refused((a_violation(version=5),))


def test_a_rule_of_the_organization_is_never_skipped() -> None:
    desk = a_desk(guards=(a_guard("event.fields.approved"),))

    verdict = revise(FREE_FORM, {"summary": "Over."}, None, desk)

    assert verdict == Refused((a_violation(),))


def test_a_rule_that_no_longer_compiles_does_not_hold() -> None:
    guard = a_guard("event.fields.removed > 1", *FORM)

    [violation] = violations([guard], an_event(), None, NOW, Limits(), own=FORM)

    assert violation == a_violation(path=())


def test_rules_tell_time_by_the_desk() -> None:
    spec = guarded("now - event.occurred_at <= duration('1h')")
    draft = replace(flared(), occurred_at=NOW - timedelta(hours=2))

    assert judge(draft, spec, a_desk(), EVENT_ID) == Refused((a_violation(path=()),))
    assert accepted(judge(draft, spec, a_desk(now=NOW - timedelta(hours=1)), EVENT_ID))


@given(DRAFTS)
def test_a_verdict_on_any_draft_survives_the_rules(draft: Draft) -> None:
    desk = a_desk(guards=(a_guard("event.fields.all(name, name != 'colour')"),))

    assert isinstance(judge(draft, None, desk, EVENT_ID), Accepted | Refused)
    assert isinstance(judge(draft, guarded(GROWS), desk, EVENT_ID), Accepted | Refused)


@given(ANY_JSON)
def test_a_verdict_on_any_update_survives_the_rules(values: Any) -> None:
    desk = a_desk(guards=(a_guard("has(event.fields.a)"),))

    assert isinstance(revise(FREE_FORM, {"fields": values}, None, desk), Accepted | Refused)

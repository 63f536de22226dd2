"""Descriptions of what changed from one version of an event type to the next."""

from __future__ import annotations

from typing import Any

import pytest

from app.domain.event_types.conditions import AllOf, ConditionalEffect, ConditionalRule
from app.domain.event_types.definitions import EventTypeDefinition
from app.domain.event_types.fields import AdditionalFields, FieldDefinition, FieldKind
from app.domain.event_types.version_changes import describe_changes, format_definition

A = FieldDefinition("a", FieldKind.TEXT, min_length=1)
B = FieldDefinition("b", FieldKind.SELECT, options=("x", "y"))
C = FieldDefinition("c", FieldKind.MULTI_SELECT, options=("x", "y"), default=["x"])
HIDE = ConditionalRule("hide it", ConditionalEffect.HIDE, ("a",), AllOf(()))
LETTERS = "abcdefghijkl"
SHOW = ConditionalRule("show it", ConditionalEffect.SHOW, ("b",), AllOf(()))


def define(**attributes: Any) -> EventTypeDefinition:
    return EventTypeDefinition(**{"name": "Gauge", "fields": (A, B), "rules": (HIDE,)} | attributes)


def labelled(*options: str, **labels: str) -> EventTypeDefinition:
    """Defines an event type with one SELECT, which has choices if it has labels."""
    select = FieldDefinition("s", FieldKind.SELECT, options=options, labels=labels or None)
    return define(fields=(select,))


def describe(before: EventTypeDefinition, after: EventTypeDefinition) -> str:
    forms = (format_definition(each.to_json()) for each in (before, after))
    return describe_changes(*forms)


def changed(field: FieldDefinition, **attributes: Any) -> FieldDefinition:
    return FieldDefinition(**{**vars(field), **attributes})


@pytest.mark.parametrize(
    ("before", "after", "summary"),
    [
        (define(), define(name="Meter"), "Changed name from 'Gauge' to 'Meter'. "),
        (define(description="d"), define(), "Changed description from 'd' to none."),
        (define(), define(category="tanks"), "Changed category from 'general' to 'tanks'. "),
        (
            define(),
            define(additional_fields=AdditionalFields.KEEP),
            "Changed additionalFields from 'REFUSE' to 'KEEP'.",
        ),
        (define(), define(fields=(A, B, C)), "Added field 'c' (MULTI_SELECT)."),
        (define(), define(fields=(B,)), "Removed field 'a'."),
        (define(), define(fields=(B, A)), "Reordered the fields."),
        (
            define(),
            define(fields=(changed(A, required=True, min_length=None, label="First"), B)),
            "Changed field 'a': label from 'a' to 'First'; required from false to true; minLength "
            "from 1 to none.",
        ),
        (
            define(),
            define(fields=(A, changed(B, options=("y", "z", "w")))),
            "Changed field 'b': options added 'z', 'w', removed 'x'.",
        ),
        (
            define(),
            define(fields=(A, changed(B, options=("y", "x")))),
            "Changed field 'b': options in another order.",
        ),
        (
            define(fields=(A, C)),
            define(fields=(A, changed(C, default=None))),
            "Changed field 'c': default from 'x' to none.",
        ),
        (
            define(),
            define(fields=(A, changed(B, options=tuple(map(str, range(1_005)))))),
            "Changed field 'b': options added '0', '1', '2', '3', '4', '5', '6', '7', '8', '9' and "
            "995 more, removed 'x', 'y'.",
        ),
        (
            labelled("p", "q", p="Pea"),
            labelled("p", "q", p="Pea2"),
            "Changed field 's': label of 'p' from 'Pea' to 'Pea2'.",
        ),
        (
            labelled("p", "q", p="Pea"),
            labelled("p", "q", "r", p="Pea", r="Are"),
            "Changed field 's': options added 'r'.",
        ),
        (
            labelled("p", "q", p="Pea"),
            labelled("r", "p", q="Queue"),
            "Changed field 's': options added 'r', removed 'q'; labels removed.",
        ),
        (
            labelled("p", "q", p="Pea", q="Queue"),
            labelled("q", "p", q="Queue"),
            "Changed field 's': options in another order; label of 'p' from 'Pea' to 'p'.",
        ),
        (
            labelled("p", "q", p="Pea", q="Queue"),
            labelled("p", "q"),
            "Changed field 's': labels removed.",
        ),
        (
            labelled("p", "q", p="Pea"),
            labelled("q"),
            "Changed field 's': options removed 'p'.",
        ),
        (
            labelled("p", "q"),
            labelled("p", "q", q="Queue"),
            "Changed field 's': label of 'q' from 'q' to 'Queue'.",
        ),
        (
            labelled(*LETTERS, **dict.fromkeys(LETTERS, "x")),
            labelled(*LETTERS, **dict.fromkeys(LETTERS, "y")),
            "Changed field 's': "
            + "; ".join(f"label of '{each}' from 'x' to 'y'" for each in LETTERS[:10])
            + "; 2 more labels.",
        ),
        (
            labelled("p", p="Pea"),
            define(fields=(FieldDefinition("s", FieldKind.TEXT),)),
            "Changed field 's': kind from 'SELECT' to 'TEXT'; options from 'p' to none.",
        ),
        (labelled("p"), labelled("p", p="p"), "No visible change."),
        (define(), define(rules=(HIDE, SHOW)), "Added conditional rule 'show it'."),
        (define(rules=(HIDE, SHOW)), define(rules=(SHOW,)), "Deleted conditional rule 'hide it'."),
        (define(rules=(HIDE, HIDE)), define(), "Deleted conditional rule 'hide it'."),
        (
            define(rules=(HIDE, SHOW)),
            define(
                rules=(
                    HIDE,
                    ConditionalRule(
                        "show it", ConditionalEffect.HIDE, ("a", "b"), AllOf(()), False
                    ),
                )
            ),
            "Changed conditional rule 'show it': effect from 'SHOW' to 'HIDE'; targets added 'a'; "
            "enabled from true to false.",
        ),
    ],
)
def test_a_summary_names_what_changed(
    before: EventTypeDefinition, after: EventTypeDefinition, summary: str
) -> None:
    described = describe(before, after)

    # The type name follows the name and the category.
    type_change = f"Changed type from {before.type_name!r} to {after.type_name!r}. "
    expected = summary if before.type_name == after.type_name else type_change + summary
    assert described == expected.strip()


def test_the_first_version_is_described_by_its_parts() -> None:
    assert describe_changes(None, format_definition(define().to_json())) == (
        "Created with 2 fields and 1 conditional rule."
    )


def test_changed_settings_are_named_if_the_older_version_did_not_store_them() -> None:
    before = format_definition(define().version_definition.to_json())
    after = format_definition(define(name="Meter").to_json())

    assert describe_changes(before, after) == "Changed the type, name, description or category."


def test_only_what_the_older_version_stored_is_compared() -> None:
    before = define().version_definition.to_json()
    del before["additionalFields"]
    after = define(name="Meter", additional_fields=AdditionalFields.DROP, fields=(A, B, C))

    described = describe_changes(format_definition(before), format_definition(after.to_json()))

    assert described == (
        "Changed additionalFields from 'REFUSE' to 'DROP'. Added field 'c' (MULTI_SELECT)."
    )


def test_a_definition_has_the_names_of_the_api_and_no_nulls() -> None:
    assert format_definition(define(description="d").to_json()) == {
        "type": "general.gauge",
        "name": "Gauge",
        "description": "d",
        "category": "general",
        "additionalFields": "REFUSE",
        "fields": [
            {"name": "a", "label": "a", "kind": "TEXT", "required": False, "minLength": 1},
            {"name": "b", "label": "b", "kind": "SELECT", "required": False, "options": ["x", "y"]},
        ],
        "conditionalRules": [
            {
                "name": "hide it",
                "effect": "HIDE",
                "targets": ["a"],
                "condition": {"all": []},
                "enabled": True,
            }
        ],
    }

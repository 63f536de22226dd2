"""Edits of a definition: their problems, and that every accepted edit leaves it valid."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any
from uuid import UUID

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from app.domain.event_types.conditions import (
    AllOf,
    AnyOf,
    Condition,
    ConditionalEffect,
    ConditionalRule,
    Not,
)
from app.domain.event_types.definitions import EventTypeDefinition, validate_definition
from app.domain.event_types.event_type_draft import (
    Edit,
    EventTypeDraft,
    add_field,
    add_rule,
    delete_rule,
    remove_field,
    reorder_fields,
    update_attributes,
    update_field,
    update_rule,
    validate_edit,
)
from app.domain.event_types.fields import FieldDefinition, FieldKind
from app.domain.event_types.json_schema import validate_values
from app.domain.event_types.visibility import resolve_fields
from app.domain.events.predicates import FieldPredicate, PredicateOperator
from app.domain.shared.limits import Limits
from app.domain.shared.problems import Problem
from tests.domain.examples import codes_and_paths

LIMITS = Limits()
A, B, C, D, RULE, OTHER = (UUID(int=n) for n in range(6))
EXISTS = PredicateOperator.EXISTS


def make_rule(target: str, condition_field: str, **overrides: Any) -> ConditionalRule:
    defaults: dict[str, Any] = {
        "name": f"{target} by {condition_field}",
        "effect": ConditionalEffect.SHOW,
        "targets": (target,),
        "condition": FieldPredicate(condition_field, EXISTS),
    }
    return ConditionalRule(**defaults | overrides)


def make_draft() -> EventTypeDraft:
    """Fields a (a number), b and c; b is shown by a."""
    fields = {
        A: FieldDefinition("a", FieldKind.NUMBER, label="a", default=1),
        B: FieldDefinition("b", FieldKind.TEXT, label="b"),
        C: FieldDefinition("c", FieldKind.SELECT, label="c", options=("x", "y")),
    }
    rules = {RULE: make_rule("b", "a", condition=FieldPredicate("a", PredicateOperator.GT, 0))}
    return EventTypeDraft(EventTypeDefinition("Gauge", "gauge", category="general"), fields, rules)


def apply_edit(draft: EventTypeDraft, edit: Edit, limits: Limits = LIMITS) -> list[Problem]:
    """Returns the problems of an edit, which changes the definition only if there are none."""
    work = EventTypeDraft(draft.definition, dict(draft.fields), dict(draft.rules))
    problems = validate_edit(draft, work, edit(work), limits)
    if not problems:
        draft.definition, draft.fields, draft.rules = work.definition, work.fields, work.rules
    return problems


ACCEPTED: list[tuple[Edit, Callable[[EventTypeDraft], Any], Any]] = [
    (update_attributes({"name": "N", "type": "t"}), lambda s: s.definition.type, "t"),
    (update_attributes({"description": None}), lambda s: s.definition.description, None),
    (update_attributes({"category": None}), lambda s: s.definition.category, "general"),
    (add_field(D, FieldDefinition("d", FieldKind.DATE)), lambda s: [*s.fields], [A, B, C, D]),
    (update_field(A, {"minimum": 0.5}), lambda s: s.fields[A].minimum, 0.5),
    (update_field(A, {"label": None}), lambda s: s.fields[A].label, "a"),
    (update_field(A, {"default": None}), lambda s: s.fields[A].default, None),
    (update_field(A, {"kind": FieldKind.INTEGER}), lambda s: s.fields[A].kind, FieldKind.INTEGER),
    (remove_field(C), lambda s: [*s.fields], [A, B]),
    (reorder_fields([C, A, B]), lambda s: [*s.fields], [C, A, B]),
    (add_rule(OTHER, make_rule("c", "b")), lambda s: [*s.rules], [RULE, OTHER]),
    (update_rule(RULE, {"enabled": False}), lambda s: s.rules[RULE].enabled, False),
    (update_rule(RULE, {"targets": ("c", "b")}), lambda s: s.rules[RULE].targets, ("c", "b")),
    (delete_rule(RULE), lambda s: s.rules, {}),
]


@pytest.mark.parametrize(("edit", "read", "expected"), ACCEPTED)
def test_a_valid_edit_is_applied(
    edit: Edit, read: Callable[[EventTypeDraft], Any], expected: Any
) -> None:
    draft = make_draft()

    problems = apply_edit(draft, edit)

    assert (problems, read(draft)) == ([], expected)


REFUSED: list[tuple[Edit, list[str]]] = [
    (
        update_attributes({"name": None, "type": None}),
        ["INVALID_INPUT input.name", "INVALID_INPUT input.type"],
    ),
    (
        update_attributes({"name": "", "type": "a*"}),
        ["INVALID_INPUT input.name", "INVALID_INPUT input.type"],
    ),
    (add_field(D, FieldDefinition("a", FieldKind.TEXT)), ["ALREADY_EXISTS field.name"]),
    (add_field(D, FieldDefinition("d", FieldKind.SELECT)), ["INVALID_INPUT field.options"]),
    (
        add_field(D, FieldDefinition("d", FieldKind.TEXT, default=1)),
        ["INVALID_INPUT field.default"],
    ),
    (update_field(D, {}), ["NOT_FOUND input.id"]),
    (update_field(A, {"kind": None}), ["INVALID_INPUT input.kind"]),
    (update_field(A, {"maximum": 0.5}), ["INVALID_INPUT input.default"]),
    (update_field(A, {"kind": FieldKind.BOOLEAN, "default": None}), ["IN_USE input.kind"]),
    (
        update_field(A, {"kind": FieldKind.BOOLEAN}),
        ["INVALID_INPUT input.default", "IN_USE input.kind"],
    ),
    (remove_field(A), ["IN_USE id"]),
    (remove_field(B), ["IN_USE id"]),
    (remove_field(D), ["NOT_FOUND id"]),
    (reorder_fields([A, B]), ["INVALID_INPUT fieldIds"]),
    (reorder_fields([A, B, C, A]), ["INVALID_INPUT fieldIds"]),
    (reorder_fields([A, B, C, D]), ["INVALID_INPUT fieldIds"]),
    (
        add_rule(OTHER, make_rule("nope", "gone")),
        ["INVALID_INPUT rule.targets.0", "INVALID_INPUT rule.condition.field.field"],
    ),
    (add_rule(OTHER, make_rule("a", "b")), ["CYCLE rule.condition"]),
    (add_rule(OTHER, make_rule("c", "c")), ["CYCLE rule.condition"]),
    (update_rule(RULE, {"targets": ("a",)}), ["CYCLE input.condition"]),
    (
        update_rule(RULE, {"condition": FieldPredicate("a", PredicateOperator.GT, "x")}),
        ["INVALID_INPUT input.condition.field.value"],
    ),
    (
        update_rule(RULE, {"name": None, "enabled": None}),
        ["INVALID_INPUT input.enabled", "INVALID_INPUT input.name"],
    ),
    (update_rule(OTHER, {}), ["NOT_FOUND input.id"]),
    (delete_rule(OTHER), ["NOT_FOUND id"]),
]


@pytest.mark.parametrize(("edit", "expected"), REFUSED)
def test_a_problem_of_an_edit_has_the_path_of_its_input(edit: Edit, expected: list[str]) -> None:
    draft = make_draft()

    problems = apply_edit(draft, edit)

    assert [f"{code} {'.'.join(path)}" for code, path in codes_and_paths(problems)] == sorted(
        expected
    )
    assert draft == make_draft()


def test_an_existing_excess_does_not_prevent_an_edit() -> None:
    narrow = replace(LIMITS, fields_per_type=2, rules_per_type=0)

    assert apply_edit(make_draft(), update_field(B, {"label": "B"}), narrow) == []
    assert apply_edit(make_draft(), update_rule(RULE, {"name": "other"}), narrow) == []
    assert apply_edit(make_draft(), remove_field(C), narrow) == []


def test_nothing_can_be_added_over_the_limit() -> None:
    narrow = replace(LIMITS, fields_per_type=2, rules_per_type=0)

    one_more = apply_edit(make_draft(), add_field(D, FieldDefinition("d", FieldKind.TEXT)), narrow)
    one_rule = apply_edit(make_draft(), add_rule(OTHER, make_rule("c", "b")), narrow)

    assert codes_and_paths(one_more) == [("LIMIT_REACHED", ("field",))]
    assert codes_and_paths(one_rule) == [("LIMIT_REACHED", ("rule",))]


def test_the_rest_is_validated_over_the_limit() -> None:
    narrow = replace(LIMITS, fields_per_type=2, rules_per_type=0)

    pattern = apply_edit(make_draft(), update_field(B, {"pattern": "("}), narrow)
    cycle = apply_edit(make_draft(), update_rule(RULE, {"targets": ("a",)}), narrow)

    assert codes_and_paths(pattern) == [("INVALID_INPUT", ("input", "pattern"))]
    assert codes_and_paths(cycle) == [("CYCLE", ("input", "condition"))]


IDS = st.integers(0, 5).map(lambda n: UUID(int=n))
NAMES = st.sampled_from(["a", "b", "c", "d", "if", ""])
VALUES: st.SearchStrategy[Any] = st.sampled_from(
    [None, 1, 1.5, True, "x", "y", "2026-04-10", ("x",), (1, "x"), ()]
)
PREDICATES = st.builds(FieldPredicate, NAMES, st.sampled_from(PredicateOperator), VALUES)


def _combined_conditions(inner: st.SearchStrategy[Condition]) -> st.SearchStrategy[Condition]:
    several = st.lists(inner, max_size=2).map(tuple)
    return st.builds(AllOf, several) | st.builds(AnyOf, several) | st.builds(Not, inner)


CONDITIONS: st.SearchStrategy[Condition] = st.recursive(
    PREDICATES, _combined_conditions, max_leaves=4
)
TARGETS = st.lists(NAMES, max_size=2).map(tuple)
EFFECTS = st.sampled_from(ConditionalEffect)
RULES = st.builds(ConditionalRule, st.just("r"), EFFECTS, TARGETS, CONDITIONS, st.booleans())
ATTRIBUTES: dict[str, st.SearchStrategy[Any]] = {
    "kind": st.sampled_from(FieldKind),
    "required": st.booleans(),
    "label": st.sampled_from([None, "L", ""]),
    "options": st.sampled_from([None, (), ("x",), ("x", "y"), ("y", "y")]),
    "minimum": st.sampled_from([None, 0.0, 2.0]),
    "maximum": st.sampled_from([None, 1.0, float("inf")]),
    "min_length": st.sampled_from([None, 0, 2, -1]),
    "max_length": st.sampled_from([None, 1]),
    "pattern": st.sampled_from([None, "^x", "(", "[a-"]),
    "default": st.sampled_from([None, 1, "x", ["x"], True, {"a": 1}]),
}
FIELDS = st.fixed_dictionaries(
    {"kind": ATTRIBUTES["kind"]},
    optional={name: ATTRIBUTES[name] for name in ("options", "required", "default")},
)
ATTRIBUTE_CHANGES = st.fixed_dictionaries({}, optional=ATTRIBUTES)
RULE_CHANGES = st.fixed_dictionaries(
    {},
    optional={
        "effect": EFFECTS,
        "targets": TARGETS,
        "condition": CONDITIONS,
        "enabled": st.booleans(),
    },
)
EDITS: st.SearchStrategy[Edit] = st.one_of(
    st.builds(
        lambda field_id, name, given: add_field(field_id, FieldDefinition(name, **given)),
        *(IDS, NAMES, FIELDS),
    ),
    st.builds(update_field, IDS, ATTRIBUTE_CHANGES),
    st.builds(remove_field, IDS),
    st.builds(reorder_fields, st.permutations([A, B, C, D]) | st.lists(IDS, max_size=4)),
    st.builds(add_rule, IDS, RULES),
    st.builds(update_rule, IDS, RULE_CHANGES),
    st.builds(delete_rule, IDS),
    st.builds(
        update_attributes,
        st.fixed_dictionaries(
            {},
            optional={
                "name": st.sampled_from([None, "", "N"]),
                "category": st.sampled_from([None, "c", "\0"]),
            },
        ),
    ),
)
DRAWN = dict.fromkeys("abcd", ATTRIBUTES["default"])


@settings(max_examples=300, suppress_health_check=[HealthCheck.too_slow])
@given(
    edits=st.lists(EDITS, min_size=1, max_size=12),
    values=st.fixed_dictionaries({}, optional=DRAWN),
)
def test_every_accepted_edit_leaves_a_definition_that_validates_values(
    edits: Sequence[Edit], values: dict[str, Any]
) -> None:
    draft = make_draft()

    for edit in edits:
        apply_edit(draft, edit)

    definition = draft.to_definition()
    settled = resolve_fields(definition.fields, definition.rules, values)
    validation = validate_values(definition.fields, settled.values, definition.rules)
    assert validate_definition(definition, LIMITS) == []
    assert "FIELD_HIDDEN" not in {problem.code.value for problem in validation}
    assert {*settled.required} <= {*settled.visible} <= {field.name for field in definition.fields}


def make_draft_with_missing_option() -> EventTypeDraft:
    """A rule compares c with an option that an older version let an edit remove."""
    draft = make_draft()
    condition = FieldPredicate("c", PredicateOperator.IN, ("x", "gone"))
    draft.rules[OTHER] = make_rule("b", "c", condition=condition)
    return draft


@pytest.mark.parametrize(
    "edit",
    [
        update_field(C, {"options": ("x", "y", "z")}),
        update_field(C, {"options": ("x",)}),
        update_field(C, {"options": ("x", "y", "gone")}),
        update_rule(OTHER, {"name": "renamed"}),
        update_rule(OTHER, {"targets": ("b", "a")}),
        delete_rule(RULE),  # the other rule becomes the first one
        reorder_fields([C, B, A]),
    ],
)
def test_an_old_comparison_with_a_missing_option_prevents_no_edit(edit: Edit) -> None:
    assert apply_edit(make_draft_with_missing_option(), edit) == []


@pytest.mark.parametrize(
    ("edit", "problems"),
    [
        (update_field(C, {"options": ("y",)}), [("IN_USE", ("input", "options"))]),
        (
            update_rule(OTHER, {"condition": FieldPredicate("c", PredicateOperator.EQ, "lost")}),
            [("INVALID_INPUT", ("input", "condition", "field", "value"))],
        ),
        (
            add_rule(
                D, make_rule("b", "c", condition=FieldPredicate("c", PredicateOperator.EQ, "z"))
            ),
            [("INVALID_INPUT", ("rule", "condition", "field", "value"))],
        ),
    ],
)
def test_a_new_comparison_with_a_missing_option_is_rejected_beside_an_old_one(
    edit: Edit, problems: list[tuple[str, tuple[str, ...]]]
) -> None:
    assert codes_and_paths(apply_edit(make_draft_with_missing_option(), edit)) == problems


OUT_OF_RANGE = [("INVALID_INPUT", ("input", "maximum"))]


@pytest.mark.parametrize("maximum", [2**53, 2**53 + 1, 2.0**53])
def test_a_stored_bound_that_is_invalid_now_is_rejected_if_it_is_sent_again(maximum: float) -> None:
    draft = make_draft()
    for name in (A, B):
        draft.fields[name] = replace(draft.fields[name], kind=FieldKind.INTEGER, maximum=2**53)

    for field_id in (A, B):
        problems = apply_edit(draft, update_field(field_id, {"maximum": maximum}))
        assert codes_and_paths(problems) == OUT_OF_RANGE
    added = FieldDefinition("added", FieldKind.INTEGER, maximum=maximum)
    assert codes_and_paths(apply_edit(draft, add_field(D, added))) == [
        ("INVALID_INPUT", ("field", "maximum"))
    ]
    assert apply_edit(draft, update_field(A, {"label": "other"})) == []
    assert apply_edit(draft, update_field(A, {"maximum": None})) == []
    assert apply_edit(draft, update_field(B, {"maximum": 2**53 - 1})) == []

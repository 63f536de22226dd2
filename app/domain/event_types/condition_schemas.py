"""Conditional rules in JSON Schema: per field what hangs on them. Flat, without a field defined in
a branch, so that `additionalProperties: false` holds and a form finds every field in `properties`.

Conditions are written out where they are used: react-jsonschema-form keeps compiled conditions by
their text, so that a `$ref` would mean what it meant in the form that was shown first.
`properties` beside each `required`, and `type` everywhere, are what Ajv's strict mode asks for.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

from app.domain.event_types.comparisons import value_schema
from app.domain.event_types.conditions import (
    AllOf,
    AnyOf,
    Condition,
    ConditionalEffect,
    ConditionalRule,
    Not,
    in_force,
)
from app.domain.event_types.fields import FieldDefinition, FieldKind
from app.domain.events.predicates import FieldPredicate, PredicateOperator

Schema = dict[str, Any]


def field_conditions(
    fields: Sequence[FieldDefinition], rules: Sequence[ConditionalRule]
) -> Iterator[Schema]:
    """What the rules say about each field: when it may be there, and when it must."""
    kinds = {field.name: field.kind for field in fields}
    for field in fields:
        name = field.name
        must: Schema = {"properties": {name: {}}, "required": [name]}
        visible = _visible(name, rules, kinds)
        require = _holds(ConditionalEffect.REQUIRE, name, rules, kinds)
        if field.required:
            required = None if visible is None else must
        else:
            required = None if require is None else {"if": require, "then": must}
        if visible is not None:
            then = {} if required is None else {"then": required}
            yield {"if": visible} | then | {"else": {"properties": {name: False}}}
        elif required is not None:
            yield required


def _visible(
    name: str, rules: Sequence[ConditionalRule], kinds: dict[str, FieldKind]
) -> Schema | None:
    """When the field is visible; None: always."""
    show = _holds(ConditionalEffect.SHOW, name, rules, kinds)
    hide = _holds(ConditionalEffect.HIDE, name, rules, kinds)
    if hide is None:
        return show
    return {"not": hide} if show is None else {"allOf": [show, {"not": hide}]}


def _holds(
    effect: ConditionalEffect,
    name: str,
    rules: Sequence[ConditionalRule],
    kinds: dict[str, FieldKind],
) -> Schema | None:
    """When a rule with this effect on the field holds; None: there is no such rule."""
    found = [_schema(rule.condition, kinds) for rule in in_force(rules, effect, name)]
    if not found:
        return None
    return {"anyOf": found} if len(found) > 1 else found[0]


def _schema(condition: Condition, kinds: dict[str, FieldKind]) -> Schema:
    match condition:
        case AllOf(()):
            return {}
        case AnyOf(()):
            return {"not": {}}
        case AllOf(parts):
            return {"allOf": [_schema(part, kinds) for part in parts]}
        case AnyOf(parts):
            return {"anyOf": [_schema(part, kinds) for part in parts]}
        case Not(part):
            return {"not": _schema(part, kinds)}
        case FieldPredicate(field, operator):
            values = value_schema(condition, kinds[field])
            there = {"properties": {field: values}, "required": [field]}
            return {"not": there} if operator is PredicateOperator.NOT_EXISTS else there

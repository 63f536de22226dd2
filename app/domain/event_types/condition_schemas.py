"""Conditional rules in JSON Schema, by field.

A field that is null is absent. No branch defines a field, so that `additionalProperties: false`
works and a form finds every field in `properties`. Conditions are inlined, because
react-jsonschema-form caches compiled conditions by their text, and a `$ref` would resolve to the
definition in the form that was shown first. Ajv's strict mode requires `properties` with each
`required`, and `type` everywhere.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

from app.domain.event_types.comparisons import build_value_schema
from app.domain.event_types.conditions import (
    AllOf,
    AnyOf,
    Condition,
    ConditionalEffect,
    ConditionalRule,
    Not,
    select_enabled_rules,
)
from app.domain.event_types.fields import FieldDefinition, FieldKind
from app.domain.events.predicates import FieldPredicate, PredicateOperator

Schema = dict[str, Any]


def build_field_conditions(
    fields: Sequence[FieldDefinition], rules: Sequence[ConditionalRule]
) -> Iterator[Schema]:
    """Yields the schemas that say when each field may and when it must be present."""
    kinds = {field.name: field.kind for field in fields}
    for field in fields:
        name = field.name
        present = _condition_schema(FieldPredicate(name, PredicateOperator.EXISTS), kinds)
        visible = _visibility_schema(name, rules, kinds)
        require = _effect_schema(ConditionalEffect.REQUIRE, name, rules, kinds)
        if field.required:
            required = None if visible is None else present
        else:
            required = None if require is None else {"if": require, "then": present}
        if visible is not None:
            then = {} if required is None else {"then": required}
            yield {"if": visible} | then | {"else": _absence_schema(name)}
        elif required is not None:
            yield required


def _absence_schema(name: str) -> Schema:
    """Returns the schema of values in which the field is absent or null.

    Forms hide a property only if its schema is false, so null needs a branch of its own.
    """
    is_null = {"properties": {name: {"type": "null"}}, "required": [name]}
    return {"if": {"not": is_null}, "then": {"properties": {name: False}}}


def _visibility_schema(
    name: str, rules: Sequence[ConditionalRule], kinds: dict[str, FieldKind]
) -> Schema | None:
    """Returns the schema that holds when the field is visible. None if it always is."""
    show = _effect_schema(ConditionalEffect.SHOW, name, rules, kinds)
    hide = _effect_schema(ConditionalEffect.HIDE, name, rules, kinds)
    if hide is None:
        return show
    return {"not": hide} if show is None else {"allOf": [show, {"not": hide}]}


def _effect_schema(
    effect: ConditionalEffect,
    name: str,
    rules: Sequence[ConditionalRule],
    kinds: dict[str, FieldKind],
) -> Schema | None:
    """Returns the schema that holds when a rule with this effect does. None without such a rule."""
    schemas = [
        _condition_schema(rule.condition, kinds)
        for rule in select_enabled_rules(rules, effect, name)
    ]
    if not schemas:
        return None
    return {"anyOf": schemas} if len(schemas) > 1 else schemas[0]


def _condition_schema(condition: Condition, kinds: dict[str, FieldKind]) -> Schema:
    match condition:
        case AllOf(()):
            return {}
        case AnyOf(()):
            return {"not": {}}
        case AllOf(operands):
            return {"allOf": [_condition_schema(operand, kinds) for operand in operands]}
        case AnyOf(operands):
            return {"anyOf": [_condition_schema(operand, kinds) for operand in operands]}
        case Not(operand):
            return {"not": _condition_schema(operand, kinds)}
        case FieldPredicate(field, operator):
            values = build_value_schema(condition, kinds[field])
            present = {"properties": {field: values}, "required": [field]}
            return {"not": present} if operator is PredicateOperator.NOT_EXISTS else present

"""Conditional rules in JSON Schema: each rule's condition once under $defs, and per field what
hangs on it. Flat, without a field defined in a branch, so that `additionalProperties: false` holds
and a form can find every field under `properties`.

`properties` beside each `required`, and `type` everywhere, are what Ajv's strict mode asks for.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from app.domain.comparisons import value_schema
from app.domain.conditions import (
    AllOf,
    AnyOf,
    Condition,
    ConditionalEffect,
    ConditionalRule,
    Not,
    in_force,
)
from app.domain.fields import FieldDefinition, FieldKind
from app.domain.predicates import FieldPredicate, PredicateOperator

Schema = dict[str, Any]


def definitions(fields: Sequence[FieldDefinition], rules: Sequence[ConditionalRule]) -> Schema:
    """Every enabled rule's condition under a name of its own, with the rule's name as title."""
    kinds = {field.name: field.kind for field in fields}
    return {
        _key(rules, rule): {"title": rule.name, "type": "object"} | _schema(rule.condition, kinds)
        for rule in rules
        if rule.enabled
    }


def field_conditions(field: FieldDefinition, rules: Sequence[ConditionalRule]) -> list[Schema]:
    """What the rules say about one field: when it may be there, and when it must."""
    name = field.name
    required = {"properties": {name: {}}, "required": [name]}
    require = _holds(rules, ConditionalEffect.REQUIRE, name)
    visible = _visible(name, rules)
    if visible is None:
        return [{"if": require, "then": required}] if require and not field.required else []
    found: Schema = {"if": visible}
    if field.required:
        found["then"] = required
    elif require:
        found["then"] = {"if": require, "then": required}
    return [found | {"else": {"properties": {name: False}}}]


def is_conditional(name: str, rules: Sequence[ConditionalRule]) -> bool:
    """Whether a rule may hide the field."""
    return _visible(name, rules) is not None


def _visible(name: str, rules: Sequence[ConditionalRule]) -> Schema | None:
    show = _holds(rules, ConditionalEffect.SHOW, name)
    hide = _holds(rules, ConditionalEffect.HIDE, name)
    hidden: Schema | None = hide and {"not": hide}
    return {"allOf": [show, hidden]} if show and hidden else show or hidden


def _holds(rules: Sequence[ConditionalRule], effect: ConditionalEffect, name: str) -> Schema | None:
    """One of the enabled rules with this effect on the field holds; None: there is none."""
    found = [{"$ref": f"#/$defs/{_key(rules, rule)}"} for rule in in_force(rules, effect, name)]
    return {"anyOf": found} if len(found) > 1 else found[0] if found else None


def _key(rules: Sequence[ConditionalRule], rule: ConditionalRule) -> str:
    return f"rule_{rules.index(rule) + 1}"


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

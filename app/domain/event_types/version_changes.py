"""Versions of event types as clients see them: their definition, and what changed, in words.

Both are made from the stored form of a version. The form of a version that was created before
settings were stored has no `settings`.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from app.domain.event_types.definitions import VersionDefinition
from app.domain.shared.messages import format_count, quote_value
from app.domain.shared.values import to_camel_case

_MAX_LISTED_VALUES = 10


def format_definition(form: Mapping[str, Any]) -> dict[str, Any]:
    """Returns a stored version in the form of CreateEventTypeInput, without nulls."""
    stored = VersionDefinition.from_json(form).to_json()
    fields, rules = stored.pop("fields"), stored.pop("rules")
    return {
        **form.get("settings", {}),
        **stored,
        "fields": [format_field(field) for field in fields],
        "conditionalRules": rules,
    }


def describe_changes(before: Mapping[str, Any] | None, after: Mapping[str, Any]) -> str:
    """Describes what changed from one definition to the next, in one sentence for each change.

    Both are results of `format_definition`. `before` is None if `after` is the first version.
    """
    if before is None:
        counts = (
            format_count(len(after["fields"]), "field"),
            format_count(len(after["conditionalRules"]), "conditional rule"),
        )
        return f"Created with {counts[0]} and {counts[1]}."
    changes = [
        *_describe_settings(before, after),
        *_describe_fields(before["fields"], after["fields"]),
        *_describe_rules(before["conditionalRules"], after["conditionalRules"]),
    ]
    if changes:
        return " ".join(changes)
    if "name" in before:  # such as a label that is equal to its option
        return "No visible change."
    return "Changed the type, name, description or category."


def format_field(field: Mapping[str, Any]) -> dict[str, Any]:
    """Returns a field in the form of EventFieldInput, without nulls."""
    formatted = {"name": field["name"], "label": field["name"], **field}
    if labels := formatted.pop("labels", None):
        formatted["choices"] = [
            {"value": option, "label": labels.get(option, option)}
            for option in formatted.pop("options")
        ]
    return {to_camel_case(name): value for name, value in formatted.items()}


def _describe_settings(before: Mapping[str, Any], after: Mapping[str, Any]) -> Iterator[str]:
    names = {*before, *(after if "name" in before else ())} - {"fields", "conditionalRules"}
    old, new = ({name: each[name] for name in each if name in names} for each in (before, after))
    for change in _describe_attributes(old, new):
        yield f"Changed {change}."


def _describe_fields(
    before: Sequence[Mapping[str, Any]], after: Sequence[Mapping[str, Any]]
) -> Iterator[str]:
    old, new = ({field["name"]: field for field in fields} for fields in (before, after))
    for name, field in new.items():
        if name not in old:
            yield f"Added field {quote_value(name)} ({field['kind']})."
    for name in old:
        if name not in new:
            yield f"Removed field {quote_value(name)}."
    kept = [name for name in old if name in new]
    for name in kept:
        attributes = map(_replace_choices, (old[name], new[name]))
        changes = [*_describe_attributes(*attributes), *_describe_labels(old[name], new[name])]
        if changes:
            yield f"Changed field {quote_value(name)}: {'; '.join(changes)}."
    if kept != [name for name in new if name in old]:
        yield "Reordered the fields."


def _replace_choices(field: Mapping[str, Any]) -> dict[str, Any]:
    """Returns the field with the values of its choices as options."""
    attributes = dict(field)
    if choices := attributes.pop("choices", None):
        attributes["options"] = [choice["value"] for choice in choices]
    return attributes


def _describe_labels(before: Mapping[str, Any], after: Mapping[str, Any]) -> Iterator[str]:
    """Describes changed labels of options that both versions of a field have."""
    old, new = map(_read_labels, (before, after))
    changed = [option for option in old if option in new and old[option] != new[option]]
    if changed and "choices" not in after:
        yield "labels removed"
        return
    for option in changed[:_MAX_LISTED_VALUES]:
        labels = f"from {quote_value(old[option])} to {quote_value(new[option])}"
        yield f"label of {quote_value(option)} {labels}"
    if (more := len(changed) - _MAX_LISTED_VALUES) > 0:
        yield format_count(more, "more label")


def _read_labels(field: Mapping[str, Any]) -> dict[str, str]:
    """Returns the label of each option, which defaults to the option."""
    if choices := field.get("choices"):
        return {choice["value"]: choice["label"] for choice in choices}
    return {option: option for option in field.get("options", ())}


def _describe_rules(
    before: Sequence[Mapping[str, Any]], after: Sequence[Mapping[str, Any]]
) -> Iterator[str]:
    """Describes the one rule that an edit added, changed or deleted. Rules have no unique name."""
    start = 0
    while start < min(len(before), len(after)) and before[start] == after[start]:
        start += 1
    if len(before) == len(after) and start < len(after):
        changes = "; ".join(_describe_attributes(before[start], after[start]))
        yield f"Changed conditional rule {quote_value(before[start]['name'])}: {changes}."
    elif len(before) < len(after):
        yield f"Added conditional rule {quote_value(after[start]['name'])}."
    elif len(before) > len(after):
        yield f"Deleted conditional rule {quote_value(before[start]['name'])}."


def _describe_attributes(before: Mapping[str, Any], after: Mapping[str, Any]) -> Iterator[str]:
    for name in dict.fromkeys([*before, *after]):
        old, new = before.get(name), after.get(name)
        if old == new:
            continue
        if isinstance(old, list) and isinstance(new, list):
            yield f"{name} {_describe_list(old, new)}"
        elif isinstance(old, dict) or isinstance(new, dict):
            yield name
        else:
            yield f"{name} from {_format_value(old)} to {_format_value(new)}"


def _describe_list(before: list[Any], after: list[Any]) -> str:
    added = [value for value in after if value not in before]
    removed = [value for value in before if value not in after]
    if not added and not removed:
        return "in another order"
    changes = (("added", added), ("removed", removed))
    return ", ".join(f"{verb} {_format_list(values)}" for verb, values in changes if values)


def _format_value(value: Any) -> str:
    if value is None:
        return "none"
    return _format_list(value) if isinstance(value, list) else quote_value(value)


def _format_list(values: Sequence[Any]) -> str:
    listed = ", ".join(map(quote_value, values[:_MAX_LISTED_VALUES]))
    more = len(values) - _MAX_LISTED_VALUES
    return f"{listed} and {more:,} more" if more > 0 else listed or "an empty list"

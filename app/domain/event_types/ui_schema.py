"""The uiSchema of an event type: how react-jsonschema-form shows the fields of the JSON Schema."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from app.domain.event_types.fields import FieldDefinition, FieldKind

_WIDGETS = {
    FieldKind.LONG_TEXT: "textarea",
    FieldKind.EMAIL: "email",
    FieldKind.URL: "uri",
    FieldKind.DATE: "date",
    FieldKind.DATETIME: "date-time",
}


def compile_ui_schema(fields: Sequence[FieldDefinition]) -> dict[str, Any]:
    """Returns the uiSchema for `Event.fields`."""
    # "*" stands for additional properties; without it, forms with such values show an error.
    order = [*(field.name for field in fields), "*"]
    return {"ui:order": order} | {field.name: _field_ui_schema(field) for field in fields}


def _field_ui_schema(field: FieldDefinition) -> dict[str, Any]:
    label = field.label or field.name
    keywords = {
        "ui:title": label if field.unit is None else f"{label} ({field.unit})",
        "ui:description": field.help_text,
        "ui:widget": _WIDGETS.get(field.kind),
        # The type of a field that is not required is a list, and its enum has null.
        "ui:options": {"inputType": "number"} if field.kind is FieldKind.INTEGER else None,
        "ui:enumOrder": list(field.options or ()) if field.kind is FieldKind.SELECT else None,
    }
    return {name: value for name, value in keywords.items() if value is not None}

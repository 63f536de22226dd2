"""Sources: addresses to which other systems send payloads. Validation of a source."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, fields
from enum import Enum
from typing import Any
from uuid import UUID

from app.domain.rules.expressions import compile_mapping_expression
from app.domain.shared.limits import Limits
from app.domain.shared.problems import Problem, invalid_input
from app.domain.shared.values import to_camel_case, validate_name


class SourceKind(Enum):
    """The format of the payloads."""

    ALERTMANAGER = "ALERTMANAGER"
    GRAFANA = "GRAFANA"
    PAGERDUTY = "PAGERDUTY"
    JSON = "JSON"


@dataclass(frozen=True)
class SourceMapping:
    """A CEL expression over `body` and `headers` for each attribute of an event."""

    summary: str
    severity: str | None = None
    content: str | None = None
    type: str | None = None
    entity_type: str | None = None
    entity_id: str | None = None
    occurred_at: str | None = None
    alert_key: str | None = None
    resolved: str | None = None
    acknowledged: str | None = None
    notification: str | None = None
    tags: str | None = None
    fields: str | None = None
    source_id: str | None = None

    def expressions(self) -> Iterator[tuple[str, str]]:
        """Yields the attributes that have an expression, with the expression."""
        for attribute in fields(self):
            if (text := getattr(self, attribute.name)) is not None:
                yield attribute.name, text

    def to_json(self) -> dict[str, str]:
        return {to_camel_case(name): text for name, text in self.expressions()}

    @classmethod
    def from_json(cls, stored: Mapping[str, Any]) -> SourceMapping:
        names = {to_camel_case(attribute.name): attribute.name for attribute in fields(cls)}
        return cls(**{names[name]: text for name, text in stored.items() if name in names})


def format_source_uri(source_id: UUID) -> str:
    """Returns the URI reference that events of a source have as their `source`."""
    return f"/sources/{source_id}"


def format_alert_key(source_id: UUID) -> str:
    """Returns the alert key of Tocsin's own notification about rejected payloads of a source."""
    return f"source:{source_id}"


def format_truncation_key(source_id: UUID) -> str:
    """Returns the alert key of Tocsin's own notification about alerts that a sender left out."""
    return f"source:{source_id}:truncated"


def validate_source(
    name: str, kind: SourceKind, mapping: SourceMapping | None, limits: Limits
) -> list[Problem]:
    return validate_name(name, limits.name_characters, "name") + validate_mapping(
        kind, mapping, limits
    )


def validate_mapping(
    kind: SourceKind, mapping: SourceMapping | None, limits: Limits
) -> list[Problem]:
    """Validates that a source of kind JSON, and no other, has a mapping, and its expressions."""
    if kind is not SourceKind.JSON:
        if mapping is None:
            return []
        message = f"A source of kind {kind.value} has no mapping: its format is defined. Omit it."
        return [invalid_input(message, "mapping")]
    if mapping is None:
        message = "A source of kind JSON needs a mapping: CEL expressions for the attributes."
        return [invalid_input(message, "mapping")]
    problems: list[Problem] = []
    steps = 0
    for name, text in mapping.expressions():
        compiled = compile_mapping_expression(text, limits)
        if isinstance(compiled, list):
            problems += [each.prepend_path("mapping", to_camel_case(name)) for each in compiled]
        else:
            steps += compiled.steps
    if steps > limits.guard_steps:
        message = (
            f"At most {limits.guard_steps:,} evaluation steps are allowed for all expressions of "
            f"a mapping; for the largest possible payload, this mapping could take {steps:,} "
            "steps. Simplify its expressions."
        )
        problems.append(invalid_input(message, "mapping"))
    if mapping.alert_key is None and mapping.resolved is not None:
        message = "resolved needs alertKey, which identifies the event to resolve."
        problems.append(invalid_input(message, "mapping", "resolved"))
    if (mapping.entity_type is None) is not (mapping.entity_id is None):
        missing = "entityType" if mapping.entity_type is None else "entityId"
        message = f"{missing} is missing: an entity has a type and an ID."
        problems.append(invalid_input(message, "mapping", missing))
    return problems

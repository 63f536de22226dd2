"""Audit entries: changes of everything but events, as they are read from the change log."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from enum import Enum
from typing import Any
from uuid import UUID

from app.domain.shared.values import to_camel_case

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_VERSION_AND_VARIANT = (7 << 76) | (0b10 << 62)
_SEQUENCE_BITS = 62


class AuditAction(Enum):
    CREATED = "CREATED"
    UPDATED = "UPDATED"
    DELETED = "DELETED"
    PUBLISHED = "PUBLISHED"
    RETIRED = "RETIRED"
    TRANSITIONED = "TRANSITIONED"
    REVOKED = "REVOKED"
    RESET = "RESET"
    ROTATED = "ROTATED"
    SIGN_IN_FAILED = "SIGN_IN_FAILED"
    RETENTION_APPLIED = "RETENTION_APPLIED"
    DELIVERIES_FAILING = "DELIVERIES_FAILING"
    DELIVERIES_RECOVERED = "DELIVERIES_RECOVERED"
    DELIVERIES_SKIPPED = "DELIVERIES_SKIPPED"


def diff_values(before: Mapping[str, Any], after: Mapping[str, Any]) -> dict[str, list[Any]]:
    """Returns the old and the new value of each name whose values differ. An absent one is None."""
    pairs = {name: [before.get(name), after.get(name)] for name in {**before, **after}}
    return {name: pair for name, pair in pairs.items() if pair[0] != pair[1]}


def format_changes(
    action: AuditAction, changes: Mapping[str, Any], values: Mapping[str, Any]
) -> dict[str, Any]:
    """Returns the old and new values of an entry by name in the API.

    `values`: those of the object, from which the changes that create or delete it are derived.
    Entries of earlier versions have no stored changes, and names with underscores.
    """
    if changes:
        return dict(changes)
    api_values = {to_camel_case(name): value for name, value in values.items()}
    match action:
        case AuditAction.CREATED:
            return diff_values({}, api_values)
        case AuditAction.DELETED:
            return diff_values(api_values, {})
    return {}


def encode_entry_id(at: datetime, sequence: int) -> UUID:
    """Returns the UUIDv7 of an entry: its time, and its sequence number instead of random bits."""
    milliseconds = (at - _EPOCH) // timedelta(milliseconds=1)
    return UUID(int=(milliseconds << 80) | _VERSION_AND_VARIANT | sequence)


def decode_entry_id(entry_id: UUID) -> int | None:
    """Returns the sequence number in an ID. None if the ID is not that of an entry."""
    sequence = entry_id.int & ((1 << _SEQUENCE_BITS) - 1)
    has_marker = entry_id.int & ((1 << 80) - 1) == _VERSION_AND_VARIANT | sequence
    return sequence if has_marker else None

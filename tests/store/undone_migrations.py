"""Statements that undo the migrations since one, so that tests can run these migrations again."""

from __future__ import annotations

from tests.conftest import POSTGRESQL, SQLITE

_OPERATIONS = ("insert", "update", "delete")
_UNDO_0039 = {
    SQLITE: [f"DROP TRIGGER count_events_on_{each}" for each in _OPERATIONS],
    POSTGRESQL: [f"DROP FUNCTION count_events_on_{each} CASCADE" for each in _OPERATIONS]
    + ["DROP FUNCTION free_event_count_shard"],
}
_UNDO_SINCE_0022 = (
    "DROP INDEX ix_duplication_rule_organization_id_position",
    "ALTER TABLE duplication_rule DROP COLUMN position",
    "ALTER TABLE event_field DROP COLUMN labels",
    "ALTER TABLE change RENAME COLUMN notifies TO rings",
    "DROP INDEX ix_change_audit",
    "DROP INDEX ix_event_organization_id_source_occurred_at_id",
    "CREATE INDEX ix_event_organization_id_source_source_id"
    " ON event (organization_id, source, source_id)",
    "ALTER TABLE api_key DROP COLUMN created_by",
    "ALTER TABLE api_key DROP COLUMN sign_in_failed_at",
    "DROP TABLE retention_policy",
    "ALTER TABLE log DROP COLUMN oldest_revision",
    "DROP TABLE alert_key",
    "DROP INDEX ix_event_unresolved_alert_key",
    "DROP INDEX ix_event_alert_key",
    "ALTER TABLE event DROP COLUMN reporter",
    "DROP INDEX ix_event_silenced",
    "DROP INDEX ix_event_silenced_open",
    "ALTER TABLE event DROP COLUMN silenced_by_id",
    "DROP TABLE silence",
    "DROP INDEX ix_event_status",
    "DROP INDEX ix_event_bell_open",
    *(
        f"ALTER TABLE event DROP COLUMN {name}"
        for name in ("status", "alert_key", "resolved_at", "resolved_by", "resolution_note")
    ),
    "DROP INDEX ix_first_event_rule_id_digest_resolved_occurred_at",
    "ALTER TABLE first_event DROP COLUMN resolved",
    "CREATE INDEX ix_first_event_rule_id_digest_occurred_at"
    " ON first_event (rule_id, digest, occurred_at)",
    "ALTER TABLE channel DROP COLUMN has_gap",
    "ALTER TABLE delivery DROP COLUMN not_before",
    "DROP TABLE channel",
    "DROP TABLE delivery",
    "DROP TABLE rejected_payload",
    "DROP TABLE source",
    "ALTER TABLE event DROP COLUMN state_digest",
    "ALTER TABLE event DROP COLUMN reported_at",
    "DROP TABLE alert_report",
)
_UNDO_SINCE_0011 = (
    "DROP INDEX ix_event_organization_id_latest_occurrence_id",
    "DROP INDEX ix_event_organization_id_severity_rank_id",
    "ALTER TABLE event DROP COLUMN latest_occurrence",
    "ALTER TABLE event DROP COLUMN severity_rank",
    "ALTER TABLE duplication_rule DROP COLUMN escalate",
    "ALTER TABLE event_type DROP COLUMN additional_fields",
    "ALTER TABLE event_field DROP COLUMN added_in_version",
    "ALTER TABLE event_type_version DROP COLUMN created_by",
    "ALTER TABLE event_field DROP COLUMN source_key",
    "DROP TABLE read_mark",
    "ALTER TABLE receipt DROP COLUMN version",
    "ALTER TABLE receipt DROP COLUMN set_fields",
)


def undo_0039(dialect: str) -> list[str]:
    return [*_UNDO_0039[dialect], "DROP TABLE event_count"]


def undo_since_0022(dialect: str) -> list[str]:
    """The statements that undo migration 0022 and later ones."""
    return [*undo_0039(dialect), *_UNDO_SINCE_0022]


def undo_since_0011(dialect: str) -> list[str]:
    """The statements that undo migration 0011 and later ones."""
    return [*_UNDO_SINCE_0011, *undo_since_0022(dialect)]

"""Events can be sorted by their latest occurrence and by severity.

PostgreSQL rewrites the table of events, so one statement adds both columns.
SQLite computes them when it reads a row: it cannot add a stored column to a table.
"""

from alembic import op

revision = "0012"
down_revision = "0011"
branch_labels = None
depends_on = None

LATEST_OCCURRENCE = (
    "CASE WHEN last_occurred_at > occurred_at THEN last_occurred_at ELSE occurred_at END"
)
SEVERITY_RANK = (
    "CASE severity WHEN 'ERROR' THEN 3 WHEN 'WARN' THEN 2 WHEN 'INFO' THEN 1 "
    "WHEN 'SUCCESS' THEN 0 END"
)


def upgrade() -> None:
    if op.get_bind().dialect.name == "sqlite":
        time = f"latest_occurrence VARCHAR(32) GENERATED ALWAYS AS ({LATEST_OCCURRENCE}) VIRTUAL"
        rank = f"severity_rank INTEGER GENERATED ALWAYS AS ({SEVERITY_RANK}) VIRTUAL"
        op.execute(f"ALTER TABLE event ADD COLUMN {time}")
        op.execute(f"ALTER TABLE event ADD COLUMN {rank}")
    else:
        time = f"latest_occurrence TIMESTAMPTZ GENERATED ALWAYS AS ({LATEST_OCCURRENCE}) STORED"
        rank = f"severity_rank INTEGER GENERATED ALWAYS AS ({SEVERITY_RANK}) STORED"
        op.execute(f"ALTER TABLE event ADD COLUMN {time}, ADD COLUMN {rank}")
    for column in ("latest_occurrence", "severity_rank"):
        name = f"ix_event_organization_id_{column}_id"
        op.create_index(name, "event", ["organization_id", column, "id"])

"""Events can be resolved, and have a status.

PostgreSQL rewrites the table of events, so one statement adds all columns. `alert_key` is one of
them because the status depends on it.
"""

import sqlalchemy as sa
from alembic import op

revision = "0032"
down_revision = "0031"
branch_labels = None
depends_on = None

STATUS = (
    "CASE WHEN NOT notification AND alert_key IS NULL THEN NULL "
    "WHEN resolved_at IS NOT NULL THEN 'RESOLVED' "
    "WHEN acknowledged_at IS NOT NULL THEN 'ACKNOWLEDGED' ELSE 'OPEN' END"
)


def upgrade() -> None:
    is_sqlite = op.get_bind().dialect.name == "sqlite"
    columns = [
        'alert_key VARCHAR COLLATE "C"' if not is_sqlite else "alert_key VARCHAR",
        "resolved_at VARCHAR(32)" if is_sqlite else "resolved_at TIMESTAMPTZ",
        "resolved_by VARCHAR",
        "resolution_note VARCHAR",
        f"status VARCHAR(32) GENERATED ALWAYS AS ({STATUS}) {'VIRTUAL' if is_sqlite else 'STORED'}",
    ]
    if is_sqlite:
        for column in columns:
            op.execute(f"ALTER TABLE event ADD COLUMN {column}")
    else:
        op.execute(f"ALTER TABLE event {', '.join(f'ADD COLUMN {each}' for each in columns)}")
    has_status = sa.text("status IS NOT NULL")
    op.create_index(
        "ix_event_status",
        "event",
        ["organization_id", "status", "occurred_at", "id"],
        sqlite_where=has_status,
        postgresql_where=has_status,
    )
    is_open = sa.text("rang_seq IS NOT NULL AND status = 'OPEN'")
    op.create_index(
        "ix_event_bell_open",
        "event",
        ["organization_id", "rang_tx", "rang_seq"],
        sqlite_where=is_open,
        postgresql_where=is_open,
    )
    op.add_column(
        "first_event",
        sa.Column("resolved", sa.Boolean(), server_default=sa.false(), nullable=False),
    )
    op.drop_index("ix_first_event_rule_id_digest_occurred_at", "first_event")
    op.create_index(
        op.f("ix_first_event_rule_id_digest_resolved_occurred_at"),
        "first_event",
        ["rule_id", "digest", "resolved", "occurred_at"],
    )

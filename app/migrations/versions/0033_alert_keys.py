"""Reports identify their condition by an alert key, which resolves it, too."""

import sqlalchemy as sa
from alembic import op

revision = "0033"
down_revision = "0032"
branch_labels = None
depends_on = None


def upgrade() -> None:
    instant = sa.DateTime(timezone=True).with_variant(sa.String(32), "sqlite")
    by_code_points = sa.String().with_variant(sa.String(collation="C"), "postgresql")
    op.create_table(
        "alert_key",
        sa.Column("organization_id", sa.Uuid(), nullable=False),
        sa.Column("source", sa.String(), nullable=False),
        sa.Column("alert_key", by_code_points, nullable=False),
        sa.Column("resolver", sa.String(), nullable=False),
        sa.Column("resolved_at", instant, nullable=True),
        sa.Column("resolved_by", sa.String(), nullable=True),
        sa.Column("resolution_note", sa.String(), nullable=True),
        sa.Column("used_at", instant, nullable=False),
        sa.ForeignKeyConstraint(
            ["organization_id"],
            ["organization.id"],
            name=op.f("fk_alert_key_organization_id"),
        ),
        sa.PrimaryKeyConstraint(
            "organization_id", "source", "alert_key", "resolver", name=op.f("pk_alert_key")
        ),
    )
    op.create_index(op.f("ix_alert_key_used_at"), "alert_key", ["used_at"])
    op.add_column("event", sa.Column("reporter", sa.String(), nullable=True))
    has_key = sa.text("alert_key IS NOT NULL")
    op.create_index(
        "ix_event_alert_key",
        "event",
        ["organization_id", "alert_key", "occurred_at", "id"],
        sqlite_where=has_key,
        postgresql_where=has_key,
    )
    is_unresolved = sa.text("alert_key IS NOT NULL AND resolved_at IS NULL")
    op.create_index(
        "ix_event_unresolved_alert_key",
        "event",
        ["organization_id", "source", "alert_key"],
        unique=True,
        sqlite_where=is_unresolved,
        postgresql_where=is_unresolved,
    )

"""Silences suppress notifications of events."""

import sqlalchemy as sa
from alembic import op

revision = "0035"
down_revision = "0034"
branch_labels = None
depends_on = None


def upgrade() -> None:
    instant = sa.DateTime(timezone=True).with_variant(sa.String(32), "sqlite")
    op.create_table(
        "silence",
        sa.Column("organization_id", sa.Uuid(), nullable=False),
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("filter", sa.JSON().with_variant(sa.Text(), "sqlite"), nullable=False),
        sa.Column("starts_at", instant, nullable=False),
        sa.Column("ends_at", instant, nullable=False),
        sa.Column("comment", sa.String(), nullable=False),
        sa.Column("created_at", instant, nullable=False),
        sa.Column("created_by", sa.String(), nullable=False),
        sa.Column("silenced_count", sa.BigInteger(), server_default="0", nullable=False),
        sa.ForeignKeyConstraint(
            ["organization_id"], ["organization.id"], name=op.f("fk_silence_organization_id")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_silence")),
    )
    for columns in (["organization_id", "id"], ["organization_id", "ends_at"]):
        op.create_index(op.f(f"ix_silence_{'_'.join(columns)}"), "silence", columns)
    op.execute(
        "ALTER TABLE event ADD COLUMN silenced_by_id "
        + ("CHAR(32)" if op.get_bind().dialect.name == "sqlite" else "UUID")
        + " CONSTRAINT fk_event_silenced_by_id REFERENCES silence (id)"
    )
    is_silenced = sa.text("silenced_by_id IS NOT NULL")
    op.create_index(
        "ix_event_silenced",
        "event",
        ["organization_id", "silenced_by_id", "occurred_at", "id"],
        sqlite_where=is_silenced,
        postgresql_where=is_silenced,
    )
    is_waiting = sa.text("silenced_by_id IS NOT NULL AND status = 'OPEN'")
    op.create_index(
        "ix_event_silenced_open",
        "event",
        ["silenced_by_id", "id"],
        sqlite_where=is_waiting,
        postgresql_where=is_waiting,
    )

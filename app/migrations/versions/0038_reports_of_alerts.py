"""Events know the latest time that a report of their alert key had, and reports with a time are
recognized when they are sent again.
"""

import sqlalchemy as sa
from alembic import op

revision = "0038"
down_revision = "0037"
branch_labels = None
depends_on = None


def upgrade() -> None:
    instant = sa.DateTime(timezone=True).with_variant(sa.String(32), "sqlite")
    op.add_column("event", sa.Column("reported_at", instant, nullable=True))
    op.create_table(
        "alert_report",
        sa.Column("organization_id", sa.Uuid(), nullable=False),
        sa.Column("source", sa.String(), nullable=False),
        sa.Column("digest", sa.String(), nullable=False),
        sa.Column("event_id", sa.Uuid(), nullable=False),
        sa.Column("received_at", instant, nullable=False),
        sa.ForeignKeyConstraint(
            ["organization_id"],
            ["organization.id"],
            name=op.f("fk_alert_report_organization_id"),
        ),
        sa.PrimaryKeyConstraint(
            "organization_id", "source", "digest", name=op.f("pk_alert_report")
        ),
    )
    op.create_index(op.f("ix_alert_report_received_at"), "alert_report", ["received_at"])

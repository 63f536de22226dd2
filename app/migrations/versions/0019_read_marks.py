"""The positions up to which users and API keys have read the notifications."""

import sqlalchemy as sa
from alembic import op

revision = "0019"
down_revision = "0018"
branch_labels = None
depends_on = None

INSTANT = sa.DateTime(timezone=True).with_variant(sa.String(32), "sqlite")
LOG_NUMBER = sa.BigInteger().with_variant(sa.Integer(), "sqlite")


def upgrade() -> None:
    op.create_table(
        "read_mark",
        sa.Column("organization_id", sa.Uuid(), nullable=False),
        sa.Column("reader", sa.String(), nullable=False),
        sa.Column("log_identity", sa.String(), nullable=False),
        sa.Column("tx", LOG_NUMBER, nullable=False),
        sa.Column("seq", LOG_NUMBER, nullable=False),
        sa.Column("changed_at", INSTANT, nullable=False),
        sa.ForeignKeyConstraint(
            ["organization_id"], ["organization.id"], name="fk_read_mark_organization_id"
        ),
        sa.PrimaryKeyConstraint("organization_id", "reader", name="pk_read_mark"),
    )
    op.create_index("ix_read_mark_changed_at", "read_mark", ["changed_at"])

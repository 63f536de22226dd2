"""Channels know whether entries were pruned before they read them, and deliveries until when the
receiver asked to wait.
"""

import sqlalchemy as sa
from alembic import op

revision = "0036"
down_revision = "0035"
branch_labels = None
depends_on = None


def upgrade() -> None:
    instant = sa.DateTime(timezone=True).with_variant(sa.String(32), "sqlite")
    op.add_column(
        "channel", sa.Column("has_gap", sa.Boolean(), server_default=sa.false(), nullable=False)
    )
    op.add_column("delivery", sa.Column("not_before", instant, nullable=True))

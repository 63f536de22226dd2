"""The database stores which versions of servers can use it, so that upgrades need no downtime."""

import sqlalchemy as sa
from alembic import op

revision = "0031"
down_revision = "0030"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("log", sa.Column("oldest_revision", sa.String(), nullable=True))

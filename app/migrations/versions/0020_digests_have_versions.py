"""Digests of receipts carry the version of the function that computed them.

`store.data_migrations` computes the stored fingerprints of events again.
"""

import sqlalchemy as sa
from alembic import op

revision = "0020"
down_revision = "0019"
branch_labels = None
depends_on = None


def upgrade() -> None:
    with op.batch_alter_table("receipt", schema=None) as batch_op:
        batch_op.add_column(sa.Column("version", sa.Integer(), server_default="1", nullable=False))
        batch_op.add_column(
            sa.Column("set_fields", sa.JSON().with_variant(sa.Text(), "sqlite"), nullable=True)
        )

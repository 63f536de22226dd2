"""The log remembers up to where it was pruned."""

import sqlalchemy as sa
from alembic import op

revision = "0007"
down_revision = "0006"
branch_labels = None
depends_on = None


def upgrade() -> None:
    number = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
    with op.batch_alter_table("log", schema=None) as batch_op:
        batch_op.add_column(sa.Column("pruned_tx", number, server_default="0", nullable=False))
        batch_op.add_column(sa.Column("pruned_seq", number, server_default="0", nullable=False))
        batch_op.add_column(
            sa.Column(
                "begins_at",
                sa.DateTime(timezone=True).with_variant(sa.String(32), "sqlite"),
                nullable=True,
            )
        )

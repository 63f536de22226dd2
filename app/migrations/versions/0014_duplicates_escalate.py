"""Duplication rules can let a more severe duplicate raise the severity of its original."""

import sqlalchemy as sa
from alembic import op

revision = "0014"
down_revision = "0013"
branch_labels = None
depends_on = None


def upgrade() -> None:
    with op.batch_alter_table("duplication_rule", schema=None) as batch_op:
        batch_op.add_column(
            sa.Column("escalate", sa.Boolean(), server_default=sa.true(), nullable=False)
        )

"""Events keep what CloudEvents say beside the fields, and whether their summary was given.

Of the events that are there already, those whose summary is their type's name were given none: so
it goes into no CloudEvent, where every reader would put the same in its place.
"""

import sqlalchemy as sa
from alembic import op

revision = "0005"
down_revision = "0004"
branch_labels = None
depends_on = None


def upgrade() -> None:
    with op.batch_alter_table("event", schema=None) as batch_op:
        batch_op.add_column(
            sa.Column("summary_given", sa.Boolean(), nullable=False, server_default=sa.true())
        )
        batch_op.add_column(
            sa.Column("extensions", sa.JSON().with_variant(sa.Text(), "sqlite"), nullable=True)
        )
        batch_op.add_column(
            sa.Column("payload", sa.JSON().with_variant(sa.Text(), "sqlite"), nullable=True)
        )
    op.execute(sa.text("UPDATE event SET summary_given = (summary <> type)"))

"""Numbers that share a double are compared by an exact text.

`store.data_migrations` then sets the text for the stored numbers that need it.
"""

import sqlalchemy as sa
from alembic import op

revision = "0009"
down_revision = "0008"
branch_labels = None
depends_on = None


def upgrade() -> None:
    with op.batch_alter_table("event_value", schema=None) as batch_op:
        batch_op.add_column(
            sa.Column(
                "exact",
                sa.String().with_variant(sa.String(collation="C"), "postgresql"),
                nullable=True,
            )
        )

"""Fields keep the version of the event type that added them.

`store.data_migrations` then sets it for existing fields.
"""

import sqlalchemy as sa
from alembic import op

revision = "0016"
down_revision = "0015"
branch_labels = None
depends_on = None


def upgrade() -> None:
    with op.batch_alter_table("event_field", schema=None) as batch_op:
        batch_op.add_column(
            sa.Column("added_in_version", sa.Integer(), server_default="1", nullable=False)
        )

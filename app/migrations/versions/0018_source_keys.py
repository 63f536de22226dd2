"""Fields of event types can be read from a path in the data of CloudEvents."""

import sqlalchemy as sa
from alembic import op

revision = "0018"
down_revision = "0017"
branch_labels = None
depends_on = None


def upgrade() -> None:
    with op.batch_alter_table("event_field", schema=None) as batch_op:
        batch_op.add_column(sa.Column("source_key", sa.String(), nullable=True))

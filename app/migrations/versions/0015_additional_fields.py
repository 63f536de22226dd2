"""Event types define what happens to values under names that they do not define."""

import sqlalchemy as sa
from alembic import op

revision = "0015"
down_revision = "0014"
branch_labels = None
depends_on = None


def upgrade() -> None:
    kind = sa.Enum("REFUSE", "KEEP", "DROP", name="additionalfields", native_enum=False, length=32)
    with op.batch_alter_table("event_type", schema=None) as batch_op:
        batch_op.add_column(
            sa.Column("additional_fields", kind, server_default="REFUSE", nullable=False)
        )

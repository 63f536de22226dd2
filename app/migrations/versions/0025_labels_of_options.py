"""Options of fields have labels."""

import sqlalchemy as sa
from alembic import op

revision = "0025"
down_revision = "0024"
branch_labels = None
depends_on = None


def upgrade() -> None:
    json_text = sa.Text().with_variant(sa.JSON(), "postgresql")
    with op.batch_alter_table("event_field", schema=None) as batch_op:
        batch_op.add_column(sa.Column("labels", json_text, nullable=True))

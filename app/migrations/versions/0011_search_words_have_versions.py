"""Search words carry the version of the function that extracted them.

Servers renew the words of version 1 in the background. `store.data_migrations` renews the words of
event types at once.
"""

import sqlalchemy as sa
from alembic import op

revision = "0011"
down_revision = "0010"
branch_labels = None
depends_on = None


def upgrade() -> None:
    with op.batch_alter_table("event_words", schema=None) as batch_op:
        batch_op.add_column(sa.Column("version", sa.Integer(), server_default="1", nullable=False))
        batch_op.create_index(
            "ix_event_words_outdated",
            ["id"],
            unique=False,
            sqlite_where=sa.text("version < 2"),
            postgresql_where=sa.text("version < 2"),
        )

"""Renames a column of the change log, so that servers of version 0.1.0 cannot write entries.

They do not take the lock of writers, so subscribers could miss their entries.
"""

from alembic import op

revision = "0026"
down_revision = "0025"
branch_labels = None
depends_on = None


def upgrade() -> None:
    # Not in a batch, which would copy the table on SQLite.
    op.alter_column("change", "rings", new_column_name="notifies")

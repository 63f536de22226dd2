"""Audit entries, that is, entries about everything but events, are found by their position."""

import sqlalchemy as sa
from alembic import op

revision = "0027"
down_revision = "0026"
branch_labels = None
depends_on = None

_IS_AUDIT_ENTRY = sa.text("subject <> 'event'")


def upgrade() -> None:
    op.create_index(
        "ix_change_audit",
        "change",
        ["organization_id", "tx", "seq"],
        sqlite_where=_IS_AUDIT_ENTRY,
        postgresql_where=_IS_AUDIT_ENTRY,
    )

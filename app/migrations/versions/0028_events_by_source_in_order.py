"""Events of a source are read in order. Receipts find source IDs, so the old index had no use."""

from alembic import op

revision = "0028"
down_revision = "0027"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_index(
        "ix_event_organization_id_source_occurred_at_id",
        "event",
        ["organization_id", "source", "occurred_at", "id"],
    )
    op.drop_index("ix_event_organization_id_source_source_id", "event")

"""Receipts are found by their source ID: the primary key has another order."""

from alembic import op

revision = "0023"
down_revision = "0022"
branch_labels = None
depends_on = None


def upgrade() -> None:
    with op.batch_alter_table("receipt", schema=None) as batch_op:
        batch_op.drop_constraint("pk_receipt", type_="primary")
        batch_op.create_primary_key("pk_receipt", ["organization_id", "source_id", "source"])

"""Duplication rules are tried by their position. Existing ones keep the order of their creation."""

import sqlalchemy as sa
from alembic import op

revision = "0022"
down_revision = "0021"
branch_labels = None
depends_on = None

# IDs ascend in order of creation.
NUMBER_RULES = """
UPDATE duplication_rule SET position = (
    SELECT count(*) FROM duplication_rule AS earlier
    WHERE earlier.organization_id = duplication_rule.organization_id
    AND earlier.id < duplication_rule.id
)
"""


def upgrade() -> None:
    with op.batch_alter_table("duplication_rule", schema=None) as batch_op:
        batch_op.add_column(sa.Column("position", sa.Integer(), server_default="0", nullable=False))
        batch_op.create_index(
            batch_op.f("ix_duplication_rule_organization_id_position"),
            ["organization_id", "position"],
            unique=False,
        )
    op.execute(NUMBER_RULES)

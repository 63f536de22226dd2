"""Keys expire, are revoked, and tell when they were last used."""

import sqlalchemy as sa
from alembic import op

revision = "0006"
down_revision = "0005"
branch_labels = None
depends_on = None


def upgrade() -> None:
    with op.batch_alter_table("api_key", schema=None) as batch_op:
        for name in ("expires_at", "last_used_at", "revoked_at"):
            batch_op.add_column(
                sa.Column(
                    name,
                    sa.DateTime(timezone=True).with_variant(sa.String(32), "sqlite"),
                    nullable=True,
                )
            )
        batch_op.create_index(
            "ix_api_key_organization_id_id", ["organization_id", "id"], unique=False
        )

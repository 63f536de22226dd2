"""Organizations have retention policies."""

import sqlalchemy as sa
from alembic import op

revision = "0030"
down_revision = "0029"
branch_labels = None
depends_on = None


def upgrade() -> None:
    instant = sa.DateTime(timezone=True).with_variant(sa.String(32), "sqlite")
    op.create_table(
        "retention_policy",
        sa.Column("organization_id", sa.Uuid(), nullable=False),
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("name", sa.String(), nullable=False),
        sa.Column(
            "target",
            sa.Enum("EVENTS", "HISTORY", name="retentiontarget", native_enum=False, length=32),
            nullable=False,
        ),
        sa.Column("filter", sa.JSON().with_variant(sa.Text(), "sqlite"), nullable=True),
        sa.Column("keep_for_us", sa.BigInteger(), nullable=False),
        sa.Column("created_at", instant, nullable=False),
        sa.Column("updated_at", instant, nullable=False),
        sa.Column("last_applied_at", instant, nullable=True),
        sa.Column("lease_holder", sa.String(), nullable=True),
        sa.Column("leased_until", instant, nullable=True),
        sa.ForeignKeyConstraint(
            ["organization_id"],
            ["organization.id"],
            name=op.f("fk_retention_policy_organization_id"),
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_retention_policy")),
    )
    op.create_index(
        op.f("ix_retention_policy_organization_id_id"),
        "retention_policy",
        ["organization_id", "id"],
    )

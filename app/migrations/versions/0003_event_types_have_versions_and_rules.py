"""Event types have versions, a sunset and conditional rules.

`store.fill` then makes the first version of the types that are there already.
"""

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "conditional_rule",
        sa.Column("organization_id", sa.Uuid(), nullable=False),
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("event_type_id", sa.Uuid(), nullable=False),
        sa.Column("name", sa.String(), nullable=False),
        sa.Column(
            "effect",
            sa.Enum(
                "SHOW", "HIDE", "REQUIRE", name="conditionaleffect", native_enum=False, length=32
            ),
            nullable=False,
        ),
        sa.Column("targets", sa.JSON().with_variant(sa.Text(), "sqlite"), nullable=False),
        sa.Column("condition", sa.JSON().with_variant(sa.Text(), "sqlite"), nullable=False),
        sa.Column("enabled", sa.Boolean(), nullable=False),
        sa.ForeignKeyConstraint(
            ["event_type_id"],
            ["event_type.id"],
            name=op.f("fk_conditional_rule_event_type_id"),
            ondelete="CASCADE",
        ),
        sa.ForeignKeyConstraint(
            ["organization_id"],
            ["organization.id"],
            name=op.f("fk_conditional_rule_organization_id"),
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_conditional_rule")),
    )
    with op.batch_alter_table("conditional_rule", schema=None) as batch_op:
        batch_op.create_index(
            batch_op.f("ix_conditional_rule_event_type_id"), ["event_type_id"], unique=False
        )

    op.create_table(
        "event_type_version",
        sa.Column("organization_id", sa.Uuid(), nullable=False),
        sa.Column("event_type_id", sa.Uuid(), nullable=False),
        sa.Column("number", sa.Integer(), nullable=False),
        sa.Column("form", sa.JSON().with_variant(sa.Text(), "sqlite"), nullable=False),
        sa.Column(
            "created_at",
            sa.DateTime(timezone=True).with_variant(sa.String(32), "sqlite"),
            nullable=False,
        ),
        sa.ForeignKeyConstraint(
            ["event_type_id"],
            ["event_type.id"],
            name=op.f("fk_event_type_version_event_type_id"),
            ondelete="CASCADE",
        ),
        sa.ForeignKeyConstraint(
            ["organization_id"],
            ["organization.id"],
            name=op.f("fk_event_type_version_organization_id"),
        ),
        sa.PrimaryKeyConstraint("event_type_id", "number", name=op.f("pk_event_type_version")),
    )
    with op.batch_alter_table("event_type", schema=None) as batch_op:
        batch_op.add_column(
            sa.Column(
                "sunset_at",
                sa.DateTime(timezone=True).with_variant(sa.String(32), "sqlite"),
                nullable=True,
            )
        )
        batch_op.add_column(sa.Column("words", sa.String(), nullable=False, server_default=""))

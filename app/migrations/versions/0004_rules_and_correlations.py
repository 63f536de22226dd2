"""Guard rules, duplication rules with what they remember, and correlations."""

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "duplication_rule",
        sa.Column("organization_id", sa.Uuid(), nullable=False),
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("event_type_id", sa.Uuid(), nullable=True),
        sa.Column("name", sa.String(), nullable=False),
        sa.Column("fingerprint", sa.JSON().with_variant(sa.Text(), "sqlite"), nullable=False),
        sa.Column("window_us", sa.BigInteger(), nullable=False),
        sa.Column(
            "action",
            sa.Enum(
                "REJECT", "COUNT", "FLAG", name="duplicateaction", native_enum=False, length=32
            ),
            nullable=False,
        ),
        sa.Column("enabled", sa.Boolean(), nullable=False),
        sa.Column(
            "reset_at",
            sa.DateTime(timezone=True).with_variant(sa.String(32), "sqlite"),
            nullable=True,
        ),
        sa.Column(
            "created_at",
            sa.DateTime(timezone=True).with_variant(sa.String(32), "sqlite"),
            nullable=False,
        ),
        sa.Column(
            "updated_at",
            sa.DateTime(timezone=True).with_variant(sa.String(32), "sqlite"),
            nullable=False,
        ),
        sa.ForeignKeyConstraint(
            ["event_type_id"],
            ["event_type.id"],
            name=op.f("fk_duplication_rule_event_type_id"),
            ondelete="CASCADE",
        ),
        sa.ForeignKeyConstraint(
            ["organization_id"],
            ["organization.id"],
            name=op.f("fk_duplication_rule_organization_id"),
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_duplication_rule")),
    )
    with op.batch_alter_table("duplication_rule", schema=None) as batch_op:
        batch_op.create_index(
            batch_op.f("ix_duplication_rule_organization_id_event_type_id"),
            ["organization_id", "event_type_id"],
            unique=False,
        )

    op.create_table(
        "guard_rule",
        sa.Column("organization_id", sa.Uuid(), nullable=False),
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("event_type_id", sa.Uuid(), nullable=True),
        sa.Column("name", sa.String(), nullable=False),
        sa.Column(
            "state",
            sa.Enum(
                "DRAFT", "PUBLISHED", "RETIRED", name="guardrulestate", native_enum=False, length=32
            ),
            nullable=False,
        ),
        sa.Column("expression", sa.String(), nullable=False),
        sa.Column("message", sa.String(), nullable=False),
        sa.Column(
            "enforcement",
            sa.Enum("REJECT", "WARN", name="guardenforcement", native_enum=False, length=32),
            nullable=False,
        ),
        sa.Column("published", sa.Integer(), nullable=True),
        sa.Column(
            "created_at",
            sa.DateTime(timezone=True).with_variant(sa.String(32), "sqlite"),
            nullable=False,
        ),
        sa.Column(
            "updated_at",
            sa.DateTime(timezone=True).with_variant(sa.String(32), "sqlite"),
            nullable=False,
        ),
        sa.ForeignKeyConstraint(
            ["event_type_id"],
            ["event_type.id"],
            name=op.f("fk_guard_rule_event_type_id"),
            ondelete="CASCADE",
        ),
        sa.ForeignKeyConstraint(
            ["organization_id"], ["organization.id"], name=op.f("fk_guard_rule_organization_id")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_guard_rule")),
    )
    with op.batch_alter_table("guard_rule", schema=None) as batch_op:
        batch_op.create_index(
            batch_op.f("ix_guard_rule_organization_id_event_type_id"),
            ["organization_id", "event_type_id"],
            unique=False,
        )

    op.create_table(
        "correlation",
        sa.Column("organization_id", sa.Uuid(), nullable=False),
        sa.Column("event_id", sa.Uuid(), nullable=False),
        sa.Column("other_id", sa.Uuid(), nullable=False),
        sa.Column("causal", sa.Boolean(), nullable=False),
        sa.Column(
            "created_at",
            sa.DateTime(timezone=True).with_variant(sa.String(32), "sqlite"),
            nullable=False,
        ),
        sa.Column("created_by", sa.String(), nullable=False),
        sa.ForeignKeyConstraint(
            ["event_id"], ["event.id"], name=op.f("fk_correlation_event_id"), ondelete="CASCADE"
        ),
        sa.ForeignKeyConstraint(
            ["organization_id"], ["organization.id"], name=op.f("fk_correlation_organization_id")
        ),
        sa.ForeignKeyConstraint(
            ["other_id"], ["event.id"], name=op.f("fk_correlation_other_id"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("event_id", "other_id", "causal", name=op.f("pk_correlation")),
    )
    with op.batch_alter_table("correlation", schema=None) as batch_op:
        batch_op.create_index(
            batch_op.f("ix_correlation_other_id_event_id"), ["other_id", "event_id"], unique=False
        )

    op.create_table(
        "fingerprint",
        sa.Column("organization_id", sa.Uuid(), nullable=False),
        sa.Column("rule_id", sa.Uuid(), nullable=False),
        sa.Column("digest", sa.String(), nullable=False),
        sa.Column("caught", sa.Integer(), nullable=False),
        sa.ForeignKeyConstraint(
            ["organization_id"], ["organization.id"], name=op.f("fk_fingerprint_organization_id")
        ),
        sa.ForeignKeyConstraint(
            ["rule_id"],
            ["duplication_rule.id"],
            name=op.f("fk_fingerprint_rule_id"),
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("rule_id", "digest", name=op.f("pk_fingerprint")),
    )
    op.create_table(
        "first_event",
        sa.Column("organization_id", sa.Uuid(), nullable=False),
        sa.Column("id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("rule_id", sa.Uuid(), nullable=False),
        sa.Column("digest", sa.String(), nullable=False),
        sa.Column("event_id", sa.Uuid(), nullable=False),
        sa.Column(
            "occurred_at",
            sa.DateTime(timezone=True).with_variant(sa.String(32), "sqlite"),
            nullable=False,
        ),
        sa.ForeignKeyConstraint(
            ["event_id"], ["event.id"], name=op.f("fk_first_event_event_id"), ondelete="CASCADE"
        ),
        sa.ForeignKeyConstraint(
            ["organization_id"], ["organization.id"], name=op.f("fk_first_event_organization_id")
        ),
        sa.ForeignKeyConstraint(
            ["rule_id"],
            ["duplication_rule.id"],
            name=op.f("fk_first_event_rule_id"),
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_first_event")),
        sqlite_autoincrement=True,
    )
    with op.batch_alter_table("first_event", schema=None) as batch_op:
        batch_op.create_index(batch_op.f("ix_first_event_event_id"), ["event_id"], unique=False)
        batch_op.create_index(
            batch_op.f("ix_first_event_rule_id_digest_occurred_at"),
            ["rule_id", "digest", "occurred_at"],
            unique=False,
        )

    op.create_table(
        "guard_rule_version",
        sa.Column("organization_id", sa.Uuid(), nullable=False),
        sa.Column("guard_rule_id", sa.Uuid(), nullable=False),
        sa.Column("number", sa.Integer(), nullable=False),
        sa.Column("expression", sa.String(), nullable=False),
        sa.Column("message", sa.String(), nullable=False),
        sa.Column(
            "enforcement",
            sa.Enum("REJECT", "WARN", name="guardenforcement", native_enum=False, length=32),
            nullable=False,
        ),
        sa.Column(
            "published_at",
            sa.DateTime(timezone=True).with_variant(sa.String(32), "sqlite"),
            nullable=False,
        ),
        sa.Column("published_by", sa.String(), nullable=False),
        sa.ForeignKeyConstraint(
            ["guard_rule_id"],
            ["guard_rule.id"],
            name=op.f("fk_guard_rule_version_guard_rule_id"),
            ondelete="CASCADE",
        ),
        sa.ForeignKeyConstraint(
            ["organization_id"],
            ["organization.id"],
            name=op.f("fk_guard_rule_version_organization_id"),
        ),
        sa.PrimaryKeyConstraint("guard_rule_id", "number", name=op.f("pk_guard_rule_version")),
    )
    with op.batch_alter_table("event", schema=None) as batch_op:
        batch_op.add_column(
            sa.Column("occurrences", sa.Integer(), nullable=False, server_default="1")
        )
        batch_op.add_column(
            sa.Column(
                "last_occurred_at",
                sa.DateTime(timezone=True).with_variant(sa.String(32), "sqlite"),
                nullable=True,
            )
        )

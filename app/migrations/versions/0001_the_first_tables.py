"""The first tables: organizations, keys, event types, events, the log."""

import secrets

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None


def _current_transaction() -> sa.TextClause:
    if op.get_bind().dialect.name == "postgresql":
        return sa.text("(pg_current_xact_id()::text::bigint)")
    return sa.text("0")


def upgrade() -> None:
    op.create_table(
        "log",
        sa.Column("epoch", sa.String(), nullable=False),
        sa.PrimaryKeyConstraint("epoch", name="pk_log"),
    )
    op.create_table(
        "organization",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("key", sa.String(), nullable=False),
        sa.Column("name", sa.String(), nullable=False),
        sa.Column(
            "created_at",
            sa.DateTime(timezone=True).with_variant(sa.String(32), "sqlite"),
            nullable=False,
        ),
        sa.PrimaryKeyConstraint("id", name="pk_organization"),
        sa.UniqueConstraint("key", name="uq_organization_key"),
    )
    op.create_table(
        "api_key",
        sa.Column("organization_id", sa.Uuid(), nullable=False),
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("name", sa.String(), nullable=False),
        sa.Column("prefix", sa.String(), nullable=False),
        sa.Column("digest", sa.String(), nullable=False),
        sa.Column("permissions", sa.JSON().with_variant(sa.Text(), "sqlite"), nullable=False),
        sa.Column("every_organization", sa.Boolean(), nullable=False),
        sa.Column(
            "created_at",
            sa.DateTime(timezone=True).with_variant(sa.String(32), "sqlite"),
            nullable=False,
        ),
        sa.ForeignKeyConstraint(
            ["organization_id"], ["organization.id"], name="fk_api_key_organization_id"
        ),
        sa.PrimaryKeyConstraint("id", name="pk_api_key"),
    )
    with op.batch_alter_table("api_key", schema=None) as batch_op:
        batch_op.create_index("ix_api_key_prefix", ["prefix"], unique=False)

    op.create_table(
        "change",
        sa.Column("organization_id", sa.Uuid(), nullable=False),
        sa.Column("seq", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column(
            "tx",
            sa.BigInteger().with_variant(sa.Integer(), "sqlite"),
            server_default=_current_transaction(),
            nullable=False,
        ),
        sa.Column("subject", sa.String(), nullable=False),
        sa.Column("subject_id", sa.Uuid(), nullable=False),
        sa.Column("kind", sa.String(), nullable=False),
        sa.Column(
            "at", sa.DateTime(timezone=True).with_variant(sa.String(32), "sqlite"), nullable=False
        ),
        sa.Column("actor", sa.String(), nullable=False),
        sa.Column("rings", sa.Boolean(), nullable=False),
        sa.Column("changes", sa.JSON().with_variant(sa.Text(), "sqlite"), nullable=False),
        sa.Column("state", sa.JSON().with_variant(sa.Text(), "sqlite"), nullable=False),
        sa.ForeignKeyConstraint(
            ["organization_id"], ["organization.id"], name="fk_change_organization_id"
        ),
        sa.PrimaryKeyConstraint("seq", name="pk_change"),
        sqlite_autoincrement=True,
    )
    with op.batch_alter_table("change", schema=None) as batch_op:
        batch_op.create_index("ix_change_place", ["tx", "seq"], unique=True)
        batch_op.create_index(
            "ix_change_place_of_organization", ["organization_id", "tx", "seq"], unique=False
        )
        batch_op.create_index(
            "ix_change_place_of_subject", ["subject_id", "tx", "seq"], unique=False
        )
        batch_op.create_index(
            "ix_change_rings",
            ["organization_id", "tx", "seq"],
            unique=False,
            sqlite_where=sa.text("rings"),
            postgresql_where=sa.text("rings"),
        )

    op.create_table(
        "event_type",
        sa.Column("organization_id", sa.Uuid(), nullable=False),
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("type", sa.String(), nullable=False),
        sa.Column("name", sa.String(), nullable=False),
        sa.Column("description", sa.String(), nullable=True),
        sa.Column("category", sa.String(), nullable=False),
        sa.Column(
            "state",
            sa.Enum(
                "DRAFT",
                "PUBLISHED",
                "DEPRECATED",
                "ARCHIVED",
                name="eventtypestate",
                native_enum=False,
                length=32,
            ),
            nullable=False,
        ),
        sa.Column("version", sa.Integer(), nullable=False),
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
            ["organization_id"], ["organization.id"], name="fk_event_type_organization_id"
        ),
        sa.PrimaryKeyConstraint("id", name="pk_event_type"),
        sa.UniqueConstraint("organization_id", "type", name="uq_event_type_organization_id_type"),
    )
    op.create_table(
        "receipt",
        sa.Column("organization_id", sa.Uuid(), nullable=False),
        sa.Column("source", sa.String(), nullable=False),
        sa.Column("source_id", sa.String(), nullable=False),
        sa.Column("digest", sa.String(), nullable=False),
        sa.Column("event_id", sa.Uuid(), nullable=False),
        sa.ForeignKeyConstraint(
            ["organization_id"], ["organization.id"], name="fk_receipt_organization_id"
        ),
        sa.PrimaryKeyConstraint("organization_id", "source", "source_id", name="pk_receipt"),
    )
    op.create_table(
        "event",
        sa.Column("organization_id", sa.Uuid(), nullable=False),
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("type", sa.String(), nullable=False),
        sa.Column("event_type_id", sa.Uuid(), nullable=True),
        sa.Column("event_type_version", sa.Integer(), nullable=True),
        sa.Column("entity_type", sa.String(), nullable=True),
        sa.Column("entity_id", sa.String(), nullable=True),
        sa.Column(
            "severity",
            sa.Enum(
                "ERROR", "WARN", "INFO", "SUCCESS", name="severity", native_enum=False, length=32
            ),
            nullable=False,
        ),
        sa.Column("summary", sa.String(), nullable=False),
        sa.Column("content", sa.String(), nullable=True),
        sa.Column("source", sa.String(), nullable=False),
        sa.Column("source_id", sa.String(), nullable=True),
        sa.Column("subject", sa.String(), nullable=True),
        sa.Column(
            "outcome",
            sa.Enum("SUCCESS", "FAILURE", name="outcome", native_enum=False, length=32),
            nullable=True,
        ),
        sa.Column(
            "occurred_at",
            sa.DateTime(timezone=True).with_variant(sa.String(32), "sqlite"),
            nullable=False,
        ),
        sa.Column(
            "recorded_at",
            sa.DateTime(timezone=True).with_variant(sa.String(32), "sqlite"),
            nullable=False,
        ),
        sa.Column(
            "updated_at",
            sa.DateTime(timezone=True).with_variant(sa.String(32), "sqlite"),
            nullable=False,
        ),
        sa.Column("fields", sa.JSON().with_variant(sa.Text(), "sqlite"), nullable=False),
        sa.Column("tags", sa.JSON().with_variant(sa.Text(), "sqlite"), nullable=False),
        sa.Column("notification", sa.Boolean(), nullable=False),
        sa.Column(
            "acknowledged_at",
            sa.DateTime(timezone=True).with_variant(sa.String(32), "sqlite"),
            nullable=True,
        ),
        sa.Column("acknowledged_by", sa.String(), nullable=True),
        sa.Column("acknowledgement_note", sa.String(), nullable=True),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.Column("rang_tx", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=True),
        sa.Column("rang_seq", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=True),
        sa.ForeignKeyConstraint(
            ["event_type_id"], ["event_type.id"], name="fk_event_event_type_id"
        ),
        sa.ForeignKeyConstraint(
            ["organization_id"], ["organization.id"], name="fk_event_organization_id"
        ),
        sa.PrimaryKeyConstraint("id", name="pk_event"),
    )
    with op.batch_alter_table("event", schema=None) as batch_op:
        batch_op.create_index(
            "ix_event_bell",
            ["organization_id", "rang_tx", "rang_seq"],
            unique=False,
            sqlite_where=sa.text("rang_seq IS NOT NULL"),
            postgresql_where=sa.text("rang_seq IS NOT NULL"),
        )
        batch_op.create_index("ix_event_event_type_id", ["event_type_id"], unique=False)
        batch_op.create_index(
            "ix_event_organization_id_entity_id_occurred_at_id",
            ["organization_id", "entity_id", "occurred_at", "id"],
            unique=False,
        )
        batch_op.create_index(
            "ix_event_organization_id_source_source_id",
            ["organization_id", "source", "source_id"],
            unique=False,
        )
        batch_op.create_index(
            "ix_event_organization_id_occurred_at_id",
            ["organization_id", "occurred_at", "id"],
            unique=False,
        )
        batch_op.create_index(
            "ix_event_organization_id_recorded_at_id",
            ["organization_id", "recorded_at", "id"],
            unique=False,
        )
        batch_op.create_index(
            "ix_event_organization_id_type_occurred_at_id",
            ["organization_id", "type", "occurred_at", "id"],
            unique=False,
        )

    op.create_table(
        "event_field",
        sa.Column("organization_id", sa.Uuid(), nullable=False),
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("event_type_id", sa.Uuid(), nullable=False),
        sa.Column("position", sa.Integer(), nullable=False),
        sa.Column("name", sa.String(), nullable=False),
        sa.Column("label", sa.String(), nullable=False),
        sa.Column(
            "kind",
            sa.Enum(
                "TEXT",
                "LONG_TEXT",
                "NUMBER",
                "INTEGER",
                "BOOLEAN",
                "DATE",
                "DATETIME",
                "SELECT",
                "MULTI_SELECT",
                "URL",
                "EMAIL",
                name="fieldkind",
                native_enum=False,
                length=32,
            ),
            nullable=False,
        ),
        sa.Column("required", sa.Boolean(), nullable=False),
        sa.Column("help_text", sa.String(), nullable=True),
        sa.Column("unit", sa.String(), nullable=True),
        sa.Column("options", sa.JSON().with_variant(sa.Text(), "sqlite"), nullable=True),
        sa.Column("minimum", sa.Float(), nullable=True),
        sa.Column("maximum", sa.Float(), nullable=True),
        sa.Column("min_length", sa.Integer(), nullable=True),
        sa.Column("max_length", sa.Integer(), nullable=True),
        sa.Column("pattern", sa.String(), nullable=True),
        sa.Column("default", sa.JSON().with_variant(sa.Text(), "sqlite"), nullable=True),
        sa.ForeignKeyConstraint(
            ["event_type_id"],
            ["event_type.id"],
            name="fk_event_field_event_type_id",
            ondelete="CASCADE",
        ),
        sa.ForeignKeyConstraint(
            ["organization_id"], ["organization.id"], name="fk_event_field_organization_id"
        ),
        sa.PrimaryKeyConstraint("id", name="pk_event_field"),
        sa.UniqueConstraint("event_type_id", "name", name="uq_event_field_event_type_id_name"),
    )
    op.create_table(
        "event_tag",
        sa.Column("organization_id", sa.Uuid(), nullable=False),
        sa.Column("event_id", sa.Uuid(), nullable=False),
        sa.Column("tag", sa.String(), nullable=False),
        sa.ForeignKeyConstraint(
            ["event_id"], ["event.id"], name="fk_event_tag_event_id", ondelete="CASCADE"
        ),
        sa.ForeignKeyConstraint(
            ["organization_id"], ["organization.id"], name="fk_event_tag_organization_id"
        ),
        sa.PrimaryKeyConstraint("event_id", "tag", name="pk_event_tag"),
    )
    with op.batch_alter_table("event_tag", schema=None) as batch_op:
        batch_op.create_index(
            "ix_event_tag_organization_id_tag_event_id",
            ["organization_id", "tag", "event_id"],
            unique=False,
        )
    log = sa.table("log", sa.column("epoch"))
    op.execute(log.insert().values(epoch=secrets.token_hex(8)))

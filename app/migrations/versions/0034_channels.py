"""Organizations have channels, to which notifications and changes are delivered.

Administrators of every organization get the permission to manage them.
"""

import json
from typing import Any

import sqlalchemy as sa
from alembic import op

revision = "0034"
down_revision = "0033"
branch_labels = None
depends_on = None


def upgrade() -> None:
    instant = sa.DateTime(timezone=True).with_variant(sa.String(32), "sqlite")
    json_value = sa.JSON().with_variant(sa.Text(), "sqlite")
    number = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
    op.create_table(
        "channel",
        sa.Column("organization_id", sa.Uuid(), nullable=False),
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("lease_holder", sa.String(), nullable=True),
        sa.Column("leased_until", instant, nullable=True),
        sa.Column("name", sa.String(), nullable=False),
        sa.Column(
            "kind",
            sa.Enum("WEBHOOK", name="channelkind", native_enum=False, length=32),
            nullable=False,
        ),
        sa.Column("url", sa.String(), nullable=False),
        sa.Column("secrets", sa.Text(), nullable=False),
        sa.Column("filter", json_value, nullable=True),
        sa.Column("triggers", json_value, nullable=False),
        sa.Column("enabled", sa.Boolean(), nullable=False),
        sa.Column("log_identity", sa.String(), nullable=False),
        sa.Column("tx", number, nullable=False),
        sa.Column("seq", number, nullable=False),
        sa.Column("last_number", sa.BigInteger(), nullable=False),
        sa.Column("last_error", sa.String(), nullable=True),
        sa.Column("failing_since", instant, nullable=True),
        sa.Column("created_at", instant, nullable=False),
        sa.Column("updated_at", instant, nullable=False),
        sa.ForeignKeyConstraint(
            ["organization_id"], ["organization.id"], name=op.f("fk_channel_organization_id")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_channel")),
    )
    op.create_index(op.f("ix_channel_organization_id_id"), "channel", ["organization_id", "id"])
    op.create_table(
        "delivery",
        sa.Column("organization_id", sa.Uuid(), nullable=False),
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("channel_id", sa.Uuid(), nullable=False),
        sa.Column("number", sa.BigInteger(), nullable=False),
        sa.Column(
            "trigger",
            sa.Enum(
                "NOTIFICATION_ADDED",
                "EVENT_CHANGED",
                "EVENT_RESOLVED",
                "TEST",
                name="channeltrigger",
                native_enum=False,
                length=32,
            ),
            nullable=False,
        ),
        sa.Column("webhook_id", sa.String(), nullable=False),
        sa.Column("event_id", sa.Uuid(), nullable=True),
        sa.Column("order_key", sa.String(), nullable=False),
        sa.Column("tx", number, nullable=True),
        sa.Column("seq", number, nullable=True),
        sa.Column("body", sa.Text(), nullable=False),
        sa.Column(
            "state",
            sa.Enum(
                "PENDING",
                "DELIVERED",
                "FAILED",
                name="deliverystate",
                native_enum=False,
                length=32,
            ),
            nullable=False,
        ),
        sa.Column("attempts", sa.Integer(), nullable=False),
        sa.Column("created_at", instant, nullable=False),
        sa.Column("expires_at", instant, nullable=False),
        sa.Column("hold_until", instant, nullable=True),
        sa.Column("last_attempt_at", instant, nullable=True),
        sa.Column("next_attempt_at", instant, nullable=True),
        sa.Column("response_status", sa.Integer(), nullable=True),
        sa.Column("error", sa.String(), nullable=True),
        sa.ForeignKeyConstraint(
            ["organization_id"], ["organization.id"], name=op.f("fk_delivery_organization_id")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_delivery")),
    )
    is_pending = sa.text("state = 'PENDING'")
    for name, columns, is_unique, condition in (
        (op.f("ix_delivery_channel_id_number"), ["channel_id", "number"], True, None),
        (op.f("ix_delivery_channel_id_webhook_id"), ["channel_id", "webhook_id"], True, None),
        ("ix_delivery_due", ["channel_id", "next_attempt_at"], False, is_pending),
        ("ix_delivery_order", ["channel_id", "order_key", "number"], False, is_pending),
        (op.f("ix_delivery_state_last_attempt_at"), ["state", "last_attempt_at"], False, None),
    ):
        op.create_index(
            name,
            "delivery",
            columns,
            unique=is_unique,
            sqlite_where=condition,
            postgresql_where=condition,
        )
    _grant_permission(json_value)


def _grant_permission(json_value: Any) -> None:
    keys = sa.table(
        "api_key",
        sa.column("id", sa.Uuid()),
        sa.column("permissions", json_value),
        sa.column("every_organization", sa.Boolean()),
    )
    connection = op.get_bind()
    is_text = connection.dialect.name == "sqlite"
    rows = connection.execute(
        sa.select(keys.c.id, keys.c.permissions).where(keys.c.every_organization)
    ).all()
    for key_id, stored in rows:
        permissions = json.loads(stored) if isinstance(stored, str) else stored
        granted = sorted({*permissions, "CHANNEL_MANAGE"})
        value = json.dumps(granted) if is_text else granted
        connection.execute(sa.update(keys).where(keys.c.id == key_id).values(permissions=value))

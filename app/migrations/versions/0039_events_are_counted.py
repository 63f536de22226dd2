"""Triggers count events by type, severity, status and notification.

They are triggers, so that the counters stay right while servers of earlier versions write events.
"""

import sqlalchemy as sa
from alembic import op

revision = "0039"
down_revision = "0038"
branch_labels = None
depends_on = None

COUNTED = ("organization_id", "type", "severity", "status", "notification")
KEY = ", ".join((*COUNTED, "shard"))
ADD = f"ON CONFLICT ({KEY}) DO UPDATE SET events = event_count.events + excluded.events"

# Which rows of an operation count, and how often.
CHANGES = {
    "INSERT": {"NEW": 1},
    "DELETE": {"OLD": -1},
    "UPDATE": {"OLD": -1, "NEW": 1},
}

# 461907: the class of the locks in app/store/engine/advisory_locks.py. Transactions that run at the
# same time change different shards, unless there are more of them than shards.
FREE_SHARD = """
CREATE FUNCTION free_event_count_shard() RETURNS int LANGUAGE plpgsql
SET search_path FROM CURRENT AS $$
DECLARE
    shard int := pg_backend_pid() % 16;
BEGIN
    FOR attempt IN 1..16 LOOP
        EXIT WHEN pg_try_advisory_xact_lock(461907, shard);
        shard := (shard + 1) % 16;
    END LOOP;
    RETURN shard;
END $$
"""
COUNT_EVENTS = """
CREATE FUNCTION count_events_on_{operation}() RETURNS trigger LANGUAGE plpgsql
SET search_path FROM CURRENT AS $$
BEGIN
    INSERT INTO event_count ({key}, events)
    SELECT organization_id, counted, severity, coalesce(status, ''), notification,
        (SELECT free_event_count_shard()), sum(number)
    FROM ({rows}) AS changed CROSS JOIN LATERAL (VALUES (''), (type)) AS types (counted)
    GROUP BY organization_id, counted, severity, status, notification
    HAVING sum(number) <> 0
    ORDER BY 1, 2, 3, 4, 5
    {add};
    RETURN NULL;
END $$
"""


def upgrade() -> None:
    is_sqlite = op.get_bind().dialect.name == "sqlite"
    op.create_table(
        "event_count",
        sa.Column("organization_id", sa.Uuid(), nullable=False),
        sa.Column(
            "type",
            sa.String().with_variant(sa.String(collation="C"), "postgresql"),
            nullable=False,
        ),
        sa.Column("severity", sa.String(32), nullable=False),
        sa.Column("status", sa.String(), nullable=False),
        sa.Column("notification", sa.Boolean(), nullable=False),
        sa.Column("shard", sa.Integer(), nullable=False),
        sa.Column("events", sa.BigInteger(), nullable=False),
        sa.ForeignKeyConstraint(
            ["organization_id"], ["organization.id"], name=op.f("fk_event_count_organization_id")
        ),
        sa.PrimaryKeyConstraint(*COUNTED, "shard", name=op.f("pk_event_count")),
        sqlite_with_rowid=False,
        postgresql_with={"fillfactor": 50},
    )
    if is_sqlite:
        _create_sqlite_triggers()
    else:
        _create_postgresql_triggers()
    op.execute(
        f"INSERT INTO event_count ({KEY}, events) "  # noqa: S608 - constants
        "SELECT organization_id, type, severity, coalesce(status, ''), notification, 0, count(*) "
        "FROM event GROUP BY 1, 2, 3, 4, 5"
    )
    op.execute(
        f"INSERT INTO event_count ({KEY}, events) "  # noqa: S608 - constants
        "SELECT organization_id, '', severity, status, notification, 0, sum(events) "
        "FROM event_count GROUP BY 1, 3, 4, 5"
    )


def _create_sqlite_triggers() -> None:
    for operation, rows in CHANGES.items():
        values = ", ".join(
            f"({row}.organization_id, {counted}, {row}.severity, coalesce({row}.status, ''), "
            f"{row}.notification, 0, {number})"
            for row, number in rows.items()
            for counted in ("''", f"{row}.type")
        )
        is_different = " OR ".join(f"OLD.{name} IS NOT NEW.{name}" for name in COUNTED)
        condition = f"WHEN {is_different}" if len(rows) > 1 else ""
        insert = f"INSERT INTO event_count ({KEY}, events) VALUES {values} {ADD}"  # noqa: S608
        op.execute(
            f"CREATE TRIGGER count_events_on_{operation.lower()} AFTER {operation} ON event "
            f"{condition} BEGIN {insert}; END"
        )


def _create_postgresql_triggers() -> None:
    op.execute(FREE_SHARD)
    for operation, rows in CHANGES.items():
        name = f"count_events_on_{operation.lower()}"
        selected = " UNION ALL ".join(
            f"SELECT {', '.join(COUNTED)}, {number} AS number FROM {row.lower()}_events"  # noqa: S608
            for row, number in rows.items()
        )
        op.execute(
            COUNT_EVENTS.format(operation=operation.lower(), key=KEY, rows=selected, add=ADD)
        )
        transition = " ".join(f"{row} TABLE AS {row.lower()}_events" for row in rows)
        op.execute(
            f"CREATE TRIGGER {name} AFTER {operation} ON event REFERENCING {transition} "
            f"FOR EACH STATEMENT EXECUTE FUNCTION {name}()"
        )

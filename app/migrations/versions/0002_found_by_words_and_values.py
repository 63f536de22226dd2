"""Events are found by category, words and values, and may be duplicates of others.

`store.fill` then makes the events that are there already findable.
"""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None

# The pattern of SQLite's manual for a full-text index over a table of its own.
_SEARCH_ON_SQLITE = (
    """
    CREATE VIRTUAL TABLE event_search USING fts5(
      words, content='event_words', content_rowid='id', detail=none, columnsize=0, tokenize='ascii'
    )
    """,
    """
    CREATE TRIGGER event_words_added AFTER INSERT ON event_words BEGIN
      INSERT INTO event_search(rowid, words) VALUES (new.id, new.words);
    END
    """,
    """
    CREATE TRIGGER event_words_taken AFTER DELETE ON event_words BEGIN
      INSERT INTO event_search(event_search, rowid, words) VALUES ('delete', old.id, old.words);
    END
    """,
)


def upgrade() -> None:
    op.create_table(
        "event_value",
        sa.Column("organization_id", sa.Uuid(), nullable=False),
        sa.Column("event_id", sa.Uuid(), nullable=False),
        sa.Column("field", sa.String(), nullable=False),
        sa.Column("ordinal", sa.Integer(), nullable=False),
        sa.Column("number", sa.Float(), nullable=True),
        sa.Column(
            "head", sa.String().with_variant(sa.String(collation="C"), "postgresql"), nullable=True
        ),
        sa.Column(
            "tail", sa.String().with_variant(sa.String(collation="C"), "postgresql"), nullable=True
        ),
        sa.Column("truth", sa.Boolean(), nullable=True),
        sa.ForeignKeyConstraint(
            ["event_id"], ["event.id"], name=op.f("fk_event_value_event_id"), ondelete="CASCADE"
        ),
        sa.ForeignKeyConstraint(
            ["organization_id"], ["organization.id"], name=op.f("fk_event_value_organization_id")
        ),
        sa.PrimaryKeyConstraint("event_id", "field", "ordinal", name=op.f("pk_event_value")),
    )
    with op.batch_alter_table("event_value", schema=None) as batch_op:
        batch_op.create_index(
            batch_op.f("ix_event_value_organization_id_field_head_event_id"),
            ["organization_id", "field", "head", "event_id"],
            unique=False,
        )
        batch_op.create_index(
            batch_op.f("ix_event_value_organization_id_field_number_event_id"),
            ["organization_id", "field", "number", "event_id"],
            unique=False,
        )

    op.create_table(
        "event_words",
        sa.Column("organization_id", sa.Uuid(), nullable=False),
        sa.Column("id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("event_id", sa.Uuid(), nullable=False),
        sa.Column(
            "words", sa.Text().with_variant(postgresql.TSVECTOR(), "postgresql"), nullable=False
        ),
        sa.ForeignKeyConstraint(
            ["event_id"], ["event.id"], name=op.f("fk_event_words_event_id"), ondelete="CASCADE"
        ),
        sa.ForeignKeyConstraint(
            ["organization_id"], ["organization.id"], name=op.f("fk_event_words_organization_id")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_event_words")),
        sa.UniqueConstraint("event_id", name=op.f("uq_event_words_event_id")),
        sqlite_autoincrement=True,
    )
    with op.batch_alter_table("event", schema=None) as batch_op:
        batch_op.add_column(sa.Column("category", sa.String(), nullable=True))
        batch_op.add_column(sa.Column("duplicate_of_id", sa.Uuid(), nullable=True))
        batch_op.create_index(
            "ix_event_bell_unacknowledged",
            ["organization_id", "rang_tx", "rang_seq"],
            unique=False,
            sqlite_where=sa.text("rang_seq IS NOT NULL AND acknowledged_at IS NULL"),
            postgresql_where=sa.text("rang_seq IS NOT NULL AND acknowledged_at IS NULL"),
        )
        batch_op.create_index(
            "ix_event_duplicate_of_id",
            ["duplicate_of_id"],
            unique=False,
            sqlite_where=sa.text("duplicate_of_id IS NOT NULL"),
            postgresql_where=sa.text("duplicate_of_id IS NOT NULL"),
        )
        batch_op.create_index(
            batch_op.f("ix_event_organization_id_category_occurred_at_id"),
            ["organization_id", "category", "occurred_at", "id"],
            unique=False,
        )
        batch_op.create_index(
            batch_op.f("ix_event_organization_id_severity_occurred_at_id"),
            ["organization_id", "severity", "occurred_at", "id"],
            unique=False,
        )
        batch_op.create_foreign_key(
            batch_op.f("fk_event_duplicate_of_id"),
            "event",
            ["duplicate_of_id"],
            ["id"],
            ondelete="SET NULL",
        )

    op.execute(
        "UPDATE event SET category = "
        "(SELECT category FROM event_type WHERE event_type.id = event.event_type_id)"
    )
    if op.get_bind().dialect.name == "sqlite":
        for statement in _SEARCH_ON_SQLITE:
            op.execute(statement)
    else:
        op.create_index("ix_event_words_words", "event_words", ["words"], postgresql_using="gin")
        # The order of its index is to be that of the code points, for prefixes.
        op.execute('ALTER TABLE event ALTER COLUMN type TYPE VARCHAR COLLATE "C"')

"""Filters on custom fields treat an empty list as absent, so empty lists are not indexed."""

from alembic import op

revision = "0021"
down_revision = "0020"
branch_labels = None
depends_on = None

_DELETE = """
    delete from event_value
    where ordinal = 0 and number is null and head is null and truth is null and exists ({})
"""
_SQLITE = """
    select 1 from event, json_each(event.fields) as pair
    where event.id = event_value.event_id and pair.key = event_value.field
    and pair.type = 'array' and json_array_length(pair.value) = 0
"""
_POSTGRESQL = """
    select 1 from event
    where event.id = event_value.event_id
    and (event.fields -> event_value.field)::jsonb = '[]'::jsonb
"""


def upgrade() -> None:
    is_sqlite = op.get_bind().dialect.name == "sqlite"
    op.execute(_DELETE.format(_SQLITE if is_sqlite else _POSTGRESQL))

"""Upgrade of a database from before empty lists were absent for filters."""

from __future__ import annotations

from sqlalchemy import text

from app.database_setup import prepare_database
from app.store.engine import dialect
from tests.client import Client
from tests.conftest import Serve, build_settings
from tests.store.test_fill_versions import client, copy_to_revision, old_url

__all__ = ["client", "old_url"]

LIST = """query ($field: String!, $operator: PredicateOperator!) {
  events(filter: {fields: [{field: $field, operator: $operator}]}) { nodes { sourceId } } }"""
ODD_NAME = "a.\"b'$[0]"


async def test_empty_lists_of_an_older_version_do_not_exist_in_filters(
    client: Client, database_url: str, old_url: str, serve: Serve
) -> None:
    for name, value in {"empty": [], "list": [{}], "object": {}, "blank": " "}.items():
        fields = {"f": value, ODD_NAME: value}
        await client.log_event(type="free", source="/a", sourceId=name, fields=fields)
    await copy_to_revision("0011", old_url, database_url)
    engine = dialect.create_migration_engine(dialect.parse_database_url(old_url))
    async with engine.begin() as connection:  # as the old version indexed the values
        for field in ("f", ODD_NAME):
            await connection.execute(
                text(
                    "insert into event_value"
                    " (organization_id, event_id, field, ordinal, head, tail)"
                    " select organization_id, id, :field, 0,"
                    " case source_id when 'blank' then ' ' end,"
                    " case source_id when 'blank' then '' end from event"
                ),
                {"field": field},
            )
    await engine.dispose()

    await prepare_database(build_settings(old_url))

    async with serve(old_url) as later:
        for field in ("f", ODD_NAME):
            found = {
                operator: {
                    node["sourceId"]
                    for node in (await later.execute_field(LIST, field=field, operator=operator))[
                        "nodes"
                    ]
                }
                for operator in ("EXISTS", "NOT_EXISTS")
            }
            assert found == {"EXISTS": {"list", "object"}, "NOT_EXISTS": {"empty", "blank"}}

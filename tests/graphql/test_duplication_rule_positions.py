"""Positions of duplication rules: the order in which rules are tried, and how it changes."""

from __future__ import annotations

import asyncio
import random
from typing import Any

import pytest
from sqlalchemy import text

from app.database_setup import prepare_database
from app.domain.access.caller import Permission
from app.store.change_log import changes
from app.store.change_log.changes import LOG_START
from app.store.engine.database import ALL_ORGANIZATIONS, Database
from tests.client import Client
from tests.conftest import Serve, build_settings
from tests.factories import admin_caller, create_api_key
from tests.store.undone_migrations import undo_since_0022

PAYLOAD = "{ duplicationRule { id name position } userErrors { code message path } }"
CREATE = f"""mutation ($input: CreateDuplicationRuleInput!) {{
  createDuplicationRule(input: $input) {PAYLOAD} }}"""
UPDATE = f"""mutation ($input: UpdateDuplicationRuleInput!) {{
  updateDuplicationRule(input: $input) {PAYLOAD} }}"""
DELETE = f"mutation ($id: ID!) {{ deleteDuplicationRule(id: $id) {PAYLOAD} }}"
LIST = """query ($type: ID, $first: Int, $after: String) {
  duplicationRules(eventTypeId: $type, first: $first, after: $after) {
    nodes { id name position updatedAt } pageInfo { hasNextPage endCursor } } }"""
DEFINE = """mutation ($type: String!) {
  createEventType(input: {name: "Pump", type: $type, state: PUBLISHED}) { eventType { id } } }"""
DELETE_TYPE = """mutation ($id: ID!) { deleteEventType(id: $id) {
  eventType { duplicationRules { name position } } userErrors { code } } }"""
LOG = """mutation ($input: LogEventInput!) { logEvent(input: $input) {
  duplicate event { occurrences } userErrors { code } } }"""


async def create_rule(client: Client, name: str, **overrides: Any) -> Any:
    defaults = {"name": name, "fingerprint": ["source"], "window": "PT15M", "action": "COUNT"}
    payload = await client.execute_field(CREATE, input=defaults | overrides)
    assert payload["userErrors"] == []
    return payload["duplicationRule"]


async def create_rules(client: Client, names: str) -> dict[str, str]:
    """Creates a rule for each letter. Returns the IDs by name."""
    return {name: (await create_rule(client, name))["id"] for name in names}


async def move_rule(client: Client, rule_id: str, position: int) -> Any:
    return await client.execute_field(UPDATE, input={"id": rule_id, "position": position})


async def list_names(client: Client, **arguments: Any) -> str:
    """The names in order. Without a filter, the positions are 0, 1, 2 and so on."""
    nodes = (await client.execute_field(LIST, **arguments))["nodes"]
    positions = [node["position"] for node in nodes]
    assert positions == sorted(positions)
    assert arguments or positions == list(range(len(nodes)))
    return "".join(node["name"] for node in nodes)


async def create_event_type(client: Client, type: str) -> str:
    return str((await client.execute_field(DEFINE, type=type))["eventType"]["id"])


async def test_a_rule_is_created_last_unless_it_has_a_position(client: Client) -> None:
    await create_rules(client, "ab")

    first = await create_rule(client, "c", position=0)
    middle = await create_rule(client, "d", position=2)
    last = await create_rule(client, "e", position=4)
    none = await create_rule(client, "f", position=None)

    assert [each["position"] for each in (first, middle, last, none)] == [0, 2, 4, 5]
    assert await list_names(client) == "cadbef"


@pytest.mark.parametrize(
    ("name", "position", "names"),
    [
        ("a", 3, "bcda"),
        ("a", 2, "bcad"),
        ("d", 0, "dabc"),
        ("c", 1, "acbd"),
        ("b", 1, "abcd"),
    ],
)
async def test_moving_a_rule_shifts_the_others(
    client: Client, name: str, position: int, names: str
) -> None:
    ids = await create_rules(client, "abcd")
    before = {each["id"]: each for each in (await client.execute_field(LIST))["nodes"]}

    payload = await move_rule(client, ids[name], position)

    assert payload["duplicationRule"] == {"id": ids[name], "name": name, "position": position}
    assert await list_names(client) == names
    for each in (await client.execute_field(LIST))["nodes"]:
        is_moved = each["id"] == ids[name]
        assert (each["updatedAt"] != before[each["id"]]["updatedAt"]) is is_moved


async def test_a_position_that_does_not_exist_is_rejected(client: Client) -> None:
    ids = await create_rules(client, "ab")
    defaults = {"name": "c", "fingerprint": ["source"], "window": "PT1M", "action": "FLAG"}

    for position in (-1, 2):
        payload = await move_rule(client, ids["a"], position)
        assert payload["userErrors"] == [
            {
                "code": "INVALID_INPUT",
                "message": "position must be from 0 to 1.",
                "path": ["input", "position"],
            }
        ]
    for position in (-1, 3, 2**31 - 1):
        payload = await client.execute_field(CREATE, input=defaults | {"position": position})
        assert [error["message"] for error in payload["userErrors"]] == [
            "position must be from 0 to 2."
        ]
    invalid = await client.execute_field(
        CREATE, input=defaults | {"position": 0, "fingerprint": []}
    )
    assert [error["path"] for error in invalid["userErrors"]] == [["input", "fingerprint"]]
    assert await list_names(client) == "ab"


async def test_deleting_rules_leaves_no_gap(client: Client) -> None:
    kind = await create_event_type(client, "pump")
    ids = await create_rules(client, "ab")
    await create_rule(client, "x", eventTypeId=kind, position=1)
    await create_rule(client, "y", eventTypeId=kind)
    await create_rules(client, "c")
    assert await list_names(client) == "axbyc"

    deleted = await client.execute_field(DELETE, id=ids["a"])
    without_a = await list_names(client)
    deleted_type = await client.execute_field(DELETE_TYPE, id=kind)

    assert deleted["duplicationRule"]["position"] == 0
    assert without_a == "xbyc"
    assert deleted_type["eventType"]["duplicationRules"] == [
        {"name": "x", "position": 0},
        {"name": "y", "position": 2},
    ]
    assert await list_names(client) == "bc"


async def test_rules_of_an_event_type_and_pages_are_in_order_of_position(client: Client) -> None:
    kind = await create_event_type(client, "pump")
    ids = await create_rules(client, "abcd")
    for name in "xy":
        await create_rule(client, name, eventTypeId=kind, position=1)
    await move_rule(client, ids["d"], 0)

    names, after = "", None
    for _ in range(4):
        page = await client.execute_field(LIST, first=2, after=after)
        names += "".join(node["name"] for node in page["nodes"])
        after = page["pageInfo"]["endCursor"]
        if not page["pageInfo"]["hasNextPage"]:
            break

    assert names == await list_names(client) == "dayxbc"
    assert await list_names(client, type=kind) == "yx"
    of_type = await client.execute_field(
        "query ($id: ID!) { eventType(by: {id: $id}) { duplicationRules { name position } } }",
        id=kind,
    )
    assert of_type == {
        "duplicationRules": [{"name": "y", "position": 2}, {"name": "x", "position": 3}]
    }


async def test_the_first_rule_by_position_applies_on_every_server(
    own_client: Client, database_url: str, serve: Serve
) -> None:
    kind = await create_event_type(own_client, "pump")
    await create_rule(own_client, "count", action="COUNT")
    reject = await create_rule(own_client, "reject", action="REJECT", eventTypeId=kind)
    report = {"type": "pump", "source": "/a", "occurredAt": "2026-04-10T12:00:00Z"}

    async with serve(database_url) as other:
        await own_client.execute_field(LOG, input=report)
        counted = await other.execute_field(LOG, input=report)
        await move_rule(own_client, reject["id"], 0)
        rejected = await other.execute_field(LOG, input=report)
        await move_rule(own_client, reject["id"], 1)
        counted_again = await other.execute_field(LOG, input=report)

    assert counted == {"duplicate": True, "event": {"occurrences": 2}, "userErrors": []}
    assert [error["code"] for error in rejected["userErrors"]] == ["DUPLICATE"]
    assert counted_again["event"] == {"occurrences": 3}


# Each waits for the others: more would wait longer than the 5 s of the lock on a busy machine.
WRITERS = 6


async def test_concurrent_changes_leave_neither_gaps_nor_repeated_positions(
    own_client: Client, database_url: str, serve: Serve
) -> None:
    ids = await create_rules(own_client, "abcdefgh")
    chance = random.Random(17)

    async with serve(database_url) as other:

        async def change(number: int) -> None:
            server = (own_client, other)[number % 2]
            if number % 5 == 0:
                await create_rule(server, f"n{number}", position=chance.randrange(5))
            elif number % 7 == 0:
                rule = await create_rule(server, f"n{number}")
                await server.execute_field(DELETE, id=rule["id"])
            else:
                moved = chance.choice(list(ids.values()))
                payload = await move_rule(server, moved, chance.randrange(8))
                assert payload["userErrors"] == []

        async def change_in_turn(writer: int) -> None:
            for number in range(writer, 60, WRITERS):
                await change(number)

        await asyncio.gather(*map(change_in_turn, range(WRITERS)))

    nodes = (await own_client.execute_field(LIST, first=100))["nodes"]
    assert [node["position"] for node in nodes] == list(range(len(ids) + 12))


async def test_rules_of_other_organizations_keep_their_positions(
    own_client: Client, database: Database
) -> None:
    ids = await create_rules(own_client, "ab")
    secret = await create_api_key(
        database, Permission.RULE_MANAGE, Permission.EVENT_READ, organization="another"
    )
    another = own_client.as_key(secret)
    others = await create_rules(another, "xyz")

    await move_rule(another, others["z"], 0)
    await another.execute_field(DELETE, id=others["x"])
    await move_rule(own_client, ids["b"], 0)

    assert await list_names(own_client) == "ba"
    assert await list_names(another) == "zy"


async def test_the_change_log_has_the_new_position_of_the_moved_rule(
    own_client: Client, database: Database
) -> None:
    ids = await create_rules(own_client, "abc")

    await move_rule(own_client, ids["c"], 0)

    async with database.read((await admin_caller(database)).organization_id) as session:
        entries = await changes.fetch_entries_after(session, LOG_START, 100)
    assert [
        (each.kind, each.actor, each.state_json["name"], each.state_json["position"])
        for each in entries
        if str(each.subject_id) in ids.values()
    ] == [
        ("CREATED", "administrator", "a", 0),
        ("CREATED", "administrator", "b", 1),
        ("CREATED", "administrator", "c", 2),
        ("UPDATED", "administrator", "c", 0),
    ]


async def test_an_upgrade_numbers_rules_in_order_of_creation(
    own_client: Client, database: Database, database_url: str, dialect: str, serve: Serve
) -> None:
    secret = await create_api_key(
        database, Permission.RULE_MANAGE, Permission.EVENT_READ, organization="another"
    )
    for name in "abc":
        await create_rule(own_client, name, position=0)
        await create_rule(own_client.as_key(secret), name.upper(), position=0)
    async with database.write(ALL_ORGANIZATIONS) as session:
        for statement in (
            *undo_since_0022(dialect),
            "UPDATE alembic_version SET version_num = '0021'",
        ):
            await session.execute(text(statement))

    await prepare_database(build_settings(database_url))

    async with serve(database_url) as later:
        assert await list_names(later) == "abc"
        assert await list_names(later.as_key(secret)) == "ABC"

"""Audit entries: who changed what, and when, of everything but events."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID, uuid4

import pytest
from sqlalchemy import select
from sqlmodel import col

from app.domain.access.audit import decode_entry_id, encode_entry_id
from app.domain.access.caller import Permission
from app.services.change_log import audit
from app.store import tables
from app.store.engine.database import ALL_ORGANIZATIONS, Database
from app.store.writing.inserts import insert_rows
from tests.client import Client
from tests.event_type_client import (
    ADD_FIELD,
    ADD_RULE,
    DELETE,
    DELETE_RULE,
    REMOVE_FIELD,
    REORDER,
    TRANSITION,
    UPDATE,
    UPDATE_FIELD,
    UPDATE_RULE,
    change_event_type,
    define_event_type,
    field_input,
    predicate_input,
    rule_input,
)
from tests.factories import admin_caller, create_api_key
from tests.graphql import test_duplication_rules as duplication
from tests.graphql import test_guard_rules as guards

ENTRIES = """
query ($filter: AuditFilter, $first: Int, $after: String) {
  auditEntries(filter: $filter, first: $first, after: $after) {
    edges { cursor node { id } }
    nodes { id at actor action subjectType subjectId subjectName changes }
    pageInfo { hasNextPage hasPreviousPage startCursor endCursor }
  }
}
"""
NODE = """
query ($id: ID!) {
  node(id: $id) { __typename id ... on AuditEntry { action subjectName changes } }
}
"""
CREATE_KEY = """
mutation ($input: CreateApiKeyInput!) {
  createApiKey(input: $input) { apiKey { id } secret userErrors { code } }
}
"""
REVOKE = "mutation ($id: ID!) { revokeApiKey(id: $id) { apiKey { id } userErrors { code } } }"
DELETED_RULE = """
mutation ($id: ID!) { deleteDuplicationRule(id: $id) { userErrors { code } } }
"""
A, B = field_input("a"), field_input("b", "NUMBER", minimum=1)


async def list_entries(client: Client, **filter: Any) -> list[Any]:
    page = await client.execute_field(ENTRIES, filter=filter, first=100)
    assert page["pageInfo"]["hasNextPage"] is False
    nodes: list[Any] = page["nodes"]
    return nodes


async def summarize_entries(client: Client, **filter: Any) -> list[tuple[Any, ...]]:
    """Action, type and name of the subject, and changes of each entry, oldest first."""
    return [
        (each["action"], each["subjectType"], each["subjectName"], each["changes"])
        for each in reversed(await list_entries(client, **filter))
    ]


async def test_the_life_of_a_guard_rule_is_recorded_with_old_and_new_values(
    client: Client,
) -> None:
    rule = (await guards.create_draft_rule(client, "true"))["guardRule"]
    change = {"id": rule["id"], "expression": "event.summary != ''", "enforcement": "WARN"}
    await client.execute_field(guards.UPDATE, input=change)
    await client.execute_field(guards.PUBLISH, id=rule["id"])
    await client.execute_field(guards.RETIRE, id=rule["id"])
    await client.execute_field(guards.RETIRE, id=rule["id"])

    entries = await summarize_entries(client, subjectTypes=["GuardRule"])

    assert entries == [
        (
            *("CREATED", "GuardRule", "volume"),
            {
                "name": [None, "volume"],
                "state": [None, "DRAFT"],
                "expression": [None, "true"],
                "message": [None, "Too much."],
                "enforcement": [None, "REJECT"],
            },
        ),
        (
            *("UPDATED", "GuardRule", "volume"),
            {
                "expression": ["true", "event.summary != ''"],
                "enforcement": ["REJECT", "WARN"],
            },
        ),
        (
            *("PUBLISHED", "GuardRule", "volume"),
            {"state": ["DRAFT", "PUBLISHED"], "publishedVersion": [None, 1]},
        ),
        (
            *("RETIRED", "GuardRule", "volume"),
            {"state": ["PUBLISHED", "RETIRED"], "publishedVersion": [1, None]},
        ),
    ]


async def test_the_life_of_a_duplication_rule_is_recorded_with_old_and_new_values(
    client: Client,
) -> None:
    rule = await duplication.create_rule(client, "source", "fields.a")
    await duplication.update_rule(client, rule, window="PT1H30M", enabled=False)
    await client.execute_field(duplication.RESET, id=rule["id"])
    [reset_at] = [each["resetAt"] for each in await duplication.list_rules(client)]
    await client.execute_field(DELETED_RULE, id=rule["id"])

    entries = await summarize_entries(client, subjectId=rule["id"])

    values = {
        "name": "r",
        "fingerprint": ["source", "fields.a"],
        "window": "PT15M",
        "action": "COUNT",
        "escalate": True,
        "enabled": True,
        "position": 0,
    }
    # A changed window clears the fingerprints, too.
    _, changed_at = entries[1][3]["resetAt"]
    last_values = values | {"window": "PT1H30M", "enabled": False, "resetAt": reset_at}
    assert entries == [
        (
            *("CREATED", "DuplicationRule", "r"),
            {name: [None, value] for name, value in values.items()},
        ),
        (
            *("UPDATED", "DuplicationRule", "r"),
            {"window": ["PT15M", "PT1H30M"], "enabled": [True, False]}
            | {"resetAt": [None, changed_at]},
        ),
        ("RESET", "DuplicationRule", "r", {"resetAt": [changed_at, reset_at]}),
        (
            *("DELETED", "DuplicationRule", "r"),
            {name: [value, None] for name, value in last_values.items()},
        ),
    ]
    assert changed_at < reset_at


async def test_changes_to_fields_and_conditional_rules_are_recorded_beside_the_version(
    client: Client,
) -> None:
    event_type = await define_event_type(client, A, B, state="DRAFT")
    type_id, a_id = event_type["id"], event_type["fields"][0]["id"]
    b_id = event_type["fields"][1]["id"]
    added = await change_event_type(client, ADD_FIELD, id=type_id, field=field_input("c"))
    c_id = added["fields"][2]["id"]
    await change_event_type(client, UPDATE_FIELD, input={"id": b_id, "minimum": 2, "label": "B"})
    order = [c_id, b_id, a_id]
    await change_event_type(client, REORDER, id=type_id, fieldIds=order)
    rule = rule_input("SHOW", "a", predicate_input("b"))
    ruled = await change_event_type(client, ADD_RULE, id=type_id, rule=rule)
    rule_id = ruled["conditionalRules"][0]["id"]
    await change_event_type(client, UPDATE_RULE, input={"id": rule_id, "enabled": False})
    await change_event_type(client, DELETE_RULE, id=rule_id)
    await change_event_type(client, REMOVE_FIELD, id=c_id)

    entries = await summarize_entries(client)

    of_type: dict[str, list[Any]] = {"eventTypeId": [None, type_id]}
    a: dict[str, list[Any]] = {"kind": [None, "TEXT"], "required": [None, False]}
    rule_values = {"eventTypeId": type_id, "enabled": True} | rule
    gauge = ("EventType", "Gauge")
    assert [each for each in entries if each[1] != "Organization"] == [
        (
            *("CREATED", *gauge),
            {
                "type": [None, "gauge"],
                "name": [None, "Gauge"],
                "category": [None, "general"],
                "state": [None, "DRAFT"],
                "additionalFields": [None, "REFUSE"],
                "version": [None, 1],
                "fields": [None, ["a", "b"]],
                "conditionalRules": [None, []],
            },
        ),
        ("CREATED", "EventField", "a", of_type | a | {"name": [None, "a"], "label": [None, "a"]}),
        (
            *("CREATED", "EventField", "b"),
            of_type
            | {"name": [None, "b"], "label": [None, "b"], "kind": [None, "NUMBER"]}
            | {"required": [None, False], "minimum": [None, 1]},
        ),
        ("UPDATED", *gauge, {"version": [1, 2], "fields": [["a", "b"], ["a", "b", "c"]]}),
        ("CREATED", "EventField", "c", of_type | a | {"name": [None, "c"], "label": [None, "c"]}),
        ("UPDATED", *gauge, {"version": [2, 3]}),
        ("UPDATED", "EventField", "b", {"minimum": [1, 2], "label": ["b", "B"]}),
        (
            *("UPDATED", *gauge),
            {"version": [3, 4], "fields": [["a", "b", "c"], ["c", "b", "a"]]},
        ),
        ("UPDATED", *gauge, {"version": [4, 5], "conditionalRules": [[], ["show a"]]}),
        (
            *("CREATED", "ConditionalRule", "show a"),
            {name: [None, value] for name, value in rule_values.items()},
        ),
        ("UPDATED", *gauge, {"version": [5, 6]}),
        ("UPDATED", "ConditionalRule", "show a", {"enabled": [True, False]}),
        ("UPDATED", *gauge, {"version": [6, 7], "conditionalRules": [["show a"], []]}),
        (
            *("DELETED", "ConditionalRule", "show a"),
            {name: [value, None] for name, value in (rule_values | {"enabled": False}).items()},
        ),
        ("UPDATED", *gauge, {"version": [7, 8], "fields": [["c", "b", "a"], ["b", "a"]]}),
        (
            *("DELETED", "EventField", "c"),
            {name: [new, old] for name, (old, new) in (of_type | a).items()}
            | {"name": ["c", None], "label": ["c", None]},
        ),
    ]


async def test_an_event_type_is_deleted_with_an_entry_for_all_that_is_deleted_with_it(
    client: Client,
) -> None:
    event_type = await define_event_type(
        client, A, B, conditionalRules=[rule_input("SHOW", "a", predicate_input("b"))]
    )
    type_id = event_type["id"]
    await change_event_type(client, UPDATE, input={"id": type_id, "description": "d"})
    sunset = "2030-01-01T00:00:00.000000Z"
    await change_event_type(client, TRANSITION, id=type_id, to="DEPRECATED", sunsetAt=sunset)
    await guards.create_draft_rule(client, "true", eventTypeId=type_id)
    await duplication.create_rule(client, eventTypeId=type_id)
    await change_event_type(client, DELETE, id=type_id)

    changes = await summarize_entries(client, actions=["UPDATED", "TRANSITIONED"])
    deletions = await summarize_entries(client, actions=["DELETED"])

    assert changes == [
        ("UPDATED", "EventType", "Gauge", {"description": [None, "d"], "version": [1, 2]}),
        (
            *("TRANSITIONED", "EventType", "Gauge"),
            {"state": ["PUBLISHED", "DEPRECATED"], "sunsetAt": [None, sunset]},
        ),
    ]
    assert [each[1:3] for each in deletions] == [
        ("EventType", "Gauge"),
        ("EventField", "a"),
        ("EventField", "b"),
        ("ConditionalRule", "show a"),
        ("GuardRule", "volume"),
        ("DuplicationRule", "r"),
    ]
    assert deletions[0][3]["fields"] == [["a", "b"], None]
    assert [each[3]["eventTypeId"] for each in deletions[1:]] == [[type_id, None]] * 5


async def test_keys_are_recorded_without_their_secret(client: Client) -> None:
    expires_at = "2100-01-01T00:00:00.000000Z"
    granted = {"name": "desk", "permissions": ["EVENT_READ"], "expiresAt": expires_at}
    created = await client.execute_field(CREATE_KEY, input=granted)
    await client.execute_field(REVOKE, id=created["apiKey"]["id"])
    await client.execute_field(REVOKE, id=created["apiKey"]["id"])

    response = await client.execute(ENTRIES, filter={"subjectTypes": ["ApiKey"]})

    revoked, made = response["data"]["auditEntries"]["nodes"]
    assert (made["action"], made["subjectId"]) == ("CREATED", created["apiKey"]["id"])
    assert made["changes"] == {
        "name": [None, "desk"],
        "permissions": [None, ["EVENT_READ"]],
        "everyOrganization": [None, False],
        "expiresAt": [None, expires_at],
    }
    assert (revoked["action"], list(revoked["changes"])) == ("REVOKED", ["revokedAt"])
    assert revoked["changes"]["revokedAt"] == [None, revoked["at"]]
    assert created["secret"] not in str(response)


async def test_an_entry_names_the_actor_and_the_time(
    own_client: Client, database: Database
) -> None:
    secret = await create_api_key(database, *Permission)
    started = datetime.now(UTC)
    await duplication.create_rule(own_client.as_key(secret))

    [entry] = await list_entries(own_client, subjectTypes=["DuplicationRule"])

    assert entry["actor"] == "key of default"
    assert started <= datetime.fromisoformat(entry["at"]) <= datetime.now(UTC)


async def test_a_rejected_change_and_a_change_of_nothing_have_no_entry(client: Client) -> None:
    rule = await guards.create_published_rule(client, "true")
    event_type = await define_event_type(client, A)
    before = await list_entries(client)
    await guards.create_draft_rule(client, "1 +")
    await client.execute_field(guards.PUBLISH, id=rule["id"])
    await client.execute_field(TRANSITION, id=event_type["id"], to="DRAFT")
    await client.execute_field(UPDATE, input={"id": event_type["id"], "name": "Gauge"})
    await client.execute_field(REMOVE_FIELD, id=str(uuid4()))
    await client.log_event(summary="an event")

    assert await list_entries(client) == before


async def test_entries_are_filtered_by_each_condition(
    own_client: Client, database: Database
) -> None:
    secret = await create_api_key(database, *Permission)
    other = own_client.as_key(secret)
    rule = await duplication.create_rule(other)
    middle = (await list_entries(own_client))[0]["at"]
    await duplication.update_rule(own_client, rule, enabled=False)
    await guards.create_draft_rule(own_client, "true")

    async def select_entries(**filter: Any) -> list[tuple[str, str]]:
        entries = await summarize_entries(own_client, **filter)
        return [(action, subject) for action, subject, *_ in entries]

    rules = ["DuplicationRule", "GuardRule"]
    later = [("UPDATED", "DuplicationRule"), ("CREATED", "GuardRule")]
    assert await select_entries(subjectTypes=rules) == [("CREATED", "DuplicationRule"), *later]
    assert await select_entries(actions=["UPDATED", "RESET"]) == later[:1]
    assert await select_entries(actors=["key of default"]) == [("CREATED", "DuplicationRule")]
    assert await select_entries(subjectId=rule["id"]) == [
        ("CREATED", "DuplicationRule"),
        ("UPDATED", "DuplicationRule"),
    ]
    after_middle = datetime.fromisoformat(middle) + timedelta(microseconds=1)
    assert await select_entries(at={"from": after_middle.isoformat()}) == later
    assert await select_entries(at={"from": middle, "to": after_middle.isoformat()}) == [
        ("CREATED", "DuplicationRule")
    ]
    assert await select_entries(actors=["key of default"], actions=["UPDATED"]) == []
    assert await select_entries(actions=[]) == []


REJECTED: list[tuple[dict[str, Any], str, list[str]]] = [
    (
        {"subjectTypes": ["GuardRule", "Event"]},
        "Unknown subject type 'Event': expected one of ApiKey, Channel, ConditionalRule, "
        "DuplicationRule, EventField, EventType, GuardRule, Organization, RetentionPolicy, "
        "Silence, Source.",
        ["filter", "subjectTypes", "1"],
    ),
    (
        {"subjectId": "1"},
        "Invalid ID '1': expected a UUID.",
        ["filter", "subjectId"],
    ),
    (
        {"actors": ["a"] * 101},
        "The list has 101 values; at most 100 are allowed.",
        ["filter", "actors"],
    ),
    (
        {"actors": ["b", "x" * 256]},
        "At most 255 characters are allowed; filter.actors[1] has 256.",
        ["filter", "actors", "1"],
    ),
]


@pytest.mark.parametrize(("filter", "message", "path"), REJECTED)
async def test_an_invalid_condition_is_rejected_with_its_path(
    client: Client, filter: dict[str, Any], message: str, path: list[str]
) -> None:
    error = await client.expect_error(ENTRIES, filter=filter)

    assert error["message"] == message
    assert error["extensions"] == {"code": "BAD_USER_INPUT", "path": path}


async def test_pages_continue_where_the_last_one_ended(client: Client) -> None:
    for name in "abcde":
        await duplication.create_rule(client, name=name)
    filter = {"subjectTypes": ["DuplicationRule"]}
    first = await client.execute_field(ENTRIES, filter=filter, first=2)
    await duplication.create_rule(client, name="f")

    after = first["pageInfo"]["endCursor"]
    second = await client.execute_field(ENTRIES, filter=filter, first=2, after=after)
    last = await client.execute_field(
        ENTRIES, filter=filter, first=2, after=second["pageInfo"]["endCursor"]
    )

    pages = [[node["subjectName"] for node in page["nodes"]] for page in (first, second, last)]
    assert pages == [["e", "d"], ["c", "b"], ["a"]]
    assert [page["pageInfo"]["hasNextPage"] for page in (first, second, last)] == [
        *(True, True, False),
    ]
    assert second["pageInfo"]["hasPreviousPage"] is True
    assert [edge["cursor"] for edge in second["edges"]] == [
        second["pageInfo"]["startCursor"],
        second["pageInfo"]["endCursor"],
    ]


async def test_a_page_examines_a_limited_number_of_entries(
    client: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    await guards.create_draft_rule(client, "true")
    for name in "abcdefg":
        await duplication.create_rule(client, name=name)
    monkeypatch.setattr(audit, "WINDOW_SIZE", 2)
    monkeypatch.setattr(audit, "MAX_BATCHES", 2)

    filter = {"subjectTypes": ["GuardRule"]}
    first = await client.execute_field(ENTRIES, filter=filter)
    after = first["pageInfo"]["endCursor"]
    second = await client.execute_field(ENTRIES, filter=filter, after=after)

    assert (first["nodes"], first["pageInfo"]["hasNextPage"]) == ([], True)
    assert [node["subjectName"] for node in second["nodes"]] == ["volume"]


@pytest.mark.parametrize("cursor", ["nonsense", "", "a" * 200])
async def test_a_damaged_cursor_is_rejected(client: Client, cursor: str) -> None:
    error = await client.expect_error(ENTRIES, after=cursor)

    assert error["extensions"] == {"code": "INVALID_CURSOR", "path": ["after"]}


async def test_a_cursor_of_another_list_is_rejected(client: Client) -> None:
    head = await client.execute_field("{ logHead }")

    error = await client.expect_error(ENTRIES, after=head)

    assert error["extensions"] == {"code": "INVALID_CURSOR", "path": ["after"]}


async def test_an_entry_is_a_node(client: Client) -> None:
    await duplication.create_rule(client)
    [entry] = await list_entries(client, subjectTypes=["DuplicationRule"])

    node = await client.execute_field(NODE, id=entry["id"])

    assert node == {
        "__typename": "AuditEntry",
        "id": entry["id"],
        "action": "CREATED",
        "subjectName": "r",
        "changes": entry["changes"],
    }
    assert UUID(entry["id"]).version == 7


async def test_an_id_with_the_sequence_number_of_another_entry_is_no_node(client: Client) -> None:
    await duplication.create_rule(client)
    event = await client.log_event()
    [entry] = await list_entries(client, subjectTypes=["DuplicationRule"])
    sequence = decode_entry_id(UUID(entry["id"]))
    assert sequence is not None
    at = datetime.fromisoformat(entry["at"])
    other_ids = [
        encode_entry_id(at + timedelta(seconds=1), sequence),
        encode_entry_id(datetime.fromisoformat(event["recordedAt"]), sequence + 1),
        encode_entry_id(at, 2**62 - 1),
    ]

    assert [await client.execute_field(NODE, id=str(each)) for each in other_ids] == [None] * 3


async def test_entries_require_organization_manage(own_client: Client, database: Database) -> None:
    everything_else = set(Permission) - {Permission.ORGANIZATION_MANAGE}
    caller = own_client.as_key(await create_api_key(database, *everything_else))
    [entry, *_] = await list_entries(own_client)

    error = await caller.expect_error(ENTRIES)

    assert error["extensions"]["code"] == "FORBIDDEN"
    assert await caller.execute_field(NODE, id=entry["id"]) is None


async def test_entries_of_earlier_versions_are_readable_with_what_they_have(
    own_client: Client, database: Database
) -> None:
    organization_id = (await admin_caller(database)).organization_id
    key_id, rule_id, at = uuid4(), uuid4(), datetime(2026, 1, 1, tzinfo=UTC)
    values = {"name": "desk", "permissions": ["EVENT_READ"], "expires_at": None}
    state = {"name": "g", "state": "PUBLISHED", "published": 1}
    old_entries = [
        ("api_key", key_id, "CREATED", values),
        ("api_key", key_id, "REVOKED", values),
        ("guard_rule", rule_id, "PUBLISHED", state),
    ]
    async with database.write(ALL_ORGANIZATIONS) as session:
        rows = [
            {
                "organization_id": organization_id,
                "subject": subject,
                "subject_id": subject_id,
                "kind": kind,
                "at": at,
                "actor": "old",
                "notifies": False,
                "changes": {},
                "state": state,
            }
            for subject, subject_id, kind, state in old_entries
        ]
        await insert_rows(session, (tables.Change, rows))

    entries = await summarize_entries(own_client, actors=["old"])

    assert entries == [
        (
            *("CREATED", "ApiKey", "desk"),
            {"name": [None, "desk"], "permissions": [None, ["EVENT_READ"]]},
        ),
        ("REVOKED", "ApiKey", "desk", {}),
        ("PUBLISHED", "GuardRule", "g", {}),
    ]


async def test_a_new_organization_has_an_entry(own_client: Client) -> None:
    create = 'mutation { createOrganization(key: "acme", name: "Acme") { organization { id } } }'
    organization = (await own_client.execute_field(create))["organization"]
    in_acme = own_client.as_key("administrator-key", data_partition_id="acme")

    [entry] = await list_entries(in_acme)

    assert (entry["action"], entry["subjectType"], entry["subjectId"], entry["actor"]) == (
        *("CREATED", "Organization", organization["id"], "administrator"),
    )
    assert entry["changes"] == {"key": [None, "acme"], "name": [None, "Acme"]}


async def test_an_entry_is_committed_with_its_change(
    own_client: Client, database: Database
) -> None:
    rule = await duplication.create_rule(own_client)

    async with database.read(ALL_ORGANIZATIONS) as session:
        table = tables.Change
        statement = select(table).where(col(table.subject_id) == UUID(rule["id"]))
        [entry] = (await session.scalars(statement)).all()

    assert (entry.kind, entry.changes, entry.state["name"]) == ("CREATED", {}, "r")

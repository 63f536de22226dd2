"""Sources: creating, changing, deleting and listing them, their tokens, and trials."""

from __future__ import annotations

from typing import Any

from sqlalchemy import select

from app.domain.access.caller import Permission
from app.store import tables
from app.store.engine.database import ALL_ORGANIZATIONS, Database
from tests.client import Client
from tests.conftest import Serve, Statements
from tests.factories import create_api_key
from tests.source_payloads import ALERT, alertmanager_payload, pagerduty_event, resolve_alert

SOURCE = """
id name kind url mapping { summary alertKey } enabled lastReceivedAt rejectedCount rejected { body }
"""
ERRORS = "userErrors { code message path ... on ExpressionError { line column } }"
PAYLOAD = f"{{ source {{ {SOURCE} }} token url {ERRORS} }}"
CREATE = f"mutation ($input: CreateSourceInput!) {{ createSource(input: $input) {PAYLOAD} }}"
UPDATE = f"mutation ($input: UpdateSourceInput!) {{ updateSource(input: $input) {PAYLOAD} }}"
ROTATE = f"mutation ($id: ID!) {{ rotateSourceToken(id: $id) {PAYLOAD} }}"
DELETE = f"mutation ($id: ID!) {{ deleteSource(id: $id) {PAYLOAD} }}"
SOURCES = f"""
query ($first: Int = 20, $after: String) {{
  sources(first: $first, after: $after) {{
    totalCount nodes {{ {SOURCE} }} pageInfo {{ endCursor hasNextPage }}
  }}
}}
"""
TRY = f"""
query ($kind: SourceKind!, $mapping: SourceMappingInput, $body: JSON!, $headers: JSON) {{
  trySource(kind: $kind, mapping: $mapping, body: $body, headers: $headers) {{ events {ERRORS} }}
}}
"""
AUDIT = """
query ($id: ID!) {
  auditEntries(filter: {subjectId: $id}) { nodes { action subjectType subjectName changes } }
}
"""
NODE = "query ($id: ID!) { node(id: $id) { __typename id } }"
COUNT = "{ events { totalCount } }"
MAPPING = {"summary": "body.title"}
NO_SOURCE = "00000000-0000-0000-0000-000000000000"


async def create_source(client: Client, kind: str = "ALERTMANAGER", **input: Any) -> Any:
    payload = await client.execute_field(CREATE, input={"name": "monitor", "kind": kind} | input)
    assert payload["userErrors"] == []
    return payload


async def send(client: Client, url: str, payload: Any) -> int:
    response = await client.as_key(None).http.post(url, json=payload)
    return response.status_code


async def test_a_source_is_created_listed_changed_and_deleted_with_audit_entries(
    own_client: Client, database: Database
) -> None:
    client = own_client
    created = await create_source(client, "JSON", mapping=MAPPING)
    source, token = created["source"], created["token"]
    other = (await create_source(client, name="other"))["source"]

    listed = await client.execute_field(SOURCES)
    page = await client.execute_field(SOURCES, first=1)
    second = await client.execute_field(SOURCES, after=page["pageInfo"]["endCursor"])
    node = await client.execute_field(NODE, id=source["id"])
    mapping = MAPPING | {"alertKey": "body.id"}
    changes = {"id": source["id"], "name": "renamed", "mapping": mapping, "enabled": False}
    changed = await client.execute_field(UPDATE, input=changes)
    async with database.read(ALL_ORGANIZATIONS) as session:
        stored = (await session.execute(select(tables.METADATA.tables["source"]))).mappings().all()
    deleted = await client.execute_field(DELETE, id=source["id"])
    left = await client.execute_field(SOURCES)
    entries = (await client.execute_field(AUDIT, id=source["id"]))["nodes"][::-1]

    assert source == {
        "id": source["id"],
        "name": "monitor",
        "kind": "JSON",
        "url": f"{client.url}/sources/{source['id']}",
        "mapping": {"summary": "body.title", "alertKey": None},
        "enabled": True,
        "lastReceivedAt": None,
        "rejectedCount": 0,
        "rejected": [],
    }
    assert len(token) == 32
    assert created["url"] == f"{client.url}/sources/{source['id']}/{token}"
    assert (listed["totalCount"], listed["nodes"]) == (2, [source, other])
    assert second["nodes"] == [other]
    assert node == {"__typename": "Source", "id": source["id"]}
    assert changed["source"] == source | {"name": "renamed", "enabled": False, "mapping": mapping}
    assert (changed["token"], changed["url"]) == (None, None)
    assert token not in str(stored)
    assert deleted["source"] == changed["source"]
    assert left["nodes"] == [other]
    values = {"name": "monitor", "kind": "JSON", "mapping": MAPPING, "enabled": True}
    last = values | {"name": "renamed", "mapping": mapping, "enabled": False}
    assert [(each["action"], each["changes"]) for each in entries] == [
        ("CREATED", {name: [None, value] for name, value in values.items()}),
        (
            "UPDATED",
            {
                "name": ["monitor", "renamed"],
                "mapping": [MAPPING, mapping],
                "enabled": [True, False],
            },
        ),
        ("DELETED", {name: [value, None] for name, value in last.items()}),
    ]


async def test_a_source_that_is_created_disabled_accepts_nothing_until_it_is_enabled(
    client: Client,
) -> None:
    created = await create_source(client, enabled=False)
    by_default = await create_source(client, enabled=None)
    payload = alertmanager_payload(ALERT)

    refused = await send(client, created["url"], payload)
    await client.execute_field(UPDATE, input={"id": created["source"]["id"], "enabled": True})
    accepted = [await send(client, each["url"], payload) for each in (created, by_default)]
    entries = (await client.execute_field(AUDIT, id=created["source"]["id"]))["nodes"]

    assert [each["source"]["enabled"] for each in (created, by_default)] == [False, True]
    assert (refused, accepted) == (403, [202, 202])
    assert [each["changes"]["enabled"] for each in entries] == [[False, True], [None, False]]


async def test_a_new_token_replaces_the_previous_one(client: Client) -> None:
    created = await create_source(client)
    payload = alertmanager_payload(ALERT)

    rotated = await client.execute_field(ROTATE, id=created["source"]["id"])
    statuses = [await send(client, each["url"], payload) for each in (created, rotated)]
    [entry, _] = (await client.execute_field(AUDIT, id=created["source"]["id"]))["nodes"]

    assert rotated["userErrors"] == []
    assert len(rotated["token"]) == 32
    assert statuses == [401, 202]
    assert (entry["action"], entry["changes"]) == ("ROTATED", {})


async def test_deleting_a_source_deletes_its_rejected_payloads_and_keeps_its_events(
    own_client: Client, database: Database
) -> None:
    created = await create_source(own_client)
    await send(own_client, created["url"], alertmanager_payload(ALERT))
    await send(own_client, created["url"], {"alerts": 1})

    await own_client.execute_field(DELETE, id=created["source"]["id"])
    status = await send(own_client, created["url"], alertmanager_payload(ALERT))
    events = await own_client.execute_field(COUNT)
    async with database.read(ALL_ORGANIZATIONS) as session:
        rejected = list(await session.scalars(select(tables.RejectedPayload)))

    assert (status, events["totalCount"], rejected) == (401, 2, [])


async def test_invalid_sources_are_rejected_with_the_path_and_nothing_is_stored(
    client: Client,
) -> None:
    inputs: list[tuple[dict[str, Any], str, list[str]]] = [
        ({"name": "", "kind": "GRAFANA"}, "INVALID_INPUT", ["input", "name"]),
        ({"name": "s", "kind": "JSON"}, "INVALID_INPUT", ["input", "mapping"]),
        (
            {"name": "s", "kind": "PAGERDUTY", "mapping": MAPPING},
            "INVALID_INPUT",
            ["input", "mapping"],
        ),
        (
            {"name": "s", "kind": "JSON", "mapping": {"summary": "body.a ="}},
            "EXPRESSION_INVALID",
            ["input", "mapping", "summary"],
        ),
    ]

    rejected = [await client.execute_field(CREATE, input=each) for each, _, _ in inputs]
    left = await client.execute_field(SOURCES)

    errors = [each["userErrors"][0] for each in rejected]
    assert [(each["code"], each["path"]) for each in errors] == [each[1:] for each in inputs]
    assert (errors[3]["line"], errors[3]["column"]) == (1, 8)
    assert [each["source"] or each["token"] or each["url"] for each in rejected] == [None] * 4
    assert left["totalCount"] == 0


async def test_invalid_changes_are_rejected_and_change_nothing(client: Client) -> None:
    source = (await create_source(client, "JSON", mapping=MAPPING))["source"]
    inputs: list[tuple[dict[str, Any], str, list[str]]] = [
        ({"name": None}, "INVALID_INPUT", ["input", "name"]),
        ({"mapping": None}, "INVALID_INPUT", ["input", "mapping"]),
        ({"enabled": None}, "INVALID_INPUT", ["input", "enabled"]),
        ({"mapping": {"summary": "q"}}, "EXPRESSION_INVALID", ["input", "mapping", "summary"]),
        ({"id": NO_SOURCE}, "NOT_FOUND", ["input", "id"]),
        ({"id": "odd"}, "INVALID_INPUT", ["input", "id"]),
    ]

    payloads = [
        await client.execute_field(UPDATE, input={"id": source["id"]} | each)
        for each, _, _ in inputs
    ]
    missing = [await client.execute_field(each, id=NO_SOURCE) for each in (ROTATE, DELETE)]
    left = await client.execute_field(SOURCES)

    errors = [each["userErrors"][0] for each in payloads]
    assert [(each["code"], each["path"]) for each in errors] == [each[1:] for each in inputs]
    assert [(each["userErrors"][0]["code"], each["userErrors"][0]["path"]) for each in missing] == [
        ("NOT_FOUND", ["id"])
    ] * 2
    assert left["nodes"] == [source]


async def test_the_number_of_sources_is_limited(serve: Serve, database_url: str) -> None:
    async with serve(database_url, limits={"sources": 1}) as client:
        await create_source(client)

        rejected = await client.execute_field(CREATE, input={"name": "b", "kind": "GRAFANA"})
        count = (await client.execute_field(SOURCES))["totalCount"]

    assert rejected["userErrors"] == [
        {
            "code": "LIMIT_REACHED",
            "message": "The organization has the maximum number of sources, 1. Delete one of them "
            "first.",
            "path": ["input"],
        }
    ]
    assert count == 1


async def test_creating_a_source_requires_the_permission_to_log_events(
    own_client: Client, database: Database
) -> None:
    source = (await create_source(own_client))["source"]
    manage, create = Permission.CHANNEL_MANAGE, Permission.EVENT_CREATE
    manager = own_client.as_key(await create_api_key(database, manage))
    both = own_client.as_key(await create_api_key(database, manage, create))
    operations: list[tuple[str, dict[str, Any]]] = [
        (CREATE, {"input": {"name": "s", "kind": "GRAFANA"}}),
        (UPDATE, {"input": {"id": source["id"], "name": "s"}}),
        (TRY, {"kind": "PAGERDUTY", "body": pagerduty_event("trigger", "a")}),
        (ROTATE, {"id": source["id"]}),
    ]

    refused = [await manager.expect_error(query, **values) for query, values in operations]
    allowed = [await both.execute_field(query, **values) for query, values in operations]
    listed = await manager.execute_field(SOURCES)

    assert [each["extensions"]["code"] for each in refused] == ["FORBIDDEN"] * 4
    assert {each["message"] for each in refused} == {
        "A source logs events, which requires the permission EVENT_CREATE."
    }
    assert [each["userErrors"] for each in allowed] == [[]] * 4
    assert [each["name"] for each in listed["nodes"]] == ["s", "s"]


async def test_a_trial_shows_the_events_of_a_sample_and_stores_nothing(client: Client) -> None:
    resolved = resolve_alert(ALERT, "2026-04-10T11:00:00Z")
    mapping = {
        "summary": "body.title + headers['x-site']",
        "severity": "body.?level",
        "fields": "body",
    }

    alerts = await client.execute_field(
        TRY, kind="ALERTMANAGER", body=alertmanager_payload(ALERT, resolved)
    )
    acknowledged = await client.execute_field(
        TRY, kind="PAGERDUTY", body=pagerduty_event("acknowledge", "a")
    )
    mapped = await client.execute_field(
        TRY,
        kind="JSON",
        mapping=mapping,
        body={"title": "Pump ", "level": "page"},
        headers={"X-Site": "7", "Authorization": "secret"},
    )
    count = (await client.execute_field(COUNT))["totalCount"]
    sources = (await client.execute_field(SOURCES))["totalCount"]

    firing, resolution = alerts["events"]
    expected = {
        "type": "alertmanager.alert",
        "severity": "ERROR",
        "severityText": "critical",
        "summary": "Disk full",
        "alertKey": "c0ffee0123456789",
        "notification": True,
        "occurredAt": "2026-04-10T10:30:00.000000Z",
        "source": f"/sources/{NO_SOURCE}",
    }
    assert {name: firing[name] for name in expected} == expected
    assert resolution == {
        "alertKey": "c0ffee0123456789",
        "resolved": True,
        "resolvedAt": "2026-04-10T11:00:00.000000Z",
    }
    assert acknowledged["events"] == [{"alertKey": "a", "acknowledged": True}]
    [event] = mapped["events"]
    assert (event["summary"], event["severity"], event["fields"]) == (
        "Pump 7",
        "ERROR",
        {"title": "Pump ", "level": "page"},
    )
    assert [each["userErrors"] for each in (alerts, acknowledged, mapped)] == [[], [], []]
    assert (count, sources) == (0, 0)


async def test_a_trial_shows_the_errors_of_mapping_payload_and_events(client: Client) -> None:
    cases: list[tuple[dict[str, Any], str, list[str]]] = [
        ({"kind": "JSON", "body": {}}, "INVALID_INPUT", ["mapping"]),
        (
            {"kind": "JSON", "body": {}, "mapping": {"summary": "q"}},
            "EXPRESSION_INVALID",
            ["mapping", "summary"],
        ),
        (
            {"kind": "JSON", "body": {}, "mapping": {"summary": "body.q"}},
            "INVALID_INPUT",
            ["mapping", "summary"],
        ),
        ({"kind": "GRAFANA", "body": []}, "INVALID_INPUT", ["body"]),
        (
            {"kind": "JSON", "body": {}, "mapping": {"summary": "'s'", "type": "'t*'"}},
            "INVALID_INPUT",
            ["events", "0", "type"],
        ),
        (
            {"kind": "JSON", "body": [1] * 501, "mapping": {"summary": "'s'"}},
            "INVALID_INPUT",
            ["body"],
        ),
    ]

    trials = [await client.execute_field(TRY, **each) for each, _, _ in cases]
    headers = await client.expect_error(TRY, kind="GRAFANA", body={}, headers={"a": 1})

    assert [
        (each["events"], each["userErrors"][0]["code"], each["userErrors"][0]["path"])
        for each in trials
    ] == [([], code, path) for _, code, path in cases]
    assert (headers["extensions"]["code"], headers["extensions"]["path"]) == (
        "BAD_USER_INPUT",
        ["headers"],
    )


async def test_the_rejected_payloads_of_all_sources_are_read_and_counted_by_one_statement_each(
    own_client: Client, statements: Statements
) -> None:
    for count in range(3):
        created = await create_source(own_client)
        for _ in range(count):
            await send(own_client, created["url"], {"alerts": 1})
    statements.clear()

    listed = await own_client.execute_field(SOURCES)

    assert [len(each["rejected"]) for each in listed["nodes"]] == [0, 1, 2]
    assert [each["rejectedCount"] for each in listed["nodes"]] == [0, 1, 2]
    assert sum("FROM rejected_payload" in statement for statement in map(str, statements)) == 2

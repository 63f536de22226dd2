"""CloudEvents in GraphQL: ingestion and queries."""

from __future__ import annotations

from typing import Any

from app.domain.access.caller import Permission
from app.store.engine.database import Database
from tests.client import Client
from tests.conftest import Serve
from tests.factories import create_api_key

INGEST = """
mutation ($events: [JSON!]!) {
  ingestCloudEvents(events: $events) {
    results {
      event { id type severity summary source sourceId subject occurredAt fields tags outcome
              notification entity { type entityId } cloudEvent }
      duplicate warnings { code path } userErrors { code message path }
    }
    accepted duplicates rejected
    userErrors { code message path }
  }
}
"""
ALL = """{ events(orderBy: {field: OCCURRED_AT, direction: ASC}, first: 100) {
             nodes { id cloudEvent } } }"""
COUNT = "{ events { totalCount } }"
LEAST: dict[str, Any] = {"specversion": "1.0", "id": "17", "source": "/pumps/3", "type": "pump.on"}
A_TYPE = """
mutation {
  createEventType(input: {name: "Pump on", type: "pump.on", state: PUBLISHED, fields: [
    {name: "celsius", kind: NUMBER, required: true, maximum: 100}
    {name: "cause", kind: TEXT}
  ]}) { eventType { id } }
}
"""


async def ingest_events(client: Client, *events: object) -> Any:
    payload = await client.execute_field(INGEST, events=list(events))
    assert payload["userErrors"] == []
    return payload


async def count_events(client: Client) -> int:
    return int((await client.execute_field(COUNT))["totalCount"])


async def test_a_cloud_event_is_stored_as_an_event(client: Client) -> None:
    attributes = LEAST | {
        "time": "2026-04-10T12:30:00+02:00",
        "severitynumber": 17,
        "planningtags": ["StudyId:1"],
        "traceparent": "00-1",
        "data": {"celsius": 91.5},
    }

    [result] = (await ingest_events(client, attributes))["results"]

    event = result["event"]
    recorded = event["cloudEvent"]["recordedtime"]
    assert event == {
        "id": event["id"],
        "type": "pump.on",
        "severity": "ERROR",
        "summary": "pump.on",
        "source": "/pumps/3",
        "sourceId": "17",
        "subject": None,
        "occurredAt": "2026-04-10T10:30:00.000000Z",
        "fields": {"celsius": 91.5},
        "tags": ["StudyId:1"],
        "outcome": None,
        "notification": False,
        "entity": None,
        "cloudEvent": attributes
        | {
            "time": "2026-04-10T10:30:00.000000Z",
            "datacontenttype": "application/json",
            "severitytext": "ERROR",
            "recordedtime": recorded,
            "partitionkey": "/pumps/3",
        },
    }
    stored = await client.execute_field(
        '{ cloudEvents(type: "pump.*", from: "2026-04-10T00:00:00Z") { events } }'
    )
    assert stored["events"] == [event["cloudEvent"]]


async def test_a_malformed_cloud_event_is_rejected_without_affecting_others(
    client: Client,
) -> None:
    await client.execute_field(A_TYPE)
    sound = [LEAST | {"id": str(n), "data": {"celsius": n}} for n in range(2)]
    replay = sound[0]
    malformed = {"specversion": "1.0", "id": "a", "source": "a b", "planningtags": ["x", 5]}
    unfit = LEAST | {
        "id": "b",
        "data": {"celsius": 101, "colour": 1},
        "time": "2999-01-01T00:00:00Z",
    }
    text = LEAST | {"id": "c", "data": "hot"}
    other = LEAST | {"id": "1", "data": {"celsius": 50}}

    payload = await ingest_events(
        client, sound[0], malformed, sound[1], unfit, replay, text, 5, other
    )

    errors = [
        sorted((error["code"], *error["path"]) for error in result["userErrors"])
        for result in payload["results"]
    ]
    assert errors == [
        [],
        [
            ("INVALID_INPUT", "events", "1", "planningtags", "1"),
            ("INVALID_INPUT", "events", "1", "source"),
            ("INVALID_INPUT", "events", "1", "type"),
        ],
        [],
        [
            ("FIELD_INVALID", "events", "3", "data", "celsius"),
            ("FIELD_UNKNOWN", "events", "3", "data", "colour"),
            ("INVALID_INPUT", "events", "3", "time"),
        ],
        [],
        [("INVALID_INPUT", "events", "5", "data")],
        [("INVALID_INPUT", "events", "6")],
        [("CONFLICT", "events", "7", "id")],
    ]
    assert [payload[each] for each in ("accepted", "duplicates", "rejected")] == [2, 1, 5]
    assert payload["results"][4]["duplicate"] is True
    assert await count_events(client) == 2


async def test_more_than_500_are_rejected_as_a_whole(client: Client) -> None:
    payload = await client.execute_field(
        INGEST, events=[LEAST | {"id": str(n)} for n in range(501)]
    )

    [error] = payload["userErrors"]
    assert (error["code"], error["path"]) == ("INVALID_INPUT", ["events"])
    assert "500" in error["message"]
    assert (payload["results"], await count_events(client)) == ([], 0)


async def test_a_returned_cloud_event_can_be_ingested_by_another_organization(
    own_client: Client, database: Database
) -> None:
    everything = {Permission.EVENT_READ, Permission.EVENT_CREATE, Permission.EVENT_TYPE_MANAGE}
    other = own_client.as_key(await create_api_key(database, *everything, organization="other"))
    third = own_client.as_key(await create_api_key(database, *everything, organization="third"))
    for own_events in (own_client, third):
        await own_events.execute_field(A_TYPE)
    times = [f"2026-04-{day:02}T00:00:00Z" for day in range(1, 12)]
    extended = LEAST | {"traceparent": "00-\U0001f4a7", "retries": 3, "dry": False, "outcome": "ok"}
    bodies: list[dict[str, Any]] = [
        {"data": "one\ntwo", "datacontenttype": "text/plain"},
        {"data": [1, None, {"a": 1.5}]},
        {"data": None},
        {"data": False, "dataschema": "https://example.com/s"},
        {"data_base64": "AAEC", "datacontenttype": "image/png"},
        {"data": {"größe": {"a": [1.0, -0.5, 10**17]}}, "datacontenttype": "application/a+json"},
    ]
    free = [
        extended | body | {"type": "free", "id": f"f{n}", "time": time}
        for (n, body), time in zip(enumerate(bodies), times, strict=False)
    ]
    await ingest_events(own_client, *free, LEAST | {"data": {"celsius": 5}, "time": times[6]})
    about: dict[str, Any] = {
        "entity": {"type": "Well \U0001f6e2", "id": "w" * 255},
        "severity": "warn",
        "summary": "one\ntwo",
        "source": "control room 3",
        "outcome": "FAILURE",
        "notification": True,
        "tags": ["StudyId:1", "é"],
    }
    await own_client.log_event(**about, occurredAt=times[7])
    await own_client.log_event(
        type="pump.on", fields={"celsius": 9}, summary="Hot", occurredAt=times[8]
    )
    first = [node["cloudEvent"] for node in (await own_client.execute_field(ALL))["nodes"]]

    for foreign_events in (other, third):
        assert (await ingest_events(foreign_events, *first))["accepted"] == len(first) == 9
        again = [node["cloudEvent"] for node in (await foreign_events.execute_field(ALL))["nodes"]]

        changed = {"recordedtime": None}
        assert [once | changed for once in again] == [once | changed for once in first]
    assert await count_events(own_client) == 9


async def test_data_that_is_not_an_object_is_not_searchable(client: Client) -> None:
    [result] = (await ingest_events(client, LEAST | {"data": "bearing"}))["results"]

    assert result["event"]["fields"] == {}
    payload = await client.execute_field('{ events(filter: {search: "bearing"}) { totalCount } }')
    assert payload == {"totalCount": 0}


async def test_updated_fields_replace_other_data(client: Client) -> None:
    [result] = (await ingest_events(client, LEAST | {"data": "bearing"}))["results"]

    payload = await client.execute_field(
        """mutation ($id: ID!) { updateEvent(input: {id: $id, fields: {a: 1}, summary: "New"}) {
             event { cloudEvent history { nodes { changes } } } } }""",
        id=result["event"]["id"],
    )

    event = payload["event"]
    assert (event["cloudEvent"]["data"], event["cloudEvent"]["summary"]) == ({"a": 1}, "New")
    assert event["history"]["nodes"][1]["changes"] == {
        "fields": [{}, {"a": 1}],
        "payload": [{"data": "bearing"}, None],
        "summary": ["pump.on", "New"],
    }


async def test_dataschema_is_the_url_of_the_event_s_type_version(
    client: Client,
) -> None:
    event_type = await client.execute_field(A_TYPE)
    await ingest_events(client, LEAST | {"data": {"celsius": 5}})
    await client.execute_field(
        """mutation ($id: ID!) { addEventField(eventTypeId: $id, field: {name: "x", kind: TEXT}) {
             userErrors { code } } }""",
        id=event_type["eventType"]["id"],
    )

    [node] = (await client.execute_field(ALL))["nodes"]

    address = node["cloudEvent"]["dataschema"]
    assert address == f"{client.url}/event-types/pump.on/schema.json?version=1"
    schema = (await client.http.get(address)).json()
    assert sorted(schema["properties"]) == ["cause", "celsius"]


async def test_dataschema_is_the_same_over_a_socket(client: Client) -> None:
    await client.execute_field(A_TYPE)
    follow = "subscription { eventChanged { event { cloudEvent } } }"
    async with client.subscription(follow) as subscription:
        await ingest_events(client, LEAST | {"data": {"celsius": 5}})
        change = await subscription.receive_next()

    address = change["event"]["cloudEvent"]["dataschema"]
    assert address == f"{client.url}/event-types/pump.on/schema.json?version=1"


async def test_dataschema_has_the_configured_public_url(database_url: str, serve: Serve) -> None:
    async with serve(database_url, public_url="https://events.example/tocsin/") as client:
        await client.execute_field(A_TYPE)
        [result] = (await ingest_events(client, LEAST | {"data": {"celsius": 5}}))["results"]

    public = "https://events.example/tocsin/event-types/pump.on/schema.json?version=1"
    assert result["event"]["cloudEvent"]["dataschema"] == public


async def test_an_invalid_host_header_gives_no_dataschema(client: Client) -> None:
    await client.execute_field(A_TYPE)
    await ingest_events(client, LEAST | {"data": {"celsius": 5}})

    for host in ("a b", "[", "<x>", "a/../b"):
        answer = await client.http.post("/graphql", json={"query": ALL}, headers={"host": host})

        [node] = answer.json()["data"]["events"]["nodes"]
        address = node["cloudEvent"]["dataschema"]
        assert address == f"{client.url}/event-types/pump.on/schema.json?version=1", host


async def test_event_create_alone_returns_the_stored_event_but_no_list(
    own_client: Client, database: Database
) -> None:
    reporter = own_client.as_key(await create_api_key(database, Permission.EVENT_CREATE))

    first = await ingest_events(reporter, LEAST)
    again = await ingest_events(reporter, LEAST)

    assert first["results"][0]["event"]["sourceId"] == "17"
    assert (again["results"][0]["duplicate"], again["results"][0]["event"]) == (True, None)
    error = await reporter.expect_error("{ cloudEvents { total } }")
    assert error["extensions"]["code"] == "FORBIDDEN"

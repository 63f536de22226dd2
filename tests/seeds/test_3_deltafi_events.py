"""Seed 3, DeltaFi's events: every example, with the names of the API."""

from __future__ import annotations

from typing import Any

import pytest

from tests.client import LOG_EVENT, Client

# The event of "Get Events with Count", and the one of "Create Event".
SYSTEM_ERROR = {
    "severity": "error",
    "summary": "System error occurred",
    "content": "Detailed error description...",
    "source": "core-service",
    "occurredAt": "2023-12-01T10:00:00Z",
    "notification": True,
    "acknowledged": False,
}
CONFIGURATION_UPDATED = {
    "severity": "warn",
    "summary": "Configuration updated",
    "content": "System configuration has been updated by admin user",
    "source": "admin-service",
    "notification": True,
    "acknowledged": False,
}
LIST = """
query ($offset: Int, $first: Int, $filter: EventFilter) {
  events(offset: $offset, first: $first, filter: $filter) {
    totalCount
    nodes { id severity summary content source occurredAt notification acknowledged }
  }
}
"""
ADDED = "subscription ($after: String) { notificationAdded(after: $after) { node { summary } } }"


async def test_create_event(client: Client) -> None:
    event = await client.log_event(**CONFIGURATION_UPDATED)

    attributes = {name: event[name] for name in CONFIGURATION_UPDATED}
    assert attributes == CONFIGURATION_UPDATED | {"severity": "WARN"}
    assert event["id"]
    assert event["occurredAt"] == event["recordedAt"]
    assert event["type"] == "notice"


async def test_get_events_by_severity(client: Client) -> None:
    await client.log_event(**SYSTEM_ERROR)
    await client.log_event(**CONFIGURATION_UPDATED)

    listed = await client.execute_field(LIST, offset=0, first=10, filter={"severities": ["ERROR"]})

    assert [event["summary"] for event in listed["nodes"]] == ["System error occurred"]


async def test_get_events_with_count(client: Client) -> None:
    for _ in range(25):
        await client.log_event(**SYSTEM_ERROR)

    listed = await client.execute_field(LIST, offset=0, first=10)

    assert (listed["totalCount"], len(listed["nodes"])) == (25, 10)
    event = listed["nodes"][0]
    assert event == SYSTEM_ERROR | {
        "id": event["id"],
        "severity": "ERROR",
        "occurredAt": "2023-12-01T10:00:00.000000Z",
    }


async def test_get_events_returns_20_by_default(client: Client) -> None:
    for _ in range(21):
        await client.log_event(**SYSTEM_ERROR)

    listed = await client.execute_field(LIST)

    assert len(listed["nodes"]) == 20


async def test_get_single_event(client: Client) -> None:
    event = await client.log_event(**SYSTEM_ERROR)

    payload = await client.execute_field(
        "query ($id: ID!) { event(id: $id) { summary } }", id=event["id"]
    )

    assert payload == {"summary": "System error occurred"}


@pytest.mark.parametrize(
    ("mutation", "acknowledged"), [("acknowledgeEvent", True), ("unacknowledgeEvent", False)]
)
async def test_acknowledge_and_unacknowledge_event(
    client: Client, mutation: str, acknowledged: bool
) -> None:
    event = await client.log_event(**SYSTEM_ERROR | {"acknowledged": not acknowledged})

    payload = await client.execute_field(
        f"mutation ($id: ID!) {{ {mutation}(id: $id) {{ event {{ id acknowledged }} }} }}",
        id=event["id"],
    )

    assert payload == {"event": {"id": event["id"], "acknowledged": acknowledged}}


async def test_delete_event(client: Client) -> None:
    event = await client.log_event(**SYSTEM_ERROR)

    payload = await client.execute_field(
        "mutation ($id: ID!) { deleteEvent(id: $id) { event { id summary } } }", id=event["id"]
    )

    assert payload == {"event": {"id": event["id"], "summary": "System error occurred"}}
    assert (await client.execute_field(LIST))["totalCount"] == 0


SEVERITIES = [
    *(("error", "ERROR"), ("failure", "ERROR"), ("red", "ERROR")),
    *(("warn", "WARN"), ("warning", "WARN"), ("yellow", "WARN")),
    *(("success", "SUCCESS"), ("successful", "SUCCESS"), ("green", "SUCCESS")),
    *(("info", "INFO"), ("blue", "INFO"), ("", "INFO"), (" Red ", "ERROR"), ("WARNING", "WARN")),
]


@pytest.mark.parametrize(("given", "severity"), SEVERITIES)
async def test_severities(client: Client, given: str, severity: str) -> None:
    event = await client.log_event(severity=given)

    assert event["severity"] == severity


async def test_content_of_up_to_100_000_characters(client: Client) -> None:
    content = "ß" * 100_000

    event = await client.log_event(content=content)
    refused = await client.execute_field(LOG_EVENT, input={"content": content + "ß"})

    assert event["content"] == content
    assert [error["path"] for error in refused["userErrors"]] == [["input", "content"]]


async def test_notifications_are_delivered_when_they_are_created(client: Client) -> None:
    head = await client.execute_field("{ logHead }")
    received: list[Any] = []

    async with client.subscription(ADDED, after=head) as bell:
        for event in (SYSTEM_ERROR, CONFIGURATION_UPDATED):
            await client.log_event(**event)
            received.append(await bell.receive_next())

    assert [each["node"]["summary"] for each in received] == [
        *("System error occurred", "Configuration updated")
    ]


# "Additional filter parameters can be provided as key-value pairs": each attribute of an event.
PARAMETERS: dict[str, dict[str, Any]] = {
    "severity=error": {"severities": ["ERROR"]},
    "summary=System error occurred": {"search": "System error occurred"},
    "content=Detailed error description...": {"search": "Detailed error description..."},
    "source=core-service": {"source": "core-service"},
    "timestamp=2023-12-01T10:00:00Z": {
        "occurredAt": {"from": "2023-12-01T10:00:00Z", "to": "2023-12-01T10:00:00.000001Z"}
    },
    "notification=true": {"notification": True},
    "acknowledged=false": {"acknowledged": False},
}


@pytest.mark.parametrize("parameter", PARAMETERS)
async def test_get_events_with_a_filter_parameter(client: Client, parameter: str) -> None:
    await client.log_event(**SYSTEM_ERROR)
    await client.log_event(severity="info", summary="Heartbeat", source="node-1", acknowledged=True)

    listed = await client.execute_field(LIST, offset=0, first=10, filter=PARAMETERS[parameter])

    assert [event["summary"] for event in listed["nodes"]] == ["System error occurred"]
    assert listed["totalCount"] == 1


async def test_get_events_by_id(client: Client) -> None:
    event = await client.log_event(**SYSTEM_ERROR)
    await client.log_event(**SYSTEM_ERROR)

    listed = await client.execute_field(LIST, filter={"ids": [event["id"]]})

    assert [each["id"] for each in listed["nodes"]] == [event["id"]]


async def test_get_events_with_several_filter_parameters(client: Client) -> None:
    await client.log_event(**SYSTEM_ERROR)
    await client.log_event(**SYSTEM_ERROR | {"source": "other-service"})
    await client.log_event(**SYSTEM_ERROR | {"severity": "warn"})

    listed = await client.execute_field(
        LIST, filter={"severities": ["ERROR"], "source": "core-service"}
    )

    assert listed["totalCount"] == 1


@pytest.mark.parametrize(("offset", "count"), [(0, 10), (10, 10), (20, 5), (25, 0)])
async def test_get_events_with_count_from_an_offset(
    client: Client, offset: int, count: int
) -> None:
    for n in range(25):
        await client.log_event(**SYSTEM_ERROR | {"summary": f"{n}"})

    listed = await client.execute_field(LIST, offset=offset, first=10)

    assert (len(listed["nodes"]), listed["totalCount"]) == (count, 25)
    # All at the same instant: the last logged is first.
    summaries = [event["summary"] for event in listed["nodes"]]
    assert summaries == [str(24 - n) for n in range(offset, offset + count)]


async def test_get_events_with_count_counts_what_the_filter_selects(client: Client) -> None:
    for severity in ("error", "warn", "error"):
        await client.log_event(**SYSTEM_ERROR | {"severity": severity})

    listed = await client.execute_field(LIST, offset=1, first=10, filter={"severities": ["ERROR"]})

    assert (len(listed["nodes"]), listed["totalCount"]) == (1, 2)


async def test_acknowledged_events_are_hidden_only_from_notifications(
    client: Client,
) -> None:
    """The alarm bell of the GUI: only notifications, without acknowledged ones."""
    seen = await client.log_event(**SYSTEM_ERROR)
    await client.log_event(**CONFIGURATION_UPDATED)
    await client.log_event(**SYSTEM_ERROR | {"notification": False})

    await client.execute_field(
        "mutation ($id: ID!) { acknowledgeEvent(id: $id) { event { id } } }", id=seen["id"]
    )

    bell = await client.execute_field(
        """{ notifications(filter: {acknowledged: false}) {
             totalCount unacknowledgedCount nodes { summary } } }"""
    )
    assert bell == {
        "totalCount": 1,
        "unacknowledgedCount": 1,
        "nodes": [{"summary": "Configuration updated"}],
    }
    assert (await client.execute_field(LIST, filter={"notification": True}))["totalCount"] == 2
    assert (await client.execute_field("{ notifications { totalCount unacknowledgedCount } }")) == {
        "totalCount": 2,
        "unacknowledgedCount": 1,
    }

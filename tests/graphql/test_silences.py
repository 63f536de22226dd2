"""Silences: what they suppress, and what notifies when they are over."""

from __future__ import annotations

import asyncio
import contextlib
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID, uuid4

import pytest
import structlog
from sqlalchemy import bindparam, delete, select, text, update
from sqlmodel import col

from app.services.change_log import silence_expiry
from app.store import tables
from app.store.engine.database import ALL_ORGANIZATIONS, Database
from tests.client import TIMEOUT_SECONDS, Client
from tests.conftest import POSTGRESQL, Serve, Statements

SILENCE = """id filter startsAt endsAt comment createdBy active silencedCount"""
PAYLOAD = f"{{ silence {{ {SILENCE} }} userErrors {{ code message path }} }}"
CREATE = f"mutation ($input: CreateSilenceInput!) {{ createSilence(input: $input) {PAYLOAD} }}"
UPDATE = f"mutation ($input: UpdateSilenceInput!) {{ updateSilence(input: $input) {PAYLOAD} }}"
EXPIRE = f"mutation ($id: ID!) {{ expireSilence(id: $id) {PAYLOAD} }}"
READ = f"query ($id: ID!) {{ silence(id: $id) {{ {SILENCE} }} }}"
LIST = f"""
query ($active: Boolean, $ended: Boolean, $first: Int = 20, $after: String) {{
  silences(active: $active, ended: $ended, first: $first, after: $after) {{
    totalCount nodes {{ {SILENCE} }} pageInfo {{ endCursor }}
  }}
}}
"""
NODE = "query ($id: ID!) { node(id: $id) { __typename id ... on Silence { comment } } }"
EVENT = """
query ($id: ID!) { event(id: $id) { status notification silencedBy { id comment } } }
"""
EVENTS = """
query ($filter: EventFilter) { events(filter: $filter) { totalCount nodes { summary } } }
"""
BELL = """
{
  notifications { totalCount unacknowledgedCount nodes { summary silencedBy { id } } }
  notificationSummary { openCount unreadCount }
}
"""
HISTORY = """
query ($id: ID!) {
  event(id: $id) { history(first: 20) { nodes { kind actor changes changedFields } } }
}
"""
ADDED = "subscription ($after: String) { notificationAdded(after: $after) { node { summary } } }"
CHANGED = """
subscription ($filter: EventFilter, $after: String) {
  eventChanged(filter: $filter, after: $after) {
    kind transition changedFields event { summary silencedBy { id } }
  }
}
"""
AUDIT = """
{ auditEntries(filter: {subjectTypes: ["Silence"]}) {
  nodes { action actor subjectId changes } } }
"""
CHANGE_EVENT = """
mutation ($input: UpdateEventInput!) {
  updateEvent(input: $input) { event { silencedBy { id } } userErrors { code } }
}
"""
CREATE_RULE = """
mutation ($input: CreateDuplicationRuleInput!) {
  createDuplicationRule(input: $input) { userErrors { code } }
}
"""
LOG_MANY = """
mutation ($input: [LogEventInput!]!) {
  logEvents(input: $input) { results { event { id silencedBy { id } } } }
}
"""
INGEST = """
mutation ($events: [JSON!]!) {
  ingestCloudEvents(events: $events) { results { event { id silencedBy { id } } } }
}
"""
DO = """
mutation ($id: ID!) {{ {0}(id: $id) {{ event {{ silencedBy {{ id }} }} userErrors {{ code }} }} }}
"""
HEAD = "{ logHead }"
COUNT = "{ notifications { totalCount } }"
PUMP = {"source": "/pump"}
NOBODY = str(uuid4())


def in_days(days: float) -> str:
    return (datetime.now(UTC) + timedelta(days=days)).isoformat()


async def silence(client: Client, **input: Any) -> Any:
    """Creates a silence, by default of the source of `notify`, for an hour."""
    defaults = {"filter": PUMP, "endsAt": in_days(1 / 24), "comment": "maintenance"}
    payload = await client.execute_field(CREATE, input=defaults | input)
    assert payload["userErrors"] == []
    return payload["silence"]


async def notify(client: Client, summary: str, **overrides: Any) -> str:
    """Logs a notification of the pump. Returns its ID."""
    attributes = PUMP | {"summary": summary, "notification": True} | overrides
    event = await client.log_event(**attributes)
    return str(event["id"])


async def run(client: Client, mutation: str, event_id: str) -> Any:
    payload = await client.execute_field(DO.format(mutation), id=event_id)
    assert payload["userErrors"] == []
    return payload["event"]


async def expire(client: Client, created: Any) -> Any:
    payload = await client.execute_field(EXPIRE, id=created["id"])
    assert payload["userErrors"] == []
    return payload["silence"]


async def list_bell(client: Client) -> list[str]:
    """The notifications, newest first, which are as many as the numbers say."""
    data = await client.execute_data(BELL)
    notifications, summary = data["notifications"], data["notificationSummary"]
    listed = [node["summary"] for node in notifications["nodes"]]
    assert notifications["totalCount"] == len(listed)
    assert summary["openCount"] == summary["unreadCount"] == notifications["unacknowledgedCount"]
    assert [node for node in notifications["nodes"] if node["silencedBy"]] == []
    return listed


async def wait_for_bell(client: Client, *expected: str) -> None:
    """Waits until the bell has these notifications, in any order."""
    async with asyncio.timeout(TIMEOUT_SECONDS):
        while (await client.execute_field(COUNT))["totalCount"] < len(expected):
            await asyncio.sleep(0.05)
    assert sorted(await list_bell(client)) == sorted(expected)


async def list_kinds(client: Client, event_id: str) -> list[str]:
    history = (await client.execute_field(HISTORY, id=event_id))["history"]["nodes"]
    return [node["kind"] for node in history]


async def end_by_clock(database: Database, *silences: Any) -> None:
    """Lets the time of silences pass, which a test does not wait for."""
    table, now = tables.Silence, datetime.now(UTC)
    ids = [UUID(each["id"]) for each in silences]
    async with database.write(ALL_ORGANIZATIONS) as session:
        ended = update(table).where(col(table.id).in_(ids)).values(ends_at=now)
        await session.execute(ended)


async def test_a_silence_is_created_listed_changed_and_ended_with_audit_entries(
    client: Client,
) -> None:
    filter = {"source": "/pump", "severities": ["WARN"], "not": {"tags": {"any": ["vital"]}}}
    ends_at, later = "2026-12-31T10:00:00.000000Z", in_days(2)

    first = await silence(client, filter=filter)
    planned = await silence(client, startsAt=in_days(1), endsAt=later, comment="")
    changed = await client.execute_field(
        UPDATE, input={"id": first["id"], "endsAt": ends_at, "comment": "bearing"}
    )
    same = await client.execute_field(UPDATE, input={"id": first["id"], "comment": "bearing"})
    ended = await client.execute_field(EXPIRE, id=planned["id"])
    again = await client.execute_field(EXPIRE, id=planned["id"])

    assert first == {
        "id": first["id"],
        "filter": filter,
        "startsAt": first["startsAt"],
        "endsAt": first["endsAt"],
        "comment": "maintenance",
        "createdBy": "administrator",
        "active": True,
        "silencedCount": 0,
    }
    assert planned["active"] is False
    assert changed["silence"] == first | {"endsAt": ends_at, "comment": "bearing"}
    assert same["silence"] == changed["silence"]
    assert ended["silence"]["active"] is False
    assert ended["silence"]["startsAt"] == ended["silence"]["endsAt"] < planned["startsAt"]
    assert again == ended
    assert await client.execute_field(READ, id=first["id"]) == changed["silence"]
    assert await client.execute_field(READ, id=NOBODY) is None
    node = await client.execute_field(NODE, id=first["id"])
    assert node == {"__typename": "Silence", "id": first["id"], "comment": "bearing"}
    entries = (await client.execute_field(AUDIT))["nodes"]
    assert [(each["action"], each["subjectId"], each["actor"]) for each in entries] == [
        ("UPDATED", planned["id"], "administrator"),
        ("UPDATED", first["id"], "administrator"),
        ("CREATED", planned["id"], "administrator"),
        ("CREATED", first["id"], "administrator"),
    ]
    assert entries[0]["changes"] == {
        "startsAt": [planned["startsAt"], ended["silence"]["startsAt"]],
        "endsAt": [planned["endsAt"], ended["silence"]["endsAt"]],
    }
    assert entries[1]["changes"] == {
        "endsAt": [first["endsAt"], ends_at],
        "comment": ["maintenance", "bearing"],
    }


async def test_silences_are_listed_newest_first_and_by_whether_they_are_active(
    client: Client,
) -> None:
    ended, active, planned = [await silence(client, comment=name) for name in ("a", "b", "c")]
    planned = await silence(client, comment="d", startsAt=in_days(1), endsAt=in_days(2))
    await expire(client, ended)

    async def list_comments(**variables: Any) -> list[str]:
        page = await client.execute_field(LIST, **variables)
        assert page["totalCount"] >= len(page["nodes"])
        return [each["comment"] for each in page["nodes"]]

    page = await client.execute_field(LIST, first=1)

    assert await list_comments() == ["d", "c", "b", "a"]
    assert await list_comments(active=True) == ["c", "b"]
    assert await list_comments(active=False) == ["d", "a"]
    assert await list_comments(ended=False) == ["d", "c", "b"]
    assert await list_comments(ended=True) == ["a"]
    assert await list_comments(active=False, ended=False) == ["d"]
    assert await list_comments(active=True, ended=True) == []
    assert await list_comments(after=page["pageInfo"]["endCursor"], first=2) == ["c", "b"]
    assert [each["active"] for each in (active, planned)] == [True, False]


@pytest.mark.parametrize("active", [True, False])
async def test_the_same_query_lists_the_silences_that_are_active_at_its_time(
    client: Client, active: bool
) -> None:
    query = f"{{ silences(active: {str(active).lower()}) {{ nodes {{ comment }} }} }}"
    before = await client.execute_field(query)

    created = await silence(client, comment="a")
    while_active = await client.execute_field(query)
    await expire(client, created)
    after = await client.execute_field(query)

    listed = {"nodes": [{"comment": "a"}]}
    assert before == {"nodes": []}
    assert (while_active == listed, after == listed) == (active, not active)


async def test_invalid_silences_are_rejected_and_not_stored(client: Client) -> None:
    over = await silence(client, comment="over")
    await expire(client, over)
    current = await silence(client)
    at, day = "2026-06-01T00:00:00.000000Z", in_days(1)
    no_condition = (
        "filter must have at least one condition: without one, the silence would suppress all "
        "notifications. To silence all notifications, list all severities."
    )
    empty: list[dict[str, Any]] = [{}, {"missing": []}, {"and": [{}]}, {"not": {}}]
    created: list[tuple[dict[str, Any], str, str]] = [
        *(({"filter": filter}, "filter", no_condition) for filter in empty),
        ({"endsAt": at}, "endsAt", "endsAt must be later than the current time, "),
        (
            {"startsAt": "2999-01-02T00:00:00Z", "endsAt": "2999-01-01T00:00:00Z"},
            "endsAt",
            "endsAt must be later than startsAt, 2999-01-02T00:00:00.000000Z.",
        ),
        (
            {"startsAt": "2999-01-01T00:00:00Z", "endsAt": "2999-04-01T00:00:00.000001Z"},
            "endsAt",
            "A silence can last at most 90 days: endsAt must not be later than "
            "2999-04-01T00:00:00.000000Z.",
        ),
        (
            {"comment": "x" * 1_001},
            "comment",
            "At most 1,000 characters are allowed; comment has 1,001.",
        ),
    ]
    updated: list[tuple[dict[str, Any], str, str, str]] = [
        ({"id": current["id"], "endsAt": at}, "INVALID_INPUT", "endsAt", "endsAt must be later"),
        ({"id": current["id"], "endsAt": None}, "INVALID_INPUT", "endsAt", "endsAt must not be"),
        ({"id": current["id"], "endsAt": in_days(91)}, "INVALID_INPUT", "endsAt", "A silence can"),
        ({"id": over["id"], "endsAt": day}, "CONFLICT", "endsAt", "The silence ended at "),
        ({"id": NOBODY, "comment": ""}, "NOT_FOUND", "id", f"There is no silence {NOBODY}."),
        ({"id": "nope", "comment": ""}, "INVALID_INPUT", "id", "Invalid ID 'nope'"),
    ]

    before = await client.execute_field(LIST)
    rejections = [
        (
            await client.execute_field(
                CREATE, input={"filter": PUMP, "endsAt": day, "comment": ""} | input
            ),
            "INVALID_INPUT",
            *expected,
        )
        for input, *expected in created
    ]
    rejections += [
        (await client.execute_field(UPDATE, input=input), *expected) for input, *expected in updated
    ]
    unknown = await client.execute_field(EXPIRE, id=NOBODY)

    for payload, code, name, message in rejections:
        [error] = payload["userErrors"]
        assert (error["code"], error["path"]) == (code, ["input", name])
        assert error["message"].startswith(message)
        assert payload["silence"] is None
    assert [(each["code"], each["path"]) for each in unknown["userErrors"]] == [
        ("NOT_FOUND", ["id"])
    ]
    assert await client.execute_field(LIST) == before
    error = await client.expect_error(
        CREATE, input={"filter": {"search": "!"}, "endsAt": day, "comment": ""}
    )
    assert error["extensions"]["code"] == "BAD_USER_INPUT"


async def test_an_organization_has_at_most_so_many_silences_that_are_not_over(
    database_url: str, serve: Serve
) -> None:
    async with serve(database_url, limits={"silences": 2}) as client:
        first = await silence(client)
        await silence(client, startsAt=in_days(1), endsAt=in_days(2))

        rejected = await client.execute_field(
            CREATE, input={"filter": PUMP, "endsAt": in_days(1), "comment": ""}
        )
        await expire(client, first)
        accepted = await silence(client)

        assert rejected["silence"] is None
        assert rejected["userErrors"] == [
            {
                "code": "LIMIT_REACHED",
                "message": "The organization has the maximum number of silences that have not "
                "ended, 2. End one of them first.",
                "path": ["input"],
            }
        ]
        assert accepted["active"] is True


async def test_a_silenced_event_is_stored_but_does_not_notify(client: Client) -> None:
    head = await client.execute_field(HEAD)
    created = await silence(client)
    planned = await silence(client, startsAt=in_days(1), endsAt=in_days(2), filter={"types": ["*"]})

    silenced = await notify(client, "silenced")
    await notify(client, "other", source="/valve")

    expected = {"id": created["id"], "comment": "maintenance"}
    event = await client.execute_field(EVENT, id=silenced)
    assert event == {"status": "OPEN", "notification": True, "silencedBy": expected}
    assert await list_bell(client) == ["other"]
    async with client.subscription(ADDED, after=head) as subscription:
        assert await subscription.receive_next() == {"node": {"summary": "other"}}
    counts = [
        (await client.execute_field(READ, id=each["id"]))["silencedCount"]
        for each in (created, planned)
    ]
    assert counts == [1, 0]
    for filter, summaries in (
        ({"silencedBy": created["id"]}, ["silenced"]),
        ({"missing": ["SILENCED_BY"]}, ["other"]),
        ({"silencedBy": NOBODY}, []),
        ({"notification": True}, ["other", "silenced"]),
    ):
        page = await client.execute_field(EVENTS, filter=filter)
        assert sorted(node["summary"] for node in page["nodes"]) == summaries
        assert page["totalCount"] == len(summaries)
    history = (await client.execute_field(HISTORY, id=silenced))["history"]["nodes"]
    assert [(node["kind"], node["changes"]["silencedById"]) for node in history] == [
        ("LOGGED", [None, created["id"]])
    ]
    assert "silencedBy" in history[0]["changedFields"]


async def test_every_way_to_report_an_event_is_silenced(client: Client) -> None:
    created = await silence(client)
    loud = PUMP | {"notification": True}
    cloud_event = {"specversion": "1.0", "id": "1", "source": "/pump", "type": "pump.tripped"}

    logged = await client.execute_field(LOG_MANY, input=[loud, loud, loud | {"source": "/valve"}])
    ingested = await client.execute_field(INGEST, events=[cloud_event | {"notification": True}])
    quiet = await client.log_event(**PUMP)
    updated = await client.execute_field(
        CHANGE_EVENT, input={"id": quiet["id"], "notification": True}
    )

    of = {"id": created["id"]}
    assert [each["event"]["silencedBy"] for each in logged["results"]] == [of, of, None]
    assert [each["event"]["silencedBy"] for each in ingested["results"]] == [of]
    assert updated == {"event": {"silencedBy": of}, "userErrors": []}
    assert (await client.execute_field(READ, id=created["id"]))["silencedCount"] == 4
    assert len(await list_bell(client)) == 1
    withdrawn = await client.execute_field(
        CHANGE_EVENT, input={"id": quiet["id"], "notification": False}
    )
    assert withdrawn == {"event": {"silencedBy": None}, "userErrors": []}


async def test_an_event_in_the_bell_leaves_it_when_it_would_notify_again_in_a_silence(
    client: Client,
) -> None:
    rule = {"name": "r", "fingerprint": ["subject"], "window": "PT1H", "action": "COUNT"}
    await client.execute_field(CREATE_RULE, input=rule)
    escalated = await notify(client, "escalated", subject="a", severity="warn")
    reopened = await notify(client, "reopened", subject="b")
    await notify(client, "untouched", subject="c")
    await run(client, "resolveEvent", reopened)
    head = await client.execute_field(HEAD)
    created = await silence(client)

    await notify(client, "again", subject="a", severity="error")
    await run(client, "reopenEvent", reopened)

    assert await list_bell(client) == ["untouched"]
    assert (await client.execute_field(READ, id=created["id"]))["silencedCount"] == 2
    filter = {"notification": True, "missing": ["SILENCED_BY"]}
    async with client.subscription(CHANGED, filter=filter, after=head) as subscription:
        left = await subscription.receive_many(2)
        await expire(client, created)
        entered = await subscription.receive_many(2)
    assert [(each["kind"], each["transition"]) for each in left] == [
        ("DUPLICATED", "LEFT"),
        ("REOPENED", "LEFT"),
    ]
    assert {(each["kind"], each["transition"]) for each in entered} == {("RANG", "ENTERED")}
    assert sorted(each["event"]["summary"] for each in entered) == ["escalated", "reopened"]
    assert [each["changedFields"] for each in entered] == [["silencedBy"], ["silencedBy"]]
    await wait_for_bell(client, "escalated", "reopened", "untouched")
    assert await list_kinds(client, escalated) == ["LOGGED", "DUPLICATED", "RANG"]


async def test_open_events_notify_once_when_their_silence_is_ended(client: Client) -> None:
    created = await silence(client)
    names = ["open", "seen", "solved", "seen and unseen"]
    ids = [await notify(client, name) for name in names]
    for event_id in (ids[1], ids[3]):
        await run(client, "acknowledgeEvent", event_id)
    await run(client, "resolveEvent", ids[2])
    head = await client.execute_field(HEAD)

    await expire(client, created)

    async with client.subscription(ADDED, after=head) as subscription:
        assert await subscription.receive_next() == {"node": {"summary": "open"}}
        await run(client, "unacknowledgeEvent", ids[3])
        assert await subscription.receive_next() == {"node": {"summary": "seen and unseen"}}
        await notify(client, "later")
        assert await subscription.receive_next() == {"node": {"summary": "later"}}
    assert await list_bell(client) == ["later", "seen and unseen", "open"]
    history = (await client.execute_field(HISTORY, id=ids[0]))["history"]["nodes"]
    assert history[-1] == {
        "kind": "RANG",
        "actor": f"silence {created['id']}",
        "changes": {"silencedById": [created["id"], None]},
        "changedFields": ["silencedBy"],
    }
    assert await list_kinds(client, ids[1]) == ["LOGGED", "ACKNOWLEDGED"]
    assert await list_kinds(client, ids[2]) == ["LOGGED", "RESOLVED"]
    events = [await client.execute_field(EVENT, id=event_id) for event_id in ids]
    assert [each["silencedBy"] is not None for each in events] == [False, True, True, False]


async def test_an_alert_that_recovers_during_a_silence_never_notifies(client: Client) -> None:
    created = await silence(client)
    alert = PUMP | {"alertKey": "pump-7", "notification": True, "severity": "warn"}
    event_id = (await client.log_event(**alert))["id"]
    await client.log_event(**alert | {"severity": "error"})
    early = (datetime.now(UTC) - timedelta(minutes=1)).isoformat()
    await client.execute_field(LOG_MANY, input=[PUMP | {"alertKey": "pump-7", "resolved": True}])

    late = await client.log_event(**alert | {"alertKey": "pump-8"})
    await run(client, "resolveEvent", late["id"])
    await expire(client, created)
    await client.log_event(**alert | {"alertKey": "pump-9", "occurredAt": early})

    await wait_for_bell(client, "notice")
    assert await list_kinds(client, event_id) == ["LOGGED", "DUPLICATED", "RESOLVED"]
    assert (await client.execute_field(READ, id=created["id"]))["silencedCount"] == 3


async def test_another_matching_silence_takes_over(client: Client) -> None:
    short = await silence(client, comment="short")
    await notify(client, "error", severity="error")
    warning = await notify(client, "warning", severity="warn")
    long = await silence(client, filter={"severities": ["WARN"]}, endsAt=in_days(2))

    await expire(client, short)
    await wait_for_bell(client, "error")
    taken = await client.execute_field(EVENT, id=warning)
    await expire(client, long)

    await wait_for_bell(client, "error", "warning")
    assert taken["silencedBy"]["id"] == long["id"]
    assert await list_kinds(client, warning) == ["LOGGED", "UPDATED", "RANG"]
    assert (await client.execute_field(READ, id=long["id"]))["silencedCount"] == 1


async def test_the_silence_that_lasts_longest_is_named(client: Client) -> None:
    for days in (1, 3, 2):
        await silence(client, comment=f"{days} days", endsAt=in_days(days))

    event_id = await notify(client, "silenced")

    event = await client.execute_field(EVENT, id=event_id)
    assert event["silencedBy"]["comment"] == "3 days"


async def test_events_of_a_silence_that_is_shortened_notify_at_its_new_end(
    client: Client,
) -> None:
    created = await silence(client)
    await notify(client, "silenced")

    soon = (datetime.now(UTC) + timedelta(seconds=3)).isoformat()
    payload = await client.execute_field(UPDATE, input={"id": created["id"], "endsAt": soon})

    assert payload["userErrors"] == []
    await wait_for_bell(client, "silenced")


@pytest.fixture
def without_sweeps(monkeypatch: pytest.MonkeyPatch) -> None:
    """A server sweeps when it starts, and then no more."""
    monkeypatch.setattr(silence_expiry, "SWEEP_SECONDS", 10 * TIMEOUT_SECONDS)


async def test_a_silence_that_ends_while_no_server_runs_is_over_after_the_start(
    database_url: str, database: Database, serve: Serve
) -> None:
    async with serve(database_url) as client:
        created = await silence(client)
        event_id = await notify(client, "silenced")
    await end_by_clock(database, created)

    async with serve(database_url) as client:
        await wait_for_bell(client, "silenced")

        assert await list_kinds(client, event_id) == ["LOGGED", "RANG"]


@pytest.mark.usefixtures("without_sweeps")
async def test_servers_that_sweep_together_notify_of_each_event_once(
    dialect: str,
    database_url: str,
    database: Database,
    serve: Serve,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(silence_expiry, "BATCH_SIZE", 7)
    # Processes that write to a file of SQLite at the same time may wait too long for each other.
    other = Database(database_url) if dialect == POSTGRESQL else database
    async with serve(database_url) as client:
        created = [await silence(client, filter={"subject": str(n)}) for n in range(3)]
        input = [PUMP | {"subject": str(n % 3), "notification": True} for n in range(60)]
        await client.execute_field(LOG_MANY, input=input)
        await end_by_clock(database, *created)

        sweeps = [silence_expiry.ring_silenced_events(each) for each in (database, other) * 2]
        await asyncio.gather(*sweeps)
        await silence_expiry.ring_silenced_events(database)

        changes = await client.execute_field(
            "{ eventChanges(first: 100, changes: {kinds: [RANG]}) { nodes { eventId } } }"
        )
        rang = [node["eventId"] for node in changes["nodes"]]
        assert (len(rang), len(set(rang))) == (60, 60)
        assert await client.execute_field(COUNT) == {"totalCount": 60}
    await other.close()


@pytest.mark.usefixtures("without_sweeps")
async def test_an_event_that_is_committed_as_silenced_after_a_sweep_notifies_in_the_next(
    database_url: str, database: Database, serve: Serve
) -> None:
    async with serve(database_url) as client:
        created = await silence(client)
        await silence_expiry.ring_silenced_events(database)
        # The server has cached the silence; its clock may be behind that of the one that sweeps.
        await notify(client, "first")
        await end_by_clock(database, created)
        await silence_expiry.ring_silenced_events(database)
        await notify(client, "late")
        late = await list_bell(client)

        await silence_expiry.ring_silenced_events(database)

        assert late == ["first"]
        await wait_for_bell(client, "first", "late")


async def test_a_report_to_another_server_after_a_silence_was_created_is_silenced(
    database_url: str, serve: Serve
) -> None:
    async with serve(database_url) as client, serve(database_url) as other:
        for round in range(5):
            await notify(other, f"before {round}", subject="cached")
            created = await silence(client)

            event_id = await notify(other, f"during {round}")

            event = await other.execute_field(EVENT, id=event_id)
            assert event["silencedBy"]["id"] == created["id"]
            await run(client, "resolveEvent", event_id)
            await expire(client, created)
            await notify(other, f"after {round}")
        bell = await list_bell(client)
    assert [summary.split()[0] for summary in bell] == ["after", "before"] * 5


async def test_reports_that_race_with_silences_notify_once_whether_they_were_silenced_or_not(
    dialect: str, database_url: str, serve: Serve
) -> None:
    async with contextlib.AsyncExitStack() as stack:
        client = other = await stack.enter_async_context(serve(database_url))
        if dialect == POSTGRESQL:
            other = await stack.enter_async_context(serve(database_url))
        head = await client.execute_field(HEAD)

        has_ended = asyncio.Event()
        reported = {"a": 0, "b": 0}
        silenced = 0

        async def report(reporter: Client, name: str) -> None:
            while not has_ended.is_set():
                await notify(reporter, f"{name} {reported[name]}")
                reported[name] += 1

        async def wait_for_reports() -> None:
            """Waits until each reporter has begun and ended a report."""
            before = dict(reported)
            while any(reported[name] < before[name] + 2 for name in reported):
                await asyncio.sleep(0.005)

        async def change() -> None:
            nonlocal silenced
            for _ in range(3):
                await wait_for_reports()
                created = await silence(client)
                await wait_for_reports()
                silenced += (await expire(other, created))["silencedCount"]
            await wait_for_reports()
            has_ended.set()

        await asyncio.gather(report(client, "a"), report(other, "b"), change())

        async with client.subscription(ADDED, after=head) as subscription:
            added = await subscription.receive_many(sum(reported.values()))
            await notify(client, "last")
            last = await subscription.receive_next()
        changes = await client.execute_field(
            "{ eventChanges(first: 100, changes: {kinds: [RANG]}) { nodes { eventId } } }"
        )
    summaries = {each["node"]["summary"] for each in added}
    rang = [node["eventId"] for node in changes["nodes"]]
    assert summaries == {f"{name} {n}" for name, count in reported.items() for n in range(count)}
    assert last == {"node": {"summary": "last"}}
    assert silenced >= 6
    # Each of the two reporters has also reported before, between and after the silences.
    assert 6 <= len(rang) <= len(summaries) - 8
    assert len(set(rang)) == len(rang)


@pytest.mark.usefixtures("without_sweeps")
async def test_a_sweep_without_ended_silences_reads_one_statement(
    own_client: Client, database: Database, statements: Statements
) -> None:
    await silence(own_client)
    await notify(own_client, "silenced")
    statements.clear()

    await silence_expiry.ring_silenced_events(database)

    assert sum("silence" in each for each in statements) == 1


@pytest.mark.usefixtures("without_sweeps")
async def test_a_silence_that_a_newer_version_stored_suppresses_nothing(
    own_client: Client, database: Database
) -> None:
    unreadable = await silence(own_client)
    await silence(own_client, filter={"source": "/other"})
    change = update(tables.Silence).where(col(tables.Silence.id) == UUID(unreadable["id"]))
    async with database.write(ALL_ORGANIZATIONS) as session:
        await session.execute(change.values(filter=PUMP | {"ofTheNextVersion": True}))

    await notify(own_client, "rings")
    await notify(own_client, "is silenced", source="/other")

    assert await list_bell(own_client) == ["rings"]


@pytest.mark.usefixtures("without_sweeps")
async def test_an_event_that_is_silenced_later_in_its_batch_is_not_in_the_bell(
    own_client: Client, database: Database
) -> None:
    created = await silence(own_client, filter={"severities": ["ERROR"]})
    report = PUMP | {"type": "t", "notification": True, "alertKey": "k"}
    reports = [
        report | {"summary": "escalated", "severity": "WARN"},
        report | {"summary": "escalates", "severity": "ERROR"},
    ]

    payload = await own_client.execute_field(LOG_MANY, input=reports)
    silenced = await list_bell(own_client)
    await end_by_clock(database, created)
    await silence_expiry.ring_silenced_events(database)

    events = [each["event"] for each in payload["results"]]
    assert events == [{"id": events[0]["id"], "silencedBy": {"id": created["id"]}}] * 2
    assert silenced == []
    assert await list_bell(own_client) == ["escalated"]


@pytest.mark.usefixtures("without_sweeps")
async def test_an_event_that_cannot_be_read_is_logged_once_and_delays_no_other_of_any_silence(
    own_client: Client, database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(silence_expiry, "BATCH_SIZE", 2)
    first = await silence(own_client)
    names = ["no tags", "a", "no severity", "b", "c"]
    ids = [await notify(own_client, name) for name in names]
    second = await silence(own_client, filter={"source": "/other"})
    other = await notify(own_client, "of another silence", source="/other")
    event = tables.METADATA.tables["event"]

    async def change(event_id: str, values: str) -> None:
        statement = text(f"UPDATE event SET {values} WHERE id = :id")
        parameter = bindparam("id", UUID(event_id), type_=event.c.id.type)
        async with database.write(ALL_ORGANIZATIONS) as session:
            await session.execute(statement.bindparams(parameter))

    await change(ids[0], "tags = '5'")
    await change(ids[2], "severity = 'NEWER'")
    await end_by_clock(database, first)
    await end_by_clock(database, second)

    logged: set[UUID] = set()
    with structlog.testing.capture_logs() as logs:
        for each in (logged, logged, {UUID(ids[0])}):
            await silence_expiry.ring_silenced_events(database, each)

    changes = await own_client.execute_field(
        "{ eventChanges(first: 100, changes: {kinds: [RANG]}) { nodes { eventId } } }"
    )
    rang = [node["eventId"] for node in changes["nodes"]]
    assert len(rang) == 4
    assert set(rang) == {ids[1], ids[3], ids[4], other}
    await change(ids[0], "tags = '[]'")
    await silence_expiry.ring_silenced_events(database, logged)
    assert logged == {UUID(ids[2])}
    failures = [each for each in logs if each["log_level"] == "error"]
    assert [(each["events"], each["new"], each["first"]) for each in failures] == [
        (2, 2, ids[0]),
        (2, 1, ids[2]),
    ]
    assert {(each["event"], each["silence"]) for each in failures} == {
        ("silenced_events_not_readable", first["id"])
    }


@pytest.mark.usefixtures("without_sweeps")
@pytest.mark.parametrize("dialect", ["postgresql"], indirect=True)  # SQLite has no locks on rows
async def test_an_event_that_cannot_be_read_is_not_logged_again_while_another_server_locks_it(
    own_client: Client, database: Database, database_url: str
) -> None:
    created = await silence(own_client)
    ids = [UUID(await notify(own_client, name)) for name in ("unreadable", "deleted")]
    event = tables.METADATA.tables["event"]
    async with database.write(ALL_ORGANIZATIONS) as session:
        await session.execute(update(event).values(tags=text("'5'")))
    await end_by_clock(database, created)
    logged: set[UUID] = set()
    other = Database(database_url)
    with structlog.testing.capture_logs() as logs:
        await silence_expiry.ring_silenced_events(database, logged)
        async with database.write(ALL_ORGANIZATIONS) as session:
            await session.execute(delete(event).where(event.c.id == ids[1]))
        async with other.write(ALL_ORGANIZATIONS) as session:
            lock = select(event.c.id).where(event.c.id == ids[0]).with_for_update()
            await session.execute(lock)
            await silence_expiry.ring_silenced_events(database, logged)
        await silence_expiry.ring_silenced_events(database, logged)
    await other.close()

    assert logged == {ids[0]}
    errors = [each for each in logs if each["log_level"] == "error"]
    assert [each["new"] for each in errors] == [2]


@pytest.mark.usefixtures("without_sweeps")
async def test_one_sweep_notifies_of_the_events_of_all_silences_however_many_there_are(
    own_client: Client, database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(silence_expiry, "SILENCES_PER_PAGE", 2)
    created = [await silence(own_client, filter={"subject": str(n)}) for n in range(5)]
    for number in range(5):
        await notify(own_client, f"of {number}", subject=str(number))
    await end_by_clock(database, *created)

    await silence_expiry.ring_silenced_events(database)

    assert sorted(await list_bell(own_client)) == [f"of {number}" for number in range(5)]

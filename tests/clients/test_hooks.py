"""Hooks of @tocsin/react, installed from its tarball, with a real server."""

from __future__ import annotations

import asyncio
import contextlib
import gzip
import json
from collections.abc import AsyncIterator, Callable, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from app.services.change_log import pruning
from app.store.engine.database import Database
from tests import node
from tests.client import ADMINISTRATOR, Client
from tests.clients.network import relay
from tests.clients.test_clients import HERE, install_clients
from tests.scripts import Script, run_command, start_script

PACKAGE = HERE / "node_modules/@tocsin/react"
MAX_BYTES = 8_000
State = dict[str, Any]


class Hook:
    """A mounted component that uses a hook (`hooks.mjs`)."""

    def __init__(self, script: Script) -> None:
        self.script = script
        self.state: State = {}
        self.later_load_count = 0  # pages and reloads after the first page

    async def wait_for(self, is_reached: Callable[[State], object]) -> State:
        """Waits for a state of the hook."""
        while not (self.state and is_reached(self.state)):
            await self._read()
        return self.state

    async def call(self, function: str, *arguments: Any) -> Any:
        """Calls a function of the hook. Returns its result, or the code of its error."""
        await self.script.write_line(json.dumps([function, *arguments]))
        while (line := await self._read())[0] == "state":
            pass
        return line[1]

    async def _read(self) -> list[Any]:
        try:
            line: list[Any] = await self.script.read_line()
        except TimeoutError:
            raise AssertionError(f"the state is still {self.state}") from None
        if line[0] == "state":
            has_started = line[1].get("isLoadingMore") and not self.state.get("isLoadingMore")
            self.later_load_count += bool(has_started)
            self.state = line[1]
        return line


@contextlib.asynccontextmanager
async def mount(
    name: str,
    client: Client,
    *arguments: Any,
    url: str | None = None,
    options: Sequence[str] = (),
    modules: str = "esm",
) -> AsyncIterator[Hook]:
    """Mounts a component that uses the hook in the organization of the client.

    `modules`: the build of the packages, `esm` or `commonjs`.
    """
    await asyncio.to_thread(install_clients)
    address = f"{url or client.url}/graphql"
    async with start_script(
        *("node", *options, "hooks.mjs", name, address, ADMINISTRATOR, json.dumps(arguments)),
        folder=HERE,
        environment={
            "ORGANIZATION": client.headers.get("data-partition-id", "default"),
            "MODULES": modules,
        },
    ) as script:
        yield Hook(script)


def is_loaded(state: State) -> bool:
    return not state["isLoading"] and state["status"] == "connected"


def summaries(state: State) -> list[str]:
    if "events" in state:
        return [event["summary"] for event in state["events"]]
    return [notification["event"]["summary"] for notification in state["notifications"]]


async def log_events(client: Client, *names: str, **attributes: Any) -> list[str]:
    """Logs events, which are later in this order. Returns their IDs."""
    return [(await client.log_event(summary=name, **attributes))["id"] for name in names]


async def test_new_events_wait_until_the_reader_shows_them(client: Client) -> None:
    await log_events(client, "1", "2", "3", severity="error")
    async with mount("useLiveEvents", client, {"severities": ["ERROR"]}, {"pageSize": 2}) as hook:
        await hook.wait_for(is_loaded)

        await log_events(client, "4", "5", severity="error")
        await log_events(client, "other", severity="warn")
        waiting = await hook.wait_for(lambda state: state["newCount"] == 2)
        await hook.call("showNew")
        shown = await hook.wait_for(lambda state: state["newCount"] == 0)
        await hook.call("loadMore")
        complete = await hook.wait_for(lambda state: not state["hasNextPage"])

    assert (summaries(waiting), waiting["hasNextPage"]) == (["3", "2"], True)
    assert summaries(shown) == ["5", "4", "3", "2"]
    assert summaries(complete) == ["5", "4", "3", "2", "1"]


async def test_changed_events_stay_in_their_place_and_others_disappear(client: Client) -> None:
    ids = await log_events(client, "1", "2", "3", "4", severity="error")
    async with mount("useLiveEvents", client, {"severities": ["ERROR"]}) as hook:
        await hook.wait_for(is_loaded)

        await update(client, ids[2], summary="3 changed")
        await update(client, ids[1], severity="info")
        await delete(client, ids[0])
        state = await hook.wait_for(lambda state: len(state["events"]) == 2)

    assert summaries(state) == ["4", "3 changed"]
    assert state["newCount"] == 0


async def test_an_event_whose_order_changes_moves_when_new_events_are_shown(client: Client) -> None:
    ids = await log_events(client, "1", "2", severity="warn")
    order = {"orderBy": {"field": "SEVERITY", "direction": "DESC"}}
    async with mount("useLiveEvents", client, None, order) as hook:
        await hook.wait_for(is_loaded)

        await update(client, ids[0], severity="error")
        waiting = await hook.wait_for(lambda state: state["newCount"] == 1)
        await hook.call("showNew")
        shown = await hook.wait_for(lambda state: state["newCount"] == 0)

    assert summaries(waiting) == ["2", "1"]
    assert [event["severity"] for event in waiting["events"]] == ["WARN", "ERROR"]
    assert summaries(shown) == ["1", "2"]


async def test_more_new_events_than_the_limit_are_shown_from_the_top(client: Client) -> None:
    await log_events(client, "1", "2")
    async with mount("useLiveEvents", client, None, {"pageSize": 2, "maxNew": 3}) as hook:
        await hook.wait_for(is_loaded)

        await log_events(client, "3", "4", "5", "6")
        waiting = await hook.wait_for(lambda state: state["hasMoreNew"])
        await hook.call("showNew")
        shown = await hook.wait_for(lambda state: not state["hasMoreNew"])

    assert (summaries(waiting), waiting["newCount"]) == (["2", "1"], 3)
    assert summaries(shown) == ["6", "5"]
    assert shown["hasNextPage"] is True


async def test_the_place_is_kept_when_the_cursor_has_expired(
    own_client: Client, database: Database
) -> None:
    ids = await log_events(own_client, "1", "2", "3", "4", "5", "6")
    async with (
        relay(own_client.url) as network,
        mount("useLiveEvents", own_client, None, {"pageSize": 2}, url=network.url) as hook,
    ):
        await hook.wait_for(is_loaded)
        await hook.call("loadMore")
        await hook.wait_for(lambda state: len(state["events"]) == 4)
        network.interrupt()
        await hook.wait_for(lambda state: state["status"] == "waiting")

        await log_events(own_client, "7")
        await delete(own_client, ids[4])
        await update(own_client, ids[3], summary="4 changed")
        await pruning.prune_entries(database, datetime.now(UTC) + timedelta(seconds=1))
        await network.resume()
        kept = await hook.wait_for(lambda state: state["newCount"] == 1)
        await hook.call("showNew")
        shown = await hook.wait_for(lambda state: state["newCount"] == 0)

    assert summaries(kept)[:3] == ["6", "4 changed", "3"]
    assert summaries(shown)[:4] == ["7", "6", "4 changed", "3"]


async def test_the_bell_shows_new_notifications_and_its_numbers(client: Client) -> None:
    await log_events(client, "1", "2", notification=True)
    async with mount("useBell", client) as bell:
        await bell.wait_for(is_loaded)

        await log_events(client, "3", notification=True, severity="error")
        await log_events(client, "no notification")
        state = await bell.wait_for(has_counts(3, 3))
        state = await bell.wait_for(lambda state: len(state["notifications"]) == 3)

    assert summaries(state) == ["3", "2", "1"]
    assert state["summary"]["bySeverity"] == [
        {"severity": "ERROR", "count": 1},
        {"severity": "INFO", "count": 2},
    ]


async def test_the_bell_keeps_as_many_notifications_as_its_pages(client: Client) -> None:
    await log_events(client, *"12345", notification=True)
    async with mount("useBell", client, {"pageSize": 2}) as bell:
        await bell.wait_for(is_loaded)
        await bell.call("loadMore")
        await bell.wait_for(lambda state: summaries(state) == ["5", "4", "3", "2"])

        await log_events(client, *"678", notification=True)
        trimmed = await bell.wait_for(lambda state: summaries(state)[0] == "8")
        for _ in range(2):
            await bell.call("loadMore")
            await bell.wait_for(lambda state: not state["isLoadingMore"])
        complete = bell.state

    assert summaries(trimmed) == ["8", "7", "6", "5"]
    assert summaries(complete) == ["8", "7", "6", "5", "4", "3", "2", "1"]


async def test_the_bell_acknowledges_one_some_and_up_to_a_notification(client: Client) -> None:
    ids = await log_events(client, *"123456", notification=True)
    async with mount("useBell", client) as bell:
        state = await bell.wait_for(is_loaded)
        cursor = next(
            each["cursor"] for each in state["notifications"] if each["event"]["summary"] == "5"
        )

        one = await bell.call("acknowledge", ids[5])
        some = await bell.call("acknowledge", [ids[0], ids[1]], "Crew informed")
        unknown = await bell.call("acknowledge", ADMINISTRATOR)
        await bell.wait_for(has_counts(3, 3))
        rest = await bell.call("acknowledgeUpTo", cursor)
        state = await bell.wait_for(
            lambda state: all(each["event"]["acknowledged"] for each in state["notifications"])
        )
        await bell.wait_for(has_counts(0, 0))

    assert (one, some, unknown, rest) == (1, 2, "INVALID_INPUT", 3)
    assert summaries(state) == ["6", "5", "4", "3", "2", "1"]


async def test_new_notifications_are_marked_as_read_by_their_cursors(client: Client) -> None:
    await log_events(client, "1", notification=True)
    async with mount("useBell", client) as bell:
        await bell.wait_for(is_loaded)
        await log_events(client, "2", "3", notification=True)
        state = await bell.wait_for(lambda state: len(state["notifications"]) == 3)
        cursor = state["notifications"][1]["cursor"]

        await bell.call("markRead", cursor)
        state = await bell.wait_for(has_counts(3, 1))

    assert [each["read"] for each in state["notifications"]] == [False, True, True]


async def test_notifications_that_are_read_elsewhere_are_shown_as_read(client: Client) -> None:
    await log_events(client, "1", "2", notification=True)
    async with mount("useBell", client) as bell:
        await bell.wait_for(is_loaded)

        mark = "mutation ($to: String!) { markNotificationsRead(upTo: $to) { summary { cursor } } }"
        await client.execute_field(mark, to=await client.execute_field("{ logHead }"))
        state = await bell.wait_for(
            lambda state: all(each["read"] for each in state["notifications"])
        )

    assert state["summary"]["unreadCount"] == 0


async def test_an_open_bell_shows_an_unacknowledged_notification_at_its_place(
    client: Client,
) -> None:
    ids = await log_events(client, "1", "2", "3", notification=True)
    async with mount("useBell", client, {"filter": {"acknowledged": False}}) as bell:
        await bell.wait_for(is_loaded)
        await bell.call("acknowledge", ids[1])
        without = await bell.wait_for(lambda state: len(state["notifications"]) == 2)

        await client.execute_field(
            "mutation ($id: ID!) { unacknowledgeEvent(id: $id) { userErrors { code } } }", id=ids[1]
        )
        state = await bell.wait_for(lambda state: len(state["notifications"]) == 3)

    assert summaries(without) == ["3", "1"]
    assert summaries(state) == ["3", "2", "1"]


RESOLVE = "mutation ($id: ID!) { resolveEvent(id: $id) { userErrors { code } } }"
REOPEN = "mutation ($id: ID!) { reopenEvent(id: $id) { userErrors { code } } }"


async def test_a_resolved_notification_is_not_unread_and_a_reopened_one_is_new(
    client: Client,
) -> None:
    ids = await log_events(client, "1", "2", "3", notification=True)
    async with mount("useBell", client) as bell:
        await bell.wait_for(has_counts(3, 3))
        await client.execute_field(RESOLVE, id=ids[0])
        await bell.wait_for(has_counts(2, 2))

        # Several summaries with the same numbers, each of which could load the list again.
        for severity in ["WARN", "ERROR", "SUCCESS"] * 2:
            await update(client, ids[1], severity=severity.lower())
            await bell.wait_for(has_severity(severity))
        resolved = await bell.wait_for(
            lambda state: list_statuses(state) == ["OPEN", "OPEN", "RESOLVED"]
        )
        load_count = bell.later_load_count
        await bell.call("markRead")
        await bell.wait_for(has_counts(2, 0))
        await client.execute_field(REOPEN, id=ids[0])
        await bell.wait_for(has_counts(3, 1))
        reopened = await bell.wait_for(lambda state: summaries(state)[0] == "1")

    assert summaries(resolved) == ["3", "2", "1"]
    assert load_count <= 1  # one if the summary arrives long before the change
    assert summaries(reopened) == ["1", "3", "2"]
    assert list_statuses(reopened) == ["OPEN"] * 3
    assert [each["read"] for each in reopened["notifications"]] == [False, True, True]


def has_severity(severity: str) -> Callable[[State], bool]:
    """Whether one open notification has the severity."""
    return lambda state: {"severity": severity, "count": 1} in state["summary"]["bySeverity"]


def list_statuses(state: State) -> list[str]:
    return [notification["event"]["status"] for notification in state["notifications"]]


FRAGMENT = {"fragment": "fragment Row on Event { tags source }"}


@pytest.mark.parametrize("modules", ["esm", "commonjs"])
async def test_a_list_has_the_fields_of_a_fragment(client: Client, modules: str) -> None:
    await log_events(client, "1", source="/field", tags=["a"])
    async with mount("useLiveEvents", client, None, FRAGMENT, modules=modules) as hook:
        loaded = await hook.wait_for(is_loaded)

        await log_events(client, "2", source="/field", tags=["b"])
        await hook.wait_for(lambda state: state["newCount"] == 1)
        await hook.call("showNew")
        shown = await hook.wait_for(lambda state: state["newCount"] == 0)

    assert fields_of_fragment(loaded["events"]) == [{"tags": ["a"], "source": "/field"}]
    assert fields_of_fragment(shown["events"]) == [
        {"tags": ["b"], "source": "/field"},
        {"tags": ["a"], "source": "/field"},
    ]


async def test_the_notifications_of_a_bell_have_the_fields_of_a_fragment(client: Client) -> None:
    await log_events(client, "1", source="/field", tags=["a"], notification=True)
    async with mount("useBell", client, FRAGMENT) as bell:
        await bell.wait_for(is_loaded)

        await log_events(client, "2", source="/field", tags=["b"], notification=True)
        state = await bell.wait_for(lambda state: len(state["notifications"]) == 2)

    assert fields_of_fragment([each["event"] for each in state["notifications"]]) == [
        {"tags": ["b"], "source": "/field"},
        {"tags": ["a"], "source": "/field"},
    ]


def fields_of_fragment(events: Sequence[State]) -> list[State]:
    """The fields besides those that the order of a list needs."""
    times = ("occurredAt", "recordedAt", "lastOccurredAt")
    keys = ("id", "severity", *times, "acknowledged", "status")
    return [{name: event[name] for name in event if name not in keys} for event in events]


def has_counts(open_count: int, unread_count: int) -> Callable[[State], bool]:
    def is_reached(state: State) -> bool:
        summary = state["summary"] or {}
        counts = summary.get("openCount"), summary.get("unreadCount")
        return is_loaded(state) and counts == (open_count, unread_count)

    return is_reached


CREATE_TYPE = """
mutation ($input: CreateEventTypeInput!) {
  createEventType(input: $input) { userErrors { message } }
}
"""
CREATE_RULE = """mutation ($input: CreateDuplicationRuleInput!) {
  createDuplicationRule(input: $input) { userErrors { message } } }"""
FLARING = {
    "type": "flaring.incident",
    "name": "Flaring incident",
    "state": "PUBLISHED",
    "fields": [
        {"name": "volume_mcf", "kind": "NUMBER", "required": True, "minimum": 0},
        {
            "name": "cause",
            "kind": "SELECT",
            "choices": [{"value": "equipment", "label": "Equipment failure"}, {"value": "other"}],
        },
        {"name": "details", "kind": "LONG_TEXT"},
    ],
    "conditionalRules": [
        {
            "name": "Explain other causes",
            "effect": "SHOW",
            "targets": ["details"],
            "condition": {"field": {"field": "cause", "operator": "EQ", "value": "other"}},
        }
    ],
}


async def test_a_form_shows_the_problems_of_changed_fields_and_logs_a_valid_event(
    client: Client,
) -> None:
    payload = await client.execute_field(CREATE_TYPE, input=FLARING)
    assert payload["userErrors"] == []
    options = {
        "initialValues": {"cause": "equipment"},
        "attributes": {"summary": "Flare"},
        "delay": 0,
    }
    async with mount("useEventTypeForm", client, "flaring.incident", options) as form:
        first = await form.wait_for(is_checked)
        await form.call("setValues", {"cause": "other", "volume_mcf": -1})
        invalid = await form.wait_for(lambda state: is_checked(state) and state["fieldProblems"])
        rejected = await form.call("submit")
        await form.call("setValues", {"cause": "other", "volume_mcf": 5, "details": "Strike"})
        valid = await form.wait_for(lambda state: is_checked(state) and state["isValid"])
        result = await form.call("submit")
        await form.wait_for(lambda state: state["result"])

    assert first["values"] == {"cause": "equipment"}
    assert first["visibleFields"] == ["volume_mcf", "cause"]
    assert first["requiredFields"] == ["volume_mcf"]
    assert (first["isValid"], first["fieldProblems"]) == (False, {})
    properties = first["formProps"]["schema"]["properties"]
    assert properties["details"]["type"] == "string"
    assert [option["const"] for option in properties["cause"]["oneOf"]] == ["equipment", "other"]
    assert list(invalid["fieldProblems"]) == ["volume_mcf"]
    assert list(invalid["formProps"]["extraErrors"]) == ["volume_mcf"]
    assert rejected is None
    assert valid["visibleFields"] == ["volume_mcf", "cause", "details"]
    assert result["duplicate"] is False
    stored = await client.execute_field("{ events { nodes { id summary fields } } }")
    fields = {"cause": "other", "volume_mcf": 5, "details": "Strike"}
    assert stored["nodes"] == [{"id": result["event"]["id"], "summary": "Flare", "fields": fields}]


async def test_a_form_shows_duplicates_and_validates_changed_attributes(client: Client) -> None:
    created = await client.execute_field(CREATE_TYPE, input=FLARING)
    assert created["userErrors"] == []
    rule = {
        "name": "volume",
        "window": "P1D",
        "action": "COUNT",
        "fingerprint": ["fields.volume_mcf"],
    }
    assert (await client.execute_field(CREATE_RULE, input=rule))["userErrors"] == []
    original = await client.log_event(
        type="flaring.incident", summary="Flare", fields={"cause": "equipment", "volume_mcf": 5}
    )
    options = {"initialValues": {"cause": "equipment", "volume_mcf": 5}, "delay": 0}
    unknown = options | {"attributes": {"severity": "loud"}}
    later = options | {"attributes": {"occurredAt": "2100-01-01T00:00:00Z"}}
    async with mount("useEventTypeForm", client, "flaring.incident", options) as form:
        first = await form.wait_for(lambda state: is_checked(state) and state["isValid"])
        await form.call("setArguments", "flaring.incident", unknown)
        warned = await form.wait_for(lambda state: is_checked(state) and state["warnings"])
        await form.call("setArguments", "flaring.incident", later)
        rejected = await form.wait_for(lambda state: is_checked(state) and not state["isValid"])

    assert first["duplicateOf"]["id"] == original["id"]
    assert first["duplicateOf"]["summary"] == "Flare"
    assert [warning["code"] for warning in warned["warnings"]] == ["SEVERITY_UNKNOWN"]
    assert [problem["path"] for problem in rejected["problems"]] == [["input", "occurredAt"]]
    assert rejected["duplicateOf"] is None


async def test_a_form_of_an_unknown_event_type_has_an_error(client: Client) -> None:
    async with mount("useEventTypeForm", client, "unknown") as form:
        state = await form.wait_for(lambda state: not state["isLoading"])

    assert (state["error"], state["eventType"]) == ("NOT_FOUND", None)


def is_checked(state: State) -> bool:
    return not state["isLoading"] and not state["isChecking"]


async def test_the_hooks_work_with_react_18(client: Client) -> None:
    await asyncio.to_thread(node.install_packages, HERE / "react18")
    await log_events(client, "1", notification=True)
    options = ("--import", "./react18/register.mjs")
    async with (
        mount("useLiveEvents", client, options=options) as events,
        mount("useBell", client, options=options) as bell,
    ):
        await events.wait_for(is_loaded)
        await bell.wait_for(has_counts(1, 1))

        await log_events(client, "2", notification=True)
        await events.wait_for(lambda state: state["newCount"] == 1)
        await events.call("showNew")
        shown = await events.wait_for(lambda state: state["newCount"] == 0)
        rung = await bell.wait_for(lambda state: len(state["notifications"]) == 2)

    assert summaries(shown) == ["2", "1"]
    assert summaries(rung) == ["2", "1"]
    assert (shown["reactVersion"], rung["reactVersion"]) == ("18.3.1", "18.3.1")


UPDATE = (
    "mutation ($input: UpdateEventInput!) { updateEvent(input: $input) { userErrors { code } } }"
)
DELETE = "mutation ($id: ID!) { deleteEvent(id: $id) { userErrors { code } } }"


async def update(client: Client, id: str, **changes: Any) -> None:
    payload = await client.execute_field(UPDATE, input={"id": id} | changes)
    assert payload["userErrors"] == []


async def delete(client: Client, id: str) -> None:
    assert await client.execute_field(DELETE, id=id) == {"userErrors": []}


@pytest.mark.parametrize(("script", "count"), [("live_list.mjs", 5_000), ("bell_order.mjs", 500)])
def test_pages_and_changes_are_merged_to_the_list_of_the_database(script: str, count: int) -> None:
    install_clients()

    compared = run_command(HERE, "node", "--no-warnings", script)

    assert (compared.stderr, json.loads(compared.stdout)) == ("", ["sequences", count])


def test_the_generated_types_match_the_schema(tmp_path: Path) -> None:
    node.install_packages(node.WEB)
    source = node.WEB / "packages/react"
    generated = tmp_path / "operations.ts"

    run = run_command(source, "node", "generate.mjs", node.WEB.parent / "schema.graphql", generated)

    assert run.returncode == 0
    # If they differ, run `make schema`.
    assert generated.read_text() == (source / "src/operations.ts").read_text()


def test_the_package_is_small() -> None:
    install_clients()

    sizes = [
        len(gzip.compress((PACKAGE / "dist" / name).read_bytes()))
        for name in ("index.js", "live-list.js")
    ]

    assert 0 < sum(sizes) < MAX_BYTES

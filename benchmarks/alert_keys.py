"""Writers on two servers open and resolve the same alert keys, in and out of order.

At most one event of a key may be unresolved at any time, no report may be lost, and no event may
stay open whose resolution was reported. Run it by `make soak`; it ends with 1 if one of these is
broken. `tests/concurrency/test_alert_keys_under_fire.py` runs a short form.
"""

from __future__ import annotations

import argparse
import asyncio
import time
from collections import Counter
from collections.abc import Callable, Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from random import Random
from typing import Any

import httpx

from benchmarks.faults import parse_options, publish_results
from benchmarks.faults_checks import FaultFigures
from benchmarks.faults_cluster import FaultCluster
from benchmarks.processes import KEY
from tests.client import Client

# Reports of the first source have no times; operators resolve and reopen its events meanwhile.
UNDATED, DATED = "/undated", "/dated"
BEGUN = datetime(2026, 4, 10, 12, tzinfo=UTC)
LOG = """mutation ($input: [LogEventInput!]!) {
  logEvents(input: $input) { results { userErrors { code message } } }
}"""
UNRESOLVED = """{
  events(first: 100, filter: { statuses: [OPEN, ACKNOWLEDGED] }) {
    nodes { id source alertKey } pageInfo { hasNextPage }
  }
}"""
RESOLVED = """{
  events(first: 5, filter: { source: "/undated", statuses: [RESOLVED] }) { nodes { id } }
}"""
RESOLVE = "mutation ($ids: [ID!]) { resolveEvents(ids: $ids) { userErrors { code message } } }"
REOPEN = "mutation ($id: ID!) { reopenEvent(id: $id) { userErrors { code message } } }"
REOPEN_SEVERAL = """mutation ($ids: [ID!]) {
  reopenEvents(ids: $ids) { changedCount userErrors { code message } }
}"""
EVENTS = """query ($after: String) { events(first: 100, after: $after) {
  nodes { id source alertKey status occurrences } pageInfo { hasNextPage endCursor } } }"""
CHANGES = """query ($after: String) { eventChanges(first: 100, after: $after) {
  nodes { kind eventId } pageInfo { hasNextPage endCursor } } }"""


@dataclass
class AlertKeyResults:
    """What writers and operators sent, and what of it is stored. The last four have to be empty.

    `snapshots`: how often operators read all unresolved events. `repeated_requests`: requests that
    were sent again because the database was locked, so that nothing was stored. `reopened`: events
    that operators reopened, one by one and by `reopenEvents`.
    `second_unresolved`: events that were unresolved beside another one of their key. `miscounted`:
    keys whose events do not count all of their reports. `left_open`: events that are open, although
    their resolution was reported.
    """

    snapshots: int = 0
    repeated_requests: int = 0
    reports: Counter[tuple[str, str]] = field(default_factory=Counter)
    changes: Counter[str] = field(default_factory=Counter)
    stored_as_resolved: int = 0
    reopened: Counter[str] = field(default_factory=Counter)
    refused_reopenings: int = 0
    errors: list[Any] = field(default_factory=list)
    second_unresolved: list[Any] = field(default_factory=list)
    miscounted: list[Any] = field(default_factory=list)
    left_open: list[Any] = field(default_factory=list)


async def open_and_resolve_keys(
    clients: Sequence[Client], writers: int, keys: int, rounds: int
) -> AlertKeyResults:
    """Each writer reports each key and its resolution in each round, in an order of its own.

    In the middle they wait until operators have reopened events in both ways, so `keys` must be at
    least 2.
    """
    results = AlertKeyResults()
    reopened, ended = asyncio.Event(), asyncio.Event()
    operators = [asyncio.create_task(_operate(each, reopened, ended, results)) for each in clients]
    await asyncio.gather(
        *(
            _write(clients[number % len(clients)], number, keys, rounds, reopened, results)
            for number in range(writers)
        )
    )
    ended.set()
    await asyncio.gather(*operators)
    await _check(clients, results)
    return results


async def _write(
    client: Client,
    number: int,
    keys: int,
    rounds: int,
    reopened: asyncio.Event,
    results: AlertKeyResults,
) -> None:
    order = Random(number)
    for round_number in range(rounds):
        if round_number == rounds // 2:
            await reopened.wait()
        at = BEGUN + timedelta(minutes=round_number, milliseconds=number)
        reports = [
            {"alertKey": f"key {key}", "notification": True, "resolved": resolved}
            | ({"source": UNDATED} if key % 2 else {"source": DATED, "occurredAt": time_of_report})
            for key in range(keys)
            for resolved, time_of_report in (
                (False, at.isoformat()),
                (True, (at + timedelta(seconds=30)).isoformat()),
            )
        ]
        order.shuffle(reports)
        payload = await _execute(client, LOG, results, input=reports)
        results.errors += [each for each in payload["results"] if each["userErrors"]]
        results.reports.update(
            (str(each["source"]), str(each["alertKey"])) for each in reports if not each["resolved"]
        )


async def _operate(
    client: Client, reopened: asyncio.Event, ended: asyncio.Event, results: AlertKeyResults
) -> None:
    """Resolves and reopens events until the writers have ended."""
    while not ended.is_set():
        page = await client.execute_field(UNRESOLVED)
        unresolved: dict[tuple[str, str], Any] = {}
        for event in page["nodes"]:
            if unresolved.setdefault((event["source"], event["alertKey"]), event) is not event:
                results.second_unresolved.append(event)
        results.snapshots += 1
        if page["pageInfo"]["hasNextPage"]:
            results.errors.append("more than 100 unresolved events")
        ids = [each["id"] for (source, _), each in unresolved.items() if source == UNDATED][:5]
        payload = await _execute(client, RESOLVE, results, ids=ids)
        results.errors += payload["userErrors"]
        resolved = [event["id"] for event in (await client.execute_field(RESOLVED))["nodes"]]
        if results.snapshots % 2:
            payload = await _execute(client, REOPEN_SEVERAL, results, ids=resolved)
            results.reopened[REOPEN_SEVERAL] += payload["changedCount"]
            errors = payload["userErrors"]
        else:
            errors = []
            for event_id in resolved:
                payload = await _execute(client, REOPEN, results, id=event_id)
                results.reopened[REOPEN] += not payload["userErrors"]
                errors += payload["userErrors"]
        results.refused_reopenings += sum(error["code"] == "CONFLICT" for error in errors)
        results.errors += [error for error in errors if error["code"] != "CONFLICT"]
        if results.reopened[REOPEN] and results.reopened[REOPEN_SEVERAL]:
            reopened.set()


async def _execute(client: Client, query: str, results: AlertKeyResults, **variables: Any) -> Any:
    """Returns the value of the only field. Sends the request again while SQLite is locked."""
    while True:
        response = await client.execute(query, **variables)
        errors = response.get("errors", [])
        if not errors:
            [value] = response["data"].values()
            return value
        assert {error["extensions"]["code"] for error in errors} == {"UNAVAILABLE"}, errors
        results.repeated_requests += 1


async def _check(clients: Sequence[Client], results: AlertKeyResults) -> None:
    events = await _list_nodes(clients[0], EVENTS)
    changes = await _list_nodes(clients[1], CHANGES)
    results.changes.update(each["kind"] for each in changes)
    kinds = Counter[tuple[str, str]]((each["eventId"], each["kind"]) for each in changes)
    counted = Counter[tuple[str, str]]()
    unresolved = Counter[tuple[str, str]]()
    for event in events:
        key = event["source"], event["alertKey"]
        counted[key] += event["occurrences"]
        resolutions = kinds[event["id"], "RESOLVED"] - kinds[event["id"], "REOPENED"]
        if event["status"] == "OPEN":
            unresolved[key] += 1
            if resolutions != 0 or unresolved[key] > 1:
                results.errors.append(event)
            if event["source"] == DATED:
                results.left_open.append(event)
        elif resolutions == 0 and event["source"] == DATED:
            results.stored_as_resolved += 1
        elif resolutions != 1:
            results.errors.append(event)
    # `reopenEvent` also succeeds if another operator has just reopened the event.
    reopened = results.reopened
    if not reopened[REOPEN_SEVERAL] <= results.changes["REOPENED"] <= reopened.total():
        results.errors.append(("reopened", reopened))
    results.miscounted = sorted(
        key for key in counted | results.reports if counted[key] != results.reports[key]
    )


async def _list_nodes(client: Client, query: str) -> list[Any]:
    nodes: list[Any] = []
    page: Any = {"pageInfo": {"hasNextPage": True, "endCursor": None}}
    while page["pageInfo"]["hasNextPage"]:
        page = await client.execute_field(query, after=page["pageInfo"]["endCursor"])
        nodes += page["nodes"]
    return nodes


def record_results(cluster: FaultCluster, options: argparse.Namespace) -> FaultFigures:
    figures = FaultFigures()
    figures.start_fault(
        f"{options.writers} writers, 2 servers, {options.keys} keys, {options.rounds} rounds"
    )
    urls = [cluster.start_server().url for _ in range(2)]

    async def run() -> tuple[AlertKeyResults, float]:
        async with AsyncExitStack() as opened:
            clients = [await opened.enter_async_context(Client(url, KEY)) for url in urls]
            for client in clients:
                client.http.timeout = httpx.Timeout(300)
            begun = time.monotonic()
            results = await open_and_resolve_keys(
                clients, options.writers, options.keys, options.rounds
            )
            return results, time.monotonic() - begun

    results, seconds = asyncio.run(run())
    figures.record("reports, of which half are resolutions", 2 * results.reports.total())
    figures.record("events stored", results.changes["LOGGED"])
    figures.record("reports counted as repeats", results.changes["DUPLICATED"])
    figures.record("events resolved", results.changes["RESOLVED"])
    figures.record("events stored as resolved", results.stored_as_resolved)
    figures.record("events reopened", results.changes["REOPENED"])
    figures.record("of these, by reopenEvents", results.reopened[REOPEN_SEVERAL])
    figures.record("reopenings refused with CONFLICT", results.refused_reopenings)
    figures.record("snapshots of the unresolved events", results.snapshots)
    figures.record("requests repeated because SQLite was locked", results.repeated_requests)
    figures.record_expected_zero("second unresolved events", len(results.second_unresolved))
    figures.record_expected_zero("keys with lost reports", len(results.miscounted))
    figures.record_expected_zero("open after their resolution", len(results.left_open))
    figures.record_expected_zero("errors", len(results.errors))
    figures.record("seconds, with the checks", seconds)
    figures.record_logged_errors(cluster.read_logged_errors())
    return figures


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--writers", type=int, default=8)
    parser.add_argument("--keys", type=int, default=50)
    parser.add_argument("--rounds", type=int, default=200)
    options = parse_options(parser)

    def measure(site_of: Callable[[str], FaultCluster]) -> FaultFigures:
        with site_of("alert_keys") as cluster:
            return record_results(cluster, options)

    publish_results("alert keys", options, measure)


if __name__ == "__main__":
    main()

"""Channels deliver to 20 receivers, of which 5 are dead and 3 are slow, while servers are killed.

Nothing may be missing at the receivers at the end, repeats have the same ID, messages about an
entity arrive in order, and the dead receivers delay no healthy one. Run it by `make soak`; it ends
with 1 if one of these is broken. Servers and writers are those of `benchmarks.faults`.
"""

from __future__ import annotations

import argparse
import base64
import random
import time
from collections import defaultdict
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple
from uuid import uuid4

from benchmarks.faults import parse_options, publish_results
from benchmarks.faults_checks import FaultClient, FaultFigures
from benchmarks.faults_cluster import (
    FaultCluster,
    await_writes,
    find_free_port,
    finish_child,
)
from benchmarks.faults_writers import build_event
from benchmarks.processes import ChildProcess, ServerProcess

RECEIVERS = "benchmarks.channels_receivers"
CHANNELS, DEAD, SLOW = 20, range(5), range(5, 8)
HEALTHY = range(8, CHANNELS)
MAX_LAG_RATIO = 1.2
SLOW_SECONDS = 0.1
PATIENCE_SECONDS = 60
ENVIRONMENT = {
    "TOCSIN_SECRETS_KEYS": base64.b64encode(bytes(range(32))).decode(),
    "TOCSIN_CHANNEL_NETWORKS": "127.0.0.0/8",
    # A receiver that never answers is tried again as often as one that refuses.
    "TOCSIN_CHANNELS__TIMEOUT_SECONDS": "5",
    "TOCSIN_CHANNELS__MAX_RETRY_SECONDS": "5",
    "TOCSIN_CHANNELS__MAX_PROBE_SECONDS": "5",
}
CREATE = """mutation ($input: CreateChannelInput!) {
  createChannel(input: $input) { channel { id } userErrors { message } } }"""
LOG = """mutation ($input: [LogEventInput!]!) {
  logEvents(input: $input) { accepted } }"""
LOGGED = """query ($after: String) {
  eventChanges(first: 100, after: $after, changes: { kinds: [LOGGED] }) {
    nodes { event { source sourceId } } pageInfo { hasNextPage endCursor } } }"""
SOURCE, QUIET, BESIDE = "faults", "quiet", "beside"


class Message(NamedTuple):
    """A message as a receiver got it."""

    receiver: int
    webhook_id: str
    source: str
    source_id: str | None
    summary: str
    at: float

    @property
    def lag(self) -> float:
        """Seconds since the first attempt to log the event."""
        return self.at - float(self.summary.split()[1])


class Receivers:
    """The receivers, and the channels to them, which are created with the first server."""

    def __init__(self, cluster: FaultCluster) -> None:
        self._child = ChildProcess(RECEIVERS, {"slow_seconds": SLOW_SECONDS})
        cluster.callback(self._child.kill)
        self._port = self._child.receive()["port"]

    def add_channels(self, client: FaultClient, numbers: Sequence[int]) -> None:
        for number in numbers:
            url = f"http://127.0.0.1:{self._port}/{number}"
            values = {"name": str(number), "kind": "WEBHOOK", "url": url}
            payload = client.execute(CREATE, input=values)
            assert payload["userErrors"] == [], payload

    def behave(self, dead: Sequence[int], slow: Sequence[int]) -> None:
        self._ask({"dead": [*dead], "slow": [*slow]})

    def list_messages(self) -> list[Message]:
        return [Message(*each) for each in self._ask({"do": "list"})]

    def await_messages(self, source: str, receivers: Sequence[int], source_ids: set[str]) -> None:
        """Waits until each of the receivers has these events of a source.

        It waits for as long as messages arrive.
        """
        question = {"source": source, "receivers": [*receivers], "source_ids": [*source_ids]}
        least, until = None, 0.0
        while missing := self._ask({"do": "count_missing"} | question):
            if least is None or missing < least:
                least, until = missing, time.monotonic() + PATIENCE_SECONDS
            elif time.monotonic() > until:
                return
            time.sleep(0.2)

    def _ask(self, instructions: Any) -> Any:
        self._child.send(instructions)
        return self._child.receive()


def measure_times(
    cluster: FaultCluster, figures: FaultFigures, options: argparse.Namespace
) -> None:
    figures.start_fault(f"{options.events:,} events in lists, 2 servers")
    ports, [server, _], receivers = start_servers(cluster)
    client = FaultClient(server.url)
    for count in (1, CHANNELS):
        receivers.add_channels(client, range(0 if count == 1 else 1, count))
        rate = measure_rate(client, receivers, range(count), options.events)
        figures.record(f"deliveries/s to {count}", rate)
    figures.start_fault(f"{options.seconds:,g} s, {options.writers} writers, 20 channels, 3 slow")
    for source, dead in ((QUIET, ()), (BESIDE, DEAD)):
        receivers.behave(dead, SLOW)
        logged = write_for_a_time(cluster, ports, source, options)
        receivers.await_messages(source, HEALTHY, logged)
    record_lag(figures, receivers.list_messages())


def kill_servers(cluster: FaultCluster, figures: FaultFigures, options: argparse.Namespace) -> None:
    figures.start_fault(
        f"{options.kills} × `kill -9`, {options.writers} writers, 20 channels, 5 dead, 3 slow"
    )
    ports, servers, receivers = start_servers(cluster)
    receivers.add_channels(FaultClient(servers[0].url), range(CHANNELS))
    receivers.behave(DEAD, SLOW)
    writers = cluster.start_writers(ports, options.writers, pause=options.pause, source=SOURCE)
    for kill in range(options.kills):
        number = kill % len(servers)
        await_writes(servers[1 - number], 3 * options.writers)
        time.sleep(random.random() * 2)
        servers[number].kill()
        servers[number] = cluster.start_server(ports[number], ENVIRONMENT)
    await_writes(servers[0], 3 * options.writers)
    logged = finish_writers(writers)
    begun = time.monotonic()
    receivers.behave((), SLOW)
    receivers.await_messages(SOURCE, range(CHANNELS), logged)
    figures.record("seconds until the dead receivers had everything", time.monotonic() - begun)
    order = read_order(FaultClient(servers[0].url))
    check_messages(figures, order, receivers.list_messages(), logged)
    figures.record_logged_errors(cluster.read_logged_errors())


def start_servers(cluster: FaultCluster) -> tuple[list[int], list[ServerProcess], Receivers]:
    """Starts two servers, and the receivers. Returns the ports of the servers, too."""
    ports = [find_free_port(), find_free_port()]
    servers = [cluster.start_server(port, ENVIRONMENT) for port in ports]
    return ports, servers, Receivers(cluster)


def measure_rate(
    client: FaultClient, receivers: Receivers, numbers: Sequence[int], events: int
) -> float:
    source = f"list-{uuid4()}"
    reports = [build_event(number, source, "") for number in range(events)]
    for number, report in enumerate(reports):  # one entity each: all of them at the same time
        report["entity"] = {"type": "Well", "id": str(number)}
    begun = time.monotonic()
    for first in range(0, events, 500):
        client.execute(LOG, input=reports[first : first + 500])
    receivers.await_messages(source, numbers, {each["sourceId"] for each in reports})
    messages = [each for each in receivers.list_messages() if each.source == source]
    return len(messages) / (max(each.at for each in messages) - begun)


def write_for_a_time(
    cluster: FaultCluster, ports: list[int], source: str, options: argparse.Namespace
) -> set[str]:
    """Returns the source IDs of the events."""
    writers = cluster.start_writers(ports, options.writers, pause=options.pause, source=source)
    time.sleep(options.seconds)
    return finish_writers(writers)


def finish_writers(writers: ChildProcess) -> set[str]:
    results = finish_child(writers)
    assert not results["failures"], results["failures"]
    return {str(number) for number, *_ in results["acknowledged"]}


def record_lag(figures: FaultFigures, messages: Sequence[Message]) -> None:
    """Compares the lag of the healthy receivers beside dead ones with that without them."""
    p99 = {}
    for source, name in ((QUIET, "without dead receivers"), (BESIDE, "beside 5 dead ones")):
        lags = sorted(
            each.lag for each in messages if each.source == source and each.receiver in HEALTHY
        )
        p99[source] = lags[len(lags) * 99 // 100]
        figures.record(f"lag of 12 healthy receivers {name}: p50, ms", lags[len(lags) // 2] * 1_000)
        figures.record(f"lag of 12 healthy receivers {name}: p99, ms", p99[source] * 1_000)
    ratio = p99[BESIDE] / p99[QUIET]
    figures.record("ratio of the p99", ratio)
    if ratio > MAX_LAG_RATIO:
        figures.broken.append(f"The dead receivers delay healthy ones by a factor of {ratio:.2f}.")


def check_messages(
    figures: FaultFigures, order: Sequence[str], messages: Sequence[Message], logged: set[str]
) -> None:
    """Compares what each receiver got with the source IDs in the order of the change log.

    The order is that of the first message about each event. That of dead receivers is not checked:
    a delivery holds back those after it for a minute only.
    """
    expected = logged | set(order)
    first: dict[int, dict[str, Message]] = defaultdict(dict)
    ids: dict[tuple[int, str], set[str]] = defaultdict(set)
    received = 0
    for each in messages:
        if each.source == SOURCE and each.source_id is not None:
            received += 1
            first[each.receiver].setdefault(each.source_id, each)
            ids[each.receiver, each.source_id].add(each.webhook_id)
    missing = sum(len(expected - first[receiver].keys()) for receiver in range(CHANNELS))
    disordered = sum(
        count_disordered(order, first[receiver])
        for receiver in range(CHANNELS)
        if receiver not in DEAD
    )
    figures.record("events logged", len(expected))
    figures.record("messages received", received)
    figures.record("of which repeats", received - len(ids))
    figures.record_expected_zero("missing", missing)
    other_ids = sum(len(each) - 1 for each in ids.values())
    figures.record_expected_zero("repeats with another ID", other_ids)
    figures.record_expected_zero("out of order at healthy and slow receivers", disordered)


def count_disordered(order: Sequence[str], got: dict[str, Message]) -> int:
    """Counts messages that came before an earlier one about the same entity."""
    count = 0
    latest: dict[int, float] = {}
    for source_id in order:
        if source_id in got:
            entity, at = int(source_id) // 2 % 2, got[source_id].at
            count += at < latest.get(entity, 0.0)
            latest[entity] = max(at, latest.get(entity, 0.0))
    return count


def read_order(client: FaultClient) -> list[str]:
    """Returns the source IDs of the events of the writers in the order of the change log."""
    order: list[str] = []
    after, has_next = None, True
    while has_next:
        page = client.execute(LOGGED, after=after)
        events = [node["event"] for node in page["nodes"]]
        order += [event["sourceId"] for event in events if event["source"] == SOURCE]
        after, has_next = page["pageInfo"]["endCursor"], page["pageInfo"]["hasNextPage"]
    return order


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--kills", type=int, default=100)
    parser.add_argument("--writers", type=int, default=8)
    parser.add_argument("--pause", type=float, default=4.0, help="Seconds between two events.")
    parser.add_argument("--seconds", type=float, default=60.0)
    parser.add_argument("--events", type=int, default=2_000)
    parser.add_argument("--only", default="", help="measure_times or kill_servers. Default: both.")
    options = parse_options(parser)

    def measure(site_of: Callable[[str], FaultCluster]) -> FaultFigures:
        figures = FaultFigures()
        for part in (measure_times, kill_servers):
            if options.only in part.__name__:
                with site_of(part.__name__) as cluster:
                    part(cluster, figures, options)
        return figures

    publish_results("channels", options, measure)


if __name__ == "__main__":
    main()

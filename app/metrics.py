"""Prometheus metrics, aggregated over all worker processes.

Metrics never identify an organization, and every label has a bounded set of values.
"""

from __future__ import annotations

import contextlib
import os
import platform
import shutil
import tempfile
import threading
from collections.abc import Iterable, Iterator
from contextvars import ContextVar
from functools import cache
from importlib.metadata import version
from pathlib import Path

from prometheus_client import (
    REGISTRY,
    CollectorRegistry,
    Counter,
    Gauge,
    Histogram,
    ProcessCollector,
    generate_latest,
    multiprocess,
)
from prometheus_client.exposition import CONTENT_TYPE_PLAIN_0_0_4
from prometheus_client.metrics_core import Metric
from prometheus_client.registry import Collector

from app.domain.shared.problems import ErrorCode
from app.domain.sources.sources import SourceKind

CONTENT_TYPE = CONTENT_TYPE_PLAIN_0_0_4
_DIRECTORY_VARIABLE = "PROMETHEUS_MULTIPROC_DIR"  # prometheus-client reads it when it is imported

# The APIs that log events.
APIS = ("graphql", "cloudevents", "sources")

REQUEST_API: ContextVar[str] = ContextVar("request_api", default="graphql")
"""The API that received the current request."""


class Tally:
    """A counter of what every request counts. It is only incremented by the event loop.

    The library's counters take a lock for each count and, with several workers, write a file.
    `collect_tallies` adds what was counted since its last call to the library's counter.
    """

    __slots__ = ("_collected", "_count", "_counter")

    def __init__(self, counter: Counter) -> None:
        self._count = self._collected = 0
        self._counter = counter
        _TALLIES.append(self)

    def inc(self) -> None:
        self._count += 1

    def collect(self) -> None:
        count = self._count
        self._counter.inc(count - self._collected)
        self._collected = count


_TALLIES: list[Tally] = []
_COLLECTING = threading.Lock()


def collect_tallies() -> None:
    with _COLLECTING:
        for tally in _TALLIES:
            tally.collect()


class _TallyCollector(Collector):
    """Collects the tallies before the metrics that are registered below."""

    def collect(self) -> Iterable[Metric]:
        collect_tallies()
        return ()


REGISTRY.register(_TallyCollector())

RESPONSES = Counter(
    "tocsin_http_responses", "Number of HTTP responses, by API and status code.", ["api", "status"]
)
OPERATIONS = Counter(
    "tocsin_operations",
    "Number of finished GraphQL operations, by root field, operation type and result: OK, the code "
    "of the first error, or CANCELLED (the client completed the operation early or left, or its "
    "credential ended). A subscription is counted when it has started.",
    ["operation", "kind", "result"],
)
OPERATION_DURATION = Histogram(
    "tocsin_operation_duration_seconds",
    "Duration of queries and mutations in seconds, by root field and operation type.",
    ["operation", "kind"],
    buckets=(0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10),
)
PLANS = Counter(
    "tocsin_plans",
    "Number of operations, by how they were executed: planned (by a compiled plan), not_planned "
    "(no plan covers the operation), fallback (the plan stopped, for example because of an invalid "
    "argument or a failed mutation) or failed (a bug in the plan). Unless the result is planned, "
    "graphql-core executed the operation or, if a mutation had already run, wrote its response. A "
    "subscription is counted when it starts, and responses that its plan could not write are "
    "counted as fallback or failed, once for up to 50 that are written together.",
    ["result"],
)
FAILED_AUTHENTICATIONS = Counter(
    "tocsin_failed_authentications",
    "Number of requests and WebSocket connections that were rejected because of their "
    "credential, by reason: invalid (missing, malformed or unknown), inactive (revoked or expired) "
    "or throttled (too many failed attempts from the address).",
    ["reason"],
)
EVENTS = Counter(
    "tocsin_events",
    "Number of events that clients sent, by API and result: stored, duplicate or rejected.",
    ["api", "result"],
)
SOURCE_PAYLOADS = Counter(
    "tocsin_source_payloads",
    "Number of payloads that sources received, by kind of the source and result: accepted, or "
    "rejected if it could not be read or an event was rejected.",
    ["kind", "result"],
)
SILENCED_NOTIFICATIONS = Counter(
    "tocsin_silenced_notifications", "Number of notifications that silences suppressed."
)
REPORT_BATCH_SIZE = Histogram(
    "tocsin_report_batch_size",
    "Number of calls whose events were logged in the same transaction.",
    buckets=(1, 2, 4, 8, 16, 32, 64, 128, 256),
)


DELIVERY_ATTEMPTS = Counter(
    "tocsin_delivery_attempts",
    "Number of attempts to deliver a message to the address of a channel, by result: success or "
    "error.",
    ["result"],
)
DELIVERY_DURATION = Histogram(
    "tocsin_delivery_duration_seconds",
    "Duration in seconds of attempts to deliver a message, from resolving the name of the host to "
    "the end of the response.",
    buckets=(0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30),
)


@cache
def response_counter(api: str, status: int) -> Tally:
    """Cached, because looking up a child by its labels costs more than counting."""
    return Tally(RESPONSES.labels(api, status))


@cache
def operation_counter(operation: str, kind: str, result: str) -> Tally:
    return Tally(OPERATIONS.labels(operation, kind, result))


@cache
def operation_histogram(operation: str, kind: str) -> Histogram:
    return OPERATION_DURATION.labels(operation, kind)


@cache
def plan_counter(result: str) -> Tally:
    return Tally(PLANS.labels(result))


SOCKETS = Gauge(
    "tocsin_sockets", "Number of open WebSocket connections.", multiprocess_mode="livesum"
)
SUBSCRIPTIONS = Gauge(
    "tocsin_subscriptions", "Number of active subscriptions.", multiprocess_mode="livesum"
)
BUFFERED_MESSAGES = Gauge(
    "tocsin_buffered_messages",
    "Number of messages in memory that slow subscribers have not received yet.",
    multiprocess_mode="livesum",
)
BUFFERED_BYTES = Gauge(
    "tocsin_buffered_bytes",
    "Size in bytes of the messages in `tocsin_buffered_messages`. A message for several "
    "subscribers is counted once for each of them, but is in memory only once.",
    multiprocess_mode="livesum",
)
LAG_ENTRIES = Gauge(
    "tocsin_change_log_lag_entries",
    "Number of change log entries that the slowest server process has not read yet, up to 10,000.",
    multiprocess_mode="livemax",
)
LAG_SECONDS = Gauge(
    "tocsin_change_log_lag_seconds",
    "Age in seconds of the oldest change log entry that the slowest server process has not read "
    "yet.",
    multiprocess_mode="livemax",
)
CONNECTIONS = Gauge(
    "tocsin_database_connections_in_use",
    "Number of database connections in use, for reads and writes.",
    multiprocess_mode="livesum",
)
MAX_CONNECTIONS = Gauge(
    "tocsin_database_connections_max",
    "Maximum number of connections that all server processes open to PostgreSQL "
    "(`TOCSIN_DATABASE__CONNECTIONS`). 0 on SQLite.",
    multiprocess_mode="livesum",
)
OPEN_NOTIFICATIONS = Gauge(
    "tocsin_open_notifications",
    "Number of notifications of all organizations with the status OPEN, up to 10,000. "
    "Updated every 30 seconds.",
    multiprocess_mode="livemax",
)
FAILING_CHANNELS = Gauge(
    "tocsin_failing_channels",
    "Number of channels of all organizations that are failing. Updated every 30 seconds.",
    multiprocess_mode="livemax",
)
CHANNEL_LAG_SECONDS = Gauge(
    "tocsin_channel_lag_seconds",
    "Age in seconds of the oldest delivery of an enabled channel that is pending or, if no server "
    "process delivers to the channel, of the oldest change that it has not read. Updated every 30 "
    "seconds.",
    multiprocess_mode="livemax",
)
BUILD_INFO = Gauge(
    "tocsin_build_info",
    "Always 1. The labels are the versions of Tocsin and of Python that the server runs.",
    ["version", "python_version"],
    multiprocess_mode="livemax",
)
DATABASE_UP = Gauge(
    "tocsin_database_up",
    "1 if every server process reached the database in its last health check and could write to "
    "it, otherwise 0.",
    multiprocess_mode="livemin",
)

# The library has these of a single process only. They are in no registry: several workers share
# them by their files, and a single process renders those of the library.
_PROCESS_COLLECTOR = ProcessCollector(registry=None)
_PROCESS_CPU = Counter(
    "process_cpu_seconds", "Total user and system CPU time spent in seconds.", registry=None
)
_PROCESS_GAUGES = {
    name: Gauge(name, description, multiprocess_mode="livesum", registry=None)
    for name, description in (
        ("process_virtual_memory_bytes", "Virtual memory size in bytes."),
        ("process_resident_memory_bytes", "Resident memory size in bytes."),
        ("process_open_fds", "Number of open file descriptors."),
        ("process_max_fds", "Maximum number of open file descriptors."),
    )
}
_PROCESS_GAUGES["process_start_time_seconds"] = Gauge(
    "process_start_time_seconds",
    "Start time of the newest process since unix epoch in seconds.",
    multiprocess_mode="livemax",
    registry=None,
)
_counted_cpu_seconds = 0.0


def update_process_metrics() -> None:
    """Updates the metrics of the process if it is one of several workers."""
    global _counted_cpu_seconds
    if _DIRECTORY_VARIABLE not in os.environ:
        return
    samples = [each for family in _PROCESS_COLLECTOR.collect() for each in family.samples]
    for sample in samples:
        if (gauge := _PROCESS_GAUGES.get(sample.name)) is not None:
            gauge.set(sample.value)
        elif sample.name == "process_cpu_seconds_total":
            _PROCESS_CPU.inc(sample.value - _counted_cpu_seconds)
            _counted_cpu_seconds = sample.value


def create_series(operations: Iterable[tuple[str, str]]) -> None:
    """Creates series with the value 0, so that `rate` and `increase` see the first count.

    `operations`: the root fields and their operation types. Of their results, OK and
    INTERNAL_SERVER_ERROR have series from the start.
    """
    BUILD_INFO.labels(version("tocsin"), platform.python_version()).set(1)
    for operation, kind in operations:
        for result in ("OK", ErrorCode.INTERNAL_SERVER_ERROR.value):
            operation_counter(operation, kind, result)
    for api in APIS:
        for event_result in ("stored", "duplicate", "rejected"):
            EVENTS.labels(api, event_result)
        for status in (200, 500):
            response_counter(api, status)
    for reason in ("invalid", "inactive", "throttled"):
        FAILED_AUTHENTICATIONS.labels(reason)
    for attempt_result in ("success", "error"):
        DELIVERY_ATTEMPTS.labels(attempt_result)
    for source_kind in SourceKind:
        for payload_result in ("accepted", "rejected"):
            SOURCE_PAYLOADS.labels(source_kind.value, payload_result)
    for plan_result in ("planned", "not_planned", "fallback", "failed"):
        plan_counter(plan_result)


def render_metrics() -> bytes:
    """Renders the metrics of all processes for Prometheus."""
    if _DIRECTORY_VARIABLE not in os.environ:
        return generate_latest(REGISTRY)
    collect_tallies()
    registry = CollectorRegistry()
    multiprocess.MultiProcessCollector(registry)  # type: ignore[no-untyped-call]
    return generate_latest(registry)


@contextlib.contextmanager
def share_between_processes() -> Iterator[None]:
    """Lets the child processes of the caller share their metrics until the block is left."""
    # In memory if possible: writing to a mapped file on a full disk kills the process.
    memory = Path("/dev/shm")  # noqa: S108
    parent = memory if os.access(memory, os.W_OK) else None
    directory = Path(tempfile.mkdtemp(prefix="tocsin-metrics-", dir=parent))
    previous = os.environ.get(_DIRECTORY_VARIABLE)
    os.environ[_DIRECTORY_VARIABLE] = str(directory)
    try:
        yield
    finally:
        if previous is None:
            del os.environ[_DIRECTORY_VARIABLE]
        else:
            os.environ[_DIRECTORY_VARIABLE] = previous
        shutil.rmtree(directory, ignore_errors=True)


def mark_process_dead(pid: int) -> None:
    """Removes the gauges of a dead child process. Its counters are kept."""
    multiprocess.mark_process_dead(pid)  # type: ignore[no-untyped-call]

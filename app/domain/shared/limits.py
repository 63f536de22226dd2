"""Default limits. Settings can change them; an error message tells the limit that was exceeded."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta


@dataclass(frozen=True)
class Limits:
    """Texts are counted in characters, what ends in `_bytes` in bytes of compact JSON (UTF-8).

    `message_bytes` is the longest body of a CloudEvents message.
    """

    page: int = 100
    offset: int = 10_000
    bulk: int = 500
    message_bytes: int = 8_388_608
    name: int = 255
    summary: int = 1_000
    content: int = 100_000
    note: int = 1_000
    tags: int = 100
    fields_bytes: int = 65_536
    fields_depth: int = 50
    payload_bytes: int = 131_072
    extensions: int = 100
    extensions_bytes: int = 16_384
    schema_address: int = 4_096
    cloud_events_page: int = 500
    fields_per_type: int = 200
    options: int = 1_000
    rules_per_type: int = 100
    condition_depth: int = 5
    condition_values: int = 100
    rule_values: int = 5_000
    filter_values: int = 100
    filter_depth: int = 5
    filter_leaves: int = 100
    fingerprint_paths: int = 50
    window_days: int = 3_660
    versions_per_rule: int = 1_000
    trial: int = 500
    expression: int = 4_096
    expression_macros: int = 5
    expression_steps: int = 10_000_000
    guard_steps: int = 20_000_000
    correlated_per_call: int = 100
    correlation_depth: int = 5
    correlations: int = 1_000
    counts: int = 1_000
    counts_over_time: int = 10_000
    future_seconds: int = 300
    api_keys: int = 100
    api_keys_listed: int = 200

    @property
    def max_clock_skew(self) -> timedelta:
        return timedelta(seconds=self.future_seconds)


@dataclass(frozen=True)
class SocketLimits:
    """What one socket may take, and how long anybody waits for it.

    `per_credential` is how many sockets and streams of events one may have in a process.
    """

    init_seconds: float = 5
    operations: int = 50
    message_bytes: int = 2 * 1024 * 1024
    id_characters: int = 255
    ping_seconds: float = 20
    pong_seconds: float = 30
    close_seconds: float = 5
    per_credential: int = 1_000
    messages_at_once: int = 100
    messages_per_second: float = 50


@dataclass(frozen=True)
class FailedAuthLimits:
    """Rate limit for failed authentication attempts, per client address.

    After `free` failures within `seconds` the next response is delayed by `first_delay` seconds;
    the delay doubles with each further failure, up to `longest_delay`. At most `waiting` requests
    of one address are delayed at a time; more are rejected.
    """

    free: int = 5
    seconds: float = 60
    first_delay: float = 0.25
    longest_delay: float = 8
    waiting: int = 10
    addresses: int = 10_000  # tracked, and as many valid credentials


@dataclass(frozen=True)
class DocumentLimits:
    """How large a GraphQL document may be, before it is looked at any closer.

    Fields, aliases and depth are those of one operation or fragment, with every fragment that it
    spreads, as often as it does. `cost` is of an operation with its variables, in nodes asked for.
    """

    tokens: int = 2_000
    characters: int = 1_000_000
    operations: int = 10
    fragments: int = 30
    directives: int = 50
    directives_at_a_place: int = 3
    aliases: int = 15
    fields: int = 400
    depth: int = 12
    introspection_depth: int = 15
    cost: int = 2_000


@dataclass(frozen=True)
class RequestLimits:
    """Time limits of a request, and rate limits per credential and process.

    Mutations get more time, because a cancelled one is rolled back: 500 events (6.5 MB) took 10 s
    on two busy cores. `points`: cost per minute; 0 disables the limit.
    """

    query_seconds: float = 5
    mutation_seconds: float = 60
    body_seconds: float = 10
    head_seconds: float = 10
    head_bytes: int = 524_288  # an event at every limit, in CloudEvents' binary mode, has 366,000
    points: int = 0
    principals: int = 10_000  # whose points are remembered

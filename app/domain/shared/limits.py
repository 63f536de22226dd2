"""Default limits. Settings can change them; an error message tells the limit that was exceeded."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import timedelta


@dataclass(frozen=True)
class Limits:
    """Texts are counted in characters, what ends in `_bytes` in bytes of compact JSON (UTF-8).

    `cloud_events_body_bytes` is the longest body of a CloudEvents message.
    """

    page_size: int = 100
    offset: int = 10_000
    events_per_call: int = 500
    cloud_events_body_bytes: int = 8_388_608
    name_characters: int = 255
    summary_characters: int = 1_000
    content_characters: int = 100_000
    note_characters: int = 1_000
    tags_per_event: int = 100
    fields_bytes: int = 65_536
    fields_depth: int = 50
    data_bytes: int = 131_072
    extensions_per_event: int = 100
    extensions_bytes: int = 16_384
    dataschema_characters: int = 4_096
    cloud_events_page_size: int = 500
    fields_per_type: int = 200
    options_per_field: int = 1_000
    rules_per_type: int = 100
    condition_depth: int = 5
    condition_values: int = 100
    rule_values: int = 5_000
    filter_values: int = 100
    filter_depth: int = 5
    filter_leaves: int = 100
    fingerprint_paths: int = 50
    duplicate_window_days: int = 3_660
    versions_per_rule: int = 1_000
    events_per_trial: int = 500
    expression_characters: int = 4_096
    expression_macros: int = 5
    expression_steps: int = 10_000_000
    guard_steps: int = 20_000_000
    correlations_per_call: int = 100
    correlation_depth: int = 5
    correlations_per_event: int = 1_000
    count_rows: int = 1_000
    count_rows_over_time: int = 10_000
    clock_skew_seconds: int = 300
    api_keys_per_organization: int = 100
    api_keys_listed: int = 200

    @property
    def max_clock_skew(self) -> timedelta:
        return timedelta(seconds=self.clock_skew_seconds)


@dataclass(frozen=True)
class SocketLimits:
    """What one socket may take, and how long anybody waits for it.

    `sockets_per_credential` is how many sockets and streams of events one may have in a process.
    """

    init_timeout_seconds: float = 5
    operations_per_socket: int = 50
    message_bytes: int = 2 * 1024 * 1024
    operation_id_characters: int = 255
    ping_interval_seconds: float = 20
    pong_timeout_seconds: float = 30
    close_timeout_seconds: float = 5
    sockets_per_credential: int = 1_000
    message_burst: int = 100
    messages_per_second: float = 50


@dataclass(frozen=True)
class SubscriptionLimits:
    """Memory for messages that wait for one slow subscriber."""

    # Settings read the metadata: a buffer of 0 could not deliver anything.
    buffer_messages: int = field(default=1_000, metadata={"ge": 1})
    buffer_bytes: int = field(default=1_048_576, metadata={"ge": 1})


@dataclass(frozen=True)
class FailedAuthLimits:
    """Rate limit for failed authentication attempts, per client address.

    After `free_attempts` failures within `window_seconds`, the next response is delayed by
    `first_delay_seconds`;
    the delay doubles with each further failure, up to `max_delay_seconds`. At most
    `max_delayed_requests`
    of one address are delayed at a time; more are rejected.
    """

    free_attempts: int = 5
    window_seconds: float = 60
    first_delay_seconds: float = 0.25
    max_delay_seconds: float = 8
    max_delayed_requests: int = 10
    tracked_addresses: int = 10_000  # tracked, and as many valid credentials


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
    directives_per_location: int = 3
    aliases: int = 15
    fields: int = 400
    depth: int = 12
    introspection_depth: int = 15
    cost: int = 2_000


@dataclass(frozen=True)
class RequestLimits:
    """Time limits of a request, and rate limits per credential and process.

    Mutations get more time, because a cancelled one is rolled back: 500 events (6.5 MB) took 10 s
    on two busy cores. `points_per_minute`: cost per credential; 0 disables the limit.
    """

    query_timeout_seconds: float = 5
    mutation_timeout_seconds: float = 60
    body_timeout_seconds: float = 10
    headers_timeout_seconds: float = 10
    headers_bytes: int = (
        524_288  # an event at every limit, in CloudEvents' binary mode, has 366,000
    )
    points_per_minute: int = 0
    tracked_credentials: int = 10_000  # whose points are remembered

"""Default limits, with a description of each. Settings can change them.

An error that a limit causes states the limit.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any


def _limit(default: float, description: str, ge: float = 1) -> Any:
    # The settings validate the minimum `ge`; the documentation has it and the description.
    return field(default=default, metadata={"description": description, "ge": ge})


# A time limit of zero would cancel everything that it applies to.
_MIN_SECONDS = 0.000001


@dataclass(frozen=True)
class Limits:
    """Limits of events, event types, rules, filters and lists. Sizes of JSON values are in bytes of
    compact JSON in UTF-8.
    """

    page_size: int = _limit(
        100,
        "Maximum value of `first` and `last`, the number of items in a page. If the maximum is "
        "below 20, the default page size, callers must always set `first` or `last`.",
    )
    offset: int = _limit(
        10_000, "Maximum value of `offset`, the number of items that a list skips.", ge=0
    )
    events_per_call: int = _limit(
        500,
        "Maximum number of events in a call of `logEvents` or `ingestCloudEvents`, and in a "
        "batch that is sent to `POST /cloudevents`.",
    )
    events_per_bulk_change: int = _limit(
        10_000,
        "Maximum number of events that a call of `acknowledgeEvents`, `unacknowledgeEvents`, "
        "`resolveEvents`, `reopenEvents` or `deleteEvents` changes, and maximum number of IDs in a "
        "call. The events are changed in transactions of up to 500 events.",
    )
    body_bytes: int = _limit(
        8_388_608,
        "Maximum size in bytes of the body of a GraphQL or CloudEvents request, both as received "
        "and after decompression. Also the maximum size of an event in a file that `tocsin "
        "import` reads.",
    )
    name_characters: int = _limit(
        255,
        "Maximum length in characters of names and identifiers, such as the names of event "
        "types, rules and API keys, and the category, source, source ID, subject and tags of an "
        "event.",
    )
    summary_characters: int = _limit(
        1_000,
        "Maximum length in characters of the summary of an event, of the help text and the "
        "pattern of a field, and of the message of a guard rule.",
    )
    content_characters: int = _limit(
        100_000,
        "Maximum length in characters of the content of an event and of the description of an "
        "event type.",
    )
    note_characters: int = _limit(
        1_000, "Maximum length in characters of the note of an acknowledgement."
    )
    tags_per_event: int = _limit(100, "Maximum number of tags on an event.", ge=0)
    fields_bytes: int = _limit(
        65_536, "Maximum size in bytes of the fields of an event, as compact JSON in UTF-8."
    )
    fields_depth: int = _limit(
        50,
        "Maximum nesting depth, in levels, of the fields and of the CloudEvents data of an event.",
    )
    data_bytes: int = _limit(
        131_072,
        "Maximum size in bytes of CloudEvents data that is not a JSON object. A JSON object "
        "becomes the fields of the event, which `TOCSIN_LIMITS__FIELDS_BYTES` limits.",
    )
    extensions_per_event: int = _limit(
        100, "Maximum number of CloudEvents extension attributes of an event.", ge=0
    )
    extensions_bytes: int = _limit(
        16_384,
        "Maximum total size in bytes of the CloudEvents extension attributes of an event, as "
        "compact JSON in UTF-8.",
        ge=0,
    )
    dataschema_characters: int = _limit(
        4_096, "Maximum length in characters of the CloudEvents attribute `dataschema`."
    )
    cloud_events_page_size: int = _limit(500, "Maximum value of `pageSize` in `cloudEvents`.")
    fields_per_type: int = _limit(
        200,
        "Maximum number of fields of an event type, and maximum number of targets of a "
        "conditional rule.",
    )
    options_per_field: int = _limit(1_000, "Maximum number of options of a field.")
    rules_per_type: int = _limit(
        100,
        "Maximum number of conditional rules, of guard rules and of duplication rules of an event "
        "type. Guard rules and duplication rules for all event types have the same maximum each.",
    )
    condition_depth: int = _limit(
        5, "Maximum nesting depth, in levels, of the condition of a conditional rule."
    )
    condition_values: int = _limit(
        100, "Maximum number of values in the condition of a conditional rule."
    )
    rule_values: int = _limit(
        5_000,
        "Maximum number of values in the conditions of all conditional rules of an event type. "
        "Each value counts once for each target of its rule; a time that is compared by GT, GTE, "
        "LT or LTE counts as 250 values.",
    )
    filter_values: int = _limit(100, "Maximum number of values in each list of a filter.")
    filter_depth: int = _limit(5, "Maximum nesting depth, in levels, of a filter.")
    filter_leaves: int = _limit(100, "Maximum number of conditions in a filter, over all levels.")
    fingerprint_paths: int = _limit(
        50, "Maximum number of paths in the fingerprint of a duplication rule."
    )
    duplicate_window_days: int = _limit(
        3_660, "Maximum value of `window` of a duplication rule, in days of 24 hours."
    )
    versions_per_rule: int = _limit(1_000, "Maximum number of published versions of a guard rule.")
    events_per_trial: int = _limit(
        500,
        "Maximum value of `last` in `tryGuardRule`, the number of events that the expression is "
        "evaluated for.",
    )
    expression_characters: int = _limit(
        4_096, "Maximum length in characters of the expression of a guard rule."
    )
    expression_macros: int = _limit(
        5,
        "Maximum nesting depth, in levels, of macros such as `all` and `exists` in the "
        "expression of a guard rule.",
        ge=0,
    )
    expression_steps: int = _limit(
        10_000_000,
        "Maximum number of evaluation steps of the expression of a guard rule, estimated for the "
        "largest event that the other limits allow.",
    )
    guard_steps: int = _limit(
        20_000_000,
        "Maximum total number of evaluation steps of the published guard rules that apply to an "
        "event, estimated for the largest event that the other limits allow.",
    )
    correlations_per_call: int = _limit(
        100,
        "Maximum number of IDs in `relatedIds` in a call of `correlateEvents` or "
        "`uncorrelateEvents`.",
    )
    correlation_depth: int = _limit(5, "Maximum value of `depth` in `Event.correlations`.")
    correlations_per_event: int = _limit(
        1_000,
        "Maximum number of correlated events that `Event.correlations` returns, over all pages. "
        "The nearest events come first; events beyond the limit are omitted.",
    )
    count_rows: int = _limit(
        1_000, "Maximum value of `first` in `eventCounts` if `every` is not set."
    )
    count_rows_over_time: int = _limit(
        10_000, "Maximum value of `first` in `eventCounts` if `every` is set."
    )
    count_fields: int = _limit(
        5,
        "Maximum number of custom fields in `byFields`, and maximum number in `sum`, of "
        "`eventCounts`.",
    )
    count_years_in_time_zone: int = _limit(
        200,
        "Maximum length in years of 366 days of `filter.occurredAt` in `eventCounts` if `every` "
        "and a `timeZone` other than UTC are set.",
    )
    clock_skew_seconds: int = _limit(
        300,
        "Maximum time in seconds by which the time of an event may be ahead of the server's clock.",
        ge=0,
    )
    api_keys_per_organization: int = _limit(
        100, "Maximum number of valid API keys of an organization."
    )
    api_keys_listed: int = _limit(
        200,
        "Maximum number of API keys that `Organization.apiKeys` returns. Valid keys come first.",
    )

    retention_policies: int = _limit(
        100, "Maximum number of retention policies of an organization."
    )
    retention_seconds: float = _limit(
        86_400,
        "Minimum value in seconds of `keepFor` of a retention policy: one day, so that a mistake "
        "does not remove events of today.",
        ge=0,
    )

    channels: int = _limit(100, "Maximum number of channels of an organization.")
    sources: int = _limit(100, "Maximum number of sources of an organization.")
    payload_events: int = _limit(10_000, "Maximum number of events in a payload for a source.")
    repeated_payload_seconds: int = _limit(
        60,
        "Minimum time in seconds for which a payload is a repetition of an equal one: for a source "
        "of kind JSON if its events have no `alertKey`, no `sourceId` and no `occurredAt`, for one "
        "of kind PAGERDUTY if the trigger has no `dedup_key` and no `timestamp`. The maximum is "
        "twice as long. With 0, each is a new event.",
        ge=0,
    )
    late_alert_seconds: int = _limit(
        30,
        "Time in seconds after the resolution of an alert of Alertmanager or Grafana in which the "
        "alert with the same start is taken for one that arrives late, and not logged. Later, it "
        "fires again, and opens an event. The longer the time, the longer an alert that fires "
        "again at once stays resolved: until its sender repeats it.",
        ge=0,
    )
    rejected_payloads: int = _limit(
        20, "Maximum number of rejected payloads of a source that are kept: the newest ones."
    )
    rejected_payload_bytes: int = _limit(
        65_536,
        "Maximum size in bytes of a rejected payload that is kept. The rest is cut off.",
    )
    silences: int = _limit(
        100, "Maximum number of silences of an organization that have not ended."
    )
    silence_days: int = _limit(90, "Maximum length of a silence in days.")

    @property
    def max_clock_skew(self) -> timedelta:
        return timedelta(seconds=self.clock_skew_seconds)


@dataclass(frozen=True)
class DatabaseLimits:
    """Connections to PostgreSQL."""

    connections: int = _limit(
        25,
        "Maximum number of connections that each server process opens to PostgreSQL. The total "
        "of all processes must be less than `max_connections` of the PostgreSQL server.",
        ge=4,
    )


@dataclass(frozen=True)
class SocketLimits:
    """Limits and timeouts of a WebSocket connection."""

    init_timeout_seconds: float = _limit(
        5,
        "Maximum time in seconds between opening a WebSocket connection and sending "
        "`connection_init`. After this time, the server closes the connection with code 4408.",
        ge=_MIN_SECONDS,
    )
    operations_per_socket: int = _limit(
        50,
        "Maximum number of operations that run at the same time on a WebSocket connection. A "
        "further operation fails with `LIMIT_EXCEEDED`.",
    )
    message_bytes: int = _limit(
        2 * 1024 * 1024,
        "Maximum size in bytes of a message from a client. If a message is larger, the server "
        "closes the connection with code 1009.",
    )
    operation_id_characters: int = _limit(
        255,
        "Maximum length in characters of an operation ID. If an ID is longer, the server closes "
        "the connection with code 4400.",
    )
    ping_interval_seconds: float = _limit(
        20,
        "Interval in seconds between pings from the server on a WebSocket connection, and "
        "between the comments that keep an event stream (SSE) open.",
        ge=_MIN_SECONDS,
    )
    pong_timeout_seconds: float = _limit(
        30,
        "Maximum time in seconds to respond to a ping. Any message from the client counts as a "
        "response. After this time, the server closes the connection with code 4408.",
        ge=_MIN_SECONDS,
    )
    close_timeout_seconds: float = _limit(
        5,
        "Maximum time in seconds to send the close frame. After this time, the server drops the "
        "connection.",
        ge=_MIN_SECONDS,
    )
    sockets_per_credential: int = _limit(
        1_000,
        "Maximum total number of WebSocket connections and event streams (SSE) of a credential "
        "in each server process. Further connections are closed with code 1013, and further "
        "streams are rejected with HTTP status 429.",
    )
    message_burst: int = _limit(
        100,
        "Number of messages that a client can send at once on a WebSocket connection before "
        "`TOCSIN_SOCKETS__MESSAGES_PER_SECOND` delays its messages.",
    )
    messages_per_second: float = _limit(
        50,
        "Maximum number of messages per second that the server processes on a WebSocket "
        "connection. Messages beyond the limit are processed later; none are rejected or lost.",
        ge=0.001,
    )


@dataclass(frozen=True)
class SubscriptionLimits:
    """Memory for a subscriber that reads slowly.

    The subscriber falls behind when the buffer is full, but does not lose events.
    """

    buffer_messages: int = _limit(
        1_000, "Maximum number of messages in memory for each subscriber."
    )
    buffer_bytes: int = _limit(
        1_048_576, "Maximum total size in bytes of the messages in memory for each subscriber."
    )


@dataclass(frozen=True)
class FailedAuthLimits:
    """Rate limit for failed authentication attempts, per client address and server process.

    IPv6 addresses of one /64 network count as one. Credentials that were valid recently are not
    delayed.
    """

    free_attempts: int = _limit(
        5,
        "Number of failed attempts from an address, within `TOCSIN_FAILED_AUTH__WINDOW_SECONDS`, "
        "that the server responds to without delay.",
        ge=0,
    )
    window_seconds: float = _limit(
        60, "Time in seconds for which a failed attempt counts.", ge=_MIN_SECONDS
    )
    first_delay_seconds: float = _limit(
        0.25,
        "Delay in seconds of the first delayed response. The delay doubles with each further "
        "failed attempt.",
        ge=0,
    )
    max_delay_seconds: float = _limit(8, "Maximum delay in seconds of a response.", ge=0)
    max_delayed_requests: int = _limit(
        10,
        "Maximum number of requests from an address whose responses are delayed at the same "
        "time. Further requests fail with HTTP status 429.",
        ge=0,
    )
    tracked_addresses: int = _limit(
        10_000,
        "Maximum number of addresses with failed attempts that are kept in memory, and maximum "
        "number of recently valid credentials. The oldest ones are removed first.",
    )


@dataclass(frozen=True)
class RetentionLimits:
    """Load that the application of retention policies causes."""

    interval_seconds: float = _limit(
        3_600,
        "Time in seconds after which a retention policy is applied again. One server process of "
        "the database applies it.",
        ge=_MIN_SECONDS,
    )
    max_time_percent: float = _limit(
        20,
        "Maximum share in percent of the time that a server process spends on retention policies: "
        "after each transaction, which removes at most 500 events or 1,000 entries, it pauses.",
        ge=0.1,
    )
    undelivered_days: float = _limit(
        3,
        "Time in days for which the change log keeps what enabled channels have not read yet: "
        "retention policies and `tocsin prune` do not remove it earlier.",
        ge=0,
    )

    @property
    def undelivered_time(self) -> timedelta:
        return timedelta(days=self.undelivered_days)


@dataclass(frozen=True)
class ChannelLimits:
    """Deliveries to the addresses of channels."""

    headers: int = _limit(20, "Maximum number of additional request headers of a channel.", ge=0)
    header_bytes: int = _limit(
        8_192, "Maximum total size in bytes of the additional request headers of a channel.", ge=0
    )
    timeout_seconds: float = _limit(
        15,
        "Maximum time in seconds of an attempt to deliver a message, from resolving the name of "
        "the host to the end of the response. After this time, the attempt has failed.",
        ge=_MIN_SECONDS,
    )
    response_bytes: int = _limit(
        65_536,
        "Maximum size in bytes of a response that is read. The connection is closed if the "
        "response is larger; this is not an error.",
    )
    concurrency: int = _limit(
        10,
        "Maximum number of deliveries of a channel that are attempted at the same time. Deliveries "
        "about the same entity are attempted one after another.",
    )
    name_lookups: int = _limit(
        32,
        "Maximum number of names of hosts that a server process resolves at the same time to "
        "deliver messages: each is resolved by a thread, which cannot be stopped.",
    )
    unsendable_seconds: float = _limit(
        60,
        "Time in seconds without a server that delivers to a channel after which one that cannot "
        "send its kind records this as an outage.",
        ge=0,
    )
    apprise_processes: int = _limit(
        8,
        "Maximum number of messages that a server process sends with Apprise at the same time: "
        "each is sent by a child process, which needs about 40 MB of memory.",
    )
    apprise_interval_seconds: float = _limit(
        10,
        "Minimum time in seconds between two messages of a channel of the kind APPRISE. What is "
        "to be delivered meanwhile is sent as one message.",
        ge=0,
    )
    apprise_digest: int = _limit(
        100, "Maximum number of deliveries that one message of the kind APPRISE is about."
    )
    retry_seconds: float = _limit(
        259_200,
        "Time in seconds for which a failed delivery is repeated, from when it is created or "
        "`redeliver` is called: three days.",
        ge=0,
    )
    max_retry_seconds: float = _limit(
        600,
        "Maximum pause in seconds before a failed delivery is repeated. The first pause is 1 "
        "second, and each further pause is twice as long. `Retry-After` of a response can make it "
        "longer.",
        ge=_MIN_SECONDS,
    )
    max_retry_after_seconds: float = _limit(
        3_600,
        "Maximum pause in seconds that a response can ask for by `Retry-After`. A longer one is "
        "shortened.",
        ge=0,
    )
    hold_seconds: float = _limit(
        60,
        "Maximum time in seconds after its first failed attempt for which a delivery holds back "
        "later ones about the same entity.",
        ge=0,
    )
    max_probe_seconds: float = _limit(
        30,
        "Maximum pause in seconds between attempts to reach a channel whose last deliveries all "
        "failed.",
        ge=_MIN_SECONDS,
    )
    delivered_days: float = _limit(
        7, "Time in days for which a delivery that succeeded is kept.", ge=0
    )
    failed_days: float = _limit(
        30, "Time in days for which a delivery that failed for good is kept.", ge=0
    )


@dataclass(frozen=True)
class DocumentLimits:
    """Limits of a GraphQL document. All but the cost are checked before validation.

    Fields, aliases and depth are those of an operation or fragment, with its fragments expanded.
    """

    tokens: int = _limit(
        2_000, "Maximum number of tokens in a document, and maximum number of comments."
    )
    characters: int = _limit(1_000_000, "Maximum length in characters of a document.")
    operations: int = _limit(10, "Maximum number of operations in a document.")
    fragments: int = _limit(30, "Maximum number of fragments in a document.", ge=0)
    directives: int = _limit(50, "Maximum number of directives in a document.", ge=0)
    directives_per_location: int = _limit(3, "Maximum number of directives at one location.", ge=0)
    aliases: int = _limit(
        15, "Maximum number of aliases in an operation, including those of its fragments.", ge=0
    )
    fields: int = _limit(
        400, "Maximum number of fields in an operation, including those of its fragments."
    )
    depth: int = _limit(
        12,
        "Maximum nesting depth, in levels, of the fields in an operation, including those of its "
        "fragments.",
    )
    introspection_depth: int = _limit(
        15, "Maximum nesting depth, in levels, of the introspection fields in an operation."
    )
    cost: int = _limit(
        2_000,
        "Maximum cost in points of an operation, calculated with the values of its variables.",
    )


@dataclass(frozen=True)
class RequestLimits:
    """Time limits of requests, and the rate limit of a credential.

    Mutations get more time, because a cancelled mutation is rolled back: 500 events (6.5 MB) took
    10 s on two busy cores.
    """

    query_timeout_seconds: float = _limit(
        5,
        "Maximum time in seconds for a query to run, and for a subscription to start.",
        ge=_MIN_SECONDS,
    )
    mutation_timeout_seconds: float = _limit(
        60, "Maximum time in seconds for a mutation to run.", ge=_MIN_SECONDS
    )
    body_timeout_seconds: float = _limit(
        10,
        "Maximum time in seconds for a client to send the body of an HTTP request.",
        ge=_MIN_SECONDS,
    )
    headers_timeout_seconds: float = _limit(
        10,
        "Maximum time in seconds for a client to send the request line and headers of an HTTP "
        "request.",
        ge=_MIN_SECONDS,
    )
    # An event at every limit, in the binary mode of CloudEvents, has 366,000 bytes of headers.
    headers_bytes: int = _limit(
        524_288, "Maximum total size in bytes of the request line and headers of an HTTP request."
    )
    keep_alive_seconds: int = _limit(
        75,
        "Time in seconds after which the server closes an idle HTTP connection. Behind a reverse "
        "proxy, set a longer time than the proxy keeps an idle connection to the server open, "
        "which is often 60 seconds.",
    )
    points_per_minute: int = _limit(
        0,
        "Rate limit of each credential: maximum cost in points per minute of its operations, in "
        "each server process. 0 disables the rate limit.",
        ge=0,
    )
    tracked_credentials: int = _limit(
        10_000,
        "Maximum number of credentials for which each server process keeps in memory the points "
        "that they have used. The credentials that have been inactive the longest are removed "
        "first.",
    )

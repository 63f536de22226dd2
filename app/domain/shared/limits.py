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
        "Maximum of `first` and `last`: the number of items in a page. If it is below 20, the "
        "default of `first`, callers must always set `first`.",
    )
    offset: int = _limit(10_000, "Maximum `offset` of a list.", ge=0)
    events_per_call: int = _limit(
        500, "Maximum number of events in a `logEvents` or `ingestCloudEvents` call or a batch."
    )
    events_per_bulk_change: int = _limit(
        10_000,
        "Maximum number of events that an `acknowledgeEvents`, `unacknowledgeEvents` or "
        "`deleteEvents` call changes, and of IDs in such a call. Events are changed in "
        "transactions of 500.",
    )
    body_bytes: int = _limit(
        8_388_608,
        "Maximum size in bytes of the body of an HTTP request with CloudEvents or GraphQL, as sent "
        "and after decompression, and of an event in an imported file.",
    )
    name_characters: int = _limit(
        255,
        "Maximum length in characters of names and identifiers: of event types, categories, "
        "sources, source IDs, subjects, tags, options, rules and API keys.",
    )
    summary_characters: int = _limit(
        1_000,
        "Maximum length in characters of the summary of an event, the help text and the pattern of "
        "a field, and the message of a guard rule.",
    )
    content_characters: int = _limit(
        100_000,
        "Maximum length in characters of the content of an event and of the description of an "
        "event type.",
    )
    note_characters: int = _limit(
        1_000, "Maximum length in characters of the note of an acknowledgement."
    )
    tags_per_event: int = _limit(100, "Maximum number of tags of an event.", ge=0)
    fields_bytes: int = _limit(65_536, "Maximum size in bytes of the fields of an event.")
    fields_depth: int = _limit(
        50, "Maximum nesting depth of the fields and of the CloudEvents data of an event."
    )
    data_bytes: int = _limit(
        131_072,
        "Maximum size in bytes of CloudEvents data that is not a JSON object and is stored as "
        "received. A JSON object becomes the fields of the event.",
    )
    extensions_per_event: int = _limit(
        100, "Maximum number of CloudEvents extension attributes of an event.", ge=0
    )
    extensions_bytes: int = _limit(
        16_384, "Maximum size in bytes of all CloudEvents extension attributes of an event.", ge=0
    )
    dataschema_characters: int = _limit(
        4_096, "Maximum length in characters of the CloudEvents attribute `dataschema`."
    )
    cloud_events_page_size: int = _limit(500, "Maximum `pageSize` of `cloudEvents`.")
    fields_per_type: int = _limit(
        200, "Maximum number of fields of an event type, and of targets of a conditional rule."
    )
    options_per_field: int = _limit(1_000, "Maximum number of options of a field.")
    rules_per_type: int = _limit(
        100,
        "Maximum number of rules of each kind (conditional, guard, duplication) per event type. "
        "The same maximum applies to the guard rules, and to the duplication rules, that apply to "
        "every type.",
    )
    condition_depth: int = _limit(5, "Maximum nesting depth of the condition of a rule.")
    condition_values: int = _limit(
        100, "Maximum number of values in the condition of a conditional rule."
    )
    rule_values: int = _limit(
        5_000,
        "Maximum number of values in the conditions of all conditional rules of an event type, "
        "counted once for each target of the rule.",
    )
    filter_values: int = _limit(100, "Maximum number of values in a list of a filter.")
    filter_depth: int = _limit(5, "Maximum nesting depth of a filter.")
    filter_leaves: int = _limit(100, "Maximum number of conditions in a filter.")
    fingerprint_paths: int = _limit(
        50, "Maximum number of paths in the fingerprint of a duplication rule."
    )
    duplicate_window_days: int = _limit(
        3_660, "Maximum window of a duplication rule, in days of 24 hours."
    )
    versions_per_rule: int = _limit(1_000, "Maximum number of published versions of a guard rule.")
    events_per_trial: int = _limit(500, "Maximum number of events that `tryGuardRule` evaluates.")
    expression_characters: int = _limit(
        4_096, "Maximum length in characters of the expression of a guard rule."
    )
    expression_macros: int = _limit(
        5, "Maximum nesting depth of macros, such as `all` and `exists`, in an expression.", ge=0
    )
    expression_steps: int = _limit(
        10_000_000,
        "Maximum number of evaluation steps of an expression, estimated for the largest event that "
        "the other limits allow.",
    )
    guard_steps: int = _limit(
        20_000_000,
        "Maximum number of evaluation steps of all published guard rules that apply to an event, "
        "estimated in the same way.",
    )
    correlations_per_call: int = _limit(
        100, "Maximum number of related events in a `correlateEvents` or `uncorrelateEvents` call."
    )
    correlation_depth: int = _limit(5, "Maximum `depth` of `Event.correlations`.")
    correlations_per_event: int = _limit(
        1_000,
        "Maximum number of correlated events that `Event.correlations` finds, over all pages. The "
        "nearest ones come first; events beyond the limit are omitted.",
    )
    count_rows: int = _limit(1_000, "Maximum `first` of `eventCounts` without `every`.")
    count_rows_over_time: int = _limit(10_000, "Maximum `first` of `eventCounts` with `every`.")
    clock_skew_seconds: int = _limit(
        300, "Maximum time in seconds by which an event may have occurred in the future.", ge=0
    )
    api_keys_per_organization: int = _limit(
        100, "Maximum number of valid API keys of an organization."
    )
    api_keys_listed: int = _limit(
        200, "Maximum number of API keys in `Organization.apiKeys`. Valid keys come first."
    )

    @property
    def max_clock_skew(self) -> timedelta:
        return timedelta(seconds=self.clock_skew_seconds)


@dataclass(frozen=True)
class DatabaseLimits:
    """Connections to PostgreSQL."""

    connections: int = _limit(
        25,
        "Maximum number of connections of each server process to PostgreSQL. All processes "
        "together need less than `max_connections` of the PostgreSQL server.",
        ge=4,
    )


@dataclass(frozen=True)
class SocketLimits:
    """Limits and timeouts of a WebSocket connection."""

    init_timeout_seconds: float = _limit(
        5,
        "Time in seconds to send `connection_init`. After it, the server closes with 4408.",
        ge=_MIN_SECONDS,
    )
    operations_per_socket: int = _limit(
        50, "Maximum number of operations that run at a time on a WebSocket connection."
    )
    message_bytes: int = _limit(
        2 * 1024 * 1024,
        "Maximum size in bytes of a message from a client. The server closes with 1009 if it is "
        "exceeded.",
    )
    operation_id_characters: int = _limit(
        255,
        "Maximum length in characters of an operation ID. The server closes with 4400 if it is "
        "exceeded.",
    )
    ping_interval_seconds: float = _limit(
        20,
        "Time in seconds between two pings of the server, and between the comments that keep an "
        "event stream (SSE) open.",
        ge=_MIN_SECONDS,
    )
    pong_timeout_seconds: float = _limit(
        30,
        "Time in seconds to respond to a ping. Any message counts. After it, the server closes "
        "with 4408.",
        ge=_MIN_SECONDS,
    )
    close_timeout_seconds: float = _limit(
        5,
        "Time in seconds to send the close frame. After it, the connection is dropped.",
        ge=_MIN_SECONDS,
    )
    sockets_per_credential: int = _limit(
        1_000,
        "Maximum number of WebSocket connections and event streams (SSE) of a credential in each "
        "server process. When it is reached, new connections are closed with code 1013, and new "
        "streams are rejected with status 429.",
    )
    message_burst: int = _limit(
        100,
        "Number of messages from a client that are processed without delay, above "
        "`MESSAGES_PER_SECOND`.",
    )
    messages_per_second: float = _limit(
        50,
        "Rate limit for messages from a client. Messages above it are processed later; none are "
        "rejected or lost.",
        ge=0.001,
    )


@dataclass(frozen=True)
class SubscriptionLimits:
    """Memory for a subscriber that reads slowly.

    The subscriber falls behind when the buffer is full, but does not lose events.
    """

    buffer_messages: int = _limit(
        1_000, "Maximum number of messages that wait in memory for a subscriber."
    )
    buffer_bytes: int = _limit(
        1_048_576, "Maximum size in bytes of the messages that wait in memory for a subscriber."
    )


@dataclass(frozen=True)
class FailedAuthLimits:
    """Rate limit for failed authentication attempts, per client address and server process.

    IPv6 addresses of one /64 network count as one. Credentials that were valid recently are not
    delayed.
    """

    free_attempts: int = _limit(
        5, "Number of failed attempts within the window before responses are delayed.", ge=0
    )
    window_seconds: float = _limit(
        60, "Time in seconds for which a failed attempt is counted.", ge=_MIN_SECONDS
    )
    first_delay_seconds: float = _limit(
        0.25,
        "Delay in seconds of the first delayed response. It doubles with each failed attempt.",
        ge=0,
    )
    max_delay_seconds: float = _limit(8, "Maximum delay of a response, in seconds.", ge=0)
    max_delayed_requests: int = _limit(
        10,
        "Maximum number of requests of an address that are delayed at a time. More requests fail "
        "with 429.",
        ge=0,
    )
    tracked_addresses: int = _limit(
        10_000,
        "Maximum number of addresses with failed attempts, and of recently valid credentials, that "
        "are kept in memory. The oldest ones are removed first.",
    )


@dataclass(frozen=True)
class DocumentLimits:
    """Limits of a GraphQL document. All but the cost are checked before validation.

    Fields, aliases and depth are those of an operation or fragment, with its fragments expanded.
    """

    tokens: int = _limit(2_000, "Maximum number of tokens in a document, and of comments.")
    characters: int = _limit(1_000_000, "Maximum length of a document in characters.")
    operations: int = _limit(10, "Maximum number of operations in a document.")
    fragments: int = _limit(30, "Maximum number of fragments in a document.", ge=0)
    directives: int = _limit(50, "Maximum number of directives in a document.", ge=0)
    directives_per_location: int = _limit(3, "Maximum number of directives at one location.", ge=0)
    aliases: int = _limit(15, "Maximum number of aliases in an operation.", ge=0)
    fields: int = _limit(400, "Maximum number of fields in an operation.")
    depth: int = _limit(12, "Maximum nesting depth of the fields in an operation.")
    introspection_depth: int = _limit(
        15, "Maximum nesting depth of the fields of an introspection query."
    )
    cost: int = _limit(2_000, "Maximum cost of an operation with its variables, in points.")


@dataclass(frozen=True)
class RequestLimits:
    """Time limits of requests, and the rate limit of a credential.

    Mutations get more time, because a cancelled mutation is rolled back: 500 events (6.5 MB) took
    10 s on two busy cores.
    """

    query_timeout_seconds: float = _limit(
        5, "Maximum time in seconds to run a query, and to start a subscription.", ge=_MIN_SECONDS
    )
    mutation_timeout_seconds: float = _limit(
        60, "Maximum time in seconds to run a mutation.", ge=_MIN_SECONDS
    )
    body_timeout_seconds: float = _limit(
        10, "Maximum time in seconds to receive the body of a request.", ge=_MIN_SECONDS
    )
    headers_timeout_seconds: float = _limit(
        10,
        "Maximum time in seconds to receive the request line and headers of a request.",
        ge=_MIN_SECONDS,
    )
    # An event at every limit, in the binary mode of CloudEvents, has 366,000 bytes of headers.
    headers_bytes: int = _limit(
        524_288, "Maximum size in bytes of the request line and headers of a request."
    )
    keep_alive_seconds: int = _limit(
        75,
        "Time in seconds after which an idle HTTP connection is closed. Use more than the idle "
        "timeout of the proxy for its connections to the server, which is often 60 seconds.",
    )
    points_per_minute: int = _limit(
        0,
        "Rate limit: the cost in points that a credential may use per minute in each server "
        "process. 0 disables the rate limit.",
        ge=0,
    )
    tracked_credentials: int = _limit(
        10_000, "Maximum number of credentials whose used points are kept in memory."
    )

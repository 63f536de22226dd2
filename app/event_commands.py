"""The commands `tocsin log` and `tocsin tail`. They use the GraphQL API of a server."""

from __future__ import annotations

import contextlib
import io
import os
import random
import select
import signal
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from uuid import uuid4

import httpx
import typer

from app.api_client import ApiClient, ApiError, load_key
from app.command_options import exit_with, parse_instant_option, parse_severity_option
from app.domain.shared.json_encoding import encode_json
from app.domain.shared.strict_json import UnreadableJsonError, decode_json
from app.domain.shared.values import replace_control_characters

REJECTED_CODE, USAGE_CODE, REFUSED_CODE, UNREACHABLE_CODE = 1, 2, 3, 4
MAX_CONTENT_BYTES = 8 * 1024 * 1024  # the default maximum of a request
CONNECT_TIMEOUT_SECONDS = 5
KEY_WAIT_SECONDS = 60  # for a new key in the file, after the old one was refused
STABLE_SECONDS = 10  # a connection that lasted longer is not counted as a failed attempt
UNREAD_LINE_SECONDS = 5  # for the rest of a line that is not read, after a signal
_POLL_SECONDS = 0.05
_PIPE_SIZE = select.PIPE_BUF
_DELAYED_SIGNALS = {signal.SIGINT, signal.SIGTERM}
_CREDENTIAL_ERRORS = {"UNAUTHENTICATED", "FORBIDDEN"}
_SEVERITY_COLORS = {"ERROR": "red", "WARN": "yellow", "INFO": "blue", "SUCCESS": "green"}

LOG_EVENT = """
mutation ($input: LogEventInput!) {
  logEvent(input: $input) {
    event { id }
    warnings { message code }
    userErrors { message code path }
  }
}
"""
_EVENT_FIELDS = """
fragment EventFields on Event {
  id type severity summary content source sourceId subject entity { type entityId } outcome
  occurredAt recordedAt fields tags notification alertKey status
}
"""
LAST_EVENTS = f"""
query ($filter: EventFilter, $first: Int!, $isSkipped: Boolean!) {{
  logHead
  events(filter: $filter, orderBy: {{ field: RECORDED_AT, direction: DESC }}, first: $first)
    @skip(if: $isSkipped) {{ nodes {{ ...EventFields }} }}
}}
{_EVENT_FIELDS}"""
LOGGED_EVENTS = f"""
query ($filter: EventFilter, $after: String!) {{
  eventChanges(filter: $filter, changes: {{ kinds: [LOGGED] }}, after: $after, complete: true) {{
    nodes {{ cursor event {{ ...EventFields }} }}
    pageInfo {{ hasNextPage endCursor }}
  }}
}}
{_EVENT_FIELDS}"""
NEXT_LOGGED_EVENT = """
query ($filter: EventFilter, $after: String!) {
  eventChanges(
    filter: $filter, changes: { kinds: [LOGGED] }, after: $after, complete: true, first: 1
  ) {
    nodes { cursor }
    pageInfo { hasNextPage endCursor }
  }
}
"""
FOLLOW_EVENTS = f"""
subscription ($filter: EventFilter, $after: String!) {{
  eventChanged(filter: $filter, after: $after) {{ cursor kind event {{ ...EventFields }} }}
}}
{_EVENT_FIELDS}"""

# The option of each field of `LogEventInput`.
_OPTIONS = {
    "summary": "SUMMARY",
    "notification": "--notify",
    "resolved": "--resolve",
    "alertKey": "--alert-key",
    "occurredAt": "--occurred-at",
    "sourceId": "--source-id",
    "tags": "--tag",
}


@dataclass(frozen=True)
class ServerOptions:
    """The server, the file of the credential, and the key of the organization."""

    url: str
    key_file: Path | None
    organization: str | None

    def load_key(self) -> str:
        """Raises ApiError."""
        return load_key(self.key_file)

    def open_client(self) -> ApiClient:
        """Exits with code 2 if the address or the credential is missing or malformed."""
        require_value("--organization", self.organization)
        try:
            return ApiClient(self.url, self.load_key(), self.organization)
        except ApiError as error:
            exit_with(str(error), USAGE_CODE)


def parse_fields(text: str | None) -> Any:
    """Parses the option --fields. Exits with code 2 if it is not JSON."""
    if text is None:
        return None
    try:
        fields = decode_json(text)
        encode_json(fields)
    except UnreadableJsonError as error:
        exit_with(f"--fields: The value {error}.", USAGE_CODE)
    except ValueError:
        exit_with("--fields: The value has a number that is too large.", USAGE_CODE)
    return fields


def build_entity(type: str | None, id: str | None) -> dict[str, str] | None:
    """Builds an `EntityInput` of its options. Exits with code 2 if there is only one of them."""
    if type is None and id is None:
        return None
    if type is None or id is None:
        exit_with("--entity-type and --entity-id: Use both of them, or none.", USAGE_CODE)
    return {"type": type, "id": id}


def read_content(text: str | None) -> str | None:
    """Returns the option --content, or standard input if it is `-`."""
    if text != "-":
        return text
    content = sys.stdin.buffer.read(MAX_CONTENT_BYTES + 1)
    if len(content) > MAX_CONTENT_BYTES:
        exit_with(
            f"--content: Standard input has more than {MAX_CONTENT_BYTES:,} bytes.", USAGE_CODE
        )
    return content.decode(errors="replace")


def log_event(server: ServerOptions, event: Mapping[str, Any], timeout_seconds: float) -> None:
    """Logs the event, a `LogEventInput`, and prints its ID. Null values are omitted."""
    if not event["summary"].strip() and not event["resolved"]:
        exit_with("SUMMARY: The value is empty. Describe the event.", USAGE_CODE)
    parse_instant_option("--occurred-at", event["occurredAt"])
    event = {name: value for name, value in event.items() if value is not None}
    # Attempts that are repeated have the same ID, so that the event is stored once.
    event.setdefault("sourceId", str(uuid4()))
    with server.open_client() as client:
        try:
            payload = _send_event(client, event, timeout_seconds)
        except ApiError as error:
            code = _choose_exit_code(error)
            hint = f" To repeat this report safely, add: --source-id {event['sourceId']}"
            exit_with(str(error) + (hint if code == UNREACHABLE_CODE else ""), code)
    for warning in payload["warnings"]:
        typer.echo(f"Warning: {warning['message']} ({warning['code']})", err=True)
    if errors := payload["userErrors"]:
        exit_with("\n".join(map(_format_user_error, errors)), REJECTED_CODE)
    if payload["event"] is not None:
        typer.echo(payload["event"]["id"])


def _send_event(
    client: ApiClient, event: Mapping[str, Any], timeout_seconds: float
) -> dict[str, Any]:
    """Repeats attempts that failed for a temporary reason until the time is over."""
    deadline = time.monotonic() + timeout_seconds
    failures = 0
    while True:
        left = max(deadline - time.monotonic(), 0.001)
        timeout = httpx.Timeout(left, connect=min(left, CONNECT_TIMEOUT_SECONDS))
        try:
            payload: dict[str, Any] = client.send_once(LOG_EVENT, {"input": event}, timeout)[
                "logEvent"
            ]
            return payload
        except ApiError as error:
            wait = error.retry_after + _compute_delay(failures)
            if not error.is_temporary or time.monotonic() + wait >= deadline:
                raise
        failures += 1
        time.sleep(wait)


def _format_user_error(error: Mapping[str, Any]) -> str:
    name, *rest = error["path"][1:] or [""]
    if name == "entity" and rest:
        name, rest = f"entity-{rest[0]}", rest[1:]
    option = _OPTIONS.get(name, f"--{name}")
    place = " ".join([option, ".".join(rest)]).strip() + ": " if name else ""
    return f"{place}{error['message']} ({error['code']})"


@dataclass(frozen=True)
class TailOptions:
    """What `tocsin tail` prints, and where it starts."""

    lines: int
    after: str | None
    cursor_file: Path | None
    is_json: bool
    follow: bool


def build_filter(
    severities: Sequence[str] | None,
    types: Sequence[str] | None,
    source: str | None,
    tags: Sequence[str] | None,
) -> dict[str, Any] | None:
    """Builds an `EventFilter`, or None without conditions. Exits with code 2 if one is invalid."""
    for option, values in (("type", types), ("source", [source]), ("tag", tags)):
        for value in values or ():
            require_value(f"--{option}", value)
    conditions = {
        "severities": [parse_severity_option(each).value for each in severities or ()],
        "types": types,
        "source": source,
        "tags": {"all": tags} if tags else None,
    }
    return {name: value for name, value in conditions.items() if value} or None


def require_value(option: str, value: str | None) -> None:
    """Exits with code 2 if the value is empty, as that of a shell variable that is not set."""
    if value is not None and not value.strip():
        exit_with(f"{option}: The value is empty. Omit the option, or set a value.", USAGE_CODE)


def tail_events(
    server: ServerOptions, filter: Mapping[str, Any] | None, options: TailOptions
) -> None:
    """Prints the events that match the filter, as they are stored."""
    require_value("--after", options.after)
    after = options.after or _read_cursor(options.cursor_file)
    with server.open_client() as client:
        try:
            for cursor, event in _iterate_events(client, server, filter, options, after):
                line = (
                    b"" if event is None else _format_line(event, cursor, is_json=options.is_json)
                )
                _wait_for_reader()
                with _delay_signals():
                    _write_line(line)
                    _store_cursor(options.cursor_file, cursor)
        except ApiError as error:
            hint = " Events may be missing. Start without this cursor."
            message = str(error) + (hint if error.code == "CURSOR_EXPIRED" else "")
            exit_with(message, _choose_exit_code(error))
        except BrokenPipeError:
            # The reader, such as `head`, has ended. Python would flush standard output at its end.
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


@contextlib.contextmanager
def _delay_signals() -> Iterator[None]:
    """Delays the end of the process, so that no event is printed whose cursor is not stored.

    Nothing in the block may wait for another process without a limit: the command could not be
    ended.
    """
    previous = signal.pthread_sigmask(signal.SIG_BLOCK, _DELAYED_SIGNALS)
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, previous)


def _wait_for_reader(timeout_seconds: float | None = None) -> bool:
    """Waits until a pipe accepts _PIPE_SIZE bytes at once. Returns whether it does."""
    try:
        descriptor = sys.stdout.fileno()
    except io.UnsupportedOperation:  # output that is captured in memory
        return True
    return bool(select.select([], [descriptor], [], timeout_seconds)[1])


def _write_line(line: bytes) -> None:
    """Writes a line, while signals are delayed, in parts that a pipe accepts.

    If one arrives, the reader has some seconds to read the rest, so that the last line is complete.
    """
    deadline: float | None = None
    for start in range(0, len(line), _PIPE_SIZE):
        while not _wait_for_reader(_POLL_SECONDS):
            if deadline is None and signal.sigpending() & _DELAYED_SIGNALS:
                deadline = time.monotonic() + UNREAD_LINE_SECONDS
            if deadline is not None and time.monotonic() > deadline:
                signal.pthread_sigmask(signal.SIG_UNBLOCK, _DELAYED_SIGNALS)  # ends the process
        typer.echo(line[start : start + _PIPE_SIZE], nl=False)


CursorAndEvent = tuple[str | None, dict[str, Any] | None]


def _iterate_events(
    client: ApiClient,
    server: ServerOptions,
    filter: Mapping[str, Any] | None,
    options: TailOptions,
    after: str | None,
) -> Iterator[CursorAndEvent]:
    """Yields events with their cursors. Either is None if there is only the other."""
    printed: set[str] = set()
    if after is None:
        lines = options.lines
        data = client.execute(LAST_EVENTS, filter=filter, first=max(lines, 1), isSkipped=lines == 0)
        last = data["events"]["nodes"][::-1] if lines else []
        # The subscription repeats those that were stored after `logHead` was read.
        printed = {event["id"] for event in last}
        for event in last:
            yield None, event
        after = str(data["logHead"])
        yield after, None
    entries = (
        _follow_entries(client, server, filter, after)
        if options.follow
        else _read_entries(client, filter, after)
    )
    for cursor, event in entries:
        yield cursor, None if event is None or event["id"] in printed else event


def _read_entries(
    client: ApiClient, filter: Mapping[str, Any] | None, after: str
) -> Iterator[CursorAndEvent]:
    """Yields the events that have been stored after the cursor."""
    has_more = True
    while has_more:
        data = client.execute(LOGGED_EVENTS, filter=filter, after=after)
        page = data["eventChanges"]
        for entry in page["nodes"]:
            yield entry["cursor"], entry["event"]
        # That of a page with few matches may be far behind its last entry.
        after = str(page["pageInfo"]["endCursor"])
        yield after, None
        has_more = page["pageInfo"]["hasNextPage"]


def _follow_entries(
    client: ApiClient, server: ServerOptions, filter: Mapping[str, Any] | None, after: str
) -> Iterator[CursorAndEvent]:
    """Yields the events that are stored after the cursor. Resumes when a connection is lost.

    Raises ApiError if a retry cannot succeed, and for every error before the first connection.
    """
    failures = 0
    connected_at: float | None = None
    is_lost = False
    while True:
        try:
            is_connected = False
            for data in client.stream(FOLLOW_EVENTS, filter=filter, after=after):
                if data is not None:
                    entry = data["eventChanged"]
                    yield entry["cursor"], entry["event"] if entry["kind"] == "LOGGED" else None
                    after = entry["cursor"]
                elif is_connected:
                    if (end := _find_quiet_end(client, filter, after)) != after:
                        after = end
                        yield after, None
                else:
                    is_connected, connected_at = True, time.monotonic()
                    if is_lost:
                        typer.echo("Connected again.", err=True)
                    is_lost = False
        except ApiError as error:
            if connected_at is None:
                raise
            if error.code == "UNAUTHENTICATED" and server.key_file is not None:
                typer.echo(f"{error} Waiting for a new key in {server.key_file}.", err=True)
                client.select_key(_wait_for_new_key(server, client.key, error))
                is_lost = True
                continue
            if not error.is_temporary:
                raise
            if not is_lost:
                typer.echo(f"{error} Reconnecting.", err=True)
                was_stable = time.monotonic() - connected_at > STABLE_SECONDS
                failures = 0 if was_stable else failures
            is_lost = True
            delay = error.retry_after + _compute_delay(failures)
        failures += 1
        time.sleep(delay)
        # The connection may have ended because the credential expired or was revoked. The file is
        # empty or missing for a moment if its key is being replaced.
        with contextlib.suppress(ApiError):
            client.select_key(server.load_key())


def _find_quiet_end(client: ApiClient, filter: Mapping[str, Any] | None, after: str) -> str:
    """Returns the last cursor before which no event is to be printed.

    Without it, a cursor that waits for a rare event would expire when entries are pruned.
    """
    variables = {"filter": filter}
    with contextlib.suppress(ApiError):  # the subscription is not affected; try again later
        has_more = True
        while has_more:
            data = client.send_once(
                NEXT_LOGGED_EVENT,
                variables | {"after": after},
                httpx.Timeout(CONNECT_TIMEOUT_SECONDS),
            )
            page = data["eventChanges"]
            if page["nodes"]:  # the subscription delivers it
                break
            after = str(page["pageInfo"]["endCursor"])
            has_more = page["pageInfo"]["hasNextPage"]
    return after


def _wait_for_new_key(server: ServerOptions, old: str, refusal: ApiError) -> str:
    """Waits until the file has another key, and returns it. Raises the refusal after a minute."""
    deadline = time.monotonic() + KEY_WAIT_SECONDS
    while time.monotonic() < deadline:
        with contextlib.suppress(ApiError):
            if (key := server.load_key()) != old:
                return key
        time.sleep(0.5)
    raise refusal


def _compute_delay(failures: int) -> float:
    """Returns the seconds before the next attempt."""
    seconds: float = min(0.1 * 2 ** min(failures, 7), 10)
    return seconds * random.uniform(0.5, 1)  # noqa: S311


def _choose_exit_code(error: ApiError) -> int:
    if error.code in _CREDENTIAL_ERRORS:
        return REFUSED_CODE
    is_unreachable = error.is_temporary or error.code in (None, "INTERNAL_SERVER_ERROR")
    return UNREACHABLE_CODE if is_unreachable else REJECTED_CODE


def _format_line(event: Mapping[str, Any], cursor: str | None, *, is_json: bool) -> bytes:
    if is_json:
        line, encoding = encode_json({"cursor": cursor, **event}), "utf-8"
    else:
        line, encoding = _format_event(event), sys.stdout.encoding
    return f"{line}\n".encode(encoding, errors="replace")


def _format_event(event: Mapping[str, Any]) -> str:
    time, severity = f"{event['occurredAt'][:19]}Z", f"{event['severity']:7}"
    if _is_colored():
        time = typer.style(time, dim=True)
        severity = typer.style(severity, fg=_SEVERITY_COLORS[event["severity"]], bold=True)
    text = replace_control_characters(f"{event['source']}: {event['summary']}")
    return f"{time} {severity} {text}"


def _is_colored() -> bool:
    is_capable = sys.stdout.isatty() and os.environ.get("TERM") != "dumb"
    return is_capable and not os.environ.get("NO_COLOR")


def _read_cursor(file: Path | None) -> str | None:
    """Returns the stored cursor. None if there is no file."""
    if file is None:
        return None
    try:
        cursor = file.read_text("utf-8").strip()
    except FileNotFoundError:
        return None
    except UnicodeDecodeError:
        exit_with(f"--cursor-file: {file} is not in UTF-8.", USAGE_CODE)
    except OSError as error:
        exit_with(f"--cursor-file: Cannot read {file}: {error.strerror}.", USAGE_CODE)
    if not cursor:
        exit_with(f"--cursor-file: {file} is empty. Delete it to start again.", USAGE_CODE)
    return cursor


def _store_cursor(file: Path | None, cursor: str | None) -> None:
    """Replaces the file at once, so that it is never half written, not even after a crash."""
    if file is None or cursor is None:
        return
    new = file.with_name(f"{file.name}.new")
    try:
        with new.open("w", encoding="utf-8") as stream:
            stream.write(f"{cursor}\n")
            stream.flush()
            os.fsync(stream.fileno())
        new.replace(file)
    except OSError as error:
        exit_with(f"--cursor-file: Cannot write {file}: {error.strerror}.", USAGE_CODE)

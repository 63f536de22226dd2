"""Messages as text for people: the state of one event, and how many others are not shown.

The text of an event may come from anyone. Control characters are removed, and words that notify all
members of a chat are not recognized.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from app.domain.channels.channels import ChannelTrigger
from app.domain.events.severity import Severity
from app.domain.events.state import EventStatus
from app.domain.shared.values import replace_control_characters

_MAX_TITLE_CHARACTERS = 200
_MAX_CONTENT_CHARACTERS = 2_000
_MAX_SOURCES = 10
_MENTION = re.compile(
    r"@(?=(?:all|channel|everyone|here|room)\b)|<(?=[!@#&]|users/|at\b)", re.IGNORECASE
)
_ZERO_WIDTH_SPACE = "\u200b"

_Message = tuple[ChannelTrigger, Mapping[str, Any]]


@dataclass(frozen=True)
class TextMessage:
    """`severity`: None for a test."""

    title: str
    body: str
    severity: Severity | None = None


def build_text(messages: Sequence[_Message], public_url: str | None) -> TextMessage:
    """Builds one text of several messages, which are the `data` of CloudEvents, in order.

    It shows the first event of the highest severity, as of its last message, and counts the other
    events by their source. `public_url`: the base of links to events, which are omitted without it.
    """
    states = _find_last_messages(messages)
    trigger, data = max(states, key=lambda message: _rank(message[1]))
    if trigger is ChannelTrigger.TEST:
        name = _clean(data["channel"]["name"])
        return TextMessage(f"Test of the channel {name}", "The channel works.")
    event = data["event"]
    lines = [
        _describe(trigger, event),
        f"Source: {_clean(event['source'])}",
        *_describe_entity(event),
        f"Time: {event['occurredAt']}",
        *_build_link(event, public_url),
        *_count_others(states, data),
    ]
    title = _clean(f"{_name_state(trigger, data)}: {event['summary']}")
    return TextMessage(
        _shorten(title, _MAX_TITLE_CHARACTERS),
        "\n".join(line for line in lines if line),
        Severity[event["severity"]],
    )


def _find_last_messages(messages: Sequence[_Message]) -> list[_Message]:
    """Returns the last message about each event: what others say is over.

    Of several messages about the same change, EVENT_CHANGED says least.
    """
    last: dict[str | None, _Message] = {}
    for message in messages:
        trigger, data = message
        event_id = data["event"]["id"] if "event" in data else None  # a test
        is_changed = trigger is ChannelTrigger.EVENT_CHANGED
        if is_changed and event_id in last and last[event_id][1]["cursor"] == data["cursor"]:
            continue
        last[event_id] = message
    return list(last.values())


def _rank(data: Mapping[str, Any]) -> tuple[bool, int]:
    """Events that may need attention come first, and of these the most severe."""
    event = data.get("event")
    if event is None:  # a test
        return False, 0
    is_over = event["status"] == EventStatus.RESOLVED.value or data["change"]["kind"] == "DELETED"
    return not is_over, Severity[event["severity"]].rank


def _name_state(trigger: ChannelTrigger, data: Mapping[str, Any]) -> str:
    if trigger is ChannelTrigger.EVENT_RESOLVED:
        return "Resolved"
    severity = str(data["event"]["severity"])
    if trigger is ChannelTrigger.EVENT_CHANGED:
        return f"{severity}, {data['change']['kind'].lower()}"
    return severity


def _describe(trigger: ChannelTrigger, event: Mapping[str, Any]) -> str:
    """Returns the resolution note of a resolution, and otherwise the content of the event."""
    text = event["resolutionNote" if trigger is ChannelTrigger.EVENT_RESOLVED else "content"] or ""
    lines = [_clean(line) for line in text[: _MAX_CONTENT_CHARACTERS + 1].splitlines()]
    return _shorten("\n".join(lines), _MAX_CONTENT_CHARACTERS)


def _describe_entity(event: Mapping[str, Any]) -> list[str]:
    entity = event["entity"]
    return [_clean(f"{entity['type']}: {entity['id']}")] if entity else []


def _build_link(event: Mapping[str, Any], public_url: str | None) -> list[str]:
    return [f"{public_url.rstrip('/')}/events/{event['id']}"] if public_url else []


def _count_others(states: Sequence[_Message], shown: Mapping[str, Any]) -> list[str]:
    sources = Counter(data["event"]["source"] for _, data in states if data is not shown)
    lines = [
        f"{count:,} more from {_clean(source)}"
        for source, count in sources.most_common(_MAX_SOURCES)
    ]
    others = sources.total() - sum(count for _, count in sources.most_common(_MAX_SOURCES))
    return lines + ([f"{others:,} more from other sources"] if others else [])


def _clean(text: str) -> str:
    """Replaces control characters, and separates the characters of mentions of all members."""
    text = replace_control_characters(text)
    return _MENTION.sub(lambda match: f"{match[0]}{_ZERO_WIDTH_SPACE}", text)


def _shorten(text: str, limit: int) -> str:
    return text if len(text) <= limit else f"{text[: limit - 1]}…"

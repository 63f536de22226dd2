"""Messages of channels as text for people."""

from __future__ import annotations

import itertools
from typing import Any

import pytest

from app.domain.channels.channels import ChannelTrigger
from app.domain.channels.texts import build_text
from app.domain.events.severity import Severity

ADDED, RESOLVED, CHANGED, TEST = (
    ChannelTrigger.NOTIFICATION_ADDED,
    ChannelTrigger.EVENT_RESOLVED,
    ChannelTrigger.EVENT_CHANGED,
    ChannelTrigger.TEST,
)
TIME = "2026-04-10T10:00:00.000000Z"
NUMBERS = itertools.count()


def build_data(
    kind: str = "LOGGED", id: str | None = None, cursor: str | None = None, **attributes: Any
) -> dict[str, Any]:
    """By default, of an event and a change of its own."""
    event = {
        "id": id or f"event {next(NUMBERS)}",
        "severity": "INFO",
        "summary": "Door opens",
        "source": "door-1",
        "content": None,
        "entity": None,
        "occurredAt": TIME,
        "status": None,
        "resolutionNote": None,
    }
    cursor = cursor or f"cursor {next(NUMBERS)}"
    return {"event": event | attributes, "change": {"kind": kind}, "cursor": cursor}


def test_one_event_has_its_facts_and_a_link() -> None:
    entity = {"type": "Door", "id": "d1"}
    data = build_data(id="e1", entity=entity, content="By hand.", severity="WARN")

    text = build_text([(ADDED, data)], "https://tocsin.example/")

    assert (text.title, text.severity) == ("WARN: Door opens", Severity.WARN)
    assert text.body == (
        f"By hand.\nSource: door-1\nDoor: d1\nTime: {TIME}\nhttps://tocsin.example/events/e1"
    )


def test_without_the_address_of_the_server_there_is_no_link() -> None:
    assert build_text([(ADDED, build_data())], None).body == f"Source: door-1\nTime: {TIME}"


@pytest.mark.parametrize(
    ("trigger", "data", "title", "begin"),
    [
        (
            RESOLVED,
            build_data("RESOLVED", status="RESOLVED", resolutionNote="Closed.", content="Open."),
            "Resolved: Door opens",
            "Closed.",
        ),
        (CHANGED, build_data("DELETED"), "INFO, deleted: Door opens", "Source: door-1"),
        (CHANGED, build_data("UPDATED", severity="ERROR"), "ERROR, updated: Door opens", "Source"),
    ],
)
def test_the_title_names_the_change(
    trigger: ChannelTrigger, data: dict[str, Any], title: str, begin: str
) -> None:
    text = build_text([(trigger, data)], None)

    assert text.title == title
    assert text.body.startswith(begin)


def test_a_test_names_the_channel() -> None:
    text = build_text([(TEST, {"channel": {"name": "Inci\u0007dents"}})], None)

    assert (text.title, text.severity) == ("Test of the channel Inci dents", None)


def test_of_several_events_the_most_severe_one_that_is_not_over_is_shown() -> None:
    events = [
        (ADDED, build_data(summary="resolved since", severity="ERROR", status="RESOLVED")),
        (ADDED, build_data()),
        (ADDED, build_data(summary="shown", severity="WARN", source="host-1")),
        (ADDED, build_data(summary="later", severity="WARN")),
        (CHANGED, build_data("DELETED", severity="ERROR")),
    ]

    text = build_text(events, None)

    assert text.title == "WARN: shown"
    assert text.body.splitlines()[2:] == ["4 more from door-1"]


def test_each_event_is_shown_and_counted_as_of_its_last_message() -> None:
    resolved = {"id": "e1", "severity": "ERROR", "summary": "Pump stops", "status": "RESOLVED"}
    raised = (ADDED, build_data(id="e1", severity="ERROR", summary="Pump stops", status="OPEN"))
    messages = [
        raised,
        (ADDED, build_data(id="e2", summary="Door opens", severity="WARN", status="OPEN")),
        (RESOLVED, build_data("RESOLVED", **resolved)),
        (CHANGED, build_data("UPDATED", id="e2", summary="Door is open", status="OPEN")),
    ]

    of_both = build_text(messages, None)
    of_first = build_text([raised, messages[2]], None)
    reopened = build_text([*messages, raised], None)

    assert (of_both.title, of_both.severity) == ("INFO, updated: Door is open", Severity.INFO)
    assert of_both.body.splitlines()[2:] == ["1 more from door-1"]
    assert of_first.title == "Resolved: Pump stops"
    assert of_first.body == f"Source: door-1\nTime: {TIME}"
    assert reopened.title == "ERROR: Pump stops"


@pytest.mark.parametrize(
    ("triggers", "title"),
    [((ADDED, CHANGED), "INFO: Door opens"), ((CHANGED, RESOLVED), "Resolved: Door opens")],
)
def test_of_two_messages_about_one_change_the_one_that_says_more_is_shown(
    triggers: tuple[ChannelTrigger, ...], title: str
) -> None:
    data = build_data()

    text = build_text([(trigger, dict(data)) for trigger in triggers], None)

    assert (text.title, text.body) == (title, f"Source: door-1\nTime: {TIME}")


def test_the_others_are_counted_by_at_most_ten_sources() -> None:
    events = [(ADDED, build_data(source=f"door-{number}")) for number in range(14)]
    events += [(ADDED, build_data(source="door-3")) for _ in range(2)]

    lines = build_text(events, None).body.splitlines()[2:]

    assert lines[0] == "3 more from door-3"
    assert lines[1:10] == [f"1 more from door-{number}" for number in (1, 2, *range(4, 11))]
    assert lines[10:] == ["3 more from other sources"]


def test_control_characters_are_removed_and_mentions_of_all_are_separated() -> None:
    data = build_data(
        summary="a\r\nBcc: x\u0000",
        content="first\u001b[31m\r\n@everyone @here @all @channel @Room <!channel> <@U1> a@allied\n"
        '<users/all> <at user_id="all">all</at> <attach> 1 < 2',
        source="s\nt",
        entity={"type": "T\n", "id": "<#C1>"},
    )

    text = build_text([(ADDED, data)], None)

    assert text.title == "INFO: a  Bcc: x "
    assert text.body.splitlines() == [
        "first [31m",
        "@\u200beveryone @\u200bhere @\u200ball @\u200bchannel @\u200bRoom <\u200b!channel> "
        "<\u200b@U1> a@allied",
        '<\u200busers/all> <\u200bat user_id="all">all</at> <attach> 1 < 2',
        "Source: s t",
        "T : <\u200b#C1>",
        f"Time: {TIME}",
    ]


def test_long_texts_are_shortened() -> None:
    text = build_text([(ADDED, build_data(summary="s" * 300, content="c" * 3_000))], None)

    assert (len(text.title), text.title[-1]) == (200, "…")
    assert (len(text.body.splitlines()[0]), text.body.splitlines()[0][-1]) == (2_000, "…")

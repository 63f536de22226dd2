"""Severities in input: known words, unknown words, and configured words."""

from __future__ import annotations

from typing import Any

import pytest

from tests.client import Client, build_log_mutations
from tests.cloudevent_client import cloud_event, fetch_by_source, send_structured
from tests.conftest import Serve

SEVERITY = "id severity severityText version"
RESULT = f"event {{ {SEVERITY} }} warnings {{ code message path }} userErrors {{ code path }}"
LOG, LOG_MANY, LOG_CONTAINER, INGEST = build_log_mutations(RESULT)
UPDATE = f"mutation ($input: UpdateEventInput!) {{ updateEvent(input: $input) {{ {RESULT} }} }}"
CHECK = """query ($input: LogEventInput!) {
  checkEvent(input: $input) { accepted warnings { code path } } }"""
EVENT = f"query ($id: ID!) {{ event(id: $id) {{ {SEVERITY} }} }}"


def unknown_severity(word: str, *path: str) -> dict[str, Any]:
    return {
        "code": "SEVERITY_UNKNOWN",
        "message": f"Unknown severity {word!r}: the severity INFO is used instead. Send error, "
        "warn, info or success, or add the word to TOCSIN_SEVERITY_MAP.",
        "path": list(path),
    }


def severity_of(payload: dict[str, Any]) -> tuple[str, str | None]:
    assert payload["userErrors"] == []
    return payload["event"]["severity"], payload["event"]["severityText"]


@pytest.mark.parametrize("word", ["critical", "fatal", "Emergency", "alert", "err", "P1", "🔥"])
async def test_an_unknown_severity_is_stored_with_a_warning(client: Client, word: str) -> None:
    payload = await client.execute_field(LOG, input={"severity": word})

    assert severity_of(payload) == ("INFO", word)
    assert payload["warnings"] == [unknown_severity(word, "input", "severity")]
    stored = await client.execute_field(EVENT, id=payload["event"]["id"])
    assert stored == payload["event"]


@pytest.mark.parametrize(
    ("word", "severity", "text"),
    [
        (" Red ", "ERROR", " Red "),
        ("blue", "INFO", "blue"),
        ("", "INFO", None),
        (" \t", "INFO", None),
        (None, "INFO", None),
    ],
)
async def test_a_known_or_blank_severity_has_no_warning(
    client: Client, word: str | None, severity: str, text: str | None
) -> None:
    payload = await client.execute_field(LOG, input={"severity": word})

    assert severity_of(payload) == (severity, text)
    assert payload["warnings"] == []


async def test_a_severity_of_any_length_and_characters_is_accepted(client: Client) -> None:
    payload = await client.execute_field(LOG, input={"severity": "a\0\ud800" + "x" * 1000})

    assert severity_of(payload) == ("INFO", "a\ufffd\ufffd" + "x" * 252)
    assert [each["code"] for each in payload["warnings"]] == ["SEVERITY_UNKNOWN"]


async def test_every_mutation_warns_of_an_unknown_severity(client: Client) -> None:
    listed = await client.execute_field(LOG_MANY, input=[{}, {"severity": "P1"}])
    container = await client.execute_field(
        LOG_CONTAINER, event={"eventType": "ACCESS", "severity": "P1"}
    )
    ingested = await client.execute_field(INGEST, events=[cloud_event(severitytext="P1")])
    updated = await client.execute_field(
        UPDATE, input={"id": container["event"]["id"], "severity": "P2"}
    )

    paths = {
        ("input", "1", "severity"): listed["results"][1],
        ("event", "severity"): container,
        ("events", "0", "severitytext"): ingested["results"][0],
    }
    for path, payload in paths.items():
        assert severity_of(payload) == ("INFO", "P1")
        assert payload["warnings"] == [unknown_severity("P1", *path)]
    assert severity_of(updated) == ("INFO", "P2")
    assert updated["warnings"] == [unknown_severity("P2", "input", "severity")]
    assert updated["event"]["version"] == 2


async def test_a_check_warns_of_an_unknown_severity(client: Client) -> None:
    check = await client.execute_field(CHECK, input={"severity": "P1"})

    assert check == {
        "accepted": True,
        "warnings": [{"code": "SEVERITY_UNKNOWN", "path": ["input", "severity"]}],
    }


async def test_the_names_of_the_severity_extension_are_known_in_cloud_events(
    client: Client,
) -> None:
    fatal = await client.execute_field(INGEST, events=[cloud_event(severitytext="FATAL")])
    numbered = await send_structured(client, cloud_event(id="2", severitytext="warn3"))
    unknown = await send_structured(client, cloud_event(id="3", severitytext="critical"))

    assert severity_of(fatal["results"][0]) == ("ERROR", "FATAL")
    assert fatal["results"][0]["warnings"] == []
    assert numbered.json()["results"][0]["warnings"] == []
    [warning] = unknown.json()["results"][0]["warnings"]
    assert (warning["code"], warning["path"]) == ("SEVERITY_UNKNOWN", ["severitytext"])
    assert (await fetch_by_source(client, "2"))["severity"] == "WARN"
    assert (await fetch_by_source(client, "3"))["severity"] == "INFO"


async def test_words_can_be_configured(database_url: str, serve: Serve) -> None:
    async with serve(database_url, severity_map="critical=error, P4=success") as client:
        mapped = await client.execute_field(LOG, input={"severity": "CRITICAL"})
        ingested = await client.execute_field(INGEST, events=[cloud_event(severitytext="p4")])
        binary = await send_structured(client, cloud_event(id="2", severitytext="critical"))
        event = await fetch_by_source(client, "2")

    assert severity_of(mapped) == ("ERROR", "CRITICAL")
    assert mapped["warnings"] == []
    assert severity_of(ingested["results"][0]) == ("SUCCESS", "p4")
    assert binary.json()["results"][0]["warnings"] == []
    assert event["severity"] == "ERROR"

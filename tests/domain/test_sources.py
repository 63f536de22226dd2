"""Payloads of other systems are read as reports of events."""

from __future__ import annotations

import time
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import pytest

from app.domain.events.state import Entity, EventDraft
from app.domain.shared.json_encoding import encode_json
from app.domain.shared.limits import Limits
from app.domain.shared.problems import Problem, UserErrorCode
from app.domain.shared.values import validate_json
from app.domain.sources.payloads import parse_payload
from app.domain.sources.reports import (
    Acknowledgement,
    ParsedPayload,
    UnreadablePayloadError,
    fit_fields,
)
from app.domain.sources.sources import SourceKind, SourceMapping, validate_source
from tests.source_payloads import (
    ALERT,
    alertmanager_payload,
    grafana_payload,
    pagerduty_event,
)

NOW = datetime(2026, 4, 10, 12, tzinfo=UTC)
STARTED = datetime(2026, 4, 10, 10, 30, tzinfo=UTC)
LIMITS = Limits()


def parse(
    kind: SourceKind,
    payload: Any,
    mapping: SourceMapping | None = None,
    headers: dict[str, str] | None = None,
    limits: Limits = LIMITS,
) -> ParsedPayload:
    return parse_payload(kind, mapping, payload, headers or {}, NOW, limits)


def parse_draft(kind: SourceKind, payload: Any, *arguments: Any) -> EventDraft:
    """The only report of the payload, which must be a draft."""
    [report] = parse(kind, payload, *arguments).reports
    assert isinstance(report, EventDraft)
    return report


def map_body(body: Any, headers: dict[str, str] | None = None, **expressions: str) -> EventDraft:
    mapping = SourceMapping(**{"summary": "'s'"} | expressions)
    return parse_draft(SourceKind.JSON, body, mapping, headers)


def find_problems(body: Any, **expressions: str) -> list[tuple[str, tuple[str, ...]]]:
    """Messages and paths of the problems of the only report of a payload."""
    mapping = SourceMapping(**{"summary": "'s'"} | expressions)
    [report] = parse(SourceKind.JSON, body, mapping).reports
    assert isinstance(report, list)
    return [(problem.message, problem.path) for problem in report]


def test_a_firing_alert_is_a_notification_with_the_fingerprint_as_its_alert_key() -> None:
    draft = parse_draft(SourceKind.ALERTMANAGER, alertmanager_payload(ALERT))

    assert draft == EventDraft(
        type="alertmanager.alert",
        entity=Entity("instance", "pump-7"),
        severity="critical",
        summary="Disk full",
        content="Only 2 % of /var are free.",
        occurred_at=STARTED,
        fields={
            "labels": ALERT["labels"],
            "annotations": ALERT["annotations"],
            "generatorURL": "http://prometheus/graph",
            "externalURL": "http://alertmanager",
        },
        notification=True,
        alert_key="c0ffee0123456789",
        state_digest=draft.state_digest,
        started_at=STARTED,
    )


def test_a_resolved_alert_resolves_its_alert_key_at_its_end() -> None:
    resolved = ALERT | {"status": "resolved", "endsAt": "2026-04-10T11:00:00Z"}

    draft = parse_draft(SourceKind.ALERTMANAGER, alertmanager_payload(resolved))

    assert draft == EventDraft(
        alert_key="c0ffee0123456789",
        resolved=True,
        occurred_at=datetime(2026, 4, 10, 11, tzinfo=UTC),
        started_at=STARTED,
    )


def test_the_state_of_an_alert_has_no_addresses_and_no_end() -> None:
    states = [
        ALERT,
        ALERT | {"endsAt": "2026-04-10T13:00:00Z", "generatorURL": "http://replica/graph"},
        ALERT | {"annotations": ALERT["annotations"] | {"value": "3"}},
        ALERT | {"labels": ALERT["labels"] | {"severity": "page"}},
        ALERT | {"startsAt": "2026-04-10T10:31:00Z"},
    ]
    payloads = [alertmanager_payload(state) for state in states]
    payloads.append(alertmanager_payload(ALERT) | {"externalURL": "http://other"})

    digests = [parse_draft(SourceKind.ALERTMANAGER, each).state_digest for each in payloads]

    assert digests[0] == digests[1] == digests[5]
    assert len({digests[0], *digests[2:5]}) == 4


def test_an_alert_is_not_lost_because_of_its_texts_and_times() -> None:
    alert: dict[str, Any] = {
        "status": "firing",
        "labels": {"alertname": "Disk", "instance": "a\nb"},
        "annotations": {"summary": " ", "message": "m" * 1_001, "description": "d\0\ud800"},
        "startsAt": "2099-01-01T00:00:00Z",
    }

    draft = parse_draft(SourceKind.ALERTMANAGER, alertmanager_payload(alert))
    named = alert | {"annotations": {}}
    summary = parse_draft(SourceKind.ALERTMANAGER, alertmanager_payload(named)).summary
    unnamed = parse_draft(SourceKind.ALERTMANAGER, {"alerts": [named | {"labels": {"a": "b"}}]})

    assert (draft.summary, draft.content) == ("m" * 999 + "…", "d��")
    assert (draft.occurred_at, draft.entity) == (NOW, None)
    assert draft.alert_key is not None
    assert len(draft.alert_key) == 16
    assert summary == "Disk"
    assert unnamed.summary == "Alert"
    assert unnamed.alert_key not in (None, draft.alert_key)


def test_an_alert_is_not_lost_because_of_its_details() -> None:
    details = {"firing": "Labels:\n" * 20_000, "count": 7, "bad\0name": "a\0b"}
    limits = replace(LIMITS, fields_bytes=10_000)

    trigger = pagerduty_event("trigger", "k", {"summary": "s", "custom_details": details})
    draft = parse_draft(SourceKind.PAGERDUTY, trigger, None, None, limits)
    small = parse_draft(SourceKind.PAGERDUTY, trigger)

    assert isinstance(draft.fields, dict)
    assert 2_000 < len(encode_json(draft.fields)) <= 10_000
    assert draft.fields["custom_details"].startswith('{"firing":')
    assert draft.fields["custom_details"].endswith("…")
    assert draft.fields["client"] == "Monitor"
    assert validate_json(draft.fields, limits) == []
    assert validate_json(small.fields, LIMITS) == []


def test_details_of_any_size_and_number_are_stored_as_far_as_they_fit() -> None:
    limits = replace(LIMITS, fields_bytes=10_000)
    details = {
        "big": "b" * 1_000_000,
        "control": "\x01" * 100_000,
        "list": ["😀\n"] * 100_000,
        "n" * 20_000: 1,
        "small": "s" * 1_500,
        **{f"more{index}": index for index in range(200)},
    }

    fields = fit_fields(details, limits)
    exact: dict[str, Any] = {"a": "x" * (10_000 - len('{"a":"","b":7}')), "b": 7}

    assert 7_000 < len(encode_json(fields).encode()) <= 10_000
    assert (fields["small"], fields["more94"]) == ("s" * 1_500, 94)
    assert fields["omittedFields"] == 105
    assert len(fields) == 100  # without the one whose name is too long
    assert all(fields[name].endswith("…") for name in ("big", "control", "list"))
    assert len(encode_json(exact)) == 10_000
    assert fit_fields(exact, limits) == exact
    assert (
        len(fit_fields(exact | {"b": 77}, limits)["a"]) == len(exact["a"]) - 3
    )  # for 1 byte: … has 3


@pytest.mark.parametrize("in_labels", [False, True])
def test_the_time_for_an_alert_with_many_names_grows_with_its_size(in_labels: bool) -> None:
    def measure(count: int) -> float:
        names = {f"name{index:05}": "x" * 40 for index in range(count)}
        alert = ALERT | ({"labels": names} if in_labels else names)
        started = time.process_time()
        parse(SourceKind.ALERTMANAGER, alertmanager_payload(alert))
        return time.process_time() - started

    small = min(measure(2_000) for _ in range(3))

    assert measure(32_000) < 80 * max(small, 0.001)  # a time for each pair of names is 256 times


def test_the_address_of_alertmanager_is_shortened_because_each_alert_has_it() -> None:
    payload = alertmanager_payload(*[ALERT] * 500) | {"externalURL": "u" * 1_000_000}

    reports = parse(SourceKind.ALERTMANAGER, payload).reports
    fields: list[Any] = [each.fields for each in reports if isinstance(each, EventDraft)]

    assert len(fields) == 500
    assert {len(each["externalURL"]) for each in fields} == {1_000}


def test_a_value_that_cannot_be_encoded_makes_a_payload_unreadable() -> None:
    deep: Any = []
    for _ in range(5_000):
        deep = [deep]
    trigger = pagerduty_event("trigger", None, {"summary": "s", "custom_details": deep})

    with pytest.raises(UnreadablePayloadError, match="nested too deeply"):
        parse(SourceKind.PAGERDUTY, trigger)


@pytest.mark.parametrize(
    ("kind", "payload"),
    [
        (SourceKind.ALERTMANAGER, alertmanager_payload(ALERT, ALERT, ALERT)),
        (SourceKind.JSON, [{}, {}, {}]),
    ],
)
def test_a_payload_has_a_maximum_number_of_events(kind: SourceKind, payload: Any) -> None:
    mapping = SourceMapping("'s'")

    with pytest.raises(UnreadablePayloadError) as error:
        parse(kind, payload, mapping, limits=replace(LIMITS, payload_events=2))

    assert str(error.value) == "At most 2 events are allowed; this payload has 3."
    assert len(parse(kind, payload, mapping).reports) == 3


def test_invalid_alerts_are_rejected_with_their_path_and_the_others_are_read() -> None:
    alerts = [
        3,
        ALERT | {"status": "odd"},
        ALERT | {"labels": {"a": 1}, "annotations": []},
        ALERT | {"fingerprint": 5},
        {"status": "firing"},
        ALERT,
    ]

    *rejected, accepted = parse(SourceKind.ALERTMANAGER, alertmanager_payload(*alerts)).reports

    problems = [
        [(each.message, each.path[1:]) for each in report]
        for report in rejected
        if isinstance(report, list)
    ]
    assert problems == [
        [("An alert must be a JSON object.", ("0",))],
        [("Invalid status 'odd': expected firing or resolved.", ("1", "status"))],
        [("labels must be a JSON object of strings.", ("2", "labels"))],
        [("fingerprint must be a string.", ("3", "fingerprint"))],
        [
            (
                "An alert needs a fingerprint, or labels from which it is computed.",
                ("4", "fingerprint"),
            )
        ],
    ]
    assert isinstance(accepted, EventDraft)


def test_a_grafana_alert_has_its_values_and_addresses_in_the_fields() -> None:
    draft = parse_draft(SourceKind.GRAFANA, grafana_payload())

    assert (draft.type, draft.summary, draft.alert_key) == (
        "grafana.alert",
        "Temperature is high",
        "57c6d9296de2ad39",
    )
    assert draft.fields == {
        "labels": {"alertname": "High temperature", "grafana_folder": "Plant", "severity": "page"},
        "annotations": {"summary": "Temperature is high"},
        "generatorURL": "https://grafana.example/alerting/grafana/a1/view",
        "silenceURL": "https://grafana.example/alerting/silence/new",
        "dashboardURL": "https://grafana.example/d/abc",
        "values": {"B": 44.2, "C": 1},
        "valueString": "[ var='B' labels={} value=44.2 ]",
        "externalURL": "https://grafana.example/",
    }


def test_a_pagerduty_trigger_is_a_notification_with_the_deduplication_key() -> None:
    parsed = parse(SourceKind.PAGERDUTY, pagerduty_event("trigger", "disk"))

    [draft] = parsed.reports
    assert isinstance(draft, EventDraft)
    assert parsed.deduplication_key == "disk"
    assert draft == EventDraft(
        type="pagerduty.alert",
        entity=Entity("system", "pump-7"),
        severity="critical",
        summary="Disk full",
        fields={
            "source": "pump-7",
            "component": "disk",
            "custom_details": {"free": 2},
            "client": "Monitor",
            "client_url": "https://monitor.example",
        },
        notification=True,
        alert_key="disk",
        state_digest=draft.state_digest,
    )


def test_a_pagerduty_event_acknowledges_and_resolves_by_the_deduplication_key() -> None:
    [acknowledgement] = parse(SourceKind.PAGERDUTY, pagerduty_event("acknowledge", "a")).reports
    resolution = parse_draft(SourceKind.PAGERDUTY, pagerduty_event("resolve", "a", payload=None))

    assert acknowledgement == Acknowledgement("a")
    assert (resolution.alert_key, resolution.resolved, resolution.occurred_at) == ("a", True, None)


def test_an_equal_trigger_without_a_deduplication_key_gets_the_same_one() -> None:
    event = pagerduty_event("trigger", None)
    other_key = event | {"routing_key": "other"}
    other = event | {"payload": event["payload"] | {"summary": "Disk empty"}}

    keys = [
        parse(SourceKind.PAGERDUTY, each).deduplication_key for each in (event, other_key, other)
    ]

    assert keys[0] is not None
    assert len(keys[0]) == 32
    assert keys[0] == keys[1] != keys[2]


@pytest.mark.parametrize(
    ("kind", "payload", "message"),
    [
        (SourceKind.ALERTMANAGER, [], "The payload must be a JSON object."),
        (
            SourceKind.ALERTMANAGER,
            {"alerts": {}},
            "The payload has no list `alerts`: expected the webhook format of Alertmanager.",
        ),
        (
            SourceKind.ALERTMANAGER,
            {"alerts": [], "version": "3"},
            "Unsupported version '3' of the format: expected '4'.",
        ),
        (
            SourceKind.GRAFANA,
            {"state": "alerting"},
            "The payload has no list `alerts`: expected the webhook format of Grafana.",
        ),
        (
            SourceKind.PAGERDUTY,
            pagerduty_event("open", "a"),
            "Invalid event_action 'open': expected trigger, acknowledge or resolve.",
        ),
        (
            SourceKind.PAGERDUTY,
            pagerduty_event("resolve", None),
            "dedup_key is required: it identifies the event to resolve.",
        ),
        (SourceKind.PAGERDUTY, pagerduty_event("trigger", 5), "dedup_key must be a string."),
        (
            SourceKind.PAGERDUTY,
            pagerduty_event("trigger", "a", payload=[1]),
            "payload must be a JSON object.",
        ),
        (
            SourceKind.PAGERDUTY,
            pagerduty_event("trigger", "a", payload={"summary": " "}),
            "payload.summary is required: a string that is not blank.",
        ),
    ],
)
def test_a_payload_of_another_format_is_unreadable(
    kind: SourceKind, payload: Any, message: str
) -> None:
    with pytest.raises(UnreadablePayloadError) as caught:
        parse(kind, payload)

    assert str(caught.value) == message


def test_a_mapping_gives_each_attribute_the_value_of_its_expression() -> None:
    body = {"msg": "m", "level": "fatal", "id": 7, "ts": 1_775_817_000, "tags": ["a", "b"]}
    headers = {"x-host": "pump-7"}

    draft = map_body(
        body,
        headers,
        summary="body.msg",
        severity="body.level",
        content="body.?text",
        type="'disk.full'",
        entity_type="'pump'",
        entity_id="headers['x-host']",
        occurred_at="timestamp(int(body.ts))",
        alert_key="body.id",
        notification="body.level == 'fatal'",
        acknowledged="null",
        resolved="false",
        tags="body.tags",
        fields="{'all': body, 'none': null, 'half': 0.5}",
        source_id="string(body.id) + '/' + body.msg",
    )

    assert draft == EventDraft(
        type="disk.full",
        entity=Entity("pump", "pump-7"),
        severity="fatal",
        summary="m",
        source_id="7/m",
        occurred_at=STARTED,
        fields={"all": body, "none": None, "half": 0.5},
        tags=("a", "b"),
        notification=True,
        alert_key="7",
        state_digest=draft.state_digest,
    )
    assert draft.state_digest is not None


def test_each_element_of_an_array_is_mapped() -> None:
    mapping = SourceMapping("body.name")

    reports = parse(SourceKind.JSON, [{"name": "a"}, {"name": "b"}], mapping).reports

    assert [each.summary for each in reports if isinstance(each, EventDraft)] == ["a", "b"]


def test_a_mapping_does_not_see_credentials() -> None:
    names = ("authorization", "cookie", "x-api-key", "x-auth-token", "x-gitlab-token", "x-event")
    headers = dict.fromkeys(names, "v")

    draft = map_body({}, headers, fields="headers")

    assert draft.fields == {"x-event": "v"}


ABSENT = (
    'The expression has no value: Key not found in map : "q". For a key that may be absent, write '
    "`.?name` instead of `.name`."
)
NOT_OBJECT = "The expression has no value: A value before `.` is not an object."


@pytest.mark.parametrize(
    ("expressions", "message", "attribute"),
    [
        ({"summary": "body.q"}, ABSENT, "summary"),
        ({"severity": "body.q"}, ABSENT, "severity"),
        ({"severity": "body.a.q"}, NOT_OBJECT, "severity"),
        ({"severity": "body.a.?q"}, NOT_OBJECT, "severity"),
        ({"summary": "null"}, "summary is null: every event needs a summary.", "summary"),
        (
            {"type": "[body.a]"},
            "The value of the expression must be a string or a number, or null.",
            "type",
        ),
        (
            {"notification": "'true'"},
            "The value of the expression must be true or false, or null.",
            "notification",
        ),
        (
            {"tags": "[1]"},
            "The value of the expression must be a list of strings, or null.",
            "tags",
        ),
        (
            {"fields": "'f'"},
            "The value of the expression must be a JSON object, or null.",
            "fields",
        ),
        (
            {"occurred_at": "'yesterday'"},
            "Invalid time 'yesterday': expected an RFC 3339 timestamp, or the result of "
            "timestamp().",
            "occurredAt",
        ),
    ],
)
def test_an_event_whose_expression_has_no_valid_value_is_rejected(
    expressions: dict[str, str], message: str, attribute: str
) -> None:
    problems = find_problems({"a": 1}, **expressions)

    assert problems == [(message, ("mapping", attribute))]


def test_a_body_that_is_nested_too_deeply_for_expressions_is_rejected() -> None:
    body: Any = {}
    for _ in range(30):
        body = {"a": body}

    [(message, path)] = find_problems(body, fields="body")

    assert "30" in message
    assert path[0] == "body"


@pytest.mark.parametrize(
    ("mapping", "expected"),
    [
        (
            SourceMapping("event.summary"),
            [("Unknown name 'event.summary'. The available variables are body and headers.", 1, 6)],
        ),
        (
            SourceMapping("'s'", severity="body.a ==\n 'b"),
            [("The string has no closing quotation mark.", 2, 2)],
        ),
        (SourceMapping("'s'", content="duration('1d') == body.d"), None),
        (SourceMapping("'s'", tags="body.tags.map(t, string(t))"), None),
        (SourceMapping("'s'", fields="google.protobuf.Value{}"), None),
    ],
)
def test_an_expression_that_cannot_be_used_is_rejected_with_line_and_column(
    mapping: SourceMapping, expected: list[tuple[str, int, int]] | None
) -> None:
    problems: list[Any] = validate_source("s", SourceKind.JSON, mapping, LIMITS)

    assert {problem.code for problem in problems} == {UserErrorCode.EXPRESSION_INVALID}
    [(attribute, _)] = [each for each in mapping.expressions() if each[1] != "'s'"]
    assert [problem.path for problem in problems] == [("mapping", attribute)]
    if expected is not None:
        assert [(each.message, each.line, each.column) for each in problems] == expected


def test_the_mapping_of_a_source_is_validated() -> None:
    mapping = SourceMapping("'s'")
    cases: list[tuple[SourceKind, SourceMapping | None, tuple[str, ...]]] = [
        (SourceKind.JSON, None, ("mapping",)),
        (SourceKind.GRAFANA, mapping, ("mapping",)),
        (SourceKind.JSON, replace(mapping, resolved="true"), ("mapping", "resolved")),
        (SourceKind.JSON, replace(mapping, entity_id="'e'"), ("mapping", "entityType")),
        (SourceKind.JSON, replace(mapping, entity_type="'e'"), ("mapping", "entityId")),
    ]

    problems = [validate_source("s", kind, each, LIMITS) for kind, each, _ in cases]
    few_steps = validate_source("s", SourceKind.JSON, mapping, replace(LIMITS, guard_steps=3))

    assert [[problem.path for problem in each] for each in problems] == [
        [path] for _, _, path in cases
    ]
    assert few_steps == [
        Problem(
            UserErrorCode.INVALID_INPUT,
            "At most 3 evaluation steps are allowed for all expressions of a mapping; for the "
            "largest possible payload, this mapping could take 4 steps. Simplify its expressions.",
            ("mapping",),
        )
    ]

"""A CloudEvent is parsed as a draft, or rejected with all its problems."""

from __future__ import annotations

import base64
import json
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import given

from app.domain.events.cloudevents import format_cloud_event, schema_url, translate_problem_path
from app.domain.events.severity import Outcome, Severity
from app.domain.events.state import Entity, EventDraft
from app.domain.intake.cloudevent_data import decode_json_data
from app.domain.intake.cloudevent_parsing import parse_cloud_event
from app.domain.intake.intake import Accepted, validate_report, validate_update
from app.domain.shared.limits import Limits
from app.domain.shared.problems import invalid_input
from tests.domain.examples import (
    EARLIER,
    EVENT_ID,
    NOW,
    accepted_event,
    codes_and_paths,
    make_command_context,
    make_draft,
    make_event,
    make_event_type,
    make_field,
    nest_value,
    rejected_problems,
)
from tests.domain.strategies import ANY_JSON

LEAST: dict[str, Any] = {"specversion": "1.0", "id": "17", "source": "/pumps/3", "type": "pump.on"}


def parse_draft(**overrides: Any) -> EventDraft:
    read = parse_cloud_event(LEAST | overrides, Limits())
    assert isinstance(read, EventDraft), read
    return read


def problem_paths(value: object, **limits: int) -> list[tuple[str, ...]]:
    """Returns the paths of the problems of a CloudEvent that is rejected."""
    read = parse_cloud_event(value, Limits(**limits))
    assert isinstance(read, list)
    assert read
    assert {problem.code.value for problem in read} == {"INVALID_INPUT"}
    return sorted(problem.path for problem in read)


def round_trip_event(**overrides: Any) -> dict[str, Any]:
    return format_cloud_event(
        accepted_event(
            validate_report(parse_draft(**overrides), None, make_command_context(), EVENT_ID)
        ),
        None,
    )


def test_a_cloud_event_becomes_a_report() -> None:
    draft = parse_draft(
        subject="bearing",
        time="2026-04-10T12:30:00.5+02:00",
        datacontenttype="application/json",
        planningtags=["StudyId:1", "ScenarioId:2"],
        severitytext="Warning",
        recordedtime="2026-04-10T10:30:01Z",
        traceparent="00-1",
        retries=3,
        simulated=False,
        data={"celsius": 91.5},
    )

    assert draft == EventDraft(
        type="pump.on",
        source="/pumps/3",
        source_id="17",
        subject="bearing",
        severity="Warning",
        occurred_at=datetime(2026, 4, 10, 10, 30, 0, 500_000, tzinfo=UTC),
        fields={"celsius": 91.5},
        tags=("StudyId:1", "ScenarioId:2"),
        extensions={"traceparent": "00-1", "retries": 3, "simulated": False},
        is_cloud_event=True,
    )


def test_a_null_attribute_is_absent() -> None:
    cloud_event = dict.fromkeys(
        ("subject", "time", "datacontenttype", "dataschema", "planningtags", "severitynumber", "x1")
    )

    assert parse_draft(**cloud_event) == parse_draft()
    assert problem_paths(LEAST | {"id": None}) == [("id",)]


def test_version_0_3_has_other_names_for_the_schema_and_binary_data() -> None:
    draft = parse_draft(
        specversion="0.3",
        schemaurl="https://example.com/s",
        datacontentencoding="Base64",
        datacontenttype="image/png",
        data="iVBORw==",
    )

    assert draft.payload == {
        "datacontenttype": "image/png",
        "dataschema": "https://example.com/s",
        "data_base64": "iVBORw==",
    }
    assert draft.extensions is None


@pytest.mark.parametrize(
    ("attributes", "places"),
    [
        ({"datacontentencoding": "gzip", "data": "a"}, [("datacontentencoding",)]),
        ({"datacontentencoding": "base64", "data": "a"}, [("data",)]),
        ({"datacontentencoding": "base64", "data": {"a": 1}}, [("data",)]),
        ({"dataschema": "https://example.com/s"}, [("dataschema",)]),
        ({"schemaurl": "s"}, [("dataschema",)]),
    ],
)
def test_attributes_that_version_0_3_lacks_are_rejected(
    attributes: dict[str, Any], places: list[tuple[str, ...]]
) -> None:
    assert problem_paths(LEAST | {"specversion": "0.3"} | attributes) == places


@pytest.mark.parametrize("value", [None, [], "{}", 1, True])
def test_a_cloud_event_must_be_an_object(value: object) -> None:
    assert problem_paths(value) == [()]


def test_all_problems_are_reported_together() -> None:
    value = {
        "specversion": "2.0",
        "source": "a b",
        "type": "",
        "subject": "",
        "time": "yesterday",
        "datacontenttype": "json",
        "dataschema": "/relative",
        "planningtags": ["ok", 7, "", "line\nbreak"],
        "severitytext": 5,
        "severitynumber": 2.5,
        "recordedtime": ["now"],
        "Trace-Parent": "x",
        "ratio": 0.5,
        "huge": 2**31,
        "note": "two\nlines",
        "half": "\ud800",
        "data": {},
        "data_base64": "%",
    }

    assert problem_paths(value) == [
        ("Trace-Parent",),
        ("data_base64",),
        ("data_base64",),
        ("datacontenttype",),
        ("dataschema",),
        ("half",),
        ("huge",),
        ("id",),
        ("note",),
        ("planningtags", "1"),
        ("planningtags", "2"),
        ("planningtags", "3"),
        ("ratio",),
        ("recordedtime",),
        ("severitynumber",),
        ("severitytext",),
        ("source",),
        ("specversion",),
        ("subject",),
        ("time",),
        ("type",),
    ]


@pytest.mark.parametrize("attribute", ["specversion", "id", "source", "type"])
@pytest.mark.parametrize("value", [None, "", 1, True, ["a"], {}])
def test_four_attributes_are_required_strings(attribute: str, value: object) -> None:
    assert {problem[0] for problem in problem_paths(LEAST | {attribute: value})} == {attribute}


@pytest.mark.parametrize(
    "source",
    [
        *(
            "/pumps/3",
            "pumps",
            "https://example.com/a?b=c#d",
            "urn:uuid:6e8bc430",
            "//h:80/p",
            "?q",
        ),
        *("mailto:a@b.example", "a%20b", "http://[::1]:8/", "./a:b", "#f", "1-555-123-4567"),
    ],
)
def test_a_source_is_a_uri_reference(source: str) -> None:
    assert parse_draft(source=source).source == source


@pytest.mark.parametrize(
    "source",
    ["a b", "a%2", "ü", "1:2", "<a>", "a#b#c", "http://[::1", "//h:port/", "a\\b", "a|b", "^"],
)
def test_a_source_that_is_not_a_uri_reference_is_rejected(source: str) -> None:
    assert problem_paths(LEAST | {"source": source}) == [("source",)]


@pytest.mark.parametrize("schema", ["https://example.com/s#a", "urn:schema:1"])
def test_a_data_schema_is_kept(schema: str) -> None:
    assert round_trip_event(dataschema=schema)["dataschema"] == schema


@pytest.mark.parametrize(
    ("attribute", "value"),
    [
        ("dataschema", "schema.json"),
        ("dataschema", "//example.com/s"),
        ("datacontenttype", "text"),
        ("datacontenttype", "text/plain; charset"),
        ("time", "2026-04-10"),
        ("time", "2026-04-10T10:30:00"),
        ("time", "2026-02-30T10:30:00Z"),
        ("subject", 5),
        ("subject", "a\x7f"),
        ("planningtags", "StudyId:1"),
        ("planningtags", {"StudyId": "1"}),
        ("planningtags", '{"StudyId": "1"}'),
        ("severitynumber", True),
        ("severitynumber", "high"),
        ("severitynumber", 2**31),
        ("a1", {"b": 1}),
        ("a1", -(2**31) - 1),
        ("a1", 1.0),
        ("A1", "x"),
        ("a_1", "x"),
        ("", "x"),
        ("é", "x"),
    ],
)
def test_an_invalid_attribute_value_is_rejected_with_its_path(
    attribute: str, value: object
) -> None:
    assert problem_paths(LEAST | {attribute: value}) == [(attribute,)]


def test_an_attribute_name_in_a_path_is_valid_utf_8() -> None:
    assert problem_paths(LEAST | {"\ud800" * 200: 1}) == [("\N{REPLACEMENT CHARACTER}" * 100,)]


def test_planning_tags_may_be_an_array_in_json_text() -> None:
    draft = parse_draft(planningtags='["StudyId:1", "ScenarioId:2"]')

    assert draft.tags == ("StudyId:1", "ScenarioId:2")


@pytest.mark.parametrize(
    ("attributes", "severity"),
    [
        ({}, Severity.INFO),
        ({"severitytext": "red"}, Severity.ERROR),
        ({"severitytext": "info", "severitynumber": 17}, Severity.INFO),
        ({"severitytext": "FATAL"}, Severity.ERROR),
        ({"severitytext": " fatal4 "}, Severity.ERROR),
        ({"severitytext": "Error3"}, Severity.ERROR),
        ({"severitytext": "WARN2"}, Severity.WARN),
        ({"severitytext": "INFO2"}, Severity.INFO),
        ({"severitytext": "debug"}, Severity.INFO),
        ({"severitytext": "TRACE"}, Severity.INFO),
        ({"severitytext": "DEBUG", "severitynumber": 17}, Severity.ERROR),
        ({"severitytext": "critical", "severitynumber": 18}, Severity.ERROR),
        ({"severitytext": "", "severitynumber": 13}, Severity.WARN),
        ({"severitytext": "FATAL", "severitynumber": 21}, Severity.ERROR),
        ({"severitynumber": -1}, Severity.INFO),
        ({"severitynumber": 8}, Severity.INFO),
        ({"severitynumber": 9}, Severity.INFO),
        ({"severitynumber": 10}, Severity.SUCCESS),
        ({"severitynumber": 12}, Severity.INFO),
        ({"severitynumber": 13}, Severity.WARN),
        ({"severitynumber": "16"}, Severity.WARN),
        ({"severitynumber": 17}, Severity.ERROR),
        ({"severitynumber": 24}, Severity.ERROR),
    ],
)
def test_a_known_severity_text_takes_precedence_over_the_number(
    attributes: dict[str, Any], severity: Severity
) -> None:
    result = validate_report(parse_draft(**attributes), None, make_command_context(), EVENT_ID)

    event = accepted_event(result)
    assert event.severity is severity
    assert event.severity_text == (attributes.get("severitytext") or None)
    assert result == Accepted(event)


@pytest.mark.parametrize("number", [{}, {"severitynumber": 0}, {"severitynumber": -5}])
def test_a_nonstandard_severity_text_without_a_number_is_a_warning(number: Any) -> None:
    draft = parse_draft(severitytext="critical", **number)

    result = validate_report(draft, None, make_command_context(), EVENT_ID)

    assert isinstance(result, Accepted)
    assert (result.event.severity, result.event.severity_text) == (Severity.INFO, "critical")
    assert codes_and_paths(result.warnings) == [("SEVERITY_UNKNOWN", ("severity",))]


def test_the_severity_extension_takes_precedence_over_the_severity_map() -> None:
    command = make_command_context(severity_map={"fatal": Severity.WARN, "p1": Severity.ERROR})

    severities = [
        accepted_event(validate_report(parse_draft(severitytext=text), None, command, EVENT_ID))
        for text in ("FATAL", "P1")
    ]

    assert [event.severity for event in severities] == [Severity.ERROR, Severity.ERROR]


@pytest.mark.parametrize("data", [None, "a\nb", "", [1, {"a": None}], 1.5, 0, True, False])
def test_data_that_is_not_an_object_is_returned_unchanged(data: object) -> None:
    draft = parse_draft(data=data, datacontenttype="text/plain; charset=utf-8")
    event = accepted_event(validate_report(draft, None, make_command_context(), EVENT_ID))

    assert event.fields == {}
    out = format_cloud_event(event, None)
    assert out["data"] == data
    assert type(out["data"]) is type(data)
    assert out["datacontenttype"] == "text/plain; charset=utf-8"


@pytest.mark.parametrize("content_type", [{}, {"datacontenttype": "application/json"}])
@pytest.mark.parametrize("text", ["", "AAEC", "AA==", "+/+/"])
def test_binary_data_is_returned_unchanged(text: str, content_type: dict[str, Any]) -> None:
    out = round_trip_event(data_base64=text, **content_type)

    assert out["data_base64"] == text
    assert "data" not in out
    assert out.get("datacontenttype") == content_type.get("datacontenttype")


@pytest.mark.parametrize("text", ["A", "AA", "AA=", "A A=", "-_-_", "é", 5, ["AA=="]])
def test_data_that_is_not_base64_is_rejected(text: object) -> None:
    assert problem_paths(LEAST | {"data_base64": text}) == [("data_base64",)]


def test_an_object_becomes_the_fields_and_keeps_its_content_type() -> None:
    out = round_trip_event(data={"a": 1}, datacontenttype="application/vnd.acme+json")

    assert out["data"] == {"a": 1}
    assert out["datacontenttype"] == "application/vnd.acme+json"


def test_without_data_the_fields_are_empty() -> None:
    out = round_trip_event()

    assert (out["data"], out["datacontenttype"]) == ({}, "application/json")


def test_data_of_a_registered_type_must_be_an_object() -> None:
    spec = make_event_type(make_field(required=True), type="pump.on")
    problems = rejected_problems(
        validate_report(parse_draft(data="text"), spec, make_command_context(), EVENT_ID)
    )

    [problem] = map(translate_problem_path, problems)
    assert (problem.path, problem.message) == (
        ("data",),
        "Event type 'pump.on' is registered, so data must be a JSON object.",
    )


def test_fields_of_an_update_replace_other_data() -> None:
    event = accepted_event(
        validate_report(parse_draft(data="text"), None, make_command_context(), EVENT_ID)
    )

    updated = accepted_event(
        validate_update(event, {"outcome": None, "fields": {}}, None, make_command_context())
    )
    replaced = accepted_event(
        validate_update(event, {"fields": {"a": 1}}, None, make_command_context())
    )

    assert format_cloud_event(updated, None)["data"] == "text"
    assert format_cloud_event(replaced, None)["data"] == {"a": 1}


@pytest.mark.parametrize("resolved_at", [None, EARLIER])
def test_attributes_that_tocsin_adds_are_parsed_by_another_server(
    resolved_at: datetime | None,
) -> None:
    sent = make_draft(content=None, alert_key="pump-3-tripped", resolved_at=resolved_at)
    event = accepted_event(validate_report(sent, None, make_command_context(), EVENT_ID))

    draft = parse_cloud_event(format_cloud_event(event, None), Limits())

    assert draft == replace(sent, acknowledged=None, is_cloud_event=True)


@pytest.mark.parametrize("resolved", [True, "true", False, "false", None])
def test_resolved_with_an_alert_key_states_that_the_condition_is_over_or_not(
    resolved: object,
) -> None:
    draft = parse_draft(alertkey="pump-3-tripped", resolved=resolved)

    assert (draft.alert_key, draft.extensions) == ("pump-3-tripped", None)
    assert draft.resolved == (True if resolved in (True, "true") else None)


@pytest.mark.parametrize("resolved", ["yes", "", 1, 0, "True"])
def test_any_other_value_of_resolved_with_an_alert_key_is_rejected(resolved: object) -> None:
    event = LEAST | {"alertkey": "pump-3-tripped", "resolved": resolved}

    assert problem_paths(event) == [("resolved",)]


@pytest.mark.parametrize(
    "extensions",
    [
        {"resolved": True},
        {"resolved": "yes", "alertkey": 5},
        {"resolvedtime": "yesterday", "resolved": True},
        {"resolvedtime": "2026-04-09T08:00:00.000000Z"},
    ],
)
def test_attributes_of_other_systems_that_resemble_a_resolution_are_kept(
    extensions: dict[str, Any],
) -> None:
    draft = parse_draft(**extensions)

    assert draft.extensions == extensions
    assert (draft.alert_key, draft.resolved, draft.resolved_at) == (None, None, None)


@pytest.mark.parametrize("time", ["2026-04-09T08:00:00.000000Z", "2026-04-09T08:00:00Z"])
def test_a_recovery_with_a_time_of_another_system_is_a_recovery(time: str) -> None:
    draft = parse_draft(alertkey="pump-3-tripped", resolved=True, resolvedtime=time)

    assert (draft.alert_key, draft.resolved, draft.resolved_at) == ("pump-3-tripped", True, None)
    assert draft.extensions == {"resolvedtime": time}


@pytest.mark.parametrize("alert_key", [5, "", "k" * 256, "pump\n3", ["pump-3"]])
def test_a_recovery_without_a_valid_alert_key_is_rejected(alert_key: object) -> None:
    event = LEAST | {"alertkey": alert_key, "resolved": True}

    assert problem_paths(event) == [("alertkey",)]


@pytest.mark.parametrize(
    "time", ["2026-04-09T08:00:00.000000Z", "2026-04-09T08:00:00Z", "2026-04-09t10:00:00+02:00"]
)
def test_the_resolution_of_an_exported_event_may_have_any_notation(time: str) -> None:
    draft = parse_draft(alertkey="pump-3-tripped", resolved=True, tocsinresolvedtime=time)

    assert (draft.resolved, draft.resolved_at, draft.extensions) == (None, EARLIER, None)


@pytest.mark.parametrize("time", ["yesterday", "", 5, "2026-04-09"])
def test_an_exported_event_with_an_invalid_resolution_is_rejected(time: object) -> None:
    event = LEAST | {"alertkey": "pump-3-tripped", "resolved": True, "tocsinresolvedtime": time}

    assert problem_paths(event) == [("tocsinresolvedtime",)]


def test_a_cloud_event_contains_every_attribute_of_the_event() -> None:
    event = make_event(
        subject=None,
        extensions={"traceparent": "00-1"},
        payload=None,
        alert_key="pump-3-tripped",
        resolved_at=EARLIER,
    )

    out = format_cloud_event(event, schema_url("https://tocsin.example/", event))

    assert out == {
        "specversion": "1.0",
        "id": "trip-17",
        "source": "//scada/pumps",
        "type": "pump.tripped",
        "subject": "Well/well-001",
        "time": "2026-04-09T08:00:00.000000Z",
        "datacontenttype": "application/json",
        "dataschema": "https://tocsin.example/event-types/pump.tripped/schema.json?version=3",
        "severitytext": "WARN",
        "severitynumber": 13,
        "recordedtime": "2026-04-09T08:00:00.000000Z",
        "partitionkey": "Well/well-001",
        "planningtags": ["Study:12"],
        "traceparent": "00-1",
        "entitytype": "Well",
        "entityid": "well-001",
        "outcome": "FAILURE",
        "notification": True,
        "summary": "Pump 3 tripped",
        "alertkey": "pump-3-tripped",
        "resolved": True,
        "tocsinresolvedtime": "2026-04-09T08:00:00.000000Z",
        "tocsintypeversion": 3,
        "data": {"pressure": 4.5},
    }


def test_absent_attributes_are_left_out() -> None:
    event = accepted_event(
        validate_report(EventDraft(source="/a"), None, make_command_context(), EVENT_ID)
    )

    out = format_cloud_event(event, None)

    assert out == {
        "specversion": "1.0",
        "id": str(EVENT_ID),
        "source": "/a",
        "type": "notice",
        "time": "2026-04-10T10:30:00.000000Z",
        "datacontenttype": "application/json",
        "severitytext": "INFO",
        "severitynumber": 9,
        "recordedtime": "2026-04-10T10:30:00.000000Z",
        "partitionkey": "/a",
        "data": {},
    }


@pytest.mark.parametrize(
    ("attributes", "key"),
    [
        ({}, "/pumps/3"),
        ({"subject": "bearing"}, "bearing"),
        ({"subject": "bearing", "entitytype": "Well", "entityid": "1"}, "Well/1"),
        ({"subject": "bearing", "partitionkey": "mine"}, "mine"),
        ({"partitionkey": 5}, 5),
    ],
)
def test_the_default_partition_key_is_the_subject_or_entity(
    attributes: dict[str, Any], key: object
) -> None:
    assert round_trip_event(**attributes)["partitionkey"] == key


@pytest.mark.parametrize(
    "attributes",
    [
        {"entitytype": "Well"},
        {"entityid": "well-001"},
        {"entitytype": "", "entityid": "well-001"},
        {"entitytype": True, "entityid": 5},
        {"outcome": "success"},
        {"outcome": True},
        {"notification": False},
        {"notification": "true"},
        {"notification": 1},
        {"summary": 5},
        {"summary": "x" * 1001},
    ],
)
def test_an_attribute_that_tocsin_could_not_have_added_is_an_extension(
    attributes: dict[str, Any],
) -> None:
    draft = parse_draft(**attributes)

    assert draft == replace(parse_draft(), extensions=attributes)
    assert {name: round_trip_event(**attributes)[name] for name in attributes} == attributes


def test_entity_outcome_notification_and_summary_are_read() -> None:
    draft = parse_draft(
        entitytype="Well", entityid="1", outcome="FAILURE", notification=True, summary="Trip"
    )

    assert draft.extensions is None
    assert (draft.entity, draft.outcome, draft.notification, draft.summary) == (
        Entity("Well", "1"),
        Outcome.FAILURE,
        True,
        "Trip",
    )


def test_a_reported_summary_is_formatted_as_one_line() -> None:
    spec = make_event_type(make_field(), type="pump.on")
    silent = accepted_event(validate_report(parse_draft(), spec, make_command_context(), EVENT_ID))
    event = accepted_event(
        validate_report(
            parse_draft(summary="Flaring Incident"), spec, make_command_context(), EVENT_ID
        )
    )
    lines = accepted_event(
        validate_report(EventDraft(summary="one\r\ntwo"), None, make_command_context(), EVENT_ID)
    )

    assert silent.summary == event.summary == "Flaring Incident"
    assert "summary" not in format_cloud_event(silent, None)
    assert format_cloud_event(event, None)["summary"] == "Flaring Incident"
    assert format_cloud_event(lines, None)["summary"] == "one  two"


@pytest.mark.parametrize(
    ("source", "written"),
    [
        ("admin service", "admin%20service"),
        ("100%", "100%25"),
        ("a%20b", "a%20b"),
        ("1:2", "1%3A2"),
        ("größe", "gr%C3%B6%C3%9Fe"),
        ("a[1]", "a%5B1%5D"),
        ("é" * 255, "urn:sha256:2a1d012ff2a7aa952e3c47c73e8a32863ee9c7d7b2a87810b18372f632cda48c"),
    ],
)
def test_a_source_that_is_not_a_uri_reference_is_encoded_as_one(source: str, written: str) -> None:
    assert format_cloud_event(make_event(source=source), None)["source"] == written


@pytest.mark.parametrize(
    ("attributes", "place", "expected_message"),
    [
        ({"id": "x" * 256}, ("id",), "255"),
        ({"subject": "x" * 256}, ("subject",), "255"),
        ({"type": "x" * 256}, ("type",), "255"),
        ({"planningtags": ["a"] * 101}, ("planningtags",), "100"),
        ({"planningtags": ["x" * 256]}, ("planningtags", "0"), "255"),
        ({"data": "x" * 131_071}, ("data",), "131,072"),
        ({"data": nest_value(51)}, ("data",), "50"),
        ({"data_base64": "AAAA" * 32_768}, ("data_base64",), "131,072"),
        ({f"x{n}": n for n in range(101)}, (), "100"),
        ({f"x{n}": "y" * 9_000 for n in range(2)}, (), "16,384"),
        ({"dataschema": "urn:" + "x" * 4_093}, ("dataschema",), "4,096"),
    ],
)
def test_a_value_over_its_limit_is_rejected_with_the_limit(
    attributes: dict[str, Any], place: tuple[str, ...], expected_message: str
) -> None:
    read = parse_cloud_event(LEAST | attributes, Limits())

    assert isinstance(read, list)
    [problem] = read
    assert problem.path == place
    assert expected_message in problem.message


def encode_json(value: Any) -> dict[str, Any]:
    data = base64.b64encode(json.dumps(value).encode()).decode()
    return {"datacontenttype": "application/json", "data_base64": data}


@pytest.mark.parametrize("value", [{"a": "x" * 200_000}, ["x" * 131_000]])
def test_the_limit_of_base64_data_does_not_apply_to_json(value: Any) -> None:
    read = parse_cloud_event(LEAST | encode_json(value), Limits())

    assert not isinstance(read, list)
    decoded = decode_json_data(read, Limits())
    assert (decoded.fields or (decoded.payload or {})["data"]) == value


@pytest.mark.parametrize("value", [["x" * 131_072], ["\0" + "x" * 131_000]])
def test_large_json_that_is_not_stored_as_json_is_rejected_with_the_limit(value: Any) -> None:
    read = parse_cloud_event(LEAST | encode_json(value), Limits())

    assert isinstance(read, list)
    [problem] = read
    assert problem.path == ("data_base64",)
    assert "131,072" in problem.message


def test_a_hundred_extensions_and_the_default_partition_key_are_accepted() -> None:
    attributes = {f"x{n}": n for n in range(100)} | {"partitionkey": "/pumps/3"}

    assert round_trip_event(**attributes)["x99"] == 99


@given(ANY_JSON)
def test_any_input_is_parsed_or_rejected(value: object) -> None:
    for each in (value, {"data": value}, LEAST | {"data": value}, LEAST | {"a1": value}):
        read = parse_cloud_event(each, Limits())
        assert isinstance(read, EventDraft) or read


def test_a_problem_of_a_draft_has_the_path_of_the_cloud_event_attribute() -> None:
    ahead = NOW.replace(year=2027)
    draft = parse_draft(time=ahead.isoformat(), data={"volume": "many"})
    spec = make_event_type(make_field(), type="pump.on")

    problems = rejected_problems(validate_report(draft, spec, make_command_context(), EVENT_ID))

    renamed = [translate_problem_path(each) for each in problems]
    assert codes_and_paths(renamed) == [
        ("FIELD_INVALID", ("data", "volume")),
        ("INVALID_INPUT", ("time",)),
    ]
    entity = translate_problem_path(invalid_input("", "entity", "type"))
    assert entity.path == ("entitytype",)


# Computed by version 15a5270, which stored them: retries of these CloudEvents are replays.
STORED_DIGESTS: list[tuple[dict[str, Any], str]] = [
    ({}, "783cf2f566ffcac6ab6467f8c11cbcf1fd881a62d535d706dba35ab7e7f5507b"),
    (
        {"severitytext": "NOTICE"},
        "24b4eba4c9ea299f1fcb8b118db1ad945882b0dbd8c46f4828219ec33308d140",
    ),
    *(
        (attributes, "d2549f580127238fee67ac331d87887e09263dd3874915d4e43d6c030f712fd6")
        for attributes in (
            {"severitynumber": 0},
            {"severitytext": "NOTICE", "severitynumber": 0},
            {"severitytext": "NOTICE", "severitynumber": -1},
            {"severitytext": "FATAL", "severitynumber": 0},
            {"severitytext": "FATAL", "severitynumber": 9},
            {"severitytext": "", "severitynumber": 0},
        )
    ),
    (
        {"severitytext": "FATAL"},
        "7993a5bcd9e925f3a75fadb7627364fb278ded8dd7e91287642d07e93e916e61",
    ),
    (
        {"severitytext": "warning", "severitynumber": 0},
        "5b61990fed79c49b3391159cb426ed629fc4927c81f85e448655f1f29f0dbcb5",
    ),
    (
        {"severitytext": "NOTICE", "severitynumber": 17},
        "8b42699ddddbbdff2fb8e02464f0af0e5f19de3059e96a574625a09ee6a927d8",
    ),
    (
        {"severitynumber": 10},
        "4a1ef5bbaaabcad00285820d04d5ce3a35d1a7fc911a6f2b5f76e45f35bae687",
    ),
]


@pytest.mark.parametrize(("attributes", "digest"), STORED_DIGESTS)
def test_the_digest_of_a_severity_is_that_of_the_first_version(
    attributes: dict[str, Any], digest: str
) -> None:
    assert parse_draft(**attributes).first_version_digest() == digest


@pytest.mark.parametrize("number", [0, -1])
@pytest.mark.parametrize(
    ("text", "severity", "warnings"),
    [
        ({}, (Severity.INFO, None), 0),
        ({"severitytext": ""}, (Severity.INFO, None), 0),
        ({"severitytext": "FATAL"}, (Severity.ERROR, "FATAL"), 0),
        ({"severitytext": "P1"}, (Severity.ERROR, "P1"), 0),
        ({"severitytext": "NOTICE"}, (Severity.INFO, "NOTICE"), 1),
    ],
)
def test_an_unspecified_number_leaves_the_severity_to_the_text(
    number: int, text: dict[str, str], severity: tuple[Severity, str | None], warnings: int
) -> None:
    command = make_command_context(severity_map={"p1": Severity.ERROR})
    draft = parse_draft(severitynumber=number, **text)

    result = validate_report(draft, None, command, EVENT_ID)

    assert isinstance(result, Accepted)
    assert (result.event.severity, result.event.severity_text) == severity
    assert len(result.warnings) == warnings


@pytest.mark.parametrize(
    "text", ["critical", "P1", "warning", "Red", "FATAL2", "NOTICE", "green", None, "two\nlines"]
)
@pytest.mark.parametrize("map_there", [{}, {"notice": Severity.ERROR, "p1": Severity.WARN}])
def test_an_outgoing_event_has_the_reported_severity_and_gives_the_same_event(
    text: str | None, map_there: dict[str, Severity]
) -> None:
    here = make_command_context(severity_map={"critical": Severity.ERROR, "p1": Severity.ERROR})
    event = accepted_event(validate_report(make_draft(severity=text), None, here, EVENT_ID))
    one_line = text and text.replace("\n", " ")

    out = format_cloud_event(event, None)
    draft = parse_cloud_event(out, Limits())
    assert isinstance(draft, EventDraft)
    there = make_command_context(severity_map=map_there)
    again = validate_report(draft, None, there, EVENT_ID)

    assert out["severitytext"] == (one_line or "INFO")
    assert isinstance(again, Accepted)
    assert (again.event.severity, again.event.severity_text) == (event.severity, one_line or "INFO")
    assert again.warnings == ()

"""Events of producers as they come: an event type reads the fields from names and paths of others.

The samples are written by hand after the public formats. Their names and values are invented.
"""

from __future__ import annotations

import base64
import json
import re
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest

from app.domain.event_types.fields import FieldDefinition, FieldKind
from app.domain.rules.expressions import Expression, compile_expression
from app.domain.shared.limits import Limits
from tests.client import ADMINISTRATOR, Client
from tests.cloudevent_client import fetch_by_source, post_cloud_events, send_structured
from tests.conftest import Serve
from tests.event_type_client import codes_and_paths, define_event_type, field_input

SAMPLES = Path(__file__).parent / "producers"
OPERATIONS = Path(__file__).parents[2] / "docs" / "operations.md"
FOUND = """query ($filter: EventFilter) {
  events(filter: $filter) { nodes { sourceId fieldValues { name value } } } }"""
CREATE_ORGANIZATION = """mutation ($key: String!) {
  createOrganization(key: $key, name: $key) { userErrors { message } } }"""


def field(name: str, kind: str = "TEXT", source_key: str | None = None, **more: Any) -> Any:
    return field_input(name, kind, sourceKey=source_key, **more)


# `additionalFields` and the fields of the event type, and the values that it reads from the sample.
PRODUCERS: dict[str, tuple[str, list[Any], dict[str, Any]]] = {
    "azure_blob_created": (
        "REFUSE",
        [
            *(field(name) for name in ("api", "clientRequestId", "requestId", "eTag")),
            field("contentType", required=True),
            field("contentLength", "INTEGER", required=True, minimum=0),
            field("blobType", "SELECT", options=["BlockBlob", "PageBlob", "AppendBlob"]),
            field("url", "URL"),
            *(field(name) for name in ("accessTier", "sequencer")),
            field("batch_id", source_key="storageDiagnostics.batchId"),
        ],
        {
            "api": "PutBlockList",
            "clientRequestId": "0b9f5d44-6a2f-4a52-8d0f-6e1c2a9c70b5",
            "requestId": "4c2b7f0e-301e-0063-1a55-9d2c0b000000",
            "eTag": "0x8DC59445F1B2A36",
            "contentType": "text/plain",
            "contentLength": 1_843_204,
            "blobType": "BlockBlob",
            "url": "https://wellarchive.blob.core.windows.net/welllogs/north/well-007/run-3.las",
            "accessTier": "Default",
            "sequencer": "000000000000000000000000000112A90000000000ab41c2",
            "batch_id": "a3d1d9c7-7006-0041-0055-9d4f53000000",
        },
    ),
    "github_push": (
        "DROP",
        [
            field("ref", required=True),
            field("repository", source_key="repository.full_name"),
            field("private", "BOOLEAN", "repository.private"),
            field("stars", "INTEGER", "repository.stargazers_count"),
            field("topics", "MULTI_SELECT", "repository.topics", options=["flaring", "gas"]),
            field("pusher", "EMAIL", "pusher.email"),
            field("head_commit", source_key="head_commit.id"),
            field("message", "LONG_TEXT", "head_commit.message"),
            field("committed_at", "DATETIME", "head_commit.timestamp"),
            field("forced", "BOOLEAN"),
        ],
        {
            "ref": "refs/heads/main",
            "repository": "north-field/flare-model",
            "private": True,
            "stars": 14,
            "topics": ["flaring", "gas"],
            "pusher": "ada.fields@example.com",
            "head_commit": "c81f2b7740a3c6e1fd9b2d8c2b6c3c0a4de90f42",
            "message": "Read the wind speed in m/s\n\nThe station reports knots since March.",
            "committed_at": "2026-04-10T11:52:47+02:00",
            "forced": False,
        },
    ),
    "cdevents_build_finished": (
        "DROP",
        [
            field("subject", source_key="subject.id"),
            field("artifactId", source_key="subject.content.artifactId", required=True),
            field("finished_at", "DATETIME", "context.timestamp"),
            field("runner_minutes", "NUMBER", "customData.runner.minutes"),
        ],
        {
            "subject": "flare-model-1042",
            "artifactId": "pkg:oci/flare-model@sha256%3A9f2c41a1d1e0aa0f6f0e0c9c2f1b0d3a"
            "?repository_url=registry.example.com",
            "finished_at": "2026-04-10T10:05:11.204Z",
            "runner_minutes": 7.5,
        },
    ),
    "debezium_change": (
        "KEEP",
        [
            field("well", "INTEGER", "after.id", required=True),
            field("status", source_key="after.status"),
            field("previous_status", source_key="before.status"),
        ],
        {"well": 7, "status": "shut_in", "previous_status": "producing"},
    ),
    "dapr_order": (
        "REFUSE",
        [
            field("orderId", "INTEGER"),
            field("sku", source_key="item.sku"),
            field("quantity", "INTEGER", "item.quantity"),
        ],
        {"orderId": 4711, "sku": "VALVE-2IN", "quantity": 12},
    ),
    "google_audit_log": (
        "KEEP",
        [
            field("method", source_key="protoPayload.methodName", required=True),
            field("principal", "EMAIL", "protoPayload.authenticationInfo.principalEmail"),
            field("caller_ip", source_key="protoPayload.requestMetadata.callerIp"),
            field("bucket", source_key="resource.labels.bucket_name"),
            field("severity", "SELECT", options=["INFO", "NOTICE", "ERROR"]),
        ],
        {
            "method": "storage.objects.create",
            "principal": "loader@wells.iam.gserviceaccount.com",
            "caller_ip": "198.51.100.7",
            "bucket": "well-logs",
            "severity": "INFO",
        },
    ),
}


def load_sample(name: str) -> dict[str, Any]:
    sample: dict[str, Any] = json.loads((SAMPLES / f"{name}.json").read_text())
    return sample


async def send_in_binary_mode(client: Client, event: dict[str, Any]) -> Any:
    headers = {
        f"ce_{name}": quote(str(value), safe="/:;=%{}[],")
        for name, value in event.items()
        if name not in ("data", "datacontenttype") and value is not None
    }
    content_type = event.get("datacontenttype", "application/json")
    body = json.dumps(event["data"]).encode()
    return await post_cloud_events(client, body, content_type=content_type, **headers)


async def send_as_base64(client: Client, event: dict[str, Any]) -> Any:
    encoded = base64.b64encode(json.dumps(event["data"]).encode()).decode()
    content_type = event.get("datacontenttype", "application/json")
    without_data = {name: value for name, value in event.items() if name != "data"}
    encoded_data = {"datacontenttype": content_type, "data_base64": encoded}
    return await send_structured(client, without_data | encoded_data)


async def send_as_batch(client: Client, event: dict[str, Any]) -> Any:
    return await send_structured(client, [event])


MODES = {
    "structured": send_structured,
    "binary": send_in_binary_mode,
    "batched": send_as_batch,
    "base64": send_as_base64,
}


async def define_producer_type(client: Client, name: str) -> Any:
    additional_fields, fields, _ = PRODUCERS[name]
    type = load_sample(name)["type"]
    return await define_event_type(
        client, *fields, type=type, name=name, additionalFields=additional_fields
    )


@pytest.mark.parametrize("name", PRODUCERS)
async def test_an_event_of_a_producer_becomes_an_event_of_its_type(
    client: Client, name: str
) -> None:
    await define_producer_type(client, name)
    sample, (additional_fields, _, values) = load_sample(name), PRODUCERS[name]

    for mode, send in MODES.items():
        answer = await send(client, sample | {"id": mode})
        assert (mode, answer.status_code, answer.json()["results"][0]["errors"]) == (mode, 202, [])
        stored = await fetch_by_source(client, mode, sample["source"])

        kept = sample["data"] if additional_fields == "KEEP" else {}
        assert (mode, stored["fields"]) == (mode, kept | values)
        assert stored["type"] == sample["type"]
        assert stored["subject"] == sample.get("subject")

    nodes = (await client.execute_field(FOUND, filter={"types": [sample["type"]]}))["nodes"]
    assert {node["sourceId"] for node in nodes} == MODES.keys()
    for node in nodes:
        assert {each["name"]: each["value"] for each in node["fieldValues"]} == values


@pytest.mark.parametrize("name", PRODUCERS)
async def test_an_outgoing_event_is_read_by_the_same_type_of_another_organization(
    client: Client, name: str
) -> None:
    await define_producer_type(client, name)
    sample = load_sample(name)
    await send_structured(client, sample)
    sent = await fetch_by_source(client, sample["id"], sample["source"])
    other_key = f"{client.headers['data-partition-id']}-other"
    assert (await client.execute_field(CREATE_ORGANIZATION, key=other_key))["userErrors"] == []
    other = client.as_key(ADMINISTRATOR, data_partition_id=other_key)
    await define_producer_type(other, name)

    answer = await send_structured(other, sent["cloudEvent"])

    assert answer.status_code == 202
    received = await fetch_by_source(other, sample["id"], sample["source"])
    assert received["fields"] == sent["fields"]
    assert received["cloudEvent"] | {"recordedtime": ""} == sent["cloudEvent"] | {
        "recordedtime": ""
    }


async def test_the_sample_of_a_push_has_the_size_of_a_real_one() -> None:
    size = len(json.dumps(load_sample("github_push")))

    assert 7_000 < size < 11_000


async def test_an_event_grid_schema_of_a_hash_sign_is_no_schema(client: Client) -> None:
    sample = load_sample("azure_blob_created")

    await send_structured(client, sample)

    stored = await fetch_by_source(client, sample["id"], sample["source"])
    assert sample["dataschema"] == "#"
    assert "dataschema" not in stored["cloudEvent"]


async def test_the_same_report_is_a_replay_whatever_the_type_reads(client: Client) -> None:
    sample = load_sample("dapr_order")
    await send_structured(client, sample)
    await define_producer_type(client, "dapr_order")

    again = await send_structured(client, sample)

    [result] = again.json()["results"]
    assert (result["status"], result["duplicate"], result["errors"]) == (202, True, [])


async def test_errors_name_the_path_in_the_data(client: Client) -> None:
    await define_event_type(
        client,
        field("bytes", "INTEGER", "api.contentLength", required=True),
        field("user", source_key="user.name"),
        field("note"),
    )
    event = {"specversion": "1.0", "source": "/a", "type": "gauge"}

    invalid = await send_structured(
        client, event | {"id": "1", "data": {"api": {"contentLength": "x", "other": 1}, "note": 1}}
    )
    missing = await send_structured(client, event | {"id": "2", "data": {"user": {"name": "Ada"}}})

    assert sorted(codes_and_paths(invalid.json()["errors"])) == [
        ("FIELD_INVALID", "data.api.contentLength"),
        ("FIELD_INVALID", "data.note"),
        ("FIELD_UNKNOWN", "data.api"),
    ]
    assert codes_and_paths(missing.json()["errors"]) == [
        ("FIELD_REQUIRED", "data.api.contentLength")
    ]


@pytest.mark.parametrize(
    ("data", "value"),
    [
        ({"a": {"b": "path"}}, "path"),
        ({"a.b": "key", "a": {"b": "path"}}, "key"),
        ({"field": "name"}, "name"),
        ({"field": "name", "a": {"b": "path"}}, "path"),
        ({"a": {"b": None}, "field": "name"}, "name"),
        ({"a": {}, "field": "name"}, "name"),
        ({"a": "text"}, None),
        ({"a": [{"b": "in a list"}]}, None),
    ],
)
async def test_a_value_is_found_by_path_then_by_name(
    client: Client, data: dict[str, Any], value: str | None
) -> None:
    await define_event_type(client, field("field", source_key="a.b"), additionalFields="KEEP")
    event = {"specversion": "1.0", "id": "1", "source": "/a", "type": "gauge", "data": data}

    answer = await send_structured(client, event)

    stored = await fetch_by_source(client, "1", "/a")
    assert answer.status_code == 202
    assert stored["fields"] == data | ({} if value is None else {"field": value})


@pytest.mark.parametrize("additional_fields", ["REFUSE", "KEEP", "DROP"])
@pytest.mark.parametrize(
    ("data", "fields", "is_replaced"),
    [
        ({"id": "evt", "data": {"id": "x"}}, {"id": "x"}, True),
        ({"id": {"no": 1}, "data": {"id": "x"}}, {"id": "x"}, True),
        ({"id": "x", "data": {"id": "x"}}, {"id": "x"}, False),
        ({"id": None, "data": {"id": "x"}}, {"id": "x"}, False),
        ({"data": {"id": "x"}}, {"id": "x"}, False),
        ({"id": "evt"}, {"id": "evt"}, False),
    ],
)
async def test_a_property_that_a_field_of_the_same_name_replaces_causes_a_warning(
    client: Client,
    additional_fields: str,
    data: dict[str, Any],
    fields: dict[str, Any],
    is_replaced: bool,
) -> None:
    await define_event_type(
        client, field("id", source_key="data.id"), additionalFields=additional_fields
    )
    event = {"specversion": "1.0", "id": "1", "source": "/a", "type": "gauge", "data": data}

    answer = await send_structured(client, event)

    assert answer.status_code == 202
    [result] = answer.json()["results"]
    warnings = codes_and_paths(result["warnings"])
    assert warnings == ([("FIELD_UNKNOWN", "data.id")] if is_replaced else [])
    if is_replaced:
        assert result["warnings"][0]["message"] == (
            "The property 'id' of the data was dropped: the sourceKey of field 'id' is 'data.id'. "
            "To store both values, give the field a different name."
        )
    kept = data if additional_fields == "KEEP" else {}
    stored = await fetch_by_source(client, "1", "/a")
    assert stored["fields"] == kept | fields


async def test_a_property_whose_members_are_all_read_is_not_replaced(client: Client) -> None:
    await define_event_type(
        client, field("user", source_key="user.name"), field("mail", source_key="user.mail")
    )
    event = {"specversion": "1.0", "id": "1", "source": "/a", "type": "gauge"}
    users = [{"name": "Ada", "mail": "a@b"}, {"name": "Ada", "mail": "a@b", "team": "gas"}]

    answers = [
        await send_structured(client, event | {"id": str(index), "data": {"user": user}})
        for index, user in enumerate(users)
    ]

    warnings = [codes_and_paths(each.json()["results"][0]["warnings"]) for each in answers]
    assert warnings == [[], [("FIELD_UNKNOWN", "data.user")]]
    stored = [(await fetch_by_source(client, id, "/a"))["fields"] for id in ("0", "1")]
    assert stored == [{"user": "Ada", "mail": "a@b"}] * 2


async def test_reports_that_are_not_cloud_events_use_the_name_of_the_field(client: Client) -> None:
    await define_event_type(client, field("bytes", "INTEGER", "api.contentLength"))
    log = "mutation ($input: LogEventInput!) { logEvent(input: $input) { event { fields } %s } }"

    by_name, by_path = [
        await client.execute_field(
            log % "userErrors { code path }", input={"type": "gauge", "fields": fields}
        )
        for fields in ({"bytes": 3}, {"api": {"contentLength": 3}})
    ]

    assert by_name["event"]["fields"] == {"bytes": 3}
    assert codes_and_paths(by_path["userErrors"]) == [("FIELD_UNKNOWN", "input.fields.api")]


@pytest.mark.parametrize(
    ("content_type", "data", "expected"),
    [
        ("application/json", b'{"a": 1}', {"data": {"a": 1}}),
        ("application/json", b'\xef\xbb\xbf{"a": "\xc3\xa9"}', {"data": {"a": "é"}}),
        ("application/vnd.acme+json;charset=UTF-8", b"[1, 2]", {"data": [1, 2]}),
        ("application/json", b"null", {"data": None}),
        ("application/json", b"{", None),
        ("application/json", b'{"a": 1, "a": 2}', None),
        ("application/json; charset=utf-16", b'{"a": 1}', None),
        ("application/json", b'"\\u0000"', None),
        ("application/octet-stream", b'{"a": 1}', None),
        (None, b'{"a": 1}', None),
    ],
)
async def test_base64_data_that_is_json_is_decoded_and_other_bytes_stay_bytes(
    client: Client, content_type: str | None, data: bytes, expected: dict[str, Any] | None
) -> None:
    encoded = base64.b64encode(data).decode()
    event = {"specversion": "1.0", "id": "1", "source": "/a", "type": "free"}

    answer = await send_structured(
        client, event | {"datacontenttype": content_type, "data_base64": encoded}
    )

    assert answer.status_code == 202
    sent = (await fetch_by_source(client, "1", "/a"))["cloudEvent"]
    kept = {name: sent[name] for name in ("data", "data_base64") if name in sent}
    assert kept == (expected or {"data_base64": encoded})
    assert sent.get("datacontenttype") == content_type


async def test_a_setting_allows_larger_data(serve: Serve, database_url: str) -> None:
    sample = load_sample("github_push")
    commits = sample["data"]["commits"] * 250
    large = sample | {"data": sample["data"] | {"commits": commits}}
    assert len(json.dumps(large)) > 300_000

    async with serve(database_url) as client:
        refused = await send_structured(client, large)
    limits = Limits(fields_bytes=1_048_576, data_bytes=1_048_576)
    async with serve(database_url, limits=limits) as client:
        answers = [await send(client, large | {"id": mode}) for mode, send in MODES.items()]
        stored = [await fetch_by_source(client, mode, large["source"]) for mode in MODES]

    [error] = refused.json()["errors"]
    assert (refused.status_code, error["path"]) == (400, ["data"])
    assert "65,536" in error["message"]
    assert [answer.status_code for answer in answers] == [202] * len(MODES)
    assert all(event["fields"]["commits"] == commits for event in stored)


@pytest.mark.parametrize("mode", MODES)
async def test_a_type_that_drops_additional_fields_accepts_large_data(
    client: Client, mode: str
) -> None:
    await define_producer_type(client, "github_push")
    sample = load_sample("github_push")
    large = sample["data"] | {"commits": sample["data"]["commits"] * 250}

    answer = await MODES[mode](client, sample | {"data": large})

    assert answer.status_code == 202
    stored = await fetch_by_source(client, sample["id"], sample["source"])
    assert stored["fields"] == PRODUCERS["github_push"][2]


async def test_the_limit_of_fields_applies_to_the_kept_values_of_base64_data(
    client: Client,
) -> None:
    await define_producer_type(client, "debezium_change")
    sample = load_sample("debezium_change")
    large = sample["data"] | {"transaction": ["x" * 1_000] * 200}

    answer = await send_as_base64(client, sample | {"data": large})

    [error] = answer.json()["errors"]
    assert (answer.status_code, error["code"], error["path"]) == (400, "INVALID_INPUT", ["data"])
    assert "65,536" in error["message"]
    assert await client.execute_field("{ events { totalCount } }") == {"totalCount": 0}


def test_the_page_about_larger_events_names_settings_that_suffice_for_guard_rules() -> None:
    settings = {
        name.lower(): int(value)
        for name, value in re.findall(r"TOCSIN_LIMITS__(\w+)=(\d+)", OPERATIONS.read_text())
    }
    fields = (FieldDefinition("ref", FieldKind.TEXT),)
    expression = "event.fields.ref.matches('^refs/heads/[a-z]+$')"
    only_larger = Limits(fields_bytes=settings["fields_bytes"])

    compiled = compile_expression(expression, fields, Limits(**settings))

    assert settings.keys() == {"fields_bytes", "data_bytes", "expression_steps", "guard_steps"}
    assert isinstance(compiled, Expression)
    assert not isinstance(compile_expression(expression, fields, only_larger), Expression)

"""CloudEvents as the SDKs for Python and JavaScript send them, in every mode and both versions.

Neither SDK writes batches: their structured events are joined by the test. The Python SDK accepts
no text for JSON data. The JavaScript SDK does not percent-encode headers: it can send other
characters than ASCII only in structured mode.
"""

from __future__ import annotations

import asyncio
import base64
import json
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest
from cloudevents.core.base import BaseCloudEvent
from cloudevents.core.bindings.http import to_binary_event, to_structured_event
from cloudevents.core.formats.json import JSONFormat
from cloudevents.core.v03.event import CloudEvent as FormerCloudEvent
from cloudevents.core.v1.event import CloudEvent

from app.http.cloudevent_messages import BATCH_MEDIA_TYPE, PATH
from tests.client import Client
from tests.cloudevent_client import fetch_by_source, post_cloud_events
from tests.node import install_packages, node_environment

SENDER = Path(__file__).parents[1] / "cloudevents"
MODES = ("structured", "binary", "batch")
Sent = dict[str, Any]

_FIRST: Sent = {"specversion": "1.0", "id": "", "source": "https://sdk.test/wells", "type": "x.y"}
_FORMER = _FIRST | {"specversion": "0.3"}
_JSON = {"datacontenttype": "application/json", "data": {"depth": 3.5, "größe": ["€", None]}}
_ATTRIBUTES = {
    "subject": 'w 1/"100%"',
    "time": "2026-04-10T12:00:00.250000Z",
    "comexample": "some value",
}
EVENTS: dict[str, Sent] = {
    "json": _FIRST | _ATTRIBUTES | _JSON | {"dataschema": "https://sdk.test/schema"},
    "text": _FIRST | {"datacontenttype": "text/plain", "data": "Größe €"},
    "bytes": _FIRST | {"datacontenttype": "image/png", "bytes": "iVBORwD/"},
    "nothing": _FIRST | {"severitynumber": 17},
    "former json": _FORMER | _JSON | {"schemaurl": "https://sdk.test/schema"},
    "former text": _FORMER | {"datacontenttype": "text/plain", "data": "Größe €"},
}
NOT_ASCII = _FIRST | {"subject": "Größe €😀"}
FORMER_BYTES = _FORMER | {"datacontenttype": "image/png", "bytes": "iVBORwD/"}


@pytest.fixture
def client(own_client: Client) -> Client:
    """The SDK for JavaScript sends no header that selects an organization."""
    return own_client


def with_sdk_ids(sdk: str, mode: str, events: dict[str, Sent]) -> list[Sent]:
    return [event | {"id": f"{sdk} {mode} {name}"} for name, event in events.items()]


async def check_stored_event(client: Client, sent: Sent) -> None:
    """Asserts that the stored event equals the sent one and is returned as CloudEvents 1.0."""
    event = await fetch_by_source(client, sent["id"], sent["source"])
    out = event["cloudEvent"]
    data = sent.get("data")
    JSONFormat().read(None, json.dumps(out))  # raises for an invalid CloudEvent
    assert event["type"] == sent["type"]
    assert event["fields"] == (data if isinstance(data, dict) else {})
    for name in ("id", "source", "type", "subject", "comexample", "datacontenttype"):
        if name in sent:
            assert (name, out[name]) == (name, sent[name])
    if "time" in sent:
        assert datetime.fromisoformat(out["time"]) == datetime.fromisoformat(sent["time"])
    assert out["specversion"] == "1.0"
    assert out.get("dataschema") == sent.get("dataschema", sent.get("schemaurl"))
    assert out["severitynumber"] == sent.get("severitynumber", 9)
    assert out.get("data_base64") == sent.get("bytes")
    if "data" in sent:
        assert out["data"] == sent["data"]


def build_sdk_event(sent: Sent) -> BaseCloudEvent:
    attributes = {name: each for name, each in sent.items() if name not in ("data", "bytes")}
    if "time" in attributes:
        attributes["time"] = datetime.fromisoformat(attributes["time"])
    data = base64.b64decode(sent["bytes"]) if "bytes" in sent else sent.get("data")
    kind = FormerCloudEvent if sent["specversion"] == "0.3" else CloudEvent
    return kind(attributes, data)


@pytest.mark.parametrize("mode", MODES)
async def test_events_of_the_python_sdk_are_stored(client: Client, mode: str) -> None:
    events = EVENTS | {"not ASCII": NOT_ASCII, "former bytes": FORMER_BYTES}
    sent = with_sdk_ids("python", mode, events)
    sdk_events = [build_sdk_event(each) for each in sent]

    if mode == "batch":
        for version in ("1.0", "0.3"):
            bodies = [
                to_structured_event(e).body for e in sdk_events if e.get_specversion() == version
            ]
            answer = await post_cloud_events(
                client, b"[" + b",".join(bodies) + b"]", content_type=BATCH_MEDIA_TYPE
            )
            assert answer.status_code == 202, answer.text
    else:
        to_message = to_binary_event if mode == "binary" else to_structured_event
        for event in sdk_events:
            message = to_message(event)
            answer = await client.http.post(PATH, content=message.body, headers=message.headers)
            assert answer.status_code == 202, answer.text

    for each in sent:
        await check_stored_event(client, each)


async def test_json_of_the_python_sdk_without_content_type_is_stored(client: Client) -> None:
    message = to_binary_event(CloudEvent(_FIRST | {"id": "1"}, {"depth": 3}))
    assert "content-type" not in message.headers

    answer = await client.http.post(PATH, content=message.body, headers=message.headers)

    assert answer.status_code == 202
    assert (await fetch_by_source(client, "1", _FIRST["source"]))["fields"] == {"depth": 3}


async def test_events_of_the_javascript_sdk_are_stored(client: Client) -> None:
    # As users of this SDK send bytes in 0.3.
    encoded = {"datacontentencoding": "base64", "data": FORMER_BYTES["bytes"]}
    former_bytes = _FORMER | {"datacontenttype": "image/png"} | encoded
    sendings = []
    sent = []
    for mode in MODES:
        others = {} if mode == "binary" else {"not ASCII": NOT_ASCII}
        events = with_sdk_ids("javascript", mode, EVENTS | others)
        bytes_sent = former_bytes | {"id": f"javascript {mode} former bytes"}
        sent += [*events, FORMER_BYTES | {"id": bytes_sent["id"]}]
        for version in ("1.0", "0.3"):
            matching = [e for e in (*events, bytes_sent) if e["specversion"] == version]
            sendings.append({"mode": mode, "events": matching})

    answers = await send_with_javascript(client, sendings)

    assert [each["status"] for each in answers] == [202] * len(answers)
    assert len(answers) == 8 + 7 + 2
    for each in sent:
        await check_stored_event(client, each)


async def send_with_javascript(client: Client, sendings: list[Any]) -> list[Any]:
    await asyncio.to_thread(install_packages, SENDER)
    node = await asyncio.create_subprocess_exec(
        "node",
        "send.mjs",
        cwd=SENDER,
        env=node_environment(),
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
    )
    parameters = {"url": client.url + PATH, "sendings": sendings} | client.headers
    printed, _ = await node.communicate(json.dumps(parameters).encode())
    assert node.returncode == 0
    answers: list[Any] = json.loads(printed)
    return answers

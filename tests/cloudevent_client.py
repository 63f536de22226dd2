"""Sends CloudEvents over HTTP and reads the stored events back."""

from __future__ import annotations

import json
from typing import Any

import httpx
from sqlalchemy import text

from app.domain.shared.messages import locate_message
from app.http.cloudevent_messages import BATCH_MEDIA_TYPE, EVENT_MEDIA_TYPE, PATH
from app.store.engine.database import ALL_ORGANIZATIONS, Database
from tests.client import Client

_EVENT_BY_SOURCE = """query ($id: String!, $source: String!) {
  eventBySource(source: $source, sourceId: $id) {
  id type source sourceId subject severity occurredAt fields tags cloudEvent } }"""


def cloud_event(**overrides: Any) -> dict[str, Any]:
    """A CloudEvent in JSON format: the required attributes, and the overrides."""
    return {"specversion": "1.0", "id": "1", "source": "/wells", "type": "note"} | overrides


async def send_structured(client: Client, event: object, **headers: str) -> httpx.Response:
    """Sends an event in structured mode, a list in batched mode."""
    content_type = BATCH_MEDIA_TYPE if isinstance(event, list) else EVENT_MEDIA_TYPE
    return await post_cloud_events(
        client, json.dumps(event).encode(), content_type=content_type, **headers
    )


async def send_binary(client: Client, body: bytes = b"", **headers: str) -> httpx.Response:
    """Sends the body in binary mode, with the required attributes and the given headers."""
    attributes = {f"ce_{name}": value for name, value in cloud_event().items()}
    return await post_cloud_events(client, body, **attributes | headers)


async def post_cloud_events(client: Client, content: Any, **headers: str) -> httpx.Response:
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    return await client.http.post(PATH, content=content, headers=named)


async def fetch_by_source(client: Client, id: str = "1", source: str = "/wells") -> Any:
    """The event that was stored under this id and source."""
    return await client.execute_field(_EVENT_BY_SOURCE, id=id, source=source)


async def count_rows(database: Database) -> list[int]:
    """Number of rows in the event, change and receipt tables."""
    async with database.read(ALL_ORGANIZATIONS) as session:
        return [
            (await session.execute(text(f"SELECT count(*) FROM {table}"))).scalar_one()
            for table in ("event", "change", "receipt")
        ]


def parse_refusal(answer: httpx.Response) -> tuple[int, list[tuple[str, str]]]:
    """Returns the status, and code and dotted path of each error. Checks the problem document."""
    body = answer.json()
    assert answer.status_code >= 400, body
    errors = [(each["code"], ".".join(each["path"])) for each in body["errors"]]
    assert answer.headers["content-type"] == "application/problem+json"
    assert (body["status"], body["type"]) == (answer.status_code, "about:blank")
    first = body["errors"][0]
    more = {1: "", 2: " 1 more error is listed in `errors`."}.get(
        len(errors), f" {len(errors) - 1} more errors are listed in `errors`."
    )
    assert body["code"] == errors[0][0]
    assert body["detail"] == locate_message(tuple(first["path"]), first["message"]) + more
    return answer.status_code, errors

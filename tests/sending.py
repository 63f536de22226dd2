"""CloudEvents, sent over HTTP, and what lies in the database of them."""

from __future__ import annotations

import json
from typing import Any

import httpx
from sqlalchemy import text

from app.http.cloudevent_messages import BATCH, EVENT, PATH
from app.store.engine.database import EVERYWHERE, Database
from tests.client import Client

_FOUND = """query ($id: String!, $source: String!) { eventBySource(source: $source, sourceId: $id) {
  id type source sourceId subject severity occurredAt fields tags cloudEvent } }"""


def an_event(**given: Any) -> dict[str, Any]:
    """A CloudEvent in JSON format: what every one must have, and what is given."""
    return {"specversion": "1.0", "id": "1", "source": "/wells", "type": "note"} | given


async def send(client: Client, event: object, **headers: str) -> httpx.Response:
    """Sends an event in structured mode, a list in batched mode."""
    content_type = BATCH if isinstance(event, list) else EVENT
    return await post(client, json.dumps(event).encode(), content_type=content_type, **headers)


async def send_binary(client: Client, body: bytes = b"", **headers: str) -> httpx.Response:
    """Sends the body with what every event must have in headers, and the headers given."""
    attributes = {f"ce_{name}": value for name, value in an_event().items()}
    return await post(client, body, **attributes | headers)


async def post(client: Client, content: Any, **headers: str) -> httpx.Response:
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    return await client.http.post(PATH, content=content, headers=named)


async def found(client: Client, id: str = "1", source: str = "/wells") -> Any:
    """The event that was stored under this id and source."""
    return await client.ask(_FOUND, id=id, source=source)


async def kept(database: Database) -> list[int]:
    """How many rows there are of events, of the log, and of the ids that are taken."""
    async with database.read(EVERYWHERE) as session:
        return [
            (await session.execute(text(f"SELECT count(*) FROM {table}"))).scalar_one()
            for table in ("event", "change", "receipt")
        ]


def refusal(answer: httpx.Response) -> tuple[int, list[tuple[str, str]]]:
    """Status, code and dotted path of everything that is wrong; each answer is whole."""
    told = answer.json()
    assert answer.status_code >= 400, told
    errors = [(each["code"], ".".join(each["path"])) for each in told["errors"]]
    assert answer.headers["content-type"] == "application/problem+json"
    assert (told["status"], told["type"]) == (answer.status_code, "about:blank")
    path, message = errors[0][1], told["errors"][0]["message"]
    more = f" And {len(errors) - 1} more." if len(errors) > 1 else ""
    assert told["code"] == errors[0][0]
    assert told["detail"] == (f"{path}: {message}" if path else message) + more
    return answer.status_code, errors

"""Follows event changes or new notifications, and stores the cursor of the last one.

    KEY=... python follow.py http://127.0.0.1:8000/graphql eventChanged cursor.txt

It resumes after a lost connection, and after a restart of the server or of this script.
"""

import asyncio
import json
import os
import random
import sys
from collections.abc import AsyncGenerator
from pathlib import Path
from typing import Any

from gql import Client, gql
from gql.transport.exceptions import TransportConnectionFailed, TransportQueryError
from gql.transport.websockets import WebsocketsTransport

SUBSCRIPTIONS = {
    "eventChanged": """
        subscription ($after: String) {
          eventChanged(after: $after) { cursor kind event { id summary } }
        }
    """,
    "notificationAdded": """
        subscription ($after: String) {
          notificationAdded(after: $after) { cursor node { id summary } }
        }
    """,
}


async def follow(
    url: str, key: str, name: str, stored: Path
) -> AsyncGenerator[dict[str, Any] | None, None]:
    """Yields each entry after the stored cursor, in order.

    Yields None where entries may be missing: without a stored cursor, and if it has expired. Load
    your list again then; all later changes follow.

    The cursor of an entry is stored when the next one is requested. An entry whose processing was
    interrupted is repeated after a restart.
    """
    cursor = stored.read_text() if stored.exists() else None
    retries = 0
    while True:
        try:
            async with connect(url, key) as session:
                if cursor is None:
                    cursor = (await session.execute(gql("{ logHead }")))["logHead"]
                    yield None
                    store(stored, cursor)
                request = gql(SUBSCRIPTIONS[name])
                request.variable_values = {"after": cursor}
                async for result in session.subscribe(request):
                    entry = result[name]
                    yield entry
                    cursor, retries = entry["cursor"], 0
                    store(stored, cursor)
        except TransportQueryError as error:
            extensions = error.errors[0]["extensions"] if error.errors else {}
            if extensions.get("code") == "CURSOR_EXPIRED":
                cursor = None
                continue
            delay = extensions.get("retryAfterSeconds", 0)
            if extensions.get("code") != "UNAVAILABLE" and not delay:
                raise  # A retry would fail again.
        except (TransportConnectionFailed, TimeoutError) as error:
            delay = 0
            close = getattr(error.__cause__, "rcvd", None)
            if close and 4400 <= close.code < 4500 and close.code != 4408:
                raise  # A retry would fail again: see the close codes.
        await asyncio.sleep(delay + min(0.1 * 2 ** min(retries, 7), 10) * random.uniform(0.5, 1))
        retries += 1


def connect(url: str, key: str) -> Client:
    credential = {"authorization": f"Bearer {key}"}
    return Client(
        transport=WebsocketsTransport(url.replace("http", "ws", 1), init_payload=credential)
    )


def store(file: Path, cursor: str) -> None:
    """Replaces the file at once: it is never half written."""
    new = file.with_suffix(".new")
    new.write_text(cursor)
    os.replace(new, file)


async def main(url: str, name: str, stored: str) -> None:
    async for entry in follow(url, os.environ["KEY"], name, Path(stored)):
        sys.stdout.write(json.dumps(entry) + "\n")
        sys.stdout.flush()


if __name__ == "__main__":
    asyncio.run(main(*sys.argv[1:]))

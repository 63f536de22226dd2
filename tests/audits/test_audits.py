"""The npm packages graphql-http and graphql-sse check GraphQL over HTTP."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import pytest

from tests import node
from tests.client import ADMINISTRATOR, Client
from tests.conftest import SQLITE
from tests.scripts import run_json_script

HERE = Path(__file__).parent


@pytest.fixture
def dialect() -> str:
    """SQLite only: HTTP does not depend on the database."""
    return SQLITE


async def run_audit(script: str, client: Client, *arguments: str) -> Any:
    node.install_packages(HERE)
    address = f"{client.url}/graphql"
    return await run_json_script(HERE, "node", script, address, ADMINISTRATOR, *arguments)


async def test_all_audits_of_graphql_over_http_pass(own_client: Client) -> None:
    audits = await run_audit("audit.mjs", own_client)

    assert [each for each in audits if each["status"] != "ok"] == []
    assert len(audits) == 61


async def test_graphql_sse_receives_notifications(own_client: Client) -> None:
    head = await own_client.execute_field("{ logHead }")
    await own_client.log_event(summary="before it subscribes", notification=True)
    running = asyncio.create_task(run_audit("follow.mjs", own_client, head, "2"))
    await own_client.log_event(summary="zwölf\u2028and\r\nmore", notification=True)
    output = await running

    assert output == {
        "received": ["before it subscribes", "zwölf\u2028and\r\nmore"],
        "codes": ["GRAPHQL_VALIDATION_FAILED"],
        "answered": [{"__typename": "Query"}],
    }

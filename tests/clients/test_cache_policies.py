"""The cache policies of @tocsin/client for Apollo Client and urql, installed from its tarball."""

from __future__ import annotations

import asyncio
import json
from typing import Any

import pytest

from tests.client import ADMINISTRATOR, Client
from tests.clients.test_clients import HERE, install_clients
from tests.scripts import run_command


@pytest.mark.parametrize("library", ["apollo", "urql"])
async def test_a_cache_merges_the_pages_of_each_list_and_matches_interfaces_and_entities(
    own_client: Client, library: str
) -> None:
    await asyncio.to_thread(install_clients)
    severities = {"ERROR": ["a"], "INFO": ["b", "c", "d"]}
    ids = {}
    for severity, summaries in severities.items():
        for summary in summaries:
            entity = {"type": "Well", "id": "w"}
            event = await own_client.log_event(
                summary=summary,
                severity=severity,
                entity=entity,
                occurredAt=f"2026-01-0{ord(summary) - 96}T00:00:00Z",
            )
            ids[summary] = event["id"]

    cached = await asyncio.to_thread(run_case, library, own_client)

    assert cached == {
        "rows": [
            [[ids[summary], summary, "w"] for summary in ("d", "c", "b")],
            [[ids["a"], "a", "w"]],
        ],
        "entities": 1 if library == "apollo" else None,
        "warnings": [],
    }


def run_case(library: str, client: Client) -> Any:
    run = run_command(
        HERE, "node", "cache_cases.mjs", library, f"{client.url}/graphql", ADMINISTRATOR
    )
    assert (run.returncode, run.stderr) == (0, "")
    return json.loads(run.stdout)

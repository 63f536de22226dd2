"""After `apply`, `plan` is empty: drawn configurations are applied one after the other."""

from __future__ import annotations

import asyncio

from app.api_client import ApiClient
from benchmarks.configurations import apply_drawn_configurations
from tests.client import ADMINISTRATOR, Client

CONFIGURATIONS = 12


async def test_after_an_application_the_plan_of_the_file_and_of_its_export_is_empty(
    client: Client,
) -> None:
    prefix = client.headers["data-partition-id"]

    with ApiClient(client.url, ADMINISTRATOR) as api:
        results = await asyncio.to_thread(apply_drawn_configurations, api, prefix, CONFIGURATIONS)

    assert results.configurations >= CONFIGURATIONS
    assert results.changes > CONFIGURATIONS

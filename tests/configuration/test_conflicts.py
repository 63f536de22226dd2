"""`tocsin config apply` while others change the configuration of the server."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from app.api_client import ApiClient, ApiError
from app.configuration.applying import apply_plan, is_current
from app.configuration.configuration import parse_configuration
from app.configuration.file_schema import SECTIONS
from app.configuration.planning import create_plan
from app.configuration.plans import Plan, PlanOptions
from app.configuration.stored_state import fetch_state
from tests.client import Client
from tests.configuration.command import (
    CONFIGURATION,
    apply_text,
    fetch_nodes,
    run_config,
    write_file,
)

RULE = "{{name: {0}, fingerprint: [summary], window: PT1S, action: FLAG}}"
RULES = f"duplicationRules:\n  - {RULE.format('A')}\n  - {RULE.format('B')}\n"
RENAME = 'mutation { updateOrganization(name: "Other") { userErrors { code } } }'


def plan_text(api: ApiClient, text: str) -> Plan:
    state = fetch_state(api, api.organization, SECTIONS)
    return create_plan(api, parse_configuration(text), state, PlanOptions())


def open_api(client: Client) -> ApiClient:
    assert client.key is not None
    return ApiClient(client.url, client.key, client.headers["data-partition-id"])


async def test_an_application_stops_after_others_changed_the_configuration(client: Client) -> None:
    with open_api(client) as api:
        plan = await asyncio.to_thread(plan_text, api, RULES)
        application = apply_plan(api, plan)
        first = await asyncio.to_thread(next, application)

        assert (await client.execute_field(RENAME))["userErrors"] == []
        with pytest.raises(ApiError) as stopped:
            await asyncio.to_thread(next, application)

    assert first.title == "duplication rule 'A'"
    assert str(stopped.value) == (
        "duplication rule 'B': Others changed the configuration of the server at the same time."
    )
    assert await fetch_nodes(client, "duplicationRules", "name") == [{"name": "A"}]


async def test_an_application_is_complete_if_others_change_the_configuration_after_its_last_step(
    client: Client,
) -> None:
    with open_api(client) as api:
        plan = await asyncio.to_thread(plan_text, api, RULES)
        application = apply_plan(api, plan)
        for _ in plan.changes:
            await asyncio.to_thread(next, application)

        assert (await client.execute_field(RENAME))["userErrors"] == []
        following = await asyncio.to_thread(next, application, None)

    assert following is None
    rules = await fetch_nodes(client, "duplicationRules", "name")
    assert rules == [{"name": "A"}, {"name": "B"}]


async def test_a_plan_is_outdated_after_a_change_of_a_section_that_it_does_not_contain(
    client: Client,
) -> None:
    policy = "retentionPolicies:\n  - {name: P, filter: {}, keepFor: P1D}\n"
    with open_api(client) as api:
        plan = await asyncio.to_thread(plan_text, api, RULES)
        before = await asyncio.to_thread(is_current, api, plan)
        await client.log_event(summary="Events are no part of the configuration.")
        after_event = await asyncio.to_thread(is_current, api, plan)

        await apply_text(client, policy)

        assert (before, after_event) == (True, True)
        assert not await asyncio.to_thread(is_current, api, plan)


async def test_a_saved_plan_keeps_its_options_and_the_name_of_its_file(
    client: Client, tmp_path: Path
) -> None:
    await apply_text(client, CONFIGURATION)
    plan = str(tmp_path / "plan.json")
    file = write_file(tmp_path, "guardRules: []\n")
    await run_config(client, "plan", file, "--out", plan)

    pruned = await run_config(client, "apply", plan, "--prune")
    Path(plan).write_text(Path(plan).read_text().replace('"planFormat": 1', '"planFormat": 9'))
    other_format = await run_config(client, "apply", plan)

    assert pruned == (1, "", "The plan was created without --prune. Create a new plan.\n")
    message = "This version of tocsin cannot read the plan. Create it again."
    assert other_format == (1, "", f"{plan}:1:1: {message}\n")
    assert len(await fetch_nodes(client, "guardRules", "name")) == 2


async def test_standard_input_is_applied_only_without_asking(client: Client) -> None:
    code, out, err = await run_config(client, "apply", "-", text=RULES)

    assert (code, out) == (1, "")
    assert err == "To apply a configuration from standard input, add --yes.\n"
    assert await fetch_nodes(client, "duplicationRules", "name") == []


async def test_a_name_that_no_server_accepts_is_an_error_of_the_plan(
    client: Client, tmp_path: Path
) -> None:
    rule = 'guardRules:\n  - {name: "a\\0", expression: "true", message: "\\e[31m"}\n'
    policy = 'retentionPolicies:\n  - {name: "a\\nb", filter: {}, keepFor: P1D}\n'
    file = write_file(tmp_path, rule + policy)

    code, out, err = await run_config(client, "plan", file)

    assert (code, out) == (1, "")
    assert err.splitlines() == [
        f"{file}:2:6: Character 2 is U+0000, which is not allowed. Remove the character.",
        f"{file}:2:39: Character 1 is U+001B, which is not allowed. Remove the character.",
        f"{file}:4:6: Character 2 is U+000A, which is not allowed. Remove the character.",
    ]


@pytest.mark.parametrize("dialect", ["sqlite"])
async def test_a_key_that_no_header_can_contain_is_not_printed(client: Client) -> None:
    code, out, err = await run_config(client, "export", key="tocsin_a\nsecret")

    assert (code, out) == (1, "")
    assert err == "The API key has a space or a character that is not in ASCII.\n"

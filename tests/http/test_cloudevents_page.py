"""The page for senders tells the truth: its examples run, and its tests are there."""

from __future__ import annotations

import ast
import asyncio
import json
import os
import re
from collections import Counter
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest

from app.domain.shared.limits import Limits
from tests.client import Client

TESTS = Path(__file__).parents[1]
PAGE = (TESTS.parent / "docs/cloudevents.md").read_text()
EXAMPLES = re.findall(r"```sh\n(.*?)```.*?```json\n(.*?)```", PAGE, re.DOTALL)
NAMED = re.findall(r"`(test_\w+)`", PAGE)
STATUSES = ("202", "202", "207", "400")


def count_test_names(*files: Path) -> Counter[str]:
    """How often each name of a test is there."""
    functions = (ast.FunctionDef, ast.AsyncFunctionDef)
    return Counter(
        each.name
        for file in files
        for each in ast.parse(file.read_text()).body
        if isinstance(each, functions) and each.name.startswith("test_")
    )


def mask_ids(answer: dict[str, Any]) -> dict[str, Any]:
    """The answer with a mark in place of each id that the server chose."""
    for each in answer.get("results", []):
        each["event"] = each["event"] and str(UUID(each["event"])) and "an id"
    return answer


async def test_each_example_is_answered_as_the_page_says(client: Client) -> None:
    assert len(EXAMPLES) == len(STATUSES) == PAGE.count("```sh")
    where = 'curl --silent --write-out "%{stderr}%{http_code}" ' + client.url

    for (command, answer), status in zip(EXAMPLES, STATUSES, strict=True):
        curl = await asyncio.create_subprocess_shell(
            command.replace("curl http://127.0.0.1:8000", where),
            env=os.environ | {"KEY": str(client.key), "NO_PROXY": "127.0.0.1"},
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
        )
        printed, output = await curl.communicate()

        assert output.decode() == status
        assert mask_ids(json.loads(printed)) == mask_ids(json.loads(answer))


def test_every_test_that_the_page_names_is_there_once() -> None:
    there = count_test_names(*TESTS.rglob("test_*.py"))

    assert {name: there[name] for name in NAMED if there[name] != 1} == {}


def test_every_test_of_the_binding_is_on_the_page() -> None:
    binding = count_test_names(TESTS / "http" / "test_cloudevent_messages.py")

    assert sorted(binding.keys() - set(NAMED)) == []


@pytest.mark.parametrize(
    "limit",
    [
        "cloud_events_body_bytes",
        "events_per_call",
        "fields_bytes",
        "data_bytes",
        "extensions_bytes",
    ],
)
def test_the_page_names_the_limits(limit: str) -> None:
    assert f"{getattr(Limits(), limit):,}" in PAGE

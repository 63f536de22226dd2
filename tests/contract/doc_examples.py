"""Follows a page of the documentation as a reader does: runs its examples in order.

A page consists of fenced blocks:

- `graphql` is executed. A subscription stays open until the end of the page.
- `json title="Variables"` has the variables of the `graphql` block above it. The value `"..."`
  stands for what the reader copies from an earlier response: `eventTypeId` is the `id` of the last
  `eventType`, `cursor` the first cursor of the last response that has one, `before` the time at
  which the page first uses it, and `endsAt` an hour later.
- `json title="Response"` is the response to the block above it, `json title="Message"` the next
  message of the last subscription. The text `...` stands for any text.
- `sh` and `python` are run in one folder. The key `tocsin_...` is that of the
  administrator. `text title="Output"` is the standard output of the block
  above it.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import re
import sys
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from tests.client import ADMINISTRATOR, Client, Subscription

ROOT = Path(__file__).parents[2]
BLOCK = re.compile(r'^```(\w+)(?: title="([^"]*)")?\n(.*?)^```$', re.DOTALL | re.MULTILINE)
EXAMPLE_ADDRESS = "http://127.0.0.1:8000"
EXAMPLE_KEY = "tocsin_..."
STARTS_A_SERVER = re.compile(r"^(make serve|tocsin serve)\b")
ANY = "..."
LISTS = {"nodes", "edges", "events", "results", "apiKeys"}


@dataclass(frozen=True)
class Block:
    language: str
    title: str | None
    body: str


def parse_blocks(page: str) -> list[Block]:
    return [Block(language, title or None, body) for language, title, body in BLOCK.findall(page)]


@dataclass
class Reader:
    client: Client
    folder: Path
    database_url: str
    memory: dict[str, str] = field(default_factory=dict)
    exported: dict[str, str] = field(default_factory=dict)  # variables of the reader's shell
    subscriptions: list[Subscription] = field(default_factory=list)
    unheard: list[Subscription] = field(default_factory=list)

    async def follow(self, page: str) -> None:
        blocks = parse_blocks(page)
        async with contextlib.AsyncExitStack() as stack:
            for number, block in enumerate(blocks):
                following = blocks[number + 1 :]
                if block.language == "graphql":
                    await self._run_operation(block, following, stack)
                elif block.language == "json" and block.title == "Message":
                    await self._expect_message(json.loads(block.body))
                elif block.language in ("sh", "python"):
                    await self._run_program(block, following)
            for subscription in self.unheard:
                await subscription.receive_next()

    async def _run_operation(
        self, block: Block, following: list[Block], stack: contextlib.AsyncExitStack
    ) -> None:
        shown = {
            each.title: each.body
            for each in following[:2]
            if each.language == "json" and each.title in ("Variables", "Response")
        }
        if following and following[0].title not in ("Variables", "Response"):
            shown = {}
        variables = self._fill_in(block, json.loads(shown.get("Variables", "{}")))
        if "subscription" in block.body.split("{")[0]:
            await self._subscribe(block, variables, stack)
            return
        response = await self.client.execute(block.body, **variables)
        if "Response" in shown:
            expected = json.loads(shown["Response"])
            response.pop("extensions", None)
            assert matches(expected, response), (block.body, response)
        else:
            assert "errors" not in response, (block.body, response)
            for key, value in walk(response):
                assert key != "userErrors" or value == [], (block.body, response)
        for key, value in walk(response):
            assert key not in LISTS or value != [], (block.body, response)
        self._remember(response)

    def _fill_in(self, block: Block, variables: dict[str, Any]) -> dict[str, Any]:
        declared = set(re.findall(r"\$(\w+):", block.body.split("{")[0]))
        assert variables.keys() == declared, (
            f"The page does not show the variables of this block: {block}"
        )
        if "before" in variables:
            self.memory.setdefault("before", datetime.now(UTC).isoformat())
        if "endsAt" in variables:
            self.memory["endsAt"] = (datetime.now(UTC) + timedelta(hours=1)).isoformat()
        return {
            name: self.memory[name] if value == ANY else value for name, value in variables.items()
        }

    def _remember(self, response: dict[str, Any]) -> None:
        """Stores the IDs and cursors of a response. Of several values of a name, the first is
        used.
        """
        seen: dict[str, str] = {}
        for key, value in walk(response):
            if isinstance(value, dict) and isinstance(value.get("id"), str):
                seen.setdefault(f"{key}Id", value["id"])
            elif "cursor" in key.lower() and isinstance(value, str):
                seen.setdefault(key, value)
        for alias, payload in (response.get("data") or {}).items():
            for value in payload.values() if isinstance(payload, dict) else ():
                if isinstance(value, dict) and isinstance(value.get("id"), str):
                    seen.setdefault(f"{alias}Id", value["id"])
        self.memory |= seen

    async def _subscribe(
        self, block: Block, variables: dict[str, Any], stack: contextlib.AsyncExitStack
    ) -> None:
        body = block.body
        if "after:" not in body and "SummaryChanged" not in body:
            # A subscription begins some time after it was sent, sooner than a reader continues.
            head = await self.client.execute_field("{ logHead }")
            body = re.sub(r"(\w+\s*\{\s*)(\w+)\(", rf'\1\2(after: "{head}", ', body, count=1)
            if "after:" not in body:
                body = re.sub(r"(\{\s*)(\w+)", rf'\1\2(after: "{head}")', body, count=1)
        subscription = await stack.enter_async_context(self.client.subscription(body, **variables))
        self.subscriptions.append(subscription)
        self.unheard.append(subscription)

    async def _expect_message(self, expected: dict[str, Any]) -> None:
        subscription = self.subscriptions[-1]
        [expected_value] = expected["data"].values()
        message = await subscription.receive_next()
        assert matches(expected_value, message), message
        self._remember({"message": message})
        self.unheard = [each for each in self.unheard if each is not subscription]

    async def _run_program(self, block: Block, following: list[Block]) -> None:
        if STARTS_A_SERVER.match(block.body):
            return
        text = block.body.replace(EXAMPLE_ADDRESS, self.client.url)
        text = text.replace(EXAMPLE_KEY, ADMINISTRATOR)
        shell = ["bash", "-euo", "pipefail", "-c", text]
        command = shell if block.language == "sh" else [sys.executable, "-c", text]
        self.exported |= dict(re.findall(r"^export (\w+)=(\S+)$", text, re.MULTILINE))
        path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
        variables = {"PATH": path, "KEY": ADMINISTRATOR, "TOCSIN_DATABASE_URL": self.database_url}
        process = await asyncio.create_subprocess_exec(
            *command,
            cwd=self.folder,
            env=os.environ | variables | self.exported,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
        )
        output, errors = (text.decode() for text in await process.communicate())
        assert process.returncode == 0, (block.body, output, errors)
        if following and following[0].title == "Output":
            pattern = re.escape(following[0].body.strip()).replace(re.escape(ANY), ".*")
            assert re.fullmatch(pattern, output.strip(), re.DOTALL), (block.body, output)


def matches(expected: Any, actual: Any) -> bool:
    """Whether the values are equal, where the text `...` in `expected` stands for any text."""
    if isinstance(expected, dict) and isinstance(actual, dict):
        return expected.keys() == actual.keys() and all(
            matches(value, actual[key]) for key, value in expected.items()
        )
    if isinstance(expected, list) and isinstance(actual, list):
        return len(expected) == len(actual) and all(map(matches, expected, actual))
    if isinstance(expected, str) and isinstance(actual, str) and ANY in expected:
        pattern = ".*".join(re.escape(part) for part in expected.split(ANY))
        return re.fullmatch(pattern, actual, re.DOTALL) is not None
    return bool(expected == actual)


def walk(value: Any) -> Iterator[tuple[str, Any]]:
    """All members of all objects in the value, with their names."""
    if isinstance(value, dict):
        for key, member in value.items():
            yield key, member
            yield from walk(member)
    elif isinstance(value, list):
        for item in value:
            yield from walk(item)

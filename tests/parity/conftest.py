"""Ajv and react-jsonschema-form in a Node of their own, which is asked over a pipe."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.node import environment, install

HERE = Path(__file__).parent

Browser = Callable[[dict[str, Any], list[dict[str, Any]]], list[dict[str, Any]]]


@pytest.fixture(scope="session")
def browser() -> Iterator[Browser]:
    """Asks for the verdicts on several values by one schema."""
    install(HERE)
    with subprocess.Popen(
        ["node", "judge.mjs"],
        cwd=HERE,
        env=environment(),
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        encoding="utf-8",
    ) as node:
        assert node.stdin is not None
        assert node.stdout is not None
        asked, answered = node.stdin, node.stdout

        def ask(schema: dict[str, Any], values: list[dict[str, Any]]) -> list[dict[str, Any]]:
            print(json.dumps({"schema": schema, "values": values}), file=asked, flush=True)
            answer: list[dict[str, Any]] = json.loads(answered.readline())
            return answer

        yield ask
        asked.close()
        assert node.wait() == 0

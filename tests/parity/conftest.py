"""Ajv and react-jsonschema-form in a Node of their own, which is asked over a pipe."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.node import install_packages, node_environment

HERE = Path(__file__).parent

Browser = Callable[[dict[str, Any], list[dict[str, Any]]], list[dict[str, Any]]]


@pytest.fixture(scope="session")
def browser() -> Iterator[Browser]:
    """Asks for the verdicts on several values by one schema."""
    install_packages(HERE)
    with subprocess.Popen(
        ["node", "judge.mjs"],
        cwd=HERE,
        env=node_environment(),
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        encoding="utf-8",
    ) as node:
        assert node.stdin is not None
        assert node.stdout is not None
        pipes, answered = node.stdin, node.stdout

        def ask(schema: dict[str, Any], values: list[dict[str, Any]]) -> list[dict[str, Any]]:
            print(json.dumps({"schema": schema, "values": values}), file=pipes, flush=True)
            answer: list[dict[str, Any]] = json.loads(answered.readline())
            return answer

        yield ask
        pipes.close()
        assert node.wait() == 0

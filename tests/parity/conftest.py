"""Ajv, react-jsonschema-form and JSON Forms in a Node process, which is used over a pipe."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.node import install_packages, node_environment

HERE = Path(__file__).parent

Browser = Callable[[dict[str, Any]], list[dict[str, Any]]]


@pytest.fixture(scope="session")
def browser() -> Iterator[Browser]:
    """Validates several values with the schemas of one event type in Node."""
    install_packages(HERE)
    with subprocess.Popen(
        ["node", "validate.mjs"],
        cwd=HERE,
        env=node_environment(),
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        encoding="utf-8",
    ) as node:
        assert node.stdin is not None
        assert node.stdout is not None
        requests, responses = node.stdin, node.stdout

        def validate(request: dict[str, Any]) -> list[dict[str, Any]]:
            print(json.dumps(request), file=requests, flush=True)
            response: list[dict[str, Any]] = json.loads(responses.readline())
            return response

        yield validate
        requests.close()
        assert node.wait() == 0

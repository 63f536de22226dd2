"""Ajv and react-jsonschema-form in a Node of their own, which is asked over a pipe."""

from __future__ import annotations

import json
import os
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

HERE = Path(__file__).parent
# What `make setup` installed where the machine's Node is missing or too old.
NODE = HERE.parent.parent / "web" / ".node" / "bin"

Browser = Callable[[dict[str, Any], list[dict[str, Any]]], list[dict[str, Any]]]


@pytest.fixture(scope="session")
def browser() -> Iterator[Browser]:
    """Asks for the verdicts on several values by one schema."""
    environment = os.environ | {"PATH": f"{NODE}{os.pathsep}{os.environ['PATH']}"}
    _install(environment)
    with subprocess.Popen(
        ["node", "judge.mjs"],
        cwd=HERE,
        env=environment,
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


def _install(environment: dict[str, str]) -> None:
    installed, lock = HERE / "node_modules" / ".package-lock.json", HERE / "package-lock.json"
    if installed.exists() and installed.stat().st_mtime > lock.stat().st_mtime:
        return
    npm = ["npm", "ci", "--ignore-scripts", "--no-audit", "--no-fund", "--loglevel=error"]
    subprocess.run(npm, cwd=HERE, env=environment, check=True, stdout=subprocess.DEVNULL)

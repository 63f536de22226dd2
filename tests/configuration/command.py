"""Runs `tocsin config` in this process, against a server of the tests."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

from structlog.testing import capture_logs
from typer.testing import CliRunner

from app.cli import main
from tests.client import Client

PLAN = ("plan", "--exit-code")
APPLY = ("apply", "--yes")
CREATE_KEY = """
mutation ($input: CreateApiKeyInput!) {
  createApiKey(input: $input) { secret userErrors { message } }
}
"""

CONFIGURATION = """
organization:
  name: Permian Basin
eventTypes:
  - type: flaring.incident
    name: Flaring incident
    category: flaring
    fields:
      - {name: volume_mcf, kind: NUMBER, required: true, unit: mcf, minimum: 0}
      - name: cause
        kind: SELECT
        choices: [{value: equipment, label: Equipment failure}, {value: other}]
      - {name: details, kind: LONG_TEXT}
    conditionalRules:
      - name: Explain other causes
        effect: SHOW
        targets: [details]
        condition: {field: {field: cause, operator: EQ, value: other}}
  - type: flaring.test
    name: Test
    state: DRAFT
guardRules:
  - name: Volume is plausible
    eventType: flaring.incident
    expression: event.fields.volume_mcf < 1000.0
    message: The volume must be less than 1,000 mcf.
  - name: Summaries are long
    expression: event.summary.size() > 3
    message: Write a longer summary.
    enforcement: WARN
    published: false
duplicationRules:
  - name: Same cause
    eventType: flaring.incident
    fingerprint: [entity, fields.cause]
    window: PT10M
    action: COUNT
  - name: Same summary
    fingerprint: [summary]
    window: PT60S
    action: FLAG
    enabled: false
retentionPolicies:
  - name: Old readings
    filter: {severities: [INFO], types: ["sensor.*"]}
    keepFor: P90D
  - name: History
    target: HISTORY
    keepFor: P1W
"""


async def run_config(
    client: Client, *arguments: str, key: str | None = None, text: str | None = None
) -> tuple[int, str, str]:
    """Returns exit code, standard output and standard error. `text`: standard input."""
    organization = client.headers.get("data-partition-id")
    options = [*arguments, "--url", client.url]
    if organization is not None and "--organization" not in arguments:
        options += ["--organization", organization]
    environment = {"TOCSIN_KEY": key or client.key}
    # The server runs in this process, too: its logs are not part of the output.
    with capture_logs():
        result = await asyncio.to_thread(
            CliRunner().invoke, main, ["config", *options], env=environment, input=text
        )
    assert result.exception is None or isinstance(result.exception, SystemExit), result.exception
    return result.exit_code, result.stdout, result.stderr


async def apply_text(client: Client, text: str, *options: str) -> str:
    """Applies a configuration, which must succeed. Returns the standard output."""
    code, out, err = await run_config(client, *APPLY, "-", *options, text=text)
    assert (code, err) == (0, ""), (out, err)
    return out


async def export_text(client: Client, *options: str) -> str:
    code, out, err = await run_config(client, "export", *options)
    assert (code, err) == (0, "")
    return out


async def create_key(client: Client, *permissions: str) -> str:
    payload = await client.execute_field(
        CREATE_KEY, input={"name": "pipeline", "permissions": list(permissions)}
    )
    assert payload["userErrors"] == []
    return str(payload["secret"])


def write_file(folder: Path, text: str) -> str:
    file = folder / "tocsin.yaml"
    file.write_text(text)
    return str(file)


def without_first_line(out: str) -> str:
    """The output of a plan without the organization and the address."""
    return out.split("\n\n", 1)[1]


async def fetch_nodes(client: Client, field: str, selection: str) -> list[Any]:
    data = await client.execute_field(f"{{ {field}(first: 100) {{ nodes {{ {selection} }} }} }}")
    return list(data["nodes"])

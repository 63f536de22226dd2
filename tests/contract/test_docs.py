"""The documents tell the truth: their paths exist, and their examples run."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest

from tests.client import Client

ROOT = Path(__file__).parents[2]
README = (ROOT / "README.md").read_text()
EXAMPLES = re.findall(r"```graphql\n(.*?)```", README, re.DOTALL)


@pytest.mark.parametrize(
    "file", [ROOT / "README.md", *(ROOT / "docs").rglob("*.md")], ids=lambda file: file.name
)
def test_the_paths_that_a_document_names_exist(file: Path) -> None:
    text = file.read_text()
    named = re.findall(r"`((?:app|docs|tests|web)/[\w/.-]*)`", text)
    linked = re.findall(r"\]\((?!https?:)([^)#]+)\)", text)

    missing = [path for path in named if not (ROOT / path).exists()]
    missing += [path for path in linked if not (file.parent / path).exists()]

    # What `make setup` builds is not there before it.
    assert [path for path in missing if path != "app/http/static/"] == []


def test_every_module_says_what_it_keeps() -> None:
    silent = [
        str(file.relative_to(ROOT))
        for folder in ("app", "tests", "web")
        for file in (ROOT / folder).rglob("*.py")
        if file.stat().st_size
        and "node_modules" not in file.parts
        and ".node" not in file.parts
        and not file.read_text().startswith(('"""', "#!"))
    ]

    assert silent == []


async def test_the_readme_s_examples_run(client: Client) -> None:
    head = await client.execute_field("{ logHead }")
    subscriptions = [each for each in EXAMPLES if each.startswith("subscription")]
    assert len(EXAMPLES) - len(subscriptions) >= 4

    # The last id of each kind, as a reader would carry it over.
    ids = {"causeId": (await client.log_event(summary="the cause"))["id"]}
    for example in EXAMPLES:
        if example not in subscriptions:
            answer = await client.execute(example, **_variables_for(example, ids))
            assert "errors" not in answer, (example, answer)
            payloads = [each for each in answer["data"].values() if isinstance(each, dict)]
            assert all(each.get("userErrors", []) == [] for each in payloads), (example, answer)
            created_items = [
                created_items for payload in payloads for created_items in payload.items()
            ]
            ids |= {f"{kind}Id": row["id"] for kind, row in created_items if _has_id(row)}

    for example in subscriptions:
        resumed = example.replace("notificationAdded {", f'notificationAdded(after: "{head}") {{')
        resumed = resumed.replace("eventChanged(", f'eventChanged(after: "{head}", ')
        async with client.subscription(resumed, cursor=head) as heard:
            assert "Configuration updated" in json.dumps(await heard.receive_next())


def _variables_for(example: str, ids: dict[str, str]) -> dict[str, str]:
    """Values for the variables that the example declares."""
    return {name: ids[name] for name in re.findall(r"\$(\w+Id): ID", example)}


def _has_id(row: object) -> bool:
    return isinstance(row, dict) and "id" in row

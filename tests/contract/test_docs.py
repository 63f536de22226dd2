"""The documentation is correct: its links exist, and its examples run."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from tests.client import Client
from tests.conftest import SQLITE
from tests.contract.doc_examples import Reader, matches, parse_blocks

ROOT = Path(__file__).parents[2]
PAGES = [
    ROOT / "README.md",
    ROOT / "docs/tutorial.md",
    ROOT / "docs/change-log.md",
    *sorted((ROOT / "docs/guides").glob("*.md")),
]
# The expressions on the page about guard rules have a test of their own.
PAGES_WITH_EXAMPLES = [
    *(file for file in PAGES if parse_blocks(file.read_text())),
    ROOT / "docs/guard-rules.md",
]


@pytest.mark.parametrize(
    "file", [ROOT / "README.md", *(ROOT / "docs").rglob("*.md")], ids=lambda file: file.name
)
def test_the_paths_that_a_document_names_exist(file: Path) -> None:
    text = file.read_text()
    named = re.findall(r"`((?:app|docs|tests|web)/[\w/.-]*)`", text)
    linked = re.findall(r"\]\((?!https?:)([^)#]+)\)", text)

    missing = [path for path in named if not (ROOT / path).exists()]
    missing += [path for path in linked if not (file.parent / path).exists()]

    # It does not exist before `make setup` builds it.
    assert [path for path in missing if path != "app/http/static/"] == []


def test_every_module_has_a_docstring() -> None:
    undocumented = [
        str(file.relative_to(ROOT))
        for folder in ("app", "tests", "web")
        for file in (ROOT / folder).rglob("*.py")
        if file.stat().st_size
        and "node_modules" not in file.parts
        and ".node" not in file.parts
        and not file.read_text().startswith(('"""', "#!"))
    ]

    assert undocumented == []


@pytest.mark.parametrize("page", ["README.md", "docs/index.md"])
def test_the_first_pages_link_every_guide(page: str) -> None:
    text = (ROOT / page).read_text()

    guides = {file.name for file in (ROOT / "docs/guides").glob("*.md")}

    assert {name for name in guides if f"guides/{name})" not in text} == set()


@pytest.mark.parametrize("dialect", [SQLITE])
@pytest.mark.parametrize("file", PAGES_WITH_EXAMPLES, ids=lambda file: file.name)
async def test_the_examples_of_a_page_run_in_the_order_in_which_a_reader_follows_it(
    file: Path, own_client: Client, database_url: str, tmp_path: Path
) -> None:
    folder = tmp_path / "reader"
    folder.mkdir()

    await Reader(own_client, folder, database_url).follow(file.read_text())


@pytest.mark.parametrize("file", PAGES, ids=lambda file: file.name)
def test_every_block_of_a_page_is_run_or_compared(file: Path) -> None:
    kinds = {(block.language, block.title) for block in parse_blocks(file.read_text())}

    assert kinds <= {
        ("graphql", None),
        ("json", "Variables"),
        ("json", "Response"),
        ("json", "Message"),
        ("sh", None),
        ("python", None),
        ("text", "Output"),
        ("text", None),  # compared below, and in test_channel_guide.py
        # tests/deploy/test_alertmanager.py runs Alertmanager with them
        ("yaml", "alertmanager.yml"),
        ("yaml", "alertmanager-pagerduty.yml"),
    }
    fences = re.findall(r"^ *```", file.read_text(), re.MULTILINE)
    assert len(fences) == 2 * len(parse_blocks(file.read_text()))


def test_the_tutorial_shows_what_the_server_prints(tmp_path: Path) -> None:
    tutorial = parse_blocks((ROOT / "docs/tutorial.md").read_text())
    [shown] = [block.body for block in tutorial if block.language == "text"]
    server = subprocess.Popen(
        [Path(sys.executable).with_name("tocsin"), "serve", "--port", "0"],
        cwd=tmp_path,
        env={name: os.environ[name] for name in os.environ if not name.startswith("TOCSIN_")}
        | {"TOCSIN_DRAIN_SECONDS": "0"},
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
    )
    assert server.stdout is not None
    try:
        printed = "".join(server.stdout.readline() for _ in shown.splitlines())
    finally:
        server.terminate()
        server.communicate(timeout=60)

    assert matches(shown, re.sub(r"127\.0\.0\.1:\d+", "127.0.0.1:8000", printed)), printed


def test_the_readme_is_short() -> None:
    assert len((ROOT / "README.md").read_text().splitlines()) < 150


def test_the_site_builds_and_loads_nothing_from_other_hosts(tmp_path: Path) -> None:
    subprocess.run(
        [
            *(sys.executable, "-m", "mkdocs", "build", "--quiet", "--strict"),
            *("--config-file", ROOT / "docs/site/mkdocs.yml", "--site-dir", tmp_path),
        ],
        check=True,
        env=os.environ | {"NO_MKDOCS_2_WARNING": "1"},
        timeout=120,
    )

    pages = list(tmp_path.rglob("*.html"))
    loaded = {
        address
        for page in pages
        for address in re.findall(
            r"<(?:script|link|img|iframe)\b[^>]*?(?:src|href)=\"?(https?:[^\"\s>]+)",
            page.read_text(),
        )
    }
    assert loaded == set()
    assert len(pages) > 30

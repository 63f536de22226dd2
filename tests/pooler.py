"""PgBouncer in front of the PostgreSQL server of the tests."""

from __future__ import annotations

import contextlib
import os
import socket
from collections.abc import AsyncIterator
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

from tests.daemon import run_daemon


@contextlib.asynccontextmanager
async def run_pooler(database_url: str, folder: Path, **settings: str) -> AsyncIterator[str]:
    """Runs PgBouncer in transaction mode. Yields the URL of the database through it."""
    url = urlsplit(database_url)
    [host] = parse_qs(url.query)["host"]
    name = url.path.removeprefix("/")
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    options = {
        "listen_addr": "127.0.0.1",
        "listen_port": str(port),
        "unix_socket_dir": "",
        "auth_type": "any",
        "pool_mode": "transaction",
        "default_pool_size": "10",
        "max_client_conn": "500",
        **settings,
    }
    lines = [f"{name} = {value}" for name, value in options.items()]
    file = folder / "pgbouncer.ini"
    database = f"{name} = host={host} user=postgres"
    file.write_text("\n".join(["[databases]", database, "[pgbouncer]", *lines, ""]))
    file.chmod(0o644)
    # It refuses to run as root, and the socket belongs to the owner of the server.
    user = [f"--user={Path(host).owner()}"] if os.geteuid() == 0 else []
    async with run_daemon("pgbouncer", "--quiet", *user, str(file), folder=folder, port=port):
        yield f"postgresql://postgres@127.0.0.1:{port}/{name}"

"""The command `tocsin`."""

from __future__ import annotations

import asyncio
import signal
import socket
import sys
import threading
from collections.abc import Callable, Coroutine
from typing import Annotated, Any, TypeVar
from urllib.parse import quote

import typer
import uvicorn
from pydantic import ValidationError

from app.archives import commands as archives
from app.domain.limits import SocketLimits
from app.graphql.schema import build_schema
from app.main import create_app, prepare
from app.settings import Settings
from app.store.dialect import DATABASE_ERRORS, BadUrlError, why_unavailable
from app.store.migrate import NewerDatabaseError
from app.telemetry import configure_logs

Result = TypeVar("Result")
GRACE_SECONDS = 10

main = typer.Typer(no_args_is_help=True, add_completion=False, pretty_exceptions_enable=False)


@main.callback()
def tocsin() -> None:
    """Tocsin: operational events, heard the moment they happen. Settings: TOCSIN_*."""


@main.command()
def serve(
    host: Annotated[str, typer.Option(help="The address to listen on.")] = "127.0.0.1",
    port: Annotated[int, typer.Option(help="The port to listen on.")] = 8000,
) -> None:
    """Serve GraphQL at /graphql. Migrates the database first."""
    configure_logs()
    settings = _settings()
    listening = _listen(host, port)
    _let_go_of_the_stuck(listening, settings.sockets)
    key = _database(lambda: prepare(settings))
    address = f"http://{host}:{listening.getsockname()[1]}/graphql"
    if key is not None:
        typer.echo("This database is new. Its administrator's key, shown this once:\n")
        typer.echo(f"  {key}\n\nGraphiQL, signed in:\n\n  {address}#key={quote(key, safe='')}\n")
    typer.echo(f"Tocsin serves {address}")
    sys.stdout.flush()
    # uvicorn drains, and then raises the signal that ended it once more.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
    config = uvicorn.Config(
        create_app(settings),
        log_level="warning",
        ws_max_size=settings.sockets.message_bytes,
        ws_ping_interval=None,  # app/graphql/protocols has pings, and a code that clients resume at
        timeout_graceful_shutdown=GRACE_SECONDS,
    )
    uvicorn.Server(config).run(sockets=[listening])


@main.command()
def migrate() -> None:
    """Bring the database to this version, without serving."""
    configure_logs()
    settings = _settings()
    key = _database(lambda: prepare(settings))
    typer.echo("The database is up to date.")
    if key is not None:
        typer.echo(f"It was new. Its administrator's key, shown this once:\n\n  {key}")


@main.command()
def schema() -> None:
    """Print the GraphQL schema, as schema.graphql has it."""
    typer.echo(build_schema().as_str())


def _let_connections_end() -> None:
    """A connection that could not be opened has a thread, which still answers to the loop."""
    for thread in threading.enumerate():
        if "_connection_worker_thread" in thread.name:
            thread.join(GRACE_SECONDS)


def _listen(host: str, port: int) -> socket.socket:
    """Takes the port before anything else: nobody else has it, or it says who should choose."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    try:
        return socket.create_server((host, port), family=family, backlog=2048)
    except (OSError, OverflowError) as error:
        why = getattr(error, "strerror", None) or error
        typer.echo(f"Tocsin cannot listen on {host}:{port}: {why}. Choose by --port.", err=True)
        raise typer.Exit(1) from None


def _let_go_of_the_stuck(listening: socket.socket, limits: SocketLimits) -> None:
    """Whoever takes nothing for as long as a ping may wait loses the connection itself, where the
    system can do it (Linux): else it would hold a file, and SIGTERM for all of its grace."""
    if hasattr(socket, "TCP_USER_TIMEOUT"):
        milliseconds = int((limits.ping_seconds + limits.pong_seconds) * 1000)
        listening.setsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT, milliseconds)


def _settings() -> Settings:
    try:
        return Settings()
    except ValidationError as error:
        for each in error.errors():
            place = "__".join(str(step) for step in each["loc"]).upper()
            typer.echo(f"TOCSIN_{place}: {each['msg']}", err=True)
        raise typer.Exit(2) from None


def _database(work: Callable[[], Coroutine[Any, Any, Result]]) -> Result:
    """Runs it; where the database is what fails, says so in a line."""
    try:
        with asyncio.Runner() as runner:
            try:
                return runner.run(work())
            finally:
                _let_connections_end()
    except NewerDatabaseError as error:
        why: str | None = str(error)
    except BadUrlError as error:
        why = f"TOCSIN_DATABASE_URL {error}."
    except DATABASE_ERRORS as error:
        why = why_unavailable(error)
        if why is None:
            raise
    typer.echo(f"Tocsin cannot start. {why}", err=True)
    raise typer.Exit(1)


archives.add_to(main, _settings, _database)

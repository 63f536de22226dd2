"""The command `tocsin`."""

from __future__ import annotations

import asyncio
import signal
import socket
import sys
import threading
from collections.abc import Callable, Coroutine
from datetime import UTC, datetime
from typing import Annotated, Any, NoReturn, TypeVar
from urllib.parse import quote

import typer
import uvicorn
from fastapi import FastAPI
from pydantic import ValidationError

from app.archives import commands as archives
from app.domain.access import Permission
from app.domain.limits import SocketLimits
from app.domain.values import read_id, read_instant, write_instant
from app.graphql.schema import build_schema
from app.main import create_app, prepare
from app.services import operator_keys
from app.services.keys import Saved
from app.services.tokens import TokenSettingsError
from app.settings import Settings
from app.store import tables
from app.store.database import Database
from app.store.dialect import DATABASE_ERRORS, BadUrlError, why_unavailable
from app.store.migrate import NewerDatabaseError, OlderDatabaseError, check
from app.telemetry import configure_logs

Result = TypeVar("Result")
GRACE_SECONDS = 10

main = typer.Typer(no_args_is_help=True, add_completion=False, pretty_exceptions_enable=False)
keys = typer.Typer(no_args_is_help=True)
main.add_typer(keys, name="keys", help="Make, list and revoke keys, at the database itself.")


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
    app = _app(settings)
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
        app,
        log_level="warning",
        proxy_headers=settings.trusted_proxies is not None,
        forwarded_allow_ips=settings.trusted_proxies,
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


@keys.command("create")
def create_key(
    name: Annotated[str, typer.Option(help="Who or what will use it.")],
    permission: Annotated[list[Permission], typer.Option(help="What it may do; repeat it.")],
    organization: Annotated[str, typer.Option(help="The key of its organization.")] = "default",
    expires_at: Annotated[
        str | None, typer.Option(help="When it ends, as 2027-01-01T00:00:00Z.")
    ] = None,
    every_organization: Annotated[
        bool, typer.Option("--every-organization", help="It acts in every organization.")
    ] = False,
) -> None:
    """Make a key and print its secret, alone, on standard output."""
    settings = _settings()
    ends = None if expires_at is None else read_instant(expires_at)
    if expires_at is not None and ends is None:
        _refuse("--expires-at: Wants an instant with an offset, as 2027-01-01T00:00:00Z.", 2)
    now = datetime.now(UTC)
    saved = _at_database(
        settings,
        lambda database: operator_keys.create(
            database,
            organization,
            name,
            permission,
            ends,
            now,
            settings.limits,
            every_organization=every_organization,
        ),
    )
    key = _saved(saved)
    typer.echo(f"The secret of the new key {key.id}, shown this once:", err=True)
    typer.echo(saved.secret)


@keys.command("list")
def list_keys() -> None:
    """List all keys, a line each, separated by tabs: the valid ones first."""
    now = datetime.now(UTC)
    rows = _at_database(_settings(), lambda database: operator_keys.listed(database, now))
    typer.echo("id\torganization\tstate\tlast used\tpermissions\tname", err=True)
    for organization, key in rows:
        where = "*" if key.every_organization else organization
        used = "never" if key.last_used_at is None else write_instant(key.last_used_at)
        told = (str(key.id), where, _state(key, now), used, ",".join(key.permissions), key.name)
        typer.echo("\t".join(told))


@keys.command("revoke")
def revoke_key(id: Annotated[str, typer.Argument(help="The key's id, as `list` has it.")]) -> None:
    """End a key for good. Servers that run close the sockets that it opened."""
    key_id = read_id(id)
    if key_id is None:
        _refuse(f"{id[:100]!a} is no id; ids are UUIDs.", 2)
    now = datetime.now(UTC)
    key = _saved(
        _at_database(_settings(), lambda database: operator_keys.revoke(database, key_id, now))
    )
    typer.echo(f"The key {key.id} ({key.name}) is {_state(key, now)}.", err=True)


def _state(key: tables.ApiKey, now: datetime) -> str:
    if key.revoked_at is not None:
        return f"revoked since {write_instant(key.revoked_at)}"
    if key.expires_at is None:
        return "valid"
    since = "expired since" if key.expires_at <= now else "valid until"
    return f"{since} {write_instant(key.expires_at)}"


_OPTIONS = {"expiresAt": "--expires-at", "permissions": "--permission"}


def _saved(saved: Saved) -> tables.ApiKey:
    """The key; where there is none, says why, a line for each reason."""
    for problem in saved.problems:
        option = "".join(_OPTIONS.get(step, f"--{step}") + ": " for step in problem.path[:1])
        typer.echo(f"{option}{problem.message}", err=True)
    if saved.key is None:
        raise typer.Exit(1)
    return saved.key


def _refuse(message: str, code: int) -> NoReturn:
    typer.echo(message, err=True)
    raise typer.Exit(code)


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


def _app(settings: Settings) -> FastAPI:
    try:
        return create_app(settings)
    except TokenSettingsError as error:
        _refuse(f"TOCSIN_JWT_*: {error}", 2)


def _settings() -> Settings:
    try:
        return Settings()
    except ValidationError as error:
        for each in error.errors():
            place = "__".join(str(step) for step in each["loc"]).upper()
            typer.echo(f"TOCSIN_{place}: {each['msg']}", err=True)
        raise typer.Exit(2) from None


def _at_database(
    settings: Settings, work: Callable[[Database], Coroutine[Any, Any, Result]]
) -> Result:
    """Runs it on a database of this version, and changes nothing of any other."""

    async def worked() -> Result:
        database = Database(settings.database_url)
        try:
            await check(database.url)
            return await work(database)
        finally:
            await database.close()

    configure_logs()
    return _database(worked)


def _database(work: Callable[[], Coroutine[Any, Any, Result]]) -> Result:
    """Runs it; where the database is what fails, says so in a line."""
    try:
        with asyncio.Runner() as runner:
            try:
                return runner.run(work())
            finally:
                _let_connections_end()
    except (NewerDatabaseError, OlderDatabaseError) as error:
        why: str | None = str(error)
    except BadUrlError as error:
        why = f"TOCSIN_DATABASE_URL {error}."
    except DATABASE_ERRORS as error:
        why = why_unavailable(error)
        if why is None:
            raise
    _refuse(f"Tocsin cannot start. {why}", 1)


archives.add_to(main, _settings, _database)

"""The command `tocsin`."""

from __future__ import annotations

import asyncio
import socket
import sys
from collections.abc import Callable, Coroutine
from datetime import UTC, datetime
from typing import Annotated, Any, NoReturn, TypeVar
from urllib.parse import quote

import typer
from pydantic import ValidationError

from app import key_commands
from app.archives import commands as archives
from app.domain.shared.limits import SocketLimits
from app.domain.shared.values import write_instant
from app.graphql.schema import build_schema
from app.main import prepare, tokens_of
from app.services.auth.tokens import TokenSettingsError
from app.services.change_log import pruning
from app.serving.server import run
from app.serving.workers import Workers
from app.settings import Settings
from app.store.engine.database import Database
from app.store.engine.dialect import DATABASE_ERRORS, BadUrlError, why_unavailable
from app.store.migrate import OtherDatabaseError, check
from app.telemetry import configure_logs

Result = TypeVar("Result")

main = typer.Typer(no_args_is_help=True, add_completion=False, pretty_exceptions_enable=False)


@main.callback()
def tocsin() -> None:
    """Tocsin: operational events, heard the moment they happen. Settings: TOCSIN_*."""


@main.command()
def serve(
    host: Annotated[str, typer.Option(help="The address to listen on.")] = "127.0.0.1",
    port: Annotated[int, typer.Option(help="The port to listen on.")] = 8000,
    workers: Annotated[
        int, typer.Option(min=1, max=64, help="How many processes share the work.")
    ] = 1,
) -> None:
    """Serve GraphQL at /graphql. Migrates the database first."""
    configure_logs()
    settings = _settings()
    _check_tokens(settings)
    listening = _listen(host, port)
    _let_go_of_the_stuck(listening, settings.sockets)
    key = _database(lambda: prepare(settings))
    address = f"http://{host}:{listening.getsockname()[1]}/graphql"
    if key is not None:
        typer.echo("This database is new. Its administrator's key, shown this once:\n")
        typer.echo(f"  {key}\n\nGraphiQL, signed in:\n\n  {address}#key={quote(key, safe='')}\n")
    typer.echo(f"Tocsin serves {address}")
    sys.stdout.flush()
    if workers == 1:
        run(settings, listening)
    else:
        Workers(settings, listening, workers).run()


@main.command()
def migrate(
    new_epoch: Annotated[
        bool,
        typer.Option(
            "--new-epoch", help="After restoring a backup: cursors given out are expired."
        ),
    ] = False,
) -> None:
    """Bring the database to this version, without serving."""
    configure_logs()
    settings = _settings()
    key = _database(lambda: prepare(settings, new_epoch=new_epoch))
    typer.echo("The database is up to date.")
    if key is not None:
        typer.echo(f"It was new. Its administrator's key, shown this once:\n\n  {key}")


@main.command()
def prune(
    before: Annotated[
        datetime,
        typer.Option(
            formats=["%Y-%m-%d", "%Y-%m-%dT%H:%M:%SZ"], help="A day, or an instant, in UTC."
        ),
    ],
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Count them only, and remove nothing.")
    ] = False,
) -> None:
    """Remove log entries that are older, for good. Events stay. Servers may run meanwhile."""
    configure_logs()
    settings = _settings()
    older_than = before.replace(tzinfo=UTC)
    if older_than > datetime.now(UTC):
        typer.echo("--before: lies in the future.", err=True)
        raise typer.Exit(2)
    work = pruning.count_older if dry_run else pruning.prune
    number = _at_database(settings, lambda database: work(database, older_than))
    what = "would be removed" if dry_run else "were removed"
    typer.echo(f"{number:,} log entries from before {write_instant(older_than)} {what}.")


@main.command()
def schema() -> None:
    """Print the GraphQL schema, as schema.graphql has it."""
    typer.echo(build_schema().as_str())


def _refuse(message: str, code: int) -> NoReturn:
    typer.echo(message, err=True)
    raise typer.Exit(code)


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


def _check_tokens(settings: Settings) -> None:
    try:
        tokens_of(settings)
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
        return asyncio.run(work())
    except OtherDatabaseError as error:
        why: str | None = str(error)
    except BadUrlError as error:
        why = f"TOCSIN_DATABASE_URL {error}."
    except DATABASE_ERRORS as error:
        why = why_unavailable(error)
        if why is None:
            raise
    _refuse(f"Tocsin cannot start. {why}", 1)


archives.add_to(main, _settings, _database)
key_commands.add_to(main, _settings, _at_database)

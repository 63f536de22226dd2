"""The commands `tocsin keys`: what an operator does with keys, at the database itself."""

from __future__ import annotations

from collections.abc import Callable, Coroutine
from datetime import UTC, datetime
from typing import Annotated, Any, NoReturn, Protocol, TypeVar

import typer

from app.domain.access.caller import Permission
from app.domain.shared.values import read_id, read_instant, write_instant
from app.services.auth import operator_keys
from app.services.auth.keys import Saved
from app.settings import Settings
from app.store import tables
from app.store.engine.database import Database

Result = TypeVar("Result")
_OPTIONS = {"expiresAt": "--expires-at", "permissions": "--permission"}


class Run(Protocol):
    """Runs work on a database of this version, and tells what keeps it from answering."""

    def __call__(
        self, settings: Settings, work: Callable[[Database], Coroutine[Any, Any, Result]]
    ) -> Result: ...


Name = Annotated[str, typer.Option(help="Who or what will use it.")]
Permissions = Annotated[
    list[Permission], typer.Option("--permission", help="What it may do; repeat it.")
]
Organization = Annotated[str, typer.Option(help="The key of its organization.")]
ExpiresAt = Annotated[str | None, typer.Option(help="When it ends, as 2027-01-01T00:00:00Z.")]
Every = Annotated[bool, typer.Option("--every-organization", help="It acts in every organization.")]
KeyId = Annotated[str, typer.Argument(metavar="ID", help="The key's id, as `list` has it.")]


def add_to(main: typer.Typer, settings: Callable[[], Settings], run: Run) -> None:
    """Adds the commands."""
    commands = typer.Typer(no_args_is_help=True)
    main.add_typer(
        commands, name="keys", help="Make, list and revoke keys, at the database itself."
    )

    @commands.command("create")
    def create(
        name: Name,
        permissions: Permissions,
        organization: Organization = "default",
        expires_at: ExpiresAt = None,
        every_organization: Every = False,
    ) -> None:
        """Make a key and print its secret, alone, on standard output."""
        given = settings()
        ends = None if expires_at is None else read_instant(expires_at)
        if expires_at is not None and ends is None:
            _refuse("--expires-at: Wants an instant with an offset, as 2027-01-01T00:00:00Z.")
        now = datetime.now(UTC)
        saved = run(
            given,
            lambda database: operator_keys.create(
                database,
                organization,
                name,
                permissions,
                ends,
                now,
                given.limits,
                every_organization=every_organization,
            ),
        )
        key = _saved(saved)
        typer.echo(f"The secret of the new key {key.id}, shown this once:", err=True)
        typer.echo(saved.secret)

    @commands.command("list")
    def list_() -> None:
        """List all keys, a line each, separated by tabs: the valid ones first."""
        now = datetime.now(UTC)
        rows = run(settings(), lambda database: operator_keys.listed(database, now))
        typer.echo("id\torganization\tstate\tlast used\tpermissions\tname", err=True)
        for organization, key in rows:
            typer.echo("\t".join(_told(organization, key, now)))

    @commands.command("revoke")
    def revoke(id: KeyId) -> None:
        """End a key for good. Servers that run close the sockets that it opened."""
        key_id = read_id(id)
        if key_id is None:
            _refuse(f"{id[:100]!a} is no id; ids are UUIDs.")
        now = datetime.now(UTC)
        key = _saved(run(settings(), lambda database: operator_keys.revoke(database, key_id, now)))
        typer.echo(f"The key {key.id} ({key.name}) is {_state(key, now)}.", err=True)


def _told(organization: str, key: tables.ApiKey, now: datetime) -> tuple[str, ...]:
    where = "*" if key.every_organization else organization
    used = "never" if key.last_used_at is None else write_instant(key.last_used_at)
    return (str(key.id), where, _state(key, now), used, ",".join(key.permissions), key.name)


def _state(key: tables.ApiKey, now: datetime) -> str:
    if key.revoked_at is not None:
        return f"revoked since {write_instant(key.revoked_at)}"
    if key.expires_at is None:
        return "valid"
    since = "expired since" if key.expires_at <= now else "valid until"
    return f"{since} {write_instant(key.expires_at)}"


def _saved(saved: Saved) -> tables.ApiKey:
    """The key; where there is none, says why, a line for each reason."""
    for problem in saved.problems:
        option = "".join(_OPTIONS.get(step, f"--{step}") + ": " for step in problem.path[:1])
        typer.echo(f"{option}{problem.message}", err=True)
    if saved.key is None:
        raise typer.Exit(1)
    return saved.key


def _refuse(message: str) -> NoReturn:
    typer.echo(message, err=True)
    raise typer.Exit(2)

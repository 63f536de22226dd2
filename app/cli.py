"""The command `tocsin`: its commands, their options and their help.

Each command imports its implementation when it runs, so `tocsin --help` imports little but typer.
"""

from __future__ import annotations

from datetime import datetime
from pathlib import Path
from typing import Annotated

import typer

from app.domain.access.caller import Permission

DEFAULT_ORGANIZATION = "default"

main = typer.Typer(no_args_is_help=True, add_completion=False, pretty_exceptions_enable=False)
keys = typer.Typer(no_args_is_help=True)


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
    from app.serving.command import serve

    serve(host, port, workers)


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
    from app.database_commands import migrate

    migrate(new_epoch=new_epoch)


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
    from app.database_commands import prune

    prune(before, dry_run=dry_run)


@main.command()
def schema() -> None:
    """Print the GraphQL schema, as schema.graphql has it."""
    from app.graphql.schema import build_schema

    typer.echo(build_schema().as_str())


@main.command("import")
def import_events(
    file: Annotated[str, typer.Argument(metavar="FILE", help="The file, or - for standard input.")],
    organization: Annotated[
        str, typer.Option(help="The key of the organization.")
    ] = DEFAULT_ORGANIZATION,
    actor: Annotated[
        str, typer.Option(help="Who the history says has logged the events.")
    ] = "tocsin import",
) -> None:
    """Import CloudEvents: a JSON array, or one a line. Run again, it imports nothing twice."""
    from app.archives.commands import import_events

    raise typer.Exit(import_events(file, organization, actor))


@main.command("export")
def export_events(
    organization: Annotated[
        str, typer.Option(help="The key of the organization.")
    ] = DEFAULT_ORGANIZATION,
    type: Annotated[
        list[str] | None,
        typer.Option("--type", help="Of this type, or with * of a prefix; repeat it."),
    ] = None,
    category: Annotated[str | None, typer.Option(help="Of an event type of this category.")] = None,
    tag: Annotated[
        list[str] | None,
        typer.Option("--tag", help="With this tag; repeat it for more, all of them."),
    ] = None,
    from_: Annotated[
        str | None,
        typer.Option("--from", help="Occurred from then on, as 2026-04-10T00:00:00Z."),
    ] = None,
    to: Annotated[str | None, typer.Option(help="Occurred before then.")] = None,
    severity: Annotated[
        list[str] | None,
        typer.Option("--severity", help="Of this severity; repeat it for more."),
    ] = None,
    output: Annotated[
        Path | None,
        typer.Option("--output", help="Write to this file; one that an export began goes on."),
    ] = None,
    after: Annotated[
        str | None, typer.Option(help="Go on behind the cursor that a run has told.")
    ] = None,
) -> None:
    """Export events as CloudEvents, one a line, in the order that they were logged."""
    from app.archives.commands import export_events, parse_filter_options

    filter = parse_filter_options(type, category, tag, from_, to, severity)
    raise typer.Exit(export_events(filter, organization, output, after))


@keys.command("create")
def create_key(
    name: Annotated[str, typer.Option(help="Who or what will use it.")],
    permissions: Annotated[
        list[Permission], typer.Option("--permission", help="What it may do; repeat it.")
    ],
    organization: Annotated[
        str, typer.Option(help="The key of its organization.")
    ] = DEFAULT_ORGANIZATION,
    expires_at: Annotated[
        str | None, typer.Option(help="When it ends, as 2027-01-01T00:00:00Z.")
    ] = None,
    every_organization: Annotated[
        bool, typer.Option("--every-organization", help="It acts in every organization.")
    ] = False,
) -> None:
    """Make a key and print its secret, alone, on standard output."""
    from app.key_commands import create_key

    create_key(name, permissions, organization, expires_at, every_organization=every_organization)


@keys.command("list")
def list_keys() -> None:
    """List all keys, a line each, separated by tabs: the valid ones first."""
    from app.key_commands import list_keys

    list_keys()


@keys.command("revoke")
def revoke_key(
    id: Annotated[str, typer.Argument(metavar="ID", help="The key's id, as `list` has it.")],
) -> None:
    """End a key for good. Servers that run close the sockets that it opened."""
    from app.key_commands import revoke_key

    revoke_key(id)


main.add_typer(keys, name="keys", help="Make, list and revoke keys, at the database itself.")

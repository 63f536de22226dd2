"""The command `tocsin`: its commands, their options and their help.

Each command imports its implementation when it runs, so `tocsin --help` imports little but typer.
"""

from __future__ import annotations

from importlib.metadata import version
from pathlib import Path
from typing import Annotated

import typer

from app.domain.access.caller import Permission

DEFAULT_ORGANIZATION = "default"

main = typer.Typer(no_args_is_help=True, add_completion=False, pretty_exceptions_enable=False)
keys = typer.Typer(no_args_is_help=True)
config = typer.Typer(no_args_is_help=True)
secrets = typer.Typer(no_args_is_help=True)


def _print_version(requested: bool) -> None:
    if requested:
        typer.echo(f"tocsin {version('tocsin')}")
        raise typer.Exit


@main.callback()
def tocsin(
    version: Annotated[
        bool,
        typer.Option(
            "--version",
            callback=_print_version,
            is_eager=True,
            help="Print the version of Tocsin and exit.",
        ),
    ] = False,
) -> None:
    """Tocsin, a GraphQL server for operational events.

    Settings are environment variables named TOCSIN_*, or keys of the file tocsin.toml: see
    docs/reference/settings.md.
    """


@main.command()
def serve(
    host: Annotated[
        str,
        typer.Option(
            help="Address to listen on. With ::, the server listens on all IPv6 and IPv4 addresses."
        ),
    ] = "127.0.0.1",
    port: Annotated[
        int,
        typer.Option(
            min=0,
            max=65535,
            help="Port to listen on. With 0, the operating system selects a free port.",
        ),
    ] = 8000,
    workers: Annotated[
        int, typer.Option(min=1, max=64, help="Number of server processes that share the port.")
    ] = 1,
) -> None:
    """Migrate the database and start the server."""
    from app.serving.command import serve

    serve(host, port, workers)


@main.command()
def migrate(
    new_epoch: Annotated[
        bool,
        typer.Option(
            "--new-epoch",
            help="Expire all cursors. Use this option after restoring a backup, with all servers "
            "stopped.",
        ),
    ] = False,
) -> None:
    """Migrate the database to this version without starting the server."""
    from app.database_commands import migrate

    migrate(new_epoch=new_epoch)


@main.command()
def prune(
    before: Annotated[
        str,
        typer.Option(
            help="Date or time in UTC, such as 2026-04-10 or 2026-04-10T00:00:00Z. Entries that "
            "are older are removed."
        ),
    ],
    organization: Annotated[
        str | None,
        typer.Option(help="Key of the organization. By default, all organizations are pruned."),
    ] = None,
    audit_entries: Annotated[
        bool,
        typer.Option(
            "--audit-entries",
            help="Also remove entries about everything but events: API keys, event types, rules "
            "and organizations.",
        ),
    ] = False,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Print the number of entries without removing them.")
    ] = False,
    yes: Annotated[
        bool, typer.Option("--yes", help="Remove the entries without asking for confirmation.")
    ] = False,
) -> None:
    """Permanently remove old entries about events from the change log. Events are kept.

    Servers can keep running. An audit entry of each organization records what was removed. Cursors
    that are older than a removed entry expire in every organization. What enabled channels have not
    read yet is kept, for the time that TOCSIN_RETENTION__UNDELIVERED_DAYS sets.
    """
    from app.database_commands import prune

    prune(before, organization, audit_entries=audit_entries, dry_run=dry_run, yes=yes)


@main.command()
def backup(
    file: Annotated[Path, typer.Argument(metavar="FILE", help="File to write. It must not exist.")],
) -> None:
    """Write a backup of the database to a file. Servers can keep running.

    The backup of a PostgreSQL database is an archive of pg_dump, which must be installed.
    """
    from app.backup_commands import backup

    backup(file)


@main.command()
def restore(
    file: Annotated[
        Path, typer.Argument(metavar="FILE", help="Backup that `tocsin backup` wrote.")
    ],
    replace: Annotated[
        bool, typer.Option("--replace", help="Replace the SQLite database if it exists.")
    ] = False,
) -> None:
    """Restore the database from a backup, migrate it, and expire all cursors.

    Stop all servers first. A PostgreSQL database must exist and be empty; the backup is restored by
    pg_restore, which must be installed.
    """
    from app.backup_commands import restore

    restore(file, replace=replace)


@main.command()
def verify() -> None:
    """Verify that events, change log, receipts and search index are consistent.

    Prints each problem, and exits with code 1 if there is any. Servers can keep running.
    """
    from app.backup_commands import verify

    verify()


@main.command()
def copy(
    from_: Annotated[
        str, typer.Option("--from", metavar="URL", help="URL of the database to copy.")
    ],
    to: Annotated[
        str,
        typer.Option(
            metavar="URL",
            help="URL of an empty database: a SQLite file that does not exist, or a PostgreSQL "
            "database without tables.",
        ),
    ],
) -> None:
    """Copy a database to an empty one, for example from SQLite to PostgreSQL, and verify the copy.

    Stop all servers first. If the command is interrupted, run it again to continue. Cursors expire.
    """
    from app.backup_commands import copy

    copy(from_, to)


@main.command()
def settings(
    changed: Annotated[
        bool, typer.Option("--changed", help="Print only settings that differ from the defaults.")
    ] = False,
) -> None:
    """Print the settings in force as TOML, and where each comes from. Secrets are hidden."""
    from app.settings_command import show_settings

    show_settings(changed_only=changed)


@main.command()
def schema() -> None:
    """Print the GraphQL schema in SDL, as in schema.graphql."""
    from app.graphql.schema import build_schema

    typer.echo(build_schema().as_str())


@main.command("import")
def import_events(
    file: Annotated[
        str, typer.Argument(metavar="FILE", help="File to import, or - to read standard input.")
    ],
    organization: Annotated[
        str, typer.Option(help="Key of the organization.")
    ] = DEFAULT_ORGANIZATION,
    actor: Annotated[
        str, typer.Option(help="Name of the actor that the change log records.")
    ] = "tocsin import",
    format: Annotated[
        str | None,
        typer.Option(
            "--format",
            help="Format of the file: cloudevents (default), or a table of events: csv, ndjson, "
            "json or parquet. parquet needs the extra `parquet` of the package.",
        ),
    ] = None,
    type: Annotated[
        str | None,
        typer.Option(
            "--type",
            help="Event type of the rows of a table that name none. Strings are converted to the "
            "kinds of its fields.",
        ),
    ] = None,
    map: Annotated[
        list[str] | None,
        typer.Option(
            "--map",
            metavar="COLUMN=FIELD",
            help="Attribute or custom field that a column of a table contains, for example "
            "'Well ID=entityId' or 'version=fields.version'. COLUMN= ignores the column. Repeat "
            "the option for several columns.",
        ),
    ] = None,
    dry_run: Annotated[
        bool,
        typer.Option(
            "--dry-run",
            help="Validate the events without storing them. They are compared with stored events, "
            "but not with each other.",
        ),
    ] = False,
    raw: Annotated[
        bool,
        typer.Option(
            "--raw",
            help="Keep the quote (') that export adds to CSV cells that look like formulas.",
        ),
    ] = False,
) -> None:
    """Import events from a file of CloudEvents or from a table.

    CloudEvents are a JSON array, one event per line, or events one after the other. A file can be
    in UTF-8, or in UTF-16 with a byte order mark. Importing a file again does not create
    duplicates.
    """
    from app.archives.commands import ImportOptions, import_events, parse_format, parse_mapping

    options = ImportOptions(
        organization, actor, parse_format(format), type, parse_mapping(map), dry_run, raw
    )
    raise typer.Exit(import_events(file, options))


TypePatterns = Annotated[
    list[str] | None,
    typer.Option(
        "--type",
        help="Event type, or a prefix with a trailing *. Repeat the option for several types.",
    ),
]
RequiredTags = Annotated[
    list[str] | None,
    typer.Option(
        "--tag", help="Tag. Repeat the option for several tags; events must have all of them."
    ),
]


@main.command("export")
def export_events(
    organization: Annotated[
        str, typer.Option(help="Key of the organization.")
    ] = DEFAULT_ORGANIZATION,
    type: TypePatterns = None,
    category: Annotated[str | None, typer.Option(help="Category of the event types.")] = None,
    tag: RequiredTags = None,
    from_: Annotated[
        str | None,
        typer.Option(
            "--from",
            help="Start of the time range (inclusive), for example 2026-04-10T00:00:00Z. Compared "
            "with the time at which each event occurred, or each entry of the history was "
            "written.",
        ),
    ] = None,
    to: Annotated[
        str | None,
        typer.Option(help="End of the time range (exclusive), for example 2026-05-10T00:00:00Z."),
    ] = None,
    severity: Annotated[
        list[str] | None,
        typer.Option(
            "--severity",
            help="ERROR, WARN, INFO or SUCCESS. Repeat the option for several severities.",
        ),
    ] = None,
    format: Annotated[
        str | None,
        typer.Option(
            "--format",
            help="cloudevents (one per line, default), or a table of events with content, "
            "acknowledgement and occurrences: csv, ndjson (one object per line), json (an array) "
            "or parquet. parquet needs the extra `parquet` of the package.",
        ),
    ] = None,
    history: Annotated[
        bool,
        typer.Option(
            "--history",
            help="Export the entries of the change log, of events and of everything else, instead "
            "of events. Default format: ndjson.",
        ),
    ] = False,
    raw: Annotated[
        bool,
        typer.Option(
            "--raw",
            help="Write CSV cells that begin with = + - @, a tab or a carriage return as they are. "
            "Otherwise, a quote (') is added in front, so that spreadsheets do not run formulas.",
        ),
    ] = False,
    output: Annotated[
        Path | None,
        typer.Option(
            "--output",
            help="File to write to, instead of standard output. An earlier export to the same "
            "file is continued, except in the formats json and parquet.",
        ),
    ] = None,
    after: Annotated[
        str | None,
        typer.Option(
            help="Cursor that an earlier export printed. The export continues after this cursor."
        ),
    ] = None,
) -> None:
    """Export events, or the change log, in the order in which they were logged."""
    from app.archives.commands import (
        ExportOptions,
        export_events,
        parse_filter_options,
        parse_format,
    )

    filter = parse_filter_options(type, category, tag, from_, to, severity)
    file_format = parse_format(format, history=history)
    options = ExportOptions(organization, filter, file_format, history, raw, output, after)
    raise typer.Exit(export_events(options))


Url = Annotated[
    str,
    typer.Option(envvar="TOCSIN_URL", help="Address of the server. Environment: TOCSIN_URL."),
]
KeyFile = Annotated[
    Path | None,
    typer.Option(
        help="File with the API key or access token, instead of the environment variable "
        "TOCSIN_KEY."
    ),
]
CredentialOrganization = Annotated[
    str | None,
    typer.Option(help="Key of the organization. By default, that of the credential."),
]
DEFAULT_URL = "http://127.0.0.1:8000"


@main.command("log")
def log_event(
    summary: Annotated[
        str, typer.Argument(metavar="SUMMARY", help="Short description of the event.")
    ],
    severity: Annotated[
        str | None,
        typer.Option(
            help="error, warn, info (default) or success, or a word that the server maps."
        ),
    ] = None,
    source: Annotated[
        str | None,
        typer.Option(help="Producer of the event, such as host-1. Default: the name of the key."),
    ] = None,
    type: Annotated[str | None, typer.Option("--type", help="Event type. Default: notice.")] = None,
    notify: Annotated[
        bool, typer.Option("--notify", help="Make the event a notification.")
    ] = False,
    alert_key: Annotated[
        str | None,
        typer.Option(
            help="Condition that the event reports, such as disk-full:/var. While an unresolved "
            "event has the same source and alert key, the report is counted and not stored."
        ),
    ] = None,
    resolve: Annotated[
        bool,
        typer.Option(
            "--resolve",
            help="Resolve the event with the same source and --alert-key instead of storing one. "
            "SUMMARY becomes its resolution note.",
        ),
    ] = False,
    content: Annotated[
        str | None, typer.Option(help="Full description, or - to read standard input.")
    ] = None,
    subject: Annotated[
        str | None, typer.Option(help="Subject of the event within its source.")
    ] = None,
    entity_type: Annotated[
        str | None,
        typer.Option(help="Type of the entity that the event is about. Needs --entity-id."),
    ] = None,
    entity_id: Annotated[
        str | None,
        typer.Option(help="ID of the entity that the event is about. Needs --entity-type."),
    ] = None,
    fields: Annotated[
        str | None,
        typer.Option(metavar="JSON", help="Custom fields as a JSON object."),
    ] = None,
    tag: Annotated[
        list[str] | None,
        typer.Option("--tag", help="Tag. Repeat the option for several tags."),
    ] = None,
    occurred_at: Annotated[
        str | None,
        typer.Option(help="Time of the event, such as 2026-04-10T10:30:00Z. Default: now."),
    ] = None,
    source_id: Annotated[
        str | None,
        typer.Option(
            help="Identifier of the report. An event that is logged again with the same source and "
            "source ID is not stored again. Default: a new identifier for each run."
        ),
    ] = None,
    timeout: Annotated[
        float,
        typer.Option(
            min=1,
            max=3600,
            help="Seconds for which the event is sent again while the server does not respond, and "
            "for which each attempt waits for data.",
        ),
    ] = 30,
    url: Url = DEFAULT_URL,
    key_file: KeyFile = None,
    organization: CredentialOrganization = None,
) -> None:
    """Log an event on a server, and print its ID.

    Requires the permission EVENT_CREATE. The event is stored at most once, however often it is
    sent. Exit codes: 0 if the event was stored, counted or resolved; 1 if the server rejected it; 2
    if an option is invalid; 3 if the credential was refused; 4 if the server did not respond within
    the timeout; 130 after Ctrl-C.
    """
    from app.event_commands import (
        ServerOptions,
        build_entity,
        log_event,
        parse_fields,
        read_content,
    )

    event = {
        "summary": summary,
        "severity": severity,
        "source": source,
        "type": type,
        "notification": notify or None,
        "alertKey": alert_key,
        "resolved": resolve or None,
        "content": read_content(content),
        "subject": subject,
        "entity": build_entity(entity_type, entity_id),
        "fields": parse_fields(fields),
        "tags": tag,
        "occurredAt": occurred_at,
        "sourceId": source_id,
    }
    log_event(ServerOptions(url, key_file, organization), event, timeout)


@main.command("tail")
def tail_events(
    severity: Annotated[
        list[str] | None,
        typer.Option(
            "--severity",
            help="ERROR, WARN, INFO or SUCCESS. Repeat the option for several severities.",
        ),
    ] = None,
    type: TypePatterns = None,
    source: Annotated[str | None, typer.Option(help="Source of the events.")] = None,
    tag: RequiredTags = None,
    json: Annotated[
        bool, typer.Option("--json", help="Print each event as a JSON object on one line.")
    ] = False,
    lines: Annotated[
        int,
        typer.Option(
            "--lines", "-n", min=0, max=100, help="Number of stored events to print first."
        ),
    ] = 10,
    cursor_file: Annotated[
        Path | None,
        typer.Option(
            help="File for the cursor up to which everything is printed. If the file exists, the "
            "events after its cursor are printed, instead of those of --lines."
        ),
    ] = None,
    after: Annotated[
        str | None,
        typer.Option(
            help="Cursor after which to start, instead of that of --cursor-file: `cursor` of "
            "--json, or a cursor of the change log."
        ),
    ] = None,
    no_follow: Annotated[
        bool,
        typer.Option("--no-follow", help="Print the events that are stored already, and exit."),
    ] = False,
    url: Url = DEFAULT_URL,
    key_file: KeyFile = None,
    organization: CredentialOrganization = None,
) -> None:
    """Print events as they are stored, one per line, until Ctrl-C.

    Requires the permission EVENT_READ. After a lost connection, the command resumes without
    missing or repeating an event. Updates, counted duplicates and deleted events are not printed.
    Exit codes: 0 if the reader of the output has ended, or with --no-follow; 1 if the server
    rejected the cursor or the filter; 2 if an option is invalid; 3 if the credential was refused; 4
    if the server did not respond at the start; 130 after Ctrl-C.
    """
    from app.event_commands import ServerOptions, TailOptions, build_filter, tail_events

    options = TailOptions(lines, after, cursor_file, is_json=json, follow=not no_follow)
    filter = build_filter(severity, type, source, tag)
    tail_events(ServerOptions(url, key_file, organization), filter, options)


@keys.command("create")
def create_key(
    name: Annotated[
        str, typer.Option(help="Name of the key, for example the system that uses it.")
    ],
    permissions: Annotated[
        list[str],
        typer.Option(
            "--permission",
            help="Permission of the key: "
            + ", ".join(each.value for each in Permission)
            + ". Repeat the option for several permissions.",
        ),
    ],
    organization: Annotated[
        str, typer.Option(help="Key of the organization that the API key belongs to.")
    ] = DEFAULT_ORGANIZATION,
    expires_at: Annotated[
        str | None,
        typer.Option(
            help="Expiration time, for example 2027-01-01T00:00:00Z. If omitted, the key never "
            "expires."
        ),
    ] = None,
    every_organization: Annotated[
        bool, typer.Option("--every-organization", help="Make the key valid in every organization.")
    ] = False,
) -> None:
    """Create an API key. Only its secret is printed to standard output."""
    from app.key_commands import create_key

    create_key(name, permissions, organization, expires_at, every_organization=every_organization)


@keys.command("list")
def list_keys() -> None:
    """List all API keys, one per line, with tab-separated columns. Valid keys come first."""
    from app.key_commands import list_keys

    list_keys()


@keys.command("revoke")
def revoke_key(
    id: Annotated[
        str,
        typer.Argument(metavar="ID", help="ID of the API key, as printed by `tocsin keys list`."),
    ],
) -> None:
    """Permanently revoke an API key. Running servers close its connections."""
    from app.key_commands import revoke_key

    revoke_key(id)


ConfiguredOrganization = Annotated[
    str | None,
    typer.Option(
        help="Key of the organization. By default, that of the file or else of the credential."
    ),
]
ConfigurationFile = Annotated[
    str, typer.Argument(metavar="FILE", help="Configuration file, or - to read standard input.")
]
Prune = Annotated[
    bool,
    typer.Option(
        "--prune",
        help="Also remove what the sections of the file do not contain: delete it, retire guard "
        "rules, end silences, and archive event types that have stored events.",
    ),
]
Last = Annotated[
    int,
    typer.Option(
        min=1,
        max=10_000,
        help="Number of the newest stored events on which changed rules are tried.",
    ),
]


@secrets.command("rotate")
def rotate_secrets() -> None:
    """Encrypt the secrets of all channels with the first key of TOCSIN_SECRETS_KEYS.

    Servers may run meanwhile, if they have the same keys. Prints the number of channels whose
    secrets were encrypted with another key. Afterwards, the other keys are no longer needed.
    """
    from app.secrets_commands import rotate

    rotate()


@config.command("export")
def export_configuration(
    url: Url = DEFAULT_URL,
    key_file: KeyFile = None,
    organization: ConfiguredOrganization = None,
    output: Annotated[
        Path | None, typer.Option(help="File to write to, instead of standard output.")
    ] = None,
    ids: Annotated[
        bool,
        typer.Option(
            "--ids",
            help="Write the ID of each object, so that it can be renamed. By default, only objects "
            "that share a name have one.",
        ),
    ] = False,
) -> None:
    """Write the configuration of a server as a file."""
    from app.configuration.commands import ServerOptions, export, read_key

    export(ServerOptions(url, read_key(key_file), organization), output, ids=ids)


@config.command("validate")
def validate_configuration(file: ConfigurationFile) -> None:
    """Validate a configuration file without a server, with the default limits.

    Errors have a line and a column. Exits with code 1 if there are any.
    """
    from app.configuration.commands import validate

    validate(file)


@config.command("schema")
def print_configuration_schema() -> None:
    """Print the JSON Schema of configuration files, for editors."""
    from app.configuration.commands import print_schema

    print_schema()


@config.command("plan")
def plan_configuration(
    file: ConfigurationFile,
    url: Url = DEFAULT_URL,
    key_file: KeyFile = None,
    organization: ConfiguredOrganization = None,
    prune: Prune = False,
    last: Last = 100,
    out: Annotated[
        Path | None, typer.Option(help="File in which to save the plan for `tocsin config apply`.")
    ] = None,
    exit_code: Annotated[
        bool,
        typer.Option(
            "--exit-code",
            help="Exit with code 2 if there are changes, and with 0 if there are none.",
        ),
    ] = False,
) -> None:
    """Print what `tocsin config apply` would change, in words and as a diff. Changes nothing.

    Exits with code 1 if the file cannot be applied.
    """
    from app.configuration.commands import ServerOptions, plan, read_key
    from app.configuration.plans import PlanOptions

    server = ServerOptions(url, read_key(key_file), organization)
    plan(server, file, PlanOptions(prune, last), out, exit_code=exit_code)


@config.command("apply")
def apply_configuration(
    file: Annotated[
        str,
        typer.Argument(
            metavar="FILE",
            help="Configuration file, or a plan that `tocsin config plan --out` saved. Or - to "
            "read standard input, which requires --yes.",
        ),
    ],
    url: Url = DEFAULT_URL,
    key_file: KeyFile = None,
    organization: ConfiguredOrganization = None,
    prune: Prune = False,
    last: Last = 100,
    secrets_file: Annotated[
        Path | None,
        typer.Option(
            help="File to which the tokens of new sources and the signing secrets of new channels "
            "are appended, as lines of JSON. It is created with the mode 600. Required if there "
            "are any.",
        ),
    ] = None,
    yes: Annotated[
        bool, typer.Option("--yes", help="Apply a configuration file without asking.")
    ] = False,
) -> None:
    """Make the configuration of a server equal to a file.

    Prints the plan of a configuration file and asks for confirmation. A saved plan is applied
    without asking, unless the configuration of the server has changed since. Each change is a
    transaction of its own and requires the permission of its object. Exits with code 1 at the first
    error; then apply the file again.
    """
    from app.configuration.commands import ServerOptions, apply, read_key
    from app.configuration.plans import PlanOptions

    server = ServerOptions(url, read_key(key_file), organization)
    apply(server, file, PlanOptions(prune, last), secrets_file, yes=yes)


main.add_typer(
    config,
    name="config",
    help="Export, compare and apply the configuration of an organization as a file.",
)
main.add_typer(keys, name="keys", help="Create, list and revoke API keys directly in the database.")
main.add_typer(
    secrets, name="secrets", help="Change the key that encrypts secrets in the database."
)

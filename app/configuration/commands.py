"""The commands `tocsin config`. They use the GraphQL API of a server."""

from __future__ import annotations

import contextlib
import json
import os
import sys
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, NoReturn

import typer

from app.api_client import ApiClient, ApiError, load_key
from app.command_options import exit_with
from app.configuration.applying import (
    SavedPlan,
    StoreSecrets,
    apply_plan,
    format_plan,
    is_current,
    read_saved_plan,
)
from app.configuration.configuration import (
    Configuration,
    FileError,
    InvalidFileError,
    count_unchecked_rules,
    has_literal_addresses,
    parse_configuration,
    validate_items,
)
from app.configuration.file_schema import CHANNELS, SECTIONS, build_file_schema
from app.configuration.planning import create_plan
from app.configuration.plans import CHANGED, CREATED, REMOVED, Change, Plan, PlanOptions
from app.configuration.stored_state import StoredState, fetch_state, format_state
from app.domain.shared.messages import format_count, quote_value

ERROR_CODE, CHANGES_CODE = 1, 2
MAX_FILE_CHARACTERS = 10_000_000
_SERVER_CHANGED = (
    "The configuration of the server changed after the plan was created. Nothing was applied. "
    "Create a new plan."
)
_NO_SECRETS_FILE = (
    "The server creates tokens of sources and signing secrets of channels, and returns them only "
    "once: set --secrets-file to the file to which they are written. Nothing was applied."
)
_NO_ADDRESSES = (
    "The server does not return the addresses and headers of channels. To create the channels "
    "elsewhere, add them to the file: as references, such as env:NAME."
)
_NO_FILE = (
    "A saved plan does not contain addresses and headers of channels, but is applied with the file "
    "that has them. To save the plan of a configuration from standard input, write references "
    "instead, such as env:NAME."
)


@dataclass(frozen=True)
class ServerOptions:
    """The server, the credential, and the key of the organization."""

    url: str
    key: str
    organization: str | None

    def open_client(self) -> ApiClient:
        """Exits with code 1 if the address is invalid."""
        try:
            return ApiClient(self.url, self.key, self.organization)
        except ApiError as error:
            exit_with(str(error), ERROR_CODE)


def read_key(file: Path | None) -> str:
    """Reads the key from the file, or from the environment. Exits with code 1 if there is none."""
    try:
        return load_key(file)
    except ApiError as error:
        exit_with(str(error), ERROR_CODE)


def print_schema() -> None:
    typer.echo(json.dumps(build_file_schema(), indent=2, ensure_ascii=False))


def validate(file: str) -> None:
    """Exits with code 1 if the file is invalid."""
    configuration = _parse_file(file, _read_text(file))
    if errors := validate_items(configuration):
        _exit_with_errors(file, errors)
    counts = ", ".join(
        f"{section.name} {len(configuration.items[section.name])}"
        for section in SECTIONS
        if section.name in configuration.items
    )
    typer.echo(f"{file} is valid: {counts or 'no sections'}.")
    if omitted := count_unchecked_rules(configuration):
        rules = format_count(omitted, "guard rule")
        typer.echo(
            f"The expressions of {rules} were not checked, because the file does not contain the "
            "event type. `tocsin config plan` checks them."
        )


def export(server: ServerOptions, output: Path | None, *, ids: bool) -> None:
    with server.open_client() as client:
        try:
            text = format_state(_fetch_readable(client, server.organization), with_ids=ids)
        except ApiError as error:
            exit_with(str(error), ERROR_CODE)
    if output is None:
        typer.echo(text, nl=False)
        return
    try:
        output.write_text(text, encoding="utf-8")
    except OSError as error:
        exit_with(f"Cannot write {output}: {error.strerror}.", ERROR_CODE)


def _fetch_readable(client: ApiClient, organization: str | None) -> StoredState:
    """Reads the sections that the credential may read, and prints the names of the others."""
    state = fetch_state(client, organization, None)
    if state.organization_name is None:
        raise ApiError(f"The credential has no organization {quote_value(organization)}.")
    if omitted := [section.name for section in SECTIONS if section.name not in state.items]:
        typer.echo(f"Omitted, for lack of permissions: {', '.join(omitted)}.", err=True)
    if state.items.get(CHANNELS.name):
        typer.echo(_NO_ADDRESSES, err=True)
    return state


def plan(
    server: ServerOptions,
    file: str,
    options: PlanOptions,
    out: Path | None,
    *,
    exit_code: bool,
) -> None:
    configuration = _parse_file(file, _read_text(file))
    if out is not None and file == "-" and has_literal_addresses(configuration):
        exit_with(_NO_FILE, ERROR_CODE)
    with server.open_client() as client:
        created = _create_plan(client, server, file, configuration, options)
    _print_plan(created, client.url)
    if out is not None:
        try:
            out.write_text(format_plan(created, file), encoding="utf-8")
        except OSError as error:
            exit_with(f"Cannot write {out}: {error.strerror}.", ERROR_CODE)
        typer.echo(f"Saved the plan in {out}. To apply it: tocsin config apply {out}", err=True)
    if exit_code and created.changes:
        raise typer.Exit(CHANGES_CODE)


def apply(
    server: ServerOptions,
    file: str,
    options: PlanOptions,
    secrets_file: Path | None,
    *,
    yes: bool,
) -> None:
    text = _read_text(file)
    try:
        saved = read_saved_plan(text, _read_text)
    except InvalidFileError as error:
        _exit_with_errors(file, error.errors)
    with server.open_client() as client:
        if saved is not None:
            _apply(client, _read_plan_again(client, server, saved, options), secrets_file)
            return
        if file == "-" and not yes:
            exit_with("To apply a configuration from standard input, add --yes.", ERROR_CODE)
        configuration = _parse_file(file, text)
        applied = _create_plan(client, server, file, configuration, options)
        _print_plan(applied, client.url)
        if applied.changes and not yes:
            typer.confirm("Apply these changes?", abort=True, err=True)
        _apply(client, applied, secrets_file)


def _read_plan_again(
    client: ApiClient, server: ServerOptions, saved: SavedPlan, options: PlanOptions
) -> Plan:
    """Exits with code 1 unless the server is still the one for which the plan was created."""
    if server.organization not in (None, saved.organization):
        message = (
            f"The plan is for the organization {quote_value(saved.organization)}, not "
            f"{quote_value(server.organization)}."
        )
        exit_with(message, ERROR_CODE)
    if options.prune and not saved.options.prune:
        exit_with("The plan was created without --prune. Create a new plan.", ERROR_CODE)
    server = replace(server, organization=saved.organization)
    state = _fetch_state(client, server, saved.file, saved.configuration)
    if state.compute_digest() != saved.digest:
        exit_with(_SERVER_CHANGED, ERROR_CODE)
    return _plan_changes(client, saved.file, saved.configuration, state, saved.options)


def _apply(client: ApiClient, applied: Plan, secrets_file: Path | None) -> None:
    if missing := applied.missing_permissions:
        message = f"The credential lacks {' and '.join(missing)}. Nothing was applied."
        exit_with(message, ERROR_CODE)
    count = 0
    try:
        if not is_current(client, applied):
            exit_with(_SERVER_CHANGED, ERROR_CODE)
        with _open_secrets_file(applied, secrets_file) as store_secrets:
            for change in apply_plan(client, applied, store_secrets):
                count += 1
                verb = {CREATED: "Created", REMOVED: "Removed"}.get(change.kind, "Changed")
                typer.echo(f"{verb} {change.title}.")
    except ApiError as error:
        total = len(applied.changes)
        exit_with(
            f"{error}\nApplied {count:,} of {format_count(total, 'change')}. Fix the error, and "
            "create a new plan for the rest.",
            ERROR_CODE,
        )
    typer.echo(f"Applied {format_count(count, 'change')}.")


@contextlib.contextmanager
def _open_secrets_file(applied: Plan, file: Path | None) -> Iterator[StoreSecrets | None]:
    """Opens the file to which the tokens and signing secrets of new objects are appended.

    Yields None if the plan creates none. Exits with code 1 before anything is applied if there is
    no file, or if others can read it.
    """
    if not applied.creates_secrets:
        yield None
        return
    if file is None:
        exit_with(_NO_SECRETS_FILE, ERROR_CODE)
    try:
        flags = os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_NOFOLLOW
        stream = os.fdopen(os.open(file, flags, 0o600), "w", encoding="utf-8")
    except OSError as error:
        exit_with(f"Cannot write {file}: {error.strerror}.", ERROR_CODE)
    with stream:
        if os.fstat(stream.fileno()).st_mode & 0o077:
            message = f"Others can read {file}. Run chmod 600 {file}, or set a new file."
            exit_with(f"{message} Nothing was applied.", ERROR_CODE)

        def store_secrets(change: Change, secrets: Mapping[str, Any]) -> None:
            record = {"section": change.section_name, **_identify(change), **secrets}
            stream.write(json.dumps(record, ensure_ascii=False) + "\n")
            stream.flush()
            os.fsync(stream.fileno())

        yield store_secrets


def _identify(change: Change) -> dict[str, Any]:
    after = change.after or {}
    return {name: after[name] for name in ("kind", "name")}


def _create_plan(
    client: ApiClient,
    server: ServerOptions,
    file: str,
    configuration: Configuration,
    options: PlanOptions,
) -> Plan:
    """Exits with code 1 if the file cannot be applied or the server does not respond."""
    state = _fetch_state(client, server, file, configuration)
    return _plan_changes(client, file, configuration, state, options)


def _plan_changes(
    client: ApiClient,
    file: str,
    configuration: Configuration,
    state: StoredState,
    options: PlanOptions,
) -> Plan:
    try:
        return create_plan(client, configuration, state, options)
    except InvalidFileError as error:
        _exit_with_errors(file, error.errors)
    except ApiError as error:
        exit_with(str(error), ERROR_CODE)


def _fetch_state(
    client: ApiClient, server: ServerOptions, file: str, configuration: Configuration
) -> StoredState:
    """Reads what the file configures. Exits with code 1 if that is impossible."""
    organization = configuration.organization_key or server.organization
    if server.organization not in (None, organization):
        error = configuration.error_at(
            f"The file configures the organization {quote_value(organization)}, not "
            f"{quote_value(server.organization)}.",
            *("organization", "key"),
        )
        _exit_with_errors(file, [error])
    sections = [section for section in SECTIONS if section.name in configuration.items]
    try:
        return fetch_state(client, organization, sections)
    except ApiError as error:
        exit_with(str(error), ERROR_CODE)


def _print_plan(plan: Plan, url: str) -> None:
    typer.echo(f"Organization {quote_value(plan.state.organization_key)} at {url}\n")
    for change in plan.changes:
        words = " ".join(change.words)
        title = change.title[0].upper() + change.title[1:]
        typer.echo(f"{change.kind} {title}: {words}" if words else f"{change.kind} {title}")
        for line in change.format_diff():
            typer.echo(f"    {line}")
    if plan.changes:
        typer.echo("")
    if unmanaged := sum(plan.unmanaged.values()):
        typer.echo(
            f"{format_count(unmanaged, 'object')} on the server not in the file: unchanged. Use "
            "--prune to remove what the file does not contain."
        )
    if missing := plan.missing_permissions:
        typer.echo(f"The credential lacks {' and '.join(missing)}, which these changes require.")
    kinds = [change.kind for change in plan.changes]
    if not kinds:
        typer.echo("No changes.")
        return
    counts = (kinds.count(CREATED), kinds.count(CHANGED), kinds.count(REMOVED))
    typer.echo("{:,} to create, {:,} to change, {:,} to remove.".format(*counts))


def _read_text(file: str) -> str:
    try:
        if file == "-":
            text = sys.stdin.read(MAX_FILE_CHARACTERS + 1)
        else:
            with Path(file).open(encoding="utf-8-sig") as stream:
                text = stream.read(MAX_FILE_CHARACTERS + 1)
        if len(text) > MAX_FILE_CHARACTERS:
            exit_with(f"{file} has more than {MAX_FILE_CHARACTERS:,} characters.", ERROR_CODE)
        return text
    except UnicodeDecodeError:
        exit_with(f"{file} is not in UTF-8.", ERROR_CODE)
    except OSError as error:
        exit_with(f"Cannot read {file}: {error.strerror}.", ERROR_CODE)


def _parse_file(file: str, text: str) -> Configuration:
    try:
        return parse_configuration(text)
    except InvalidFileError as error:
        _exit_with_errors(file, error.errors)


def _exit_with_errors(file: str, errors: Sequence[FileError]) -> NoReturn:
    lines = [
        f"{file}:{error.line}:{error.column}: {error.message}"
        for error in sorted(errors, key=lambda error: (error.line, error.column))
    ]
    exit_with("\n".join(lines), ERROR_CODE)

"""Functions shared by all commands: reading the settings, and running a job on a database.

A failure is one line on standard error and an exit code, without a traceback.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from decimal import Decimal
from typing import TYPE_CHECKING, Any, NoReturn, TypeVar

import typer
from pydantic import ValidationError
from pydantic_settings import SettingsError

from app.command_options import exit_with
from app.settings import Settings, find_variable
from app.store.engine.database import Database
from app.store.engine.database_errors import DATABASE_ERRORS, describe_failure
from app.store.engine.dialect import InvalidDatabaseUrlError, display_address, parse_database_url
from app.store.engine.serving_lock import ServersRunningError
from app.store.migrate import UnusableDatabaseError, check_version
from app.telemetry import configure_logs

if TYPE_CHECKING:
    from pydantic_core import ErrorDetails

Result = TypeVar("Result")


def read_settings() -> Settings:
    """Reads the settings. Exits with code 2 if one of them is invalid."""
    try:
        return Settings()
    except ValidationError as error:
        for detail in error.errors():
            setting = "__".join(str(step) for step in detail["loc"])
            text = _describe_setting_error(detail)
            # An error without a location names the variables itself.
            typer.echo(f"{find_variable(setting)}: {text}" if setting else text, err=True)
        raise typer.Exit(2) from None
    except SettingsError as error:  # 'error parsing value for field "limits" from source ...'
        group = str(error).split('"')[1].upper()
        exit_with(f"TOCSIN_{group}: {_NOT_AN_OBJECT}", 2)


# What a setting of a type expects, by the type of pydantic's error.
_EXPECTED_VALUES = {
    "bool_parsing": "on or off",
    "finite_number": "a number",
    "float_parsing": "a number",
    "float_type": "a number",
    "greater_than_equal": "a number that is at least {ge:,f}",
    "int_from_float": "a whole number",
    "int_parsing": "a whole number",
    "int_type": "a whole number",
    "less_than_equal": "a number that is at most {le:,f}",
}


def _describe_setting_error(detail: ErrorDetails) -> str:
    context = detail.get("ctx", {})
    if expected := _EXPECTED_VALUES.get(detail["type"]):
        # A secret is a string, and has none of these errors.
        value = str(detail["input"])[:100]
        # Decimal shows 0.000001, and not 1e-06.
        limits = {key: Decimal(f"{context[key]:.10g}") for key in ("ge", "le") if key in context}
        return f"Invalid value {value!a}: expected {expected.format(**limits)}."
    if detail["type"] == "dataclass_type":
        return _NOT_AN_OBJECT
    # pydantic puts "Value error, " before the message of a validator.
    text = str(context.get("error", detail["msg"]))
    return text if text.endswith((".", "?", "!")) else f"{text}."


_NOT_AN_OBJECT = "The value must be a JSON object with the settings of this group."


def run_on_database(
    settings: Settings, function: Callable[[Database], Coroutine[Any, Any, Result]]
) -> Result:
    """Calls the function with a database of this version. Does not migrate it.

    Exits with code 1 if the database has another version or an operation on it fails.
    """

    async def run() -> Result:
        database = Database(settings.database_url, settings.database_direct_url, settings.database)
        try:
            await check_version(database.direct_url, database.url)
            return await function(database)
        finally:
            await database.close()

    configure_logs()
    return run_async(settings, run)


def run_async(settings: Settings, function: Callable[[], Coroutine[Any, Any, Result]]) -> Result:
    """Runs the coroutine function. Exits with code 1 if the database fails."""
    try:
        return asyncio.run(function())
    except Exception as error:
        exit_with_database_error(settings, error)


def exit_with_database_error(settings: Settings, error: Exception) -> NoReturn:
    """Exits with code 1 and one line if the database caused the error, and raises it otherwise."""
    description = describe_database_error(settings, error)
    if description is None:
        raise error
    exit_with(description, 1)


def describe_database_error(settings: Settings, error: Exception) -> str | None:
    """Describes an error of the database in one line. None for any other error."""
    if isinstance(error, UnusableDatabaseError):
        return str(error)
    if isinstance(error, InvalidDatabaseUrlError):
        return f"{find_variable('database_url')}: {error}"
    if isinstance(error, ServersRunningError):
        address = display_address(parse_database_url(settings.database_url))
        return f"Servers are using the database at {address}. Stop all servers first."
    if isinstance(error, DATABASE_ERRORS):
        return describe_failure(error, parse_database_url(settings.database_url))
    return None

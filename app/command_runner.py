"""What the commands share: reading the settings, and running work on a database.

A failure of either is one line on standard error and an exit code, without a traceback.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from typing import Any, NoReturn, TypeVar

import typer
from pydantic import ValidationError

from app.settings import Settings
from app.store.engine.database import Database
from app.store.engine.dialect import DATABASE_ERRORS, InvalidDatabaseUrlError, unavailable_reason
from app.store.migrate import DatabaseVersionError, check_version
from app.telemetry import configure_logs

Result = TypeVar("Result")


def read_settings() -> Settings:
    """The settings. Exits with code 2 if one of them is invalid."""
    try:
        return Settings()
    except ValidationError as error:
        for detail in error.errors():
            variable = "__".join(str(step) for step in detail["loc"]).upper()
            # An error without a place names the variables itself.
            message = f"TOCSIN_{variable}: {detail['msg']}" if variable else detail["msg"]
            typer.echo(message, err=True)
        raise typer.Exit(2) from None


def exit_with(message: str, code: int) -> NoReturn:
    """Prints the message on standard error and exits with the code."""
    typer.echo(message, err=True)
    raise typer.Exit(code)


def run_on_database(
    settings: Settings, function: Callable[[Database], Coroutine[Any, Any, Result]]
) -> Result:
    """Calls the function with a database that has the tables of this version. Migrates nothing.

    Exits with code 1 if the database is of another version or fails.
    """

    async def run() -> Result:
        database = Database(settings.database_url)
        try:
            await check_version(database.url)
            return await function(database)
        finally:
            await database.close()

    configure_logs()
    return run_async(run)


def run_async(function: Callable[[], Coroutine[Any, Any, Result]]) -> Result:
    """Runs the coroutine function. Exits with code 1 if the database fails."""
    try:
        return asyncio.run(function())
    except DatabaseVersionError as error:
        reason: str | None = str(error)
    except InvalidDatabaseUrlError as error:
        reason = f"TOCSIN_DATABASE_URL {error}."
    except DATABASE_ERRORS as error:
        reason = unavailable_reason(error)
        if reason is None:
            raise
    exit_with(f"Tocsin cannot start. {reason}", 1)

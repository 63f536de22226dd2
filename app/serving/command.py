"""The command `tocsin serve`."""

from __future__ import annotations

import os
import socket
import sys
from urllib.parse import quote

import typer

from app.command_runner import exit_with, exit_with_database_error, read_settings, run_async
from app.database_setup import prepare_database
from app.domain.access.tokens import TokenSettingsError
from app.domain.shared.limits import SocketLimits
from app.serving.workers import WorkerSupervisor
from app.settings import Settings
from app.telemetry import configure_logs
from app.token_settings import create_token_verifier


def serve(host: str, port: int, workers: int) -> None:
    configure_logs()
    settings = read_settings()
    _check_tokens(settings)
    listener = _create_listener(host, port)
    _set_user_timeout(listener, settings.sockets)
    key = run_async(settings, lambda: prepare_database(settings))
    address = f"http://{host}:{listener.getsockname()[1]}/graphql"
    if key is not None:
        typer.echo("Created a new database. API key of the administrator (shown only once):\n")
        link = f"{address}#key={quote(key, safe='')}"
        typer.echo(f"  {key}\n\nGraphiQL, signed in as the administrator:\n\n  {link}\n")
    typer.echo(f"Tocsin is running at {address}")
    sys.stdout.flush()
    if workers == 1:
        # Imported here: the supervisor of several workers does not need the server.
        from app.serving.server import run_server

        try:
            run_server(settings, listener)
        except Exception as error:
            exit_with_database_error(settings, error)
    elif failure := WorkerSupervisor(settings, listener, workers).run():
        exit_with(failure, 1)


def _check_tokens(settings: Settings) -> None:
    try:
        create_token_verifier(settings)
    except TokenSettingsError as error:
        exit_with(f"TOCSIN_JWT_{error.setting.upper()}: {error}", 2)


def _create_listener(host: str, port: int) -> socket.socket:
    """Binds the port. Exits with code 1, before the database is touched, if the port is taken."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    try:
        return socket.create_server((host, port), family=family, backlog=2048)
    except OSError as error:
        # `socket` appends the address to strerror. Errors of name resolution have negative numbers.
        number = error.errno or 0
        reason = os.strerror(number) if number > 0 else error.strerror or str(error)
        advice = "Choose another address with --host or --port."
        exit_with(f"Cannot listen on {host}:{port}: {reason}. {advice}", 1)


def _set_user_timeout(listener: socket.socket, limits: SocketLimits) -> None:
    """Lets the kernel (Linux) drop connections whose client acknowledges no data for the time of a
    ping. Otherwise they hold a file descriptor and delay shutdown by the whole grace period.
    """
    if hasattr(socket, "TCP_USER_TIMEOUT"):
        milliseconds = int((limits.ping_interval_seconds + limits.pong_timeout_seconds) * 1000)
        listener.setsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT, milliseconds)

"""The command `tocsin serve`."""

from __future__ import annotations

import socket
import sys
from urllib.parse import quote

import typer

from app.command_runner import exit_with, read_settings, run_async
from app.database_setup import prepare
from app.domain.access.tokens import TokenSettingsError
from app.domain.shared.limits import SocketLimits
from app.serving.workers import Workers
from app.settings import Settings
from app.telemetry import configure_logs
from app.token_settings import tokens_of


def serve(host: str, port: int, workers: int) -> None:
    configure_logs()
    settings = read_settings()
    _check_tokens(settings)
    listening = _listen(host, port)
    _set_user_timeout(listening, settings.sockets)
    key = run_async(lambda: prepare(settings))
    address = f"http://{host}:{listening.getsockname()[1]}/graphql"
    if key is not None:
        typer.echo("This database is new. Its administrator's key, shown this once:\n")
        typer.echo(f"  {key}\n\nGraphiQL, signed in:\n\n  {address}#key={quote(key, safe='')}\n")
    typer.echo(f"Tocsin serves {address}")
    sys.stdout.flush()
    if workers == 1:
        # The supervisor of several workers serves nothing itself, and does not import the server.
        from app.serving.server import run

        run(settings, listening)
    else:
        Workers(settings, listening, workers).run()


def _check_tokens(settings: Settings) -> None:
    try:
        tokens_of(settings)
    except TokenSettingsError as error:
        exit_with(f"TOCSIN_JWT_*: {error}", 2)


def _listen(host: str, port: int) -> socket.socket:
    """Binds the port. Exits with code 1, before the database is touched, if the port is taken."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    try:
        return socket.create_server((host, port), family=family, backlog=2048)
    except (OSError, OverflowError) as error:
        why = getattr(error, "strerror", None) or error
        exit_with(f"Tocsin cannot listen on {host}:{port}: {why}. Choose by --port.", 1)


def _set_user_timeout(listening: socket.socket, limits: SocketLimits) -> None:
    """Lets the kernel (Linux) drop a connection whose client acknowledges nothing for as long as a
    ping may take: it would hold a file descriptor, and delay the end of the server by all of the
    grace period.
    """
    if hasattr(socket, "TCP_USER_TIMEOUT"):
        milliseconds = int((limits.ping_seconds + limits.pong_seconds) * 1000)
        listening.setsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT, milliseconds)

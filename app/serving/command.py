"""The command `tocsin serve`."""

from __future__ import annotations

import os
import socket
import ssl
import sys
from ipaddress import ip_address
from urllib.parse import quote

import typer

from app.command_options import exit_with
from app.command_runner import exit_with_database_error, read_settings, run_async
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
    _check_tls(settings)
    host = host.removeprefix("[").removesuffix("]")
    listeners = _create_listeners(host, port)
    for listener in listeners:
        _set_user_timeout(listener, settings.sockets)
    key = run_async(settings, lambda: prepare_database(settings))
    address = _base_url(settings, host, listeners[0].getsockname()[1])
    if key is not None:
        typer.echo("Created a new database. API key of the administrator (shown only once):\n")
        fragment = f"#key={quote(key, safe='')}"
        typer.echo(
            f"  {key}\n\nConsole and GraphiQL, signed in as the administrator:\n\n"
            f"  {address}/{fragment}\n  {address}/graphql{fragment}\n"
        )
    else:
        typer.echo(f"Console: {address}/")
    typer.echo(f"Tocsin is running at {address}/graphql")
    sys.stdout.flush()
    if workers == 1:
        # Imported here: the supervisor of several workers does not need the server.
        from app.serving.server import run_server

        try:
            run_server(settings, listeners)
        except Exception as error:
            exit_with_database_error(settings, error)
    elif failure := WorkerSupervisor(settings, listeners, workers).run():
        exit_with(failure, 1)


def _check_tokens(settings: Settings) -> None:
    try:
        create_token_verifier(settings)
    except TokenSettingsError as error:
        exit_with(f"TOCSIN_JWT_{error.setting.upper()}: {error}", 2)


def _check_tls(settings: Settings) -> None:
    if settings.tls_certificate is None and settings.tls_key is None:
        return
    if settings.tls_certificate is None or settings.tls_key is None:
        exit_with("Set both TOCSIN_TLS_CERTIFICATE and TOCSIN_TLS_KEY, or neither.", 2)
    try:
        # Without the empty password, OpenSSL would ask for that of an encrypted key.
        ssl.create_default_context(ssl.Purpose.CLIENT_AUTH).load_cert_chain(
            settings.tls_certificate, settings.tls_key, password=""
        )
    except OSError as error:
        reason = error.strerror or str(error)
        exit_with(
            f"The certificate in TOCSIN_TLS_CERTIFICATE ({settings.tls_certificate}) cannot be "
            f"used with the key in TOCSIN_TLS_KEY ({settings.tls_key}): {reason.rstrip('.')}.",
            2,
        )


def _base_url(settings: Settings, host: str, port: int) -> str:
    """The URL in printed links, by which clients reach the server."""
    if settings.public_url is not None:
        return settings.public_url.rstrip("/")
    # Browsers do not open an unspecified address.
    link_host = "127.0.0.1" if _is_unspecified(host) else host
    scheme = "http" if settings.tls_certificate is None else "https"
    return f"{scheme}://{_format_address(link_host, port)}"


def _create_listeners(host: str, port: int) -> list[socket.socket]:
    """Binds the port, for `::` in both address families: one socket for both would show clients
    with IPv4 as IPv6 addresses, which limits per address and trusted proxies do not know.

    Exits with code 1, before the database is touched, if the port is taken.
    """
    try:
        family = socket.AF_INET6 if ":" in host else socket.AF_INET
        listeners = [socket.create_server((host, port), family=family, backlog=2048)]
        if family == socket.AF_INET6 and _is_unspecified(host):
            port = listeners[0].getsockname()[1]
            listeners.append(socket.create_server(("", port), backlog=2048))
    except OSError as error:
        # `socket` appends the address to strerror. Errors of name resolution have negative numbers.
        number = error.errno or 0
        reason = os.strerror(number) if number > 0 else error.strerror or str(error)
        advice = "Choose a different address with --host, or a different port with --port."
        exit_with(f"Cannot listen on {_format_address(host, port)}: {reason}. {advice}", 1)
    return listeners


def _is_unspecified(host: str) -> bool:
    try:
        return ip_address(host).is_unspecified
    except ValueError:  # a name
        return False


def _format_address(host: str, port: int) -> str:
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"


def _set_user_timeout(listener: socket.socket, limits: SocketLimits) -> None:
    """Lets the kernel (Linux) drop connections whose client acknowledges no data for the time of a
    ping. Otherwise they hold a file descriptor and delay shutdown by the whole grace period.
    """
    if hasattr(socket, "TCP_USER_TIMEOUT"):
        milliseconds = int((limits.ping_interval_seconds + limits.pong_timeout_seconds) * 1000)
        listener.setsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT, milliseconds)

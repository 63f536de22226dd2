"""The program of the child process that sends one message with Apprise, or validates an address.

It reads a request from its standard input, and writes the answer to its standard output, both in
JSON. An address is chosen by a user, so the process restricts itself before Apprise sees it: it
connects to allowed addresses only, starts no programs, writes no files, and reads only those of
Python. An audit hook cannot be removed.
"""

from __future__ import annotations

import importlib
import ipaddress
import json
import logging
import os
import resource
import signal
import socket
import sys
import sysconfig
from collections.abc import Sequence
from typing import Any

from app.domain.channels.addresses import IPNetwork, is_allowed_address, is_allowed_port

_MAX_MEMORY_BYTES = 2**29
_MAX_ERROR_CHARACTERS = 16_384  # the error may quote the response of the receiver
# Events of these kinds are refused unless they are listed below.
_RESTRICTED = (
    *("ctypes", "fcntl", "ftplib", "imaplib", "mmap", "nntplib", "os", "poplib", "pty", "shutil"),
    *("signal", "socket", "sqlite3", "subprocess", "syslog", "tempfile", "telnetlib", "webbrowser"),
)
_HARMLESS = frozenset(
    (
        "os.listdir",
        "os.scandir",
        "os.walk",
        "socket.__new__",
        "socket.getaddrinfo",
        "socket.gethostbyaddr",
        "socket.gethostbyname",
        "socket.gethostname",
    )
)
_CONNECTING = frozenset(("socket.connect", "socket.sendto", "socket.sendmsg"))
_WRITING = os.O_WRONLY | os.O_RDWR | os.O_CREAT | os.O_TRUNC | os.O_APPEND


class Guard:
    """An audit hook that refuses what sending a message does not need.

    `refusals`: addresses to which no connection was allowed, and names that cannot be resolved.
    """

    def __init__(self, exceptions: Sequence[IPNetwork]) -> None:
        self.refusals: list[str] = []
        self._exceptions = exceptions
        # The path of a request starts with the resolved path of a folder, so links do not matter.
        paths = (*sys.path, *sysconfig.get_paths().values(), sys.prefix, sys.base_prefix)
        folders = {os.path.realpath(path) for path in paths if path}
        self._readable = tuple(f"{folder}{os.sep}" for folder in folders if folder != os.sep)

    def __call__(self, event: str, arguments: tuple[Any, ...]) -> None:
        if event in _CONNECTING:
            self._check_connection(arguments[1])
        elif event == "open":
            self._check_file(*arguments)
        elif event.partition(".")[0] in _RESTRICTED and event not in _HARMLESS:
            raise PermissionError(f"{event} is not allowed")

    def _check_connection(self, address: Any) -> None:
        """Only addresses are allowed: a name would be resolved after this check."""
        host, port = address[:2] if isinstance(address, tuple) else (repr(address), None)
        try:
            ip_address = ipaddress.ip_address(host)
        except ValueError:
            pass
        else:
            if is_allowed_address(ip_address, self._exceptions) and is_allowed_port(port):
                return
        place = f"{host} port {port}"
        self.refusals.append(place)
        raise PermissionError(f"Connections to {place} are not allowed")

    def _check_file(self, path: Any, _: Any, flags: int) -> None:
        if isinstance(path, int):
            return  # a file that is open already
        is_reading = not flags & _WRITING
        if is_reading and os.path.realpath(os.fsdecode(path)).startswith(self._readable):
            return
        raise PermissionError(f"Opening {os.fsdecode(path)} is not allowed")


def restrict_process(exceptions: Sequence[IPNetwork]) -> Guard:
    """Restricts the process for the rest of its life."""
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    resource.setrlimit(resource.RLIMIT_FSIZE, (0, 0))
    resource.setrlimit(resource.RLIMIT_AS, (_MAX_MEMORY_BYTES, _MAX_MEMORY_BYTES))
    guard = Guard(exceptions)
    sys.addaudithook(guard)
    return guard


def record_lookups(guard: Guard) -> None:
    """Adds names that cannot be resolved to the refusals, so that users see the same error."""
    resolve = socket.getaddrinfo

    def resolve_name(host: Any, *arguments: Any, **options: Any) -> Any:
        try:
            return resolve(host, *arguments, **options)
        except (OSError, UnicodeError) as failure:
            guard.refusals.append(f"{host}: {failure}")
            raise

    socket.getaddrinfo = resolve_name


class _LastMessage(logging.Handler):
    """Keeps the last message that Apprise has logged."""

    text: str | None = None

    def emit(self, record: logging.LogRecord) -> None:
        self.text = record.getMessage()


def _run(request: dict[str, Any]) -> dict[str, Any]:
    """Returns `error`: None on success. `refused`: why no address can be reached."""
    import apprise

    # Only the module of the service: all of them take longer than the rest.
    module = importlib.import_module(f"apprise.plugins.{request['module']}")
    plugin = next(each for each in vars(module).values() if _has_scheme(each, request["scheme"]))
    guard = restrict_process([ipaddress.ip_network(each) for each in request["networks"]])
    record_lookups(guard)
    messages = _LastMessage(logging.WARNING)
    apprise.logger.addHandler(messages)
    apprise.logger.propagate = False
    asset = apprise.AppriseAsset(
        app_id="Tocsin",
        app_desc="Tocsin",
        app_url="",
        image_url_mask="",
        image_url_logo="",
        http_redirects=False,
        secure_logging=True,
        storage_mode=apprise.PersistentStoreMode.MEMORY,
    )
    parse = plugin.parse_native_url if request["is_native"] else plugin.parse_url
    parts = parse(request["url"].replace("/#", "/%23"))
    # The parameters that were validated must be those that Apprise reads.
    if not parts or not set(parts["qsd"]) <= set(request["parameters"]):
        return {"error": messages.text or "Apprise cannot read the URL", "refused": None}
    seconds = str(request["timeout_seconds"])
    fixed = {"format": "text", "overflow": "truncate", "cto": seconds, "rto": seconds}
    sender = apprise.Apprise(asset=asset)
    sender.add(plugin(**parts | fixed, asset=asset))
    message = request["message"]
    if message is None or sender.notify(**message, body_format="text"):
        return {"error": None, "refused": None}
    refused = next(iter(guard.refusals), None)
    return {"error": messages.text or "Apprise has reported no reason", "refused": refused}


def _has_scheme(value: Any, scheme: str) -> bool:
    """Whether the value is the class of a service with this scheme."""
    names = getattr(value, "protocol", None), getattr(value, "secure_protocol", None)
    return any(scheme == name or (isinstance(name, tuple) and scheme in name) for name in names)


def main() -> None:
    request = json.load(sys.stdin)
    # The server ends the process earlier, unless the server itself was killed.
    signal.alarm(request["max_seconds"])
    try:
        answer = _run(request)
    except Exception as failure:  # the text may contain secrets: the server masks them
        answer = {"error": f"{type(failure).__name__}: {failure}", "refused": None}
    if answer["error"] is not None:
        answer["error"] = answer["error"][:_MAX_ERROR_CHARACTERS]
    json.dump(answer, sys.stdout)


if __name__ == "__main__":
    main()

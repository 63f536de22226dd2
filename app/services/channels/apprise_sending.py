"""Sends texts to the addresses of the library Apprise, which users choose.

Each text is sent by a child process, which can reach allowed addresses only. The address is passed
by the standard input, so that no list of processes shows it, and the environment of the server is
not passed at all.
"""

from __future__ import annotations

import asyncio
import contextlib
import importlib.util
import json
import math
import os
import sys
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

import structlog

from app.domain.channels.addresses import IPNetwork
from app.domain.channels.apprise_urls import DOCUMENTATION, find_scheme, find_service, is_native
from app.domain.channels.attempts import AttemptResult
from app.domain.channels.texts import TextMessage
from app.domain.events.severity import Severity
from app.domain.shared.limits import ChannelLimits
from app.domain.shared.masking import find_secret_texts, mask_secrets
from app.domain.shared.values import replace_control_characters
from app.services.channels.slots import NoSlotError, Share, Slots

_PROGRAM = "app.services.channels.apprise_process"
# The certificates that the operator trusts are those of webhooks, too.
_CERTIFICATES = {
    "SSL_CERT_FILE": "SSL_CERT_FILE",
    "SSL_CERT_DIR": "SSL_CERT_DIR",
    "REQUESTS_CA_BUNDLE": "SSL_CERT_FILE",
}
_MAX_ERROR_CHARACTERS = 300
# Until a process ends itself whose server does not.
_RESERVE_SECONDS = 5
_NO_PUBLIC_ADDRESS = (
    "The host has no public address, or its port is not 25, 80, 443, 465, 587, or 1,024 to 65,535. "
    "The operator of the server finds the reason in its logs, and can allow addresses with "
    "TOCSIN_CHANNEL_NETWORKS, for example 10.0.0.0/8."
)
_TYPES = {
    Severity.ERROR: "failure",
    Severity.WARN: "warning",
    Severity.SUCCESS: "success",
    Severity.INFO: "info",
}

log = structlog.get_logger(__name__)


class AppriseUnavailableError(Exception):
    """There is no result, whatever the address. The message says why."""


class AppriseSender:
    """Runs the child processes, of which each sends one text. `exceptions`: as of webhooks."""

    def __init__(self, exceptions: Sequence[IPNetwork], limits: ChannelLimits) -> None:
        self._networks = [str(network) for network in exceptions]
        self._limits = limits
        self._processes = Slots(limits.apprise_processes, "process that sends messages")

    @property
    def is_installed(self) -> bool:
        """Whether the library is installed. The server does not import it, which takes long."""
        return importlib.util.find_spec("apprise") is not None

    async def find_url_error(self, url: str) -> str | None:
        """Returns why Apprise cannot read a URL whose service and parameters are allowed.

        Raises AppriseUnavailableError or NoSlotError.
        """
        async with self._processes.take(Share.ALL, self._limits.timeout_seconds):
            answer = await self._run(url, None)
        if answer["error"] is None:
            return None
        error = _mask_error(answer["error"], url)
        return f"Apprise cannot read the URL: {error} {DOCUMENTATION} has the format."

    async def send(
        self, url: str, text: TextMessage, *, is_failing: bool = False, is_test: bool = False
    ) -> AttemptResult:
        """Sends the text to a valid URL. Returns the result; no error is raised.

        `is_failing`: whether the last attempt failed. `is_test`: whether a user waits for it.
        """
        kind = "info" if text.severity is None else _TYPES[text.severity]
        message = {"title": text.title, "body": text.body, "notify_type": kind}
        share = Share.choose(is_failing=is_failing, is_test=is_test)
        max_seconds = self._limits.timeout_seconds if is_test else None
        try:
            async with self._processes.take(share, max_seconds):
                answer = await self._run(url, message)
        except (AppriseUnavailableError, NoSlotError) as unavailable:
            return AttemptResult(datetime.now(UTC), error=str(unavailable))
        now = datetime.now(UTC)
        if answer["error"] is None:
            return AttemptResult(now)
        if answer["refused"] is not None:
            # Users must not find out which names the network of the server has.
            log.warning(
                "channel_address_refused", service=find_scheme(url), cause=answer["refused"]
            )
            return AttemptResult(now, error=_NO_PUBLIC_ADDRESS)
        return AttemptResult(now, error=_mask_error(answer["error"], url), is_from_apprise=True)

    async def _run(self, url: str, message: Mapping[str, str] | None) -> dict[str, Any]:
        """Returns the answer of the program. Raises AppriseUnavailableError."""
        if not self.is_installed:
            raise AppriseUnavailableError(
                "The server has no Apprise. Its operator can install it: tocsin[apprise]."
            )
        service = find_service(url)
        request = {
            "url": url,
            "scheme": find_scheme(url),
            "is_native": is_native(url),
            "module": service.module,
            "parameters": sorted(service.parameters | service.ignored),
            "networks": self._networks,
            "timeout_seconds": self._limits.timeout_seconds,
            "max_seconds": math.ceil(self._limits.timeout_seconds) + _RESERVE_SECONDS,
            "message": message,
        }
        try:
            async with asyncio.timeout(self._limits.timeout_seconds):
                return await _run_program(request)
        except TimeoutError:
            raise AppriseUnavailableError(
                f"There was no result within {self._limits.timeout_seconds:g} seconds."
            ) from None
        except OSError as failure:
            raise AppriseUnavailableError(
                f"The program that sends messages cannot be started: {failure.strerror}."
            ) from failure


def _mask_error(error: str, url: str) -> str:
    """Returns an error of Apprise without the secrets of the URL."""
    text = replace_control_characters(error).strip()
    secret_texts = find_secret_texts([url.partition("://")[2]])
    masked = mask_secrets(text, secret_texts, _MAX_ERROR_CHARACTERS, is_cut=False)
    return masked if masked.endswith((".", "!", "?")) else f"{masked}."


async def _run_program(request: Mapping[str, Any]) -> dict[str, Any]:
    """Returns the answer of the child process, which does not outlive the call. Raises OSError."""
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-B", "-P", "-s", "-m", _PROGRAM),
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.DEVNULL,
        cwd=os.sep,
        env=_build_environment(),
    )
    try:
        output, _ = await process.communicate(json.dumps(request).encode())
        answer: dict[str, Any] = json.loads(output)
    except ValueError:
        return {"error": "The program that sends messages has ended early", "refused": None}
    finally:
        if process.returncode is None:
            with contextlib.suppress(ProcessLookupError):
                process.kill()
            await process.wait()
    return answer


def _build_environment() -> dict[str, str]:
    """Without proxies, and without a home that has passwords of hosts (.netrc)."""
    certificates = {
        name: os.environ[variable]
        for name, variable in _CERTIFICATES.items()
        if variable in os.environ
    }
    path = os.pathsep.join(os.path.abspath(each) for each in sys.path if each)
    return certificates | {"PYTHONPATH": path, "HOME": os.devnull, "LC_ALL": "C.UTF-8"}

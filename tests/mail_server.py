"""A real SMTP server on 127.0.0.1 that receives email."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator
from email import message_from_bytes, policy
from email.message import EmailMessage
from typing import Any

from aiosmtpd.smtp import SMTP, Envelope, Session

from tests.client import TIMEOUT_SECONDS


class MailServer:
    """`response`: the answer to each email. Without authentication and encryption."""

    def __init__(self) -> None:
        self.port = 0
        self.response = "250 OK"
        self.recipients: list[list[str]] = []
        self.emails: list[EmailMessage] = []
        self._received = asyncio.Condition()

    @property
    def url(self) -> str:
        """The address of a channel that sends to this server."""
        return f"mailto://127.0.0.1:{self.port}?from=tocsin@example.com&to=team@example.com"

    async def wait_for(self, count: int) -> list[EmailMessage]:
        """Waits until at least so many emails have arrived, and returns all of them."""
        async with asyncio.timeout(TIMEOUT_SECONDS), self._received:
            await self._received.wait_for(lambda: len(self.emails) >= count)
        return list(self.emails)

    async def handle_DATA(  # noqa: N802 (the interface of aiosmtpd)
        self, server: SMTP, session: Session, envelope: Envelope
    ) -> str:
        content: Any = envelope.content
        async with self._received:
            self.recipients.append(envelope.rcpt_tos)
            self.emails.append(message_from_bytes(content, EmailMessage, policy=policy.default))
            self._received.notify_all()
        return self.response


@contextlib.asynccontextmanager
async def receive_mail() -> AsyncIterator[MailServer]:
    """Starts a server on a free port."""
    mail = MailServer()
    server = await asyncio.get_running_loop().create_server(
        lambda: SMTP(mail, hostname="mail.example"), "127.0.0.1", 0
    )
    mail.port = server.sockets[0].getsockname()[1]
    try:
        yield mail
    finally:
        server.close()
        await server.wait_closed()

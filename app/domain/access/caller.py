"""Callers and permissions; validation of API keys and organizations."""

from __future__ import annotations

import re
from collections.abc import Hashable, Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import Enum
from urllib.parse import quote
from uuid import UUID

from app.domain.shared.limits import Limits
from app.domain.shared.messages import limit_message
from app.domain.shared.problems import ErrorCode, Problem, RequestError, invalid_input
from app.domain.shared.values import format_instant, validate_name


class InactiveCredentialError(RequestError):
    """The credential was valid, but is now revoked or expired."""

    def __init__(self, message: str) -> None:
        super().__init__(ErrorCode.UNAUTHENTICATED, message)


class Permission(Enum):
    EVENT_READ = "EVENT_READ"
    EVENT_CREATE = "EVENT_CREATE"
    EVENT_UPDATE = "EVENT_UPDATE"
    EVENT_DELETE = "EVENT_DELETE"
    EVENT_TYPE_MANAGE = "EVENT_TYPE_MANAGE"
    RULE_MANAGE = "RULE_MANAGE"
    CHANNEL_MANAGE = "CHANNEL_MANAGE"
    ORGANIZATION_MANAGE = "ORGANIZATION_MANAGE"


EVENT_TYPE_READ_PERMISSIONS = frozenset(
    {Permission.EVENT_READ, Permission.EVENT_CREATE, Permission.EVENT_TYPE_MANAGE}
)


@dataclass(frozen=True)
class Caller:
    """An authenticated credential, and the organization that its request acts in.

    `credential_id` is the ID of an API key, and None for an access token. `organization_keys` are
    the keys of the organizations that a token names.
    """

    name: str
    organization_id: UUID
    permissions: frozenset[Permission]
    every_organization: bool = False
    organization_keys: frozenset[str] = frozenset()
    credential_id: UUID | None = None
    expires_at: datetime | None = None

    def has_any_permission(self, required: Iterable[Permission]) -> bool:
        return not self.permissions.isdisjoint(required)

    @property
    def identity(self) -> Hashable:
        """The credential that rate limits and limits of connections count.

        An API key has one identity in all organizations; the names of tokens are only unique within
        an organization.
        """
        return self.credential_id or (self.organization_id, self.name)

    @property
    def reader(self) -> str:
        """Identifies who reads and reports events: the API key, or the user of the token."""
        return f"user:{self.name}" if self.credential_id is None else f"key:{self.credential_id}"

    @property
    def source(self) -> str:
        """The caller's name as a URI reference: the default source of its events."""
        return format_source(self.name)


def format_source(name: str) -> str:
    """Formats a caller's name as a URI reference."""
    return quote(name, safe="-._~")


def validate_key(
    name: str,
    permissions: Sequence[Permission],
    expires_at: datetime | None,
    now: datetime,
    limits: Limits,
) -> list[Problem]:
    """Validates a new API key, independently of its creator."""
    problems = validate_caller_name(name, limits, "name")
    if not permissions:
        problems.append(
            invalid_input("An API key must have at least one permission.", "permissions")
        )
    if expires_at is not None and expires_at <= now:
        message = f"The expiration time {format_instant(expires_at)} must be in the future."
        problems.append(invalid_input(message, "expiresAt"))
    return problems


def validate_grants(permissions: Sequence[Permission], creator: Caller) -> list[Problem]:
    """Validates that a key grants no permission that its creator lacks."""
    return [
        invalid_input(
            f"You cannot grant {permission.value}, because you do not have this permission.",
            "permissions",
            str(index),
        )
        for index, permission in enumerate(permissions)
        if permission not in creator.permissions
    ]


def validate_caller_name(name: str, limits: Limits, *path: str) -> list[Problem]:
    """Validates the name. Percent-encoded, it is the default source of the caller's events."""
    if problems := validate_name(name, limits.name_characters, *path):
        return problems
    if (length := len(format_source(name))) > limits.name_characters:
        subject = "the name, percent-encoded as an event source,"
        return [
            invalid_input(
                limit_message(limits.name_characters, "character", subject, length), *path
            )
        ]
    return []


# The key is sent in headers; "*" in an access token means all organizations.
_ORGANIZATION_KEY = re.compile("[!-~]+")


def validate_organization(key: str, name: str, limits: Limits) -> list[Problem]:
    """Validates the key and the name of an organization."""
    problems = validate_name(key, limits.name_characters, "key")
    if not problems and (not _ORGANIZATION_KEY.fullmatch(key) or key == "*"):
        message = (
            "key must consist of visible ASCII characters without spaces, and must not be '*'."
        )
        problems = [invalid_input(message, "key")]
    return problems + validate_name(name, limits.name_characters, "name")

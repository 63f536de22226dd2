"""Who may do what, and where; what a key and an organization may be called."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import Enum
from urllib.parse import quote
from uuid import UUID

from app.domain.shared.limits import Limits
from app.domain.shared.problems import ErrorCode, Problem, RequestError, invalid
from app.domain.shared.values import name_problems


class EndedError(RequestError):
    """The credential was a good one: it was revoked, or has expired."""

    def __init__(self, message: str) -> None:
        super().__init__(ErrorCode.UNAUTHENTICATED, message)


class Permission(Enum):
    EVENT_READ = "EVENT_READ"
    EVENT_CREATE = "EVENT_CREATE"
    EVENT_UPDATE = "EVENT_UPDATE"
    EVENT_DELETE = "EVENT_DELETE"
    EVENT_TYPE_MANAGE = "EVENT_TYPE_MANAGE"
    RULE_MANAGE = "RULE_MANAGE"
    ORGANIZATION_MANAGE = "ORGANIZATION_MANAGE"


READS_TYPES = frozenset(
    {Permission.EVENT_READ, Permission.EVENT_CREATE, Permission.EVENT_TYPE_MANAGE}
)


@dataclass(frozen=True)
class Caller:
    """An authenticated credential, in the organization that its request acts in.

    `credential_id` is the id of a key, and None for a token. A token may name several
    organizations: `organization_keys` are theirs.
    """

    name: str
    organization_id: UUID
    permissions: frozenset[Permission]
    every_organization: bool = False
    organization_keys: frozenset[str] = frozenset()
    credential_id: UUID | None = None
    expires_at: datetime | None = None

    def may(self, any_of: Iterable[Permission]) -> bool:
        return not self.permissions.isdisjoint(any_of)

    @property
    def source(self) -> str:
        """The caller's name as a URI-reference: the source of what it reports."""
        return source_of(self.name)


def source_of(name: str) -> str:
    return quote(name, safe="-._~")


def key_problems(
    name: str,
    permissions: Sequence[Permission],
    expires_at: datetime | None,
    now: datetime,
    limits: Limits,
) -> list[Problem]:
    """What is wrong with a new key, whoever makes it."""
    problems = caller_name_problems(name, limits, "name")
    if not permissions:
        problems.append(invalid("A key without a permission opens nothing.", "permissions"))
    if expires_at is not None and expires_at <= now:
        problems.append(invalid("Must be in the future.", "expiresAt"))
    return problems


def grant_problems(permissions: Sequence[Permission], creator: Caller) -> list[Problem]:
    """A key grants no permission that its creator lacks."""
    return [
        invalid(f"You do not have {each.value}, so you cannot grant it.", "permissions", str(i))
        for i, each in enumerate(permissions)
        if each not in creator.permissions
    ]


def caller_name_problems(name: str, limits: Limits, *path: str) -> list[Problem]:
    """A caller's name becomes the source of its reports: percent-encoded it has to fit there."""
    if problems := name_problems(name, limits.name, *path):
        return problems
    if (length := len(source_of(name))) > limits.name:
        return [
            invalid(
                f"Is {length:,} characters long as a source, percent-encoded; at most "
                f"{limits.name:,} are kept.",
                *path,
            )
        ]
    return []


# It travels in headers, and "*" in a token means every organization.
_ORGANIZATION_KEY = re.compile("[!-~]+")


def organization_problems(key: str, name: str, limits: Limits) -> list[Problem]:
    problems = name_problems(key, limits.name, "key")
    if not problems and (not _ORGANIZATION_KEY.fullmatch(key) or key == "*"):
        told = "Must be visible ASCII characters without blanks, and not '*' alone."
        problems = [invalid(told, "key")]
    return problems + name_problems(name, limits.name, "name")

"""Creates, changes, deletes and lists channels."""

from __future__ import annotations

import contextlib
import hmac
import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

from cachetools import TTLCache
from sqlalchemy import func, select
from sqlalchemy.ext.asyncio import AsyncSession
from sqlmodel import col
from structlog.contextvars import bound_contextvars
from uuid_utils.compat import uuid7

from app import metrics
from app.domain.access.audit import AuditAction
from app.domain.access.caller import Permission
from app.domain.channels.attempts import AttemptResult
from app.domain.channels.channels import (
    Channel,
    ChannelKind,
    ChannelTrigger,
    format_origin,
    known_triggers,
    validate_channel,
    validate_url,
)
from app.domain.channels.messages import sign_message
from app.domain.channels.texts import build_text
from app.domain.intake.intake import CommandContext
from app.domain.shared.limits import ChannelLimits
from app.domain.shared.problems import (
    ErrorCode,
    Problem,
    RequestError,
    UserErrorCode,
    invalid_input,
    not_found,
)
from app.domain.shared.values import canonical_json, to_camel_case
from app.services.channels.apprise_sending import AppriseSender, AppriseUnavailableError
from app.services.channels.channel_secrets import (
    ChannelSecrets,
    create_signing_secret,
    decrypt_secrets,
    encrypt_secrets,
)
from app.services.channels.deliveries import (
    end_outage,
    fetch_log_end,
    move_channel,
    position_values,
)
from app.services.channels.encryption import DecryptionError, SecretKeys
from app.services.channels.sending import ForbiddenAddressError, WebhookSender
from app.services.channels.slots import NoSlotError
from app.services.shared.audited_changes import append_entry, validate_not_null
from app.services.shared.readers import ListQuery, ListReader, lookup_by_id
from app.services.shared.row_locks import lock_organization, lock_row
from app.store import tables
from app.store.change_log.audit import append_audit_entry, collect_values
from app.store.engine.database import Database, retry_on_deadlock
from app.store.reading import condition_templates, pages
from app.store.writing.inserts import insert_rows

_ORDER = pages.creation_order("channel", col(tables.Channel.id))
CHANNEL_BY_ID = lookup_by_id(tables.Channel)
CHANNEL_LIST: ListReader[pages.PageRequest, tables.Channel] = ListReader(
    tables.Channel, lambda page, _: ListQuery(condition_templates.match_all([]), _ORDER, page)
)


_MAX_TESTS = 10


class TestLimiter:
    """Limits the tests of channels that run at the same time in a process."""

    def __init__(self) -> None:
        self._taken = 0

    @contextlib.contextmanager
    def take(self) -> Iterator[None]:
        """Raises RequestError LIMIT_EXCEEDED if all slots are taken."""
        if self._taken >= _MAX_TESTS:
            message = f"At most {_MAX_TESTS} channels can be tested at the same time. Retry later."
            raise RequestError(ErrorCode.LIMIT_EXCEEDED, message, retry_after=1)
        self._taken += 1
        try:
            yield
        finally:
            self._taken -= 1


_MAX_DIFFERENCES = 30
_DIFFERENCES_SECONDS = 60
_COMPARED_CHANNELS = 10_000

_NO_KEYS_MESSAGE = (
    "The server cannot store the secrets of channels, because TOCSIN_SECRETS_KEYS is not set. The "
    "operator of the server must set it: `openssl rand -base64 32` creates a key."
)
_NO_APPRISE_MESSAGE = (
    "The server has no Apprise. The operator of the server can install it: the extra `apprise` of "
    "the Python package, as in `pip install 'tocsin[apprise]'`."
)


class ComparisonLimiter:
    """Limits the comparisons of a channel with addresses that it does not have.

    Each process counts them, so that an address cannot be guessed.
    """

    def __init__(self) -> None:
        self._differences: TTLCache[UUID, int] = TTLCache(_COMPARED_CHANNELS, _DIFFERENCES_SECONDS)

    def check_allowed(self, channel_id: UUID) -> None:
        """Raises RequestError LIMIT_EXCEEDED in the minute after too many that differed."""
        if self._differences.get(channel_id, 0) >= _MAX_DIFFERENCES:
            message = (
                f"The channel was compared with {_MAX_DIFFERENCES} addresses that it does not "
                f"have. Retry in {_DIFFERENCES_SECONDS} s."
            )
            raise RequestError(ErrorCode.LIMIT_EXCEEDED, message, retry_after=_DIFFERENCES_SECONDS)

    def record_difference(self, channel_id: UUID) -> None:
        self._differences[channel_id] = self._differences.get(channel_id, 0) + 1


@dataclass(frozen=True)
class ChannelTools:
    """What changing and using channels needs. `keys` is None without TOCSIN_SECRETS_KEYS."""

    keys: SecretKeys | None
    sender: WebhookSender
    apprise: AppriseSender
    limits: ChannelLimits
    public_url: str | None
    test_limiter: TestLimiter = field(default_factory=TestLimiter)
    comparison_limiter: ComparisonLimiter = field(default_factory=ComparisonLimiter)

    def require_keys(self) -> SecretKeys:
        """Raises RequestError UNAVAILABLE without keys."""
        if self.keys is None:
            raise RequestError(ErrorCode.UNAVAILABLE, _NO_KEYS_MESSAGE)
        return self.keys

    def find_problem(self, kind: ChannelKind) -> str | None:
        """Returns why the server cannot store channels of this kind. None if it can."""
        if self.keys is None:
            return _NO_KEYS_MESSAGE
        if kind is ChannelKind.APPRISE and not self.apprise.is_installed:
            return _NO_APPRISE_MESSAGE
        return None

    def format_source(self, channel_id: UUID) -> str:
        """Returns the CloudEvents source of the messages of a channel."""
        return f"{(self.public_url or '').rstrip('/')}/channels/{channel_id}"

    async def send(
        self,
        kind: ChannelKind,
        secrets: ChannelSecrets,
        messages: Sequence[tables.Delivery],
        sender: WebhookSender,
        *,
        is_failing: bool,
    ) -> AttemptResult:
        """Sends one signed request with the sender, or one text of several messages with Apprise.

        `is_failing`: whether the last attempt failed.
        """
        is_test = messages[0].trigger is ChannelTrigger.TEST
        channel = str(messages[0].channel_id)  # of all lines that the senders log
        with bound_contextvars(channel=channel), metrics.DELIVERY_DURATION.time():
            if kind is ChannelKind.APPRISE:
                data = [(each.trigger, json.loads(each.body)["data"]) for each in messages]
                text = build_text(data, self.public_url)
                return await self.apprise.send(
                    secrets.url, text, is_failing=is_failing, is_test=is_test
                )
            [message] = messages
            now, secret_keys = datetime.now(UTC), secrets.signing_secrets(datetime.now(UTC))
            signature = sign_message(secret_keys, message.webhook_id, now, message.body)
            headers = secrets.headers | signature
            return await sender.send(
                secrets.url, headers, message.body, is_failing=is_failing, is_test=is_test
            )


@dataclass(frozen=True)
class ChannelResult:
    """The channel after a mutation (its last state if deleted), or the problems.

    `secret`: the new signing secret, if the mutation created one.
    """

    channel: tables.Channel | None = None
    secret: str | None = None
    problems: tuple[Problem, ...] = ()


@retry_on_deadlock
async def create_channel(
    database: Database,
    command: CommandContext,
    tools: ChannelTools,
    channel: Channel,
    filter: Mapping[str, Any] | None,
    *,
    enabled: bool,
) -> ChannelResult:
    """Creates a channel that begins at the end of the change log.

    Raises RequestError UNAVAILABLE without keys for its secrets.
    """
    require_reading(command)
    keys = tools.require_keys()
    problems = _validate(channel, command, tools)
    problems = problems or await _check_apprise_url(tools, channel.kind, channel.url)
    if problems:
        return ChannelResult(problems=problems)
    organization_id = command.actor.organization_id
    url = channel.url or ""
    is_signed = channel.kind is ChannelKind.WEBHOOK
    secret = create_signing_secret() if is_signed else None
    secrets = ChannelSecrets(url, dict(channel.headers), secret)
    channel_id = uuid7()
    await database.log_horizon.refresh()
    async with database.write(organization_id) as session:
        await lock_organization(session, organization_id)
        count = await session.scalar(select(func.count()).select_from(tables.Channel))
        if (count or 0) >= (maximum := command.limits.channels):
            message = (
                f"The organization has the maximum number of channels, {maximum:,}. "
                "Delete one of them first."
            )
            return ChannelResult(problems=(Problem(UserErrorCode.LIMIT_REACHED, message),))
        row = tables.Channel(
            id=channel_id,
            organization_id=organization_id,
            name=channel.name,
            kind=channel.kind,
            url=format_origin(channel.kind, url),
            secrets=encrypt_secrets(keys, secrets, organization_id, channel_id),
            filter=None if filter is None else dict(filter),
            triggers=[trigger.value for trigger in channel.triggers],
            enabled=enabled,
            **position_values(*await fetch_log_end(session)),
            created_at=command.now,
            updated_at=command.now,
        )
        await insert_rows(session, (tables.Channel, [row.to_columns()]))
        await append_entry(session, command, row, AuditAction.CREATED)
    return ChannelResult(row, secrets.signing_secret)


@retry_on_deadlock
async def update_channel(
    database: Database,
    command: CommandContext,
    tools: ChannelTools,
    channel_id: UUID,
    attributes: Mapping[str, Any],
) -> ChannelResult:
    """Changes the attributes that are provided.

    A channel that is enabled begins at the end of the change log. Raises RequestError UNAVAILABLE
    if no key decrypts the secrets, which are read only to change them.
    """
    require_reading(command)
    nullable = {name: value for name, value in attributes.items() if name != "filter"}
    api_attributes = {to_camel_case(name): value for name, value in nullable.items()}
    if null_problems := validate_not_null(api_attributes):
        return ChannelResult(problems=null_problems)
    async with database.read(command.actor.organization_id) as session:
        stored = await session.get(tables.Channel, channel_id)
    # Before the transaction: the kind never changes, and Apprise takes its time.
    if stored is not None and (
        problems := await _check_apprise_url(tools, stored.kind, attributes.get("url"))
    ):
        return ChannelResult(problems=problems)
    await database.log_horizon.refresh()
    async with database.write(command.actor.organization_id) as session:
        row = await lock_row(session, tables.Channel, channel_id)
        if row is None:
            return ChannelResult(problems=(not_found("channel", channel_id, "id"),))
        before = collect_values(row)
        current = Channel(row.kind, row.name, None, known_triggers(row.triggers), None)
        names = ("name", "url", "triggers", "headers")
        channel = replace(
            current, **{name: attributes[name] for name in names if name in attributes}
        )
        if problems := _validate(channel, command, tools):
            return ChannelResult(problems=problems)
        row.name = channel.name
        if "triggers" in attributes:
            row.triggers = [trigger.value for trigger in channel.triggers]
        if "filter" in attributes:
            row.filter = attributes["filter"]
        changed_secrets: list[str] = []
        if channel.url is not None or channel.headers is not None:
            keys = tools.require_keys()
            secrets = read_secrets(keys, row)
            if problems := _check_headers_stay(secrets, channel):
                return ChannelResult(problems=problems)
            changed_secrets = _change_secrets(row, keys, secrets, channel)
        was_enabled, row.enabled = row.enabled, attributes.get("enabled", row.enabled)
        if row.enabled and not was_enabled:
            await move_to_head(session, row)
        elif was_enabled and not row.enabled:
            await end_outage(session, row, "The channel was disabled.")
        row.updated_at = command.now
        more_values = dict.fromkeys(changed_secrets, "changed")
        await append_audit_entry(
            session, row, AuditAction.UPDATED, command.actor.name, command.now, before, more_values
        )
    return ChannelResult(row)


def _check_headers_stay(secrets: ChannelSecrets, channel: Channel) -> tuple[Problem, ...]:
    """Rejects another host without new headers: they may be credentials of the previous one."""
    if channel.url is None or channel.headers is not None or not secrets.headers:
        return ()
    if format_origin(channel.kind, channel.url) == format_origin(channel.kind, secrets.url):
        return ()
    message = (
        "The new URL has another host. The headers of the channel may be secrets of the previous "
        "host, so set headers, too: to {} to remove them."
    )
    return (invalid_input(message, "headers"),)


def _change_secrets(
    row: tables.Channel, keys: SecretKeys, secrets: ChannelSecrets, channel: Channel
) -> list[str]:
    """Changes the address and the headers if they are provided. Returns which were changed."""
    changed = replace(
        secrets,
        url=secrets.url if channel.url is None else channel.url,
        headers=secrets.headers if channel.headers is None else dict(channel.headers),
    )
    row.url = format_origin(row.kind, changed.url)
    row.secrets = encrypt_secrets(keys, changed, row.organization_id, row.id)
    parts = {"address": changed.url != secrets.url, "headers": changed.headers != secrets.headers}
    return [name for name, is_changed in parts.items() if is_changed]


def read_secrets(keys: SecretKeys, row: tables.Channel) -> ChannelSecrets:
    """Raises RequestError UNAVAILABLE if no key decrypts the secrets."""
    try:
        return decrypt_secrets(keys, row)
    except DecryptionError as error:
        raise RequestError(ErrorCode.UNAVAILABLE, str(error)) from error


def has_address(
    tools: ChannelTools, row: tables.Channel, url: str, headers: Mapping[str, Any]
) -> bool:
    """Whether the channel has this address with these headers.

    Raises RequestError UNAVAILABLE if no key decrypts the secrets, and LIMIT_EXCEEDED after too
    many addresses that the channel does not have.
    """
    keys = tools.require_keys()
    tools.comparison_limiter.check_allowed(row.id)
    secrets = read_secrets(keys, row)
    stored, compared = (
        canonical_json([address, dict(each)])
        for address, each in ((secrets.url, secrets.headers), (url, headers))
    )
    is_equal = hmac.compare_digest(stored, compared)
    if not is_equal:
        tools.comparison_limiter.record_difference(row.id)
    return is_equal


async def move_to_head(session: AsyncSession, row: tables.Channel) -> None:
    """Moves the channel to the end of the change log: what is there is not delivered."""
    move_channel(row, *await fetch_log_end(session))


@retry_on_deadlock
async def delete_channel(
    database: Database, command: CommandContext, channel_id: UUID
) -> ChannelResult:
    """Deletes a channel. Its deliveries are deleted in the background."""
    async with database.write(command.actor.organization_id) as session:
        row = await lock_row(session, tables.Channel, channel_id)
        if row is None:
            return ChannelResult(problems=(not_found("channel", channel_id, "id"),))
        await end_outage(session, row, "The channel was deleted.")
        await session.delete(row)
        await append_entry(session, command, row, AuditAction.DELETED)
    return ChannelResult(row)


@retry_on_deadlock
async def rotate_secret(
    database: Database, command: CommandContext, tools: ChannelTools, channel_id: UUID
) -> ChannelResult:
    """Replaces the signing secret: both sign messages for a day. Raises RequestError."""
    keys = tools.require_keys()
    async with database.write(command.actor.organization_id) as session:
        row = await lock_row(session, tables.Channel, channel_id)
        if row is None:
            return ChannelResult(problems=(not_found("channel", channel_id, "id"),))
        if row.kind is not ChannelKind.WEBHOOK:
            message = "Only messages of the kind WEBHOOK are signed. The channel has no secret."
            return ChannelResult(problems=(invalid_input(message, "id"),))
        secrets = read_secrets(keys, row).rotate(command.now)
        row.secrets = encrypt_secrets(keys, secrets, row.organization_id, row.id)
        row.updated_at = command.now
        await append_entry(session, command, row, AuditAction.ROTATED)
    return ChannelResult(row, secrets.signing_secret)


def require_reading(command: CommandContext) -> None:
    """Raises RequestError FORBIDDEN: a channel sends events, which its author may read."""
    if not command.actor.has_any_permission(frozenset({Permission.EVENT_READ})):
        message = "A channel sends events, which requires the permission EVENT_READ."
        raise RequestError(ErrorCode.FORBIDDEN, message)


def _validate(
    channel: Channel, command: CommandContext, tools: ChannelTools
) -> tuple[Problem, ...]:
    problems = validate_channel(channel, command.limits, tools.limits)
    if channel.url is not None and not any(problem.path == ("url",) for problem in problems):
        try:
            tools.sender.policy.check_url(channel.url)
        except ForbiddenAddressError as error:
            problems.append(invalid_input(str(error), "url"))
    return tuple(problems)


async def _check_apprise_url(
    tools: ChannelTools, kind: ChannelKind, url: str | None
) -> tuple[Problem, ...]:
    """Has Apprise read an address of its kind. Raises RequestError UNAVAILABLE without Apprise."""
    if kind is not ChannelKind.APPRISE or url is None:
        return ()
    if not tools.apprise.is_installed:
        raise RequestError(ErrorCode.UNAVAILABLE, _NO_APPRISE_MESSAGE)
    if problems := validate_url(kind, url):
        return tuple(problems)
    try:
        error = await tools.apprise.find_url_error(url)
    except (AppriseUnavailableError, NoSlotError) as unavailable:
        raise RequestError(ErrorCode.UNAVAILABLE, str(unavailable)) from unavailable
    return () if error is None else (invalid_input(error, "url"),)

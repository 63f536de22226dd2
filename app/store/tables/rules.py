"""Rules of each kind, the fingerprints of duplication rules, and correlations."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime, timedelta
from typing import Any, Protocol
from uuid import UUID

from sqlalchemy import BigInteger, Index, false, true
from sqlmodel import Field, col

from app.domain.rules import duplicates
from app.domain.rules.duplicates import DuplicateAction
from app.domain.rules.guards import GuardEnforcement, GuardRuleState
from app.domain.shared.durations import format_duration
from app.domain.shared.values import format_instant
from app.store.tables.columns import JSONValue, LogNumber, UTCDateTime
from app.store.tables.organizations import AuditedRow, OrganizationOwned, enum_column

__all__ = [
    "RULE_TABLES",
    "AppliedRule",
    "Correlation",
    "DuplicationRule",
    "EnabledRule",
    "Fingerprint",
    "FirstEvent",
    "GuardRule",
    "GuardRuleVersion",
    "RuleTable",
    "ScopedRule",
]


class ScopedRule(AuditedRow):
    """A rule of any kind, for the events of one event type or, without one, of all."""

    event_type_id: UUID | None = Field(
        default=None, foreign_key="event_type.id", ondelete="CASCADE"
    )
    name: str
    created_at: datetime = Field(sa_type=UTCDateTime)
    updated_at: datetime = Field(sa_type=UTCDateTime)

    @classmethod
    def noun(cls) -> str:
        return str(cls.__tablename__).replace("_", " ")

    def values_in_log(self) -> dict[str, Any]:
        return {
            "name": self.name,
            "eventTypeId": None if self.event_type_id is None else str(self.event_type_id),
        }

    @classmethod
    def sort_columns(cls) -> tuple[Any, ...]:
        """Returns the columns that rules are listed by. The last one is the ID."""
        return (col(cls.id),)

    def used_fields(self) -> Iterable[str]:
        """Returns the names of the event type's fields that the rule lists.

        Without them, it is invalid. An expression is compiled to find out whether it is valid.
        """
        return ()


class AppliedRule(Protocol):
    """An enabled rule, as it is applied. It applies to all types if `event_type_id` is None."""

    @property
    def event_type_id(self) -> UUID | None: ...


class EnabledRule(ScopedRule):
    """A rule that is in effect while it is enabled. A guard rule is published instead."""

    enabled: bool = True

    def to_domain(self) -> AppliedRule:
        raise NotImplementedError


class GuardRule(ScopedRule, table=True):
    """`expression`, `message` and `enforcement` are the draft's; versions keep what was published.

    `published`: the number of the version in effect or, once RETIRED, that was the last.
    """

    __tablename__ = "guard_rule"
    __table_args__ = (Index(None, "organization_id", "event_type_id"),)

    state: GuardRuleState = Field(sa_type=enum_column(GuardRuleState))
    expression: str
    message: str
    enforcement: GuardEnforcement = Field(sa_type=enum_column(GuardEnforcement))
    published: int | None = None

    def values_in_log(self) -> dict[str, Any]:
        is_published = self.state is GuardRuleState.PUBLISHED
        return super().values_in_log() | {
            "state": self.state.value,
            "expression": self.expression,
            "message": self.message,
            "enforcement": self.enforcement.value,
            "publishedVersion": self.published if is_published else None,
        }


class GuardRuleVersion(OrganizationOwned, table=True):
    """A published version of a guard rule. Immutable."""

    __tablename__ = "guard_rule_version"

    guard_rule_id: UUID = Field(primary_key=True, foreign_key="guard_rule.id", ondelete="CASCADE")
    number: int = Field(primary_key=True)
    expression: str
    message: str
    enforcement: GuardEnforcement = Field(sa_type=enum_column(GuardEnforcement))
    published_at: datetime = Field(sa_type=UTCDateTime)
    published_by: str


class DuplicationRule(EnabledRule, table=True):
    """`position` counts from 0, without gaps, within the organization."""

    __tablename__ = "duplication_rule"
    __table_args__ = (
        Index(None, "organization_id", "event_type_id"),
        Index(None, "organization_id", "position"),
    )

    fingerprint: list[str] = Field(sa_type=JSONValue)
    window_us: int = Field(sa_type=BigInteger)
    action: DuplicateAction = Field(sa_type=enum_column(DuplicateAction))
    escalate: bool = Field(default=True, sa_column_kwargs={"server_default": true()})
    reset_at: datetime | None = Field(default=None, sa_type=UTCDateTime)
    position: int = Field(default=0, sa_column_kwargs={"server_default": "0"})

    @classmethod
    def sort_columns(cls) -> tuple[Any, ...]:
        return (col(cls.position), col(cls.id))

    def values_in_log(self) -> dict[str, Any]:
        return super().values_in_log() | {
            "fingerprint": self.fingerprint,
            "window": format_duration(timedelta(microseconds=self.window_us)),
            "action": self.action.value,
            "escalate": self.escalate,
            "enabled": self.enabled,
            "position": self.position,
            "resetAt": self.reset_at and format_instant(self.reset_at),
        }

    def used_fields(self) -> Iterable[str]:
        return duplicates.fingerprint_fields(self.fingerprint)

    def to_domain(self) -> duplicates.DuplicationRule:
        return duplicates.DuplicationRule(
            self.id,
            self.name,
            tuple(self.fingerprint),
            timedelta(microseconds=self.window_us),
            self.action,
            self.event_type_id,
            self.escalate,
        )


RuleTable = type[ScopedRule]
RULE_TABLES: tuple[RuleTable, ...] = (GuardRule, DuplicationRule)


class Fingerprint(OrganizationOwned, table=True):
    """A fingerprint of a rule. A report with this fingerprint locks the row until the commit."""

    rule_id: UUID = Field(primary_key=True, foreign_key="duplication_rule.id", ondelete="CASCADE")
    digest: str = Field(primary_key=True)
    caught: int = 0


class FirstEvent(OrganizationOwned, table=True):
    """An event whose fingerprint marks others as duplicates. IDs ascend in log order.

    While the event is `resolved`, it marks none: the condition that it reports has come back.
    """

    __tablename__ = "first_event"
    __table_args__ = (
        Index(None, "rule_id", "digest", "resolved", "occurred_at"),
        {"sqlite_autoincrement": True},
    )

    id: int | None = Field(default=None, primary_key=True, sa_type=LogNumber)
    rule_id: UUID = Field(foreign_key="duplication_rule.id", ondelete="CASCADE")
    digest: str
    event_id: UUID = Field(foreign_key="event.id", index=True, ondelete="CASCADE")
    occurred_at: datetime = Field(sa_type=UTCDateTime)
    resolved: bool = Field(default=False, sa_column_kwargs={"server_default": false()})


class Correlation(OrganizationOwned, table=True):
    """A link. CAUSED_BY: `event_id` was caused by `other_id`; RELATED: the smaller id first."""

    __table_args__ = (Index(None, "other_id", "event_id"),)

    event_id: UUID = Field(primary_key=True, foreign_key="event.id", ondelete="CASCADE")
    other_id: UUID = Field(primary_key=True, foreign_key="event.id", ondelete="CASCADE")
    causal: bool = Field(primary_key=True)
    created_at: datetime = Field(sa_type=UTCDateTime)
    created_by: str

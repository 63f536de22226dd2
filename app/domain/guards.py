"""Guard rules: what must hold of an event before it is accepted."""

from __future__ import annotations

from enum import Enum


class GuardRuleState(Enum):
    DRAFT = "DRAFT"
    PUBLISHED = "PUBLISHED"
    RETIRED = "RETIRED"


class GuardEnforcement(Enum):
    REJECT = "REJECT"
    WARN = "WARN"

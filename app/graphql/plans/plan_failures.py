"""Failures of plans: graphql-core executes the operation or writes the response instead."""

from __future__ import annotations

import structlog
from graphql import GraphQLError

from app import metrics
from app.domain.shared.problems import RequestError
from app.graphql.plans.cached_event_types import StaleCacheError
from app.graphql.plans.input_readers import UnsupportedInputError
from app.store.engine.database_errors import unavailable_reason

log = structlog.get_logger(__name__)
_FALLBACK_ERRORS = (
    GraphQLError,
    RecursionError,  # of a deeply nested input
    RequestError,
    StaleCacheError,
    UnsupportedInputError,
)


def record_failure(error: Exception) -> None:
    """Counts an error of a plan, and logs it."""
    if isinstance(error, _FALLBACK_ERRORS) or unavailable_reason(error) is not None:
        metrics.plan_counter("fallback").inc()
        log.debug("plan_fallback", reason=repr(error))
    else:
        metrics.plan_counter("failed").inc()
        log.error("plan_failed", exc_info=error)

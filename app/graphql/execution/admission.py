"""Admission of operations, over HTTP and WebSockets alike.

An operation runs only if its document is valid, its cost is within the limit, and its caller has
enough points left. It is cancelled when it takes too long.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from types import TracebackType
from typing import Any, Protocol, Self, cast

from graphql import GraphQLError, OperationDefinitionNode
from strawberry.extensions import SchemaExtension
from strawberry.types.graphql import OperationType

from app.domain.shared.limits import RequestLimits
from app.domain.shared.problems import ErrorCode, RequestError
from app.graphql.execution.document_limits import create_limit_error
from app.graphql.execution.documents import Document, DocumentCache
from app.graphql.shared.context import Context
from app.services.runtime.time_limits import TimeLimit
from app.store.engine.database import CommitTracker, track_commits


class LimitedSchema(Protocol):
    """The part of the schema that admission uses: document cache and limits of a request."""

    documents: DocumentCache
    request_limits: RequestLimits


class OperationTimeoutError(RequestError):
    """The operation was cancelled because it exceeded its time limit."""


class OperationTimeLimit(TimeLimit):
    """Cancels the block at the time limit of its operation. Raises OperationTimeoutError."""

    __slots__ = ("_commits", "_limits", "_operation_type", "_tracking")

    def __init__(self, operation_type: OperationType, limits: RequestLimits) -> None:
        super().__init__(_timeout_seconds(operation_type, limits))
        self._operation_type = operation_type
        self._limits = limits
        # Only mutations commit.
        self._tracking = track_commits() if operation_type is OperationType.MUTATION else None
        self._commits: CommitTracker | None = None

    def __enter__(self) -> Self:
        if self._tracking is not None:
            self._commits = self._tracking.__enter__()
        return super().__enter__()

    def __exit__(
        self,
        error_type: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        try:
            super().__exit__(error_type, error, traceback)
        except TimeoutError as expired:
            seconds = _timeout_seconds(self._operation_type, self._limits)
            timeout = create_timeout_error(self._operation_type, seconds, self._commits)
            raise timeout from expired
        finally:
            if self._tracking is not None:
                self._tracking.__exit__(None, None, None)


class Admission(SchemaExtension):
    """Validates one operation before it runs, and limits its execution time."""

    def __init__(self) -> None:
        self._errors: list[GraphQLError] = []
        self._cost: dict[str, int] | None = None

    def on_parse(self) -> Iterator[None]:
        request = self.execution_context
        document = self._schema.documents.get_document(request.query or "")
        request.graphql_document = document.node
        self._errors = list(document.errors) or self._check_operation(document)
        if document.node is None:
            request.pre_execution_errors = self._errors
            raise _copy_error(self._errors[0])
        yield

    def on_validate(self) -> Iterator[None]:
        # Strawberry validates the document itself if this is None.
        self.execution_context.pre_execution_errors = self._errors
        yield

    async def on_execute(self) -> AsyncIterator[None]:
        with OperationTimeLimit(self.execution_context.operation_type, self._schema.request_limits):
            yield

    def get_results(self) -> dict[str, Any]:
        """Returns the `extensions` of the response."""
        return {} if self._cost is None else {"cost": self._cost}

    @property
    def _schema(self) -> LimitedSchema:
        return cast("LimitedSchema", self.execution_context.schema)

    def _check_operation(self, document: Document) -> list[GraphQLError]:
        request = self.execution_context
        name, max_cost = request.operation_name, self._schema.documents.limits.cost
        operation = document.find_operation(name)
        if operation is None:
            return []  # Strawberry raises the error
        cost = document.calculate_cost(name, request.variables)
        if operation.operation.value != OperationType.SUBSCRIPTION.value:
            self._cost = {"requested": cost, "limit": max_cost}
        if cost > max_cost:
            return [_create_cost_error(cost, max_cost, operation)]
        context = cast("Context | None", request.context)
        try:
            if context is not None:
                context.charge(cost)
        except RequestError as error:
            return [GraphQLError(error.message, original_error=error)]
        return []


def _create_cost_error(cost: int, limit: int, operation: OperationDefinitionNode) -> GraphQLError:
    message = (
        f"The operation costs {cost:,} points; the maximum is {limit:,}. Request smaller pages or "
        "fewer fields."
    )
    return create_limit_error(message, operation)


def _timeout_seconds(operation_type: OperationType, limits: RequestLimits) -> float:
    return (
        limits.mutation_timeout_seconds
        if operation_type is OperationType.MUTATION
        else limits.query_timeout_seconds
    )


def create_timeout_error(
    operation_type: OperationType, seconds: float, commits: CommitTracker | None = None
) -> OperationTimeoutError:
    message = f"The {operation_type.value} took longer than {seconds:g} s and was cancelled."
    if operation_type is not OperationType.MUTATION:
        message += " Request less data."
    elif commits is None or not commits.started:
        message += " Nothing was changed."
    else:
        message += (
            " Its changes may have been saved: check the data before you retry. Events that have "
            "a sourceId can safely be logged again."
        )
    return OperationTimeoutError(ErrorCode.LIMIT_EXCEEDED, message)


def _copy_error(error: GraphQLError) -> GraphQLError:
    """Copies a cached error, so that raising it does not keep the traceback's frames alive."""
    return GraphQLError(
        error.message,
        source=error.source,
        positions=error.positions,
        extensions=error.extensions,
    )

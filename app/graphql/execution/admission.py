"""What every operation passes before it runs, and how long it may run: over HTTP and sockets alike.

A document that is sound, a cost within the limit, points that its principal still has.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from typing import Any, Protocol, cast

from graphql import GraphQLError, OperationDefinitionNode
from strawberry.extensions import SchemaExtension
from strawberry.types.graphql import OperationType

from app.domain.shared.limits import RequestLimits
from app.domain.shared.problems import ErrorCode, RequestError
from app.graphql.execution.document_limits import too_large
from app.graphql.execution.documents import Document, Documents
from app.graphql.shared.context import Context
from app.graphql.shared.problems import bad_request
from app.store.engine.database import Commits, commits_watched


class LimitedSchema(Protocol):
    """What admission needs of the schema: its document cache and the limits of a request."""

    documents: Documents
    request_limits: RequestLimits


class OverdueError(RequestError):
    """It ran, and was broken off."""


@asynccontextmanager
async def in_time(kind: OperationType, limits: RequestLimits) -> AsyncIterator[None]:
    """Breaks off what takes longer than it may. OverdueError."""
    seconds = _seconds(kind, limits)
    with commits_watched() as commits:
        try:
            async with asyncio.timeout(seconds) as clock:
                yield
        except TimeoutError as error:
            if not clock.expired():
                raise
            raise overdue(kind, seconds, commits) from error


class Admission(SchemaExtension):
    """One for each operation."""

    def __init__(self) -> None:
        self._errors: list[GraphQLError] = []
        self._cost: dict[str, int] | None = None

    def on_parse(self) -> Iterator[None]:
        request = self.execution_context
        document = self._schema.documents.read(request.query or "")
        self._errors = list(document.errors) or self._refusals(document)
        if document.node is None:
            request.pre_execution_errors = self._errors
            raise _fresh(self._errors[0])
        request.graphql_document = document.node
        yield

    def on_validate(self) -> Iterator[None]:
        # Strawberry validates where nobody has: an empty list says that somebody has.
        self.execution_context.pre_execution_errors = self._errors
        yield

    async def on_execute(self) -> AsyncIterator[None]:
        async with in_time(self.execution_context.operation_type, self._schema.request_limits):
            yield

    def get_results(self) -> dict[str, Any]:
        """What the answer tells in `extensions`."""
        return {} if self._cost is None else {"cost": self._cost}

    @property
    def _schema(self) -> LimitedSchema:
        return cast("LimitedSchema", self.execution_context.schema)

    def _refusals(self, document: Document) -> list[GraphQLError]:
        request = self.execution_context
        name, most = request._provided_operation_name, self._schema.documents.limits.cost
        operation = document.operation(name)
        if operation is None:
            several = name is None and document.costs
            which = "The document has several operations: say which one by operationName."
            return [bad_request(which)] if several else []
        cost = document.cost(name, request.variables)
        if operation.operation.value != OperationType.SUBSCRIPTION.value:
            self._cost = {"requested": cost, "limit": most}
        if cost > most:
            return [_too_costly(cost, most, operation)]
        context = cast("Context | None", request.context)
        try:
            if context is not None:
                context.spend(cost)
        except RequestError as error:
            return [GraphQLError(error.message, original_error=error)]
        return []


def _too_costly(cost: int, most: int, operation: OperationDefinitionNode) -> GraphQLError:
    told = f"The operation asks for {cost:,} nodes: at most {most:,}. Ask for smaller pages."
    return too_large(told, operation)


def _seconds(kind: OperationType, limits: RequestLimits) -> float:
    return limits.mutation_seconds if kind is OperationType.MUTATION else limits.query_seconds


def overdue(kind: OperationType, seconds: float, commits: Commits | None = None) -> OverdueError:
    told = f"The {kind.value} took longer than {seconds:g} s and was broken off"
    if kind is not OperationType.MUTATION:
        told += ": ask for less."
    elif commits is None or not commits.begun:
        told += ": nothing was done."
    else:
        told += (
            ": it may have been done. Look, before it is sent again; a report with the same "
            "source and sourceId can be sent again safely."
        )
    return OverdueError(ErrorCode.LIMIT_EXCEEDED, told)


def _fresh(error: GraphQLError) -> GraphQLError:
    """To be raised: the frames of whoever raises it stay with it."""
    return GraphQLError(
        error.message,
        source=error.source,
        positions=error.positions,
        extensions=error.extensions,
    )

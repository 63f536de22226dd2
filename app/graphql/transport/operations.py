"""An operation and its answers as JSON: `answers` is all that a transport knows of it.

A subscription is executed once for all who share it (`execution/subscription_execution.py`).

Codes, masking and logging are those of HTTP: both go through the schema's `process_errors`.
"""

from __future__ import annotations

import contextlib
from collections.abc import AsyncGenerator, Callable, Sequence
from dataclasses import dataclass
from functools import partial

from graphql import ExecutionResult as OriginalResult
from graphql import GraphQLError
from strawberry.http import process_result
from strawberry.types.execution import ExecutionResult, PreExecutionError

from app.graphql.execution.subscription_execution import Opened
from app.graphql.schema import Schema
from app.graphql.shared.context import Context
from app.graphql.transport.messages import Subscribe, text_of
from app.services.change_log.broadcast import Push


@dataclass(frozen=True)
class Answer:
    """`payload` is JSON: a result; of a `failed` operation its errors, and it is the last.

    `more` are there already: the next answer comes without waiting. `cursor` tells a subscription's
    place behind it.
    """

    payload: str
    failed: bool = False
    more: bool = False
    cursor: Callable[[], str] | None = None


async def answers(
    schema: Schema, context: Context, operation: Subscribe, push: Push | None = None
) -> AsyncGenerator[Answer, None]:
    """One answer to a query or a mutation, each event of a subscription.

    It goes on when the next answer is asked for: whoever is slow makes the source wait. Close it.
    A subscription's payloads that come while it is waited for are pushed, if they can be.
    """

    def write(result: OriginalResult) -> str:
        if result.errors:
            schema.process_errors(result.errors)
        return text_of(process_result(ExecutionResult(data=result.data, errors=result.errors)))

    try:
        results = await schema.stream(
            operation.query,
            variable_values=operation.variables,
            context_value=context,
            operation_name=operation.operation_name,
            operation_extensions=operation.extensions,
        )
        async with contextlib.aclosing(results):
            async for result in results:
                if not isinstance(result, ExecutionResult):
                    raise TypeError("A part of a result: @defer and @stream are off.")
                if ends_the_operation(result):
                    yield _failure(result.errors or ())
                    return
                if not isinstance(result.data, Opened):
                    yield Answer(text_of(process_result(result)))
                    continue
                shared = result.data.follow(operation.query, operation.variables, write, push)
                place_of = result.data.followed.following.cursor
                async with contextlib.aclosing(shared):
                    async for rendered in shared:
                        for left, (place, payload) in enumerate(rendered, 1 - len(rendered)):
                            yield Answer(payload, False, left < 0, partial(place_of, place))
    except Exception as error:
        # What does not parse is raised by the parser's cache.
        if not isinstance(error, GraphQLError):
            error = GraphQLError(str(error), original_error=error)
        schema.process_errors([error])
        yield _failure([error])


def ends_the_operation(result: ExecutionResult) -> bool:
    """The operation did not run, or its source broke off. An error of a field has a path."""
    if isinstance(result, PreExecutionError):
        return True
    errors = result.errors or ()
    return result.data is None and bool(errors) and all(each.path is None for each in errors)


def _failure(errors: Sequence[GraphQLError]) -> Answer:
    return Answer(text_of([error.formatted for error in errors]), failed=True)

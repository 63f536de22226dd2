"""How a subscription is run: opened for each subscriber, executed once for all who share it.

Opening checks permissions, arguments and cursor, and hands over what is followed (`Opened`).
`Opened.follow` joins those of the same organization, permissions, document and variables: where
each begins is its own, the answers are everybody's.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Sequence
from dataclasses import dataclass
from typing import Any, Generic, TypeVar, cast

from graphql import (
    ExecutionResult,
    FieldNode,
    VariableNode,
    Visitor,
    visit,
)
from strawberry.schema.schema import StrawberryGraphQLCoreExecutionContext

from app.graphql.execution.documents import ERRORS_TOLD
from app.graphql.shared.context import Context
from app.services.change_log.broadcast import Push, Rendered
from app.services.change_log.subscriptions import Following
from app.store.change_log.changes import Entry

Item = TypeVar("Item")
# What of a result goes to the client, as JSON.
Write = Callable[[ExecutionResult], str]


@dataclass(frozen=True)
class Followed(AsyncIterator[Item], Generic[Item]):
    """What a subscription's resolver gives: what is followed, and how an entry is shown.

    As a source it gives itself, once: it is the executor that makes `Opened` of it.
    """

    following: Following
    show: Callable[[str, Entry], Item | None]

    async def __anext__(self) -> Item:
        return cast("Item", self)


class Executor(StrawberryGraphQLCoreExecutionContext):
    """Hands a subscription over, instead of executing it for one subscriber."""

    @classmethod
    def build(cls, *given: Any, **named: Any) -> Any:
        """An executor, or what is wrong with the variables: no names that it does not name."""
        built = super().build(*given, **{**named, "hide_suggestions": True})
        return built[:ERRORS_TOLD] if isinstance(built, list) else built

    def execute_operation(self, serially: bool | None = None) -> Any:
        if isinstance(self.root_value, Followed):
            return ExecutionResult(data=cast("Any", Opened(self, self.root_value)))
        return super().execute_operation(serially)

    def build_per_event_executor(self, payload: Any) -> Any:
        per_event = super().build_per_event_executor(payload)
        # Shared with the subscription's executor, it would grow with every event.
        per_event._relevant_sub_fields = {}
        return per_event


@dataclass(frozen=True)
class Opened:
    """A subscription that is allowed, and knows where it begins."""

    executor: Executor
    followed: Followed[Any]

    async def follow(
        self, query: str, variables: dict[str, Any] | None, write: Write, push: Push | None
    ) -> AsyncGenerator[list[Rendered], None]:
        """The answers as JSON, each beside its place in the log: all that are there at once.

        Without those that could be pushed.
        """
        context: Context = self.executor.context_value
        following = self.followed.following
        own = _variable_of_cursor(self.executor)
        said = {name: value for name, value in (variables or {}).items() if name != own}
        name = self.executor.operation.name
        key = (
            following.key,
            context.audience,
            query,
            name and name.value,
            json.dumps(said, sort_keys=True),  # as text: True is equal to 1
        )
        shared = _Execution(self, context.shared(), write)
        broadcast = context.feed.broadcast(key, following.selection, shared.render)
        async with contextlib.aclosing(broadcast.follow(following.after, push)) as answers:
            async for rendered in answers:
                yield rendered


class _Execution:
    """Executes entries for everybody: nothing of the one who opened it is left in it."""

    def __init__(self, opened: Opened, context: Context, write: Write) -> None:
        self._executor = opened.executor.build_per_event_executor(None)
        self._executor.context_value = context
        self._followed = opened.followed
        self._write = write

    async def render(self, entries: Sequence[Entry]) -> list[Rendered]:
        """What is shown of the entries; what they ask for is read together."""
        shown = []
        for entry in entries:
            item = self._followed.show(self._followed.following.cursor(entry.place), entry)
            if item is not None:
                shown.append((entry.place, item))
        results: list[Any] = [
            self._executor.build_per_event_executor(item).execute_operation(False)
            for _, item in shown
        ]
        waiting = {n: each for n, each in enumerate(results) if asyncio.iscoroutine(each)}
        for n, result in zip(waiting, await asyncio.gather(*waiting.values()), strict=True):
            results[n] = result
        return [
            (place, self._write(result)) for (place, _), result in zip(shown, results, strict=True)
        ]


def _variable_of_cursor(executor: Executor) -> str | None:
    """The variable that is the subscription's `after` and nothing else, by its name."""
    [field, *others] = executor.operation.selection_set.selections
    if others or not isinstance(field, FieldNode):
        return None
    given = [each.value for each in field.arguments or () if each.name.value == "after"]
    if not given or not isinstance(given[0], VariableNode):
        return None
    name = given[0].name.value
    uses = _Uses(name)
    for node in (executor.operation.selection_set, *executor.fragment_definitions.values()):
        visit(node, uses)
    return name if uses.count == 1 else None


class _Uses(Visitor):
    def __init__(self, name: str) -> None:
        super().__init__()
        self._name = name
        self.count = 0

    def enter_variable(self, node: VariableNode, *_: Any) -> None:
        self.count += node.name.value == self._name

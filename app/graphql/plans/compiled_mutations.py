"""Mutations that report events, answered without graphql-core: what they lead to is in memory.

What has nothing to say but what was done is written at once. An argument that is not plain, an
error and a warning are told by execution, which gets what was done and does not do it again.
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any
from weakref import WeakKeyDictionary

import structlog
from graphql import (
    FieldNode,
    GraphQLError,
    OperationType,
    get_named_type,
)
from graphql.execution.values import VariableValues
from strawberry.types.graphql import OperationType as Kind

from app import metrics
from app.domain.access.caller import Permission
from app.domain.shared.problems import RequestError
from app.graphql.execution.admission import OverdueError, in_time
from app.graphql.execution.document_costs import OperationCost
from app.graphql.execution.documents import Document
from app.graphql.execution.measures import Begun, root_field
from app.graphql.plans.inputs import NotPlainError, PlainArguments
from app.graphql.plans.operation import Operation
from app.graphql.plans.outcomes import Outcome
from app.graphql.plans.steps import NotPlannedError
from app.graphql.plans.writing import answer_of
from app.graphql.shared.context import Context
from app.graphql.shared.declared import Done, declared
from app.store.tables.columns import Raw

if TYPE_CHECKING:
    from app.graphql.schema import Schema

log = structlog.get_logger(__name__)


@dataclass(frozen=True)
class _Deed:
    """An operation of one mutation: what it is given, what it does and how that is told."""

    root: str
    key: str
    cost: OperationCost
    what: Done
    arguments: PlainArguments
    outcome: Outcome
    needed: frozenset[frozenset[Permission]]


class Deeds:
    """Of one schema, in one process."""

    def __init__(self, schema: Schema) -> None:
        self._schema = schema
        self._core = schema._schema
        # As long as `documents` keeps them: it bounds what they take.
        self._kept: WeakKeyDictionary[Document, dict[str | None, _Deed | None]] = (
            WeakKeyDictionary()
        )

    async def answer(
        self,
        context: Context,
        document: Document,
        operation_name: str | None,
        variables: dict[str, Any] | None,
    ) -> bytes | None:
        """The answer in JSON; None where the operation has to be executed, for whatever reason.

        OverdueError when it takes longer than a mutation may.
        """
        deed = self._deed(document, operation_name)
        if deed is None or not all(map(context.caller.may, deed.needed)):
            return None
        cost, most = deed.cost.of(variables or {}), self._schema.documents.limits.cost
        if cost > most:
            return None
        try:
            arguments = deed.arguments.read(variables or {})
            context.prepay(cost)
        except (NotPlainError, GraphQLError, RequestError):
            metrics.plans("left").inc()
            return None
        told = await self._done(context, deed, arguments)
        metrics.plans("left" if told is None else "taken").inc()
        if told is None:
            return None
        return answer_of(f'{{"{deed.key}":{told}}}', cost, most)

    async def _done(self, context: Context, deed: _Deed, arguments: dict[str, Any]) -> str | None:
        """What was done, as text; None where execution has to tell it."""
        context.done = asyncio.get_running_loop().create_future()
        begun = Begun()
        try:
            async with in_time(Kind.MUTATION, self._schema.request_limits):
                context.done.set_result(await deed.what.do(context, **arguments))
            [told] = deed.outcome.texts([context.done.result()])
            begun.ends(deed.root, "mutation", "OK")
            return told
        except OverdueError as error:
            begun.ends(deed.root, "mutation", error.code.value)
            raise
        except NotPlannedError:
            return None
        except Exception as error:
            if context.done.done():
                log.error("plan_failed", exc_info=error)
            else:
                context.done.set_exception(error)
        return None

    def _deed(self, document: Document, name: str | None) -> _Deed | None:
        kept = self._kept.setdefault(document, {})
        if name not in kept and document.operation(name) is not None:
            try:
                kept[name] = self._found(document, name)
            except (NotPlannedError, NotPlainError) as error:
                log.debug("not_planned", what=str(error))
                kept[name] = None
        return kept.get(name)

    def _found(self, document: Document, name: str | None) -> _Deed | None:
        """NotPlannedError, NotPlainError."""
        node, cost, core = document.operation(name), document.priced(name), self._core
        if node is None or cost is None or document.errors:
            return None
        root, selections = core.mutation_type, node.selection_set.selections
        if node.operation is not OperationType.MUTATION or root is None or len(selections) != 1:
            return None
        [asked] = selections
        if not isinstance(asked, FieldNode) or asked.name.value.startswith("__"):
            return None
        field = root.fields[asked.name.value]
        what = declared(root, asked.name.value)
        if not isinstance(what, Done) or document.has_directives:
            return None
        no_values = VariableValues({}, {})
        read = Operation(self._schema, Raw(None), node, document.fragments, no_values)
        read.declared(root, asked.name.value)
        arguments = PlainArguments(core, node, field, asked)
        [(key, details)] = read.roots(root).items()
        outcome = Outcome(read, get_named_type(field.type), details)
        root_name = root_field(core, node)
        return _Deed(root_name, key, cost, what, arguments, outcome, frozenset(read.needed))

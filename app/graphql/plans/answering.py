"""Where an operation finds its plan, and what happens where it has none."""

from __future__ import annotations

import asyncio
from collections.abc import Hashable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any
from weakref import WeakKeyDictionary

import structlog
from graphql import (
    DirectiveNode,
    FragmentDefinitionNode,
    GraphQLError,
    OperationDefinitionNode,
    OperationType,
    Visitor,
    get_variable_values,
    visit,
)
from graphql.execution.values import VariableValues
from strawberry.types.graphql import OperationType as Kind

from app import metrics
from app.domain.shared.problems import RequestError
from app.graphql.execution.admission import OverdueError, overdue
from app.graphql.execution.document_costs import OperationCost
from app.graphql.execution.documents import Document
from app.graphql.execution.measures import Begun, root_field
from app.graphql.plans.cached_event_types import MovedError
from app.graphql.plans.operation import Operation
from app.graphql.plans.planning import Planner
from app.graphql.plans.steps import NotPlannedError, Plan, variables_in
from app.graphql.plans.writing import Asking, answer_of, write
from app.graphql.shared.context import Context
from app.store.engine.dialect import why_unavailable
from app.store.reading.statements import TooWideError

if TYPE_CHECKING:
    from app.graphql.schema import Schema

log = structlog.get_logger(__name__)
SHAPES = 8  # of one operation: a plan takes 50 kB, and who has 20 variables for @skip has a million
_EXPECTED = (GraphQLError, RequestError, MovedError, NotPlannedError, TooWideError)


@dataclass
class _Operation:
    """What is known of an operation: its plan, for each set of values that it depends on."""

    node: OperationDefinitionNode
    root: str
    cost: OperationCost
    fragments: dict[str, FragmentDefinitionNode]
    deciding: tuple[str, ...]
    plans: dict[Hashable, Plan | None] = field(default_factory=dict)


class Plans:
    """Of one schema, in one process."""

    def __init__(self, schema: Schema) -> None:
        self._schema = schema
        self._core = schema._schema
        # As long as `documents` keeps them: it bounds what they take.
        self._kept: WeakKeyDictionary[Document, dict[str | None, _Operation]] = WeakKeyDictionary()

    async def answer(
        self,
        context: Context,
        document: Document,
        operation_name: str | None,
        variables: dict[str, Any] | None,
    ) -> bytes | None:
        """The answer in JSON; None where the operation has to be executed, for whatever reason.

        OverdueError when it takes longer than a query may.
        """
        operation = self._operation(document, operation_name)
        if operation is None:
            return None
        cost, most = operation.cost.of(variables or {}), self._schema.documents.limits.cost
        outcome = "not_planned"
        try:
            planned = self._planned(context, operation, variables) if cost <= most else None
            if planned is not None:
                outcome = "left"
                context.prepay(cost)
                begun = Begun()
                try:
                    data = await self._written(*planned)
                except OverdueError as error:
                    begun.ends(operation.root, "query", error.code.value)
                    raise
                begun.ends(operation.root, "query", "OK")
                outcome = "taken"
                return answer_of(data, cost, most)
        except OverdueError:
            raise
        except Exception as error:
            # Who executes it will say what is wrong.
            if isinstance(error, _EXPECTED) or why_unavailable(error) is not None:
                log.debug("plan_left", why=repr(error))
            else:
                outcome = "failed"
                log.error("plan_failed", exc_info=error)
        finally:
            metrics.plans(outcome).inc()
        return None

    async def _written(self, plan: Plan, asking: Asking) -> str:
        seconds = self._schema.request_limits.query_seconds
        try:
            async with asyncio.timeout(seconds) as clock:
                return await write(plan, asking)
        except TimeoutError as error:
            if not clock.expired():
                raise
            raise overdue(Kind.QUERY, seconds) from error

    def _planned(
        self, context: Context, operation: _Operation, said: dict[str, Any] | None
    ) -> tuple[Plan, Asking] | None:
        definitions = operation.node.variable_definitions
        values = VariableValues({}, {})
        if definitions:
            coerced = get_variable_values(self._core, definitions, said or {})
            if isinstance(coerced, list):
                raise coerced[0]
            values = coerced
        shape = (context.database.raw.name, *map(values.coerced.get, operation.deciding))
        if shape not in operation.plans:
            if len(operation.plans) == SHAPES:
                operation.plans.clear()
            operation.plans[shape] = self._made(context, operation, values)
        plan = operation.plans[shape]
        if plan is None or not all(map(context.caller.may, plan.needed)):
            return None
        return plan, Asking(context, values, said)

    def _made(self, context: Context, operation: _Operation, values: VariableValues) -> Plan | None:
        raw = context.database.raw
        read = Operation(self._schema, raw, operation.node, operation.fragments, values)
        try:
            return Planner(read).plan()
        except NotPlannedError as error:
            log.debug("not_planned", what=str(error))
            return None

    def _operation(self, document: Document, name: str | None) -> _Operation | None:
        kept = self._kept.setdefault(document, {})
        if (known := kept.get(name)) is None and (known := self._found(document, name)) is not None:
            kept[name] = known
        return known

    def _found(self, document: Document, name: str | None) -> _Operation | None:
        """The query that is meant; None where there is none, or the document is not valid."""
        node, cost = document.operation(name), document.priced(name)
        if document.errors or node is None or cost is None:
            return None
        if node.operation is not OperationType.QUERY:
            return None
        fragments = document.fragments
        deciding: set[str] = set()

        class Deciding(Visitor):
            def enter_directive(self, node: DirectiveNode, *_: Any) -> None:
                deciding.update(variables_in(node))

        for each in (node, *fragments.values()):
            visit(each, Deciding())
        root = root_field(self._core, node)
        return _Operation(node, root, cost, fragments, tuple(sorted(deciding)))

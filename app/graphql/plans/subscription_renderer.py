"""Renderer of a subscription's responses: by its plan, or else by graphql-core."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from graphql import DocumentNode
from strawberry.http import process_result
from strawberry.types import ExecutionResult

from app.domain.shared.json_encoding import encode_json
from app.graphql.execution.subscription_execution import Executor
from app.graphql.plans.plan_failures import record_failure
from app.graphql.plans.plan_steps import OperationRequest
from app.graphql.plans.planner import ResolverPlan
from app.graphql.schema import Schema
from app.graphql.shared.context import Context


@dataclass(frozen=True)
class SubscriptionRenderer:
    """Renders the items of a subscription. `plan` is None if no plan covers it."""

    schema: Schema
    document: DocumentNode
    operation_name: str | None
    json_values: Mapping[str, Any]
    inputs: Mapping[str, Any]
    plan: ResolverPlan | None

    async def render_items(self, context: Context, items: Sequence[Any]) -> Sequence[str]:
        """Returns the response to each item as JSON."""
        if self.plan is not None:
            request = OperationRequest(context, self.json_values, self.inputs)
            try:
                texts = await self.plan.write_result(request, items)
            except Exception as error:
                record_failure(error)
            else:
                return [f'{{"data":{{"{self.plan.response_key}":{text}}}}}' for text in texts]
        return await self._execute_items(context, items)

    async def _execute_items(self, context: Context, items: Sequence[Any]) -> Sequence[str]:
        """Executes the items concurrently, so that the loaders batch their reads."""
        executors = [self._executor.build_per_event_executor(item, context) for item in items]
        results = [each.execute_operation(False) for each in executors]
        pending = iter(await asyncio.gather(*filter(asyncio.iscoroutine, results)))
        return [
            self._serialize_result(next(pending) if asyncio.iscoroutine(result) else result)
            for result in results
        ]

    @cached_property
    def _executor(self) -> Any:
        return Executor.build(
            self.schema.graphql_schema,
            self.document,
            raw_variable_values=dict(self.json_values),
            operation_name=self.operation_name,
        )

    def _serialize_result(self, result: Any) -> str:
        if result.errors:
            self.schema.process_errors(result.errors)
        return encode_json(process_result(ExecutionResult(data=result.data, errors=result.errors)))

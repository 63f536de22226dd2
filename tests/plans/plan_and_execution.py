"""Runs the same operation twice: by its plan, and by graphql-core."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

from strawberry.http import process_result
from strawberry.types import ExecutionResult
from structlog.testing import capture_logs

from app.domain.access.caller import Caller
from app.domain.shared.json_encoding import encode_json
from app.domain.shared.limits import ChannelLimits, DocumentLimits, Limits, RequestLimits
from app.graphql.loaders import RequestLoaders
from app.graphql.plans.plan_executor import PlanExecutor
from app.graphql.schema import build_schema
from app.graphql.shared.context import Context
from app.services.auth.access import Access, authenticate_credential
from app.services.channels.channels import ChannelTools
from app.store.engine.database import Database
from tests.client import ADMINISTRATOR, TIMEOUT_SECONDS

LIMITS = Limits()
# Random documents request far more than a client may.
AMPLE = DocumentLimits(tokens=20_000, aliases=1_000, fields=5_000, depth=50, cost=10_000_000)
SCHEMA = build_schema(AMPLE, RequestLimits(query_timeout_seconds=TIMEOUT_SECONDS))
DOCUMENTS = SCHEMA.documents


def encode_result(result: ExecutionResult) -> str:
    return encode_json(process_result(result))


class PlanAndExecution:
    """Executes operations both ways; `execute_both` requires the same text."""

    def __init__(self, database: Database, caller: Caller) -> None:
        self.access = Access(database)
        self.caller = caller
        self.plans = PlanExecutor(SCHEMA)

    @classmethod
    async def create(cls, database: Database) -> PlanAndExecution:
        caller = await authenticate_credential(Access(database), f"Bearer {ADMINISTRATOR}")
        return cls(database, caller)

    def as_caller(self, **other: Any) -> PlanAndExecution:
        return PlanAndExecution(self.access.database, replace(self.caller, **other))

    async def execute_plan(self, query: str, **variables: Any) -> Any:
        """Returns the response of the plan, None if the operation has no plan."""
        text = await self._encode_planned(query, variables)
        return None if text is None else json.loads(text)

    async def execute_schema(self, query: str, **variables: Any) -> Any:
        return json.loads(await self._encode_executed(query, variables))

    async def execute_both(self, query: str, **variables: Any) -> Any:
        """Returns the data, whose JSON must be the same both ways. The plan must be used."""
        with capture_logs() as logs:
            planned = await self._encode_planned(query, variables)
        executed = await self._encode_executed(query, variables)
        assert planned is not None, (logs, query, executed)
        assert planned == executed, query
        response = json.loads(planned)
        assert "errors" not in response, response["errors"]
        return response["data"]

    async def _encode_planned(self, query: str, variables: dict[str, Any]) -> str | None:
        document = DOCUMENTS.get_document(query)
        answer = await self.plans.execute_plan(self.context, document, None, variables)
        return encode_result(answer) if isinstance(answer, ExecutionResult) else answer

    async def _encode_executed(self, query: str, variables: dict[str, Any]) -> str:
        result = await SCHEMA.execute(query, variable_values=variables, context_value=self.context)
        return encode_result(result)

    async def run_mutation(self, mutation: str, **variables: Any) -> Any:
        """Runs one mutation, which must succeed. Returns its payload."""
        answer = await self.execute_schema(mutation, **variables)
        assert "errors" not in answer, answer["errors"]
        [payload] = answer["data"].values()
        assert not payload.get("userErrors"), payload
        return payload

    @property
    def context(self) -> Context:
        unused: Any = None  # no subscription is used, and nothing is sent to a channel
        context = Context(
            self.access,
            unused,
            unused,
            ChannelTools(None, unused, unused, ChannelLimits(), None),
            LIMITS,
            RequestLoaders,
            lambda: "http://tocsin.test",
        )
        context.authenticated_caller = self.caller
        return context

"""The same operation twice: by its plan, and executed field by field."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

from strawberry.http import process_result
from structlog.testing import capture_logs

from app.domain.access.caller import Caller
from app.domain.shared.limits import DocumentLimits, Limits, RequestLimits
from app.graphql.loaders import Loaders
from app.graphql.plans.answering import Plans
from app.graphql.schema import build_schema
from app.graphql.shared.context import Context
from app.services.auth.access import Access, authenticate
from app.store.engine.database import Database
from tests.client import ADMINISTRATOR, PATIENCE_SECONDS

LIMITS = Limits()
# What is drawn asks for far more than a client may.
AMPLE = DocumentLimits(tokens=20_000, aliases=1_000, fields=5_000, depth=50, cost=10_000_000)
SCHEMA = build_schema(AMPLE, RequestLimits(query_seconds=PATIENCE_SECONDS))
DOCUMENTS = SCHEMA.documents


class Both:
    """Of one database: `ask` wants equal answers, to the order of the members."""

    def __init__(self, database: Database, caller: Caller) -> None:
        self.access = Access(database)
        self.caller = caller
        self.plans = Plans(SCHEMA)

    @classmethod
    async def of(cls, database: Database) -> Both:
        caller = await authenticate(Access(database), f"Bearer {ADMINISTRATOR}")
        return cls(database, caller)

    def as_caller(self, **other: Any) -> Both:
        return Both(self.access.database, replace(self.caller, **other))

    async def planned(self, query: str, **variables: Any) -> Any:
        """The answer of the plan; None where there is none."""
        document = DOCUMENTS.read(query)
        answer = await self.plans.answer(self.context, document, None, variables)
        return None if answer is None else json.loads(answer)

    async def executed(self, query: str, **variables: Any) -> Any:
        result = await SCHEMA.execute(query, variable_values=variables, context_value=self.context)
        return json.loads(json.dumps(process_result(result)))

    async def ask(self, query: str, **variables: Any) -> Any:
        """The answer, the same both ways; the plan was taken."""
        with capture_logs() as logs:
            planned = await self.planned(query, **variables)
        executed = await self.executed(query, **variables)
        assert planned is not None, (logs, query, executed)
        assert "errors" not in executed, executed["errors"]
        assert json.dumps(planned) == json.dumps(executed), query
        return planned["data"]

    async def do(self, mutation: str, **variables: Any) -> Any:
        """The payload of the one mutation, which was accepted."""
        answer = await self.executed(mutation, **variables)
        assert "errors" not in answer, answer["errors"]
        [payload] = answer["data"].values()
        assert not payload.get("userErrors"), payload
        return payload

    @property
    def context(self) -> Context:
        feed: Any = None  # no subscription is asked for
        context = Context(self.access, feed, LIMITS, Loaders, lambda: "http://tocsin.test")
        context.authenticated = self.caller
        return context

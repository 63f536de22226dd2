"""The GraphQL schema: all root fields, with permission checks."""

from __future__ import annotations

from typing import Any

import strawberry
from graphql import GraphQLError
from strawberry.schema.config import StrawberryConfig
from strawberry.schema.exceptions import CannotGetOperationTypeError, InvalidOperationTypeError
from strawberry.types import ExecutionContext, ExecutionResult
from strawberry.types.graphql import OperationType

from app.domain.shared.limits import DocumentLimits, Limits, RequestLimits
from app.domain.shared.problems import RequestError
from app.graphql.change_log.history import HistoryQueries, HistorySubscriptions
from app.graphql.change_log.notifications import (
    NotificationMutations,
    NotificationQueries,
    NotificationSubscriptions,
)
from app.graphql.event_types.mutations import EventTypeMutations
from app.graphql.event_types.queries import EventTypeQueries
from app.graphql.events.checks import CheckQueries
from app.graphql.events.cloudevents import CloudEventMutations, CloudEventQueries
from app.graphql.events.containers import ContainerMutations
from app.graphql.events.correlations import CorrelationMutations
from app.graphql.events.counts import EventCountQueries
from app.graphql.events.mutations import EventMutations
from app.graphql.events.queries import EventQueries
from app.graphql.execution.admission import Admission
from app.graphql.execution.documents import DocumentCache
from app.graphql.execution.operation_metrics import OperationMetrics
from app.graphql.execution.subscription_execution import Executor
from app.graphql.organizations.api_keys import ApiKeyMutations
from app.graphql.organizations.mutations import OrganizationMutations
from app.graphql.organizations.queries import OrganizationQueries
from app.graphql.rules.duplication import DuplicationRuleMutations, DuplicationRuleQueries
from app.graphql.rules.guards import GuardRuleMutations, GuardRuleQueries
from app.graphql.shared.permissions import enforce_permissions
from app.graphql.shared.problems import assign_error_code, create_bad_request_error
from app.graphql.shared.scalars import SCALARS
from app.graphql.types.user_error import (
    DuplicateError,
    ExpressionError,
    GuardViolation,
    InputError,
    TransitionError,
)

_SUBSCRIPTION_OVER_HTTP = (
    "A subscription goes over a WebSocket (graphql-transport-ws) or is asked for by `Accept: "
    "text/event-stream`, at this address."
)
_OPERATION_NOT_FOUND = "The document has no operation, or none of the name that operationName says."


@strawberry.type(
    description="All that can be read. What an operation asks for is counted in nodes, at most "
    "2,000, and told as `extensions.cost` of its answer: each row of a list is one, as often as it "
    "is selected, and what is selected below a row counts for each."
)
class Query(
    EventQueries,
    CheckQueries,
    CloudEventQueries,
    EventCountQueries,
    DuplicationRuleQueries,
    EventTypeQueries,
    GuardRuleQueries,
    HistoryQueries,
    NotificationQueries,
    OrganizationQueries,
):
    pass


@strawberry.type(
    description="All that can be done. What is wrong with an input comes back in `userErrors`."
)
class Mutation(
    EventMutations,
    NotificationMutations,
    EventTypeMutations,
    DuplicationRuleMutations,
    GuardRuleMutations,
    CorrelationMutations,
    ContainerMutations,
    CloudEventMutations,
    OrganizationMutations,
    ApiKeyMutations,
):
    pass


@strawberry.type(description="All that can be followed as it happens.")
class Subscription(NotificationSubscriptions, HistorySubscriptions):
    pass


class Schema(strawberry.Schema):
    """The schema with the document cache and the request limits of a server."""

    documents: DocumentCache
    request_limits: RequestLimits

    async def execute(self, query: str | None, *args: Any, **kwargs: Any) -> ExecutionResult:
        """Executes a query or a mutation. Subscriptions are rejected: they have many results."""
        kwargs["allowed_operation_types"] = {OperationType.QUERY, OperationType.MUTATION} & set(
            kwargs.get("allowed_operation_types") or OperationType
        )
        try:
            return await super().execute(query, *args, **kwargs)
        except InvalidOperationTypeError as error:
            if error.operation_type is not OperationType.SUBSCRIPTION:
                raise
            return ExecutionResult(
                data=None, errors=[create_bad_request_error(_SUBSCRIPTION_OVER_HTTP)]
            )
        except CannotGetOperationTypeError:
            return ExecutionResult(
                data=None, errors=[create_bad_request_error(_OPERATION_NOT_FOUND)]
            )

    def build_timeout_result(self, error: RequestError, cost: int) -> ExecutionResult:
        """Returns the result of an operation that exceeded its time limit."""
        errors = [GraphQLError(error.message, original_error=error)]
        self.process_errors(errors)
        cost_extension = {"requested": cost, "limit": self.documents.limits.cost}
        return ExecutionResult(data=None, errors=errors, extensions={"cost": cost_extension})

    def process_errors(
        self, errors: list[GraphQLError], execution_context: ExecutionContext | None = None
    ) -> None:
        for error in errors:
            assign_error_code(error)


def build_schema(
    documents: DocumentLimits | None = None,
    requests: RequestLimits | None = None,
    limits: Limits | None = None,
) -> Schema:
    schema = Schema(
        query=Query,
        mutation=Mutation,
        subscription=Subscription,
        types=[DuplicateError, ExpressionError, GuardViolation, InputError, TransitionError],
        execution_context_class=Executor,
        config=StrawberryConfig(scalar_map=SCALARS, disable_field_suggestions=True),
        extensions=[OperationMetrics, Admission],
    )
    enforce_permissions(schema._schema)
    schema.documents = DocumentCache(
        schema._schema, documents or DocumentLimits(), limits or Limits()
    )
    schema.request_limits = requests or RequestLimits()
    return schema

"""The schema: all rooms together, with the permissions in front."""

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
from app.graphql.execution.documents import Documents
from app.graphql.execution.measures import Measured
from app.graphql.execution.subscription_execution import Executor
from app.graphql.organizations.api_keys import ApiKeyMutations
from app.graphql.organizations.organizations import OrganizationMutations, OrganizationQueries
from app.graphql.rules.duplication_rules import DuplicationRuleMutations, DuplicationRuleQueries
from app.graphql.rules.guard_rules import GuardRuleMutations, GuardRuleQueries
from app.graphql.shared.permissions import enforce
from app.graphql.shared.problems import bad_request, tell
from app.graphql.shared.scalars import SCALARS
from app.graphql.types.user_error import (
    DuplicateError,
    ExpressionError,
    GuardViolation,
    InputError,
    TransitionError,
)

_OVER_A_SOCKET = (
    "A subscription goes over a WebSocket (graphql-transport-ws) or is asked for by `Accept: "
    "text/event-stream`, at this address."
)
_NO_SUCH_OPERATION = "The document has no operation, or none of the name that operationName says."


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
    """`documents` and `request_limits` belong to one that is served."""

    documents: Documents
    request_limits: RequestLimits

    async def execute(self, query: str | None, *given: Any, **more: Any) -> ExecutionResult:
        """One answer to a query or a mutation; a subscription has many, and needs a socket."""
        more["allowed_operation_types"] = {OperationType.QUERY, OperationType.MUTATION} & set(
            more.get("allowed_operation_types") or OperationType
        )
        try:
            return await super().execute(query, *given, **more)
        except InvalidOperationTypeError as error:
            if error.operation_type is not OperationType.SUBSCRIPTION:
                raise
            return ExecutionResult(data=None, errors=[bad_request(_OVER_A_SOCKET)])
        except CannotGetOperationTypeError:
            return ExecutionResult(data=None, errors=[bad_request(_NO_SUCH_OPERATION)])

    def broken_off(self, error: RequestError, cost: int) -> ExecutionResult:
        """The answer to an operation that took too long."""
        errors = [GraphQLError(error.message, original_error=error)]
        self.process_errors(errors)
        told = {"requested": cost, "limit": self.documents.limits.cost}
        return ExecutionResult(data=None, errors=errors, extensions={"cost": told})

    def process_errors(
        self, errors: list[GraphQLError], execution_context: ExecutionContext | None = None
    ) -> None:
        for error in errors:
            tell(error)


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
        extensions=[Measured, Admission],
    )
    enforce(schema._schema)
    schema.documents = Documents(schema._schema, documents or DocumentLimits(), limits or Limits())
    schema.request_limits = requests or RequestLimits()
    return schema

"""The GraphQL schema: all root fields, with permission checks."""

from __future__ import annotations

from typing import Any

import strawberry
from graphql import GraphQLError, GraphQLInputObjectType, GraphQLSchema
from strawberry.schema.config import StrawberryConfig
from strawberry.schema.exceptions import CannotGetOperationTypeError, InvalidOperationTypeError
from strawberry.schema.schema_converter import GraphQLCoreConverter
from strawberry.types import ExecutionContext, ExecutionResult
from strawberry.types.graphql import OperationType

from app.domain.shared.limits import DocumentLimits, Limits, RequestLimits
from app.domain.shared.problems import ERROR_CODE_DESCRIPTIONS
from app.graphql.change_log.audit import AuditQueries
from app.graphql.change_log.history import HistoryQueries, HistorySubscriptions
from app.graphql.change_log.notifications import (
    NotificationMutations,
    NotificationQueries,
    NotificationSubscriptions,
)
from app.graphql.change_log.silences import SilenceMutations, SilenceQueries
from app.graphql.change_log.summaries import (
    NotificationSummaryMutations,
    NotificationSummaryQueries,
    NotificationSummarySubscriptions,
)
from app.graphql.channels.channels import ChannelMutations, ChannelQueries
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
from app.graphql.execution.input_errors import add_argument_path
from app.graphql.execution.operation_metrics import OperationMetrics
from app.graphql.execution.subscription_execution import Executor
from app.graphql.organizations.api_keys import ApiKeyMutations
from app.graphql.organizations.health import HealthQueries
from app.graphql.organizations.mutations import OrganizationMutations
from app.graphql.organizations.queries import OrganizationQueries
from app.graphql.organizations.retention import RetentionMutations, RetentionQueries
from app.graphql.rules.duplication import DuplicationRuleMutations, DuplicationRuleQueries
from app.graphql.rules.guards import GuardRuleMutations, GuardRuleQueries
from app.graphql.shared.error_codes import (
    OPERATION_NOT_FOUND,
    assign_error_code,
    create_bad_request_error,
)
from app.graphql.shared.permissions import enforce_permissions
from app.graphql.shared.scalars import SCALARS
from app.graphql.sources.sources import SourceMutations, SourceQueries
from app.graphql.types.user_error import (
    DuplicateError,
    ExpressionError,
    GuardViolation,
    InputError,
    TransitionError,
    return_argument_problems,
)

_SUBSCRIPTION_OVER_HTTP = (
    "A subscription cannot be executed as a plain HTTP request. At the same address, use a "
    "WebSocket connection (graphql-transport-ws) or send the header `Accept: text/event-stream`."
)
_ERROR_CODES = "\n".join(
    f"- `{code.value}`: {description}" for code, description in ERROR_CODE_DESCRIPTIONS.items()
)


@strawberry.type(
    description="Root of all queries.\n\n"
    "Every operation has a cost, at most 2,000 points by default. Most root fields and each row of "
    "a list cost 1 point; the cost of the selection below a list is counted for each row. The "
    "response contains the cost in `extensions.cost`.\n\n"
    "If a request or one of its fields fails, the response has an entry in `errors`, with one of "
    f"these codes in `extensions.code`:\n\n{_ERROR_CODES}"
)
class Query(
    AuditQueries,
    ChannelQueries,
    EventQueries,
    CheckQueries,
    CloudEventQueries,
    EventCountQueries,
    DuplicationRuleQueries,
    EventTypeQueries,
    HealthQueries,
    GuardRuleQueries,
    HistoryQueries,
    NotificationQueries,
    NotificationSummaryQueries,
    OrganizationQueries,
    RetentionQueries,
    SilenceQueries,
    SourceQueries,
):
    pass


@strawberry.type(
    description="Root of all mutations.\n\n"
    "Problems with the input of a mutation are returned as data in `userErrors` (see "
    "`UserError`), each with a code and the path to the argument. Problems with the request as a "
    "whole, such as a missing permission, are returned in `errors`: see `Query` for their codes."
)
class Mutation(
    EventMutations,
    NotificationMutations,
    NotificationSummaryMutations,
    EventTypeMutations,
    DuplicationRuleMutations,
    GuardRuleMutations,
    CorrelationMutations,
    ContainerMutations,
    CloudEventMutations,
    OrganizationMutations,
    ApiKeyMutations,
    RetentionMutations,
    ChannelMutations,
    SourceMutations,
    SilenceMutations,
):
    pass


@strawberry.type(
    description="Root of all subscriptions.\n\n"
    "Subscriptions use a WebSocket connection (subprotocol `graphql-transport-ws`) or server-sent "
    "events (`Accept: text/event-stream`), both at the URL of the GraphQL API. They read the "
    "change log: a client that passes the last received cursor as `after` resumes without a gap."
)
class Subscription(
    NotificationSubscriptions, NotificationSummarySubscriptions, HistorySubscriptions
):
    pass


_DESCRIPTION = (
    "Tocsin: log, find and subscribe to operational events. Start with `Query.events`, "
    "`Mutation.logEvent` and `Subscription.notificationAdded`."
)


class Schema(strawberry.Schema):
    """The GraphQL schema, with the document cache and the request limits of a server."""

    documents: DocumentCache
    request_limits: RequestLimits

    @property
    def graphql_schema(self) -> GraphQLSchema:
        """The schema of graphql-core, for which Strawberry has no public name."""
        return self._schema

    def list_root_fields(self) -> list[tuple[str, str]]:
        """Returns each root field with the type of its operations."""
        roots = {
            "query": self.graphql_schema.query_type,
            "mutation": self.graphql_schema.mutation_type,
            "subscription": self.graphql_schema.subscription_type,
        }
        return [(name, kind) for kind, root in roots.items() if root for name in root.fields]

    async def execute(self, query: str | None, *args: Any, **kwargs: Any) -> ExecutionResult:
        """Executes a query or a mutation. Rejects subscriptions, which have many results."""
        kwargs["operation_name"] = self._name_operation(query, kwargs.get("operation_name"))
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
                data=None, errors=[create_bad_request_error(OPERATION_NOT_FOUND)]
            )

    async def stream(self, query: str | None, *args: Any, **kwargs: Any) -> Any:
        kwargs["operation_name"] = self._name_operation(query, kwargs.get("operation_name"))
        return await super().stream(query, *args, **kwargs)

    def _name_operation(self, query: str | None, name: str | None) -> str | None:
        """Returns the name of the operation for Strawberry. "" is the name of none.

        Without a name, Strawberry would execute the first of several operations.
        """
        is_ambiguous = name is None and len(self.documents.get_document(query or "").costs) > 1
        return "" if is_ambiguous else name

    def build_result(
        self, data: dict[str, Any] | None, errors: list[GraphQLError], cost: int
    ) -> ExecutionResult:
        """Returns the result of an operation of this cost, with processed errors."""
        self.process_errors(errors)
        cost_extension = {"requested": cost, "limit": self.documents.limits.cost}
        return ExecutionResult(data=data, errors=errors, extensions={"cost": cost_extension})

    def process_errors(
        self, errors: list[GraphQLError], execution_context: ExecutionContext | None = None
    ) -> None:
        document = None if execution_context is None else execution_context.graphql_document
        for error in errors:
            if document is not None:
                add_argument_path(error, document)
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
    graphql_schema = schema.graphql_schema
    graphql_schema.description = _DESCRIPTION
    return_argument_problems(graphql_schema)
    enforce_permissions(graphql_schema)
    _validate_one_of_inputs(graphql_schema)
    schema.documents = DocumentCache(
        graphql_schema, documents or DocumentLimits(), limits or Limits()
    )
    schema.request_limits = requests or RequestLimits()
    return schema


def _validate_one_of_inputs(schema: GraphQLSchema) -> None:
    """Makes graphql-core validate `@oneOf` inputs.

    Strawberry's own validation names neither the variable nor the place of a mistake.
    """
    for type_ in schema.type_map.values():
        if (
            isinstance(type_, GraphQLInputObjectType)
            and type_.extensions[GraphQLCoreConverter.DEFINITION_BACKREF].is_one_of
        ):
            type_.is_one_of = True
            type_.out_type = GraphQLInputObjectType.out_type  # type: ignore[method-assign]

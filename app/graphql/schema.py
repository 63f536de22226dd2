"""The schema: all rooms together, with the permissions in front."""

from __future__ import annotations

from typing import Any

import strawberry
from graphql import GraphQLError
from strawberry.extensions import ParserCache, ValidationCache
from strawberry.schema.config import StrawberryConfig
from strawberry.types import ExecutionContext

from app.graphql.event_mutations import EventMutations
from app.graphql.event_types import EventTypeMutations, EventTypeQueries
from app.graphql.events import EventQueries
from app.graphql.history import HistoryQueries, HistorySubscriptions
from app.graphql.notifications import (
    NotificationMutations,
    NotificationQueries,
    NotificationSubscriptions,
)
from app.graphql.organizations import OrganizationQueries
from app.graphql.permissions import enforce
from app.graphql.problems import InputError, tell
from app.graphql.scalars import SCALARS

_CACHED_DOCUMENTS = 1000


@strawberry.type(description="All that can be read.")
class Query(
    EventQueries, EventTypeQueries, HistoryQueries, NotificationQueries, OrganizationQueries
):
    pass


@strawberry.type(
    description="All that can be done. What is wrong with an input comes back in `userErrors`."
)
class Mutation(EventMutations, NotificationMutations, EventTypeMutations):
    pass


@strawberry.type(description="All that can be followed as it happens.")
class Subscription(NotificationSubscriptions, HistorySubscriptions):
    pass


class Schema(strawberry.Schema):
    def process_errors(
        self, errors: list[GraphQLError], execution_context: ExecutionContext | None = None
    ) -> None:
        for error in errors:
            tell(error)


def build_schema() -> Schema:
    schema = Schema(
        query=Query,
        mutation=Mutation,
        subscription=Subscription,
        types=[InputError],
        config=StrawberryConfig(scalar_map=SCALARS, disable_field_suggestions=True),
        extensions=[_parsed, _validated],
    )
    enforce(schema._schema)
    return schema


def _parsed(**given: Any) -> ParserCache:
    return ParserCache(maxsize=_CACHED_DOCUMENTS)


def _validated(**given: Any) -> ValidationCache:
    return ValidationCache(maxsize=_CACHED_DOCUMENTS)

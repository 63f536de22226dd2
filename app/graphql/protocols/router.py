"""GraphQL at one address: POST and GET, and the graphql-transport-ws socket.

Nothing runs before the credential is known: 401 on HTTP, close code 4403 on a socket.
"""

from __future__ import annotations

import json
from typing import Any

from starlette.requests import HTTPConnection
from strawberry.exceptions import ConnectionRejectionError
from strawberry.fastapi import GraphQLRouter
from strawberry.subscriptions import GRAPHQL_TRANSPORT_WS_PROTOCOL

from app.domain.limits import Limits
from app.domain.problems import RequestError
from app.graphql.context import Context
from app.graphql.loaders import Loaders
from app.graphql.schema import Schema
from app.services.access import caller_of
from app.services.feed import Feed
from app.store.database import Database


class Router(GraphQLRouter[Context, None]):
    def decode_json(self, data: str | bytes) -> object:
        """JSONDecodeError for JSON that is deeper than Python reads, too."""
        try:
            return super().decode_json(data)
        except RecursionError:
            raise json.JSONDecodeError("Is nested too deeply", "", 0) from None

    async def on_ws_connect(self, context: Context) -> Any:
        """Authenticates a socket by the payload of its connection_init."""
        said = {name.lower(): value for name, value in (context.connection_params or {}).items()}
        texts = {name: value for name, value in said.items() if isinstance(value, str)}
        try:
            context.authenticated = await caller_of(context.database, texts)
        except RequestError as error:
            raise ConnectionRejectionError({"code": error.code.value}) from None
        return await super().on_ws_connect(context)


def graphql_router(schema: Schema, limits: Limits) -> Router:
    async def context(connection: HTTPConnection) -> Context:
        database: Database = connection.app.state.database
        feed: Feed = connection.app.state.feed
        made = Context(database, feed, limits, Loaders)
        if connection.scope["type"] == "http":
            made.authenticated = await caller_of(database, connection.headers)
        return made

    return Router(
        schema,
        path="/graphql",
        graphql_ide=None,
        context_getter=context,
        # The legacy protocol, "graphql-ws", is off.
        subscription_protocols=[GRAPHQL_TRANSPORT_WS_PROTOCOL],
    )

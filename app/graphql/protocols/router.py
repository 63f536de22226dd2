"""GraphQL at one address: POST and GET by Strawberry, the socket by `transport_ws`.

Nothing runs before the credential is known: 401 on HTTP, close code 4403 on a socket.
"""

from __future__ import annotations

import json

from fastapi.routing import APIWebSocketRoute
from starlette.requests import HTTPConnection, Request
from strawberry.fastapi import GraphQLRouter

from app.domain.limits import Limits, SocketLimits
from app.graphql.context import Context
from app.graphql.loaders import Loaders
from app.graphql.protocols.transport_ws import socket_endpoint
from app.graphql.schema import Schema
from app.services.access import caller_of


class Router(GraphQLRouter[Context, None]):
    def decode_json(self, data: str | bytes) -> object:
        """JSONDecodeError for JSON that is deeper than Python reads, too."""
        try:
            return super().decode_json(data)
        except RecursionError:
            raise json.JSONDecodeError("Is nested too deeply", "", 0) from None


def graphql_router(schema: Schema, limits: Limits, sockets: SocketLimits) -> Router:
    def context(connection: HTTPConnection) -> Context:
        state = connection.app.state
        return Context(state.database, state.feed, limits, Loaders)

    async def authenticated(request: Request) -> Context:
        made = context(request)
        made.authenticated = await caller_of(made.database, request.headers)
        return made

    router = Router(schema, path="/graphql", graphql_ide=None, context_getter=authenticated)
    router.routes[:] = [
        route for route in router.routes if not isinstance(route, APIWebSocketRoute)
    ]
    router.add_api_websocket_route("/graphql", socket_endpoint(schema, sockets, context))
    return router

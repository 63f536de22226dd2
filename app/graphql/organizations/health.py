"""Query of the health of the server."""

from __future__ import annotations

from importlib.metadata import version

import strawberry

from app.graphql.shared.context import Info
from app.graphql.shared.examples import with_example
from app.services.runtime.health import HealthMonitor


@strawberry.type(description="Health of the server process that executes the operation.")
class ServerHealth:
    version: str = strawberry.field(description="Version of Tocsin.")
    database: str | None = strawberry.field(
        description="Database with its version, such as `PostgreSQL 17.2`. Null if it does not "
        "respond."
    )
    problems: list[str] = strawberry.field(
        description="Problems, as in `/ready`. Empty if the server is ready."
    )
    lag_entries: int | None = strawberry.field(
        description="Number of entries of the change log that subscriptions have not received "
        "yet, at most 10,000. Null if it could not be determined."
    )
    lag_seconds: float | None = strawberry.field(
        description="Age in seconds of the oldest of these entries. 0 if there are none, null if "
        "it could not be determined."
    )
    subscribers: int | None = strawberry.field(
        description="Number of subscribers of this process, in all organizations. Null if the "
        "credential does not give access to all organizations."
    )


@strawberry.type
class HealthQueries:
    @strawberry.field(
        description=with_example(
            "Health of the server process that executes the operation. Monitoring systems use "
            "`/ready` and `/metrics` instead.\n\n"
            "Requires ORGANIZATION_MANAGE.",
            """
            { serverHealth { version database problems lagEntries lagSeconds subscribers } }
            """,
        )
    )
    async def server_health(self, info: Info) -> ServerHealth:
        context = info.context
        report = await HealthMonitor(context.database, context.feed).check_health()
        sees_all = context.caller.every_organization
        return ServerHealth(
            version=version("tocsin"),
            database=report.database,
            problems=list(report.problems.values()),
            lag_entries=None if report.lag is None else report.lag.entries,
            lag_seconds=None if report.lag is None else report.lag.seconds,
            subscribers=context.feed.count_subscribers() if sees_all else None,
        )

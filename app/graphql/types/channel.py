"""Channels and their deliveries."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Any
from uuid import UUID

import strawberry
from strawberry.scalars import JSON

from app.domain.channels.channels import (
    ChannelKind,
    ChannelTrigger,
    DeliveryState,
    known_triggers,
)
from app.domain.shared.problems import bad_user_input
from app.graphql.shared import enums  # noqa: F401 (describes the enums before they are used)
from app.graphql.shared.context import Info
from app.graphql.shared.nodes import Node, format_id
from app.graphql.shared.pages import After, First, PageInfo, build_page_info
from app.graphql.types.event import Event
from app.graphql.types.loaders import get_loaders, require_existing
from app.services.channels import channels
from app.services.channels.delivery_pages import (
    ChannelProgress,
    DeliveryPageKey,
    encode_delivery_cursor,
)
from app.store import tables
from app.store.reading.pages import Page, parse_page_request


@strawberry.type(
    description="A channel of an organization: an address to which the server sends notifications "
    "and changes to events, with the permission of the organization and not of a person. Messages "
    "about the same entity are sent in order, and each of them at least once: receivers recognize "
    "a repetition by its `webhook-id`."
)
class Channel(Node):
    name: str = strawberry.field(
        description="Display name of the channel. In audit entries, the actor of changes that the "
        "server makes is `channel` with this name."
    )
    kind: ChannelKind = strawberry.field(description="Kind of the channel.")
    url: str = strawberry.field(
        description="Scheme, host and port of the address, such as `https://hooks.example.com`. "
        "The rest of the address may be secret and is never returned. Only the scheme, such as "
        "`slack://`, for services whose addresses begin with a secret."
    )
    filter: JSON | None = strawberry.field(
        description="Conditions on the events to deliver, in the format of `EventFilter`. Null if "
        "all events are delivered."
    )
    triggers: list[ChannelTrigger] = strawberry.field(
        description="What the channel delivers. Triggers that only a newer version of Tocsin has "
        "are omitted; `lastError` names them."
    )
    enabled: bool = strawberry.field(
        description="Whether the channel delivers. A receiver that responds with status 410 "
        "disables its channel. What happens while a channel is disabled is not delivered later."
    )
    last_error: str | None = strawberry.field(
        description="Error of the last attempt to deliver, without the response, which "
        "`Delivery.error` quotes, or why the server cannot read the channel. Null if the last "
        "attempt succeeded or there was none."
    )
    failing_since: datetime | None = strawberry.field(
        description="Time at which the channel began to fail: five attempts in a row had failed, "
        "the receiver responded with status 410, or the server could not read the channel. Null if "
        "deliveries succeed, or a user has disabled the channel or tested it successfully since."
    )
    created_at: datetime = strawberry.field(description="Time of creation.")
    updated_at: datetime = strawberry.field(description="Time of the last change.")
    row: strawberry.Private[tables.Channel]

    @strawberry.field(
        description="Position in the change log up to which every change was delivered, or had "
        "failed for good. Pass it as `after` to `eventChanges` to read what is still to be "
        "delivered."
    )
    async def cursor(self, info: Info) -> str:
        return (await self._load_progress(info)).cursor

    @strawberry.field(
        description="Age in seconds of the oldest change that is not delivered yet, even if no "
        "server process delivers to the channel. 0 if there is none. Changes while the channel is "
        "disabled do not count. If the server cannot read the filter or the triggers, all changes "
        "count. If none of the first 1,000 unread changes is for the channel, returns the age of "
        "the last of these."
    )
    async def lag_seconds(self, info: Info) -> int:
        return int((await self._load_progress(info)).lag.total_seconds())

    @strawberry.field(
        description="Whether the channel has exactly this address and these headers, which are "
        "never returned. For programs that have both, such as `tocsin config plan`. Request "
        "errors: `UNAVAILABLE` if the server cannot decrypt the secrets of the channel, "
        "`LIMIT_EXCEEDED` for a minute after 30 comparisons with other addresses, so that the "
        "address cannot be guessed."
    )
    def has_address(
        self,
        info: Info,
        url: Annotated[str, strawberry.argument(description="Whole address.")],
        headers: Annotated[
            JSON | None,
            strawberry.argument(
                description="All additional request headers: a JSON object of names and strings. "
                "No headers if omitted."
            ),
        ] = None,
    ) -> bool:
        compared: Any = {} if headers is None else headers
        if not isinstance(compared, dict):
            raise bad_user_input("headers must be a JSON object of names and strings.", "headers")
        return channels.has_address(info.context.channel_tools, self.row, url, compared)

    @strawberry.field(description="Deliveries of the channel, newest first.")
    async def deliveries(
        self,
        info: Info,
        state: Annotated[
            DeliveryState | None,
            strawberry.argument(description="State of the deliveries. All if omitted."),
        ] = None,
        first: First = 20,
        after: After = None,
    ) -> DeliveryConnection:
        page = parse_page_request(info.context.limits, first=first, after=after)
        key = DeliveryPageKey(UUID(self.id), state, page)
        connection = await get_loaders(info).deliveries.load(key)
        return connection or DeliveryConnection.from_page(Page([], False, False))

    async def _load_progress(self, info: Info) -> ChannelProgress:
        progress = await get_loaders(info).channel_progress.load(UUID(self.id))
        return require_existing(progress, "channel")

    @classmethod
    def from_row(cls, row: tables.Channel) -> Channel:
        return cls(
            id=format_id(row.id),
            name=row.name,
            kind=row.kind,
            url=row.url,
            filter=None if row.filter is None else JSON(row.filter),
            triggers=[*known_triggers(row.triggers)],
            enabled=row.enabled,
            last_error=row.last_error,
            failing_since=row.failing_since,
            created_at=row.created_at,
            updated_at=row.updated_at,
            row=row,
        )


@strawberry.type(
    description="A message to a channel about one change, and the result of its last attempt. A "
    "delivery that succeeded is kept for 7 days, and one that failed for good for 30 days "
    "(configurable)."
)
class Delivery(Node):
    trigger: ChannelTrigger = strawberry.field(description="What the message is about.")
    created_at: datetime = strawberry.field(
        description="Time of the change that the message is about, or of the test."
    )
    webhook_id: str = strawberry.field(
        description="ID of the message, which the kind WEBHOOK sends as `webhook-id`. It is the "
        "same in all attempts and repetitions, so that a receiver can ignore a message that it has "
        "already processed."
    )
    state: DeliveryState = strawberry.field(description="State of the delivery.")
    attempts: int = strawberry.field(
        description="Number of attempts since the delivery was created or requested again by "
        "`redeliver`."
    )
    last_attempt_at: datetime | None = strawberry.field(
        description="Time of the last attempt. Null if there was none."
    )
    next_attempt_at: datetime | None = strawberry.field(
        description="Earliest time of the next attempt. Null unless the state is PENDING."
    )
    response_status: int | None = strawberry.field(
        description="HTTP status of the last response. Null if there was no response, and for the "
        "kind APPRISE."
    )
    error: str | None = strawberry.field(
        description="Why the last attempt failed, with the beginning of the response, in which the "
        "path and the query of the address and the headers of the channel are replaced by `***`. "
        "For the kind APPRISE, what Apprise reports, in which all parts of the address are "
        "replaced. Null if the attempt succeeded or there was none."
    )
    channel_id: strawberry.Private[UUID]
    event_id: strawberry.Private[UUID | None]

    @strawberry.field(description="Channel of the delivery.")
    async def channel(self, info: Info) -> Channel:
        channel = await get_loaders(info).channels.load(self.channel_id)
        return require_existing(channel, "channel")

    @strawberry.field(
        description="The event in its current state. Null if the event was deleted, and for a "
        "test. Requires EVENT_READ."
    )
    async def event(self, info: Info) -> Event | None:
        return None if self.event_id is None else await get_loaders(info).events.load(self.event_id)

    @classmethod
    def from_row(cls, row: tables.Delivery) -> Delivery:
        return cls(
            id=format_id(row.id),
            trigger=row.trigger,
            created_at=row.created_at,
            webhook_id=row.webhook_id,
            state=row.state,
            attempts=row.attempts,
            last_attempt_at=row.last_attempt_at,
            next_attempt_at=row.next_attempt_at,
            response_status=row.response_status,
            error=row.error,
            channel_id=row.channel_id,
            event_id=row.event_id,
        )


@strawberry.type(description="A delivery and its cursor.")
class DeliveryEdge:
    cursor: str = strawberry.field(description="Cursor of the delivery in its channel.")
    node: Delivery = strawberry.field(description="The delivery.")


@strawberry.type(description="A page of the deliveries of a channel, newest first.")
class DeliveryConnection:
    edges: list[DeliveryEdge] = strawberry.field(
        description="Deliveries of this page with their cursors."
    )
    page_info: PageInfo = strawberry.field(description="Pagination information.")

    @strawberry.field(description="Deliveries of this page without their cursors.")
    def nodes(self) -> list[Delivery]:
        return [edge.node for edge in self.edges]

    @classmethod
    def from_page(cls, page: Page[tables.Delivery]) -> DeliveryConnection:
        edges = [
            DeliveryEdge(cursor=encode_delivery_cursor(row), node=Delivery.from_row(row))
            for row in page.rows
        ]
        return cls(edges=edges, page_info=build_page_info(page, edges))

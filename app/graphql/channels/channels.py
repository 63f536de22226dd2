"""Inputs, queries and mutations of channels."""

from __future__ import annotations

from typing import Annotated, Any

import strawberry
from strawberry.scalars import JSON

from app.domain.channels import channels as domain
from app.domain.channels.channels import ChannelKind, ChannelTrigger
from app.graphql.shared.context import Info
from app.graphql.shared.examples import with_example
from app.graphql.shared.nodes import (
    parse_id_argument,
    parse_input_id,
    parse_optional_input_id,
)
from app.graphql.shared.pages import After, Connection, First, fetch_connection
from app.graphql.shared.update_inputs import read_provided_attributes
from app.graphql.types.channel import Channel, Delivery
from app.graphql.types.event_inputs import EventFilter, parse_stored_filter
from app.graphql.types.user_error import UserError, to_user_errors
from app.services.channels import channels, delivery_pages
from app.services.channels.channels import ChannelResult
from app.services.channels.delivery_pages import DeliveryResult, RedeliveryResult
from app.store.reading.pages import parse_page_request

DEFAULT_TRIGGERS = (ChannelTrigger.NOTIFICATION_ADDED, ChannelTrigger.EVENT_RESOLVED)
ChannelId = Annotated[strawberry.ID, strawberry.argument(description="ID of the channel.")]


@strawberry.input(
    description=with_example(
        "A channel to create.",
        """
        {
          name: "Incidents of the control room"
          kind: WEBHOOK
          url: "https://hooks.example.com/tocsin"
          headers: { authorization: "Bearer 7f3a" }
          filter: { severities: [ERROR] }
        }
        """,
    )
)
class CreateChannelInput:
    name: str = strawberry.field(
        description="Display name of the channel: one line, at most 255 characters by default."
    )
    kind: ChannelKind = strawberry.field(description="Kind of the channel.")
    url: str = strawberry.field(
        description="Address of at most 2,048 characters. WEBHOOK: an http or https URL without "
        "user name and fragment, with port 80, 443, or 1,024 to 65,535. APPRISE: the URL of one "
        "service in the format of Apprise, such as "
        "`mailto://mail.example.com?from=tocsin@example.com&to=team@example.com`, or the https "
        "address of a webhook that Slack, Discord or Teams shows; the services and their "
        "parameters are in the guide about channels. The host must have public IP addresses "
        "only, unless the operator of the server allows others. Stored encrypted."
    )
    headers: JSON | None = strawberry.field(
        default=None,
        description="Additional request headers of the kind WEBHOOK: a JSON object of names and "
        "strings, at most 20 (configurable), such as `{authorization: ...}`. Stored encrypted, "
        "never returned.",
    )
    filter: EventFilter | None = strawberry.field(
        default=None,
        description="Conditions on the events to deliver. If omitted, all events are delivered. A "
        "change is delivered if the filter selects the event before or after the change, and a "
        "notification if the filter selects it as it was when it was raised.",
    )
    triggers: list[ChannelTrigger] | None = strawberry.field(
        default_factory=lambda: list(DEFAULT_TRIGGERS),
        description="What the channel delivers; at least one. Each trigger has messages of its "
        "own. Null means NOTIFICATION_ADDED and EVENT_RESOLVED.",
    )
    enabled: bool | None = strawberry.field(
        default=True, description="Whether the channel delivers. Null means true."
    )


@strawberry.input(
    description=with_example(
        "Changes to a channel. An omitted attribute keeps its value; no attribute but `filter` can "
        "be null.",
        """
        { id: "019a3f5c-7b1e-7000-8000-000000000a01", enabled: false }
        """,
    )
)
class UpdateChannelInput:
    id: strawberry.ID = strawberry.field(description="ID of the channel.")
    name: strawberry.Maybe[str | None] = strawberry.field(
        description="New display name: one line, at most 255 characters by default."
    )
    url: strawberry.Maybe[str | None] = strawberry.field(
        description="New address, as in `CreateChannelInput`. What is not delivered yet is sent to "
        "it, too. If the host or port changes and the channel has headers, `headers` is required, "
        "so that secrets of the previous receiver are not sent to another one."
    )
    headers: strawberry.Maybe[JSON | None] = strawberry.field(
        description="New additional request headers. Replaces all headers; `{}` removes them."
    )
    filter: strawberry.Maybe[EventFilter | None] = strawberry.field(
        description="New conditions on the events to deliver. Replaces the whole filter; null "
        "removes it, so that all events are delivered."
    )
    triggers: strawberry.Maybe[list[ChannelTrigger] | None] = strawberry.field(
        description="New triggers, at least one."
    )
    enabled: strawberry.Maybe[bool | None] = strawberry.field(
        description="Whether the channel delivers. A channel that is enabled continues with new "
        "changes: what happened while it was disabled is delivered only by `redeliver`."
    )


@strawberry.type(description="Result of creating, changing or deleting a channel.")
class ChannelPayload:
    channel: Channel | None = strawberry.field(
        default=None,
        description="The channel after the change, or the last state of a deleted channel. Null if "
        "the change was rejected.",
    )
    secret: str | None = strawberry.field(
        default=None,
        description="New signing secret of the channel, in the format of Standard Webhooks "
        "(`whsec_...`). It is returned only once, by `createChannel` and `rotateChannelSecret`; "
        "null otherwise, and for the kind APPRISE, which does not sign messages.",
    )
    user_errors: list[UserError] = strawberry.field(
        description="Errors that prevented the change. Empty on success."
    )

    @classmethod
    def from_result(cls, result: ChannelResult, *argument_path: str) -> ChannelPayload:
        row = result.channel
        return cls(
            channel=None if row is None else Channel.from_row(row),
            secret=result.secret,
            user_errors=to_user_errors(result.problems, *argument_path),
        )


@strawberry.type(description="Result of testing a channel.")
class TestChannelPayload:
    delivery: Delivery | None = strawberry.field(
        default=None,
        description="The test message and the result of sending it: DELIVERED or FAILED. Null if "
        "the test was rejected.",
    )
    user_errors: list[UserError] = strawberry.field(
        description="Errors that prevented the test. Empty if a message was sent, even if the "
        "receiver rejected it."
    )

    @classmethod
    def from_result(cls, result: DeliveryResult) -> TestChannelPayload:
        row = result.delivery
        return cls(
            delivery=None if row is None else Delivery.from_row(row),
            user_errors=to_user_errors(result.problems),
        )


@strawberry.type(description="Result of `redeliver`.")
class RedeliverPayload:
    queued_count: int = strawberry.field(
        default=0,
        description="Number of deliveries that were DELIVERED or FAILED and are repeated. With "
        "`after`, the number of these that are deleted: the channel reads the change log again, "
        "and delivers what its current filter and triggers select, which can be fewer or more.",
    )
    user_errors: list[UserError] = strawberry.field(
        description="Errors that prevented the repetition. Empty on success."
    )

    @classmethod
    def from_result(cls, result: RedeliveryResult) -> RedeliverPayload:
        return cls(queued_count=result.queued_count, user_errors=to_user_errors(result.problems))


@strawberry.type
class ChannelQueries:
    @strawberry.field(
        description=with_example(
            "Channel with this ID. Null if there is none in the organization.\n\n"
            "Requires CHANNEL_MANAGE. Request errors: `BAD_USER_INPUT` if the ID is not a UUID.",
            """
            {
              channel(id: "019a3f5c-7b1e-7000-8000-000000000a01") {
                name enabled lagSeconds lastError
                deliveries(state: FAILED) {
                  nodes { trigger createdAt attempts responseStatus error event { summary } }
                }
              }
            }
            """,
        )
    )
    async def channel(self, info: Info, id: ChannelId) -> Channel | None:
        context = info.context
        channel_id = parse_id_argument(id, "id")
        row = await channels.CHANNEL_BY_ID.fetch_row(context.database, context.caller, channel_id)
        return None if row is None else Channel.from_row(row)

    @strawberry.field(
        description=with_example(
            "Channels of the organization, in order of creation.\n\n"
            "Requires CHANNEL_MANAGE. Request errors: `INVALID_CURSOR`, `BAD_USER_INPUT`.",
            """
            {
              channels {
                nodes { id name kind url triggers enabled lagSeconds lastError }
                pageInfo { hasNextPage endCursor }
              }
            }
            """,
        )
    )
    async def channels(
        self, info: Info, first: First = 20, after: After = None
    ) -> Connection[Channel]:
        request = parse_page_request(info.context.limits, first=first, after=after)
        return await fetch_connection(
            info.context, channels.CHANNEL_LIST, request, Channel.from_row
        )

    @strawberry.field(
        description=with_example(
            "Why this server cannot create channels of a kind, and what its operator can do: the "
            "message of the error `UNAVAILABLE` of `createChannel`. Null if it can create them.\n\n"
            "Requires CHANNEL_MANAGE.",
            """
            { channelProblem(kind: APPRISE) }
            """,
        )
    )
    def channel_problem(
        self,
        info: Info,
        kind: Annotated[ChannelKind, strawberry.argument(description="Kind of the channels.")],
    ) -> str | None:
        return info.context.channel_tools.find_problem(kind)


@strawberry.type
class ChannelMutations:
    @strawberry.mutation(
        description=with_example(
            "Creates a channel. It delivers what happens from now on. The payload contains the "
            "secret that signs its messages; it is shown only once.\n\n"
            "Requires CHANNEL_MANAGE and EVENT_READ. User errors: `LIMIT_REACHED` if there are too "
            "many channels (100 by default), `INVALID_INPUT`. Request errors: `BAD_USER_INPUT` if "
            "the filter is invalid, `UNAVAILABLE` if the server has no key to encrypt secrets, or "
            "no Apprise to send messages of this kind.",
            """
            mutation {
              createChannel(
                input: {
                  name: "Incidents"
                  kind: WEBHOOK
                  url: "https://hooks.example.com/tocsin"
                  filter: { severities: [ERROR] }
                }
              ) {
                channel { id }
                secret
                userErrors { code message path }
              }
            }
            """,
        )
    )
    async def create_channel(
        self,
        info: Info,
        input: Annotated[CreateChannelInput, strawberry.argument(description="Channel to create.")],
    ) -> ChannelPayload:
        context = info.context
        triggers = DEFAULT_TRIGGERS if input.triggers is None else tuple(input.triggers)
        headers: Any = {} if input.headers is None else input.headers
        channel = domain.Channel(input.kind, input.name, input.url, triggers, headers)
        result = await channels.create_channel(
            context.database,
            context.command,
            context.channel_tools,
            channel,
            await parse_stored_filter(input.filter, context),
            enabled=input.enabled is not False,
        )
        return ChannelPayload.from_result(result, "input")

    @strawberry.mutation(
        description=with_example(
            "Changes a channel. The server uses the changed channel within seconds.\n\n"
            "Requires CHANNEL_MANAGE and EVENT_READ. User errors: `NOT_FOUND`, `INVALID_INPUT`. "
            "Request errors: `BAD_USER_INPUT` if the filter is invalid, `UNAVAILABLE` if the "
            "server cannot decrypt the secrets of the channel, or has no Apprise for a new URL.",
            """
            mutation {
              updateChannel(
                input: {
                  id: "019a3f5c-7b1e-7000-8000-000000000a01"
                  filter: { severities: [ERROR, WARN] }
                }
              ) {
                channel { id filter }
                userErrors { code message path }
              }
            }
            """,
        )
    )
    async def update_channel(
        self,
        info: Info,
        input: Annotated[
            UpdateChannelInput, strawberry.argument(description="Changes to the channel.")
        ],
    ) -> ChannelPayload:
        context = info.context
        channel_id = parse_input_id(input.id, "input", "id")
        attributes = read_provided_attributes(input, "triggers")
        if (filter := attributes.get("filter")) is not None:
            attributes["filter"] = await parse_stored_filter(filter, context)
        result = await channels.update_channel(
            context.database, context.command, context.channel_tools, channel_id, attributes
        )
        return ChannelPayload.from_result(result, "input")

    @strawberry.mutation(
        description=with_example(
            "Deletes a channel and its deliveries. What is not delivered yet is not sent.\n\n"
            "Requires CHANNEL_MANAGE. User errors: `NOT_FOUND`, `INVALID_INPUT` if the ID is not a "
            "UUID.",
            """
            mutation {
              deleteChannel(id: "019a3f5c-7b1e-7000-8000-000000000a01") {
                channel { name }
                userErrors { code message path }
              }
            }
            """,
        )
    )
    async def delete_channel(self, info: Info, id: ChannelId) -> ChannelPayload:
        context = info.context
        channel_id = parse_input_id(id, "id")
        result = await channels.delete_channel(context.database, context.command, channel_id)
        return ChannelPayload.from_result(result)

    @strawberry.mutation(
        description=with_example(
            "Replaces the signing secret of a channel. For a day, messages are signed with both "
            "secrets, so that the receiver can be changed meanwhile.\n\n"
            "Requires CHANNEL_MANAGE. User errors: `NOT_FOUND`, `INVALID_INPUT` if the ID is not a "
            "UUID, or the channel is of the kind APPRISE, which has no secret. Request errors: "
            "`UNAVAILABLE` if the server cannot decrypt the secrets of the channel.",
            """
            mutation {
              rotateChannelSecret(id: "019a3f5c-7b1e-7000-8000-000000000a01") {
                secret
                userErrors { code message path }
              }
            }
            """,
        )
    )
    async def rotate_channel_secret(self, info: Info, id: ChannelId) -> ChannelPayload:
        context = info.context
        channel_id = parse_input_id(id, "id")
        result = await channels.rotate_secret(
            context.database, context.command, context.channel_tools, channel_id
        )
        return ChannelPayload.from_result(result)

    @strawberry.mutation(
        description=with_example(
            "Sends a message of the type `tocsin.channel.test` to a channel, once, and returns the "
            "result. The channel may be disabled. If the channel is failing, a message that "
            "arrives ends the outage, unless the server cannot read the channel.\n\n"
            "Requires CHANNEL_MANAGE. User errors: `NOT_FOUND`, `INVALID_INPUT` if the ID is not a "
            "UUID. Request errors: `UNAVAILABLE` if the server cannot decrypt the secrets of the "
            "channel, `LIMIT_EXCEEDED` if more than 10 tests run in the server process.",
            """
            mutation {
              testChannel(id: "019a3f5c-7b1e-7000-8000-000000000a01") {
                delivery { state responseStatus error }
                userErrors { code message path }
              }
            }
            """,
        )
    )
    async def test_channel(self, info: Info, id: ChannelId) -> TestChannelPayload:
        context = info.context
        channel_id = parse_input_id(id, "id")
        result = await delivery_pages.send_test(
            context.database, context.command, context.channel_tools, channel_id
        )
        return TestChannelPayload.from_result(result)

    @strawberry.mutation(
        description=with_example(
            "Repeats a delivery, or everything after a cursor of the change log, with the same "
            "`webhook-id`. Exactly one of `deliveryId` and `after` is required. The delivery of a "
            "test cannot be repeated. After a cursor, the changes that the channel selects now are "
            "delivered in order, by new deliveries that replace the existing ones. At most 10,000 "
            "deliveries can be replaced at once.\n\n"
            "Requires CHANNEL_MANAGE. User errors: `NOT_FOUND`, `CONFLICT` if the channel is "
            "disabled, `LIMIT_REACHED`, `INVALID_INPUT`. Request errors: `INVALID_CURSOR`, "
            "`CURSOR_EXPIRED`.",
            """
            mutation {
              redeliver(
                channelId: "019a3f5c-7b1e-7000-8000-000000000a01"
                deliveryId: "019a3f5c-7b1e-7000-8000-000000000a02"
              ) {
                queuedCount
                userErrors { code message path }
              }
            }
            """,
        )
    )
    async def redeliver(
        self,
        info: Info,
        channel_id: ChannelId,
        delivery_id: Annotated[
            strawberry.ID | None, strawberry.argument(description="ID of a delivery to repeat.")
        ] = None,
        after: Annotated[
            str | None,
            strawberry.argument(
                description="Cursor of the change log: `logHead`, or a cursor of `eventChanges`, "
                "of `notifications` or of a message. What follows it is delivered again, and "
                "delivered if it was not yet."
            ),
        ] = None,
    ) -> RedeliverPayload:
        context = info.context
        result = await delivery_pages.redeliver(
            context.database,
            context.command,
            context.channel_tools,
            parse_input_id(channel_id, "channelId"),
            parse_optional_input_id(delivery_id, "deliveryId"),
            after,
        )
        return RedeliverPayload.from_result(result)

"""Inputs, queries and mutations of silences."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Any
from uuid import UUID

import strawberry

from app.graphql.shared.context import Context, Info
from app.graphql.shared.examples import with_example
from app.graphql.shared.field_sources import ListSource, LookupSource, declare_source
from app.graphql.shared.nodes import parse_id_argument, parse_input_id
from app.graphql.shared.pages import After, Connection, First, fetch_connection
from app.graphql.shared.update_inputs import read_provided_attributes
from app.graphql.types.event_inputs import EventFilter, parse_checked_filter
from app.graphql.types.silence import Silence
from app.graphql.types.user_error import UserError, to_user_errors
from app.services.change_log import silences
from app.services.change_log.silences import SilenceDraft, SilencePageRequest, SilenceResult
from app.store.reading.pages import parse_page_request


def _build_page_request(
    _root: Any,
    context: Context,
    active: bool | None = None,
    ended: bool | None = None,
    first: int | None = 20,
    after: str | None = None,
) -> SilencePageRequest:
    page = parse_page_request(context.limits, first=first, after=after)
    return SilencePageRequest(page, active, ended)


def _parse_silence_id(_root: Any, _context: Context, id: str) -> UUID:
    return parse_id_argument(id, "id")


@strawberry.input(
    description=with_example(
        "A silence to create.",
        """
        {
          filter: { source: "/pumps/7" }
          endsAt: "2026-04-10T18:00:00Z"
          comment: "Bearing is being replaced."
        }
        """,
    )
)
class CreateSilenceInput:
    filter: EventFilter = strawberry.field(
        description="Conditions on the events whose notifications are suppressed. At least one "
        "condition is required, in each alternative of `or`. They are compared with the event as "
        "it is when it would notify. `silencedBy` and `missing: [SILENCED_BY]` are not allowed."
    )
    starts_at: datetime | None = strawberry.field(
        default=None,
        description="Time from which notifications are suppressed. The current time if omitted.",
    )
    ends_at: datetime = strawberry.field(
        description="Time at which the silence is over: later than the current time, and at most "
        "90 days after the start by default."
    )
    comment: str = strawberry.field(
        description="Reason for the silence, at most 1,000 characters by default. Can be empty."
    )


@strawberry.input(
    description=with_example(
        "Changes to a silence. An omitted attribute keeps its value; no attribute can be null.",
        """
        { id: "019a3f5c-7b1e-7000-8000-000000000a01", endsAt: "2026-04-10T20:00:00Z" }
        """,
    )
)
class UpdateSilenceInput:
    id: strawberry.ID = strawberry.field(description="ID of the silence.")
    ends_at: strawberry.Maybe[datetime | None] = strawberry.field(
        description="New time at which the silence is over: later than the current time, and at "
        "most 90 days after the start by default. Rejected with `CONFLICT` if the silence is "
        "already over."
    )
    comment: strawberry.Maybe[str | None] = strawberry.field(
        description="New reason for the silence, at most 1,000 characters by default."
    )


@strawberry.type(description="Result of creating, changing or ending a silence.")
class SilencePayload:
    silence: Silence | None = strawberry.field(
        default=None,
        description="The silence after the change. Null if the change was rejected.",
    )
    user_errors: list[UserError] = strawberry.field(
        description="Errors that prevented the change. Empty on success."
    )

    @classmethod
    def from_result(cls, result: SilenceResult, *argument_path: str) -> SilencePayload:
        row = result.silence
        return cls(
            silence=None if row is None else Silence.from_row(row),
            user_errors=to_user_errors(result.problems, *argument_path),
        )


@strawberry.type
class SilenceQueries:
    @strawberry.field(
        description=with_example(
            "Silence with this ID. Null if there is none.\n\n"
            "Requires EVENT_READ. Request errors: `BAD_USER_INPUT` if the ID is not a UUID.",
            """
            {
              silence(id: "019a3f5c-7b1e-7000-8000-000000000a01") { active endsAt silencedCount }
            }
            """,
        ),
        metadata=declare_source(LookupSource(_parse_silence_id, silences.SILENCE_BY_ID)),
    )
    async def silence(
        self,
        info: Info,
        id: Annotated[strawberry.ID, strawberry.argument(description="ID of the silence.")],
    ) -> Silence | None:
        context = info.context
        silence_id = _parse_silence_id(self, context, id)
        row = await silences.SILENCE_BY_ID.fetch_row(context.database, context.caller, silence_id)
        return None if row is None else Silence.from_row(row)

    @strawberry.field(
        description=with_example(
            "Silences of the organization, newest first, including those that are over. The "
            "filter `silencedBy` of `events` lists the events whose notifications a silence "
            "suppresses.\n\n"
            "Requires EVENT_READ. Request errors: `INVALID_CURSOR`, `BAD_USER_INPUT`.",
            """
            {
              silences(active: true) {
                nodes { id filter endsAt comment createdBy silencedCount }
                pageInfo { hasNextPage endCursor }
              }
            }
            """,
        ),
        metadata=declare_source(ListSource(_build_page_request, silences.SILENCE_LIST)),
    )
    async def silences(
        self,
        info: Info,
        active: Annotated[
            bool | None,
            strawberry.argument(
                description="True for the silences that suppress notifications now, false for "
                "those that have not started or are over. All silences if omitted."
            ),
        ] = None,
        ended: Annotated[
            bool | None,
            strawberry.argument(
                description="True for the silences that are over, false for those that suppress "
                "notifications now or have not started. All silences if omitted."
            ),
        ] = None,
        first: First = 20,
        after: After = None,
    ) -> Connection[Silence]:
        request = _build_page_request(self, info.context, active, ended, first, after)
        return await fetch_connection(
            info.context, silences.SILENCE_LIST, request, Silence.from_row
        )


@strawberry.type
class SilenceMutations:
    @strawberry.mutation(
        description=with_example(
            "Suppresses the notifications of matching events until `endsAt`. An event is compared "
            "with the silences whenever it would notify: when it is logged, updated or reopened, "
            "or escalates. Notifications that were delivered before stay in `notifications`. If "
            "several silences match, `Event.silencedBy` is the one that lasts longest. When it is "
            "over, the events that are still OPEN notify within seconds, unless another silence "
            "matches.\n\n"
            "Requires EVENT_UPDATE. User errors: `LIMIT_REACHED` if there are too many silences "
            "that are not over (100 by default), `INVALID_INPUT`. Request errors: "
            "`BAD_USER_INPUT` if the filter is invalid.",
            """
            mutation {
              createSilence(
                input: {
                  filter: { source: "/pumps/7", severities: [WARN] }
                  endsAt: "2026-04-10T18:00:00Z"
                  comment: "Bearing is being replaced."
                }
              ) {
                silence { id active endsAt }
                userErrors { code message path }
              }
            }
            """,
        )
    )
    async def create_silence(
        self,
        info: Info,
        input: Annotated[CreateSilenceInput, strawberry.argument(description="Silence to create.")],
    ) -> SilencePayload:
        context = info.context
        filter = await parse_checked_filter(input.filter, context)
        draft = SilenceDraft(filter, input.starts_at, input.ends_at, input.comment)
        result = await silences.create_silence(context.database, context.command, draft)
        return SilencePayload.from_result(result, "input")

    @strawberry.mutation(
        description=with_example(
            "Changes the end or the comment of a silence. To change its filter, create another "
            "silence.\n\n"
            "Requires EVENT_UPDATE. User errors: `NOT_FOUND`, `CONFLICT` if the silence is over, "
            "`INVALID_INPUT`.",
            """
            mutation {
              updateSilence(
                input: {
                  id: "019a3f5c-7b1e-7000-8000-000000000a01"
                  endsAt: "2026-04-10T20:00:00Z"
                }
              ) {
                silence { endsAt }
                userErrors { code message path }
              }
            }
            """,
        )
    )
    async def update_silence(
        self,
        info: Info,
        input: Annotated[
            UpdateSilenceInput, strawberry.argument(description="Changes to the silence.")
        ],
    ) -> SilencePayload:
        silence_id, context = parse_input_id(input.id, "input", "id"), info.context
        result = await silences.update_silence(
            context.database, context.command, silence_id, read_provided_attributes(input)
        )
        return SilencePayload.from_result(result, "input")

    @strawberry.mutation(
        description=with_example(
            "Ends a silence now: the events that it has silenced and that are still OPEN notify "
            "within seconds. A silence that has not started never will. Ending a silence that is "
            "over changes nothing.\n\n"
            "Requires EVENT_UPDATE. User errors: `NOT_FOUND`, `INVALID_INPUT` if the ID is not a "
            "UUID.",
            """
            mutation {
              expireSilence(id: "019a3f5c-7b1e-7000-8000-000000000a01") {
                silence { active endsAt }
                userErrors { code message path }
              }
            }
            """,
        )
    )
    async def expire_silence(
        self,
        info: Info,
        id: Annotated[strawberry.ID, strawberry.argument(description="ID of the silence to end.")],
    ) -> SilencePayload:
        silence_id, context = parse_input_id(id, "id"), info.context
        result = await silences.expire_silence(context.database, context.command, silence_id)
        return SilencePayload.from_result(result)

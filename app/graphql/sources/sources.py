"""Inputs, queries and mutations of sources."""

from __future__ import annotations

from typing import Annotated, Any

import strawberry
from strawberry.scalars import JSON

from app.domain.shared.problems import bad_user_input
from app.domain.sources import sources as domain
from app.domain.sources.sources import SourceKind
from app.graphql.shared.context import Context, Info
from app.graphql.shared.examples import with_example
from app.graphql.shared.nodes import parse_id_argument, parse_input_id
from app.graphql.shared.pages import After, Connection, First, fetch_connection
from app.graphql.shared.update_inputs import read_provided_attributes
from app.graphql.types.source import ATTRIBUTE_DESCRIPTIONS, Source, format_source_url
from app.graphql.types.user_error import UserError, to_user_errors
from app.services.sources import sources, trials
from app.services.sources.sources import SourceResult
from app.services.sources.trials import SourceTrialResult
from app.store.reading.pages import parse_page_request

SourceId = Annotated[strawberry.ID, strawberry.argument(description="ID of the source.")]


@strawberry.input(
    description=with_example(
        "How the payloads of a source become events: a CEL expression for each attribute, over "
        "`body`, the JSON value of the payload, and `headers`, the request headers by name in "
        "lower case, without credentials. If the payload is an array, each of its elements is an "
        "event, and `body` is the element. An attribute whose expression is null is omitted. An "
        "expression that cannot be evaluated rejects the event: write `body.?level` instead of "
        "`body.level` for a key that may be absent.",
        """
        {
          summary: "body.title"
          severity: "body.?level"
          alertKey: "string(body.id)"
          resolved: "body.state == 'ok'"
          notification: "true"
          fields: "body"
        }
        """,
    )
)
class SourceMappingInput:
    summary: str = strawberry.field(description=ATTRIBUTE_DESCRIPTIONS["summary"])
    severity: str | None = strawberry.field(
        default=None, description=ATTRIBUTE_DESCRIPTIONS["severity"]
    )
    content: str | None = strawberry.field(
        default=None, description=ATTRIBUTE_DESCRIPTIONS["content"]
    )
    type: str | None = strawberry.field(default=None, description=ATTRIBUTE_DESCRIPTIONS["type"])
    entity_type: str | None = strawberry.field(
        default=None, description=ATTRIBUTE_DESCRIPTIONS["entity_type"]
    )
    entity_id: str | None = strawberry.field(
        default=None, description=ATTRIBUTE_DESCRIPTIONS["entity_id"]
    )
    occurred_at: str | None = strawberry.field(
        default=None, description=ATTRIBUTE_DESCRIPTIONS["occurred_at"]
    )
    alert_key: str | None = strawberry.field(
        default=None, description=ATTRIBUTE_DESCRIPTIONS["alert_key"]
    )
    resolved: str | None = strawberry.field(
        default=None, description=ATTRIBUTE_DESCRIPTIONS["resolved"]
    )
    acknowledged: str | None = strawberry.field(
        default=None, description=ATTRIBUTE_DESCRIPTIONS["acknowledged"]
    )
    notification: str | None = strawberry.field(
        default=None, description=ATTRIBUTE_DESCRIPTIONS["notification"]
    )
    tags: str | None = strawberry.field(default=None, description=ATTRIBUTE_DESCRIPTIONS["tags"])
    fields: str | None = strawberry.field(
        default=None, description=ATTRIBUTE_DESCRIPTIONS["fields"]
    )
    source_id: str | None = strawberry.field(
        default=None, description=ATTRIBUTE_DESCRIPTIONS["source_id"]
    )

    def to_domain(self) -> domain.SourceMapping:
        return domain.SourceMapping(**vars(self))


@strawberry.input(
    description=with_example(
        "A source to create.",
        """
        { name: "Alertmanager of the control room", kind: ALERTMANAGER }
        """,
    )
)
class CreateSourceInput:
    name: str = strawberry.field(
        description="Display name of the source: one line, at most 255 characters by default."
    )
    kind: SourceKind = strawberry.field(description="Format of the payloads.")
    mapping: SourceMappingInput | None = strawberry.field(
        default=None,
        description="How payloads become events. Required if the kind is JSON, and not allowed "
        "otherwise.",
    )
    enabled: bool | None = strawberry.field(
        default=True,
        description="Whether the source accepts payloads. Null means true.",
    )


@strawberry.input(
    description=with_example(
        "Changes to a source. An omitted attribute keeps its value; no attribute can be null.",
        """
        { id: "019a3f5c-7b1e-7000-8000-000000000b01", enabled: false }
        """,
    )
)
class UpdateSourceInput:
    id: strawberry.ID = strawberry.field(description="ID of the source.")
    name: strawberry.Maybe[str | None] = strawberry.field(
        description="New display name: one line, at most 255 characters by default."
    )
    mapping: strawberry.Maybe[SourceMappingInput | None] = strawberry.field(
        description="New mapping of a source of kind JSON. Replaces the whole mapping."
    )
    enabled: strawberry.Maybe[bool | None] = strawberry.field(
        description="Whether the source accepts payloads."
    )


@strawberry.type(description="Result of creating, changing or deleting a source.")
class SourcePayload:
    source: Source | None = strawberry.field(
        default=None,
        description="The source after the change, or the last state of a deleted source. Null if "
        "the change was rejected.",
    )
    token: str | None = strawberry.field(
        default=None,
        description="New token of the source: 32 hexadecimal digits. It is returned only once, by "
        "`createSource` and `rotateSourceToken`; null otherwise.",
    )
    url: str | None = strawberry.field(
        default=None,
        description="Address of the source with the token in it, for systems that cannot send "
        "headers. Treat it like the token. Null if `token` is null.",
    )
    user_errors: list[UserError] = strawberry.field(
        description="Errors that prevented the change. Empty on success."
    )

    @classmethod
    def from_result(
        cls, result: SourceResult, context: Context, *argument_path: str
    ) -> SourcePayload:
        row, token = result.source, result.token
        url = None
        if row is not None and token is not None:
            url = f"{format_source_url(context, row.id)}/{token}"
        return cls(
            source=None if row is None else Source.from_row(row),
            token=token,
            url=url,
            user_errors=to_user_errors(result.problems, *argument_path),
        )


@strawberry.type(description="What a sample of a payload would become.")
class SourceTrial:
    events: list[JSON] = strawberry.field(
        description="The events that the payload would become, as entries of the change log "
        "contain them, without IDs. A resolution has `alertKey`, `resolved` and `resolvedAt`, and "
        "an acknowledgement `alertKey` and `acknowledged`."
    )
    user_errors: list[UserError] = strawberry.field(
        description="Errors in the mapping, in the payload, and in its events."
    )

    @classmethod
    def from_result(cls, result: SourceTrialResult) -> SourceTrial:
        return cls(
            events=[JSON(event) for event in result.events],
            user_errors=to_user_errors(result.problems),
        )


@strawberry.type
class SourceQueries:
    @strawberry.field(
        description=with_example(
            "Source with this ID. Null if there is none in the organization.\n\n"
            "Requires CHANNEL_MANAGE. Request errors: `BAD_USER_INPUT` if the ID is not a UUID.",
            """
            {
              source(id: "019a3f5c-7b1e-7000-8000-000000000b01") {
                name kind enabled lastReceivedAt
                rejected { at error body }
              }
            }
            """,
        )
    )
    async def source(self, info: Info, id: SourceId) -> Source | None:
        context = info.context
        source_id = parse_id_argument(id, "id")
        row = await sources.SOURCE_BY_ID.fetch_row(context.database, context.caller, source_id)
        return None if row is None else Source.from_row(row)

    @strawberry.field(
        description=with_example(
            "Sources of the organization, in order of creation.\n\n"
            "Requires CHANNEL_MANAGE. Request errors: `INVALID_CURSOR`, `BAD_USER_INPUT`.",
            """
            {
              sources {
                nodes { id name kind enabled lastReceivedAt rejectedCount }
                pageInfo { hasNextPage endCursor }
              }
            }
            """,
        )
    )
    async def sources(
        self, info: Info, first: First = 20, after: After = None
    ) -> Connection[Source]:
        request = parse_page_request(info.context.limits, first=first, after=after)
        return await fetch_connection(info.context, sources.SOURCE_LIST, request, Source.from_row)

    @strawberry.field(
        description=with_example(
            "Reads a sample of a payload, validates its events by the current event types and "
            "guard rules, and stores nothing. The events are not compared with stored ones.\n\n"
            "Requires CHANNEL_MANAGE and EVENT_CREATE. User errors: `EXPRESSION_INVALID` as an "
            "`ExpressionError` with line and column, `INVALID_INPUT`, and those of `logEvent`. "
            "Request errors: `BAD_USER_INPUT` if `headers` is not an object of strings.",
            """
            {
              trySource(
                kind: JSON
                mapping: { summary: "body.title", severity: "body.?level" }
                body: { title: "Disk full", level: "error" }
              ) {
                events
                userErrors { code message path ... on ExpressionError { line column } }
              }
            }
            """,
        )
    )
    async def try_source(
        self,
        info: Info,
        kind: Annotated[SourceKind, strawberry.argument(description="Format of the payload.")],
        body: Annotated[JSON, strawberry.argument(description="Payload: any JSON value.")],
        mapping: Annotated[
            SourceMappingInput | None,
            strawberry.argument(description="Mapping. Required if the kind is JSON."),
        ] = None,
        headers: Annotated[
            JSON | None,
            strawberry.argument(
                description="Request headers: a JSON object of names in lower case and strings."
            ),
        ] = None,
    ) -> SourceTrial:
        context = info.context
        result = await trials.try_source(
            context.database,
            context.command,
            kind,
            None if mapping is None else mapping.to_domain(),
            body,
            _parse_headers(headers),
        )
        return SourceTrial.from_result(result)


def _parse_headers(headers: Any) -> dict[str, str]:
    if headers is None:
        return {}
    is_object = isinstance(headers, dict)
    if not is_object or not all(isinstance(value, str) for value in headers.values()):
        raise bad_user_input("headers must be a JSON object of names and strings.", "headers")
    return {name.lower(): value for name, value in headers.items()}


@strawberry.type
class SourceMutations:
    @strawberry.mutation(
        description=with_example(
            "Creates a source. The payload contains the token that authenticates the sender; it "
            "is shown only once.\n\n"
            "Requires CHANNEL_MANAGE and EVENT_CREATE. User errors: `LIMIT_REACHED` if there are "
            "too many sources (100 by default), `EXPRESSION_INVALID` as an `ExpressionError` with "
            "line and column, `INVALID_INPUT`.",
            """
            mutation {
              createSource(input: { name: "Alertmanager", kind: ALERTMANAGER }) {
                source { id }
                token
                url
                userErrors { code message path }
              }
            }
            """,
        )
    )
    async def create_source(
        self,
        info: Info,
        input: Annotated[CreateSourceInput, strawberry.argument(description="Source to create.")],
    ) -> SourcePayload:
        context = info.context
        mapping = None if input.mapping is None else input.mapping.to_domain()
        result = await sources.create_source(
            context.database,
            context.command,
            input.name,
            input.kind,
            mapping,
            enabled=input.enabled is not False,
        )
        return SourcePayload.from_result(result, context, "input")

    @strawberry.mutation(
        description=with_example(
            "Changes a source. The kind cannot be changed.\n\n"
            "Requires CHANNEL_MANAGE and EVENT_CREATE. User errors: `NOT_FOUND`, "
            "`EXPRESSION_INVALID` as an `ExpressionError` with line and column, `INVALID_INPUT`.",
            """
            mutation {
              updateSource(input: { id: "019a3f5c-7b1e-7000-8000-000000000b01", enabled: false }) {
                source { enabled }
                userErrors { code message path }
              }
            }
            """,
        )
    )
    async def update_source(
        self,
        info: Info,
        input: Annotated[
            UpdateSourceInput, strawberry.argument(description="Changes to the source.")
        ],
    ) -> SourcePayload:
        context = info.context
        source_id = parse_input_id(input.id, "input", "id")
        attributes = read_provided_attributes(input)
        if (mapping := attributes.get("mapping")) is not None:
            attributes["mapping"] = mapping.to_domain()
        result = await sources.update_source(
            context.database, context.command, source_id, attributes
        )
        return SourcePayload.from_result(result, context, "input")

    @strawberry.mutation(
        description=with_example(
            "Deletes a source and its rejected payloads. Its events are kept.\n\n"
            "Requires CHANNEL_MANAGE. User errors: `NOT_FOUND`, `INVALID_INPUT` if the ID is not a "
            "UUID.",
            """
            mutation {
              deleteSource(id: "019a3f5c-7b1e-7000-8000-000000000b01") {
                source { name }
                userErrors { code message path }
              }
            }
            """,
        )
    )
    async def delete_source(self, info: Info, id: SourceId) -> SourcePayload:
        context = info.context
        source_id = parse_input_id(id, "id")
        result = await sources.delete_source(context.database, context.command, source_id)
        return SourcePayload.from_result(result, context)

    @strawberry.mutation(
        description=with_example(
            "Replaces the token of a source. The previous token is no longer valid.\n\n"
            "Requires CHANNEL_MANAGE and EVENT_CREATE. User errors: `NOT_FOUND`, `INVALID_INPUT` "
            "if the ID is not a UUID.",
            """
            mutation {
              rotateSourceToken(id: "019a3f5c-7b1e-7000-8000-000000000b01") {
                token
                url
                userErrors { code message path }
              }
            }
            """,
        )
    )
    async def rotate_source_token(self, info: Info, id: SourceId) -> SourcePayload:
        context = info.context
        source_id = parse_input_id(id, "id")
        result = await sources.rotate_token(context.database, context.command, source_id)
        return SourcePayload.from_result(result, context)

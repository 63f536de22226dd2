"""Queries of organizations, of the viewer, and of any object by its ID."""

from __future__ import annotations

from dataclasses import asdict
from typing import Annotated

import strawberry

from app.domain.access.caller import Permission
from app.graphql.shared.context import Info
from app.graphql.shared.examples import with_example
from app.graphql.shared.field_sources import ComputedField, build_object, declare_source
from app.graphql.shared.nodes import Node, parse_id_argument
from app.graphql.shared.permissions import (
    MANAGE_CHANNELS,
    MANAGE_ORGANIZATION,
    READ_EVENT_TYPES,
    READ_EVENTS,
    READ_ORGANIZATION,
    READ_RULES,
)
from app.graphql.types.api_key import ApiKey
from app.graphql.types.audit_entry import AuditEntry
from app.graphql.types.channel import Channel, Delivery
from app.graphql.types.conditional_rule import ConditionalRule
from app.graphql.types.event import Event
from app.graphql.types.event_type import EventField, EventType
from app.graphql.types.organization import Organization
from app.graphql.types.retention_policy import RetentionPolicy
from app.graphql.types.silence import Silence
from app.graphql.types.source import Source
from app.services.auth import keys, organizations
from app.services.change_log import audit, silences
from app.services.channels import channels, delivery_pages
from app.services.definitions import event_types
from app.services.events import event_queries
from app.services.retention import policies
from app.services.shared.readers import lookup_by_id
from app.services.sources import sources
from app.store import tables


@strawberry.type(description="Limit of the server, with its value in force.")
class Limit:
    setting: str = strawberry.field(
        description="Setting that changes the limit, such as `TOCSIN_LIMITS__NAME_CHARACTERS`."
    )
    value: float = strawberry.field(
        description="Value of the setting. The reference of the settings has the unit."
    )


@strawberry.type(
    description="Caller of the request, identified by the API key or access token that was sent."
)
class Viewer:
    name: str = strawberry.field(
        description="Name of the API key, or subject of the access token. It is recorded as the "
        "actor in the change log."
    )
    organization: Organization = strawberry.field(
        description="Organization of the request, to which all data that the request reads or "
        "writes belongs."
    )
    permissions: list[Permission] = strawberry.field(
        description="Permissions that the credential grants."
    )

    @strawberry.field(
        description="Organizations that the credential gives access to, ordered by key: at most "
        "100 by default. To select an organization, send its key as `data-partition-id`: in a "
        "header or, on a WebSocket connection, in the payload of `connection_init`. The name "
        "`slb-data-partition-id`, which FDPlan uses, is also accepted.",
        metadata=declare_source(ComputedField()),
    )
    async def organizations(self, info: Info) -> list[Organization]:
        caller = info.context.caller
        rows = await organizations.list_organizations(
            info.context.database, caller, info.context.limits.page_size
        )
        return [Organization.from_row(row, row.id == caller.organization_id) for row in rows]

    @strawberry.field(
        description="Limits of the server for the contents of requests: all settings that begin "
        "with `TOCSIN_LIMITS__` or `TOCSIN_CHANNELS__`. `tocsin config plan` uses them to find "
        "the values that the server would reject.",
        metadata=declare_source(ComputedField()),
    )
    def limits(self, info: Info) -> list[Limit]:
        context = info.context
        groups = (("LIMITS", context.limits), ("CHANNELS", context.channel_tools.limits))
        return [
            Limit(setting=f"TOCSIN_{group}__{name.upper()}", value=value)
            for group, limits in groups
            for name, value in asdict(limits).items()
        ]


@strawberry.type
class OrganizationQueries:
    @strawberry.field(
        description=with_example(
            "Caller of the request, with its organization and permissions. Use this query to test "
            "a credential, to show who is signed in, and to hide actions that the caller is not "
            "permitted to perform.\n\n"
            "Requires a valid credential, but no permission.",
            """
            { viewer { name permissions organization { key name } } }
            """,
        ),
        metadata=declare_source(ComputedField()),
    )
    async def viewer(self, info: Info) -> Viewer:
        caller = info.context.caller
        row = await organizations.fetch_organization(info.context.database, caller)
        return Viewer(
            name=caller.name,
            organization=Organization.from_row(row),
            permissions=[
                permission for permission in Permission if permission in caller.permissions
            ],
        )

    @strawberry.field(
        description=with_example(
            "Organization of the request. Null if `key` is the key of a different organization: "
            "to read that organization, send its key in the header `data-partition-id`.\n\n"
            "Requires EVENT_READ or ORGANIZATION_MANAGE.",
            """
            { organization { key name apiKeys { name permissions lastUsedAt } } }
            """,
        ),
        metadata=declare_source(ComputedField()),
    )
    async def organization(
        self,
        info: Info,
        key: Annotated[
            str | None,
            strawberry.argument(
                description="Expected key of the organization of the request. If the key differs, "
                "the result is null. If omitted, the key is not checked."
            ),
        ] = None,
    ) -> Organization | None:
        row = await organizations.fetch_organization(info.context.database, info.context.caller)
        return Organization.from_row(row) if key in (None, row.key) else None

    @strawberry.field(
        description=with_example(
            "Object with this ID: an event, silence, event type, field of an event type, rule of "
            "any kind, channel, delivery, source, API key, retention policy or audit entry, or the "
            "organization of the request. Null if there is no such object in the organization, or "
            "the caller is not permitted to read the object.\n\n"
            "Requires EVENT_READ, EVENT_CREATE, EVENT_TYPE_MANAGE, RULE_MANAGE, CHANNEL_MANAGE or "
            "ORGANIZATION_MANAGE. Each object also requires the permission to read it. Request "
            "errors: `BAD_USER_INPUT` if the ID is not a UUID.",
            """
            {
              node(id: "019a3f5c-7b1e-7000-8000-000000000001") {
                __typename
                ... on Event { summary severity }
                ... on EventType { name }
              }
            }
            """,
        )
    )
    async def node(
        self,
        info: Info,
        id: Annotated[strawberry.ID, strawberry.argument(description="ID of the object.")],
    ) -> Node | None:
        database, caller = info.context.database, info.context.caller
        node_id = parse_id_argument(id, "id")
        if caller.has_any_permission(READ_EVENTS):
            if event := await event_queries.EVENT_BY_KEY.fetch_row(database, caller, node_id):
                return Event.from_row(event)
            if silence := await silences.SILENCE_BY_ID.fetch_row(database, caller, node_id):
                return Silence.from_row(silence)
        if caller.has_any_permission(READ_EVENT_TYPES):
            type_by_key = event_types.EVENT_TYPE_BY_KEY
            if event_type := await type_by_key.fetch_row(database, caller, node_id):
                return EventType.from_row(event_type)
            if field := await event_types.FIELD_BY_ID.fetch_row(database, caller, node_id):
                return EventField.from_row(field)
            rule_by_id = event_types.CONDITIONAL_RULE_BY_ID
            if rule := await rule_by_id.fetch_row(database, caller, node_id):
                return ConditionalRule.from_row(rule)
        if caller.has_any_permission(READ_RULES):
            for rule_table in tables.RULE_TABLES:
                if row := await lookup_by_id(rule_table).fetch_row(database, caller, node_id):
                    node: Node = build_object(row)
                    return node
        if caller.has_any_permission(MANAGE_CHANNELS):
            if channel := await channels.CHANNEL_BY_ID.fetch_row(database, caller, node_id):
                return Channel.from_row(channel)
            if delivery := await delivery_pages.DELIVERY_BY_ID.fetch_row(database, caller, node_id):
                return Delivery.from_row(delivery)
            if source := await sources.SOURCE_BY_ID.fetch_row(database, caller, node_id):
                return Source.from_row(source)
        if caller.has_any_permission(MANAGE_ORGANIZATION):
            if key := await keys.KEY_BY_ID.fetch_row(database, caller, node_id):
                return ApiKey.from_row(key)
            if policy := await policies.POLICY_BY_ID.fetch_row(database, caller, node_id):
                return RetentionPolicy.from_row(policy)
            if entry := await audit.fetch_entry(database, caller, node_id):
                return AuditEntry.from_row(entry)
        if caller.has_any_permission(READ_ORGANIZATION) and node_id == caller.organization_id:
            return Organization.from_row(await organizations.fetch_organization(database, caller))
        return None

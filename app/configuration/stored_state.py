"""What a server has stored of a configuration, in the form of configuration files."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from typing import Any, TypeVar

from app.api_client import ApiClient, ApiError
from app.configuration.configuration import Item
from app.configuration.file_schema import (
    CHANNELS,
    DUPLICATION_RULES,
    EVENT_TYPES,
    GUARD_RULES,
    RETENTION_POLICIES,
    SECTIONS,
    SILENCES,
    SOURCES,
    Section,
    graphql_types,
    simplify,
)
from app.configuration.yaml_file import format_yaml
from app.domain.shared.limits import ChannelLimits, Limits
from app.domain.shared.problems import ErrorCode
from app.domain.shared.values import canonical_json
from app.graphql.shared.permissions import REQUIRED_PERMISSIONS

LimitsType = TypeVar("LimitsType", Limits, ChannelLimits)
_VIEWER = """
{
  viewer {
    permissions
    organization { key name configurationVersion }
    organizations { key name }
    limits { setting value }
  }
}
"""
_VERSION = "{ viewer { organization { configurationVersion } } }"
_MAX_READS = 5
_PAGE = "pageInfo { hasNextPage endCursor }"
_LISTS = {
    EVENT_TYPES.name: f"""
query ConfiguredEventTypes($first: Int, $after: String) {{
  eventTypes(first: $first, after: $after) {{
    nodes {{
      id type name description category state version sunsetAt additionalFields
      versions(first: 1) {{ nodes {{ definition }} }}
    }}
    {_PAGE}
  }}
}}
""",
    GUARD_RULES.name: f"""
query ConfiguredGuardRules($first: Int, $after: String) {{
  guardRules(first: $first, after: $after) {{
    nodes {{
      id name state expression message enforcement
      eventType {{ type }}
      publishedVersion {{ expression message enforcement }}
    }}
    {_PAGE}
  }}
}}
""",
    DUPLICATION_RULES.name: f"""
query ConfiguredDuplicationRules($first: Int, $after: String) {{
  duplicationRules(first: $first, after: $after) {{
    nodes {{ id name fingerprint window action escalate enabled position eventType {{ type }} }}
    {_PAGE}
  }}
}}
""",
    RETENTION_POLICIES.name: f"""
query ConfiguredRetentionPolicies($first: Int, $after: String) {{
  retentionPolicies(first: $first, after: $after) {{
    nodes {{ id name target filter keepFor }}
    {_PAGE}
  }}
}}
""",
    # Without those that are over: there can be any number of them.
    SILENCES.name: f"""
query ConfiguredSilences($first: Int, $after: String) {{
  silences(ended: false, first: $first, after: $after) {{
    nodes {{ id filter startsAt endsAt comment }}
    {_PAGE}
  }}
}}
""",
    SOURCES.name: f"""
query ConfiguredSources($first: Int, $after: String) {{
  sources(first: $first, after: $after) {{
    nodes {{
      id name kind enabled
      mapping {{ {" ".join(graphql_types()["SourceMapping"].fields)} }}
    }}
    {_PAGE}
  }}
}}
""",
    # `updatedAt` changes with the address and the headers, which cannot be read.
    CHANNELS.name: f"""
query ConfiguredChannels($first: Int, $after: String) {{
  channels(first: $first, after: $after) {{
    nodes {{ id name kind filter triggers enabled updatedAt }}
    {_PAGE}
  }}
}}
""",
}
_READ_FIELDS = {
    EVENT_TYPES.name: ("Query.eventTypes",),
    GUARD_RULES.name: ("Query.guardRules", "GuardRule.eventType"),
    DUPLICATION_RULES.name: ("Query.duplicationRules", "DuplicationRule.eventType"),
    RETENTION_POLICIES.name: ("Query.retentionPolicies",),
    SILENCES.name: ("Query.silences",),
    SOURCES.name: ("Query.sources",),
    CHANNELS.name: ("Query.channels",),
}
_GUARD_CONTENT = ("expression", "message", "enforcement")


@dataclass(frozen=True)
class StoredItem(Item):
    """A stored object as an object of a file. `row`: the object as the API returns it."""

    id: str
    row: Mapping[str, Any]

    @property
    def is_retired(self) -> bool:
        """Whether it is a retired guard rule, which cannot be deleted."""
        return self.section is GUARD_RULES and self.row["state"] == "RETIRED"


@dataclass(frozen=True)
class StoredState:
    """The configuration of an organization. `organization_name` is None if it does not exist.

    `items`: the sections that were read. Duplication rules are in the order of their positions.
    `version`: counts the changes of the configuration; 0 if the organization does not exist.
    `limits`, `channel_limits`: those of the server.
    """

    permissions: frozenset[str]
    organization_key: str
    organization_name: str | None
    version: int
    limits: Limits
    channel_limits: ChannelLimits
    items: Mapping[str, Sequence[StoredItem]] = field(default_factory=dict)

    def find_event_type(self, type_name: str | None) -> StoredItem | None:
        items = self.items.get(EVENT_TYPES.name, ())
        return next((item for item in items if item.value["type"] == type_name), None)

    def compute_digest(self) -> str:
        """Returns a digest of everything that a plan depends on."""
        content = {
            "organization": [self.organization_key, self.organization_name],
            "items": {
                name: [dict(item.row) for item in items] for name, items in self.items.items()
            },
        }
        return hashlib.sha256(canonical_json(content)).hexdigest()


def fetch_state(
    client: ApiClient, organization: str | None, sections: Sequence[Section] | None
) -> StoredState:
    """Reads the sections of an organization, by default of that of the credential.

    None stands for the sections that the credential may read. Event types are also read if rules
    are, which refer to them. Reads again if the configuration changed meanwhile. Raises ApiError.
    """
    for _ in range(_MAX_READS):
        state = _fetch_state(client, organization, sections)
        if state.organization_name is None or fetch_version(client) == state.version:
            return state
    raise ApiError("The configuration of the server changes while it is read. Try again.")


def fetch_version(client: ApiClient) -> int:
    """Returns the current version of the configuration. Raises ApiError."""
    version: int = client.execute(_VERSION)["viewer"]["organization"]["configurationVersion"]
    return version


def _fetch_state(
    client: ApiClient, organization: str | None, sections: Sequence[Section] | None
) -> StoredState:
    client.select_organization(organization)
    try:
        viewer = client.execute(_VIEWER)["viewer"]
    except ApiError as error:
        if organization is None or error.code != ErrorCode.FORBIDDEN:
            raise
        viewer = _fetch_viewer_elsewhere(client, organization)
        if viewer is None:
            raise
        return _empty_state(viewer, organization, sections)
    permissions = frozenset(viewer["permissions"])
    if sections is None:
        sections = [section for section in SECTIONS if _is_readable(section, permissions)]
    items = {section.name: _fetch_items(client, section) for section in _add_types(sections)}
    return StoredState(
        permissions,
        viewer["organization"]["key"],
        viewer["organization"]["name"],
        viewer["organization"]["configurationVersion"],
        *_read_limits(viewer),
        items,
    )


def _read_limits(viewer: Mapping[str, Any]) -> tuple[Limits, ChannelLimits]:
    """Reads the limits that the server has in force."""
    values = {
        each["setting"]: int(each["value"]) if each["value"] % 1 == 0 else each["value"]
        for each in viewer["limits"]
    }

    def read(limits: LimitsType, group: str) -> LimitsType:
        names = {name: f"TOCSIN_{group}__{name.upper()}" for name in asdict(limits)}
        # A server of another version may not have each of them.
        known = {name: values[setting] for name, setting in names.items() if setting in values}
        return replace(limits, **known)

    return read(Limits(), "LIMITS"), read(ChannelLimits(), "CHANNELS")


def _fetch_viewer_elsewhere(client: ApiClient, organization: str) -> dict[str, Any] | None:
    """Returns the caller in its own organization, if the other one possibly does not exist."""
    client.select_organization(None)
    try:
        viewer: dict[str, Any] = client.execute(_VIEWER)["viewer"]
    except ApiError:
        return None
    exists = organization in [each["key"] for each in viewer["organizations"]]
    return None if exists else viewer


def _is_readable(section: Section, permissions: frozenset[str]) -> bool:
    return all(
        permissions & {permission.value for permission in REQUIRED_PERMISSIONS[field]}
        for field in _READ_FIELDS[section.name]
    )


def _add_types(sections: Sequence[Section]) -> list[Section]:
    """Returns the sections in order, with event types if there are rules."""
    with_rules = any("eventType" in section.key for section in sections)
    return [
        section
        for section in SECTIONS
        if section in sections or (section is EVENT_TYPES and with_rules)
    ]


def _empty_state(
    viewer: Mapping[str, Any], key: str, sections: Sequence[Section] | None
) -> StoredState:
    return StoredState(
        frozenset(viewer["permissions"]),
        key,
        None,
        0,
        *_read_limits(viewer),
        {section.name: [] for section in _add_types(sections or SECTIONS)},
    )


def _fetch_items(client: ApiClient, section: Section) -> list[StoredItem]:
    rows = client.iterate_nodes(_LISTS[section.name], section.name)
    items = [StoredItem(section, _to_value(section, row), row["id"], row) for row in rows]
    if section is DUPLICATION_RULES:
        items.sort(key=lambda item: item.row["position"])
    return items


def _to_value(section: Section, row: Mapping[str, Any]) -> dict[str, Any]:
    value = dict(row)
    if section is EVENT_TYPES:
        [version] = row["versions"]["nodes"]
        # A version that an earlier release stored has fields and rules only.
        value = version["definition"] | value
    elif section is GUARD_RULES:
        value["published"] = row["state"] == "PUBLISHED"
        value |= guard_content(row)
    if section in (GUARD_RULES, DUPLICATION_RULES):
        value["eventType"] = (row["eventType"] or {}).get("type")
    value.pop("id")
    return dict(simplify(value, section.definition_name))


def guard_content(row: Mapping[str, Any]) -> dict[str, Any]:
    """Returns what is in effect of a guard rule or, if it is not published, its draft."""
    source = row["publishedVersion"] or row
    return {name: source[name] for name in _GUARD_CONTENT}


def guard_draft(row: Mapping[str, Any]) -> dict[str, Any]:
    return {name: row[name] for name in _GUARD_CONTENT}


def format_state(state: StoredState, *, with_ids: bool) -> str:
    """Formats the state as a configuration file. Objects are sorted by what identifies them.

    Retired guard rules are left out, and the addresses and headers of channels, which cannot be
    read. Without silences, there is no section for them: otherwise, a file that is applied with
    `--prune` would end the silences that people create meanwhile. Objects that share a name, or all
    objects, have their ID.
    """
    content: dict[str, Any] = {
        "organization": {"key": state.organization_key, "name": state.organization_name}
    }
    for section in SECTIONS:
        if section.name not in state.items:
            continue
        items = [item for item in state.items[section.name] if not item.is_retired]
        if section is SILENCES and not items:
            continue
        keys = [item.key for item in items]
        if section is not DUPLICATION_RULES:  # their order is their meaning
            items.sort(key=lambda item: ([part or "" for part in item.key], item.id))
        content[section.name] = [
            ({"id": item.id} if with_ids or keys.count(item.key) > 1 else {}) | dict(item.value)
            for item in items
        ]
    return format_yaml(content)

"""Plans channels. The server compares their addresses and headers, which it never returns."""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from typing import Any

from app.configuration.configuration import (
    ConfiguredItem,
    find_address_problems,
    list_address_texts,
    normalize_filter,
    read_input,
    to_input,
)
from app.configuration.file_schema import CHANNELS
from app.configuration.mutations import Phase, Step, delete_step, update_step
from app.configuration.plan_context import PlanContext
from app.configuration.plans import CREATED
from app.configuration.secret_references import (
    UnresolvedReferenceError,
    is_reference,
    resolve_reference,
)
from app.configuration.stored_state import StoredItem
from app.domain.channels.channels import format_origin
from app.domain.shared.masking import MASK

_QUOTED = re.compile(r"""(['"]).*\1""")
_COMPARE = """
query CompareChannel($id: ID!, $url: String!, $headers: JSON) {
  channel(id: $id) { hasAddress(url: $url, headers: $headers) }
}
"""


@dataclass(frozen=True)
class _Address:
    """An address with its headers. All references are resolved."""

    url: str
    headers: dict[str, str]

    def to_input(self) -> dict[str, Any]:
        return {"url": self.url, "headers": self.headers}


def plan_channels(context: PlanContext) -> None:
    for item, stored in context.matches_of(CHANNELS):
        address = _resolve_address(context, item)
        if stored is None:
            _create_channel(context, item, address)
        else:
            _change_channel(context, item, stored, address)
    for stored in context.removed_from(CHANNELS):
        _remove_channel(context, stored)


def _resolve_address(context: PlanContext, item: ConfiguredItem) -> _Address | None:
    """Returns the address of a channel. None if it has none, or after adding errors."""
    if "url" not in item.value:
        return None
    values: dict[tuple[str, ...], str] = {}
    for path, text in list_address_texts(item).items():
        try:
            values[path] = resolve_reference(text)
        except UnresolvedReferenceError as error:
            context.add_error(str(error), item, *path)
            return None
        if is_reference(text) or path == ("url",):
            context.plan.secrets.add(values[path])
    address = _Address(values.pop(("url",)), {path[1]: each for path, each in values.items()})
    limits = (context.state.limits, context.state.channel_limits)
    if problems := find_address_problems(item, address.url, address.headers, *limits):
        if is_reference(item.value["url"]):
            # A message can quote a part of the address.
            problems = [replace(each, message=_QUOTED.sub(MASK, each.message)) for each in problems]
        context.add_problems(item, problems)
        return None
    return address


def _create_channel(context: PlanContext, item: ConfiguredItem, address: _Address | None) -> None:
    if address is None:
        if "url" not in item.value:
            context.add_error("A new channel requires url.", item)
        context.check_item(item)
        return
    change = context.add_change(CREATED, CHANNELS.name, item.title, item)
    is_enabled = item.value.get("enabled", True)
    change.words.append("It delivers what happens from now on." if is_enabled else "Disabled.")
    document = """
mutation CreateChannel($input: CreateChannelInput!) {
  payload: createChannel(input: $input) {
    object: channel { id }
    secret
    userErrors { message path }
  }
}
"""
    attributes = to_input(item) | address.to_input()
    change.steps.append(
        Step(
            Phase.CHANNELS,
            document,
            lambda _: {"input": attributes},
            (CHANNELS.name, item.key),
            secret_names=("secret",) if item.value["kind"] == "WEBHOOK" else (),
        )
    )


def _change_channel(
    context: PlanContext, item: ConfiguredItem, stored: StoredItem, address: _Address | None
) -> None:
    filter = None
    if "filter" in item.value:
        filter = normalize_filter(item.value["filter"], context.state.limits)
    triggers = [each.value for each in read_input(item).triggers]
    attributes: dict[str, Any] = {}
    if item.value["name"] != stored.row["name"]:
        attributes["name"] = item.value["name"]
    if filter != stored.row["filter"]:
        attributes["filter"] = item.value.get("filter")
    if {*triggers} != {*stored.row["triggers"]}:
        attributes["triggers"] = triggers
    if (is_enabled := item.value.get("enabled", True)) != stored.row["enabled"]:
        attributes["enabled"] = is_enabled
    names = list(attributes)
    before, shown = dict(stored.value), {}
    if address is not None:
        shown = _hide_address(item, address)
        if _has_address(context, stored, address):
            # The same as in the file, so that the difference does not show them.
            before = {"kind": before["kind"], "name": before["name"]} | shown | before
        else:
            attributes |= address.to_input()
            names.append("address or headers")
    if not names:
        return
    words = [f"Changed {', '.join(names)}."]
    if is_enabled and not stored.row["enabled"]:
        words.append("It delivers what happens from now on.")
    step = update_step("UpdateChannelInput", "updateChannel", stored.id, attributes, Phase.CHANNELS)
    context.add_update(item, stored, words, step, before, dict(item.value) | shown)


def _hide_address(item: ConfiguredItem, address: _Address) -> dict[str, Any]:
    """Returns the address and the headers as plans show them: without values that may be secret."""
    texts = dict(item.value.get("headers", {}))
    shown: dict[str, Any] = {"url": item.value["url"]}
    if not is_reference(item.value["url"]):
        origin = format_origin(read_input(item).kind, address.url)
        shown["url"] = f"{origin.removesuffix('/')}/{MASK}"
    if texts:
        shown["headers"] = {
            name: text if is_reference(text) else MASK for name, text in texts.items()
        }
    return shown


def _has_address(context: PlanContext, stored: StoredItem, address: _Address) -> bool:
    variables = {"id": stored.id} | address.to_input()
    channel = context.client.execute(_COMPARE, **variables)["channel"]
    # Null if it was deleted meanwhile: the first mutation then finds that out.
    return channel is not None and channel["hasAddress"]


def _remove_channel(context: PlanContext, stored: StoredItem) -> None:
    words = ["Deleted with its deliveries. What is not delivered yet is not sent."]
    step = delete_step(Phase.CHANNELS, "deleteChannel", stored.id)
    context.add_removal(CHANNELS, stored, words, step)

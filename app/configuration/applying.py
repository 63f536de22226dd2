"""Applies plans, one mutation at a time, and saves them."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from app.configuration.api_client import ApiClient, ApiError
from app.configuration.configuration import Configuration, parse_configuration
from app.configuration.mutations import Ids, Phase
from app.configuration.planning import Change, Plan, PlanOptions

_FORMAT = 1


@dataclass(frozen=True)
class SavedPlan:
    """A plan in a file: the configuration, the options, and a digest of the state it is for."""

    configuration: Configuration
    options: PlanOptions
    organization: str
    digest: str


def format_plan(plan: Plan) -> str:
    """Formats the plan as JSON, for `read_saved_plan`."""
    content = {
        "planFormat": _FORMAT,
        "organization": plan.state.organization_key,
        "prune": plan.options.prune,
        "digest": plan.state.compute_digest(),
        "configuration": plan.configuration.text,
    }
    return json.dumps(content, indent=2, ensure_ascii=False) + "\n"


def read_saved_plan(text: str) -> SavedPlan | None:
    """Reads a saved plan. None if the text is something else, such as a configuration.

    Raises InvalidFileError if its configuration is invalid.
    """
    try:
        content: Any = json.loads(text)
        if content["planFormat"] != _FORMAT:
            return None
        options = PlanOptions(prune=bool(content["prune"]))
        configuration = parse_configuration(content["configuration"])
        return SavedPlan(configuration, options, content["organization"], content["digest"])
    except (ValueError, KeyError, TypeError):
        return None


def apply_plan(client: ApiClient, plan: Plan) -> Iterator[Change]:
    """Executes the mutations of the plan. Yields each change when it is complete.

    Stops at the first error. Raises ApiError, which names the object that was not changed.
    """
    ids: Ids = {}
    steps = plan.steps
    remaining = {id(change): len(change.steps) for change in plan.changes}
    for change, step in steps:
        try:
            payload = client.execute(step.document, **step.build_variables(ids))["payload"]
        except ApiError as error:
            raise ApiError(f"{change.title}: {error}") from None
        if errors := payload["userErrors"]:
            messages = " ".join(error["message"] for error in errors)
            raise ApiError(f"{change.title}: {messages}")
        if step.created is not None:
            ids[step.created] = payload["object"]["id"]
        if step.phase is Phase.ORGANIZATION:
            client.select_organization(plan.state.organization_key)
        remaining[id(change)] -= 1
        if remaining[id(change)] == 0:
            yield change

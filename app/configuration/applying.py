"""Applies plans, one mutation at a time, and saves them."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from secrets import token_hex
from typing import Any

from app.api_client import ApiClient, ApiError
from app.configuration.configuration import (
    Configuration,
    FileError,
    InvalidFileError,
    has_literal_addresses,
    parse_configuration,
)
from app.configuration.mutations import Ids, Phase
from app.configuration.plans import Change, Plan, PlanOptions
from app.configuration.stored_state import fetch_version

_FORMAT = 1


@dataclass(frozen=True)
class SavedPlan:
    """A plan in a file: the configuration, the options, and a digest of the state it is for.

    `file`: name of the file with the configuration, for messages.
    """

    file: str
    configuration: Configuration
    options: PlanOptions
    organization: str
    digest: str


def format_plan(plan: Plan, file: str) -> str:
    """Formats the plan of a configuration file as JSON, for `read_saved_plan`.

    If the file itself has addresses of channels, which may be secret, the plan has only a digest of
    it, from which they cannot be guessed.
    """
    configuration = plan.configuration
    content = {
        "planFormat": _FORMAT,
        "file": file,
        "organization": plan.state.organization_key,
        "prune": plan.options.prune,
        "digest": plan.state.compute_digest(),
    }
    if has_literal_addresses(configuration):
        content["fileDigest"] = _compute_digest(configuration.text, token_hex(16))
    else:
        content["configuration"] = configuration.text
    return json.dumps(content, indent=2, ensure_ascii=False) + "\n"


def _compute_digest(text: str, salt: str) -> str:
    digest = hashlib.scrypt(text.encode(), salt=salt.encode(), n=2**14, r=8, p=1)
    return f"{salt}:{digest.hex()}"


def read_saved_plan(text: str, read_file: Callable[[str], str]) -> SavedPlan | None:
    """Reads a saved plan. None if the text is something else, such as a configuration.

    `read_file`: returns the text of the file with the configuration, if the plan does not have it.
    Raises InvalidFileError if it is a plan that cannot be used.
    """
    try:
        content: Any = json.loads(text)
    except (ValueError, RecursionError):
        return None
    if not isinstance(content, dict) or "planFormat" not in content:
        return None
    names = ("file", "organization", "digest")
    texts = [
        *(content.get(name) for name in names),
        content.get("configuration", content.get("fileDigest")),
    ]
    if content["planFormat"] != _FORMAT or not all(isinstance(each, str) for each in texts):
        message = "This version of tocsin cannot read the plan. Create it again."
        raise InvalidFileError([FileError(message, 1, 1)])
    file, organization, digest, configuration = map(str, texts)
    if "configuration" not in content:
        configuration = read_file(file)
        salt = content["fileDigest"].partition(":")[0]
        if _compute_digest(configuration, salt) != content["fileDigest"]:
            message = (
                f"{file} changed after the plan was created. The plan does not contain it, because "
                "it has addresses of channels. Create a new plan."
            )
            raise InvalidFileError([FileError(message, 1, 1)])
    options = PlanOptions(prune=content.get("prune") is True)
    return SavedPlan(file, parse_configuration(configuration), options, organization, digest)


def is_current(client: ApiClient, plan: Plan) -> bool:
    """Whether the configuration has not changed since the plan was created. Raises ApiError."""
    is_new = plan.state.organization_name is None
    return is_new or fetch_version(client) == plan.state.version


StoreSecrets = Callable[[Change, Mapping[str, Any]], None]


def apply_plan(
    client: ApiClient, plan: Plan, store_secrets: StoreSecrets | None = None
) -> Iterator[Change]:
    """Executes the mutations of the plan. Yields each change when it is complete.

    `store_secrets`: gets the ID, the token and the signing secret of each object that is created
    with one, before anything else is executed. It raises OSError if it cannot store them.

    Stops at the first error, and before a mutation if others changed the configuration meanwhile:
    each mutation raises its version by 1, or not at all if it changes nothing. Raises ApiError,
    which names the object that was not changed. The caller checks the version before the first
    mutation: see `is_current`.
    """
    ids: Ids = {}
    version = plan.state.version
    remaining = {id(change): len(change.steps) for change in plan.changes}
    for number, (change, step) in enumerate(plan.steps):
        if number > 0:
            changed_version = fetch_version(client)
            if changed_version - version not in (0, 1):
                raise ApiError(
                    f"{change.title}: Others changed the configuration of the server at the same "
                    "time."
                )
            version = changed_version
        try:
            payload = client.mutate(step.document, **step.build_variables(ids))["payload"]
        except ApiError as error:
            raise ApiError(f"{_locate(plan, change)}: {plan.hide_secrets(str(error))}") from None
        if errors := payload["userErrors"]:
            messages = plan.hide_secrets(" ".join(error["message"] for error in errors))
            raise ApiError(f"{_locate(plan, change)}: {messages}")
        if step.secret_names and store_secrets is not None:
            secrets = {name: payload[name] for name in step.secret_names}
            try:
                store_secrets(change, {"id": payload["object"]["id"]} | secrets)
            except OSError as error:
                raise ApiError(
                    f"{change.title}: Created, but its secrets cannot be written: "
                    f"{error.strerror}. Let the server create others with rotateSourceToken or "
                    "rotateChannelSecret."
                ) from None
        if step.created is not None:
            ids[step.created] = payload["object"]["id"]
        if step.phase is Phase.ORGANIZATION:
            client.select_organization(plan.state.organization_key)
        remaining[id(change)] -= 1
        if remaining[id(change)] == 0:
            yield change


def _locate(plan: Plan, change: Change) -> str:
    """The object of a change, with its line in the file if the file has it."""
    if not change.path:
        return change.title
    line, _ = plan.configuration.document.find_position(change.path)
    return f"{change.title} (line {line})"

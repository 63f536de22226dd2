"""The JSON Schemas of event types, at the URLs of CloudEvents' `dataschema`."""

from __future__ import annotations

import hashlib
import re

from fastapi import APIRouter, Request, Response
from fastapi.responses import JSONResponse

from app.domain.access.caller import EVENT_TYPE_READ_PERMISSIONS
from app.domain.event_types.json_schema import compile_schema
from app.domain.shared.json_encoding import encode_json
from app.domain.shared.problems import ErrorCode, RequestError, bad_user_input
from app.domain.shared.values import validate_text
from app.request_io import authenticate_request
from app.services.auth.access import Access
from app.services.definitions import event_types

MEDIA_TYPE = "application/schema+json"
router = APIRouter()
_VERSION = re.compile("[1-9][0-9]{0,8}")


@router.get("/event-types/{type_name:path}/schema.json")
async def read_type_schema(
    request: Request,
    type_name: str,
    version: str | None = None,
) -> Response:
    """Returns the schema of a version, by default the latest, with an ETag.

    Returns 401 without a key, 403 without a permission and 404 for an unknown type or version.
    """
    access: Access = request.app.state.access
    database = access.database
    caller = await authenticate_request(request)
    if not caller.has_any_permission(EVENT_TYPE_READ_PERMISSIONS):
        names = " or ".join(sorted(permission.value for permission in EVENT_TYPE_READ_PERMISSIONS))
        raise RequestError(
            ErrorCode.FORBIDDEN, f"The schema of an event type requires the permission {names}."
        )
    event_type = None
    if not validate_text(type_name, request.app.state.limits.name_characters):
        event_type = await event_types.EVENT_TYPE_BY_KEY.fetch_row(database, caller, type_name)
    if event_type is None:
        return _not_found_response(f"There is no event type {type_name[:100]!a}.")
    version_number = event_type.version if version is None else _parse_version(version)
    version_key = (event_type.id, version_number)
    definition = (await event_types.fetch_version_definitions(database, caller, [version_key])).get(
        version_key
    )
    if definition is None:
        return _not_found_response(
            f"Event type {event_type.type!a} has no version {version_number}; "
            f"its latest version is {event_type.version}."
        )
    schema = compile_schema(definition.fields, definition.rules, definition.additional_fields)
    body = encode_json(schema).encode()
    etag = f'"{hashlib.sha256(body).hexdigest()[:32]}"'
    headers = {
        "ETag": etag,
        "Cache-Control": "private, no-cache",
        "Vary": "Authorization, data-partition-id, slb-data-partition-id",
    }
    known_tags = [value.strip() for value in request.headers.get("if-none-match", "").split(",")]
    if "*" in known_tags or etag in [value.removeprefix("W/") for value in known_tags]:
        return Response(status_code=304, headers=headers)
    return Response(body, media_type=MEDIA_TYPE, headers=headers)


def _parse_version(version: str) -> int:
    if _VERSION.fullmatch(version):
        return int(version)
    raise bad_user_input(
        f"Invalid version {version[:100]!a}: expected a number from 1 to 999,999,999.", "version"
    )


def _not_found_response(message: str) -> Response:
    problem = {"type": "about:blank", "title": "Not Found", "status": 404, "detail": message}
    return JSONResponse(problem, 404, media_type="application/problem+json")

"""The JSON Schema of an event type at an address of its own: CloudEvents' `dataschema`."""

from __future__ import annotations

import hashlib
import json
import re

from fastapi import APIRouter, Request, Response
from fastapi.responses import JSONResponse

from app.domain.access.caller import READS_TYPES
from app.domain.event_types.json_schema import compile_schema
from app.domain.shared.problems import ErrorCode, RequestError, bad_input
from app.domain.shared.values import text_problems
from app.request_io import caller_behind
from app.services.auth.access import Access
from app.services.definitions import event_types

MEDIA_TYPE = "application/schema+json"
router = APIRouter()
_VERSION = re.compile("[1-9][0-9]{0,8}")


@router.get("/event-types/{type_name:path}/schema.json")
async def type_schema(
    request: Request,
    type_name: str,
    version: str | None = None,
) -> Response:
    """The schema of a version, the latest unless told: with an ETag, to be asked for again.

    401 without a key, 403 without a permission, 404 where there is no such type or version.
    """
    access: Access = request.app.state.access
    database = access.database
    caller = await caller_behind(request)
    if not caller.may(READS_TYPES):
        names = " or ".join(sorted(each.value for each in READS_TYPES))
        raise RequestError(ErrorCode.FORBIDDEN, f"An event type's schema needs {names}.")
    found = None
    if not text_problems(type_name, request.app.state.limits.name):
        found = await event_types.find(database, caller, type=type_name)
    if found is None:
        return _missing(f"There is no event type {type_name[:100]!a}.")
    number = found.version if version is None else _number(version)
    wanted = (found.id, number)
    form = (await event_types.forms(database, caller, [wanted])).get(wanted)
    if form is None:
        return _missing(f"{found.type} has no version {number}; its latest is {found.version}.")
    body = json.dumps(compile_schema(form.fields, form.rules)).encode()
    tag = f'"{hashlib.sha256(body).hexdigest()[:32]}"'
    headers = {
        "ETag": tag,
        "Cache-Control": "private, no-cache",
        "Vary": "Authorization, data-partition-id, slb-data-partition-id",
    }
    asked = [each.strip() for each in request.headers.get("if-none-match", "").split(",")]
    if "*" in asked or tag in [each.removeprefix("W/") for each in asked]:
        return Response(status_code=304, headers=headers)
    return Response(body, media_type=MEDIA_TYPE, headers=headers)


def _number(version: str) -> int:
    if _VERSION.fullmatch(version):
        return int(version)
    raise bad_input("version is a number from 1 to 999999999.", "version")


def _missing(message: str) -> Response:
    told = {"type": "about:blank", "title": "Not Found", "status": 404, "detail": message}
    return JSONResponse(told, 404, media_type="application/problem+json")

"""What is sent to a channel: a CloudEvent about a change, and the headers of Standard Webhooks."""

from __future__ import annotations

import base64
import hashlib
import hmac
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any
from uuid import UUID

from app.domain.channels.channels import ChannelTrigger
from app.domain.events.cloudevents import JSON_MEDIA_TYPE
from app.domain.events.state import EventState
from app.domain.shared.json_encoding import encode_json
from app.domain.shared.values import format_instant

MEDIA_TYPE = "application/cloudevents+json"
_TYPES = {
    ChannelTrigger.NOTIFICATION_ADDED: "tocsin.notification.added",
    ChannelTrigger.EVENT_CHANGED: "tocsin.event.changed",
    ChannelTrigger.EVENT_RESOLVED: "tocsin.event.resolved",
    ChannelTrigger.TEST: "tocsin.channel.test",
}
# Values that are only meaningful inside Tocsin.
_INTERNAL_NAMES = frozenset({"summaryGiven"})
_SECRET_PREFIX = "whsec_"  # noqa: S105


def build_webhook_id(channel_id: UUID, trigger: ChannelTrigger, *parts: object) -> str:
    """Returns the ID of a message: equal for equal parts, which identify the change."""
    text = "\n".join(map(str, (channel_id, trigger.value, *parts)))
    return f"msg_{hashlib.blake2b(text.encode(), digest_size=16).hexdigest()}"


def build_message(
    webhook_id: str,
    trigger: ChannelTrigger,
    source: str,
    time: datetime,
    data: Mapping[str, Any],
    event_id: UUID | None = None,
) -> str:
    """Returns the body of a request: a CloudEvent 1.0 in JSON. `source` is a URI reference."""
    message = _drop_nulls(
        specversion="1.0",
        id=webhook_id,
        type=_TYPES[trigger],
        source=source,
        subject=None if event_id is None else str(event_id),
        time=format_instant(time),
        datacontenttype=JSON_MEDIA_TYPE,
        data=data,
    )
    return encode_json(message)


def _drop_nulls(**attributes: Any) -> dict[str, Any]:
    return {name: value for name, value in attributes.items() if value is not None}


def format_event(state: EventState) -> dict[str, Any]:
    """Returns an event for a message, with the names of the API."""
    status = state.status
    values = {name: value for name, value in state.to_json().items() if name not in _INTERNAL_NAMES}
    return values | {"status": None if status is None else status.value}


def create_secret(random_bytes: bytes) -> str:
    """Returns a signing secret in the format of Standard Webhooks."""
    return _SECRET_PREFIX + base64.b64encode(random_bytes).decode()


def sign_message(
    secrets: Sequence[str], webhook_id: str, timestamp: datetime, body: str
) -> dict[str, str]:
    """Returns the headers of Standard Webhooks, with a signature by each of the secrets."""
    seconds = str(int(timestamp.timestamp()))
    content = f"{webhook_id}.{seconds}.{body}".encode()
    signatures = [_sign(secret, content) for secret in secrets]
    return {
        "webhook-id": webhook_id,
        "webhook-timestamp": seconds,
        "webhook-signature": " ".join(f"v1,{signature}" for signature in signatures),
    }


def _sign(secret: str, content: bytes) -> str:
    key = base64.b64decode(secret.removeprefix(_SECRET_PREFIX))
    return base64.b64encode(hmac.digest(key, content, "sha256")).decode()

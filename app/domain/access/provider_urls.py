"""URLs of an identity provider."""

from __future__ import annotations

import re

# No character that separates the parts of a content security policy.
_PROVIDER_URL = re.compile(
    r"(https://[A-Za-z0-9.:\[\]-]+|http://(localhost|127\.0\.0\.1|\[::1\])(:\d+)?)(/[^\s?#]*)?"
)


def is_provider_url(text: str) -> bool:
    """Whether browsers can sign in at the URL: https, or http on the same machine."""
    return _PROVIDER_URL.fullmatch(text) is not None


def origin_of(url: str) -> str:
    """Returns the origin of a URL for which `is_provider_url` is true."""
    return "/".join(url.split("/", 3)[:3])

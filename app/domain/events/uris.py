"""URIs and URI references (RFC 3986), as CloudEvents uses them for sources."""

from __future__ import annotations

import hashlib
import re
from urllib.parse import quote

from app.domain.shared.limits import Limits

_ESCAPE = "%[0-9A-Fa-f]{2}"
_CHARS = r"A-Za-z0-9\-._~!$&'()*+,;="
_PATH_CHARACTER = f"(?:[{_CHARS}:@]|{_ESCAPE})"
_HOST = rf"(?:\[[0-9A-Fa-f:.]+\]|\[[vV][0-9A-Fa-f]+\.[{_CHARS}:]+\]|(?:[{_CHARS}]|{_ESCAPE})*)"
_AUTHORITY = f"(?:(?:[{_CHARS}:]|{_ESCAPE})*@)?{_HOST}(?::[0-9]*)?"
_NETWORK_PATH = f"//{_AUTHORITY}(?:/{_PATH_CHARACTER}*)*"
_ABSOLUTE_PATH = f"/(?:{_PATH_CHARACTER}+(?:/{_PATH_CHARACTER}*)*)?"
_ROOTLESS_PATH = f"{_PATH_CHARACTER}+(?:/{_PATH_CHARACTER}*)*"
_RELATIVE_PATH = f"(?:[{_CHARS}@]|{_ESCAPE})+(?:/{_PATH_CHARACTER}*)*"
_QUERY_AND_FRAGMENT = rf"(?:\?(?:{_PATH_CHARACTER}|[/?])*)?(?:#(?:{_PATH_CHARACTER}|[/?])*)?"
_URI = re.compile(
    rf"[A-Za-z][A-Za-z0-9+\-.]*:(?:{_NETWORK_PATH}|{_ABSOLUTE_PATH}|{_ROOTLESS_PATH})?{_QUERY_AND_FRAGMENT}"
)
_RELATIVE = re.compile(
    f"(?:{_NETWORK_PATH}|{_ABSOLUTE_PATH}|{_RELATIVE_PATH})?{_QUERY_AND_FRAGMENT}"
)

# A '%' that does not start an escape is not valid in a URI.
_STRAY_PERCENT = re.compile("%(?![0-9A-Fa-f]{2})")
_MAX_LENGTH = Limits.name_characters


def is_uri(text: str) -> bool:
    """Whether the text is an absolute URI."""
    return _URI.fullmatch(text) is not None


def is_uri_reference(text: str) -> bool:
    """Whether the text is an absolute or relative URI reference."""
    return is_uri(text) or _RELATIVE.fullmatch(text) is not None


def to_uri_reference(text: str) -> str:
    """Returns the text if it is a URI reference; otherwise encodes it as one.

    It is percent-encoded, or replaced with a hash if that would exceed the maximum length of a
    source.
    """
    if is_uri_reference(text):
        return text
    reference = quote(_STRAY_PERCENT.sub("%25", text), safe="-._~:/?#@!$&'()*+,;=%")
    if not is_uri_reference(reference):  # it contains colons or hashes where they are not allowed
        reference = quote(text, safe="-._~/")
    if len(reference) > _MAX_LENGTH:
        return f"urn:sha256:{hashlib.sha256(text.encode()).hexdigest()}"
    return reference

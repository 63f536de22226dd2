"""URIs, and the references to them that CloudEvents name sources by (RFC 3986)."""

from __future__ import annotations

import hashlib
import re
from urllib.parse import quote

from app.domain.shared.limits import Limits

_ESCAPE = "%[0-9A-Fa-f]{2}"
_PLAIN = r"A-Za-z0-9\-._~!$&'()*+,;="
_STEP = f"(?:[{_PLAIN}:@]|{_ESCAPE})"
_HOST = rf"(?:\[[0-9A-Fa-f:.]+\]|\[[vV][0-9A-Fa-f]+\.[{_PLAIN}:]+\]|(?:[{_PLAIN}]|{_ESCAPE})*)"
_AUTHORITY = f"(?:(?:[{_PLAIN}:]|{_ESCAPE})*@)?{_HOST}(?::[0-9]*)?"
_FAR = f"//{_AUTHORITY}(?:/{_STEP}*)*"
_ROOTED = f"/(?:{_STEP}+(?:/{_STEP}*)*)?"
_ROOTLESS = f"{_STEP}+(?:/{_STEP}*)*"
_UNSCHEMED = f"(?:[{_PLAIN}@]|{_ESCAPE})+(?:/{_STEP}*)*"
_TAIL = rf"(?:\?(?:{_STEP}|[/?])*)?(?:#(?:{_STEP}|[/?])*)?"
_URI = re.compile(rf"[A-Za-z][A-Za-z0-9+\-.]*:(?:{_FAR}|{_ROOTED}|{_ROOTLESS})?{_TAIL}")
_RELATIVE = re.compile(f"(?:{_FAR}|{_ROOTED}|{_UNSCHEMED})?{_TAIL}")

# What a URI may have where it has it; a '%' that escapes nothing is no part of one.
_STRAY_PERCENT = re.compile("%(?![0-9A-Fa-f]{2})")
_LONGEST_MADE = Limits.name


def is_uri(text: str) -> bool:
    """Whether it is absolute, with a scheme."""
    return _URI.fullmatch(text) is not None


def is_uri_reference(text: str) -> bool:
    return is_uri(text) or _RELATIVE.fullmatch(text) is not None


def uri_reference(text: str) -> str:
    """The text itself where it is a URI-reference, else one that stands for it.

    It is percent-encoded; where that would be longer than a source may be, it is a hash of the
    text.
    """
    if is_uri_reference(text):
        return text
    made = quote(_STRAY_PERCENT.sub("%25", text), safe="-._~:/?#@!$&'()*+,;=%")
    if not is_uri_reference(made):  # its colons and hashes are not where they may be
        made = quote(text, safe="-._~/")
    if len(made) > _LONGEST_MADE:
        return f"urn:sha256:{hashlib.sha256(text.encode()).hexdigest()}"
    return made

"""Masks secrets in texts of others before they are stored or shown.

Known secrets, such as the query and the header values of a request, are found where a response
repeats them or their parts, also without or with another encoding: percent-encoded, in HTML, JSON
or Base64. Unknown ones are found by names such as `password`.
"""

from __future__ import annotations

import base64
import binascii
import html
import json
import re
import string
from collections.abc import Collection, Iterable, Iterator
from itertools import groupby
from operator import itemgetter
from urllib.parse import quote, unquote

MASK = "***"
_CREDENTIAL_NAMES = ("cookie", "password", "secret", "signature", "token")
# JSON strings under names of credentials. Bounded, so that no text takes long to search.
_JSON_NAMES = "|".join(
    (*_CREDENTIAL_NAMES, "authorization", "api_?key", "routing_key", "service_key")
)
_CREDENTIALS = re.compile(
    rf'("[^"]{{0,64}}?(?:{_JSON_NAMES})[^"]{{0,64}}"\s{{0,9}}:\s{{0,9}})"(?:[^"\\]|\\.)*+"?',
    re.IGNORECASE | re.DOTALL,
)
# Shorter parts are words and numbers of other texts rather than secrets, such as "true" or "1".
_MIN_CHARACTERS = 4
_MIN_LETTERS = 8
_DELIMITERS = re.compile(r"[/?&=:;,@\s\"']+")
# Unlike `str.lower`, it keeps the positions of characters.
_LOWER = str.maketrans(string.ascii_uppercase, string.ascii_lowercase)


def find_secret_texts(values: Iterable[str]) -> frozenset[str]:
    """Returns the values and their parts in all their encodings, in lower case."""
    return frozenset(
        encoded.translate(_LOWER)
        for value in values
        for part in _split(value)
        if len(part) >= (_MIN_LETTERS if part.isalpha() else _MIN_CHARACTERS)
        for encoded in _encode(part)
    )


def mask_secrets(text: str, secret_texts: Collection[str], limit: int, *, is_cut: bool) -> str:
    """Returns the first `limit` characters of `text`, in which the secrets are masked.

    `is_cut`: whether the end of `text` is missing, so that a secret there may be incomplete.
    """
    max_length = max(map(len, secret_texts), default=0)
    limit = min(limit, max(0, len(text) - max_length * is_cut))
    searched = text[: limit + max_length].translate(_LOWER)
    is_secret = bytearray(limit)
    for secret in secret_texts:
        start = searched.find(secret)
        while 0 <= start < limit:
            end = min(start + len(secret), limit)
            is_secret[start:end] = b"\1" * (end - start)
            start = searched.find(secret, start + 1)
    runs = groupby(zip(is_secret, text[:limit], strict=True), key=itemgetter(0))
    return "".join(
        MASK if masked else "".join(character for _, character in run) for masked, run in runs
    )


def mask_credentials(text: str) -> str:
    """Returns JSON, which may be invalid or cut off, without values of credentials."""
    return _CREDENTIALS.sub(rf'\1"{MASK}"', text)


def may_be_credential(header: str) -> bool:
    """Whether the value of a header with this name may be a credential."""
    name = header.lower()
    return any(word in name for word in (*_CREDENTIAL_NAMES, "auth", "key"))


def _split(value: str) -> Iterator[str]:
    """The value and its parts, including those of a user name and password in Base64."""
    for text in (value, unquote(value), *_decode_credentials(value)):
        yield text
        yield from _DELIMITERS.split(text)


def _decode_credentials(value: str) -> Iterable[str]:
    try:
        return [base64.b64decode(value.split()[-1], validate=True).decode()]
    except (binascii.Error, ValueError, IndexError):
        return []


def _encode(text: str) -> Iterator[str]:
    yield text
    yield quote(text)
    yield quote(text, safe="")
    yield html.escape(text)
    in_json = json.dumps(text)[1:-1]
    yield in_json
    yield in_json.replace("/", r"\/")
    for encode in (base64.b64encode, base64.urlsafe_b64encode):
        yield encode(text.encode()).decode().rstrip("=")

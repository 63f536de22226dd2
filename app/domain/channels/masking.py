"""Masks the secrets of a request where a response repeats them, before it is stored.

Secrets are the path, the query and the header values, and their parts. They are also found without
or with another encoding: percent-encoded, in HTML, JSON or Base64.
"""

from __future__ import annotations

import base64
import binascii
import html
import json
import re
import string
from collections.abc import Collection, Iterable, Iterator, Mapping
from itertools import groupby
from operator import itemgetter
from urllib.parse import quote, unquote, urlsplit

_MASK = "***"
# Shorter parts are words and numbers of other texts rather than secrets.
_MIN_CHARACTERS = 4
_DELIMITERS = re.compile(r"[/?&=:;,\s\"']+")
# Unlike `str.lower`, it keeps the positions of characters.
_LOWER = str.maketrans(string.ascii_uppercase, string.ascii_lowercase)


def find_secret_texts(url: str, headers: Mapping[str, str]) -> frozenset[str]:
    """Returns the secrets of a request in all their encodings, in lower case."""
    parts = urlsplit(url)
    target = f"{parts.path}?{parts.query}" if parts.query else parts.path
    return frozenset(
        encoded.translate(_LOWER)
        for value in (target, parts.path, parts.query, *headers.values())
        for part in _split(value)
        for encoded in _encode(part)
        if len(encoded) >= _MIN_CHARACTERS
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
        _MASK if masked else "".join(character for _, character in run) for masked, run in runs
    )


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

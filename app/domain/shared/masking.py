"""Masks the secrets of a request where a response repeats them, before it is stored.

Secrets are texts, such as the query and the header values, and their parts. They are also found
without or with another encoding: percent-encoded, in HTML, JSON or Base64.
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

_MASK = "***"
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

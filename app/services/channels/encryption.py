"""Encryption of the secrets of channels with the keys of the operator (AES-256-GCM).

The first key encrypts, and all keys decrypt. A ciphertext is bound to its row: it cannot be
decrypted as the secrets of another channel or organization.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import os
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING
from uuid import UUID

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.ciphers.aead import AESGCM


_KEY_BYTES = 32
_NONCE_BYTES = 12
_KEY_ID_CHARACTERS = 8


class SecretKeyError(ValueError):
    """The keys are invalid. The message says why, without the key."""


class DecryptionError(Exception):
    """No key decrypts the secrets."""


@dataclass(frozen=True)
class _Key:
    id: str
    cipher: AESGCM


class SecretKeys:
    """The keys of a server. Raises SecretKeyError for an invalid one."""

    def __init__(self, keys: Sequence[str]) -> None:
        if not keys:
            raise SecretKeyError("At least one key is required")
        self._keys = [_parse_key(key, number) for number, key in enumerate(keys, 1)]

    def encrypt(self, text: str, organization_id: UUID, row_id: UUID) -> str:
        """Encrypts with the first key."""
        key, nonce = self._keys[0], os.urandom(_NONCE_BYTES)
        context = _build_context(organization_id, row_id)
        ciphertext = key.cipher.encrypt(nonce, text.encode(), context)
        return f"{key.id}.{base64.b64encode(nonce + ciphertext).decode()}"

    def decrypt(self, text: str, organization_id: UUID, row_id: UUID) -> str:
        """Decrypts what was encrypted for this row. Raises DecryptionError."""
        key_id, _, encoded = text.partition(".")
        from cryptography.exceptions import InvalidTag  # only processes with keys import it

        try:
            data = base64.b64decode(encoded, validate=True)
            key = next(key for key in self._keys if key.id == key_id)
            context = _build_context(organization_id, row_id)
            return key.cipher.decrypt(data[:_NONCE_BYTES], data[_NONCE_BYTES:], context).decode()
        except StopIteration:
            message = f"The secrets were encrypted with the key {key_id}, which is not in "
            raise DecryptionError(f"{message}TOCSIN_SECRETS_KEYS.") from None
        except (binascii.Error, InvalidTag, ValueError):
            raise DecryptionError(
                "The secrets were changed, or are those of another row."
            ) from None

    def is_current(self, text: str) -> bool:
        """Whether the text was encrypted with the first key."""
        return text.partition(".")[0] == self._keys[0].id


def _parse_key(text: str, number: int) -> _Key:
    from cryptography.hazmat.primitives.ciphers.aead import AESGCM

    try:
        key = base64.b64decode(text.strip(), altchars=b"-_", validate=True)
    except (binascii.Error, ValueError):
        key = b""
    if len(key) != _KEY_BYTES:
        raise SecretKeyError(
            f"Key {number} must be {_KEY_BYTES} bytes in Base64, which "
            "`openssl rand -base64 32` creates"
        )
    return _Key(hashlib.sha256(key).hexdigest()[:_KEY_ID_CHARACTERS], AESGCM(key))


def _build_context(organization_id: UUID, row_id: UUID) -> bytes:
    return organization_id.bytes + row_id.bytes

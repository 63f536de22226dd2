"""Masking of secrets in texts that may repeat them."""

from __future__ import annotations

import pytest

from app.domain.shared.masking import find_secret_texts, mask_secrets


@pytest.mark.parametrize(
    ("secret", "text", "expected"),
    [
        ("?flag=true&mode=fast", '{"ok": true, "fast": 1}', '{"ok": true, "fast": 1}'),
        ("?flag=true&mode=fast", "no ?flag=true&mode=fast", "no ***"),
        ("?pin=12", "at 12 o'clock", "at 12 o'clock"),
        ("?pin=12a4", "pin 12A4", "pin ***"),
        ("?word=secretive", "is SECRETIVE", "is ***"),
        ("user:pa55@mail.example.com", "no pa55 for mail.example.com", "no *** for ***"),
    ],
)
def test_secrets_and_their_parts_are_masked_but_not_common_words(
    secret: str, text: str, expected: str
) -> None:
    masked = mask_secrets(text, find_secret_texts([secret]), 100, is_cut=False)

    assert masked == expected

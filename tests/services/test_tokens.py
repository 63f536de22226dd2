"""Verification of tokens: all signature algorithms, hostile tokens, and key rotation."""

from __future__ import annotations

import asyncio
import base64
import contextlib
import gzip
import hashlib
import hmac
import json
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from typing import Any

import jwt
import pytest
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from hypothesis import given
from hypothesis import strategies as st
from structlog.testing import capture_logs

from app.domain.access.caller import Permission
from app.domain.access.tokens import TokenClaims, TokenSettingsError
from app.domain.shared.problems import ErrorCode, RequestError
from app.services.auth import jwks
from app.services.auth.jwks import KEEP_HOURS, MAX_KEY_SET_BYTES, REFETCH_SECONDS, REFRESH_MINUTES
from app.services.auth.tokens import TokenVerifier
from tests.client import TIMEOUT_SECONDS
from tests.identity_provider import Provider, SigningKey, identity_provider, signing_key

NOW = datetime(2026, 11, 1, 12, tzinfo=UTC)
SECRET = "a secret of forty bytes, shared with us."
CLAIMS = {
    "sub": "scada",
    "organization": "wells",
    "permissions": ["EventRead"],
    "exp": (NOW + timedelta(days=30)).timestamp(),
}
EXPECTED_CLAIMS = TokenClaims(
    "scada",
    frozenset({"wells"}),
    frozenset({Permission.EVENT_READ}),
    NOW + timedelta(days=30, seconds=30),
)
REFETCH = timedelta(seconds=REFETCH_SECONDS)
REFRESH = timedelta(minutes=REFRESH_MINUTES)
KEEP = timedelta(hours=KEEP_HOURS)
ASYMMETRIC = ["RS256", "RS384", "RS512", "PS256", "PS384", "PS512"]
ASYMMETRIC += ["ES256", "ES384", "ES512", "EdDSA", "Ed448"]


@contextlib.asynccontextmanager
async def open_verifier(**settings: Any) -> AsyncIterator[TokenVerifier]:
    tokens = TokenVerifier(**settings)
    try:
        yield tokens
    finally:
        await tokens.close()


async def rejection_message(
    tokens: TokenVerifier,
    token: str,
    now: datetime = NOW,
    code: ErrorCode = ErrorCode.UNAUTHENTICATED,
) -> str:
    with pytest.raises(RequestError) as raised:
        await tokens.verify_token(token, now)
    assert raised.value.code is code
    assert all(part not in raised.value.message for part in token.split(".") if len(part) > 20)
    return raised.value.message


def encode_segment(value: Any) -> str:
    text = value if isinstance(value, bytes) else json.dumps(value).encode()
    return base64.urlsafe_b64encode(text).decode().rstrip("=")


def sign_with_secret(payload: bytes, secret: str = SECRET, **header: Any) -> str:
    """Signs without PyJWT, which warns about weak secrets."""
    head = encode_segment({"alg": "HS256"} | header)
    signed = f"{head}.{encode_segment(payload)}"
    return (
        f"{signed}.{encode_segment(hmac.digest(secret.encode(), signed.encode(), hashlib.sha256))}"
    )


# The shared secret


@pytest.mark.parametrize("algorithm", ["HS256", "HS384", "HS512"])
@pytest.mark.filterwarnings("ignore::jwt.warnings.InsecureKeyLengthWarning")
async def test_a_token_signed_with_the_secret_is_accepted(algorithm: str) -> None:
    token = jwt.encode(CLAIMS, SECRET, algorithm)

    async with open_verifier(secret=SECRET) as tokens:
        claims = await tokens.verify_token(token, NOW)

    assert claims == EXPECTED_CLAIMS


async def test_a_token_signed_with_another_secret_is_rejected() -> None:
    token = jwt.encode(CLAIMS, SECRET + "!", "HS256")

    async with open_verifier(secret=SECRET) as tokens:
        message = await rejection_message(tokens, token)

    assert message == "The signature of the token is invalid."


async def test_issuer_audience_and_leeway_are_the_settings() -> None:
    token = jwt.encode(CLAIMS | {"iss": "https://id", "aud": ["a", "tocsin"]}, SECRET, "HS256")
    late = EXPECTED_CLAIMS.expires_at + timedelta(seconds=30)

    async with (
        open_verifier(
            secret=SECRET, issuer="https://id", audience="tocsin", leeway_seconds=61
        ) as right,
        open_verifier(secret=SECRET, issuer="https://di") as other_issuer,
        open_verifier(secret=SECRET, audience="tocsin2") as other_audience,
    ):
        await right.verify_token(token, late)
        messages = [
            await rejection_message(right, token, late + timedelta(seconds=1)),
            await rejection_message(other_issuer, token),
            await rejection_message(other_audience, token),
        ]

    for claim, message in zip(("exp", "iss", "aud"), messages, strict=True):
        assert f"({claim})" in message


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        (
            {"secret": "x" * 31},
            "The secret for tokens has 31 bytes; at least 32 are required.",
        ),
        ({"secret": ""}, "The secret for tokens has 0 bytes; at least 32 are required."),
        (
            {"secret": json.dumps(signing_key("a").jwk())},
            "The secret for tokens must not be a public or private key. Publish the public key "
            "as a JSON Web Key Set, and set TOCSIN_JWT_JWKS_URL.",
        ),
        (
            {"leeway_seconds": -1},
            "Invalid leeway of -1 seconds for access tokens: expected 0 to 3,600 seconds.",
        ),
        (
            {"leeway_seconds": 3601},
            "Invalid leeway of 3,601 seconds for access tokens: expected 0 to 3,600 seconds.",
        ),
        *[
            (
                {"jwks_url": url},
                "The JWKS URL for tokens must be an https:// or http:// URL.",
            )
            for url in ("", "id/keys", "file:///etc/keys", "https://", "http://[", "http://a:b/")
        ],
    ],
)
def test_unusable_settings_are_rejected_at_startup(settings: dict[str, Any], message: str) -> None:
    with pytest.raises(TokenSettingsError) as raised:
        TokenVerifier(**settings)

    assert str(raised.value) == message


async def test_a_secret_of_32_bytes_is_accepted() -> None:
    secret = "ü" * 16

    async with open_verifier(secret=secret) as tokens:
        claims = await tokens.verify_token(
            sign_with_secret(json.dumps(CLAIMS).encode(), secret), NOW
        )

    assert claims == EXPECTED_CLAIMS


# Algorithms and keys, and confusion of algorithms


@pytest.mark.parametrize("algorithm", ASYMMETRIC)
async def test_a_token_signed_with_a_published_key_is_accepted(algorithm: str) -> None:
    key, other = signing_key("a", algorithm), signing_key("b", algorithm)
    forged = SigningKey(key.algorithm, "a", other.private)

    async with identity_provider(key, other) as id, open_verifier(jwks_url=id.url) as tokens:
        claims = await tokens.verify_token(key.sign(CLAIMS), NOW)
        message = await rejection_message(tokens, forged.sign(CLAIMS))

    assert claims == EXPECTED_CLAIMS
    assert message == "The signature of the token is invalid."
    assert id.fetches == 1


async def test_the_algorithm_selects_secret_or_published_keys_and_never_the_other() -> None:
    key = signing_key("a", "RS256")
    public = key.private.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
    published = json.dumps(key.jwk())
    symmetric = {"kty": "oct", "kid": "s", "k": encode_segment(SECRET.encode()), "alg": "HS256"}

    async with identity_provider() as id, open_verifier(secret=SECRET, jwks_url=id.url) as both:
        id.publish_jwks(key.jwk(), symmetric)
        genuine = [
            await both.verify_token(key.sign(CLAIMS), NOW),
            await both.verify_token(jwt.encode(CLAIMS, SECRET, "HS256"), NOW),
        ]
        payload = json.dumps(CLAIMS).encode()
        confused = [
            await rejection_message(both, sign_with_secret(payload, secret, kid="a"))
            for secret in (public.decode(), public.decode().strip(), published)
        ]
        async with open_verifier(jwks_url=id.url) as published_only:
            symmetric_refused = await rejection_message(
                published_only, sign_with_secret(payload, kid="s")
            )
    async with open_verifier(secret=SECRET) as secret_only:
        asymmetric_refused = await rejection_message(secret_only, key.sign(CLAIMS))

    assert genuine == [EXPECTED_CLAIMS, EXPECTED_CLAIMS]
    assert confused == ["The signature of the token is invalid."] * 3
    assert symmetric_refused == (
        "Unsupported token algorithm 'HS256' (alg): expected one of ES256, ES384, ES512, EdDSA, "
        "PS256, PS384, PS512, RS256, RS384, RS512."
    )
    assert asymmetric_refused == (
        "Unsupported token algorithm 'RS256' (alg): expected one of HS256, HS384, HS512."
    )


@pytest.mark.parametrize(
    "algorithm", ["none", "None", "NONE", "", "hs256", "HS1", "ES256K", "ES521", "A" * 99, "Ü"]
)
@pytest.mark.parametrize("signature", ["", "AAAA"])
async def test_unsigned_tokens_and_unknown_algorithms_are_rejected(
    algorithm: str, signature: str
) -> None:
    token = f"{encode_segment({'alg': algorithm, 'kid': 'a'})}.{encode_segment(CLAIMS)}.{signature}"

    async with (
        identity_provider(signing_key("a")) as id,
        open_verifier(secret=SECRET, jwks_url=id.url) as tokens,
    ):
        message = await rejection_message(tokens, token)

    assert message == (
        f"Unsupported token algorithm {algorithm[:20]!a} (alg): expected one of ES256, ES384, "
        "ES512, EdDSA, HS256, HS384, HS512, PS256, PS384, PS512, RS256, RS384, RS512."
    )
    assert id.fetches == 0


@pytest.mark.parametrize(
    ("algorithm", "attributes"),
    [
        ("RS256", {"alg": "PS256"}),
        ("RS256", {"alg": "RS512"}),
        ("RS256", {"alg": "HS256"}),
        ("RS256", {"alg": "RSA-OAEP"}),
        ("RS256", {"alg": 7}),
        ("RS256", {"kty": "EC"}),
        ("RS256", {"kty": ["RSA"]}),
        ("RS256", {"use": "enc"}),
        ("RS256", {"key_ops": ["encrypt"]}),
        ("RS256", {"key_ops": "verify"}),
        ("RS256", {"n": "AQAB"}),
        ("RS256", {"n": 7}),
        ("RS256", {"e": None}),
        ("RS256", {"e": "AA"}),
        ("RS256", {"d": "AQAB"}),
        ("RS256", {"kid": None}),
        ("RS256", {"kid": ["a"]}),
        ("ES256", {"crv": "P-384"}),
        ("ES256", {"crv": "secp256k1"}),
        ("ES256", {"crv": ["P-256"]}),
        ("ES256", {"x": "AQAB"}),
        ("ES256", {"x": encode_segment(bytes(32)), "y": encode_segment(bytes(32))}),
        ("EdDSA", {"crv": "X25519"}),
        ("EdDSA", {"x": "AQAB"}),
    ],
    ids=str,
)
async def test_a_key_of_another_use_or_type_is_ignored(
    algorithm: str, attributes: dict[str, Any]
) -> None:
    key, sound = signing_key("a", algorithm), signing_key("b")

    async with identity_provider() as id, open_verifier(jwks_url=id.url) as tokens:
        id.publish_jwks(key.jwk(**attributes), sound.jwk(), "no key", None, {})
        message = await rejection_message(tokens, key.sign(CLAIMS))
        await tokens.verify_token(sound.sign(CLAIMS), NOW)

    assert message == (
        f"The identity provider publishes no key 'a' for {algorithm}, the algorithm of the token."
    )


async def test_a_key_without_an_algorithm_verifies_all_algorithms_of_its_type() -> None:
    key = signing_key("a", "RS256")
    probabilistic = SigningKey("PS512", "a", key.private)

    async with identity_provider() as id, open_verifier(jwks_url=id.url) as tokens:
        id.publish_jwks(key.jwk(use=None, alg=None, key_ops=["verify"]))
        claims = [
            await tokens.verify_token(each.sign(CLAIMS), NOW) for each in (key, probabilistic)
        ]

    assert claims == [EXPECTED_CLAIMS, EXPECTED_CLAIMS]


async def test_a_key_published_with_its_private_part_is_ignored() -> None:
    key = signing_key("a", "EdDSA")

    async with identity_provider() as id, open_verifier(jwks_url=id.url) as tokens:
        id.publish_jwks(key.jwk(d=encode_segment(key.private.private_bytes_raw())))
        message = await rejection_message(tokens, key.sign(CLAIMS))

    assert message.startswith("The identity provider publishes no key 'a' for")


async def test_a_short_rsa_key_is_ignored() -> None:
    key = SigningKey("RS256", "a", rsa.generate_private_key(65537, 1024))
    with pytest.warns(jwt.warnings.InsecureKeyLengthWarning):
        token = key.sign(CLAIMS)

    async with identity_provider(key) as id, open_verifier(jwks_url=id.url) as tokens:
        message = await rejection_message(tokens, token)

    assert message.startswith("The identity provider publishes no key 'a' for")


async def test_a_token_without_a_key_id_is_accepted_if_exactly_one_key_matches() -> None:
    curve, rsa_key = signing_key("c"), signing_key("r", "RS256")
    another = signing_key("d")
    unnamed = SigningKey("ES256", None, curve.private)

    async with identity_provider(curve, rsa_key) as id:
        async with open_verifier(jwks_url=id.url) as tokens:
            claims = await tokens.verify_token(unnamed.sign(CLAIMS), NOW)
        id.publish(curve, rsa_key, another)
        async with open_verifier(jwks_url=id.url) as tokens:
            several = await rejection_message(tokens, unnamed.sign(CLAIMS))
        id.publish(rsa_key)
        async with open_verifier(jwks_url=id.url) as tokens:
            none = await rejection_message(tokens, unnamed.sign(CLAIMS))

    assert claims == EXPECTED_CLAIMS
    assert several.startswith("2 keys of the identity provider match the token.")
    assert none.startswith("The identity provider publishes no key for")


# Hostile tokens

GOOD = sign_with_secret(json.dumps(CLAIMS).encode())
HEAD, BODY, SIGNATURE = GOOD.split(".")
UNREADABLE = "Invalid token: expected a signed JWT."
NO_CLAIMS = "Invalid token claims: expected a JSON object."


@pytest.mark.parametrize(
    ("token", "message"),
    [
        ("", UNREADABLE),
        (".", UNREADABLE),
        ("..", UNREADABLE),
        ("....", UNREADABLE),
        (f"{HEAD}.{BODY}", UNREADABLE),
        (f"{HEAD}.{BODY}.{SIGNATURE}.", UNREADABLE),
        (f"{HEAD}.{BODY}.{SIGNATURE}.{SIGNATURE}.{SIGNATURE}", UNREADABLE),
        (f"{HEAD}.{BODY}.", "The signature of the token is invalid."),
        (f"{HEAD}.{BODY}.{SIGNATURE[:40]}", "The signature of the token is invalid."),
        (f"{HEAD}.{BODY}.{SIGNATURE}!", UNREADABLE),
        (f"{HEAD}.{BODY}.{SIGNATURE[:-2]}", UNREADABLE),
        (f"{HEAD}.{BODY[:-4]}.{SIGNATURE}", "The signature of the token is invalid."),
        (f"{HEAD}.{BODY}\n.{SIGNATURE}", UNREADABLE),
        (f"{HEAD} .{BODY}.{SIGNATURE}", UNREADABLE),
        (f"ü{HEAD}.{BODY}.{SIGNATURE}", UNREADABLE),
        (f"\ud800{HEAD}.{BODY}.{SIGNATURE}", UNREADABLE),
        (f"\x00.{BODY}.{SIGNATURE}", UNREADABLE),
        (f"{encode_segment(b'[]')}.{BODY}.{SIGNATURE}", UNREADABLE),
        (f"{encode_segment(b'null')}.{BODY}.{SIGNATURE}", UNREADABLE),
        (f"{encode_segment(bytes([255, 254]))}.{BODY}.{SIGNATURE}", UNREADABLE),
        (f"{encode_segment(b'[' * 5000)}.e30.AAAA", UNREADABLE),
        (f"{encode_segment(b'{' + b'{'.join([b'a:'] * 1500))}.e30.AAAA", UNREADABLE),
        (f"{encode_segment(b'9' * 5000)}.e30.AAAA", UNREADABLE),
        (
            f"{encode_segment({})}.{BODY}.{SIGNATURE}",
            "The token's header does not name a signature algorithm (alg).",
        ),
        (
            f"{encode_segment({'alg': ['HS256']})}.{BODY}.{SIGNATURE}",
            "The token's header does not name a signature algorithm (alg).",
        ),
        (
            f"{encode_segment({'alg': None})}.{BODY}.{SIGNATURE}",
            "The token's header does not name a signature algorithm (alg).",
        ),
        (sign_with_secret(b"{}", kid=7), UNREADABLE),
        (sign_with_secret(b"{}", b64=False), UNREADABLE),
        ("x" * 8193, "The token has 8,193 characters; the maximum is 8,192."),
        ("x" * 8192, UNREADABLE),
        ("e30." * 250_000, "The token has 1,000,000 characters; the maximum is 8,192."),
    ],
    ids=lambda told: told[:30],
)
async def test_a_malformed_token_is_rejected(token: str, message: str) -> None:
    async with open_verifier(secret=SECRET) as tokens:
        assert await rejection_message(tokens, token) == message


@pytest.mark.parametrize("critical", [["exp"], ["b64"], ["http://example.org/x"], [], "b64", None])
async def test_a_critical_extension_is_rejected(critical: Any) -> None:
    token = sign_with_secret(json.dumps(CLAIMS).encode(), crit=critical, b64=True, exp=1)

    async with open_verifier(secret=SECRET) as tokens:
        message = await rejection_message(tokens, token)

    assert message in (
        UNREADABLE,
        "The token requires extensions that this server does not support (crit).",
    )


async def test_a_key_inside_the_token_is_not_used() -> None:
    key = signing_key("mine")
    elsewhere = {"jwk": key.jwk(), "jku": "http://127.0.0.1:9/keys", "x5u": "http://127.0.0.1:9"}

    async with identity_provider(signing_key("a")) as id, open_verifier(jwks_url=id.url) as tokens:
        message = await rejection_message(tokens, key.sign(CLAIMS, **elsewhere))

    assert message.startswith("The identity provider publishes no key 'mine' for")


@pytest.mark.parametrize(
    ("payload", "message"),
    [
        (b"", NO_CLAIMS),
        (b"[]", NO_CLAIMS),
        (b"null", NO_CLAIMS),
        (b'"claims"', NO_CLAIMS),
        (b"\xff", NO_CLAIMS),
        (b"{", NO_CLAIMS),
        (b"[" * 5000, NO_CLAIMS),
        (b'{"a":' * 1000, NO_CLAIMS),
        (b'{"exp": %s}' % (b"9" * 5000), NO_CLAIMS),
        (b"{}", "The token has no expiration time: the 'exp' claim is missing."),
        *[
            (
                b'{"exp": %s}' % exp,
                "The token's 'exp' claim must be a number of seconds since 1970-01-01T00:00:00Z.",
            )
            for exp in (b"NaN", b"Infinity", b"-Infinity", b"1e999", b"-1", b"9" * 4000, b'"1"')
        ],
    ],
    ids=lambda told: str(told[:20]),
)
async def test_invalid_claims_are_rejected_although_the_signature_is_valid(
    payload: bytes, message: str
) -> None:
    async with open_verifier(secret=SECRET) as tokens:
        assert await rejection_message(tokens, sign_with_secret(payload)) == message


@given(st.text(st.sampled_from(GOOD + '=!\x00ü\ud800{}[]"'), max_size=400), st.integers(0, 400))
async def test_any_invalid_token_results_in_unauthenticated(text: str, at: int) -> None:
    async with open_verifier(secret=SECRET) as tokens:
        for token in (text, GOOD[:at] + text[:3] + "~" + GOOD[at:], f"{HEAD}.{text}.{SIGNATURE}"):
            await rejection_message(tokens, token)


@pytest.mark.parametrize("algorithm", ASYMMETRIC)
async def test_any_wrong_signature_is_rejected(algorithm: str) -> None:
    key = signing_key("a", algorithm)
    signed, _, good = key.sign(CLAIMS).rpartition(".")
    sizes = (0, 1, 63, 64, 65, 96, 114, 132, 255, 256, 257, 3000)
    forged = [bytes([value]) * size for size in sizes for value in (0, 1, 255)]

    async with identity_provider(key) as id, open_verifier(jwks_url=id.url) as tokens:
        messages = {
            await rejection_message(tokens, f"{signed}.{encode_segment(each)}") for each in forged
        }
        messages.add(await rejection_message(tokens, f"{signed}.AAAA{good[4:]}"))

    assert messages == {"The signature of the token is invalid."}


# Key rotation of a local identity provider

A, B, UNKNOWN = signing_key("A"), signing_key("B", "RS256"), signing_key("unknown")


@pytest.fixture
async def provider() -> AsyncIterator[Provider]:
    async with identity_provider(A) as provider:
        yield provider


@pytest.fixture
async def tokens(provider: Provider) -> AsyncIterator[TokenVerifier]:
    async with open_verifier(jwks_url=provider.url) as tokens:
        yield tokens


async def test_keys_can_be_rotated(provider: Provider, tokens: TokenVerifier) -> None:
    await tokens.verify_token(A.sign(CLAIMS), NOW)
    await tokens.verify_token(A.sign(CLAIMS), NOW + timedelta(minutes=9))
    assert provider.fetches == 1

    provider.publish(A, B)
    await tokens.verify_token(B.sign(CLAIMS), NOW + timedelta(minutes=9))
    await tokens.verify_token(A.sign(CLAIMS), NOW + timedelta(minutes=9))
    assert provider.fetches == 2

    provider.publish(B)
    await tokens.verify_token(A.sign(CLAIMS), NOW + timedelta(minutes=18))
    assert provider.fetches == 2
    message = await rejection_message(tokens, A.sign(CLAIMS), NOW + timedelta(minutes=19))
    await tokens.verify_token(B.sign(CLAIMS), NOW + timedelta(minutes=19))
    assert provider.fetches == 3
    assert message == (
        "The identity provider publishes no key 'A' for ES256, the algorithm of the token."
    )


async def test_fifty_unknown_keys_at_once_cause_one_fetch(
    provider: Provider, tokens: TokenVerifier
) -> None:
    await tokens.verify_token(A.sign(CLAIMS), NOW)
    made_up = [UNKNOWN.sign(CLAIMS, kid=f"made up {number}") for number in range(50)]

    at_once = await asyncio.gather(
        *(rejection_message(tokens, token, NOW + REFETCH) for token in made_up)
    )

    assert len(set(at_once)) == 50
    assert provider.fetches == 2


async def test_sequential_unknown_keys_cause_one_fetch_in_ten_seconds(
    provider: Provider, tokens: TokenVerifier
) -> None:
    for second in range(30):
        await rejection_message(tokens, UNKNOWN.sign(CLAIMS), NOW + timedelta(seconds=second))

    assert provider.fetches == 3


async def test_a_clock_that_was_set_back_does_not_stop_fetches(
    provider: Provider, tokens: TokenVerifier
) -> None:
    await tokens.verify_token(A.sign(CLAIMS), NOW)
    provider.publish(B)

    await tokens.verify_token(B.sign(CLAIMS), NOW - timedelta(days=1))

    assert provider.fetches == 2


async def test_the_first_fifty_tokens_share_one_fetch(
    provider: Provider, tokens: TokenVerifier
) -> None:
    claims = await asyncio.gather(*(tokens.verify_token(A.sign(CLAIMS), NOW) for _ in range(50)))

    assert claims == [EXPECTED_CLAIMS] * 50
    assert provider.fetches == 1


async def test_a_cancelled_request_does_not_cancel_the_shared_fetch(
    provider: Provider, tokens: TokenVerifier
) -> None:
    first = asyncio.create_task(tokens.verify_token(A.sign(CLAIMS), NOW))
    second = asyncio.create_task(tokens.verify_token(A.sign(CLAIMS), NOW))
    await asyncio.sleep(0)

    first.cancel()

    assert await second == EXPECTED_CLAIMS
    assert first.cancelled()
    assert provider.fetches == 1


async def test_while_the_provider_is_down_cached_keys_are_used_for_a_day(
    provider: Provider, tokens: TokenVerifier
) -> None:
    await tokens.verify_token(A.sign(CLAIMS), NOW)
    await provider.stop()

    with capture_logs() as logs:
        for later in (REFRESH, REFRESH + REFETCH, KEEP - timedelta(seconds=1)):
            assert await tokens.verify_token(A.sign(CLAIMS), NOW + later) == EXPECTED_CLAIMS
        message = await rejection_message(tokens, A.sign(CLAIMS), NOW + KEEP, ErrorCode.UNAVAILABLE)
        await provider.start()
        assert await tokens.verify_token(A.sign(CLAIMS), NOW + KEEP + REFETCH) == EXPECTED_CLAIMS

    assert message == "The public keys of the identity provider are unavailable. Try again."
    down, *_, up = logs
    assert down == {
        "log_level": "warning",
        "event": "jwks_not_fetched",
        "host": "127.0.0.1",
        "reason": "All connection attempts failed",
        "known_keys": 1,
        "known_since": "2026-11-01T12:00:00+00:00",
    }
    assert up == {"log_level": "info", "event": "jwks_fetched", "kids": ["A"]}


async def test_without_keys_a_token_results_in_unavailable(
    provider: Provider, tokens: TokenVerifier
) -> None:
    provider.respond_with("503 Service Unavailable", b"")

    for second in range(REFETCH_SECONDS):
        now = NOW + timedelta(seconds=second)
        await rejection_message(tokens, A.sign(CLAIMS), now, ErrorCode.UNAVAILABLE)
    assert provider.fetches == 1

    provider.publish(A)
    assert await tokens.verify_token(A.sign(CLAIMS), NOW + REFETCH) == EXPECTED_CLAIMS


async def test_while_the_provider_does_not_respond_only_the_first_request_waits(
    provider: Provider, tokens: TokenVerifier, monkeypatch: pytest.MonkeyPatch
) -> None:
    await tokens.verify_token(A.sign(CLAIMS), NOW)
    provider.answering.clear()
    monkeypatch.setattr(jwks, "FETCH_TIMEOUT_SECONDS", 0.05)
    with capture_logs() as logs:
        assert await tokens.verify_token(A.sign(CLAIMS), NOW + REFRESH) == EXPECTED_CLAIMS
    assert [line["reason"] for line in logs] == ["TimeoutError"]

    monkeypatch.setattr(jwks, "FETCH_TIMEOUT_SECONDS", TIMEOUT_SECONDS)
    assert await tokens.verify_token(A.sign(CLAIMS), NOW + REFRESH + REFETCH) == EXPECTED_CLAIMS

    provider.publish(B)
    provider.answering.set()
    assert await tokens.verify_token(B.sign(CLAIMS), NOW + REFRESH + REFETCH) == EXPECTED_CLAIMS
    assert provider.fetches == 3


@pytest.mark.parametrize(
    ("status", "body", "header", "why"),
    [
        ("302 Found", b"", "location: /keys?of=tocsin", "The response status was 302."),
        ("404 Not Found", b"{}", "x: y", "The response status was 404."),
        ("200 OK", b"<html>", "x: y", "The response is not valid JSON."),
        ("200 OK", b"[" * 100_000, "x: y", "The response is not valid JSON."),
        (
            "200 OK",
            gzip.compress(b'{"keys": []}'),
            "content-encoding: gzip",
            "The response is not valid JSON.",
        ),
        ("200 OK", b"[]", "x: y", "The response has no `keys` array."),
        ("200 OK", b'{"keys": {"A": {}}}', "x: y", "The response has no `keys` array."),
        (
            "200 OK",
            b" " * (MAX_KEY_SET_BYTES + 1),
            "x: y",
            "The response is larger than 262,144 bytes.",
        ),
    ],
    ids=["moved", "missing", "a page", "nested", "compressed", "a list", "an object", "large"],
)
async def test_an_invalid_key_set_changes_nothing(
    provider: Provider, tokens: TokenVerifier, status: str, body: bytes, header: str, why: str
) -> None:
    await tokens.verify_token(A.sign(CLAIMS), NOW)
    provider.respond_with(status, body, header)

    with capture_logs() as logs:
        claims = await tokens.verify_token(A.sign(CLAIMS), NOW + REFRESH)

    assert claims == EXPECTED_CLAIMS
    assert [(line["event"], line["reason"]) for line in logs] == [("jwks_not_fetched", why)]
    assert provider.fetches == 2


async def test_an_empty_key_set_revokes_all_keys(provider: Provider, tokens: TokenVerifier) -> None:
    await tokens.verify_token(A.sign(CLAIMS), NOW)
    provider.publish()

    with capture_logs() as logs:
        message = await rejection_message(tokens, A.sign(CLAIMS), NOW + REFRESH)

    assert message.startswith("The identity provider publishes no key 'A' for")
    assert [line["event"] for line in logs] == ["jwks_without_usable_keys", "jwks_fetched"]


async def test_closing_cancels_a_running_fetch(provider: Provider) -> None:
    provider.answering.clear()
    async with open_verifier(jwks_url=provider.url) as tokens:
        waiting = asyncio.create_task(tokens.verify_token(A.sign(CLAIMS), NOW))
        while provider.fetches == 0:
            await asyncio.sleep(0)

    with pytest.raises(asyncio.CancelledError):
        await waiting
    provider.answering.set()

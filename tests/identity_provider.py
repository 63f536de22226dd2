"""An identity provider for tests: it signs tokens, and serves its keys over HTTP."""

from __future__ import annotations

import asyncio
import contextlib
import json
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass
from functools import cache
from typing import Any

import jwt
from cryptography.hazmat.primitives.asymmetric import ec, ed448, ed25519, rsa
from jwt.algorithms import get_default_algorithms

ALGORITHMS = get_default_algorithms()
MAKERS: dict[str, Callable[[], Any]] = {
    "RS": lambda: rsa.generate_private_key(65537, 2048),
    "PS": lambda: rsa.generate_private_key(65537, 2048),
    "ES256": lambda: ec.generate_private_key(ec.SECP256R1()),
    "ES384": lambda: ec.generate_private_key(ec.SECP384R1()),
    "ES512": lambda: ec.generate_private_key(ec.SECP521R1()),
    "EdDSA": ed25519.Ed25519PrivateKey.generate,
    "Ed448": ed448.Ed448PrivateKey.generate,
}


@dataclass(frozen=True)
class SigningKey:
    """A private key of the provider. If `kid` is None, the key and its tokens have no key ID."""

    algorithm: str
    kid: str | None
    private: Any

    def jwk(self, **overrides: Any) -> dict[str, Any]:
        """The public JWK. Overrides with the value None remove a member."""
        public = ALGORITHMS[self.algorithm].to_jwk(self.private.public_key(), as_dict=True)
        public.pop("key_ops", None)
        jwk = public | {"kid": self.kid, "use": "sig", "alg": self.algorithm} | overrides
        return {name: value for name, value in jwk.items() if value is not None}

    def sign(self, claims: Any, **header: Any) -> str:
        named = {} if self.kid is None else {"kid": self.kid}
        payload = claims if isinstance(claims, bytes) else json.dumps(claims).encode()
        return jwt.PyJWS().encode(payload, self.private, self.algorithm, named | header)


@cache
def signing_key(kid: str | None, algorithm: str = "ES256") -> SigningKey:
    """Returns a cached key, because generating RSA keys is slow."""
    family = algorithm[:2] if algorithm[:2] in MAKERS else algorithm
    return SigningKey(algorithm.replace("Ed448", "EdDSA"), kid, MAKERS[family]())


class Provider:
    """Serves its keys at `url`, counts the requests, and can be set to return any other
    response.
    """

    def __init__(self) -> None:
        self.url = ""
        self.fetches = 0
        self.answer = b""
        self.answering = asyncio.Event()
        self.answering.set()
        self._server: asyncio.Server | None = None
        self._port = 0

    def publish(self, *keys: SigningKey) -> None:
        self.publish_jwks(*(key.jwk() for key in keys))

    def publish_jwks(self, *jwks: Any) -> None:
        self.respond_with("200 OK", json.dumps({"keys": jwks}).encode())

    def respond_with(self, status: str, body: bytes, *headers: str) -> None:
        head = [f"HTTP/1.1 {status}", f"content-length: {len(body)}", "connection: close", *headers]
        self.answer = "\r\n".join([*head, "", ""]).encode() + body

    async def start(self) -> None:
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", self._port)
        self._port = self._server.sockets[0].getsockname()[1]
        self.url = f"http://127.0.0.1:{self._port}/keys?of=tocsin"

    async def stop(self) -> None:
        if self._server is not None:
            self._server.close()
            await self._server.wait_closed()
            self._server = None

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(ConnectionError, asyncio.IncompleteReadError):
            request_head = await reader.readuntil(b"\r\n\r\n")
            assert request_head.startswith(b"GET /keys?of=tocsin ")
            self.fetches += 1
            await self.answering.wait()
            writer.write(self.answer)
            await writer.drain()
        writer.close()


@contextlib.asynccontextmanager
async def identity_provider(*keys: SigningKey) -> AsyncIterator[Provider]:
    provider = Provider()
    provider.publish(*keys)
    await provider.start()
    try:
        yield provider
    finally:
        await provider.stop()

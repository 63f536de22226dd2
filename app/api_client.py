"""A client of the GraphQL API, for commands."""

from __future__ import annotations

import contextlib
import json
import os
import ssl
import time
from collections.abc import Collection, Iterator, Mapping
from pathlib import Path
from types import TracebackType
from typing import Any

import httpx

from app.domain.shared.json_encoding import encode_json, load_json
from app.domain.shared.messages import quote_value

TIMEOUT_SECONDS = 60
MAX_RETRIES = 10
_PAGE_SIZE = 20  # that of the server can be smaller than 100
_TEMPORARY_STATUSES = {408, 429, 502, 503, 504}
_EVENTS = "text/event-stream"
# How OpenSSL names what a server without TLS answers to a handshake.
_RESPONSES_WITHOUT_TLS = {
    *("WRONG_VERSION_NUMBER", "HTTP_REQUEST", "PACKET_LENGTH_TOO_LONG", "RECORD_LAYER_FAILURE"),
}


class ApiError(Exception):
    """The server cannot be reached, or did not execute an operation.

    `code`: that of the error in the response, if it has one. `is_temporary`: a retry can succeed,
    after at least `retry_after` seconds.
    """

    def __init__(
        self,
        message: str,
        code: str | None = None,
        *,
        is_temporary: bool = False,
        retry_after: float = 0,
    ) -> None:
        super().__init__(message)
        self.code = code
        self.is_temporary = is_temporary
        self.retry_after = retry_after


def load_key(file: Path | None) -> str:
    """Reads the API key or access token from the file, or from TOCSIN_KEY. Raises ApiError."""
    try:
        key = os.environ.get("TOCSIN_KEY", "") if file is None else file.read_text("utf-8-sig")
    except UnicodeDecodeError:
        raise ApiError(f"{file} is not in UTF-8.") from None
    except OSError as error:
        raise ApiError(f"Cannot read {file}: {error.strerror}.") from None
    if not (key := key.strip()):
        raise ApiError("No API key: set TOCSIN_KEY, or --key-file.")
    if not all("!" <= character <= "~" for character in key):
        raise ApiError("The API key has a space or a character that is not in ASCII.")
    return key


class ApiClient:
    """Sends operations with one credential, in one organization."""

    def __init__(self, url: str, key: str, organization: str | None = None) -> None:
        """`organization`: its key. By default, it is that of the credential. Raises ApiError."""
        try:
            parsed = httpx.URL(url)
        except httpx.InvalidURL as error:
            raise ApiError(f"Invalid address of the server: {error}.") from None
        if parsed.userinfo:
            raise ApiError("The address of the server must not contain a user name or a password.")
        if parsed.scheme not in ("http", "https"):
            raise ApiError(
                f"Invalid address of the server {quote_value(url)}: expected http:// or https://."
            )
        address = url.rstrip("/")
        self.url = address if address.endswith("/graphql") else f"{address}/graphql"
        self.select_key(key)
        self._http = httpx.Client(timeout=TIMEOUT_SECONDS, follow_redirects=False)
        self.select_organization(organization)

    def select_organization(self, organization: str | None) -> None:
        """Sends the operations that follow in another organization."""
        self.organization = organization

    def select_key(self, key: str) -> None:
        """Sends the operations that follow with another credential."""
        self.key = key

    def __enter__(self) -> ApiClient:
        return self

    def __exit__(
        self,
        _type: type[BaseException] | None,
        _error: BaseException | None,
        _traceback: TracebackType | None,
    ) -> None:
        self._http.close()

    def execute(self, document: str, **variables: Any) -> dict[str, Any]:
        """Returns the data of a query. Waits if a rate limit is exceeded or the database is down.

        Raises ApiError.
        """
        return self._execute(document, variables, (429, 503))

    def mutate(self, document: str, **variables: Any) -> dict[str, Any]:
        """Returns the data of a mutation. Waits if a rate limit is exceeded.

        If the database is down, the mutation may have been committed, so it is not repeated.
        Raises ApiError.
        """
        return self._execute(document, variables, (429,))

    def send_once(
        self, document: str, variables: Mapping[str, Any], timeout: httpx.Timeout
    ) -> dict[str, Any]:
        """Returns the data of an operation, which is not repeated. Raises ApiError."""
        return _read_data(self.url, self._post(document, variables, timeout))

    def stream(self, document: str, **variables: Any) -> Iterator[dict[str, Any] | None]:
        """Yields the data of each message of a subscription.

        Yields None when the server accepts it, and whenever the server sends no message but keeps
        the connection open. Raises ApiError. It is temporary if the stream ended or the connection
        was lost.
        """
        with (
            self._convert_errors(),
            self._http.stream(
                "POST",
                self.url,
                headers=self._headers | {"accept": _EVENTS},
                content=_encode_request(document, variables),
            ) as response,
        ):
            if not response.headers.get("content-type", "").startswith(_EVENTS):
                response.read()
                _read_data(self.url, response)
                raise ApiError(f"{self.url} does not send events.")
            yield None
            for message in _split_messages(response.iter_bytes()):
                if (data := _find_data(message)) is not None:
                    body = load_json(data)
                    if errors := body.get("errors"):
                        raise _to_error(errors[0], response.status_code)
                    yield body["data"]
                elif message.startswith(b":"):
                    yield None
        raise ApiError(f"{self.url} ended the stream.", is_temporary=True)

    def _execute(
        self, document: str, variables: Mapping[str, Any], repeated: Collection[int]
    ) -> dict[str, Any]:
        for _ in range(MAX_RETRIES):
            response = self._post(document, variables)
            wait = response.headers.get("retry-after", "")
            if response.status_code not in repeated or not wait.isdecimal():
                return _read_data(self.url, response)
            time.sleep(min(int(wait), TIMEOUT_SECONDS))
        return _read_data(self.url, self._post(document, variables))

    def iterate_nodes(self, document: str, name: str, **variables: Any) -> Iterator[dict[str, Any]]:
        """Yields the nodes of all pages of a list. The document has the variables first and after.

        Raises ApiError.
        """
        after = None
        while True:
            page = self.execute(document, **variables, first=_PAGE_SIZE, after=after)[name]
            yield from page["nodes"]
            if not page["pageInfo"]["hasNextPage"]:
                return
            after = page["pageInfo"]["endCursor"]

    def _post(
        self,
        document: str,
        variables: Mapping[str, Any],
        timeout: httpx.Timeout | float = TIMEOUT_SECONDS,
    ) -> httpx.Response:
        content = _encode_request(document, variables)
        with self._convert_errors():
            return self._http.post(
                self.url, headers=self._headers, content=content, timeout=timeout
            )

    @property
    def _headers(self) -> dict[str, str]:
        headers = {"authorization": f"Bearer {self.key}", "content-type": "application/json"}
        if self.organization is not None:
            headers["data-partition-id"] = self.organization
        return headers

    @contextlib.contextmanager
    def _convert_errors(self) -> Iterator[None]:
        try:
            yield
        except (httpx.HTTPError, httpx.InvalidURL, ValueError) as error:
            # The reason only: the headers, which an error may contain, have the key.
            tls_problem = _find_tls_problem(error)
            reason = tls_problem or str(error).replace(self.key, "…") or type(error).__name__
            is_temporary = isinstance(error, httpx.TransportError) and tls_problem is None
            raise ApiError(
                f"Cannot reach {self.url}: {reason.rstrip('.')}.", is_temporary=is_temporary
            ) from None


def _find_tls_problem(error: BaseException) -> str | None:
    """Why no connection of TLS can be opened. None if another attempt may succeed.

    An unknown host name is not such a problem: that of a container is unknown while it restarts.
    """
    cause: BaseException | None = error
    while cause is not None and not isinstance(cause, ssl.SSLError):
        cause = cause.__cause__ or cause.__context__
    if isinstance(cause, ssl.SSLCertVerificationError):
        return (
            f"The certificate of the server is not valid: {cause.verify_message.rstrip('.')}. If "
            "it is from a certificate authority of your own, set SSL_CERT_FILE to the file of the "
            "authority's certificate"
        )
    if cause is None or cause.reason not in _RESPONSES_WITHOUT_TLS:
        return None
    reason = cause.reason.replace("_", " ").lower()
    return f"TLS failed ({reason}). If the server does not use TLS, begin its address with http://"


def _encode_request(document: str, variables: Mapping[str, Any]) -> bytes:
    return encode_json({"query": document, "variables": variables}).encode()


def _split_messages(chunks: Iterator[bytes]) -> Iterator[bytes]:
    """Yields the messages of an event stream.

    The lines of httpx also end at characters such as U+2028, which JSON texts can contain.
    """
    buffer = b""
    for chunk in chunks:
        *messages, buffer = (buffer + chunk).split(b"\n\n")
        yield from messages


def _find_data(message: bytes) -> bytes | None:
    lines = message.split(b"\n")
    if b"event: next" not in lines:
        return None
    return next(line for line in lines if line.startswith(b"data: ")).removeprefix(b"data: ")


def _read_data(url: str, response: httpx.Response) -> dict[str, Any]:
    try:
        body = load_json(response.content)
    except (json.JSONDecodeError, UnicodeDecodeError):
        body = None
    if not isinstance(body, dict) or not (isinstance(body.get("data"), dict) or body.get("errors")):
        raise ApiError(
            f"{url} returned HTTP status {response.status_code} without a GraphQL response. Set "
            "the address of the server, without /graphql, in --url or TOCSIN_URL.",
            is_temporary=response.status_code in _TEMPORARY_STATUSES,
        )
    if errors := body.get("errors"):
        raise _to_error(errors[0], response.status_code)
    data: dict[str, Any] = body["data"]
    return data


def _to_error(error: Mapping[str, Any], status: int) -> ApiError:
    extensions = error.get("extensions") or {}
    code = extensions.get("code")
    retry_after = extensions.get("retryAfterSeconds") or 0
    return ApiError(
        f"{error['message']}" + (f" ({code})" if code else ""),
        code,
        is_temporary=status in _TEMPORARY_STATUSES or code == "UNAVAILABLE" or retry_after > 0,
        retry_after=retry_after,
    )

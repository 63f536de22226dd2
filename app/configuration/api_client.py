"""A client of the GraphQL API, for commands."""

from __future__ import annotations

import json
import time
from collections.abc import Collection, Iterator, Mapping
from types import TracebackType
from typing import Any

import httpx

TIMEOUT_SECONDS = 60
MAX_RETRIES = 10
_PAGE_SIZE = 20  # that of the server can be smaller than 100


class ApiError(Exception):
    """The server cannot be reached, or did not execute an operation.

    `code`: that of the error in the response, if it has one.
    """

    def __init__(self, message: str, code: str | None = None) -> None:
        super().__init__(message)
        self.code = code


class ApiClient:
    """Sends operations with one credential, in one organization."""

    def __init__(self, url: str, key: str, organization: str | None = None) -> None:
        """`organization`: its key. By default, it is that of the credential. Raises ApiError."""
        try:
            has_password = bool(httpx.URL(url).userinfo)
        except httpx.InvalidURL as error:
            raise ApiError(f"Invalid address of the server: {error}.") from None
        if has_password:
            raise ApiError("The address of the server must not contain a user name or a password.")
        address = url.rstrip("/")
        self.url = address if address.endswith("/graphql") else f"{address}/graphql"
        self._key = key
        self._http = httpx.Client(timeout=TIMEOUT_SECONDS, follow_redirects=False)
        self.select_organization(organization)

    def select_organization(self, organization: str | None) -> None:
        """Sends the operations that follow in another organization."""
        self.organization = organization

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

    def _post(self, document: str, variables: Mapping[str, Any]) -> httpx.Response:
        headers = {"authorization": f"Bearer {self._key}"}
        if self.organization is not None:
            headers["data-partition-id"] = self.organization
        try:
            return self._http.post(
                self.url, headers=headers, json={"query": document, "variables": variables}
            )
        except (httpx.HTTPError, httpx.InvalidURL, ValueError) as error:
            # The reason only: the headers, which an error may contain, have the key.
            reason = str(error).replace(self._key, "…") or type(error).__name__
            raise ApiError(f"Cannot reach {self.url}: {reason.rstrip('.')}.") from None


def _read_data(url: str, response: httpx.Response) -> dict[str, Any]:
    try:
        body = response.json()
    except (json.JSONDecodeError, UnicodeDecodeError):
        body = None
    if not isinstance(body, dict) or not ("data" in body or "errors" in body):
        raise ApiError(
            f"{url} returned HTTP status {response.status_code} without a GraphQL response. Set "
            "the address of the server, without /graphql, in --url or TOCSIN_URL."
        )
    if errors := body.get("errors"):
        code = errors[0].get("extensions", {}).get("code")
        raise ApiError(f"{errors[0]['message']}" + (f" ({code})" if code else ""), code)
    data: dict[str, Any] = body["data"]
    return data

"""What the client of `tocsin config` repeats, with a server that is always unavailable."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer

import pytest

from app.api_client import MAX_RETRIES, ApiClient, ApiError

BODY = b'{"data": null, "errors": [{"message": "down", "extensions": {"code": "UNAVAILABLE"}}]}'


class UnavailableServer(HTTPServer):
    """Responds to each request as Tocsin does while its database is down, and counts them."""

    request_count = 0
    body = BODY


class _Handler(BaseHTTPRequestHandler):
    server: UnavailableServer

    def do_POST(self) -> None:
        self.server.request_count += 1
        self.rfile.read(int(self.headers["content-length"]))
        self.send_response(503)
        self.send_header("retry-after", "0")
        self.send_header("content-length", str(len(self.server.body)))
        self.end_headers()
        self.wfile.write(self.server.body)

    def log_message(self, format: str, *arguments: object) -> None:
        pass


@pytest.fixture
def server() -> Iterator[UnavailableServer]:
    with UnavailableServer(("127.0.0.1", 0), _Handler) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield server
        server.shutdown()
        thread.join()


def test_a_query_is_repeated_but_not_a_mutation_which_may_have_been_committed(
    server: UnavailableServer,
) -> None:
    with ApiClient(f"http://127.0.0.1:{server.server_port}", "key") as client:
        with pytest.raises(ApiError, match="down"):
            client.mutate("mutation { payload: retire }")
        mutations = server.request_count
        with pytest.raises(ApiError, match="down"):
            client.execute("{ viewer { name } }")

    assert mutations == 1
    assert server.request_count - mutations == MAX_RETRIES + 1


def test_an_address_with_a_password_is_refused_without_printing_it() -> None:
    with pytest.raises(ApiError) as refused:
        ApiClient("http://user:hidden@127.0.0.1", "key")

    message = "The address of the server must not contain a user name or a password."
    assert str(refused.value) == message


@pytest.mark.parametrize(
    ("body", "message"),
    [
        ('{"errors": [{"message": "no", "extensions": null}]}', "no"),
        (
            '{"errors": [{"message": "no", "extensions": '
            '{"code": "X", "retryAfterSeconds": null}}]}',
            "no (X)",
        ),
        ('{"data": null}', "returned HTTP status 503 without a GraphQL response"),
    ],
)
def test_responses_with_nulls_are_reported(
    server: UnavailableServer, body: str, message: str
) -> None:
    server.body = body.encode()

    with (
        ApiClient(f"http://127.0.0.1:{server.server_port}", "key") as client,
        pytest.raises(ApiError) as failed,
    ):
        client.mutate("mutation { payload: retire }")

    assert message in str(failed.value)
    assert failed.value.retry_after == 0

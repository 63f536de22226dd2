"""Checks the server in its container: deploy/check-image runs this there."""

from __future__ import annotations

import errno
import os
import re
import shutil
import sys
import threading
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import urljoin

import httpx

TIMEOUT_SECONDS = 30
CREATE = """
mutation ($kind: ChannelKind!, $url: String!) {
  createChannel(input: {name: "receiver", kind: $kind, url: $url}) {
    channel { id }
    userErrors { message }
  }
}
"""
TEST = """
mutation ($id: ID!) {
  testChannel(id: $id) { delivery { state error } userErrors { message } }
}
"""
client = httpx.Client(
    base_url="http://127.0.0.1:8000",
    headers={"authorization": "Bearer bootstrap"},
    timeout=TIMEOUT_SECONDS,
)
bodies: list[str] = []


class Receiver(BaseHTTPRequestHandler):
    def do_POST(self) -> None:
        bodies.append(self.rfile.read(int(self.headers["content-length"])).decode())
        self.send_response(200)
        self.end_headers()

    def log_message(self, format: str, *args: object) -> None:
        """Prints nothing."""


def require(condition: bool, detail: object) -> None:
    if not condition:
        sys.exit(f"The image is not valid: {detail}")


def execute(query: str, **variables: str) -> Any:
    answer = client.post("/graphql", json={"query": query, "variables": variables}).json()
    require("errors" not in answer, answer)
    [field] = answer["data"].values()
    return field


def check_restrictions() -> None:
    require(os.getuid() == 65532, f"it runs as user {os.getuid()}")
    for folder in ("/", "/opt/tocsin"):
        try:
            Path(folder, "file").write_text("")
        except OSError as error:
            require(error.errno == errno.EROFS, error)
        else:
            sys.exit(f"{folder} can be written.")
    require(shutil.which("sh", path="/bin:/usr/bin") is None, "it has a shell")


def check_pages() -> None:
    for path in ("/health", "/ready"):
        require(client.get(path).status_code == 200, path)
    for path in ("/", "/graphql"):
        page = client.get(path, headers={"accept": "text/html"})
        files = re.findall(r'(?:src|href)="(\./[^"]*)"', page.text)
        require(page.status_code == 200 and len(files) >= 2, (path, page.text))
        for file in files:
            require(client.get(urljoin(path, file)).status_code == 200, (path, file))


def check_channels() -> None:
    server = HTTPServer(("127.0.0.1", 0), Receiver)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    host = f"127.0.0.1:{server.server_port}"
    for kind, url in (("WEBHOOK", f"http://{host}/"), ("APPRISE", f"json://{host}/")):
        created = execute(CREATE, kind=kind, url=url)
        require(created["userErrors"] == [], created)
        tested = execute(TEST, id=created["channel"]["id"])
        require(tested["delivery"]["state"] == "DELIVERED", tested)
    require(len(bodies) == 2, bodies)


check_restrictions()
check_pages()
check_channels()

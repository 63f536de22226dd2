"""The files of deploy/ are valid, and its proxies forward all that clients use.

nginx, Caddy and promtool are Debian's; `.ci/run` installs them.
"""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from tests.client import ADMINISTRATOR, Client
from tests.daemon import run_daemon
from tests.http.test_command import find_free_port, start_server

DEPLOY = Path(__file__).parents[2] / "deploy"
HTML = {"accept": "text/html"}
FOLLOW = "subscription { notificationAdded { node { summary } } }"
FOLLOW_AFTER = 'subscription { notificationAdded(after: "%s") { node { summary } } }'


@pytest.mark.timeout(660)  # the first run installs 75 MB of Helm's library
def test_every_file_is_valid_for_the_program_that_reads_it() -> None:
    checked = subprocess.run(
        [DEPLOY / "check", sys.executable], capture_output=True, text=True, timeout=600
    )

    assert checked.returncode == 0, checked.stdout + checked.stderr
    assert checked.stdout.endswith("All files are valid.\n")


@pytest.mark.parametrize(
    ("file", "path"),
    [
        ("nginx/root.conf", ""),
        ("nginx/path.conf", "/tocsin"),
        ("caddy/root.Caddyfile", ""),
        ("caddy/path.Caddyfile", "/tocsin"),
    ],
)
async def test_a_proxy_forwards_the_page_the_api_sockets_and_event_streams(
    tmp_path: Path, file: str, path: str
) -> None:
    port, public_port = find_free_port(), find_free_port()
    url = f"http://127.0.0.1:{public_port}{path}"
    command = write_configuration(tmp_path, DEPLOY / file, port, public_port)
    settings = {"bootstrap_key": ADMINISTRATOR, "public_url": url, "trusted_proxies": "127.0.0.1"}
    async with (
        start_server(tmp_path, port, **settings),
        run_daemon(*command, folder=tmp_path, port=public_port),
        Client(url) as client,
    ):
        page = await client.http.get("/graphql", headers=HTML)
        metrics = [await client.http.get(f"{url}/metrics{end}") for end in ("", "/", "//")]
        start = await client.execute_field("{ logHead }")
        async with client.subscription(FOLLOW) as follower:
            await client.log_event(summary="first", notification=True)
            over_socket = await follower.receive_next()
        lines = await read_stream(client, FOLLOW_AFTER % start)

    assert page.status_code == 200
    assert [each.status_code for each in metrics] == [404, 404, 404]
    assert "tocsin" not in "".join(each.text for each in metrics)  # the proxy has answered
    assert "<title>" in page.text
    assert over_socket == {"node": {"summary": "first"}}
    assert '{"notificationAdded":{"node":{"summary":"first"}}}' in lines[-1]


def write_configuration(folder: Path, file: Path, port: int, public_port: int) -> tuple[str, ...]:
    """Writes the configuration of the file, without TLS and with free ports. Returns the command
    that runs the proxy.
    """
    text = file.read_text().replace("127.0.0.1:8000", f"127.0.0.1:{port}")
    configuration = folder / file.name
    if file.suffix == ".conf":
        text = text.replace("listen 443 ssl;", f"listen 127.0.0.1:{public_port};")
        folders = "".join(
            f"{name}_temp_path {folder}/{name};\n"
            for name in ("client_body", "proxy", "fastcgi", "uwsgi", "scgi")
        )
        text = "\n".join(line for line in text.splitlines() if "ssl_certificate" not in line)
        head = f"daemon off; master_process off; pid {folder}/nginx.pid; events {{}} http {{\n"
        configuration.write_text(f"{head}access_log off;\n{folders}{text}\n}}\n")
        return "nginx", "-e", "stderr", "-c", str(configuration)
    assert text.count("\nevents.example.com {") == 1
    text = text.replace("\nevents.example.com {", f"\nhttp://127.0.0.1:{public_port} {{")
    # Comments come first, and then the global options.
    configuration.write_text(f"{{\n\tadmin off\n}}\n{text}")
    return "caddy", "run", "--adapter", "caddyfile", "--config", str(configuration)


async def read_stream(client: Client, query: str) -> list[str]:
    """The lines of an event stream up to the first event."""
    lines = []
    async with client.http.stream(
        "POST", "/graphql", json={"query": query}, headers={"accept": "text/event-stream"}
    ) as stream:
        async for line in stream.aiter_lines():
            lines.append(line)
            if line.startswith("data:"):
                break
    return lines

"""TLS without a proxy, and the URLs that the server prints."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from tests.client import ADMINISTRATOR, TIMEOUT_SECONDS, Client
from tests.http.test_command import (
    COMMAND,
    command_environment,
    end_process,
    find_free_port,
    run_command,
    start_server,
)
from tests.reverse_proxy import write_certificate

FOLLOW = "subscription { notificationAdded { node { summary } } }"


@pytest.mark.parametrize("workers", ["1", "2"])
async def test_requests_and_sockets_are_served_with_tls(tmp_path: Path, workers: str) -> None:
    write_certificate(tmp_path)
    port = find_free_port()
    process = await asyncio.create_subprocess_exec(
        *(COMMAND, "serve", "--port", str(port), "--workers", workers),
        cwd=tmp_path,
        env=command_environment(
            bootstrap_key=ADMINISTRATOR,
            tls_certificate=str(tmp_path / "certificate.pem"),
            tls_key=str(tmp_path / "key.pem"),
        ),
        stdout=asyncio.subprocess.PIPE,
    )
    try:
        assert process.stdout is not None
        async with asyncio.timeout(TIMEOUT_SECONDS), Client(f"https://127.0.0.1:{port}") as client:
            printed = (await process.stdout.readline()).decode()
            async with client.subscription(FOLLOW) as follower:
                await client.log_event(summary="over TLS", notification=True)
                received = await follower.receive_next()
    finally:
        await end_process(process)

    assert printed == f"Console: https://127.0.0.1:{port}/\n"
    assert received == {"node": {"summary": "over TLS"}}


async def test_printed_links_have_the_public_url(tmp_path: Path) -> None:
    port = find_free_port()
    settings = {"public_url": "https://events.example.com/tocsin/"}
    async with start_server(tmp_path, port, "--host", "0.0.0.0", **settings) as (_, printed):
        pass

    url = "https://events.example.com/tocsin/graphql"
    assert f"  {url}#key=tocsin_" in printed
    assert printed.endswith(f"Tocsin is running at {url}\n")
    assert "0.0.0.0" not in printed


async def test_a_certificate_without_its_key_is_an_error(tmp_path: Path) -> None:
    write_certificate(tmp_path)
    certificate = str(tmp_path / "certificate.pem")

    alone = await run_command(tmp_path, "serve", tls_certificate=certificate)
    missing = await run_command(tmp_path, "serve", tls_certificate=certificate, tls_key="none.pem")

    assert alone == (2, "", "Set both TOCSIN_TLS_CERTIFICATE and TOCSIN_TLS_KEY, or neither.\n")
    assert missing == (
        2,
        "",
        f"The certificate in TOCSIN_TLS_CERTIFICATE ({certificate}) cannot be used with the key in "
        "TOCSIN_TLS_KEY (none.pem): No such file or directory.\n",
    )
    assert {file.name for file in tmp_path.iterdir()} == {"certificate.pem", "key.pem"}

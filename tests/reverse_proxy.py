"""nginx in front of `tocsin serve`, with the configuration that the documentation shows."""

from __future__ import annotations

import contextlib
import ipaddress
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
)

from tests.client import ADMINISTRATOR
from tests.contract.doc_examples import ROOT, parse_blocks
from tests.daemon import run_daemon
from tests.http.test_command import find_free_port, start_server

PAGE = ROOT / "docs/operations.md"
EXAMPLE_URL = "https://events.example.com"
TEMPORARY_FOLDERS = ("client_body", "proxy", "fastcgi", "uwsgi", "scgi")


@contextlib.asynccontextmanager
async def run_behind_nginx(folder: Path, **settings: str) -> AsyncIterator[str]:
    """Runs nginx and a server with an empty SQLite database. Yields the public URL."""
    port, public_port = find_free_port(), find_free_port()
    blocks = parse_blocks(PAGE.read_text())
    [position] = [number for number, block in enumerate(blocks) if block.language == "nginx"]
    url = f"https://127.0.0.1:{public_port}"
    sample = blocks[position].body
    for documented, used in {
        "listen 443 ssl;": f"listen 127.0.0.1:{public_port} ssl;",
        "http://127.0.0.1:8000/": f"http://127.0.0.1:{port}/",
        "/etc/ssl/events.example.com.pem": str(folder / "certificate.pem"),
        "/etc/ssl/events.example.com.key": str(folder / "key.pem"),
    }.items():
        assert sample.count(documented) == 1, documented
        sample = sample.replace(documented, used)
    documented_settings = dict(
        line.removeprefix("TOCSIN_").split("=", 1)
        for line in blocks[position + 1].body.splitlines()
    )
    settings = {
        name.lower(): value.replace(EXAMPLE_URL, url) for name, value in documented_settings.items()
    } | settings
    write_certificate(folder)
    configuration = folder / "nginx.conf"
    configuration.write_text(
        # One process, of the user who runs the test.
        f"daemon off; master_process off; pid {folder}/nginx.pid; events {{}} http {{\n"
        + "access_log off;\n"
        + "".join(f"{name}_temp_path {folder}/{name};\n" for name in TEMPORARY_FOLDERS)
        + sample
        + "}\n"
    )
    async with (
        start_server(folder, port, bootstrap_key=ADMINISTRATOR, **settings),
        run_daemon(
            *("nginx", "-e", "stderr", "-c", str(configuration)), folder=folder, port=public_port
        ),
    ):
        yield settings["public_url"]


def write_certificate(folder: Path) -> None:
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "127.0.0.1")])
    address = x509.SubjectAlternativeName([x509.IPAddress(ipaddress.ip_address("127.0.0.1"))])
    now = datetime.now(UTC)
    certificate = (
        x509.CertificateBuilder(name, name, key.public_key(), x509.random_serial_number())
        .not_valid_before(now - timedelta(days=1))
        .not_valid_after(now + timedelta(days=1))
        .add_extension(address, critical=False)
        .sign(key, hashes.SHA256())
    )
    (folder / "certificate.pem").write_bytes(certificate.public_bytes(Encoding.PEM))
    (folder / "key.pem").write_bytes(
        key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    )

"""Runs Python peers with uvicorn on a free port, which it prints like Tocsin."""

from __future__ import annotations

import socket
from typing import Any

import uvicorn


def run_app(name: str, app: Any) -> None:
    listening = socket.create_server(("127.0.0.1", 0), backlog=2048)
    print(f"{name} is running at http://127.0.0.1:{listening.getsockname()[1]}/graphql", flush=True)
    config = uvicorn.Config(app, log_level="warning", access_log=False)
    uvicorn.Server(config).run(sockets=[listening])

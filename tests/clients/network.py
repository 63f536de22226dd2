"""A network between a client and a server, which tests can interrupt."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator

from tests.http.test_command import find_free_port


class Network:
    """A relay to a server that can be interrupted, or frozen."""

    def __init__(self, server_url: str) -> None:
        host, port = server_url.removeprefix("http://").split(":")
        self.target = host, int(port)
        self.port = find_free_port()
        self.url = f"http://127.0.0.1:{self.port}"
        self.writers: set[asyncio.StreamWriter] = set()
        self.server: asyncio.Server | None = None
        self.is_flowing = asyncio.Event()
        self.is_flowing.set()

    async def resume(self) -> None:
        self.server = await asyncio.start_server(self._serve, "127.0.0.1", self.port)

    def interrupt(self) -> None:
        """Closes the connections, and accepts none."""
        assert self.server is not None
        self.server.close()
        for writer in self.writers:
            writer.close()
        self.writers.clear()

    def freeze(self) -> None:
        """Sends nothing more on the connections, which stay open."""
        self.is_flowing.clear()

    def thaw(self) -> None:
        """Serves new connections. The frozen ones are lost."""
        self.is_flowing = asyncio.Event()
        self.is_flowing.set()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        server_reader, server_writer = await asyncio.open_connection(*self.target)
        self.writers |= {writer, server_writer}
        is_flowing = self.is_flowing
        await asyncio.gather(
            _pump(reader, server_writer, is_flowing), _pump(server_reader, writer, is_flowing)
        )


async def _pump(
    reader: asyncio.StreamReader, writer: asyncio.StreamWriter, is_flowing: asyncio.Event
) -> None:
    with contextlib.suppress(ConnectionError):
        while data := await reader.read(65_536):
            await is_flowing.wait()
            writer.write(data)
            await writer.drain()
    writer.close()


@contextlib.asynccontextmanager
async def relay(server_url: str) -> AsyncIterator[Network]:
    network = Network(server_url)
    await network.resume()
    yield network
    network.interrupt()

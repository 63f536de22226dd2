"""OpenTelemetry: a span per operation, sent to the collector of the environment variables."""

from __future__ import annotations

import asyncio
import signal
from pathlib import Path

import pytest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

from tests.client import Client
from tests.http.test_command import find_free_port, start_server

CREATE_SOURCE = """
mutation {
  createSource(input: {name: "s", kind: ALERTMANAGER}) { source { id } token url }
}
"""


async def test_an_operation_is_one_span_within_that_of_its_request(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    received: list[bytes] = []
    collector = await asyncio.start_server(
        lambda *given: serve_collector(received, *given), "127.0.0.1"
    )
    address = collector.sockets[0].getsockname()
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", f"http://127.0.0.1:{address[1]}")
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_COMPRESSION", "none")

    async with start_server(tmp_path, port := find_free_port(), bootstrap_key="k") as (process, _):
        async with Client(f"http://127.0.0.1:{port}", "k") as client:
            await client.execute_field("query Secret { events { nodes { id tags } totalCount } }")
            source = await client.execute_field(CREATE_SOURCE)
            await client.http.post(source["url"], json={"alerts": []})
        process.send_signal(signal.SIGTERM)
        await process.wait()
    collector.close()

    spans = [
        span
        for body in received
        for resource in ExportTraceServiceRequest.FromString(body).resource_spans
        for scope in resource.scope_spans
        for span in scope.spans
    ]
    [own] = [span for span in spans if span.name == "query events"]
    attributes = {each.key: each.value.string_value for each in own.attributes}
    assert attributes == {"graphql.operation.type": "query", "tocsin.result": "OK"}
    [of_request] = [span for span in spans if span.span_id == own.parent_span_id]
    assert of_request.name == "POST /graphql"
    routes = [each.value.string_value for each in of_request.attributes if each.key == "http.route"]
    assert routes == ["/graphql"]
    assert not any(b"Secret" in body for body in received)
    [of_source] = [span for span in spans if "/sources/" in span.name]
    paths = [each.value.string_value for each in of_source.attributes if each.key == "url.path"]
    assert paths == [f"/sources/{source['source']['id']}"]
    assert not any(source["token"].encode() in body for body in received)


async def serve_collector(
    received: list[bytes], reader: asyncio.StreamReader, writer: asyncio.StreamWriter
) -> None:
    """Accepts every request."""
    try:
        while head := await reader.readuntil(b"\r\n\r\n"):
            fields = dict(line.lower().split(b": ", 1) for line in head.split(b"\r\n")[1:-2])
            received.append(await reader.readexactly(int(fields[b"content-length"])))
            writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n")
            await writer.drain()
    except asyncio.IncompleteReadError:
        writer.close()

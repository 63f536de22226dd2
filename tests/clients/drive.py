"""Runs queries, a mutation and pagination with gql, as `drive.mjs` does with the other clients."""

from __future__ import annotations

from typing import Any

from gql import gql

from tests.clients.bell import http_client

SOURCE = "/clients/gql"
VIEWER = "{ viewer { name } }"
LOG = """
mutation ($input: LogEventInput!) {
  logEvent(input: $input) { event { id } userErrors { code path } }
}
"""
PAGE = """
query ($after: String) {
  events(filter: {source: "/clients/gql"}, first: 2, after: $after) {
    nodes { summary }
    pageInfo { endCursor hasNextPage }
  }
}
"""


async def run_scenario(url: str, key: str) -> dict[str, Any]:
    async with http_client(url, key) as session:

        async def ask(query: str, **variables: Any) -> Any:
            request = gql(query)
            request.variable_values = variables
            [data] = (await session.execute(request)).values()
            return data

        viewer = await ask(VIEWER)
        for summary in ("1", "2", "3"):
            attributes = {"source": SOURCE, "summary": summary}
            await ask(LOG, input=attributes | {"occurredAt": f"2026-01-0{summary}T00:00:00Z"})
        late = {"source": SOURCE, "summary": "late", "occurredAt": "2999-01-01T00:00:00Z"}
        refused = await ask(LOG, input=late)
        pages = [await ask(PAGE)]
        while pages[-1]["pageInfo"]["hasNextPage"]:
            pages.append(await ask(PAGE, after=pages[-1]["pageInfo"]["endCursor"]))
        return {
            "viewer": viewer["name"],
            "event": refused["event"],
            "errors": [[each["code"], each["path"]] for each in refused["userErrors"]],
            "pages": [[node["summary"] for node in page["nodes"]] for page in pages],
        }

"""Seed 1, POST /events/{id}/correlate: "Correlate event with related events"."""

from __future__ import annotations

from tests.client import Client

EVENT = {"entity": {"id": "well-001", "type": "Well"}, "occurredAt": "2026-04-10T10:30:00Z"}
CORRELATE = """
mutation ($id: ID!, $related: [ID!]!) {
  correlateEvents(eventId: $id, relatedIds: $related) {
    event { summary correlations { nodes { relation depth createdBy event { summary } } } }
    userErrors { code message path }
  }
}
"""


async def test_post_events_id_correlate(client: Client) -> None:
    flaring = await client.log_event(summary="Flaring", **EVENT)
    trip = await client.log_event(summary="Compressor trip", **EVENT)
    outage = await client.log_event(summary="Power outage", **EVENT)

    payload = await client.execute_field(
        CORRELATE, id=flaring["id"], related=[trip["id"], outage["id"]]
    )

    related = {"relation": "RELATED", "depth": 1, "createdBy": "administrator"}
    assert payload == {
        "event": {
            "summary": "Flaring",
            "correlations": {
                "nodes": [
                    related | {"event": {"summary": "Compressor trip"}},
                    related | {"event": {"summary": "Power outage"}},
                ]
            },
        },
        "userErrors": [],
    }
    back = await client.execute_field(
        "query ($id: ID!) { event(id: $id) { correlations { nodes { event { summary } } } } }",
        id=outage["id"],
    )
    assert back == {"correlations": {"nodes": [{"event": {"summary": "Flaring"}}]}}

"""Seed 2, FDPlan's cloud events: every parameter, default and rule, and the example."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

from app.store.engine.database import Database
from tests.client import Client
from tests.factories import create_api_key

TYPE = "com.slb.cloud.fdplan.evaluation.computation_required_ix_v1.v1"
STUDY, SCENARIO = "StudyId:01ED4CMJ4N9N504E3QJT1A68JY", "ScenarioId:01ED4CNEQDGBEWAK107ZFNT61S"
# The events of the example response.
EVENTS: list[dict[str, Any]] = [
    {
        "id": id,
        "specversion": "0.3",
        "type": TYPE,
        "source": "/services/internal/01EHSM2HYXM3MM99SH749MF53C",
        "time": time,
        "datacontenttype": "application/json",
        "planningtags": [STUDY, SCENARIO],
        "data": {
            "computationID": computation,
            "specID": "ix",
            "specName": "name",
            "specVersion": 1,
        },
    }
    for id, time, computation in (
        (
            "01EHSM2HYX79AV6RRFSCYDR2YF",
            "2021-01-04T14:24:52.189Z",
            "1cc5d4b52ce9f3e4851024fdbba1bd028c0a25af1f140e6b92d27408e274403b",
        ),
        (
            "01EHSM2HYX79AV6RRFSCYSDFSD",
            "2021-01-09T14:24:52.189Z",
            "543jk5hlk435hjlk435hk345hkhfkdjh55kjh5kjhsekjahklj60098092838098",
        ),
    )
]
INGEST = """
mutation ($events: [JSON!]!) {
  ingestCloudEvents(events: $events) { accepted results { userErrors { message path } } }
}
"""
LIST = """
query ($planningTags: [String!], $studyId: String, $from: DateTime, $to: DateTime, $type: String,
       $pageSize: Int, $pageNumber: Int) {
  cloudEvents(planningTags: $planningTags, studyId: $studyId, from: $from, to: $to, type: $type,
              pageSize: $pageSize, pageNumber: $pageNumber) {
    events total pageSize pageNumber
  }
}
"""
# The parameters of the example request.
EXAMPLE = {
    "from": "2021-01-01T00:00:00.000Z",
    "to": "2021-01-10T00:00:00.000Z",
    "type": TYPE,
}
FIRST, SECOND = (event["id"] for event in EVENTS)


async def ingest_events(client: Client, *events: dict[str, Any]) -> None:
    payload = await client.execute_field(INGEST, events=list(events))
    assert payload["accepted"] == len(events), payload


async def list_ids(client: Client, **arguments: Any) -> list[str]:
    """Returns the IDs of one page."""
    page = await client.execute_field(LIST, **arguments)
    return [event["id"] for event in page["events"]]


def cloud_event_at(id: str, time: datetime | str, **overrides: Any) -> dict[str, Any]:
    text = time if isinstance(time, str) else time.isoformat()
    return {"specversion": "1.0", "id": id, "source": "/s", "type": "t", "time": text} | overrides


async def test_the_example_request_returns_the_example_events(client: Client) -> None:
    await ingest_events(client, *EVENTS)

    page = await client.execute_field(LIST, **EXAMPLE)

    assert page == {
        "events": [
            event
            | {
                "specversion": "1.0",
                "time": event["time"].replace(".189Z", ".189000Z"),
                "severitytext": "INFO",
                "severitynumber": 9,
                "partitionkey": "/services/internal/01EHSM2HYXM3MM99SH749MF53C",
                "recordedtime": page["events"][0]["recordedtime"],
            }
            for event in EVENTS
        ],
        "total": 2,
        "pageSize": 20,
        "pageNumber": 0,
    }


async def test_slb_data_partition_id_selects_the_partition(
    own_client: Client, database: Database
) -> None:
    await create_api_key(database, organization="other")
    other = own_client.as_key(own_client.key, slb_data_partition_id="other")
    await ingest_events(own_client, *EVENTS)

    assert await list_ids(other, **EXAMPLE) == []
    assert await list_ids(own_client, **EXAMPLE) == [FIRST, SECOND]


async def test_planning_tags_study_id_and_type_filter_events(client: Client) -> None:
    other = {"id": "x", "planningtags": [STUDY], "type": TYPE.replace(".v1", ".v2")}
    await ingest_events(client, *EVENTS, EVENTS[0] | other)
    span = {"from": EXAMPLE["from"], "to": EXAMPLE["to"]}

    async def selected(**arguments: Any) -> list[str]:
        return await list_ids(client, **span, **arguments)

    assert await selected() == [FIRST, "x", SECOND]
    assert len(await selected(planningTags=[STUDY])) == 3
    assert await selected(planningTags=[STUDY, SCENARIO]) == [FIRST, SECOND]
    assert await selected(planningTags=[STUDY, STUDY, SCENARIO]) == [FIRST, SECOND]
    assert await selected(planningTags=[STUDY, "StudyId:1"]) == []
    assert await selected(planningTags=[]) == []
    assert len(await selected(studyId="01ED4CMJ4N9N504E3QJT1A68JY")) == 3
    assert await selected(studyId="01ed4cmj4n9n504e3qjt1a68jy") == []
    study = "01ED4CMJ4N9N504E3QJT1A68JY"
    assert await selected(studyId=study, planningTags=[SCENARIO]) == [FIRST, SECOND]
    assert await selected(studyId="1", planningTags=[STUDY]) == []
    assert await selected(type=TYPE) == [FIRST, SECOND]
    assert await selected(type=TYPE[:-1]) == []
    assert len(await selected(type=f"{TYPE[:-1]}*")) == 3
    assert len(await selected(type=f"{TYPE}*")) == 2
    assert len(await selected(type="com.slb.cloud.fdplan.evaluation.*")) == 3
    assert await selected(type="COM.*") == []


async def test_the_range_is_inclusive(client: Client) -> None:
    ends = ["2021-01-04T14:24:52.189Z", "2021-01-09T14:24:52.189Z"]
    before, after = "2021-01-04T14:24:52.188999Z", "2021-01-09T14:24:52.189001Z"
    await ingest_events(
        client, *EVENTS, cloud_event_at("before", before), cloud_event_at("after", after)
    )

    assert await list_ids(client, **{"from": ends[0], "to": ends[1]}) == [FIRST, SECOND]


async def test_the_default_range_is_the_last_ten_days(client: Client) -> None:
    now, day = datetime.now(UTC), timedelta(days=1)
    await ingest_events(
        client,
        cloud_event_at("too old", now - 10 * day - timedelta(minutes=1)),
        cloud_event_at("old enough", now - 10 * day + timedelta(minutes=1)),
        cloud_event_at("just now", now - timedelta(seconds=1)),
        cloud_event_at("ahead", now + timedelta(minutes=4)),
    )
    later = (now + day).isoformat()

    assert await list_ids(client) == ["old enough", "just now"]
    # Ten days before now, which is earlier than `to`.
    assert await list_ids(client, to=later) == ["old enough", "just now", "ahead"]
    # Ten days before `to`, which is earlier than now.
    earlier = (now - 5 * day).isoformat()
    assert await list_ids(client, to=earlier) == ["too old", "old enough"]
    since = {"from": (now - 11 * day).isoformat()}
    assert await list_ids(client, **since) == ["too old", "old enough", "just now"]


async def test_pages_are_numbered_from_zero_and_the_earliest_comes_first(client: Client) -> None:
    times = ["2021-01-02T00:00:00Z", "2021-01-03T00:00:00Z"]
    reports = [cloud_event_at(f"{n}", times[n < 2]) for n in range(5)]
    await ingest_events(client, *reports)
    span = {"from": EXAMPLE["from"], "to": EXAMPLE["to"]}

    pages = [await client.execute_field(LIST, **span, pageSize=2, pageNumber=n) for n in range(4)]

    assert [[each["id"] for each in page["events"]] for page in pages] == [
        ["2", "3"],
        ["4", "0"],
        ["1"],
        [],
    ]
    assert [(page["total"], page["pageSize"], page["pageNumber"]) for page in pages] == [
        (5, 2, n) for n in range(4)
    ]
    far = await client.execute_field(LIST, **span, pageSize=500, pageNumber=2**31 - 1)
    assert (far["events"], far["total"]) == ([], 5)
    all_left_out = {"pageSize": None, "pageNumber": None}
    assert len(await list_ids(client, **span, **all_left_out)) == 5


WRONG: list[tuple[dict[str, Any], list[str]]] = [
    ({"from": "1979-12-31T23:59:59.999999Z"}, ["from"]),
    ({"from": "2999-01-01T00:00:00Z"}, ["from"]),
    ({"from": "2021-01-01T00:00:00Z", "to": "2021-01-01T00:00:00Z"}, ["from"]),
    ({"from": "2021-01-02T00:00:00Z", "to": "2021-01-01T00:00:00Z"}, ["from"]),
    ({"to": "1980-01-01T00:00:00Z"}, ["to"]),
    ({"to": "0001-01-01T00:00:00Z"}, ["to"]),
    ({"pageSize": 0}, ["pageSize"]),
    ({"pageSize": 501}, ["pageSize"]),
    ({"pageNumber": -1}, ["pageNumber"]),
    ({"planningTags": ["ok", "a\0"]}, ["planningTags", "1"]),
    ({"planningTags": ["a"] * 101}, ["planningTags"]),
    ({"studyId": "\ud800"}, ["studyId"]),
    ({"type": "a\0"}, ["type"]),
]


async def test_invalid_arguments_are_errors_with_their_paths(client: Client) -> None:
    for arguments, path in WRONG:
        error = await client.expect_error(LIST, **arguments)

        assert error["extensions"]["code"] == "BAD_USER_INPUT", arguments
        assert error["extensions"]["path"] == path


async def test_the_first_and_the_last_allowed_instant(client: Client) -> None:
    await ingest_events(client, *EVENTS)

    whole = {"from": "1980-01-01T00:00:00Z", "to": "9999-12-31T23:59:59.999999Z"}
    assert await list_ids(client, **whole) == [FIRST, SECOND]
    assert await list_ids(client, to="1980-01-02T00:00:00Z") == []

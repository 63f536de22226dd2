"""Correlations among many: SQL walks what the links say, and only in one organization."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import pairwise
from random import Random
from uuid import UUID

import pytest
from sqlalchemy import select

from app.domain.access.caller import Permission
from app.domain.events.correlations import Link, Relation, onward
from app.domain.intake.intake import Desk, Draft
from app.domain.shared.limits import Limits
from app.domain.shared.problems import UserErrorCode
from app.services.auth.access import Access, authenticate
from app.services.events import correlation_queries, correlations, events
from app.store import tables
from app.store.engine.database import EVERYWHERE, Database
from app.store.reading.pages import PageRequest
from tests.conftest import Statements
from tests.worlds import a_desk, a_key

RELATED, CAUSED_BY, CAUSE_OF = Relation
Seen = dict[UUID, tuple[int, Relation]]


async def some(database: Database, desk: Desk, count: int) -> list[UUID]:
    reports = await events.log_events(database, desk, [Draft()] * count)
    return [report.event.id for report in reports if report.event]


async def kept(database: Database) -> set[Link]:
    async with database.read(EVERYWHERE) as session:
        rows = await session.scalars(select(tables.Correlation))
        return {Link(row.event_id, row.other_id, row.causal) for row in rows}


def around(links: set[Link], start: UUID, depth: int) -> Seen:
    """The definition, by brute force: of all ways of the least length, the best relation."""
    found: dict[UUID, tuple[int, set[Relation]]] = {}
    for way in _ways(links, [start], depth):
        relation: Relation | None = None
        for step, _ in way:
            relation = onward(relation, step)
        far, length = way[-1][1], len(way)
        assert relation is not None
        if far not in found or length < found[far][0]:
            found[far] = (length, set())
        if length == found[far][0]:
            found[far][1].add(relation)
    best = [CAUSED_BY, CAUSE_OF, RELATED]
    return {far: (length, min(told, key=best.index)) for far, (length, told) in found.items()}


def _ways(
    links: set[Link], visited: list[UUID], depth: int
) -> Iterator[list[tuple[Relation, UUID]]]:
    """Every way without a repeated event: its steps, and where each leads."""
    near = visited[-1]
    for link in links if depth else ():
        if near in (link.event_id, link.other_id):
            step, far = link.other_end(near)
            if far not in visited:
                yield [(step, far)]
                for rest in _ways(links, [*visited, far], depth - 1):
                    yield [(step, far), *rest]


@pytest.mark.parametrize("seed", range(6))
async def test_what_is_told_is_what_the_links_say(database: Database, seed: int) -> None:
    chance, desk, limits = Random(seed), await a_desk(database), Limits()
    ids = await some(database, desk, 7)
    for _ in range(chance.randrange(4, 14)):
        near, far = chance.sample(ids, 2)
        relation = chance.choice(list(Relation))
        await correlations.correlate_events(database, desk, near, [far], relation)
    links = await kept(database)

    page = PageRequest(100)
    direct = await correlation_queries.direct(database, desk.reporter, page, ids, limits)
    for start in ids:
        assert _told(direct[start]) == around(links, start, 1)
        for depth in (1, 2, 3, 5):
            found = await correlation_queries.around(
                database, desk.reporter, page, start, depth, limits
            )
            assert _told(found) == around(links, start, depth)
            places = [each.place for _, each, _ in found.rows]
            assert places == sorted(places)
            assert [event.id for _, _, event in found.rows] == [each.event_id for each in places]


def _told(found: correlation_queries.Neighbours) -> Seen:
    assert found.total == len(found.rows)
    return {each.place.event_id: (each.place.depth, each.relation) for _, each, _ in found.rows}


async def test_a_walk_ends_where_it_has_told_enough(database: Database) -> None:
    desk, limits = await a_desk(database), Limits(correlations=3)
    a, *others = await some(database, desk, 6)
    await correlations.correlate_events(database, desk, a, others[:2], RELATED)
    await correlations.correlate_events(database, desk, others[0], others[2:], RELATED)

    page = PageRequest(100)
    found = await correlation_queries.around(database, desk.reporter, page, a, 5, limits)

    assert [each.place.event_id for _, each, _ in found.rows] == others[:3]
    assert (found.total, found.has_next) == (3, False)


async def test_a_long_chain_of_causes_closes_no_cycle(
    database: Database, statements: Statements
) -> None:
    desk = await a_desk(database)
    ids = await some(database, desk, 300)
    organization_id = desk.reporter.organization_id
    async with database.write(organization_id) as session:
        session.add_all(
            tables.Correlation(
                organization_id=organization_id,
                event_id=effect,
                other_id=cause,
                causal=True,
                created_at=desk.now,
                created_by="test",
            )
            for cause, effect in pairwise(ids)
        )
    statements.clear()

    refused = await correlations.correlate_events(database, desk, ids[0], ids[-1:], CAUSED_BY)
    asked = len([each for each in statements if "correlation" in each])
    allowed = await correlations.correlate_events(database, desk, ids[-1], ids[:1], CAUSED_BY)

    [problem] = refused.problems
    assert (problem.code, problem.path) == (UserErrorCode.CYCLE, ("relatedIds", "0"))
    assert asked == 2
    assert allowed.problems == ()


async def test_every_statement_on_links_names_the_organization(
    database: Database, statements: Statements
) -> None:
    desk = await a_desk(database)
    a, b, c = await some(database, desk, 3)
    await correlations.correlate_events(database, desk, a, [b], CAUSED_BY)
    statements.clear()

    await correlations.correlate_events(database, desk, b, [a], CAUSED_BY)
    await correlations.correlate_events(database, desk, b, [c], CAUSED_BY)
    page, caller, limits = PageRequest(1), desk.reporter, Limits()
    await correlation_queries.direct(database, caller, page, [a], limits)
    await correlation_queries.around(database, caller, page, a, 2, limits)
    await correlations.uncorrelate_events(database, desk, a, [b], None)

    asked = [each for each in statements if "FROM correlation" in each]
    assert len(asked) == 7
    for each in asked:
        assert each.count("correlation.organization_id =") == each.count("FROM correlation")


async def test_an_event_of_another_organization_is_neither_linked_nor_told(
    database: Database,
) -> None:
    desk = await a_desk(database)
    key = await a_key(database, Permission.EVENT_UPDATE, organization="acme")
    stranger = Desk(await authenticate(Access(database), f"Bearer {key}"), desk.now)
    a, b = await some(database, desk, 2)
    [theirs] = await some(database, stranger, 1)
    await correlations.correlate_events(database, desk, a, [b], CAUSED_BY)

    refused = await correlations.correlate_events(database, desk, a, [theirs], CAUSED_BY)
    page = PageRequest(10)
    shown = await correlation_queries.direct(database, stranger.reporter, page, [a], Limits())
    walked = await correlation_queries.around(database, stranger.reporter, page, a, 5, Limits())

    assert [problem.path for problem in refused.problems] == [("relatedIds", "0")]
    assert shown[a].rows == walked.rows == []
    assert (shown[a].total, walked.total) == (0, 0)

"""Correlations over several links: SQL follows the definition, within one organization."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import pairwise
from random import Random
from uuid import UUID

import pytest
from sqlalchemy import select

from app.domain.access.caller import Permission
from app.domain.events.correlations import Link, Relation, combine_relations
from app.domain.events.state import EventDraft
from app.domain.intake.intake import CommandContext
from app.domain.shared.limits import Limits
from app.domain.shared.problems import UserErrorCode
from app.services.auth.access import Access, authenticate_credential
from app.services.events import correlation_queries, correlations, events
from app.store import tables
from app.store.engine.database import ALL_ORGANIZATIONS, Database
from app.store.reading.pages import PageRequest
from app.store.writing.inserts import insert_rows
from tests.conftest import Statements
from tests.factories import admin_command, create_api_key

RELATED, CAUSED_BY, CAUSE_OF = Relation
Seen = dict[UUID, tuple[int, Relation]]


async def log_events(database: Database, command: CommandContext, count: int) -> list[UUID]:
    reports = await events.log_events(database, command, [EventDraft()] * count)
    return [report.event.id for report in reports if report.event]


async def fetch_links(database: Database) -> set[Link]:
    async with database.read(ALL_ORGANIZATIONS) as session:
        rows = await session.scalars(select(tables.Correlation))
        return {Link(row.event_id, row.other_id, row.causal) for row in rows}


def expected_correlations(links: set[Link], start: UUID, depth: int) -> Seen:
    """Applies the definition by brute force: the best relation of all shortest paths."""
    paths_by_event: dict[UUID, tuple[int, set[Relation]]] = {}
    for way in _iterate_paths(links, [start], depth):
        relation: Relation | None = None
        for step, _ in way:
            relation = combine_relations(relation, step)
        far, length = way[-1][1], len(way)
        assert relation is not None
        if far not in paths_by_event or length < paths_by_event[far][0]:
            paths_by_event[far] = (length, set())
        if length == paths_by_event[far][0]:
            paths_by_event[far][1].add(relation)
    best = [CAUSED_BY, CAUSE_OF, RELATED]
    return {
        far: (length, min(relations, key=best.index))
        for far, (length, relations) in paths_by_event.items()
    }


def _iterate_paths(
    links: set[Link], visited: list[UUID], depth: int
) -> Iterator[list[tuple[Relation, UUID]]]:
    """Yields every path without a repeated event: its links and their far events."""
    near = visited[-1]
    for link in links if depth else ():
        if near in (link.event_id, link.other_id):
            step, far = link.other_end(near)
            if far not in visited:
                yield [(step, far)]
                for rest in _iterate_paths(links, [*visited, far], depth - 1):
                    yield [(step, far), *rest]


@pytest.mark.parametrize("seed", range(6))
async def test_correlations_follow_the_definition(database: Database, seed: int) -> None:
    chance, command, limits = Random(seed), await admin_command(database), Limits()
    ids = await log_events(database, command, 7)
    for _ in range(chance.randrange(4, 14)):
        near, far = chance.sample(ids, 2)
        relation = chance.choice(list(Relation))
        await correlations.correlate_events(database, command, near, [far], relation)
    links = await fetch_links(database)

    page = PageRequest(100)
    direct = await correlation_queries.fetch_direct_pages(
        database, command.actor, page, ids, limits
    )
    for start in ids:
        assert _summarize_page(direct[start]) == expected_correlations(links, start, 1)
        for depth in (1, 2, 3, 5):
            result = await correlation_queries.fetch_page(
                database, command.actor, page, start, depth, limits
            )
            assert _summarize_page(result) == expected_correlations(links, start, depth)
            positions = [each.key for _, each, _ in result.rows]
            assert positions == sorted(positions)
            assert [event.id for _, _, event in result.rows] == [
                each.event_id for each in positions
            ]


def _summarize_page(page: correlation_queries.CorrelationPage) -> Seen:
    assert page.total == len(page.rows)
    return {each.key.event_id: (each.key.depth, each.relation) for _, each, _ in page.rows}


async def test_a_traversal_ends_at_the_maximum_number_of_events(database: Database) -> None:
    command, limits = await admin_command(database), Limits(correlations_per_event=3)
    a, *others = await log_events(database, command, 6)
    await correlations.correlate_events(database, command, a, others[:2], RELATED)
    await correlations.correlate_events(database, command, others[0], others[2:], RELATED)

    page = PageRequest(100)
    result = await correlation_queries.fetch_page(database, command.actor, page, a, 5, limits)

    assert [each.key.event_id for _, each, _ in result.rows] == others[:3]
    assert (result.total, result.has_next) == (3, False)


async def test_a_long_chain_of_causes_closes_no_cycle(
    database: Database, statements: Statements
) -> None:
    command = await admin_command(database)
    ids = await log_events(database, command, 300)
    organization_id = command.actor.organization_id
    async with database.write(organization_id) as session:
        rows = [
            {
                "organization_id": organization_id,
                "event_id": effect,
                "other_id": cause,
                "causal": True,
                "created_at": command.now,
                "created_by": "test",
            }
            for cause, effect in pairwise(ids)
        ]
        await insert_rows(session, (tables.Correlation, rows))
    statements.clear()

    refused = await correlations.correlate_events(database, command, ids[0], ids[-1:], CAUSED_BY)
    queries = len([each for each in statements if "correlation" in each])
    allowed = await correlations.correlate_events(database, command, ids[-1], ids[:1], CAUSED_BY)

    [problem] = refused.problems
    assert (problem.code, problem.path) == (UserErrorCode.CYCLE, ("relatedIds", "0"))
    assert queries == 2
    assert allowed.problems == ()


async def test_every_statement_on_links_names_the_organization(
    database: Database, statements: Statements
) -> None:
    command = await admin_command(database)
    a, b, c = await log_events(database, command, 3)
    await correlations.correlate_events(database, command, a, [b], CAUSED_BY)
    statements.clear()

    await correlations.correlate_events(database, command, b, [a], CAUSED_BY)
    await correlations.correlate_events(database, command, b, [c], CAUSED_BY)
    page, caller, limits = PageRequest(1), command.actor, Limits()
    await correlation_queries.fetch_direct_pages(database, caller, page, [a], limits)
    await correlation_queries.fetch_page(database, caller, page, a, 2, limits)
    await correlations.uncorrelate_events(database, command, a, [b], None)

    queries = [each for each in statements if "FROM correlation" in each]
    assert len(queries) == 7
    for each in queries:
        assert each.count("correlation.organization_id =") == each.count("FROM correlation")


async def test_an_event_of_another_organization_is_neither_linked_nor_returned(
    database: Database,
) -> None:
    command = await admin_command(database)
    key = await create_api_key(database, Permission.EVENT_UPDATE, organization="acme")
    stranger = CommandContext(
        await authenticate_credential(Access(database), f"Bearer {key}"), command.now
    )
    a, b = await log_events(database, command, 2)
    [theirs] = await log_events(database, stranger, 1)
    await correlations.correlate_events(database, command, a, [b], CAUSED_BY)

    refused = await correlations.correlate_events(database, command, a, [theirs], CAUSED_BY)
    page = PageRequest(10)
    shown = await correlation_queries.fetch_direct_pages(
        database, stranger.actor, page, [a], Limits()
    )
    walked = await correlation_queries.fetch_page(database, stranger.actor, page, a, 5, Limits())

    assert [problem.path for problem in refused.problems] == [("relatedIds", "0")]
    assert shown[a].rows == walked.rows == []
    assert (shown[a].total, walked.total) == (0, 0)

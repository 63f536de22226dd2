"""Relations between linked events, and the rejection of causal cycles."""

from __future__ import annotations

from itertools import pairwise, permutations
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.domain.events.correlations import (
    Link,
    Relation,
    combine_relations,
    cycle_problem,
    find_causal_cycle,
    resolve_depth,
    validate_related_ids,
)
from app.domain.shared.limits import Limits
from app.domain.shared.problems import (
    ErrorCode,
    Problem,
    RequestError,
    UserErrorCode,
    invalid_input,
)

A, B, C, D, E = EVENTS = [UUID(int=n) for n in range(1, 6)]
RELATED, CAUSED_BY, CAUSE_OF = Relation
ENDS = st.tuples(st.sampled_from(EVENTS), st.sampled_from(EVENTS))
CAUSAL = ENDS.filter(lambda ends: ends[0] != ends[1]).map(lambda ends: Link(*ends, True))


def is_acyclic(links: list[Link]) -> bool:
    """Tries every order: in one of them, each cause precedes its effects."""
    return any(
        all(order.index(link.other_id) < order.index(link.event_id) for link in links)
        for order in permutations(EVENTS)
    )


def test_a_link_is_stored_once_whichever_event_creates_it() -> None:
    assert (
        Link.from_relation(A, RELATED, B)
        == Link.from_relation(B, RELATED, A)
        == Link(A, B, causal=False)
    )
    assert (
        Link.from_relation(A, CAUSED_BY, B)
        == Link.from_relation(B, CAUSE_OF, A)
        == Link(A, B, causal=True)
    )
    assert Link.from_relation(B, CAUSED_BY, A) == Link(B, A, causal=True)


@pytest.mark.parametrize("relation", Relation)
@pytest.mark.parametrize(("near", "far"), [(A, B), (B, A)])
def test_each_event_of_a_link_has_the_other_one(relation: Relation, near: UUID, far: UUID) -> None:
    back = {RELATED: RELATED, CAUSED_BY: CAUSE_OF, CAUSE_OF: CAUSED_BY}

    link = Link.from_relation(near, relation, far)

    assert link.other_end(near) == (relation, far)
    assert link.other_end(far) == (back[relation], near)


@pytest.mark.parametrize(
    ("so_far", "step", "relation"),
    [
        *((None, step, step) for step in Relation),
        (CAUSED_BY, CAUSED_BY, CAUSED_BY),
        (CAUSE_OF, CAUSE_OF, CAUSE_OF),
        (RELATED, RELATED, RELATED),
        (CAUSED_BY, CAUSE_OF, RELATED),
        (CAUSE_OF, CAUSED_BY, RELATED),
        (CAUSED_BY, RELATED, RELATED),
        (RELATED, CAUSED_BY, RELATED),
    ],
)
def test_only_a_path_of_causes_is_a_cause(
    so_far: Relation | None, step: Relation, relation: Relation
) -> None:
    assert combine_relations(so_far, step) is relation


@given(st.lists(CAUSAL, max_size=8), CAUSAL)
def test_a_link_is_rejected_exactly_if_it_closes_a_cycle(candidates: list[Link], new: Link) -> None:
    accepted_links: list[Link] = []
    for link in candidates:
        if is_acyclic([*accepted_links, link]):
            accepted_links.append(link)

    closing_link = find_causal_cycle(accepted_links, [new])

    assert (closing_link is None) is is_acyclic([*accepted_links, new])
    if closing_link:
        link, cycle = closing_link
        steps = {Link(*pair, True) for pair in pairwise(cycle)}
        assert link == new
        assert cycle[0] == cycle[-1] == new.event_id
        assert steps <= {*accepted_links, new}
        assert len(steps) == len(cycle) - 1 == len(set(cycle))


def test_the_shortest_cycle_of_the_first_closing_link_is_reported() -> None:
    links = [Link(*ends, True) for ends in ((A, B), (B, C), (C, D), (B, D))]

    cycle = find_causal_cycle(links, [Link(D, E, True), Link(D, A, True), Link(D, C, True)])

    assert cycle == (Link(D, A, True), [D, A, B, D])


def test_a_long_cycle_is_abbreviated_in_the_message() -> None:
    short = cycle_problem([A, B, A], "relatedIds", "0")
    long = cycle_problem([UUID(int=n) for n in range(1, 1_501)])

    message = (
        "The link would make an event its own cause. "
        f"In this cycle each event is caused by the next: {A}, {B}, {A}."
    )
    assert short == Problem(UserErrorCode.CYCLE, message, ("relatedIds", "0"))
    assert f"{E}, (1,490 more), {UUID(int=1_496)}" in long.message
    assert long.message.endswith(f"{UUID(int=1_500)}.")


def test_a_link_to_itself_or_too_many_links_are_rejected() -> None:
    limits = Limits(correlations_per_call=2)

    assert validate_related_ids(A, [], limits) == validate_related_ids(A, [B, C], limits) == []
    assert validate_related_ids(A, [B, A], limits) == [
        invalid_input("An event cannot be correlated with itself.", "relatedIds", "1")
    ]
    assert validate_related_ids(A, [A, B, C], limits) == [
        invalid_input("At most 2 IDs are allowed; relatedIds has 3.", "relatedIds")
    ]


@pytest.mark.parametrize(("depth", "in_list"), [(0, False), (6, False), (6, True), (2, True)])
def test_a_depth_over_the_maximum_is_rejected(depth: int, in_list: bool) -> None:
    with pytest.raises(RequestError) as refusal:
        resolve_depth(depth, in_list, Limits())

    assert (refusal.value.code, refusal.value.path) == (ErrorCode.BAD_USER_INPUT, ("depth",))


def test_the_default_depth_is_1() -> None:
    assert resolve_depth(None, True, Limits()) == 1
    assert [resolve_depth(depth, False, Limits()) for depth in (1, 5)] == [1, 5]

"""The contract of `Store`: the lanes of a fan-out."""

from __future__ import annotations

import pytest
from samples import RUN, record

from lambda_durable.engine.journal import Partition
from lambda_durable.store import Lane, Store


def lane(turn: int | None = None, **changes: object) -> Lane:
    values: dict[str, object] = {"open": True, "by": "", "next": 0, "closed": 0, "failed": False}
    return Lane(turn=turn, **values | changes)  # type: ignore[arg-type]


def take(
    store: Store,
    number: int = 0,
    after: int | None = None,
    *,
    first: int = 0,
    limit: int = 3,
    tag: str = "t",
    pool: int = 0,
) -> tuple[bool, Lane]:
    return store.next_in_lane(RUN, "m", pool, number, after=after, first=first, limit=limit, tag=tag)


def close(
    store: Store,
    number: int = 0,
    after: int | None = None,
    *,
    first: int = 0,
    tag: str = "t",
    failed: bool = False,
) -> tuple[bool, Lane]:
    return store.close_lane(RUN, "m", 0, number, after=after, first=first, tag=tag, failed=failed)


def test_lanes_take_the_turns_of_their_pool_one_by_one(store: Store) -> None:
    assert take(store, 0, tag="a") == (True, lane(0, by="a", next=1))
    assert take(store, 1, tag="b") == (True, lane(1, by="b", next=2))
    assert take(store, 0, after=0, tag="c") == (True, lane(2, by="c", next=3))


def test_turns_start_at_the_first(store: Store) -> None:
    assert take(store, first=5, limit=7) == (True, lane(5, by="t", next=6))
    assert take(store, after=5, first=5, limit=7) == (True, lane(6, by="t", next=7))
    assert take(store, after=6, first=5, limit=7) == (False, lane(6, by="t", next=7))


def test_a_pool_without_turns_gives_none(store: Store) -> None:
    assert take(store, first=4, limit=4) == (False, lane(next=4))
    assert take(store, first=4, limit=4) == (False, lane(next=4))


def test_a_turn_is_given_once_however_often_it_is_asked_for(store: Store) -> None:
    take(store, tag="a")
    assert take(store, after=0, tag="b") == (True, lane(1, by="b", next=2))
    assert take(store, after=0, tag="b") == (False, lane(1, by="b", next=2))
    assert take(store, after=0, tag="c") == (False, lane(1, by="b", next=2))


def test_a_first_turn_is_given_once(store: Store) -> None:
    take(store, tag="a")
    assert take(store, tag="a") == (False, lane(0, by="a", next=1))


def test_a_lane_whose_turn_never_was_does_not_move(store: Store) -> None:
    assert take(store, after=3) == (False, lane())
    assert close(store, after=3) == (False, lane())


def test_a_closed_lane_takes_no_turn(store: Store) -> None:
    take(store)
    assert close(store, after=0, tag="c") == (True, lane(open=False, by="c", next=1, closed=1))
    assert take(store, after=0, tag="d") == (False, lane(open=False, by="c", next=1, closed=1))
    assert take(store, tag="d") == (False, lane(open=False, by="c", next=1, closed=1))


def test_closing_a_lane_again_does_not_count(store: Store) -> None:
    take(store)
    close(store, after=0, tag="c")
    assert close(store, after=0, tag="c") == (False, lane(open=False, by="c", next=1, closed=1))


def test_a_lane_that_never_moved_can_close(store: Store) -> None:
    assert close(store, first=5) == (True, lane(open=False, by="t", next=5, closed=1))
    assert close(store, first=5) == (False, lane(open=False, by="t", next=5, closed=1))


def test_a_lane_that_moved_on_is_not_closed(store: Store) -> None:
    take(store)
    take(store, after=0, tag="b")
    assert close(store, after=0) == (False, lane(1, by="b", next=2))


def test_a_lane_closes_whether_or_not_turns_are_left(store: Store) -> None:
    take(store, limit=1)
    assert close(store, after=0)[0]


def test_lanes_that_finish_are_counted(store: Store) -> None:
    for number in range(3):
        take(store, number)
    assert [close(store, number, after=number)[1].closed for number in (2, 0, 1)] == [1, 2, 3]


def test_a_failed_branch_stops_its_pool_as_its_lane_closes(store: Store) -> None:
    take(store, 0)
    take(store, 1)
    assert close(store, 0, after=0, failed=True) == (
        True,
        lane(open=False, by="t", next=2, closed=1, failed=True),
    )
    assert take(store, 1, after=1) == (False, lane(1, by="t", next=2, closed=1, failed=True))
    assert take(store, 2) == (False, lane(next=2, closed=1, failed=True))
    assert close(store, 1, after=1) == (True, lane(open=False, by="t", next=2, closed=2, failed=True))


def test_a_pool_that_failed_starts_nothing_new(store: Store) -> None:
    take(store)
    for _ in range(2):
        store.fail_pool(RUN, "m", 0)
    assert take(store, after=0) == (False, lane(0, by="t", next=1, failed=True))


def test_a_pool_can_fail_before_it_starts(store: Store) -> None:
    store.fail_pool(RUN, "m", 0)
    assert take(store, first=2, limit=9) == (False, lane(next=2, failed=True))
    assert close(store, first=2) == (True, lane(open=False, by="t", next=2, closed=1, failed=True))


def test_pools_do_not_know_of_each_other(store: Store) -> None:
    store.fail_pool(RUN, "m", 0)
    assert take(store, pool=1) == (True, lane(0, by="t", next=1))
    assert store.next_in_lane(RUN, "n", 0, 0, after=None, first=0, limit=1, tag="t")[0]
    assert store.next_in_lane("other", "m", 0, 0, after=None, first=0, limit=1, tag="t")[0]


def test_finished_pools_are_counted_once_each(store: Store) -> None:
    assert [store.finish_pool(RUN, "m", pool) for pool in (3, 3, 0, 11, 3)] == [1, 1, 2, 3, 3]
    assert store.finish_pool(RUN, "n", 3) == 1


@pytest.mark.parametrize("path", ["m", "💥" * 256, "g/" * 900 + "m"])
def test_lanes_are_no_records(store: Store, path: str) -> None:
    store.next_in_lane(RUN, path, 0, 0, after=None, first=0, limit=1, tag="t")
    store.finish_pool(RUN, path, 0)
    store.commit(RUN, record(f"{path}[0]"))
    assert store.load_scope(RUN, path) == Partition(path, {f"{path}[0]": record(f"{path}[0]")})

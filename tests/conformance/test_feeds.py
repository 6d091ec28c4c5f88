"""The contract of `Store`: what runs publish."""

from __future__ import annotations

from dataclasses import replace

import pytest
from samples import HOSTILE, RUN

from lambda_durable.engine.journal import Payload
from lambda_durable.publishing import Published
from lambda_durable.store import Store

FIRST = Published(position=0, id="a", topic="t", data=Payload(text='{"n":1}'), time=7)
SECOND = replace(FIRST, position=1, id="b", step_id="g/x", attempt=2)


def test_a_message_is_read_as_it_was_written(store: Store) -> None:
    assert store.add_message(RUN, FIRST) is None
    assert store.add_message(RUN, SECOND) is None
    assert list(store.messages(RUN)) == [FIRST, SECOND]
    assert list(store.messages(RUN, newest_first=True)) == [SECOND, FIRST]
    assert list(store.messages(RUN, after=0)) == [SECOND]
    assert list(store.messages(RUN, after=1)) == []


def test_a_position_is_given_once(store: Store) -> None:
    assert store.add_message(RUN, FIRST) is None
    other = replace(SECOND, position=0)
    assert store.add_message(RUN, other) == FIRST
    assert store.add_message(RUN, FIRST) == FIRST
    assert list(store.messages(RUN)) == [FIRST]


def test_messages_are_ordered_by_their_numbers(store: Store) -> None:
    for position in range(12):
        assert store.add_message(RUN, replace(FIRST, position=position, id=str(position))) is None
    assert [each.position for each in store.messages(RUN, expected=5)] == list(range(12))
    assert [each.position for each in store.messages(RUN, after=8)] == [9, 10, 11]


def test_a_run_has_its_own_and_its_journal_has_none(store: Store) -> None:
    for run in (RUN, f"{RUN}0"):
        assert store.add_message(run, FIRST) is None
        assert list(store.messages(run)) == [FIRST]
    assert store.load_run(RUN) is None
    assert store.load_scope(RUN, "").records == {}


@pytest.mark.parametrize("text", HOSTILE)
def test_a_message_may_say_anything(store: Store, text: str) -> None:
    message = replace(FIRST, topic=text or "t", data=Payload(text=text or '""'))
    assert store.add_message(text or RUN, message) is None
    assert list(store.messages(text or RUN)) == [message]

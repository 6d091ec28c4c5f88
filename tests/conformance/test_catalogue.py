"""The contract of `Store`: what is told of an app's functions."""

from __future__ import annotations

from collections import Counter

from lambda_durable.store import Store


def test_nothing_is_told_at_first(store: Store) -> None:
    assert store.published() == {}


def test_functions_are_told_of_in_their_order(store: Store) -> None:
    told = {"z": '{"id":"z"}', "a": '{"id":"a"}', "a/on_failure": "{}"}
    store.publish(told)
    assert list(store.published().items()) == list(told.items())


def test_what_is_told_again_takes_the_place_of_what_was_told(store: Store) -> None:
    store.publish({"a": "1", "b": "2"})
    store.publish({"c": "3", "b": "4"})
    assert list(store.published().items()) == [("c", "3"), ("b", "4")]
    store.publish({})
    assert store.published() == {}


def test_the_longest_id_is_told_of(store: Store) -> None:
    told = {f"{'f' * 128}/on_failure": "1"}
    store.publish(told)
    assert store.published() == told


def test_what_has_not_changed_is_not_written(store: Store, calls: Counter[str]) -> None:
    store.publish({"a": "1", "b": "2"})
    calls.clear()
    store.publish({"a": "1", "b": "3"})
    assert calls == {"Query": 1, "PutItem": 1, "GetItem": 1}  # and since when their runs are looked after

"""The contract of `Reruns`: what a run begins with."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace

from samples import ended, header, noise, record

from lambda_durable.engine.journal import Origin, Payload, RunStatus
from lambda_durable.store import Store

ORIGIN = Origin("first", "first", "charge", "first", kept=False)


def test_each_record_is_written_where_there_is_none(store: Store) -> None:
    there = record("s7", output=Payload(text="7"))
    store.commit("r", there)
    records = [record(f"s{number}", output=Payload(text="0"), rank=number) for number in range(120)]
    for _ in range(2):
        store.keep_all("r", records)
    found = store.load_scope("r", "").records
    assert len(found) == 120
    assert found["s7"] == there
    assert [found[f"s{number}"] for number in (0, 6, 8, 119)] == [
        records[number] for number in (0, 6, 8, 119)
    ]


def test_a_hundred_are_written_at_once(store: Store, calls: Counter[str]) -> None:
    store.keep_all("r", [record(f"s{number}") for number in range(250)])
    store.keep_all("r", [])
    assert calls == {"TransactWriteItems": 3}


def test_large_ones_are_written_in_several_transactions(store: Store, calls: Counter[str]) -> None:
    large = [record(f"s{number}", output=Payload(text=noise(400_000))) for number in range(30)]
    store.keep_all("r", large)
    assert calls["TransactWriteItems"] > 2
    assert len(store.load_scope("r", "").records) == 30


def test_records_lie_in_their_own_scopes(store: Store) -> None:
    store.keep_all("r", [record("m[1]"), record("g/x"), record("a")])
    assert [list(store.load_scope("r", scope).records) for scope in ("", "m", "g")] == [
        ["a"],
        ["m[1]"],
        ["g/x"],
    ]


def test_a_header_says_what_it_is_a_rerun_of_and_when_all_is_kept(store: Store) -> None:
    run = header("again", origin=ORIGIN)
    store.create_run(run)
    assert store.get_header("again") == run
    assert store.all_kept(run, undoes=False) is None
    kept = replace(run, origin=replace(ORIGIN, kept=True))
    assert store.get_header("again") == kept
    assert store.all_kept(run, undoes=True) == kept


def test_what_is_kept_may_have_an_undo(store: Store) -> None:
    run = header("again", origin=ORIGIN, status=RunStatus.QUEUED)
    store.create_run(run)
    assert store.all_kept(run, undoes=True) is None
    found = store.get_header("again")
    assert found is not None
    assert found.undoes


def test_a_run_that_is_over_keeps_nothing_more(store: Store) -> None:
    run = header("again", origin=ORIGIN)
    store.create_run(run)
    store.begin_cancel("again")
    found = store.all_kept(run, undoes=True)
    assert found is not None
    assert (found.status, found.undoes) == (RunStatus.CANCELLING, False)


def test_a_run_knows_its_reruns_when_it_is_over_too(store: Store) -> None:
    store.create_run(header("first"))
    store.link_rerun("first", "b")
    store.end_run(ended("first"))
    for rerun in ("a", "b"):
        store.link_rerun("first", rerun)
    found = store.get_header("first")
    assert found is not None
    assert found.reruns == ("a", "b")


def test_nothing_is_noted_of_a_run_that_is_gone(store: Store) -> None:
    store.link_rerun("gone", "a")
    assert store.get_header("gone") is None

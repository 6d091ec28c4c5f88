"""The contract of `Store`: events, runs and journals."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from samples import (
    BOOM,
    HOSTILE,
    ME,
    NOW,
    OTHER,
    RUN,
    ended,
    entry,
    event,
    failure,
    header,
    pending,
    record,
    retrying,
)

from lambda_durable.engine.code import Code
from lambda_durable.engine.journal import (
    Claim,
    FanPlan,
    Header,
    Kind,
    Partition,
    Payload,
    Record,
    Renewal,
    RunStatus,
    State,
    Undoable,
)
from lambda_durable.engine.paths import UNDO, parent, undo
from lambda_durable.errors import ErrorInfo
from lambda_durable.store import Store

CLAIM = Claim(1, NOW + 60_000, "Xy8abcde")
RECORDS = [
    record(),
    record(attempts=4),
    record(attempts=0),
    record(output=None),
    record(output=Payload(text="")),
    record(output=Payload(key=f"{RUN}/charge")),
    record(output=Payload(text='{"é":"💥"}')),
    record(state=State.FAILED, error=BOOM, output=None),
    record(state=State.FAILED, error=BOOM, output=None, attempts=5),
    record(state=State.FAILED, output=None),
    record(error=BOOM),  # completed, and yet an error
    record(code=Code("2026-11", "7")),
    record(code=Code("a@b", "")),
    record(state=State.WAITING),
    record(state=State.CANCELLED, output=None),
    record(undo=Undoable()),
    record(undo=Undoable(if_unknown=True)),
    record(undo=Undoable(if_unknown=True, unknown=True)),
    record(kind=Kind.SLEEP, output=None, attempts=0, wake_at=NOW),
    pending(),
    pending(attempts=1),
    pending(claim=CLAIM),
    pending(claim=replace(CLAIM, tag="")),
    pending(claim=replace(CLAIM, tag="a:b:c")),
    retrying(2),
    retrying(2, claim=CLAIM, error=ErrorInfo(type="E", message="")),
    pending(kind=Kind.SLEEP, state=State.WAITING, wake_at=NOW + 1),
    pending(kind=Kind.GROUP),
    pending(kind=Kind.MAP, plan=FanPlan((), 0)),
    pending(kind=Kind.MAP, plan=FanPlan(("0", "1", "2"), 3, "fp")),
    pending(kind=Kind.MAP, plan=FanPlan(("0", "2", "1"), 2)),
    pending(kind=Kind.MAP_GROUP, plan=FanPlan(("a", "é💥", ""), 1)),
    pending(kind=Kind.PARALLEL, plan=FanPlan(("0",), 1)),
    record(began=0, ended=0),
    record(author=replace(ME, tag="a.b")),
]

FORMS = ["{}", "{}:1", "{}[0]", "g/{}", "m[{}]", "m[0]/{}", "m[{}]/x", "{0}/{0}/{0}[{0}]"]

# Events


def test_an_event_comes_back_as_it_was(store: Store) -> None:
    assert store.add_event(event(), dedupe_after=0) == event()
    assert store.get_event("e1") == event()


@pytest.mark.parametrize(
    "changes", [{"functions": ()}, {"payload": Payload(key="events/e1")}, {"name": "Object Created"}]
)
def test_events_of_every_shape_come_back(store: Store, changes: dict[str, Any]) -> None:
    store.add_event(event(**changes), dedupe_after=0)
    assert store.get_event("e1") == event(**changes)


def test_an_event_that_never_came_is_none(store: Store) -> None:
    assert store.get_event("e1") is None


def test_a_second_event_of_one_id_gives_way_to_the_first(store: Store) -> None:
    first, second = event(), event(seen=NOW + 5, functions=("other",), author=OTHER)
    store.add_event(first, dedupe_after=NOW - 1)
    assert store.add_event(second, dedupe_after=NOW - 1) == first
    assert store.get_event("e1") == first


def test_a_second_event_replaces_one_seen_before_the_window(store: Store) -> None:
    second = event(seen=NOW + 5, functions=("other",), author=OTHER)
    store.add_event(event(), dedupe_after=0)
    assert store.add_event(second, dedupe_after=NOW) == second
    assert store.get_event("e1") == second


@pytest.mark.parametrize("id", ["#", "e#1", "💥" * 600, "a" * 3000, RUN])
def test_an_event_can_have_any_id(store: Store, id: str) -> None:
    store.create_run(header())
    store.add_event(event(id), dedupe_after=0)
    assert store.get_event(id) == event(id)
    assert store.get_event(id + "x") is None


# Runs


@pytest.mark.parametrize(
    "changes",
    [
        {},
        {"labels": ("o-1", "", "💥"), "event_id": "e1"},
        {"event": Payload(key=f"{RUN}/event")},
        {"status": RunStatus.QUEUED},
        {"status": RunStatus.SKIPPED, "ended": NOW, "ended_by": ME},
        {"created": 0},
    ],
)
def test_a_run_comes_back_as_it_was(store: Store, changes: dict[str, Any]) -> None:
    created = header(**changes)
    assert store.create_run(created) is None
    assert store.get_header(RUN) == created
    assert store.load_run(RUN) == (created, Partition(""))


def test_a_run_that_was_never_created_is_none(store: Store) -> None:
    assert store.get_header(RUN) is None
    assert store.load_run(RUN) is None
    assert store.begin_cancel(RUN) is None
    assert store.get_header(RUN) is None


def test_a_partition_without_header_is_no_run(store: Store) -> None:
    store.commit(RUN, record())
    assert store.load_run(RUN) is None


def test_a_run_is_created_once(store: Store) -> None:
    store.create_run(header())
    assert store.create_run(header(author=OTHER, created=NOW + 1)) == header()
    assert store.get_header(RUN) == header()


@pytest.mark.parametrize(
    "id", ["#", "e#e1", "a/b", "%2F", "a%2Fb", "💥" * 256, "!", "b" * 1500, "b" * 2500, "r#x"]
)
def test_a_run_can_have_any_id(store: Store, id: str) -> None:
    store.add_event(event(), dedupe_after=0)
    store.create_run(header("a"))
    store.commit("a", record("b"))
    store.commit("a", record("b/c"))
    assert store.create_run(header(id)) is None
    store.commit(id, record("x"))
    store.commit(id, record("g/x"))
    assert store.load_run(id) == (header(id), Partition("", {"x": record("x")}))
    assert store.load_scope(id, "g") == Partition("g", {"g/x": record("g/x")})
    assert [found.run_id for found in store.runs(["checkout"]) if found.run_id != "a"] == [id]


@pytest.mark.parametrize("code", [Code("", "7"), Code("2026-11", ""), Code("a@b 💥", "12"), Code()])
@pytest.mark.parametrize("pinned", [False, True])
def test_a_run_says_on_which_code_it_began(store: Store, code: Code, pinned: bool) -> None:
    begun = header(code=code, pinned=pinned)
    store.create_run(begun)
    assert store.get_header(RUN) == begun
    moved = replace(begun, renewal=Renewal(1, ME, NOW), code=Code("", "8"))
    assert store.renew_run(begun, moved) is None
    assert store.get_header(RUN) == moved


def test_a_running_run_ends_once(store: Store) -> None:
    store.create_run(header(labels=("o-1",), event_id="e1"))
    first = ended(output=Payload(text="1"), labels=("o-1",), event_id="e1")
    assert store.end_run(first) is None
    assert store.end_run(ended(status=RunStatus.FAILED, error=BOOM, ended_by=ME)) == first
    assert store.get_header(RUN) == first


@pytest.mark.parametrize(
    "end",
    [
        ended(),
        ended(output=Payload(text="")),
        ended(output=Payload(key=f"{RUN}/output")),
        ended(status=RunStatus.FAILED, error=BOOM),
        ended(status=RunStatus.CANCELLED),
    ],
)
def test_an_end_comes_back_as_it_was(store: Store, end: Header) -> None:
    store.create_run(header())
    assert store.end_run(end) is None
    assert store.get_header(RUN) == end


def test_an_end_leaves_what_the_start_wrote(store: Store) -> None:
    store.create_run(header(labels=("o-1",), event_id="e1"))
    store.end_run(ended(event=Payload(), author=OTHER, created=1))
    assert store.get_header(RUN) == ended(labels=("o-1",), event_id="e1")


def test_a_run_without_header_cannot_end(store: Store) -> None:
    with pytest.raises(LookupError, match=RUN):
        store.end_run(ended())
    assert store.get_header(RUN) is None


@pytest.mark.parametrize("status", [RunStatus.COMPLETED, RunStatus.FAILED])
def test_a_cancelling_run_ends_only_as_cancelled(store: Store, status: RunStatus) -> None:
    store.create_run(header())
    store.begin_cancel(RUN)
    assert store.end_run(ended(status=status)) == header(status=RunStatus.CANCELLING)
    assert store.end_run(ended(status=RunStatus.CANCELLED)) is None
    assert store.get_header(RUN) == ended(status=RunStatus.CANCELLED)


COMPENSATING = header(
    status=RunStatus.COMPENSATING, ends_as=RunStatus.FAILED, error=BOOM, ended_by=OTHER, undoes=True
)


def to_undo(store: Store) -> None:
    store.create_run(header())
    assert store.mark_undo(RUN) == header(undoes=True)


@pytest.mark.parametrize("status", [RunStatus.FAILED, RunStatus.CANCELLED])
def test_a_run_with_something_to_undo_ends_only_after_that(store: Store, status: RunStatus) -> None:
    to_undo(store)
    assert store.end_run(ended(status=status)) == header(undoes=True)
    begun = replace(COMPENSATING, ends_as=status)
    assert store.begin_undo(begun) is None
    assert store.get_header(RUN) == begun
    assert store.begin_undo(replace(begun, ended_by=ME)) == begun
    assert store.begin_cancel(RUN) == begun
    assert store.mark_undo(RUN) == begun
    assert store.end_run(ended(status=status)) == begun
    assert store.end_run(ended()) == begun
    last = replace(begun, status=status, ended=NOW + 9, ended_by=ME)
    assert store.end_run(last) is None
    assert store.get_header(RUN) == last


def test_a_run_with_something_to_undo_completes_as_any_other(store: Store) -> None:
    to_undo(store)
    assert store.end_run(ended()) is None
    assert store.get_header(RUN) == ended(undoes=True)


def test_a_cancelling_run_is_undone_only_as_cancelled(store: Store) -> None:
    to_undo(store)
    store.begin_cancel(RUN)
    cancelling = header(status=RunStatus.CANCELLING, undoes=True)
    assert store.begin_undo(COMPENSATING) == cancelling
    assert store.mark_undo(RUN) == cancelling
    begun = replace(COMPENSATING, ends_as=RunStatus.CANCELLED, error=None)
    assert store.begin_undo(begun) is None


def test_what_undoes_a_run_lies_in_a_scope_of_its_own(store: Store) -> None:
    store.create_run(header())
    records = {
        path: record(path, kind=Kind.UNDO) for path in map(undo, ["charge", "m[0]/x", "%2F", "é/" * 400])
    }
    for each in records.values():
        assert store.commit(RUN, each) is None
    assert store.load_scope(RUN, UNDO).records == records
    assert store.load_scope(RUN, "").records == {}


def test_only_a_running_run_is_marked(store: Store) -> None:
    assert store.mark_undo(RUN) is None
    store.create_run(header())
    store.end_run(ended())
    assert store.mark_undo(RUN) == ended()


def test_a_compensating_run_is_looked_after_until_it_has_ended(store: Store) -> None:
    store.create_run(header(check_at=NOW))
    store.mark_undo(RUN)
    store.begin_undo(COMPENSATING)
    assert list(store.overdue(NOW)) == [(RUN, NOW)]
    store.end_run(replace(COMPENSATING, status=RunStatus.FAILED, ended=NOW + 9))
    assert list(store.overdue(NOW)) == []


def test_a_running_run_becomes_cancelling(store: Store) -> None:
    store.create_run(header())
    assert store.begin_cancel(RUN) == header()
    assert store.get_header(RUN) == header(status=RunStatus.CANCELLING)


def test_cancelling_twice_tells_that_it_was_cancelling(store: Store) -> None:
    store.create_run(header())
    store.begin_cancel(RUN)
    assert store.begin_cancel(RUN) == header(status=RunStatus.CANCELLING)


def test_an_ended_run_is_not_cancelled(store: Store) -> None:
    store.create_run(header())
    store.end_run(ended())
    assert store.begin_cancel(RUN) == ended()
    assert store.get_header(RUN) == ended()


# Runs that continue as new

AGAIN = Renewal(1, OTHER, NOW + 7, (("e7", NOW + 3),))


def renewed(renewal: Renewal = AGAIN, **changes: Any) -> Header:
    return header(**{"event": Payload(text='{"id":"e2"}'), "renewal": renewal} | changes)


@pytest.mark.parametrize(
    "event", [Payload(text='{"id":"e2"}'), Payload(key=f"{RUN}/event"), Payload(text="💥")]
)
@pytest.mark.parametrize("first", [Payload(text='{"id":"e1"}'), Payload(key=f"{RUN}/first")])
def test_a_run_is_renewed_once(store: Store, first: Payload, event: Payload) -> None:
    before = header(event=first, labels=("o-1",), check_at=NOW)
    store.create_run(before)
    after = replace(before, event=event, renewal=AGAIN, check_at=NOW + 5)
    assert store.renew_run(before, after) is None
    assert store.get_header(RUN) == after
    late = replace(before, event=Payload(text="{}"), renewal=replace(AGAIN, by=ME))
    assert store.renew_run(before, late) == after
    again = replace(after, renewal=Renewal(2, ME, NOW + 9))
    assert store.renew_run(after, again) is None
    assert store.get_header(RUN) == again


@pytest.mark.parametrize("status", [RunStatus.COMPLETED, RunStatus.CANCELLED])
def test_a_run_that_ends_is_not_renewed(store: Store, status: RunStatus) -> None:
    store.create_run(header())
    if status is RunStatus.CANCELLED:
        store.begin_cancel(RUN)
        assert store.renew_run(header(), renewed()) == header(status=RunStatus.CANCELLING)
    store.end_run(ended(status=status))
    assert store.renew_run(header(), renewed()) == ended(status=status)


def test_it_ends_only_in_its_present_journal(store: Store) -> None:
    store.create_run(header())
    store.renew_run(header(), renewed())
    assert store.end_run(ended()) == renewed()
    assert store.end_run(ended(renewal=Renewal(2, ME, NOW))) == renewed()
    assert store.end_run(ended(renewal=AGAIN)) is None


@pytest.mark.parametrize("id", [RUN, "#", "e", "%2F", "💥" * 256, "b" * 1500, "r#x"])
def test_journals_are_kept_apart(store: Store, id: str) -> None:
    before = header(id)
    store.create_run(before)
    for journal in (id, f"{id}#1", f"{id}#2"):
        for path in ("x", "g/x", "%3A2/x", "m[1]"):
            assert store.register(journal, record(path, output=Payload(text=journal))) is None
        store.save_failure(journal, failure(len(journal)))
        store.append(journal, "", entry(0, dispatched=(journal,)))
    for number in (1, 2):
        after = replace(before, renewal=Renewal(number, ME, NOW))
        assert store.renew_run(before, after) is None
        before = after
    present = store.load_scope(f"{id}#2", "")
    assert store.load_run(f"{id}#2") == (before, present)
    assert present.records == {"x": record("x", output=Payload(text=f"{id}#2"))}
    assert [one.dispatched for one in present.log] == [(f"{id}#2",)]
    assert store.load_run(f"{id}#1") == store.load_run(id) == (before, Partition(""))
    assert store.get_header(f"{id}#7") == before
    for journal in (id, f"{id}#1", f"{id}#2"):
        assert store.get_record(journal, "g/x") == record("g/x", output=Payload(text=journal))
        assert store.get_record(journal, "m[1]") == record("m[1]", output=Payload(text=journal))
        assert [found.output for found in store.load_scope(journal, "g").records.values()] == [
            Payload(text=journal)
        ]


def test_what_a_later_journal_holds_lives_as_long_as_it_is_told(store: Store) -> None:
    store.create_run(header())
    store.renew_run(header(), renewed())
    store.register(f"{RUN}#1", record("x"))
    far = NOW + 10**10
    until = store.extend(f"{RUN}#1", "", far)
    found = store.get_header(RUN)
    assert found is not None
    assert found.expires == until
    assert store.lives_longer(RUN)


# Records


@pytest.mark.parametrize("written", RECORDS)
def test_a_record_comes_back_as_it_was(store: Store, written: Record) -> None:
    assert store.register(RUN, written) is None
    assert store.get_record(RUN, written.path) == written
    assert store.load_scope(RUN, "").records == {written.path: written}
    assert store.register(RUN, record()) == written


@pytest.mark.parametrize("id", HOSTILE)
@pytest.mark.parametrize("form", FORMS)
def test_a_record_can_have_any_path(store: Store, id: str, form: str) -> None:
    path = form.format(id)
    store.create_run(header())
    store.append(RUN, "", entry(1))
    store.save_failure(RUN, failure(1))
    assert store.commit(RUN, record(path)) is None
    assert store.commit(RUN, record(path, author=OTHER)) == record(path)
    assert store.get_record(RUN, path) == record(path)
    assert store.load_scope(RUN, parent(path)).records == {path: record(path)}
    assert store.load_run(RUN) == (
        header(),
        Partition("", {} if parent(path) else {path: record(path)}, [entry(1)], failure(1)),
    )


def test_each_scope_has_its_own_records(store: Store) -> None:
    paths = ["m", "m[0]", "m[1]", "m[0]/a", "m[0]/a[0]", "m/a", "mm", "x:1", "x"]
    for path in paths:
        store.commit(RUN, record(path))
    assert set(store.load_scope(RUN, "").records) == {"m", "mm", "x", "x:1"}
    assert set(store.load_scope(RUN, "m").records) == {"m[0]", "m[1]", "m/a"}
    assert set(store.load_scope(RUN, "m[0]").records) == {"m[0]/a"}
    assert set(store.load_scope(RUN, "m[0]/a").records) == {"m[0]/a[0]"}
    assert store.load_scope(RUN, "nothing") == Partition("nothing")
    assert store.get_record(RUN, "m[2]") is None


def test_a_scope_too_deep_for_a_key_has_its_own_records(store: Store) -> None:
    deep = "/".join(["💥" * 256] * 3)
    store.commit(RUN, record(f"{deep}/x"))
    store.commit(RUN, record(f"{deep}[0]"))
    store.append(RUN, deep, entry(1))
    assert store.load_scope(RUN, deep) == Partition(
        deep, {path: record(path) for path in (f"{deep}/x", f"{deep}[0]")}, [entry(1)]
    )
    assert store.load_scope(RUN, deep + "/y") == Partition(deep + "/y")


def test_a_scope_larger_than_a_page_is_read_whole(store: Store) -> None:
    store.create_run(header())
    store.append(RUN, "", entry(1))
    large = [record(f"x{i}", output=Payload(text="x" * 390_000)) for i in range(6)]
    for each in large:
        store.commit(RUN, each)
    assert store.load_run(RUN) == (header(), Partition("", {each.path: each for each in large}, [entry(1)]))


def test_a_registration_gives_way_to_any_record(store: Store) -> None:
    store.register(RUN, pending())
    assert store.register(RUN, pending(author=OTHER)) == pending()
    assert store.get_record(RUN, "charge") == pending()


@pytest.mark.parametrize("final", [record(), record(state=State.FAILED, error=BOOM, attempts=3)])
@pytest.mark.parametrize("second", [record(author=OTHER), retrying(9), pending()])
def test_a_final_record_never_changes(store: Store, final: Record, second: Record) -> None:
    store.commit(RUN, final)
    assert store.commit(RUN, second) == final
    assert store.claim(RUN, second, None) == final
    assert store.claim(RUN, second, final) == final
    assert store.claim(RUN, second, pending()) == final
    assert store.get_record(RUN, "charge") == final


@pytest.mark.parametrize("earlier", [pending(), pending(claim=CLAIM, attempts=2), retrying(3, claim=CLAIM)])
def test_an_outcome_replaces_a_record_that_is_not_final_whole(store: Store, earlier: Record) -> None:
    store.register(RUN, earlier)
    assert store.commit(RUN, record()) is None
    assert store.get_record(RUN, "charge") == record()


def test_a_failed_attempt_is_counted_once(store: Store) -> None:
    assert store.commit(RUN, retrying(1)) is None
    assert store.commit(RUN, retrying(1, author=OTHER)) == retrying(1)
    assert store.commit(RUN, retrying(2, author=OTHER)) is None
    assert store.commit(RUN, retrying(1)) == retrying(2, author=OTHER)
    assert store.get_record(RUN, "charge") == retrying(2, author=OTHER)


def test_a_failed_attempt_takes_the_place_of_its_claim(store: Store) -> None:
    store.claim(RUN, pending(claim=CLAIM, attempts=1), None)
    assert store.commit(RUN, retrying(1)) == pending(claim=CLAIM, attempts=1)
    assert store.commit(RUN, retrying(2)) is None


def test_ten_attempts_are_more_than_nine(store: Store) -> None:
    store.commit(RUN, retrying(9))
    assert store.commit(RUN, retrying(10)) is None


# Claims


@pytest.mark.parametrize(
    "seen",
    [None, pending(), pending(attempts=2), pending(claim=CLAIM), retrying(1), retrying(2, claim=CLAIM)],
)
def test_a_claim_is_written_over_what_was_seen(store: Store, seen: Record | None) -> None:
    if seen:
        store.register(RUN, seen)
    mine = pending(author=OTHER, claim=Claim(2, NOW, "Zz0other"))
    assert store.claim(RUN, mine, seen) is None
    assert store.get_record(RUN, "charge") == mine
    assert store.claim(RUN, mine, seen) == mine


@pytest.mark.parametrize(
    "seen", [None, retrying(1), retrying(2, author=OTHER), retrying(2, claim=CLAIM), pending()]
)
def test_a_claim_gives_way_to_what_was_not_seen(store: Store, seen: Record | None) -> None:
    there = retrying(2)
    store.commit(RUN, there)
    assert store.claim(RUN, pending(claim=CLAIM), seen) == there
    assert store.get_record(RUN, "charge") == there


@pytest.mark.parametrize(
    "other", [replace(CLAIM, attempt=2), replace(CLAIM, deadline=NOW), replace(CLAIM, tag="else"), None]
)
def test_a_claim_gives_way_to_another_claim(store: Store, other: Claim | None) -> None:
    store.claim(RUN, pending(claim=CLAIM), None)
    assert store.claim(RUN, pending(claim=CLAIM), pending(claim=other)) == pending(claim=CLAIM)


def test_a_claim_on_a_record_that_is_gone_is_an_error(store: Store) -> None:
    with pytest.raises(LookupError, match="charge"):
        store.claim(RUN, pending(claim=CLAIM), pending())
    assert store.get_record(RUN, "charge") is None


# The log


@pytest.mark.parametrize("scope", ["", "g", "m[0]"])
def test_a_log_comes_back_in_order(store: Store, scope: str) -> None:
    entries = [entry(0, order={}), entry(1, dispatched=()), entry(2), entry(10, author=OTHER), entry(100)]
    for each in reversed(entries):
        assert store.append(RUN, scope, each) is None
    assert store.load_scope(RUN, scope).log == entries


def test_a_position_of_the_log_is_taken_once(store: Store) -> None:
    store.append(RUN, "", entry(1))
    assert store.append(RUN, "", entry(1, author=OTHER, dispatched=())) == entry(1)
    assert store.load_scope(RUN, "").log == [entry(1)]


# Failures of the handler's code


def test_the_newest_failure_is_kept(store: Store) -> None:
    store.create_run(header())
    store.save_failure(RUN, failure(1))
    store.save_failure(RUN, failure(2))
    loaded = store.load_run(RUN)
    assert loaded
    assert loaded[1] == Partition("", failure=failure(2))


def test_what_is_kept_under_a_name_stays_what_it_was_first(store: Store) -> None:
    assert store.remember("key", "one") == "one"
    assert store.remember("key", "two") == "one"
    assert store.remember("other", "two") == "two"

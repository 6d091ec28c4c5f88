"""What the doctor finds at limits after a queue was purged, and that its repair is one."""

from __future__ import annotations

from datetime import timedelta

import pytest

from lambda_durable import (
    Batch,
    Concurrency,
    Context,
    Debounce,
    Durable,
    Event,
    Singleton,
    Throttle,
    on_event,
)
from lambda_durable.aws.leftovers import Leftovers
from lambda_durable.doctor.examination import Patient, examine, examine_run
from lambda_durable.durations import to_millis
from lambda_durable.findings import Level
from lambda_durable.runtime import worker
from lambda_durable.runtime.admission import Admission
from lambda_durable.runtime.messages import parse
from lambda_durable.testing import LocalRuntime

TABLE = "lambda-durable"


def make(**options):
    app = Durable("app", steps_per_invocation=1)

    @app.function("f", on_event("job"), **options)
    def f(ctx: Context[dict]) -> int:
        ctx.step.run("work", int)
        ctx.step.sleep("nap", "1m")
        return len(ctx.events)

    return LocalRuntime(app, lambda_timeout="60s")


def send(rt, *ids, who="a"):
    rt.send(*(Event("job", {"who": who}, id=id) for id in ids))


def purge(rt):
    rt._simulation._events.clear()
    rt._scheduler._schedules.clear()


def look(rt, *, fix=False, deep=False):
    left = Leftovers(rt.aws("dynamodb"), TABLE, None, "")
    return list(examine(Patient(world=rt.client._world, left=left), fix=fix, deep=deep))


def stuck(rt, **how):
    return [each for each in look(rt, **how) if each.level is Level.STUCK]


def ids(rt, status):
    return sorted(rt.get(run.run_id).event.id for run in rt.runs() if run.status == status)


def run_of(rt, event_id):
    return next(run for run in (rt.get(each.run_id) for each in rt.runs()) if run.event.id == event_id)


def delete(rt, pk, sk="!"):
    rt.aws("dynamodb").delete_item(TableName=TABLE, Key={"pk": {"S": pk}, "sk": {"S": sk}})


def items(rt, prefix):
    found = rt.aws("dynamodb").scan(TableName=TABLE)["Items"]
    return [item for item in found if item["pk"]["S"].startswith(prefix)]


def end_without_a_word(rt, monkeypatch):
    """Whoever is at work ends, and is gone before the slot is given back."""
    with monkeypatch.context() as patched:
        patched.setattr(Admission, "leave", lambda *_: None)
        rt.drain()
    purge(rt)


@pytest.mark.parametrize("gone", [False, True])
def test_a_slot_of_a_run_that_is_over_is_freed_and_the_next_is_woken(monkeypatch, gone):
    rt = make(concurrency=Concurrency(1, key="data.who", counts="runs"))
    send(rt, "e0")
    rt.advance("1s")
    send(rt, "e1", "e2")
    end_without_a_word(rt, monkeypatch)
    first = run_of(rt, "e0").run_id
    rt.advance("16m")
    if gone:
        delete(rt, first)
    before = rt.calls.copy()

    (finding,) = stuck(rt)
    assert (finding.kind, finding.subject) == (
        "slot-of-nobody",
        f"run {first} at the concurrency of runs of function 'f', key \"a\"",
    )
    assert ("it is gone" if gone else "it has completed at 2025-01-01") in finding.why
    assert "2 wait for one" in finding.why
    assert finding.way_out == "--fix frees it, and wakes who is next"
    assert not {"dynamodb:TransactWriteItems", "dynamodb:UpdateItem", "sqs:SendMessage"} & {
        *(rt.calls - before)
    }

    (finding,) = stuck(rt, fix=True)
    assert (finding.done, finding.way_out, finding.open) == ("freed it, and woke who is next", "", False)
    rt.drain()
    assert set(ids(rt, "completed")) == {"e0", "e1", "e2"} - ({"e0"} if gone else set())
    assert stuck(rt, deep=True) == []
    assert items(rt, "q#") == []


def test_a_slot_of_a_run_whose_id_another_has_by_now_is_freed(monkeypatch):
    rt = make(concurrency=Concurrency(1, counts="runs"))
    f = rt._app.functions["f"]
    rt.start(f, {"who": "a"}, run_id="mine")
    end_without_a_word(rt, monkeypatch)
    delete(rt, "mine")
    rt.start(f, {"who": "a"}, run_id="other")
    rt.advance("16m")
    rt.start(f, {"who": "a"}, run_id="mine")
    rt.advance("0s")
    purge(rt)
    (finding,) = stuck(rt, fix=True)
    assert "a run before it had its id" in finding.why
    rt.drain()
    rt.advance("31m")
    look(rt, fix=True)
    rt.drain()
    assert [rt.get(run).status for run in ("other", "mine")] == ["completed", "completed"]


def test_a_run_that_has_just_ended_gives_its_slot_back_itself(monkeypatch):
    rt = make(concurrency=Concurrency(1, counts="runs"))
    send(rt, "e0")
    rt.advance("1s")
    send(rt, "e1")
    end_without_a_word(rt, monkeypatch)
    assert stuck(rt, fix=True, deep=True) == []


def test_the_check_of_who_waits_frees_the_slot_of_a_run_that_is_over(monkeypatch):
    rt = make(concurrency=Concurrency(2, counts="runs"))
    send(rt, "e0", "e1")
    rt.advance("1s")
    send(rt, "e2", "e3", "e4")
    end_without_a_word(rt, monkeypatch)
    rt.advance("23h")
    rt.reconcile()
    rt.advance("30m")
    assert ids(rt, "queued") == ["e2", "e3", "e4"]
    rt.advance("1h")
    rt.reconcile()
    rt.drain()
    assert len(ids(rt, "completed")) == 5


@pytest.mark.parametrize("mode", ["skip", "cancel"])
def test_nobody_is_dropped_nor_waits_because_of_a_singleton_that_is_over(monkeypatch, mode):
    rt = make(singleton=Singleton(key="data.who", mode=mode))
    send(rt, "e0")
    end_without_a_word(rt, monkeypatch)
    send(rt, "e1")
    rt.drain()
    assert ids(rt, "completed") == ["e0", "e1"]
    assert items(rt, "q#") == []


def test_a_place_of_a_run_that_is_gone_is_taken_out_of_the_line():
    rt = make(concurrency=Concurrency(1, counts="runs"))
    send(rt, "e0")
    rt.advance("1s")
    send(rt, "e1")
    rt.advance("1s")
    send(rt, "e2")
    rt.advance("1s")
    gone = run_of(rt, "e1").run_id
    delete(rt, gone)
    (finding,) = stuck(rt)
    assert finding.kind == "place-of-nobody"
    assert finding.subject == f"run {gone} in the line of the concurrency of runs of function 'f'"
    (finding,) = stuck(rt, fix=True)
    assert finding.done
    rt.drain()
    assert ids(rt, "completed") == ["e0", "e2"]
    assert (stuck(rt), items(rt, "q#")) == ([], [])


def test_who_is_woken_and_gone_lets_the_next_go_on():
    rt = make(concurrency=Concurrency(1, counts="runs"))
    send(rt, "e0")
    rt.advance("1s")
    send(rt, "e1")
    rt.advance("1s")
    send(rt, "e2")
    rt.advance("1s")
    delete(rt, run_of(rt, "e1").run_id)
    rt.drain()
    assert ids(rt, "completed") == ["e0", "e2"]
    assert len(rt.dead_letters) == 1


@pytest.mark.parametrize(
    "options",
    [
        {"concurrency": Concurrency(1, counts="runs")},
        {"throttle": Throttle(1, "5m")},
        {"concurrency": Concurrency(1)},
    ],
    ids=["runs", "throttle", "steps"],
)
def test_a_line_whose_wake_was_lost_is_woken(options):
    rt = make(**options)
    rt.stub("work", takes="10s")
    send(rt, "e0", "e1", "e2")
    rt.advance("5s" if "throttle" not in options else "1s")
    if options == {"concurrency": Concurrency(1, counts="runs")}:
        while ids(rt, "completed") == []:
            rt._simulation._step()
    purge(rt)
    assert stuck(rt) == []  # what goes on with it may be on its way
    rt.advance("31m")
    lost = [each for each in stuck(rt) if each.kind == "wake-lost"]
    assert len(lost) == 1
    assert "2 wait there" in lost[0].why
    assert lost[0].way_out == "--fix wakes it"
    for _ in range(4):
        look(rt, fix=True)
        rt.drain()
        rt.advance("31m")
    assert ids(rt, "completed") == ["e0", "e1", "e2"]
    assert stuck(rt, deep=True) == []


def test_a_line_of_a_function_that_is_paused_is_not_stuck():
    rt = make(throttle=Throttle(1, "5m"))
    send(rt, "e0", "e1", "e2")
    rt.advance("1s")
    rt.client.pause("f")
    rt.advance("2h")
    assert "wake-lost" not in {each.kind for each in look(rt)}


def test_a_run_that_has_lost_its_place_gets_another():
    rt = make(concurrency=Concurrency(1, counts="runs"))
    rt.stub("work", takes="40s")
    send(rt, "e0", "e1")
    rt.advance("10s")
    (place,) = [item for item in items(rt, "q#") if item["sk"]["S"] != "!"]
    delete(rt, place["pk"]["S"], place["sk"]["S"])
    rt.drain()
    (waits,) = [run.run_id for run in rt.runs() if run.status == "queued"]
    rt.advance("16m")
    who = Patient(world=rt.client._world)
    (finding,) = examine_run(who, waits)
    assert (finding.level, finding.kind) == (Level.STUCK, "place-lost")
    (finding,) = examine_run(who, waits, fix=True)
    assert finding.done
    rt.drain()
    assert rt.get(waits).status == "completed"


def test_what_was_held_when_a_pause_ended_is_brought_back():
    rt = make()
    rt.client.pause("f")
    rt.advance("10s")
    send(rt, "e0", "e1", "e2")
    rt.advance("1s")
    assert stuck(rt) == []
    rt.client.resume("f")
    purge(rt)
    (finding,) = stuck(rt)
    assert (finding.kind, finding.subject) == ("held-back", "function 'f'")
    assert "3 events and 0 messages" in finding.why
    (finding,) = stuck(rt, fix=True)
    assert finding.done == "sent what brings them back"
    rt.drain()
    assert ids(rt, "completed") == ["e0", "e1", "e2"]
    assert stuck(rt) == []


def test_what_stays_held_since_the_message_that_resumes_became_a_dead_letter_is_found(monkeypatch):
    rt = make()
    rt.client.pause("f")
    rt.advance("10s")
    send(rt, "e0", "e1")
    rt.advance("1s")

    def fails(*_):
        raise OSError("no")

    with monkeypatch.context() as broken:
        broken.setattr(worker, "resume", fails)
        rt.client.resume("f")
        rt.advance("2h")
    assert [parse(letter.body).kind for letter in rt.dead_letters] == ["resume"]
    assert list(rt.runs()) == []
    (finding,) = stuck(rt)
    assert (finding.kind, finding.subject) == ("held-back", "function 'f'")
    assert "2 events and 0 messages" in finding.why
    (finding,) = stuck(rt, fix=True)
    rt.drain()
    assert ids(rt, "completed") == ["e0", "e1"]
    assert stuck(rt) == []


@pytest.mark.parametrize("options", [{"debounce": Debounce("1m", key="data.who")}, {"batch": Batch(5, "1m")}])
def test_what_was_collected_and_whose_wake_was_lost_begins_its_run(options):
    rt = make(**options)
    send(rt, "e0", "e1", "e2")
    rt.advance("30s")
    assert stuck(rt, deep=True) == []
    purge(rt)
    rt.advance("10m")
    assert stuck(rt, deep=True) == []
    rt.advance("10m")
    (finding,) = stuck(rt, deep=True)
    assert finding.kind == "collected"
    assert finding.subject.startswith("what function 'f' has collected in ")
    (finding,) = stuck(rt, deep=True, fix=True)
    assert finding.done == "sent the message that goes on with it"
    rt.drain()
    (run,) = rt.runs()
    assert rt.get(run.run_id).output == (1 if "debounce" in options else 3)
    rt.advance("1h")
    assert look(rt, deep=True) == []


def test_a_batch_that_was_followed_by_another_is_found_too(monkeypatch):
    rt = make(batch=Batch(2, "1m"))
    send(rt, "e0", "e1")
    monkeypatch.setattr("lambda_durable.runtime.gathering._gather", lambda *_, **__: None)
    rt.advance("0s")
    monkeypatch.undo()
    purge(rt)
    send(rt, "e2")
    rt.advance("0s")
    purge(rt)
    rt.advance("20m")
    assert {each.kind for each in stuck(rt, deep=True, fix=True)} == {"collected"}
    rt.drain()
    outputs = sorted(rt.get(run.run_id).output for run in rt.runs())
    assert outputs == [1, 2]


def test_a_burst_that_has_its_run_is_left_over_and_closed(monkeypatch):
    rt = make(debounce=Debounce("1m"))
    send(rt, "e0")
    rt.advance("30s")
    with monkeypatch.context() as patched:
        patched.setattr("lambda_durable.runtime.collecting.Collecting.over", lambda *_, **__: None)
        rt.drain()
    purge(rt)
    rt.advance("20m")
    (finding,) = look(rt, deep=True, fix=True)
    assert (finding.level, finding.why) == (Level.LEFT, "it has its run, and nobody wrote that it is over")
    rt.drain()
    assert look(rt, deep=True) == []
    assert len(list(rt.runs())) == 1


def test_crowds_that_are_at_work_are_not_stuck():
    rt = make(
        concurrency=[Concurrency(1, key="data.who"), Concurrency(2, counts="runs")],
        throttle=Throttle(3, "1m"),
    )
    rt.stub("work", takes="20s")
    for n in range(8):
        send(rt, f"e{n}", who="ab"[n % 2])
    for _ in range(40):
        rt.advance("20s")
        assert stuck(rt, deep=True) == []
    rt.drain()
    assert len(ids(rt, "completed")) == 8


def test_who_waits_for_months_does_not_expire_nor_what_it_waits_at():
    rt = make(concurrency=Concurrency(1, counts="runs"), throttle=Throttle(1, "1d"))
    send(rt, *(f"e{n}" for n in range(4)))
    rt.advance("1m")
    rt.client.pause("f")
    for _ in range(100):
        rt.advance("1d")
        rt.reconcile()
        rt.advance("0s")
        now = to_millis(rt.now()) // 1000
        for item in items(rt, "q#"):
            assert item["sk"]["S"] != "!" or item.get("w", {"N": "0"})["N"] == "0" or "x" not in item
        expiries = [
            int(item["x"]["N"])
            for item in items(rt, "")
            if item.get("s", {"S": ""})["S"] in ("queued", "running")
        ]
        assert min(expiries) > now
    rt.client.resume("f")
    rt.drain()
    assert len(ids(rt, "completed")) == 4
    assert all("x" in item for item in items(rt, "q#"))
    assert rt.now() - rt.get(next(rt.runs()).run_id).created_at < timedelta(days=110)


def test_a_run_that_waits_in_line_for_months_lives_as_long():
    app = Durable("app")

    @app.function("f", on_event("job"), concurrency=Concurrency(1, counts="runs"))
    def f(ctx: Context[dict]) -> str:
        ctx.step.sleep("long", "60d")
        return "done"

    rt = LocalRuntime(app)
    rt.send(Event("job", {}), Event("job", {}))
    for _ in range(59):
        rt.advance("1d")
        rt.reconcile()
        rt.advance("0s")
        (waits,) = [item for item in items(rt, "") if item.get("s") == {"S": "queued"}]
        assert int(waits["x"]["N"]) > to_millis(rt.now()) // 1000
    rt.drain()
    assert [run.status for run in rt.runs()] == ["completed", "completed"]

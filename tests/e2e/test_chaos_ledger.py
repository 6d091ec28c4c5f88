"""What chaos and soak judge by: each thing that could be wrong is told, and what is right is not."""

from __future__ import annotations

import json

import pytest
from chaos import app
from chaos.audit import left
from chaos.kinds import CHILDREN, CROWD, KINDS, QUICK
from chaos.ledger import Ledger
from chaos.load import Started
from chaos.log import fresh_log
from chaos.soak import MEGABYTES, Samples

from lambda_durable import Event
from lambda_durable.errors import ErrorInfo
from lambda_durable.testing import LocalRuntime


@pytest.fixture
def log(tmp_path):
    return fresh_log(tmp_path)


class Process:
    """A worker, as it writes the log; with what kills it."""

    def __init__(self, log, pid):
        self._log, self._pid = log, pid

    def note(self, kind, **fields):
        with self._log.path.open("a") as file:
            file.write(json.dumps({"kind": kind, "pid": self._pid, **fields}) + "\n")

    def does(self, *steps, ok=True, message="m", body="b", run="r", attempt=1):
        """An invocation that calls steps; `ok` None: it is killed."""
        self.note("begin", messages=[[message, body, run]])
        for step in steps:
            self.note("effect", run=run, step=step, attempt=attempt)
        if ok is None:
            self._log.note_killed(self._pid)
        else:
            self.note("end", ok=ok)


def ended(function):
    runtime = LocalRuntime(app.app)
    payments_table(runtime.aws("dynamodb"))
    run = runtime.start(function, {"n": 0}, run_id="r")
    runtime.drain()
    return runtime.get(run.run_id)


@pytest.fixture
def undoing():
    """A run of that function, as it must end."""
    return ended(app.undoing)


def ledger(log, *runs, kind="undoing", started=None, payments=None, **options):
    log.read()
    log.close()
    numbers = [0] if started is None else started
    return Ledger(
        [Started(n, kind, None) for n in numbers], {kind: runs, CHILDREN: []}, log, payments or {}, **options
    )


FORWARD = ("hotel", "flight", "car", "pay")
BACK = ("undo/car", "undo/flight", "undo/hotel")


def test_what_is_right_is_not_told(log, undoing):
    Process(log, 1).does(*FORWARD, *BACK)
    assert ledger(log, undoing).violations() == []


def test_a_run_that_is_not_there_is_told(log, undoing):
    Process(log, 1).does(*FORWARD, *BACK)
    assert any("undoing 1 was started" in text for text in ledger(log, undoing, started=[0, 1]).violations())


@pytest.mark.parametrize(
    ("change", "told"),
    [
        ({"status": "running"}, "is running, not failed"),
        ({"status": "completed"}, "is completed, not failed"),
        ({"error": ErrorInfo(type="RunTimeoutError", message="")}, "has the error"),
    ],
)
def test_a_run_that_ended_otherwise_is_told(log, undoing, change, told):
    Process(log, 1).does(*FORWARD, *BACK)
    assert any(told in text for text in ledger(log, undoing.model_copy(update=change)).violations())


@pytest.mark.parametrize(
    ("first", "second", "again"),
    [
        ({"ok": None}, {}, "their worker died"),
        ({"ok": False}, {}, "their invocation failed"),
        ({"message": "m1"}, {"message": "m2"}, "their message was sent twice"),
    ],
)
def test_a_call_is_made_again_for_a_reason(log, undoing, first, second, again):
    worker = Process(log, 1)
    worker.does("hotel", **first)
    worker.does(*FORWARD, *BACK, **second)
    account = ledger(log, undoing)
    assert account.violations() == []
    assert account.again == {again: 1}


def test_a_call_that_is_made_again_without_one_is_told(log, undoing):
    Process(log, 1).does("hotel", body="b1")
    Process(log, 2).does(*FORWARD, *BACK, message="m2", body="b2")
    (told,) = ledger(log, undoing).violations()
    assert "attempt 1 of hotel of r happened 2 times" in told
    assert "clean m (b1) hotel; clean m2 (b2) hotel flight car pay" in told


def test_a_message_that_came_again_explains_as_many_calls(log, undoing):
    first, second = Process(log, 1), Process(log, 2)
    first.does(ok=None, message="m0", body="b0")
    first.does(message="m0", body="b0")
    first.does("hotel", message="m1", body="b1")
    second.does(*FORWARD, *BACK, message="m2", body="b2")
    account = ledger(log, undoing)
    assert account.violations() == []
    assert account.again == {"a message of their run had come again": 1}


def test_an_event_that_came_again_explains_a_call_of_the_run_that_it_began(log, undoing):
    first, second = Process(log, 1), Process(log, 2)
    first.does(ok=None, message="m0", run=undoing.event.id)
    first.does(message="m0", run=undoing.event.id)
    first.does("hotel", message="m1", body="b1")
    second.does(*FORWARD, *BACK, message="m2", body="b2")
    account = ledger(log, undoing)
    assert account.violations() == []
    assert account.again == {"a message of their run had come again": 1}
    assert account.troubled == {"r"}
    assert account.history("r").startswith("died m0 (b) ; clean m0 (b) ; clean m1 (b1) hotel;")


def test_a_step_that_never_happened_is_told(log, undoing):
    Process(log, 1).does("hotel", "flight", "pay", *BACK)
    assert any("car of r never happened" in text for text in ledger(log, undoing).violations())


@pytest.mark.parametrize("back", [("undo/car", "undo/hotel"), tuple(reversed(BACK)), ()])
def test_what_is_not_undone_in_reverse_is_told(log, undoing, back):
    Process(log, 1).does(*FORWARD, *back)
    assert any("has undone" in text for text in ledger(log, undoing).violations())


def test_what_happens_at_most_once_has_no_excuse(log):
    run = ended(app.careful)
    worker = Process(log, 1)
    worker.does("once", ok=None)
    worker.does("once", "at-most")
    (told,) = ledger(log, run, kind="careful").violations()
    assert "attempt 1 of once of r may happen once, and happened 2 times" in told


def test_an_outcome_that_nobody_knows_has_a_reason(log):
    run = ended(app.careful).model_copy(update={"output": ["unknown", "done"]})
    Process(log, 1).does("once", "at-most")
    assert any("nothing had happened to it" in text for text in ledger(log, run, kind="careful").violations())


@pytest.mark.parametrize("payments", [{}, {0: 2}, {0: 1, 7: 1}])
def test_a_payment_that_is_not_made_once_is_told(log, payments):
    run = ended(app.paying)
    Process(log, 1).does("after")
    assert ledger(log, run, kind="paying", payments={0: 1}).violations() == []
    assert any("has paid" in text for text in ledger(log, run, kind="paying", payments=payments).violations())


def test_what_is_left_is_told(log, undoing):
    Process(log, 1).does(*FORWARD, *BACK)
    assert "nothing_is_left: a claim" in ledger(log, undoing, left=["a claim"]).violations()


def item(pk, sk, **attributes):
    return {"pk": {"S": pk}, "sk": {"S": sk}, **{name: {"S": value} for name, value in attributes.items()}}


@pytest.mark.parametrize(
    ("found", "told"),
    [
        (item("w#paid#data.n#1", "r/hear", u="r", p="hear", x="1"), None),
        (item("w#paid#data.n#1", "r/other", u="r", p="other", x="1"), "a waiter"),
        (item("s#ready", "!", u="r", p="other", x="1"), "a waiter"),
        (item("w#paid#data.n#1", "over/other", u="over", p="other", x="1"), None),
        (item("w#paid#data.n#1", "over/other", u="over", p="other"), "a waiter"),
        (item("w#paid#data.n#1", "gone/other", u="gone", p="other", x="1"), "a waiter"),
        (item("w#paid", "!", p=".data.n"), None),
        (item("r", "!", kp="k"), "a run that is still to be looked after"),
        (item("r", ".charge", c="1:1700000000000:tag"), "a claim"),
        (item("r", ".charge", c="1:1700000000000:tag", t="1"), None),
        (item("r/hear", ".submit", c="1:1700000000000:tag"), None),
        (item("r/other", ".submit", c="1:1700000000000:tag"), "a claim"),
    ],
)
def test_what_should_not_be_there_is_known(found, told):
    there = (item("r", "!"), item("r", ".hear", t="1"), item("r", ".other"), item("over", "!", t="2"), found)
    items = {(each["pk"]["S"], each["sk"]["S"]): each for each in there}
    assert left(found, items) == told


@pytest.mark.parametrize(("by", "grows"), [(0.0, False), (0.01, False), (0.1, True)])
def test_growth_is_that_of_the_last_quarter_over_the_second(by, grows):
    warm = [60.0 + 20 * min(n / 20, 1) for n in range(120)]  # what a process loads at first is no growth
    samples = Samples("MB", MEGABYTES, [value + by * n for n, value in enumerate(warm)])
    assert samples.grows is grows


def test_every_function_is_known_to_the_ledger():
    assert set(app.app.functions) == {*KINDS, CHILDREN, *CROWD}
    assert set(QUICK) <= KINDS.keys()


@pytest.mark.parametrize("kind", sorted(KINDS))
def test_undisturbed_runs_end_as_the_ledger_wants(kind):
    runtime = LocalRuntime(app.app)
    payments_table(runtime.aws("dynamodb"))
    run = runtime.start(kind, {"n": 3})
    runtime.advance("5s")
    if kind == "asking":
        runtime.client.complete_callback(runtime.get(run.run_id).steps["ask"].waiting_for.token, "answered")
        runtime.advance("1s")
        assert runtime.client.send_signal("signal-3", 3)
    if kind == "stopped":
        runtime.client.cancel(run.run_id)
    runtime.send(Event("chaos/answered", {"n": 3}))
    runtime.drain()

    run = runtime.get(run.run_id)
    assert run.status == KINDS[kind].status
    assert run.output in KINDS[kind].output(3)
    assert (run.error and run.error.type) == KINDS[kind].error


def payments_table(client):
    client.create_table(
        TableName=app.TABLE,
        BillingMode="PAY_PER_REQUEST",
        KeySchema=[{"AttributeName": "account", "KeyType": "HASH"}],
        AttributeDefinitions=[{"AttributeName": "account", "AttributeType": "S"}],
    )

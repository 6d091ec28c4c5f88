"""The example apps: to their ends, down their failure paths, and crashed at every point."""

from __future__ import annotations

import functools
import importlib
import inspect
import json
import sys
from collections import Counter, defaultdict
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from lambda_durable import Event, Run, current_step
from lambda_durable.events import from_eventbridge
from lambda_durable.testing import LocalRuntime, ModelServer, Refusal, crash_everywhere

ROOT = Path(__file__).parents[2]

EFFECTS = {
    "checkout": {
        "inventory": ["claim", "release"],
        "payments": ["charge"],
        "ledger": ["enter"],
        "search": ["index"],
        "emails": ["send_receipt", "send_declined"],
    },
    "onboarding": {
        "emails": ["send"],
        "workspaces": ["create", "add_sample_project", "create_api_key"],
        "people": ["has_been_active", "assign_manager", "book_kickoff"],
    },
    "nightly": {"accounts": ["due"], "billing": ["invoice"], "reports": ["publish"]},
    "approval": {"mail": ["ask", "remind", "tell"], "payroll": ["add"]},
    "saga": {
        "hotels": ["book", "cancel"],
        "flights": ["book", "cancel"],
        "cars": ["rent", "give_back"],
        "payments": ["charge", "void"],
        "tickets": ["issue"],
    },
    "research": {"analyst": ["plan", "answer", "report"]},
}


class Effects(list[str]):
    """The steps whose functions took effect, in order. An attempt that raised had no effect."""

    def __init__(self) -> None:
        self.keys: defaultdict[str, set[str]] = defaultdict(set)
        self.again_after_commit: list[str] = []
        self.runtime: LocalRuntime | None = None

    def record(self, fn: Any) -> Any:
        @functools.wraps(fn)
        def recorded(*args: Any, **kwargs: Any) -> Any:
            result = fn(*args, **kwargs)
            self._append()
            return result

        @functools.wraps(fn)
        async def recorded_async(*args: Any, **kwargs: Any) -> Any:
            result = await fn(*args, **kwargs)
            self._append()
            return result

        return recorded_async if inspect.iscoroutinefunction(fn) else recorded

    def _append(self) -> None:
        step = current_step()
        self.append(step.step_id)
        self.keys[step.step_id].add(step.idempotency_key)
        if self.runtime is not None and self._is_committed(step.run_id, step.step_id):
            self.again_after_commit.append(step.step_id)

    def _is_committed(self, run_id: str, step_id: str) -> bool:
        """Asked from a thread of its own, which is outside of the invocation: nothing crashes there."""
        with ThreadPoolExecutor(1) as outside:
            run = outside.submit(self.runtime.get, run_id).result()
        return step_id in run.steps and run.steps[step_id].ended_at is not None


class Example:
    """An example's modules, as its Lambda would import them, and the log of its effects."""

    def __init__(self, name: str, monkeypatch: pytest.MonkeyPatch) -> None:
        self.name = name
        folder = ROOT / "functions" / name
        modules = {path.stem for path in folder.glob("*.py")}
        monkeypatch.syspath_prepend(str(folder))
        for module in modules:
            monkeypatch.delitem(sys.modules, module, raising=False)
        self.module: ModuleType = importlib.import_module("app")
        self.app = self.module.app
        self.function = self.app.functions[name]
        self.effects = Effects()
        for module, functions in EFFECTS[name].items():
            for function in functions:
                owner = sys.modules[module]
                monkeypatch.setattr(owner, function, self.effects.record(getattr(owner, function)))

    @functools.cached_property
    def event(self) -> Event[Any]:
        return from_eventbridge(json.loads((ROOT / "events" / f"{self.name}.json").read_text()))

    def run(self, data: Any = None, **options: Any) -> Run[Any]:
        """Send its event, with other data if that is given, and see the run that it starts."""
        runtime = LocalRuntime(self.app, **options)
        event = self.event if data is None else Event(self.event.name, data, id=self.event.id)
        runtime.send(event)
        runtime.drain()
        assert runtime.dead_letters == []
        (started,) = runtime.runs()
        run = runtime.get(started.run_id)
        runtime.close()
        return run


@pytest.fixture
def modules() -> Iterator[None]:
    """Examples have modules of equal names: each test imports its own."""
    before = set(sys.modules)
    yield
    folders = str(ROOT / "functions")
    for name in set(sys.modules) - before:
        if (getattr(sys.modules[name], "__file__", None) or "").startswith(folders):
            del sys.modules[name]


@pytest.fixture
def checkout(modules: None, monkeypatch: pytest.MonkeyPatch) -> Example:
    return Example("checkout", monkeypatch)


@pytest.fixture
def onboarding(modules: None, monkeypatch: pytest.MonkeyPatch) -> Example:
    return Example("onboarding", monkeypatch)


@pytest.fixture
def nightly(modules: None, monkeypatch: pytest.MonkeyPatch) -> Example:
    return Example("nightly", monkeypatch)


@pytest.fixture
def saga(modules: None, monkeypatch: pytest.MonkeyPatch) -> Example:
    return Example("saga", monkeypatch)


@pytest.fixture
def research(modules: None, monkeypatch: pytest.MonkeyPatch) -> Example:
    return Example("research", monkeypatch)


@pytest.fixture
def approval(modules: None, monkeypatch: pytest.MonkeyPatch) -> Example:
    return Example("approval", monkeypatch)


modes = pytest.mark.parametrize("mode", [1, 3, "all", "auto"])


# Checkout


@modes
def test_checkout_charges_at_the_third_attempt_and_sends_the_receipt_three_days_later(checkout, mode):
    run = checkout.run(steps_per_invocation=mode)

    assert (run.status, run.error) == ("completed", None)
    assert run.steps["charge"].attempts == 3
    assert run.output.amount == 72_250
    assert run.output.payment == run.steps["charge"].output["id"]
    assert run.steps["send-receipt"].started_at >= run.steps["cool-off"].wake_at
    assert (run.steps["cool-off"].wake_at - run.steps["cool-off"].started_at).days == 3
    assert run.labels == ("A-1042", "ada@example.com")
    assert Counter(checkout.effects) == Counter(
        ["claim-inventory", "charge", "update-ledger", "update-search-index", "send-receipt"]
    )


def test_checkout_puts_the_goods_back_when_the_card_is_declined(checkout):
    run = checkout.run({**checkout.event.data, "card": "tok_declined"})

    assert run.status == "failed"
    assert (run.error.type, run.error.message, run.error.step_id) == (
        "payments.CardDeclined",
        "insufficient funds",
        "charge",
    )
    assert checkout.effects == ["claim-inventory", "release-inventory", "tell-customer"]


def test_checkout_fails_at_once_when_the_goods_are_not_there(checkout):
    lines = [{"sku": "grinder", "count": 10, "price": 1}, {"sku": "grinder", "count": 3, "price": 1}]

    run = checkout.run({**checkout.event.data, "lines": lines})

    assert run.status == "failed"
    assert run.error.message == "13 of 'grinder' are wanted, and 12 are left"
    assert checkout.effects == []


def test_checkout_refuses_a_cart_without_lines(checkout):
    run = checkout.run({**checkout.event.data, "lines": []})

    assert run.status == "failed"
    assert "data.lines" in run.error.message
    assert run.steps == {}


# Onboarding


@modes
def test_onboarding_invites_the_team_and_notes_who_does_not_exist(onboarding, mode):
    run = onboarding.run(steps_per_invocation=mode)

    assert (run.status, run.error) == ("completed", None)
    assert run.output.outcome == "team"
    assert run.output.invited == ["charles@example.com", "mary@example.com"]
    assert run.output.bounced == ["nobody@example.invalid"]
    assert run.steps["workspace/sample-project"].attempts == 2
    assert run.steps["workspace"].output == run.output.workspace.model_dump()


@pytest.mark.parametrize(
    ("user", "plan", "outcome", "last"),
    [
        ("u-1", "free", "active", "offer-upgrade"),
        ("u-1-idle", "free", "won back", "we-miss-you"),
        ("u-1", "enterprise", "enterprise", "introduce"),
    ],
)
def test_onboarding_branches_by_plan(onboarding, user, plan, outcome, last):
    run = onboarding.run({**onboarding.event.data, "user": user, "plan": plan})

    assert (run.status, run.error) == ("completed", None)
    assert run.output.outcome == outcome
    assert onboarding.effects[-1] == last
    assert max(Counter(onboarding.effects).values()) == 1


def test_onboarding_fails_for_an_address_that_bounces(onboarding):
    run = onboarding.run({**onboarding.event.data, "email": "ada@example.invalid"})

    assert run.status == "failed"
    assert (run.error.type, run.error.step_id) == ("emails.Bounced", "welcome")
    assert onboarding.effects == []


# Nightly


@pytest.mark.parametrize("mode", ["all", "auto"])
def test_nightly_bills_two_hundred_accounts_and_reports_who_could_not_be(nightly, mode):
    run = nightly.run(steps_per_invocation=mode)

    assert (run.status, run.error) == ("completed", None)
    assert run.output.invoices == 196
    assert list(run.output.failed) == ["acc-0007", "acc-0057", "acc-0107", "acc-0157"]
    assert run.steps["invoice[acc-0003]"].attempts == 3
    assert run.steps["invoice[acc-0011]"].attempts == 2
    invoices = [effect for effect in nightly.effects if effect.startswith("invoice")]
    assert len(invoices) == len(set(invoices)) == 196


@modes
def test_nightly_bills_as_many_accounts_as_the_event_says(nightly, mode):
    run = nightly.run({**nightly.event.data, "accounts": 25}, steps_per_invocation=mode)

    assert run.status == "completed"
    assert (run.output.invoices, list(run.output.failed)) == (24, ["acc-0007"])


def test_nightly_has_nothing_to_do_without_accounts(nightly):
    run = nightly.run({**nightly.event.data, "accounts": 0})

    assert run.status == "completed"
    assert run.output.invoices == 0


def test_nightly_fails_when_too_many_accounts_do_but_reports_first(nightly):
    run = nightly.run({**nightly.event.data, "accounts": 8})

    assert run.status == "failed"
    assert run.error.message == "1 of 8 accounts could not be billed"
    assert nightly.effects[-1] == "publish-report"


def test_nightly_runs_at_three_in_the_morning_for_the_day_before(nightly):
    runtime = LocalRuntime(
        nightly.app, start=datetime(2026, 3, 28, 12, tzinfo=UTC), steps_per_invocation="all"
    )
    runtime.advance("2d")  # the clocks go forward on the 29th
    runtime.drain()

    runs = [runtime.get(run.run_id) for run in runtime.runs()]
    runtime.close()

    assert [run.event.time for run in runs] == [
        datetime(2026, 3, 30, 1, tzinfo=UTC),
        datetime(2026, 3, 29, 1, tzinfo=UTC),
    ]
    assert [(run.status, f"{run.output.day}", run.output.invoices) for run in runs] == [
        ("completed", "2026-03-29", 196),
        ("completed", "2026-03-28", 196),
    ]


# Saga


@modes
def test_saga_books_a_trip(saga, mode):
    run = saga.run({**saga.event.data, "city": "Oslo"}, steps_per_invocation=mode)

    assert (run.status, run.error) == ("completed", None)
    assert run.steps["flight"].attempts == 2
    assert run.output.payment == run.steps["payment"].output["id"]
    assert run.steps["payment"].output["amount"] == 3 * 14_900 + 22_000 + 3 * 5_900
    assert sorted(saga.effects) == ["car", "flight", "hotel", "payment", "tickets"]


@modes
def test_saga_takes_back_all_that_it_booked(saga, mode):
    run = saga.run(steps_per_invocation=mode)

    assert (run.status, run.error.type) == ("failed", "tickets.NoVisa")
    assert saga.effects[4:] == ["undo/payment", "undo/car", "undo/flight", "undo/hotel"]
    assert run.steps["undo/flight"].attempts == 2


@pytest.mark.parametrize(
    ("change", "error", "undone"),
    [
        ({"city": "Venice"}, "cars.NoCars", ["undo/flight", "undo/hotel"]),
        ({"card": "tok_declined"}, "payments.Declined", ["undo/car", "undo/flight", "undo/hotel"]),
    ],
)
def test_saga_takes_back_what_it_had_booked(saga, change, error, undone):
    run = saga.run({**saga.event.data, **change})

    assert (run.status, run.error.type) == ("failed", error)
    assert [effect for effect in saga.effects if effect.startswith("undo/")] == undone


def test_saga_voids_a_payment_of_which_nobody_knows(saga):
    runtime = LocalRuntime(saga.app)
    runtime.stub("payment", takes="1m")
    run = runtime.run(saga.function, saga.event.data)

    assert (run.status, run.error.step_id) == ("failed", "payment")
    assert run.error.type == "lambda_durable.errors.StepTimeoutError"
    assert saga.effects.count("payment") == 1
    assert saga.effects[-4:] == ["undo/payment", "undo/car", "undo/flight", "undo/hotel"]


@pytest.mark.parametrize("mode", [1, "all"])
def test_saga_leaves_nothing_booked_wherever_it_crashes(saga, mode):
    for crash in crash_everywhere(saga.app, saga.function, saga.event.data, steps_per_invocation=mode):
        effects = list(saga.effects)
        saga.effects.clear()
        assert crash.run.status == "failed", crash.point
        assert crash.runtime.dead_letters == [], crash.point
        for booked in {effect for effect in effects if not effect.startswith("undo/")} - {"tickets"}:
            undone = [place for place, effect in enumerate(effects) if effect == f"undo/{booked}"]
            last = len(effects) - 1 - effects[::-1].index(booked)
            assert undone, (crash.point, booked)
            assert min(undone) > last, (crash.point, booked)
            assert crash.run.steps[f"undo/{booked}"].status == "completed", (crash.point, booked)
        crash.runtime.close()


# Research


@modes
def test_research_answers_what_it_can_and_comes_again_to_a_model_that_is_busy(research, mode):
    run = research.run(steps_per_invocation=mode)

    assert (run.status, run.error) == ("completed", None)
    assert len(run.output.findings) == 5
    assert run.output.failed == ["Which rumours are there about durable execution?"]
    assert run.output.left_out == []
    assert run.output.report.summary == "5 things are known."
    assert run.steps["answer:1[2]"].attempts == 2
    assert run.steps["answer:1[2]"].ended_at - run.started_at >= timedelta(seconds=20)
    assert run.output.tokens == sum(
        sum(step.output["usage"].values())
        for step in run.steps.values()
        if step.kind == "run" and step.status == "completed"
    )


@pytest.mark.parametrize(("budget", "answered", "left"), [(1_000, 0, 6), (2_300, 5, 1), (3_700, 6, 0)])
def test_research_stays_within_its_budget(research, budget, answered, left):
    run = research.run({"topic": "durable execution", "budget": budget})

    assert run.status == "completed"
    assert len(run.output.findings) + len(run.output.failed) == answered
    assert len(run.output.left_out) == left
    assert run.output.tokens <= budget
    assert run.output.report.title == "What is known"


def test_research_asks_the_model_that_the_environment_names(research, monkeypatch):
    asked = []

    def answer(request: dict[str, Any]) -> Refusal:
        asked.append(request["modelId"])
        return Refusal(403, "AccessDeniedException")

    with ModelServer(answer) as server:
        monkeypatch.setenv("RESEARCH_MODEL", "anthropic.some-model")
        monkeypatch.setenv("RESEARCH_ENDPOINT_URL", server.url)
        run = research.run()

    assert asked == ["anthropic.some-model"]
    assert (run.status, run.error.step_id) == ("failed", "plan")
    assert "bedrock:InvokeModel" in run.error.message


# Approval


def answered(example, answer, *, after="2h", data=None, **options):
    """The run of a claim, to which somebody answers by `answer(client, token)`."""
    runtime = LocalRuntime(example.app, **options)
    run = runtime.start(example.function, {**example.event.data, **(data or {})})
    runtime.advance(after)
    waiting = runtime.get(run.run_id).steps["decision"].waiting_for
    if waiting is not None:
        assert answer(runtime.client, waiting.token) is True
    runtime.drain()
    ended = runtime.get(run.run_id)
    runtime.close()
    return ended


def approve(client, token):
    return client.complete_callback(token, {"approved": True, "note": "go"})


@modes
@pytest.mark.parametrize(("after", "reminders"), [("2h", 0), ("3d", 1)])
def test_approval_pays_once_the_manager_has_approved_and_reminds_after_a_day(
    approval, mode, after, reminders
):
    run = answered(approval, approve, after=after, steps_per_invocation=mode)

    assert (run.status, run.error) == ("completed", None)
    assert run.output.model_dump() == {
        "claim": "E-318",
        "status": "paid",
        "note": "go",
        "reminded": bool(reminders),
    }
    assert approval.effects == ["decision/submit", *["remind"] * reminders, "pay", "tell"]


@pytest.mark.parametrize(
    ("answer", "status", "note"),
    [
        (
            lambda client, token: client.complete_callback(token, {"approved": False, "note": "no"}),
            "declined",
            "no",
        ),
        (
            lambda client, token: client.fail_callback(token, "Charles has left"),
            "declined",
            "Charles has left",
        ),
        (lambda client, token: client.complete_callback(token, {"aproved": True}), "declined", "approved"),
        (lambda client, token: True, "expired", "nobody has answered for a week"),
    ],
)
def test_approval_pays_nothing_otherwise(approval, answer, status, note):
    run = answered(approval, answer)

    assert (run.status, run.output.status) == ("completed", status)
    assert note in run.output.note
    assert approval.effects[-1] == "tell"
    assert "pay" not in approval.effects


def test_approval_gives_up_after_a_week(approval):
    run = approval.run()

    assert (run.output.status, run.output.reminded) == ("expired", True)
    assert (run.ended_at - run.started_at).days == 7
    assert run.labels == ("E-318", "ada@example.com")


def test_approval_says_so_when_the_manager_cannot_be_asked(approval):
    run = answered(approval, approve, data={"manager": "charles@example.invalid"})

    assert (run.output.status, run.output.reminded) == ("undeliverable", False)
    assert run.output.note == "charles@example.invalid does not exist"
    assert approval.effects == ["tell"]


@pytest.mark.parametrize("mode", ["all", "auto"])
@pytest.mark.parametrize("after", ["2h", "3d"])
def test_approval_survives_a_crash_at_every_point(approval, mode, after):
    def drive(runtime, run):
        runtime.advance(after)
        token = runtime.get(run.run_id).steps["decision"].waiting_for.token
        assert approve(runtime.client, token) is True
        runtime.drain()

    assert assert_survives_crashes(approval, {}, mode, drive) > 30


# Crashed everywhere


def without_times(run: Run[Any]) -> dict[str, Any]:
    """A run but for when things happened, which a crash delays."""
    steps = {
        id: step.model_dump(exclude={"started_at", "ended_at", "wake_at", "waiting_for"})
        for id, step in run.steps.items()
    }
    for step in steps.values():
        if step["error"] is not None:
            step["error"].pop("traceback")
    return {"status": run.status, "output": run.output, "labels": run.labels, "steps": steps}


def drain(runtime: LocalRuntime, _: Run[Any]) -> None:
    runtime.drain()


def assert_survives_crashes(
    example: Example,
    data: dict[str, Any],
    mode: Any,
    play: Callable[[LocalRuntime, Run[Any]], object] = drain,
) -> int:
    """No effect without a crash happens twice; with one, that of a step in flight may, once more."""
    fields = {**example.event.data, **data}
    undisturbed, expected, points = None, Counter[str](), 0

    def drive(runtime: LocalRuntime, run: Run[Any]) -> None:
        example.effects.runtime = runtime
        play(runtime, run)

    for crash in crash_everywhere(
        example.app, example.function, fields, drive=drive, steps_per_invocation=mode
    ):
        effects = Counter(example.effects)
        example.effects.clear()
        assert crash.run.status == "completed", (crash.point, crash.run.status, crash.run.error)
        assert crash.runtime.dead_letters == [], crash.point
        assert example.effects.again_after_commit == [], crash.point
        if undisturbed is None:
            assert crash.point is None
            assert set(effects.values()) == {1}
            undisturbed, expected = without_times(crash.run), effects
        else:
            again = effects - expected
            assert expected - effects == Counter(), crash.point
            assert set(again.values()) <= {1}, (crash.point, again)
            assert without_times(crash.run) == undisturbed, crash.point
        points += 1
        crash.runtime.close()
    assert all(len(keys) == 1 for keys in example.effects.keys.values())
    return points


@pytest.mark.parametrize("mode", ["all", "auto"])
def test_checkout_survives_a_crash_at_every_point(checkout, mode):
    assert assert_survives_crashes(checkout, {}, mode) > 30


@pytest.mark.parametrize("mode", ["all", "auto"])
def test_onboarding_survives_a_crash_at_every_point(onboarding, mode):
    teammates = ["charles@example.com"] if mode == "all" else []  # stepwise has more points to crash at
    assert assert_survives_crashes(onboarding, {"teammates": teammates}, mode) > 30


@pytest.mark.parametrize("mode", ["all", "auto"])
def test_nightly_survives_a_crash_at_every_point(nightly, mode):
    assert assert_survives_crashes(nightly, {"accounts": 4}, mode) > 30


@pytest.mark.parametrize("mode", ["all", "auto"])
def test_research_survives_a_crash_at_every_point(research, mode):
    assert assert_survives_crashes(research, {"budget": 2_150}, mode) > 20

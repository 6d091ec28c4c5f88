"""`verify`: what would become of a recorded run on other code, without a step being executed."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from pydantic import BaseModel

from lambda_durable import Context, Durable, Event, StepError, on_event
from lambda_durable.testing import LocalRuntime
from lambda_durable.verify import Change, Outcome, Recording, Verdict, read_recording, verify
from tests.flavours import FLAVOURS

LONG = timedelta(days=3)
STEPS = ("lock", "charge", "cool-off", "pack", "ship", "confirm")
LIVE = {"at rest": "1d", "later": "3d"}
"""Two stages of a run that has not ended: it sleeps after `charge`; it waits for an event after `ship`."""


def release(flavour: Any, steps: Any, *, work: Any = lambda: 1) -> Durable:
    """An app with one function of these steps; one with a dash sleeps."""
    app = Durable("shop")

    def checkout(ctx):
        total = 0
        for step in steps:
            if step.startswith("wait"):
                yield ctx.step.wait_for_event(step, "shop/packed", timeout="9d")
            elif "-" in step:
                yield ctx.step.sleep(step, LONG)
            else:
                total += yield ctx.step.run(step, work if flavour.name == "sync" else awaited(work))
        return total

    flavour.function(app, checkout, "checkout")
    return app


def awaited(work: Any) -> Any:
    async def run():
        return work()

    return run


def trap():
    raise AssertionError("a step was executed")


def record(flavour: Any, steps: Any = STEPS, advance: str | None = None) -> Recording:
    runtime = LocalRuntime(app := release(flavour, steps))
    for step in steps:
        if "-" not in step:
            runtime.stub(step, takes="1s")
    run = runtime.start(app.functions["checkout"])
    if advance is None:
        runtime.drain()
    else:
        runtime.advance(advance)
    recording = read_recording(runtime.client._world, run.run_id)
    runtime.close()
    return recording


def told(verdict: Verdict) -> list[tuple[Change, str | None, str | None]]:
    return [(each.change, each.step, each.now) for each in verdict.differences]


CHANGES: dict[str, tuple[Any, Outcome, list[Any]]] = {
    "nothing": (STEPS, Outcome.SAME, []),
    "renamed": (
        ("lock", "bill", "cool-off", "pack", "ship", "confirm"),
        Outcome.DIVERGES,
        [(Change.RENAMED, "charge", "bill")],
    ),
    "renamed twice": (
        ("lock", "bill", "cool-down", "pack", "ship", "confirm"),
        Outcome.DIVERGES,
        [(Change.RENAMED, "charge", "bill"), (Change.RENAMED, "cool-off", "cool-down")],
    ),
    "removed": (
        ("lock", "cool-off", "pack", "ship", "confirm"),
        Outcome.DIVERGES,
        [(Change.REMOVED, "charge", None)],
    ),
    "added": (
        ("lock", "check", "charge", "cool-off", "pack", "ship", "confirm"),
        Outcome.OTHERWISE,
        [(Change.ADDED, "check", None)],
    ),
    "added at the end": ((*STEPS, "thank"), Outcome.OTHERWISE, [(Change.ADDED, "thank", None)]),
    "reordered": (
        ("charge", "lock", "cool-off", "pack", "ship", "confirm"),
        Outcome.SAME,
        [(Change.LATER, "lock", None)],
    ),
}


@pytest.mark.parametrize("flavour", FLAVOURS, ids=lambda flavour: flavour.name)
@pytest.mark.parametrize("change", CHANGES)
def test_an_ended_run_is_told_what_the_code_does_otherwise(flavour, change):
    steps, outcome, differences = CHANGES[change]
    verdict = verify(record(flavour), release(flavour, steps, work=trap))
    assert (verdict.outcome, told(verdict)) == (outcome, differences)


@pytest.mark.parametrize("flavour", FLAVOURS, ids=lambda flavour: flavour.name)
@pytest.mark.parametrize(
    ("steps", "differences", "at"),
    [
        (STEPS, [], "cool-off"),
        (("lock", "charge", "cool-off", "bill"), [], "cool-off"),  # what comes later is none of its business
        (("lock", "bill", "cool-off"), [(Change.RENAMED, "charge", "bill")], "cool-off"),
        (("lock", "charge", "cool-down"), [(Change.RENAMED, "cool-off", "cool-down")], "cool-down"),
        (("charge", "cool-off", "ship"), [(Change.REMOVED, "lock", None)], "cool-off"),
        (("lock", "check", "charge", "cool-off"), [(Change.ADDED, "check", None)], "check"),
        (("charge", "lock", "cool-off"), [(Change.LATER, "lock", None)], "cool-off"),
        (("lock", "charge", "pack", "cool-off"), [(Change.ADDED, "pack", None)], "pack"),
    ],
)
def test_a_run_that_sleeps_is_told_whether_it_can_go_on(flavour, steps, differences, at):
    verdict = verify(record(flavour, advance="1d"), release(flavour, steps, work=trap))
    broken = any(change.breaks for change, _, _ in differences)
    assert told(verdict) == differences
    assert verdict.outcome is (Outcome.DIVERGES if broken else Outcome.GOES_ON)
    assert verdict.at == (at,)


@pytest.mark.parametrize("flavour", FLAVOURS, ids=lambda flavour: flavour.name)
@pytest.mark.parametrize("advance", ["1d", None])
def test_a_step_of_another_kind_diverges_and_says_where_in_the_code(flavour, advance):
    recording = record(flavour, advance=advance)
    app = Durable("shop")

    def checkout(ctx):
        yield ctx.step.run("lock", trap if flavour.name == "sync" else awaited(trap))
        try:
            yield ctx.step.sleep("charge", "1d")
        except Exception:  # nothing can hide it
            pass

    flavour.function(app, checkout, "checkout")
    (difference,) = [each for each in verify(recording, app).differences if each.change is Change.KIND]
    assert difference.step == "charge"
    assert "is a sleep in the code and a run in the journal" in difference.why
    assert difference.where.startswith(__file__)


def test_whose_step_it_is_that_the_code_calls_in_the_place_of_another_is_known_from_other_runs():
    flavour = FLAVOURS[0]
    recording = record(flavour, steps=("lock", "charge"), advance="1s")  # `charge` has not begun
    app = release(flavour, ("charge",), work=trap)
    assert told(verify(recording, app)) == [(Change.RENAMED, "lock", "charge")]
    assert told(verify(recording, app, old_ids={"charge"})) == [(Change.REMOVED, "lock", None)]


# -- values ------------------------------------------------------------------------------------------


class Cart(BaseModel):
    sku: str


class BigCart(Cart):
    count: int


class Order(BaseModel):
    id: str


class Invoice(BaseModel):
    number: int


def cart_app(model: type, order: type, result: str = "{}", *, also: bool = False) -> Durable:
    app = Durable("shop")

    def charge():
        return order(id="o-1") if order is Order else trap()

    charge.__annotations__["return"] = order

    @app.function("checkout", on_event("shop/cart", model))
    def checkout(ctx: Context) -> str:
        charged = ctx.step.run("charge", charge)
        if also:
            ctx.step.run("notify", trap, charged)
        ctx.step.sleep("z", "1d")
        return result.format(getattr(charged, "id", None))

    return app


def cart_run(advance: str | None = None) -> Recording:
    runtime = LocalRuntime(cart_app(Cart, Order))
    runtime.send(Event("shop/cart", {"sku": "s-1"}))
    runtime.drain() if advance is None else runtime.advance(advance)
    (summary,) = runtime.runs()
    recording = read_recording(runtime.client._world, summary.run_id)
    runtime.close()
    return recording


@pytest.mark.parametrize("advance", ["1h", None])
def test_an_event_that_no_longer_fits_the_model_diverges(advance):
    (difference,) = verify(cart_run(advance), cart_app(BigCart, Order)).differences
    assert difference.change is Change.EVENT
    assert "data.count: Field required" in difference.why


@pytest.mark.parametrize("advance", ["1h", None])
def test_an_output_that_no_longer_fits_its_type_diverges_at_its_step(advance):
    verdict = verify(cart_run(advance), cart_app(Cart, Invoice))
    assert verdict.diverges
    assert told(verdict) == [(Change.OUTPUT, "charge", None)]
    assert "number: Field required" in verdict.differences[0].why


def test_another_output_of_an_ended_run_is_a_difference_in_a_class_of_its_own():
    verdict = verify(cart_run(), cart_app(Cart, Order, "order {}"))
    assert (verdict.outcome, told(verdict)) == (Outcome.OTHERWISE, [(Change.END, None, None)])
    assert verdict.differences[0].why == 'it returns "order o-1", and returned "o-1"'
    assert verify(cart_run(), cart_app(Cart, Order)).outcome is Outcome.SAME


def test_a_function_that_the_app_no_longer_has_diverges():
    app = Durable("shop")
    (difference,) = verify(cart_run("1h"), app).differences
    assert (difference.change, difference.step) == (Change.FUNCTION, None)
    assert "no function 'checkout'" in difference.why


# -- what the handler does itself --------------------------------------------------------------------


def handling(code: Any) -> Durable:
    app = Durable("shop")

    @app.function("f")
    def f(ctx: Context) -> Any:
        return code(ctx)

    return app


def run_of(code: Any, advance: str | None = None) -> Recording:
    runtime = LocalRuntime(app := handling(code))
    run = runtime.start(app.functions["f"])
    runtime.drain() if advance is None else runtime.advance(advance)
    recording = read_recording(runtime.client._world, run.run_id)
    runtime.close()
    return recording


def plain(ctx: Context) -> int:
    one = ctx.step.run("one", lambda: 1)
    ctx.step.sleep("z", "1d")
    return one + ctx.step.run("two", lambda: 2)


def test_code_that_raises_where_the_recorded_run_went_on_diverges():
    def raising(ctx: Context) -> None:
        ctx.step.run("one", trap)
        {}["missing"]

    verdict = verify(run_of(plain, "1h"), handling(raising))
    assert told(verdict) == [(Change.RAISES, "one", None)]
    assert "KeyError after 'one'" in verdict.differences[0].why
    assert verdict.differences[0].where.startswith(__file__)


def test_code_that_misses_a_variable_of_its_environment_is_not_judged(monkeypatch):
    import os

    monkeypatch.delenv("STRIPE_URL", raising=False)

    def reading(ctx: Context) -> None:
        ctx.step.run("one", trap)
        os.environ["STRIPE_URL"]

    verdict = verify(run_of(plain, "1h"), handling(reading))
    assert (verdict.outcome, told(verdict)) == (Outcome.UNCLEAR, [(Change.UNCLEAR, "one", None)])


def test_what_follows_a_new_step_is_found_out_unless_its_result_decides_it():
    def handing_on(ctx: Context) -> Any:
        extra = ctx.step.run("extra", trap)
        one = ctx.step.run("one", trap, extra.of["it"] * 2)
        ctx.step.sleep("z", "1d")
        return one + ctx.step.run("two", trap)

    def deciding(ctx: Context) -> Any:
        return plain(ctx) if ctx.step.run("extra", trap) else None

    verdict = verify(run_of(plain), handling(handing_on))
    assert told(verdict) == [(Change.ADDED, "extra", None)]
    verdict = verify(run_of(plain), handling(deciding))
    assert (verdict.outcome, told(verdict)) == (Outcome.UNCLEAR, [(Change.UNCLEAR, "extra", None)])
    assert "whether the code still calls 'one', 'z', 'two' is not known" in verdict.differences[0].why


def test_a_failed_run_is_the_same_if_it_fails_so_again():
    def failing(ctx: Context) -> None:
        raise ValueError(ctx.step.run("one", lambda: "no"))

    def caught(ctx: Context) -> str:
        try:
            ctx.step.run("one", trap)
            failing(ctx)
        except ValueError:
            return "fine"

    recording = run_of(failing)
    assert verify(recording, handling(failing)).outcome is Outcome.SAME
    assert verify(recording, handling(lambda ctx: ctx.step.run("one", trap))).outcome is Outcome.OTHERWISE


def test_a_step_error_that_is_no_longer_caught_diverges():
    def refuse() -> None:
        raise ValueError("no")

    def caught(ctx: Context) -> str:
        try:
            ctx.step.run("one", refuse)
        except StepError:
            pass
        return ctx.step.run("two", lambda: "fine")

    def uncaught(ctx: Context) -> str:
        ctx.step.run("one", trap)
        return ctx.step.run("two", trap)

    assert told(verify(run_of(caught), handling(uncaught))) == [(Change.RAISES, "one", None)]


# -- groups, maps, undo ------------------------------------------------------------------------------


def nested(inner: str, items: Any = (1, 2), group: str = "g") -> Any:
    def code(ctx: Context) -> Any:
        def pack() -> Any:
            return ctx.step.run(inner, lambda: 1)

        packed = ctx.step.group(group, pack)
        sent = ctx.step.map_group("m", lambda item: ctx.step.run("send", lambda: item), items)
        ctx.step.sleep("z", "1d")
        return [packed, *sent]

    return code


def test_what_is_inside_a_finished_group_matters_to_an_ended_run_and_not_to_one_that_is_past_it():
    ended, past = run_of(nested("tape")), run_of(nested("tape"), "1h")
    assert verify(ended, handling(nested("tape"))).outcome is Outcome.SAME
    assert told(verify(ended, handling(nested("glue")))) == [(Change.RENAMED, "g/tape", "g/glue")]
    assert verify(past, handling(nested("glue"))).outcome is Outcome.GOES_ON
    assert told(verify(past, handling(nested("tape", group="h")))) == [(Change.RENAMED, "g", "h")]


@pytest.mark.parametrize("advance", ["1h", None])
def test_a_list_that_changed_is_told_with_its_map(advance):
    (difference,) = verify(run_of(nested("tape"), advance), handling(nested("tape", (1, 2, 3)))).differences
    assert (difference.change, difference.step) == (Change.LIST, "m")
    assert "2 items then, 3 now" in difference.why


def test_an_undo_that_is_gone_diverges_while_it_may_be_needed():
    def undoing(ctx: Context) -> None:
        ctx.step.options(undo=lambda _: None).run("one", lambda: 1)
        ctx.step.sleep("z", "1d")

    def gone(ctx: Context) -> None:
        ctx.step.run("one", trap)
        ctx.step.sleep("z", "1d")

    recording = run_of(undoing, "1h")
    assert verify(recording, handling(undoing)).outcome is Outcome.GOES_ON
    assert told(verify(recording, handling(gone))) == [(Change.UNDO, "one", None)]


def test_a_run_that_is_pinned_never_comes_to_this_code():
    app = Durable("shop")

    @app.function("f", pin=True)
    def f(ctx: Context) -> None:
        ctx.step.sleep("z", "1d")

    runtime = LocalRuntime(app)
    run = runtime.start(f)
    runtime.advance("1h")
    verdict = verify(read_recording(runtime.client._world, run.run_id), Durable("shop"))
    assert verdict.outcome is Outcome.SKIPPED
    assert "pinned to Lambda version 1" in verdict.note


# -- what it costs -----------------------------------------------------------------------------------


def test_a_live_run_is_read_once_and_nothing_is_written():
    runtime = LocalRuntime(app := handling(nested("tape")))
    runtime.start(app.functions["f"], run_id="r-1")
    runtime.advance("1h")
    table = runtime.aws("dynamodb").scan(TableName="lambda-durable")["Items"]
    calls, items = runtime.calls.copy(), runtime.usage.items_read
    recording = read_recording(runtime.client._world, "r-1")
    spent = runtime.calls - calls
    assert set(spent) <= {"dynamodb:Query", "dynamodb:GetItem", "s3:GetObject"}
    scopes = {"", "g", "m", "m[0]", "m[1]"}
    assert {each.scope for each in recording.partitions} == scopes
    assert spent.total() == len(scopes)
    assert runtime.usage.items_read - items == sum(each["pk"]["S"].startswith("r-1") for each in table)

    before = runtime.calls.copy()
    assert verify(recording, handling(nested("glue", group="h"))).diverges
    assert runtime.calls == before


def test_a_run_is_rehearsed_once_if_it_does_not_differ(monkeypatch):
    rehearsed = []
    code = nested("tape")

    def counting(ctx: Context) -> Any:
        rehearsed.append(ctx.run_id)
        return code(ctx)

    recording = run_of(code)
    verify(recording, handling(counting))
    assert len(rehearsed) == 1


def test_the_lines_that_others_log_are_not_held_back(caplog):
    import logging

    verify(run_of(plain), handling(plain))
    with caplog.at_level(logging.INFO):
        logging.getLogger("f").info("mine")
    assert "mine" in caplog.text

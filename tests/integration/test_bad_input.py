"""What becomes of bad input: issue 2, point 7. Each has one outcome, and nothing is lost."""

import asyncio
import json
from datetime import UTC, datetime, timedelta

import pytest
from pydantic import BaseModel

from lambda_durable import (
    AsyncContext,
    ConfigurationError,
    Context,
    DuplicateStepError,
    Durable,
    Event,
    NestedStepError,
    PayloadTooLargeError,
    Retry,
    SerializationError,
    StepError,
    on_event,
)

ERRORS = "lambda_durable.errors"
MODES = [1, "all"]


@pytest.fixture(params=MODES, ids=str)
def mode(request):
    return request.param


@pytest.fixture
def app():
    return Durable("t", retry=Retry.fixed("1s", 3))


class Cart(BaseModel):
    sku: str
    count: int


# events


def cart_app():
    app = Durable("t", retry=Retry.fixed("1s", 3))
    entered = []

    @app.function("checkout", on_event("cart", Cart))
    def checkout(ctx: Context[Cart]) -> str:
        entered.append(ctx.attempt)
        return ctx.event.data.sku

    return app, checkout, entered


@pytest.mark.parametrize(
    ("data", "field"),
    [
        ({"sku": "a", "count": "many"}, "data.count"),
        ({"count": 1}, "data.sku"),
        ({}, "data.sku"),
        ([1], "data"),
        ("text", "data"),
        (None, "data"),
    ],
)
def test_event_data_that_its_model_refuses_is_a_failed_run_that_names_the_field(durable, data, field):
    app, _, entered = cart_app()
    rt = durable(app)
    rt.send(Event("cart", data, id="bad"), Event("cart", {"sku": "ok", "count": 1}, id="good"))
    rt.drain()
    runs = {rt.get(run.run_id).event.id: rt.get(run.run_id) for run in rt.runs()}
    assert set(runs) == {"bad", "good"}
    assert runs["bad"].status == "failed"
    assert runs["bad"].error.type == f"{ERRORS}.EventDataError"
    assert field in runs["bad"].error.message
    assert runs["bad"].event.data == data
    assert runs["good"].output == "ok"
    assert entered == [1]
    assert rt.dead_letters == []


def test_data_of_a_direct_start_that_its_model_refuses_is_a_failed_run(durable):
    app, checkout, entered = cart_app()
    run = durable(app).run(checkout, {"sku": 3})
    assert run.status == "failed"
    assert run.error.type == f"{ERRORS}.EventDataError"
    assert entered == []


def test_an_event_no_function_wants_starts_nothing_and_is_no_dead_letter(durable):
    app, _, _ = cart_app()
    rt = durable(app)
    assert rt.send(Event("unknown", {"a": 1}, id="e")) == ["e"]
    rt.drain()
    assert list(rt.runs()) == []
    assert rt.dead_letters == []


def test_an_event_no_function_wants_is_stored_and_so_deduped(durable):
    app, _, _ = cart_app()
    rt = durable(app)
    rt.send(Event("unknown", {"a": 1}, id="e"))
    rt.drain()
    rt.send(Event("cart", {"sku": "x", "count": 1}, id="e"))
    rt.drain()
    assert list(rt.runs()) == []


@pytest.mark.parametrize("size", [300 * 1024, 1500 * 1024, 5 * 1024 * 1024 - 200])
def test_a_large_event_comes_through_intact(durable, size):
    app = Durable("t")

    @app.function("f", on_event("big"))
    def f(ctx: Context) -> int:
        ctx.step.sleep("s", "1h")
        assert ctx.event.data == {"text": text}
        return len(ctx.event.data["text"])

    text = "x" * size
    rt = durable(app)
    rt.start(f, {"text": text})
    if size <= 300 * 1024:
        rt.send(Event("big", {"text": text}))
    rt.drain()
    runs = [rt.get(run.run_id) for run in rt.runs()]
    assert [run.output for run in runs] == [size] * (2 if size <= 300 * 1024 else 1)
    assert all(run.event.data == {"text": text} for run in runs)


def test_a_300_kb_event_fans_out_to_every_function_intact(durable):
    app = Durable("t")
    text = "é" * 150 * 1024
    for id in ("a", "b"):

        @app.function(id, on_event("big"))
        def f(ctx: Context) -> bool:
            return ctx.event.data["text"] == text

    rt = durable(app)
    rt.send(Event("big", {"text": text}))
    rt.drain()
    assert [rt.get(run.run_id).output for run in rt.runs()] == [True, True]


def test_an_event_over_max_output_is_refused_where_it_is_sent(durable):
    app = Durable("t", max_output=1000)

    @app.function("f", on_event("big"))
    def f(ctx: Context) -> None: ...

    rt = durable(app)
    with pytest.raises(PayloadTooLargeError):
        rt.send(Event("big", {"x": "x" * 1000}))
    with pytest.raises(PayloadTooLargeError):
        rt.start(f, {"x": "x" * 1000})
    with pytest.raises(SerializationError):
        rt.send(Event("big", {"x": object()}))
    rt.drain()
    assert list(rt.runs()) == []


# results


DEEP: list = []
for _ in range(250):
    DEEP = [DEEP]

UNFIT = {
    "object": object(),
    "function": len,
    "nested object": {"a": [object()]},
    "surrogate": "\ud800",
    "deep": DEEP,
}


@pytest.mark.parametrize("what", UNFIT)
@pytest.mark.parametrize("caught", [True, False])
def test_a_result_that_cannot_be_serialized_fails_its_step_at_once(durable, app, mode, what, caught):
    calls = []

    def fn():
        calls.append(1)
        return UNFIT[what]

    @app.function("f")
    def f(ctx: Context) -> str:
        try:
            ctx.step.run("x", fn)
        except SerializationError as error:
            if not caught:
                raise
            assert error.step_id == "x"
            assert error.attempts == 1
        return ctx.step.run("y", lambda: "went on")

    run = durable(app, steps_per_invocation=mode).run(f)
    assert len(calls) == 1
    assert run.steps["x"].status == "failed"
    if caught:
        assert run.output == "went on", run.error
    else:
        assert (run.status, run.error.type, run.error.step_id) == (
            "failed",
            f"{ERRORS}.SerializationError",
            "x",
        )


def test_a_serialization_error_names_the_step_and_the_type(durable, app):
    class Odd:
        pass

    @app.function("f")
    def f(ctx: Context) -> None:
        ctx.step.group("g", lambda: ctx.step.run("x", lambda: {"a": Odd()}))

    run = durable(app).run(f)
    assert run.error.step_id == "g/x"
    assert "Odd" in run.error.message
    assert run.error.type == f"{ERRORS}.SerializationError"


@pytest.mark.parametrize("where", ["map", "parallel", "map_group", "group"])
def test_a_result_that_cannot_be_serialized_fails_a_branch_at_once(durable, app, mode, where):
    calls = []

    def fn(*_):
        calls.append(1)
        return object()

    @app.function("f")
    def f(ctx: Context) -> str:
        step = ctx.step
        try:
            if where == "map":
                step.map("m", fn, [1])
            elif where == "parallel":
                step.parallel("m", fn)
            elif where == "map_group":
                step.map_group("m", fn, [1])
            else:
                step.group("m", fn)
        except SerializationError as error:
            return error.step_id
        return "none"

    run = durable(app, steps_per_invocation=mode).run(f)
    assert run.output == ("m" if where == "group" else "m[0]"), run.error
    assert len(calls) == 1


def test_a_result_over_max_output_fails_its_step_at_once(durable, mode):
    app = Durable("t", max_output=2000)
    calls = []

    def fn():
        calls.append(1)
        return "x" * 2000

    @app.function("f")
    def f(ctx: Context) -> str:
        ctx.step.run("fits", lambda: "x" * 1900)
        try:
            ctx.step.run("x", fn)
        except PayloadTooLargeError as error:
            return f"{error.step_id} {error.attempts}"
        return "none"

    run = durable(app, steps_per_invocation=mode).run(f)
    assert run.output == "x 1", run.error
    assert len(calls) == 1


def test_a_runs_own_output_that_does_not_fit_fails_the_run(durable, mode):
    app = Durable("t", max_output=2000)

    @app.function("large")
    def large(ctx: Context) -> str:
        return "x" * 3000

    @app.function("odd")
    def odd(ctx: Context):
        return object()

    rt = durable(app, steps_per_invocation=mode)
    assert rt.run(large).error.type == f"{ERRORS}.PayloadTooLargeError"
    assert rt.run(odd).error.type == f"{ERRORS}.SerializationError"


def test_a_5_mb_result_is_returned_intact(durable, mode):
    app = Durable("t")
    text = "x" * (5 * 1024 * 1024 - 2)

    @app.function("f")
    def f(ctx: Context) -> str:
        got = ctx.step.run("big", lambda: text)
        ctx.step.sleep("s", "1h")
        assert got == text
        return got

    run = durable(app, steps_per_invocation=mode).run(f)
    assert run.status == "completed", run.error
    assert run.output == text
    assert run.steps["big"].output == text


def test_one_byte_over_5_mb_is_too_large(durable):
    app = Durable("t")

    @app.function("f")
    def f(ctx: Context) -> int:
        return len(ctx.step.run("big", lambda: "x" * (5 * 1024 * 1024 - 1)))

    run = durable(app).run(f)
    assert run.error.type == f"{ERRORS}.PayloadTooLargeError"


def test_a_map_of_large_results_has_no_limit_as_a_whole(durable, mode):
    app = Durable("t", max_output=100_000)

    @app.function("f")
    def f(ctx: Context) -> int:
        got = ctx.step.map("m", lambda n: str(n) * 90_000, range(5))
        ctx.step.sleep("s", "1h")
        return sum(map(len, got))

    run = durable(app, steps_per_invocation=mode).run(f)
    assert run.output == 450_000, run.error


# calls

NAIVE = datetime(2025, 1, 1)
BAD_CALLS = {
    "empty id": (lambda s: s.run("", len, "x"), ConfigurationError, "''"),
    "long id": (lambda s: s.run("x" * 257, len, "x"), ConfigurationError, "xxxx"),
    "int id": (lambda s: s.run(3, len, "x"), ConfigurationError, "3"),
    "None id": (lambda s: s.run(None, len, "x"), ConfigurationError, "None"),
    "bytes id": (lambda s: s.run(b"x", len, "x"), ConfigurationError, "b'x'"),
    "surrogate id": (lambda s: s.run("\ud800", len, "x"), ConfigurationError, "ud800"),
    "sleep id": (lambda s: s.sleep("", "1s"), ConfigurationError, "''"),
    "map id": (lambda s: s.map("", len, ["x"]), ConfigurationError, "''"),
    "group id": (lambda s: s.group("", len, "x"), ConfigurationError, "''"),
    "bare number": (lambda s: s.sleep("nap", 5), ConfigurationError, "nap"),
    "bare float": (lambda s: s.sleep("nap", 5.5), ConfigurationError, "nap"),
    "number string": (lambda s: s.sleep("nap", "5"), ConfigurationError, "nap"),
    "no duration": (lambda s: s.sleep("nap", "soon"), ConfigurationError, "nap"),
    "negative": (lambda s: s.sleep("nap", timedelta(seconds=-1)), ConfigurationError, "nap"),
    "naive": (lambda s: s.sleep_until("nap", NAIVE), ConfigurationError, "nap"),
    "string date": (lambda s: s.sleep_until("nap", "2025-01-01"), ConfigurationError, "nap"),
    "no function": (lambda s: s.run("x", 3), ConfigurationError, "'x'"),
}


@pytest.mark.parametrize("caught", [True, False])
@pytest.mark.parametrize("what", BAD_CALLS)
def test_a_bad_call_is_an_error_at_the_call_that_names_the_id(durable, app, what, caught):
    call, error, text = BAD_CALLS[what]
    entered = []

    @app.function("f")
    def f(ctx: Context) -> str:
        entered.append(1)
        try:
            call(ctx.step)
        except error:
            if not caught:
                raise
        return ctx.step.run("after", lambda: "went on")

    rt = durable(app)
    run = rt.run(f)
    if caught:
        assert run.output == "went on", run.error
        assert set(run.steps) == {"after"}
    else:
        assert (run.status, run.error.type) == ("failed", f"{ERRORS}.{error.__name__}")
        assert text in run.error.message
        assert len(entered) == 1


@pytest.mark.parametrize("what", BAD_CALLS)
def test_in_an_async_handler_it_is_an_error_at_the_call_too_before_any_await(durable, app, what):
    call, error, _ = BAD_CALLS[what]

    @app.function("f")
    async def f(ctx: AsyncContext) -> str:
        try:
            coroutine = call(ctx.step)
        except error:
            return await ctx.step.run("after", lambda: "at the call")
        coroutine.close()
        return "late"

    assert durable(app).run(f).output == "at the call"


def test_a_bare_number_says_what_to_write(durable, app):
    @app.function("f")
    def f(ctx: Context) -> None:
        ctx.step.sleep("nap", 5)  # type: ignore[arg-type]

    message = durable(app).run(f).error.message
    assert "5" in message
    assert '"5s"' in message or "'5s'" in message or "timedelta" in message


def test_a_step_in_a_step_is_a_nested_step_error_that_names_both(durable, app, mode):
    @app.function("f")
    def f(ctx: Context) -> str:
        try:
            ctx.step.run("outer", lambda: ctx.step.run("inner", lambda: 1))
        except StepError as error:
            return error.error_type + " " + error.message
        return ""

    run = durable(app, steps_per_invocation=mode).run(f)
    assert run.output.startswith(f"{ERRORS}.NestedStepError"), run.error
    assert "'inner'" in run.output
    assert "'outer'" in run.output
    assert run.steps["outer"].attempts == 1


def test_a_step_in_an_async_step_is_a_nested_step_error(durable, app, mode):
    @app.function("f")
    async def f(ctx: AsyncContext) -> None:
        async def fn():
            return await ctx.step.run("inner", lambda: 1)

        await ctx.step.run("outer", fn)

    run = durable(app, steps_per_invocation=mode).run(f)
    assert run.status == "failed"
    assert run.error.type == f"{ERRORS}.{NestedStepError.__name__}"
    assert run.steps["outer"].attempts == 1


@pytest.mark.parametrize("caught", [True, False])
def test_one_id_from_two_tasks_is_a_duplicate_step_error(durable, app, mode, caught):
    @app.function("f")
    async def f(ctx: AsyncContext) -> str:
        async def branch() -> int:
            return await ctx.step.run("same", lambda: 1)

        try:
            await asyncio.gather(branch(), branch())
        except DuplicateStepError as error:
            if not caught:
                raise
            assert "step.group" in str(error)
            assert "'same'" in str(error)
        return await ctx.step.run("after", lambda: "ok")

    run = durable(app, steps_per_invocation=mode).run(f)
    if caught:
        assert run.output == "ok", run.error
    else:
        assert (run.status, run.error.type) == ("failed", f"{ERRORS}.DuplicateStepError")


def test_one_id_from_two_groups_is_no_duplicate(durable, app, mode):
    @app.function("f")
    async def f(ctx: AsyncContext) -> list[int]:
        async def branch(n: int) -> int:
            return await ctx.step.run("same", lambda: n)

        return await asyncio.gather(ctx.step.group("a", branch, 1), ctx.step.group("b", branch, 2))

    assert durable(app, steps_per_invocation=mode).run(f).output == [1, 2]


# registration


def test_two_functions_with_one_id_are_an_error():
    app = Durable("t")

    @app.function("f")
    def f(ctx: Context) -> None: ...

    with pytest.raises(ConfigurationError, match="'f'"):

        @app.function("f")
        def g(ctx: Context) -> None: ...


def test_two_equal_triggers_are_an_error():
    app = Durable("t")
    with pytest.raises(ConfigurationError, match="twice"):

        @app.function("f", [on_event("a"), on_event("a")])
        def f(ctx: Context) -> None: ...


def test_an_async_handler_with_a_sync_context_is_an_error_and_the_reverse():
    app = Durable("t")
    with pytest.raises(ConfigurationError, match="AsyncContext"):

        @app.function("f")
        async def f(ctx: Context) -> None: ...

    with pytest.raises(ConfigurationError, match="Context"):

        @app.function("g")
        def g(ctx: AsyncContext) -> None: ...

    with pytest.raises(ConfigurationError):

        @app.function("h")
        async def h(ctx: Context[Cart]) -> None: ...

    with pytest.raises(ConfigurationError):

        @app.function("i")
        async def i(ctx: "Context[Cart]") -> None: ...


@pytest.mark.parametrize("id", ["", "x" * 300, 3, None])
def test_a_bad_function_id_is_an_error(id):
    with pytest.raises(ConfigurationError):
        Durable("t").function(id)


@pytest.mark.parametrize("n", [0, -1, 1.5, "some", None, True])
def test_bad_steps_per_invocation_is_an_error(durable, n):
    if n is not None:
        with pytest.raises(ConfigurationError):
            Durable("t", steps_per_invocation=n)


# what an async handler may not await


async def read_a_socket():
    reader, _ = await asyncio.open_connection("127.0.0.1", 9)
    await reader.read()


async def with_timeout(ctx):
    async with asyncio.timeout(5):
        await ctx.step.run("x", lambda: 1)


OUTSIDE = {
    "asyncio.sleep": lambda ctx: asyncio.sleep(1),
    "asyncio.timeout": with_timeout,
    "wait_for": lambda ctx: asyncio.wait_for(ctx.step.run("x", lambda: 1), 5),
    "to_thread": lambda ctx: asyncio.to_thread(len, "x"),
    "connection": lambda ctx: read_a_socket(),
    "a future": lambda ctx: asyncio.get_running_loop().create_future(),
    "an event": lambda ctx: asyncio.Event().wait(),
}


@pytest.mark.parametrize("what", OUTSIDE)
def test_waiting_outside_a_step_is_an_error_that_names_the_way_out(durable, app, mode, what):
    @app.function("f")
    async def f(ctx: AsyncContext) -> str:
        await ctx.step.run("before", lambda: 1)
        await OUTSIDE[what](ctx)
        return "not reached"

    run = durable(app, steps_per_invocation=mode).run(f)
    assert run.status == "failed"
    assert run.error.type == f"{ERRORS}.ConfigurationError"
    assert "ctx.step.sleep" in run.error.message
    assert "ctx.step.run" in run.error.message


def test_a_sleep_of_nothing_is_allowed_it_only_yields(durable, app, mode):
    @app.function("f")
    async def f(ctx: AsyncContext) -> str:
        await asyncio.sleep(0)
        await ctx.step.run("x", lambda: 1)
        await asyncio.sleep(0)
        return "ok"

    assert durable(app, steps_per_invocation=mode).run(f).output == "ok"


@pytest.mark.parametrize("how", ["gather", "task", "caught"])
def test_waiting_outside_a_step_is_noticed_in_a_task_and_where_it_is_caught(durable, app, mode, how):
    @app.function("f")
    async def f(ctx: AsyncContext) -> str:
        if how == "gather":
            await asyncio.gather(asyncio.sleep(1), ctx.step.run("x", lambda: 1))
        elif how == "task":
            task = asyncio.create_task(asyncio.sleep(1))
            await ctx.step.run("x", lambda: 1)
            await task
        else:
            try:
                await asyncio.sleep(1)
            except ConfigurationError:
                raise ValueError("seen") from None
        return "not reached"

    run = durable(app, steps_per_invocation=mode).run(f)
    assert run.status == "failed"
    if how != "caught":
        assert run.error.type == f"{ERRORS}.ConfigurationError"


def test_asyncio_locks_and_queues_between_tasks_are_fine(durable, app, mode):
    @app.function("f")
    async def f(ctx: AsyncContext) -> list[int]:
        lock, queue, found = asyncio.Lock(), asyncio.Queue(), []

        async def produce() -> None:
            for n in range(3):
                async with lock:
                    await queue.put(await ctx.step.run(f"p{n}", lambda n=n: n))

        async def consume() -> None:
            for n in range(3):
                found.append(await queue.get())
                async with lock:
                    await ctx.step.run(f"c{n}", lambda: None)

        await asyncio.gather(produce(), consume())
        return found

    run = durable(app, steps_per_invocation=mode).run(f)
    assert run.output == [0, 1, 2], run.error


def test_deadlocked_tasks_are_an_error(durable, app, mode):
    @app.function("f")
    async def f(ctx: AsyncContext) -> None:
        await ctx.step.run("x", lambda: 1)
        lock = asyncio.Lock()
        await lock.acquire()
        await lock.acquire()

    run = durable(app, steps_per_invocation=mode).run(f)
    assert run.status == "failed"
    assert run.error.type == f"{ERRORS}.ConfigurationError"


# handlers that swallow BaseException


SYNC_SWALLOWS = {
    "run": lambda step: step.run("x", lambda: 1),
    "sleep": lambda step: step.sleep("s", "1h"),
    "map": lambda step: step.map("m", lambda n: n, [1, 2]),
    "parallel": lambda step: step.parallel(
        "p", lambda: step.sleep("s", "1h"), lambda: step.run("x", lambda: 1)
    ),
    "group": lambda step: step.group("g", lambda: step.sleep("s", "1h")),
}


@pytest.mark.parametrize("then", ["return", "raise"])
@pytest.mark.parametrize("what", SYNC_SWALLOWS)
def test_a_handler_that_swallows_base_exception_fails_and_the_run_says_so(durable, app, what, then):
    @app.function("f")
    def f(ctx: Context) -> str:
        ctx.step.run("before", lambda: 1)
        try:
            SYNC_SWALLOWS[what](ctx.step)
            return "fine"
        except BaseException:
            if then == "raise":
                raise ValueError("instead") from None
        return "swallowed"

    rt = durable(app, steps_per_invocation=1)
    run = rt.run(f)
    assert run.status == "failed", (run.output, run.error)
    assert run.error.type == f"{ERRORS}.ConfigurationError"
    assert "BaseException" in run.error.message
    assert run.steps["before"].status == "completed"


@pytest.mark.parametrize("then", ["return", "raise", "step"])
def test_an_async_handler_that_swallows_base_exception_fails_or_is_not_hurt(durable, app, then):
    effects = []

    @app.function("f")
    async def f(ctx: AsyncContext) -> str:
        await ctx.step.run("before", lambda: 1)
        try:
            await ctx.step.sleep("s", "1h")
            return "fine"
        except BaseException:
            if then == "raise":
                raise ValueError("instead") from None
            if then == "step":
                await ctx.step.run("after", lambda: effects.append(1))
        return "swallowed"

    run = durable(app, steps_per_invocation=1).run(f)
    # an async handler is left by its loop, so it may well end as if it had not caught anything
    assert (run.status, run.output) == ("completed", "fine") or (
        run.status == "failed" and "BaseException" in run.error.message
    )
    assert effects == []


@pytest.mark.parametrize("what", SYNC_SWALLOWS)
@pytest.mark.parametrize("n", [1, 3, "all", "auto"])
def test_a_finally_block_runs_when_the_handler_is_over_and_loses_nothing(durable, app, n, what):
    effects = []

    @app.function("f")
    def f(ctx: Context) -> str:
        ctx.step.run("before", lambda: 1)
        try:
            SYNC_SWALLOWS[what](ctx.step)
            return "ok"
        finally:
            ctx.step.run("cleanup", effects.append, 1)

    run = durable(app, steps_per_invocation=n).run(f)
    assert (run.status, run.output) == ("completed", "ok"), run.error
    assert effects == [1]
    others = [step.ended_at for id, step in run.steps.items() if id != "cleanup"]
    assert run.steps["cleanup"].started_at >= max(others)


@pytest.mark.parametrize("what", SYNC_SWALLOWS)
def test_a_step_after_except_base_exception_loses_nothing(durable, app, mode, what):
    # the same as `finally` as far as we can see: what suspends goes on, since the step lets nothing by
    effects = []

    @app.function("f")
    def f(ctx: Context) -> str:
        try:
            SYNC_SWALLOWS[what](ctx.step)
            return "fine"
        except BaseException:
            ctx.step.run("after", effects.append, 1)
            return "swallowed"

    run = durable(app, steps_per_invocation=mode).run(f)
    assert effects == []
    assert (run.status, run.output) == ("completed", "fine") or "BaseException" in run.error.message


def test_an_async_finally_block_starts_nothing_while_the_handler_is_suspended(durable, app, mode):
    effects = []

    @app.function("f")
    async def f(ctx: AsyncContext) -> str:
        try:
            await ctx.step.sleep("s", "1h")
            return "ok"
        finally:
            await ctx.step.run("cleanup", effects.append, 1)

    run = durable(app, steps_per_invocation=mode).run(f)
    assert run.output == "ok", run.error
    assert effects == [1]


# attempts that break off


def recurse():
    return recurse()


def exhaust():
    raise MemoryError("no more")


@pytest.mark.parametrize(("fn", "type_"), [(recurse, "RecursionError"), (exhaust, "MemoryError")])
def test_recursion_and_memory_errors_are_failed_attempts(durable, app, mode, fn, type_):
    calls = []

    def counted():
        calls.append(1)
        return fn()

    @app.function("f")
    def f(ctx: Context) -> str:
        try:
            ctx.step.run("x", counted)
        except StepError as error:
            return f"{error.error_type} {error.attempts}"
        return ""

    run = durable(app, steps_per_invocation=mode).run(f)
    assert run.output == f"{type_} 3", run.error
    assert len(calls) == 3


# messages


def on_the_queue(rt, body):
    """Put a message on the app's queue, as anybody with the permission can."""
    from lambda_durable.ports import Outgoing

    rt._queue.send([Outgoing(body)])


@pytest.mark.parametrize(
    "body",
    [
        " ",
        "{",
        "null",
        "[]",
        "3",
        '"text"',
        "{}",
        '{"kind": "unknown"}',
        '{"kind": "continue"}',
        '{"kind": "continue", "run": ""}',
        '{"kind": "continue", "run": 3}',
        '{"kind": "continue", "run": "x", "generation": -1}',
        '{"kind": "start", "function": "f"}',
        '{"kind": "start", "function": "checkout", "run": "r"}',
        '{"kind": "start", "function": "checkout", "run": "r", "event": "{"}',
        '{"kind": "start", "function": "checkout", "run": "r", "event": "{}"}',
        '{"kind": "start", "function": "checkout", "run": "r", "event": "[]"}',
        '{"kind": "start", "function": "checkout", "run": "r", "key": "../secret"}',
        '{"kind": "start", "function": "checkout", "run": "a/b#c", "event": "{}"}',
        '{"detail-type": "cart"}',
        '{"detail-type": 3, "detail": {}}',
        '{"detail-type": "cart", "detail": "text", "id": "x", "time": "2025-01-01T00:00:00Z", "source": "s"}',
        '{"detail-type": "cart", "detail": {}, "id": "x", "time": "yesterday", "source": "s"}',
        '{"detail-type": "cart", "detail": {}, "id": "", "time": "2025-01-01T00:00:00Z", "source": "s"}',
        "[" * 100_000,
    ],
    ids=lambda body: body[:60] or "empty",
)
def test_a_malformed_message_goes_to_the_dead_letters_with_the_reason_and_the_others_go_on(durable, body):
    app, _, _ = cart_app()
    rt = durable(app)
    rt.send(Event("cart", {"sku": "a", "count": 1}))
    on_the_queue(rt, body)
    rt.send(Event("cart", {"sku": "b", "count": 1}))
    rt.drain()
    assert sorted(rt.get(run.run_id).output for run in rt.runs()) == ["a", "b"]
    assert len(rt.dead_letters) == 1
    assert rt.dead_letters[0].body == body
    assert rt.dead_letters[0].reason
    assert rt.invocations < 12


def test_a_continuation_of_an_unknown_run_is_a_dead_letter_and_no_loop(durable):
    app, _, _ = cart_app()
    rt = durable(app)
    on_the_queue(rt, json.dumps({"kind": "continue", "run": "nobody", "generation": 1}))
    rt.drain()
    assert rt.invocations == 1
    assert len(rt.dead_letters) == 1
    assert "nobody" in rt.dead_letters[0].reason


def test_a_run_whose_function_is_gone_is_marked_failed(durable, mode):
    old, new = Durable("t"), Durable("t")

    @old.function("gone")
    def gone(ctx: Context) -> None:
        ctx.step.sleep("s", "1h")

    @new.function("other")
    def other(ctx: Context) -> None: ...

    rt = durable(old, steps_per_invocation=mode)
    id = rt.start(gone).run_id
    rt.advance("1m")
    rt.deploy(new)
    rt.drain()
    run = rt.get(id)
    assert run.status == "failed"
    assert "'gone'" in run.error.message
    assert rt.dead_letters == []


def test_a_start_of_an_unknown_function_is_a_failed_run_or_a_dead_letter_never_a_loop(durable):
    app, _, _ = cart_app()
    rt = durable(app)
    with pytest.raises(ConfigurationError, match="nothing"):
        rt.start("nothing")
    event = json.dumps(
        {
            "name": "x",
            "data": {},
            "id": "e",
            "time": datetime(2025, 1, 1, tzinfo=UTC).isoformat(),
            "source": "s",
        }
    )
    on_the_queue(rt, json.dumps({"kind": "start", "function": "nothing", "run": "r1", "event": event}))
    rt.drain()
    assert rt.invocations < 5
    assert rt.dead_letters or rt.get("r1").status == "failed"

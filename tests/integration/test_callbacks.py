"""Waiting for a callback: what hands its token back, and when."""

from __future__ import annotations

import asyncio
import base64
import contextlib
import json
from contextlib import nullcontext
from datetime import timedelta

import pytest
from pydantic import BaseModel

from lambda_durable import (
    AsyncContext,
    Callback,
    CallbackError,
    CallbackTokenError,
    ConfigurationError,
    Context,
    Durable,
    Middleware,
    NonRetriableError,
    PayloadTooLargeError,
    Retry,
    StepError,
    StepTimeoutError,
    current_step,
)
from lambda_durable.testing import Faults, LocalRuntime

MODES = [1, "all", "auto"]


class Decision(BaseModel):
    approved: bool
    by: str = ""


@pytest.fixture(params=MODES)
def app(request):
    return Durable("desk", steps_per_invocation=request.param)


class Asked(list):
    """The callbacks that were submitted."""

    def __call__(self, callback: Callback) -> str:
        self.append(callback)
        return "asked"

    @property
    def token(self) -> str:
        return self[-1].token


@pytest.fixture
def asked():
    return Asked()


@pytest.fixture(params=["sync", "async"])
def waiting(request, app):
    """A function that waits for a callback, and says how that went."""

    def make(submit, **options):
        options = {"timeout": "7d", **options}
        step_options = options.pop("step", {})
        failures = (CallbackError, StepTimeoutError, StepError)

        def told(error):
            return [type(error).__name__, error.error_type, error.message, error.step_id]

        if request.param == "sync":

            @app.function("f")
            def f(ctx: Context) -> object:
                ctx.step.run("before", int)
                try:
                    found = ctx.step.options(**step_options).wait_for_callback("wait", submit, **options)
                except failures as error:
                    return told(error)
                return [found, ctx.step.run("after", int)]

            return f

        @app.function("f")
        async def f(ctx: AsyncContext) -> object:
            await ctx.step.run("before", int)
            try:
                found = await ctx.step.options(**step_options).wait_for_callback("wait", submit, **options)
            except failures as error:
                return told(error)
            return [found, await ctx.step.run("after", int)]

        return f

    return make


def begin(durable, app, f, **options):
    rt = durable(app, **options)
    run = rt.start(f)
    rt.advance("0s")
    return rt, run.run_id


def test_a_token_handed_back_ends_the_wait_with_its_result(durable, app, waiting, asked):
    rt, run_id = begin(durable, app, waiting(asked))
    run = rt.get(run_id)
    wait = run.steps["wait"]
    assert (wait.status, wait.kind, wait.waiting_for.kind) == ("waiting", "wait_for_callback", "callback")
    assert wait.waiting_for.token == asked.token
    assert wait.waiting_for.deadline == asked[0].deadline == rt.now() + timedelta(days=7)
    assert (run.steps["wait/submit"].status, run.steps["wait/submit"].output) == ("completed", "asked")

    rt.advance("2d")
    assert rt.client.complete_callback(asked.token, {"by": ("ann", 1)}) is True
    assert rt.client.complete_callback(asked.token, 2) is False
    assert rt.client.fail_callback(asked.token, "no") is False
    assert rt.client.heartbeat_callback(asked.token) is False
    rt.drain()

    run = rt.get(run_id)
    assert run.output == [{"by": ("ann", 1)}, 0]
    assert run.ended_at == run.created_at + timedelta(days=2)
    assert len(asked) == 1
    assert rt.client.complete_callback(asked.token, 3) is False


def test_a_wait_without_submit_shows_its_token(durable, app, waiting):
    rt, run_id = begin(durable, app, waiting(None))
    assert rt.client.complete_callback(rt.get(run_id).steps["wait"].waiting_for.token) is True
    rt.drain()
    assert rt.get(run_id).output == [None, 0]


def test_the_outside_world_reports_a_failure_as_text(durable, app, waiting, asked):
    rt, run_id = begin(durable, app, waiting(asked))
    assert rt.client.fail_callback(asked.token, "not this year") is True
    rt.drain()
    failure = ["CallbackError", "lambda_durable.errors.CallbackError", "not this year", "wait"]
    assert rt.get(run_id).output == failure


@pytest.mark.parametrize(
    ("error", "type_"),
    [
        (KeyError("budget"), "KeyError"),
        (StepTimeoutError("of theirs", step_id="theirs"), "lambda_durable.errors.StepTimeoutError"),
    ],
)
def test_the_outside_world_reports_an_exception(durable, app, waiting, asked, error, type_):
    rt, run_id = begin(durable, app, waiting(asked))
    rt.client.fail_callback(asked.token, error)
    rt.drain()
    kind, error_type, message, step_id = rt.get(run_id).output
    assert (kind, error_type, step_id) == ("CallbackError", type_, "wait")
    assert message in ("'budget'", "of theirs")


def test_an_uncaught_failure_of_a_callback_fails_the_run(durable, app, asked):
    @app.function("f")
    def f(ctx: Context) -> None:
        ctx.step.wait_for_callback("wait", asked, timeout="1d")

    rt, run_id = begin(durable, app, f)
    rt.client.fail_callback(asked.token, ValueError("no"))
    rt.drain()
    run = rt.get(run_id)
    assert (run.status, run.error.type, run.error.message, run.error.step_id) == (
        "failed",
        "ValueError",
        "no",
        "wait",
    )
    assert run.steps["wait"].status == "failed"


def test_nobody_hands_it_back_in_time(durable, app, waiting, asked):
    rt, run_id = begin(durable, app, waiting(asked, timeout="90m"))
    rt.drain()
    run = rt.get(run_id)
    message = "callback 'wait' was not completed within 1:30:00"
    assert run.output == ["StepTimeoutError", "lambda_durable.errors.StepTimeoutError", message, "wait"]
    assert run.ended_at == run.created_at + timedelta(minutes=90)
    assert rt.client.complete_callback(asked.token, 1) is False


def test_heartbeats_keep_a_wait_alive_but_not_beyond_its_timeout(durable, app, waiting, asked):
    rt, run_id = begin(durable, app, waiting(asked, timeout="1h", heartbeat="10m"))
    for _ in range(8):
        rt.advance("8m")
        if rt.get(run_id).status != "running":
            break
        assert rt.client.heartbeat_callback(asked.token) is True
    rt.drain()
    run = rt.get(run_id)
    assert run.output[2] == "callback 'wait' was not completed within 1:00:00"
    assert run.ended_at == run.created_at + timedelta(hours=1)


def test_a_wait_ends_when_heartbeats_stop(durable, app, waiting, asked):
    rt, run_id = begin(durable, app, waiting(asked, timeout="30d", heartbeat="10m"))
    for _ in range(5):
        rt.advance("8m")
        assert rt.client.heartbeat_callback(asked.token)
    rt.drain()
    run = rt.get(run_id)
    assert run.output[2] == "callback 'wait' had no heartbeat for 0:10:00"
    assert run.ended_at == run.created_at + timedelta(minutes=50)
    assert rt.client.heartbeat_callback(asked.token) is False


def test_a_heartbeat_that_nobody_asked_for_changes_nothing(durable, app, waiting, asked):
    rt, run_id = begin(durable, app, waiting(asked, timeout="1h"))
    rt.advance("30m")
    assert rt.client.heartbeat_callback(asked.token) is True
    rt.drain()
    assert rt.get(run_id).output[0] == "StepTimeoutError"


def test_the_result_comes_as_its_model(durable, app, waiting, asked):
    rt, run_id = begin(durable, app, waiting(asked, model=Decision))
    rt.client.complete_callback(asked.token, {"approved": True, "by": "ann"})
    rt.drain()
    assert rt.get(run_id).output == [Decision(approved=True, by="ann"), 0]


def test_a_result_that_the_model_refuses_is_a_failure_of_the_callback(durable, app, waiting, asked):
    rt, run_id = begin(durable, app, waiting(asked, model=Decision))
    assert rt.client.complete_callback(asked.token, {"approved": "perhaps"}) is True
    rt.drain()
    kind, error_type, message, step_id = rt.get(run_id).output
    assert (kind, error_type, step_id) == ("CallbackError", "lambda_durable.errors.CallbackError", "wait")
    assert "approved" in message


# -- submit -------------------------------------------------------------------------------------------


def test_submit_is_retried_with_the_same_token_and_key(durable, app, waiting):
    seen = []

    def submit(callback):
        step = current_step()
        seen.append((callback.token, step.step_id, step.attempt, step.idempotency_key.partition("/")[2]))
        if step.attempt < 3:
            raise OSError("the mail server is away")

    rt, run_id = begin(durable, app, waiting(submit))
    rt.advance("10m")
    assert rt.client.complete_callback(seen[0][0], "yes") is True
    rt.drain()
    assert rt.get(run_id).output == ["yes", 0]
    assert seen == [(seen[0][0], "wait/submit", attempt, "wait/submit") for attempt in (1, 2, 3)]
    assert rt.get(run_id).steps["wait/submit"].attempts == 3


def test_a_submit_that_fails_for_good_is_the_error_of_the_wait(durable, app, waiting):
    def submit(callback):
        raise OSError("no such address")

    f = waiting(submit, step={"retry": Retry.fixed("1m", 2)})
    rt, run_id = begin(durable, app, f)
    token = rt.get(run_id).steps["wait"].waiting_for.token
    rt.drain()
    run = rt.get(run_id)
    assert run.output == ["StepError", "OSError", "no such address", "wait/submit"]
    assert run.ended_at == run.created_at + timedelta(minutes=1)
    assert rt.client.complete_callback(token, 1) is False


def test_an_answer_may_come_before_submit_has_ended(durable, app, waiting):
    """The outside is fast: it answers while `submit` is still at it, which is no reason to wait for that."""
    rt = durable(app)

    def submit(callback):
        tokens.append(callback.token)

    tokens = []
    f = waiting(submit)
    rt.stub("wait/submit", submit, takes="5m")
    run = rt.start(f)
    rt.advance("1m")
    assert rt.client.complete_callback(tokens[0], "quick") is True
    rt.drain()
    ended = rt.get(run.run_id)
    assert (ended.output, len(tokens)) == (["quick", 0], 1)
    assert ended.ended_at == ended.created_at + timedelta(minutes=1)


def test_an_answer_may_come_while_submit_waits_for_its_next_attempt(durable, app, waiting):
    tokens = []

    def submit(callback):
        tokens.append(callback.token)
        raise OSError("the line went dead after the message was out")

    rt, run_id = begin(durable, app, waiting(submit, step={"retry": Retry.fixed("1h", 3)}))
    assert rt.client.complete_callback(tokens[0], "quick") is True
    rt.drain()
    run = rt.get(run_id)
    assert (run.output, len(tokens)) == (["quick", 0], 1)
    assert run.ended_at == run.created_at


def test_the_time_of_a_wait_goes_on_while_submit_fails(durable, app, waiting):
    def submit(callback):
        raise OSError("no")

    rt, run_id = begin(durable, app, waiting(submit, timeout="90s", step={"retry": Retry.fixed("1m", 10)}))
    rt.drain()
    run = rt.get(run_id)
    assert run.output[0] == "StepTimeoutError"
    assert run.ended_at == run.created_at + timedelta(seconds=90)


def test_an_async_submit(durable, app):
    tokens = []

    async def submit(callback: Callback) -> None:
        await asyncio.sleep(0)
        tokens.append(callback.token)

    @app.function("f")
    async def f(ctx: AsyncContext) -> object:
        return await ctx.step.wait_for_callback("wait", submit=submit, timeout="1d")

    rt, run_id = begin(durable, app, f)
    rt.client.complete_callback(tokens[0], 1)
    rt.drain()
    assert rt.get(run_id).output == 1


@pytest.mark.parametrize("kind", ["sync", "async"])
@pytest.mark.parametrize("how", ["fails later", "times out", "is cancelled"])
def test_submit_is_undone_as_any_step(durable, app, asked, kind, how):
    undone = []

    def withdraw(letter: object) -> None:
        undone.append(letter)

    def after() -> None:
        raise NonRetriableError("it fails later")

    if kind == "sync":

        @app.function("f")
        def f(ctx: Context) -> None:
            ctx.step.options(undo=withdraw).wait_for_callback("wait", asked, timeout="1h")
            ctx.step.options(undo=withdraw).run("between", int)
            ctx.step.run("after", after)
    else:

        @app.function("f")
        async def f(ctx: AsyncContext) -> None:
            await ctx.step.options(undo=withdraw).wait_for_callback("wait", asked, timeout="1h")
            await ctx.step.options(undo=withdraw).run("between", int)
            await ctx.step.run("after", after)

    rt, run_id = begin(durable, app, f)
    if how == "fails later":
        rt.advance("1m")
        assert rt.client.complete_callback(asked.token)
    if how == "is cancelled":
        rt.client.cancel(run_id)
        assert rt.client.complete_callback(asked.token) is False
    rt.drain()
    run = rt.get(run_id)
    assert run.status == ("cancelled" if how == "is cancelled" else "failed")
    assert undone == ([0, "asked"] if how == "fails later" else ["asked"])
    assert run.steps["undo/wait/submit"].status == "completed"


# -- beside other things --------------------------------------------------------------------------------


@pytest.mark.parametrize("answered", [True, False])
def test_a_wait_races_a_sleep_and_goes_on_waiting(durable, app, asked, answered):
    reminded = []

    @app.function("f")
    async def f(ctx: AsyncContext) -> object:
        wait = asyncio.create_task(ctx.step.wait_for_callback("wait", asked, timeout="7d"))
        nap = asyncio.create_task(ctx.step.sleep("nap", "1d"))
        done, _ = await asyncio.wait({wait, nap}, return_when=asyncio.FIRST_COMPLETED)
        if wait not in done:
            await ctx.step.run("remind", reminded.append, 1)
        return await wait

    rt, run_id = begin(durable, app, f)
    rt.advance("12h" if answered else "36h")
    rt.client.complete_callback(asked.token, "yes")
    rt.drain()
    assert (rt.get(run_id).output, len(reminded), len(asked)) == ("yes", 0 if answered else 1, 1)


def test_several_waits_at_once_each_have_their_own_token(durable, app):
    tokens = {}

    @app.function("f")
    async def f(ctx: AsyncContext) -> list[object]:
        async def one(name: str) -> object:
            def submit(callback: Callback) -> None:
                tokens[name] = callback.token

            return await ctx.step.wait_for_callback("wait", submit, timeout="7d", heartbeat="1d")

        return await ctx.step.map_group("m", one, ["a", "b", "c"])

    rt, run_id = begin(durable, app, f)
    assert len(set(tokens.values())) == 3
    for n, name in enumerate("bca"):
        rt.advance("20h")
        for token in tokens.values():
            rt.client.heartbeat_callback(token)
        assert rt.client.complete_callback(tokens[name], n)
    rt.drain()
    assert rt.get(run_id).output == [2, 0, 1]


def test_a_submit_that_fails_beside_other_things_fails_its_wait_alone(durable, app):
    def submit(callback: Callback) -> None:
        raise OSError("no such address")

    @app.function("f")
    async def f(ctx: AsyncContext) -> list[object]:
        waits = ctx.step.options(retry=Retry.fixed("1m", 2)).wait_for_callback("wait", submit, timeout="7d")
        results = await asyncio.gather(ctx.step.run("other", int), waits, return_exceptions=True)
        return [str(result) for result in results]

    rt, run_id = begin(durable, app, f)
    rt.drain()
    run = rt.get(run_id)
    assert run.output == ["0", "step 'wait/submit' failed after 2 attempts: OSError: no such address"]
    assert run.ended_at == run.created_at + timedelta(minutes=1)


def test_a_cancelled_run_waits_for_nobody(durable, app, waiting, asked):
    rt, run_id = begin(durable, app, waiting(asked))
    rt.client.cancel(run_id)
    rt.drain()
    assert rt.client.complete_callback(asked.token, 1) is False
    assert rt.client.heartbeat_callback(asked.token) is False
    assert rt.get(run_id).status == "cancelled"


@pytest.mark.parametrize("kind", ["callback", "signal"])
def test_what_comes_after_a_wait_runs_once_however_long_it_takes(durable, app, asked, kind):
    done = []

    @app.function("f")
    def f(ctx: Context) -> None:
        if kind == "callback":
            ctx.step.wait_for_callback("wait", asked, timeout="1h")
        else:
            ctx.step.wait_for_signal("wait", "go", timeout="1h")
        ctx.step.run("after", done.append, 1)

    rt = durable(app)
    rt.stub("after", done.append, takes="10m")
    run = rt.start(f)
    rt.advance("1m")
    assert rt.client.complete_callback(asked.token) if kind == "callback" else rt.client.send_signal("go")
    rt.drain()
    assert (rt.get(run.run_id).status, done) == ("completed", [1])


def test_a_wait_of_a_year_keeps_its_run_alive(durable, app, waiting, asked):
    rt, run_id = begin(durable, app, waiting(asked, timeout="360d", heartbeat="40d"))
    for _ in range(8):
        rt.advance("39d")
        assert rt.client.heartbeat_callback(asked.token)
    assert rt.client.complete_callback(asked.token, 1)
    rt.drain()
    assert rt.get(run_id).output == [1, 0]


def test_a_run_that_continues_as_new_waits_with_another_token(durable, app, asked):
    @app.function("f")
    def f(ctx: Context[int]) -> object:
        found = ctx.step.wait_for_callback("wait", asked, timeout="1d")
        if ctx.event.data < 2:
            ctx.continue_as_new(ctx.event.data + 1)
        return found

    rt = durable(app)
    run = rt.start(f, 1)
    rt.advance("0s")
    assert rt.client.complete_callback(asked.token, "first")
    rt.advance("0s")
    first, second = (callback.token for callback in asked)
    assert first != second
    assert rt.get(run.run_id).steps["wait"].waiting_for.token == second
    for call in (rt.client.complete_callback, rt.client.fail_callback):
        with contextlib.suppress(CallbackTokenError):  # its journal is gone, or going
            assert call(first, "again") is False
    assert rt.client.complete_callback(second, "second")
    rt.drain()
    assert rt.get(run.run_id).output == "second"


# -- bad input ----------------------------------------------------------------------------------------


def parts_of(token):
    text = base64.urlsafe_b64decode(token.removeprefix("cb1-") + "==")
    return dict(zip(("run", "path", "nonce"), json.loads(text), strict=True))


def forge(token, **changes):
    """A token with other parts: a run, a path, a nonce."""
    changed = json.dumps([*(parts_of(token) | changes).values()], separators=(",", ":"))
    return "cb1-" + base64.urlsafe_b64encode(changed.encode()).rstrip(b"=").decode()


def made_of(value):
    return "cb1-" + base64.urlsafe_b64encode(json.dumps(value).encode()).rstrip(b"=").decode()


BAD_TOKENS = {
    "empty": lambda token: "",
    "none": lambda token: None,
    "bytes": lambda token: token.encode(),
    "words": lambda token: "please",
    "truncated": lambda token: token[:-3],
    "longer": lambda token: token + "AAAA",
    "padded": lambda token: token + "=",
    "spaced": lambda token: token[:20] + "\n" + token[20:],
    "of another case": lambda token: token.swapcase(),
    "not ascii": lambda token: token[:20] + "é" + token[21:],
    "huge": lambda token: "cb1-" + "A" * 1_000_000,
    "of a later release": lambda token: token.replace("cb1-", "cb9-"),
    "of another nonce": lambda token: forge(token, nonce="A" * 22),
    "of no nonce": lambda token: forge(token, nonce=""),
    "of another run": lambda token: forge(token, run="another"),
    "of no run": lambda token: forge(token, run="#1"),
    "of another journal": lambda token: forge(token, run=f"{parts_of(token)['run']}#1"),
    "of a journal that can't be": lambda token: forge(token, run="a#" + "9" * 5_000),
    "of an empty list": lambda token: made_of([]),
    "of another step": lambda token: forge(token, path="before"),
    "of a step that is not there": lambda token: forge(token, path="nowhere/at/all"),
    "of a branch": lambda token: forge(token, path="wait]"),
    "of a surrogate": lambda token: forge(token, path="\ud800"),
    "of numbers": lambda token: made_of([1, 2, 3]),
    "of four parts": lambda token: made_of(["a", "b", "c", "d"]),
    "of an object": lambda token: made_of({"a": 1, "b": 2, "c": 3}),
    "of a deep list": lambda token: "cb1-" + base64.urlsafe_b64encode(b"[" * 9_000).decode(),
}


@pytest.mark.parametrize("what", BAD_TOKENS)
def test_a_token_that_is_none_is_refused_and_changes_nothing(durable, what):
    app, asked = Durable("desk"), Asked()

    @app.function("f")
    def f(ctx: Context) -> object:
        ctx.step.run("before", int)
        return ctx.step.wait_for_callback("wait", asked, timeout="1d", heartbeat="1h")

    rt, run_id = begin(durable, app, f)
    bad = BAD_TOKENS[what](asked.token)
    for call in (
        lambda: rt.client.complete_callback(bad, 1),
        lambda: rt.client.fail_callback(bad, "no"),
        lambda: rt.client.heartbeat_callback(bad),
    ):
        with pytest.raises(CallbackTokenError, match="no callback token of this app"):
            call()
    assert rt.client.complete_callback(asked.token, "still") is True
    rt.drain()
    assert rt.get(run_id).output == "still"


def test_a_token_of_another_app_is_refused(durable):
    tokens, runtimes = [], []
    for name in ("one", "two"):
        app, asked = Durable(name), Asked()

        @app.function("f")
        def f(ctx: Context, asked=asked) -> object:
            return ctx.step.wait_for_callback("wait", asked, timeout="1d")

        rt = durable(app)
        rt.start(f, run_id="the-same")
        rt.advance("0s")
        tokens.append(asked.token)
        runtimes.append(rt)
    assert tokens[0] != tokens[1]
    with pytest.raises(CallbackTokenError):
        runtimes[1].client.complete_callback(tokens[0], 1)
    assert runtimes[1].client.complete_callback(tokens[1], 1)


def test_a_result_that_is_too_large_is_the_callers_error_and_the_run_waits_on(durable):
    app, asked = Durable("desk", max_output=1_000), Asked()

    @app.function("f")
    def f(ctx: Context) -> object:
        return ctx.step.wait_for_callback("wait", asked, timeout="1d")

    rt, run_id = begin(durable, app, f)
    with pytest.raises(PayloadTooLargeError, match="the result of the callback"):
        rt.client.complete_callback(asked.token, "x" * 1_000)
    assert rt.client.complete_callback(asked.token, "x" * 900)
    rt.drain()
    assert rt.get(run_id).output == "x" * 900


def test_a_large_result_comes_back_whole(durable, app, waiting, asked):
    rt, run_id = begin(durable, app, waiting(asked))
    assert rt.client.complete_callback(asked.token, "x" * 1_000_000)
    rt.drain()
    assert rt.get(run_id).output == ["x" * 1_000_000, 0]


def test_a_failure_is_a_text_or_an_exception(durable, app, waiting, asked):
    rt, _ = begin(durable, app, waiting(asked))
    with pytest.raises(ConfigurationError, match="a text or an exception"):
        rt.client.fail_callback(asked.token, 5)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda step: step.wait_for_callback("w", timeout=5), "a number says nothing of its unit"),
        (lambda step: step.wait_for_callback("w", timeout="0s"), "timeout= is more than nothing"),
        (lambda step: step.wait_for_callback("w", timeout=timedelta(-1)), "cannot be negative"),
        (lambda step: step.wait_for_callback("w", timeout="1h", heartbeat="0s"), "heartbeat= is more than"),
        (lambda step: step.wait_for_callback("w", timeout="1h", heartbeat="-1s"), "heartbeat="),
        (lambda step: step.wait_for_callback("w", timeout="1h", heartbeat="2h"), "longer than timeout="),
        (lambda step: step.wait_for_callback("w", "mail", timeout="1h"), "submit= is a function"),
        (lambda step: step.wait_for_callback("w", timeout="1h", model="x"), "model= takes the type"),
        (lambda step: step.wait_for_callback("w" * 257, timeout="1h"), "1 to 256 characters"),
        (lambda step: step.wait_for_callback("", timeout="1h"), "1 to 256 characters"),
    ],
)
def test_bad_input_is_an_error_at_the_call(durable, call, message):
    app, seen = Durable("app"), []

    @app.function("f")
    def f(ctx: Context) -> None:
        try:
            call(ctx.step)
        except ConfigurationError as error:
            seen.append(str(error))

    durable(app).run(f)
    assert message in seen[0]


def test_a_sync_handler_refuses_an_async_submit(durable):
    app = Durable("app")

    async def submit(callback: Callback) -> None: ...

    @app.function("f")
    def f(ctx: Context) -> None:
        ctx.step.wait_for_callback("wait", submit, timeout="1h")

    run = durable(app).run(f)
    assert run.status == "failed"
    assert "step 'wait/submit' got an async function in a sync handler" in run.error.message


@pytest.mark.parametrize("seed", range(8))
def test_tokens_differ_from_run_to_run_and_stay_the_same_in_one(seed):
    app, tokens = Durable("app", steps_per_invocation=[1, "all"][seed % 2]), []

    @app.function("f")
    def f(ctx: Context) -> object:
        def submit(callback: Callback) -> None:
            tokens.append((ctx.run_id, callback.token))
            if current_step().attempt == 1:
                raise OSError

        return ctx.step.wait_for_callback("wait", submit, timeout="1d")

    rt = LocalRuntime(app, faults=Faults(crash=0.2, duplicate=0.3), seed=seed)
    runs = [rt.start(f) for _ in range(3)]
    rt.drain()
    assert len({token for _, token in tokens}) == len({run for run, _ in tokens}) == len(runs)


# -- middleware -----------------------------------------------------------------------------------------


class Reversed(Middleware):
    """Notes what steps are given, and keeps every value backwards."""

    def __init__(self):
        self.steps = []

    def around_step(self, step):
        self.steps.append(step)
        return nullcontext()

    def encode(self, text, place):
        return text[::-1]

    def decode(self, text, place):
        return text[::-1]


def test_middleware_sees_submit_and_encodes_what_comes_back(durable, asked):
    middleware = Reversed()
    app = Durable("desk", middleware=[middleware])

    @app.function("f")
    async def f(ctx: AsyncContext) -> object:
        try:
            await ctx.step.wait_for_callback("refused", asked, timeout="1d")
        except CallbackError as error:
            return [error.message, await ctx.step.wait_for_callback("wait", asked, timeout="1d")]

    rt, run_id = begin(durable, app, f)
    rt.client.fail_callback(asked.token, "a secret")
    rt.advance("0s")
    rt.client.complete_callback(asked.token, {"another": "secret"})
    rt.drain()

    assert rt.get(run_id).output == ["a secret", {"another": "secret"}]
    assert [(step.step_id, step.args, step.result) for step in middleware.steps] == [
        ("refused/submit", (asked[0],), "asked"),
        ("wait/submit", (asked[1],), "asked"),
    ]
    kept = json.dumps(rt.aws("dynamodb").scan(TableName="lambda-durable")["Items"])
    assert "terces" in kept
    assert "secret" not in kept

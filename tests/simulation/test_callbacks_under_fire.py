"""Callbacks while everything crashes, comes twice, late or never: an answer that was taken is the outcome."""

from __future__ import annotations

import asyncio
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import timedelta
from random import Random

import pytest

from lambda_durable import (
    AsyncContext,
    CallbackError,
    Client,
    Context,
    Durable,
    Retry,
    RunNotFoundError,
    StepError,
    StepTimeoutError,
    current_step,
)
from lambda_durable.testing import Faults, LocalRuntime, crash_everywhere

MODES = [1, "all"]


class Desk:
    """The outside world: what it was told, and what was done after its answer."""

    def __init__(self):
        self.tokens, self.effects = {}, []
        self.out_of_order = 0

    def ask(self, callback):
        """Tells at every attempt; the first `out_of_order` of them raise afterwards."""
        step = current_step()
        self.tokens.setdefault(f"{step.run_id}/{step.step_id}", set()).add(callback.token)
        self.effects.append(step.step_id)
        if step.attempt <= self.out_of_order:
            raise OSError("the line went dead")

    async def ask_async(self, callback):
        self.ask(callback)


def make(mode, out_of_order=0):
    app, desk = Durable("app", steps_per_invocation=mode, retry=Retry.fixed("30s", 3)), Desk()
    desk.out_of_order = out_of_order
    did = desk.effects.append

    @app.function("alone")
    def alone(ctx: Context) -> object:
        ctx.step.run("before", did, "before")
        found = ctx.step.wait_for_callback("wait", desk.ask, timeout="1h")
        ctx.step.run("after", did, "after")
        return found

    @app.function("alive")
    async def alive(ctx: AsyncContext) -> object:
        found = await ctx.step.wait_for_callback("wait", desk.ask_async, timeout="3h", heartbeat="1h")
        await ctx.step.run("after", did, "after")
        return found

    @app.function("beside")
    async def beside(ctx: AsyncContext) -> object:
        async def work() -> None:
            await ctx.step.run("one", did, "one")
            await ctx.step.run("two", did, "two")

        _, found = await asyncio.gather(
            work(), ctx.step.wait_for_callback("wait", desk.ask_async, timeout="3h", heartbeat="1h")
        )
        await ctx.step.run("after", did, "after")
        return found

    @app.function("race")
    async def race(ctx: AsyncContext) -> object:
        wait = asyncio.create_task(ctx.step.wait_for_callback("wait", desk.ask_async, timeout="2h"))
        nap = asyncio.create_task(ctx.step.sleep("nap", "20m"))
        await asyncio.wait({wait, nap}, return_when=asyncio.FIRST_COMPLETED)
        await ctx.step.run("between", did, "between")
        found = await wait
        await ctx.step.run("after", did, "after")
        return found

    @app.function("inside")
    async def inside(ctx: AsyncContext) -> object:
        async def within(part: int) -> object:
            found = await ctx.step.wait_for_callback("wait", desk.ask_async, timeout="1h")
            await ctx.step.run("got", did, f"got {part}")
            return found

        return (await ctx.step.map_group("m", within, [1, 2]))[0]

    @app.function("grouped")
    def grouped(ctx: Context) -> object:
        found = ctx.step.group("g", lambda: ctx.step.wait_for_callback("wait", desk.ask, timeout="1h"))
        ctx.step.run("after", did, "after")
        return found

    return app, desk


DONE = {
    "alone": ["after", "before", "wait/submit"],
    "alive": ["after", "wait/submit"],
    "beside": ["after", "one", "two", "wait/submit"],
    "race": ["after", "between", "wait/submit"],
    "inside": ["got 1", "got 2", "m[0]/wait/submit", "m[1]/wait/submit"],
    "grouped": ["after", "g/wait/submit"],
}
NAMES = list(DONE)


def open_tokens(rt, run_id):
    try:
        steps = rt.get(run_id).steps.values()
    except RunNotFoundError:
        return {}
    return {step.id: step.waiting_for.token for step in steps if step.waiting_for and step.waiting_for.token}


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("mode", MODES)
def test_a_crash_anywhere_loses_and_repeats_nothing(name, mode):
    app, desk = make(mode)
    waits = 2 if name == "inside" else 1

    def drive(rt, run):
        rt.advance("0s")
        for _ in range(10):
            if len(desk.tokens) == waits:
                break
            rt.advance("3m")
        rt.advance("1m")
        for token in open_tokens(rt, run.run_id).values():
            assert rt.client.complete_callback(token, 7)
        rt.drain()

    points = 0
    for crash in crash_everywhere(app, app.functions[name], drive=drive):
        points += 1
        assert (crash.run.status, crash.run.output) == ("completed", 7), crash.point
        effects = desk.effects
        assert set(effects) == set(DONE[name]), crash.point
        if crash.point is None:
            assert sorted(effects) == DONE[name]
        assert all(effects.count(effect) <= 2 for effect in effects), crash.point
        assert len(effects) <= len(DONE[name]) + (2 if (name, mode) == ("inside", "all") else 1), crash.point
        assert all(len(tokens) == 1 for tokens in desk.tokens.values()), crash.point
        effects.clear()
        desk.tokens.clear()
    assert points > 15


@pytest.mark.parametrize("name", ["alone", "alive", "beside"])
@pytest.mark.parametrize("mode", MODES)
def test_a_crash_anywhere_while_heartbeats_stop(name, mode):
    """Every way that a wait ends without an answer: its timer comes early, late, again."""
    app, desk = make(mode)

    def drive(rt, run):
        rt.advance("50m")
        for token in open_tokens(rt, run.run_id).values():
            assert rt.client.heartbeat_callback(token)
        beats.append(rt.now())
        rt.drain()

    beats = []
    for crash in crash_everywhere(app, app.functions[name], drive=drive):
        run = crash.run
        assert (run.status, run.error.type) == ("failed", "lambda_durable.errors.StepTimeoutError"), (
            crash.point
        )
        assert desk.effects.count("after") == 0
        last = run.steps["wait"].started_at if name == "alone" else beats[-1]
        assert run.steps["wait"].ended_at >= last + timedelta(hours=1), crash.point
        desk.effects.clear()
        desk.tokens.clear()


@pytest.mark.parametrize("mode", MODES)
def test_a_crash_anywhere_while_nobody_can_be_told(mode):
    app, desk = make(mode, out_of_order=3)
    for name in ("alone", "beside", "inside"):
        for crash in crash_everywhere(app, app.functions[name]):
            assert (crash.run.status, crash.run.error.type) == ("failed", "OSError"), (name, crash.point)
            assert crash.run.error.step_id.endswith("wait/submit")
            desk.effects.clear()


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("seed", range(16))
def test_whatever_happens_an_answer_that_was_taken_is_the_outcome(name, seed):
    random = Random(f"{name} {seed}")
    app, desk = make(random.choice([1, 3, "all", "auto"]), out_of_order=random.choice([0, 0, 1, 2]))
    faults = [Faults(), Faults(duplicate=0.3, late=0.2, interleave=True), Faults(lose=0.2), Faults(crash=0.2)]
    rt = LocalRuntime(app, faults=random.choice(faults), seed=seed)
    run = rt.start(app.functions[name])
    taken = {}
    for _ in range(8):
        rt.advance(f"{random.randrange(900)}s")
        for step, token in open_tokens(rt, run.run_id).items():
            act = random.choice(["heartbeat", "nothing", "complete", "fail"])
            answer = random.randrange(1, 100)
            if act == "heartbeat":
                rt.client.heartbeat_callback(token)
            elif act == "complete" and rt.client.complete_callback(token, answer):
                assert taken.setdefault(step, answer) == answer
            elif act == "fail" and rt.client.fail_callback(token, f"no {answer}"):
                assert taken.setdefault(step, f"no {answer}") == f"no {answer}"
            assert desk.tokens.get(f"{run.run_id}/{step}/submit", {token}) == {token}
    rt.drain()

    ended = rt.get(run.run_id)
    assert ended.status in ("completed", "failed")
    assert all(len(tokens) == 1 for tokens in desk.tokens.values())
    for step, answer in taken.items():
        kept = ended.steps[step]
        assert answer == (kept.output if kept.error is None else kept.error.message), step
    waits = [step for step in ended.steps.values() if step.kind == "wait_for_callback"]
    if ended.status == "completed":
        asked = {effect for effect in DONE[name] if effect.endswith("submit")}  # or answered before it was
        assert set(DONE[name]) - asked <= set(desk.effects) <= set(DONE[name])
        assert ended.output == waits[0].output
        assert all(step.id in taken for step in waits)
    else:
        errors = {CallbackError.__name__, StepTimeoutError.__name__}
        assert ended.error.type.rpartition(".")[2] in errors
        assert ended.error.type in {step.error.type for step in waits if step.error is not None}
    assert rt.dead_letters == []


@pytest.mark.parametrize("mode", MODES)
def test_an_answer_at_the_very_moment_of_the_time_out_is_taken_or_refused(mode):
    outcomes = {at_the_last_moment(mode, seed) for seed in range(25)}
    assert outcomes == {(True, True), (True, False), (False, False)}  # it was close enough to go either way


def at_the_last_moment(mode, seed):
    """Whether a heartbeat, if one came, and an answer were in time."""
    app, desk = make(mode)

    @app.function("f")
    def f(ctx: Context) -> object:
        try:
            return ctx.step.wait_for_callback("wait", desk.ask, timeout="10m", heartbeat="5m")
        except StepError as error:
            return type(error).__name__

    random = Random(seed)
    rt = LocalRuntime(app, faults=Faults(interleave=True, late=0.3, skew=True), seed=seed)
    run = rt.start(f)
    while not open_tokens(rt, run.run_id):
        rt.advance("10s")
    (token,) = open_tokens(rt, run.run_id).values()

    def come_close():
        due = rt.get(run.run_id).steps["wait"].wake_at
        rt.advance(max(due - rt.now(), timedelta()))
        rt.advance(f"{random.randrange(12)}s")

    alive = True
    if random.random() < 0.5:
        come_close()
        alive = rt.client.heartbeat_callback(token)
    if alive:
        come_close()
    taken = rt.client.complete_callback(token, "in time")
    assert alive or not taken
    rt.drain()
    assert rt.get(run.run_id).output == ("in time" if taken else "StepTimeoutError")
    return alive, taken


class DyingClient(Client):
    """Ends a wait, and dies before it has told anybody."""

    def __init__(self, client):
        self._queue = client._world.queue
        super().__init__(client._app, world=replace(client._world, queue=self))

    def send(self, messages):
        if not all(message.delay for message in messages):
            raise ConnectionError("dead")
        self._queue.send(messages)


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("name", ["alone", "beside", "grouped"])
def test_a_client_that_dies_once_it_has_answered_holds_nobody_up_for_long(name, mode):
    app, desk = make(mode)
    rt = LocalRuntime(app)
    run = rt.start(app.functions[name])
    rt.advance("20m")
    (token,) = open_tokens(rt, run.run_id).values()
    with pytest.raises(ConnectionError):
        DyingClient(rt.client).complete_callback(token, 7)
    answered = rt.now()
    for _ in range(25):
        rt.advance("5m")
        rt.reconcile()
    ended = rt.get(run.run_id)
    assert (ended.status, ended.output, sorted(desk.effects)) == ("completed", 7, DONE[name])
    assert ended.ended_at <= answered + timedelta(minutes=45)


@pytest.mark.parametrize("name", ["alive", "beside"])
@pytest.mark.parametrize("mode", MODES)
def test_a_heartbeat_between_a_look_at_the_clock_and_the_giving_up_is_not_lost(name, mode):
    app, _ = make(mode)
    rt = LocalRuntime(app)
    run = rt.start(app.functions[name])
    rt.advance("1m")
    (token,) = open_tokens(rt, run.run_id).values()
    beats = []

    def beat(_, place):
        if place.startswith("before dynamodb:UpdateItem") and not beats:
            with ThreadPoolExecutor(1) as outside:  # a thread of its own is no invocation
                beats.append(outside.submit(rt.client.heartbeat_callback, token).result())

    rt._traffic.watch = beat
    rt.advance("1h")
    assert beats == [True]
    assert rt.get(run.run_id).status == "running"
    rt.advance("58m")
    assert rt.client.complete_callback(token, 7)
    rt.drain()
    assert rt.get(run.run_id).output == 7

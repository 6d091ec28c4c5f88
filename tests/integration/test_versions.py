"""On which code runs are at work: what they say of it, and how they stay on it."""

from __future__ import annotations

import pytest

from lambda_durable import (
    AsyncContext,
    CancelOn,
    ConfigurationError,
    Context,
    Durable,
    Event,
    InvokeError,
    NonRetriableError,
    Timeouts,
)
from lambda_durable.testing import Faults, LocalRuntime

MODES = [1, "all", "auto"]


class Release:
    """One release of an app. `told` is what its steps say, with its name."""

    def __init__(self, name, told, *, mode="auto", pin=True, version=None, **options):
        self.app = app = Durable("app", steps_per_invocation=mode)

        def tell(what):
            told.append(f"{what} on {name}")
            return f"{what} on {name}"

        def undo(what):
            told.append(f"undid {what} on {name}")

        @app.function("child", pin=False)
        def child(ctx: Context) -> str:
            ctx.step.sleep("think", "2h")
            return ctx.step.run("count", tell, "child")

        @app.function("f", version=version, pin=pin, **options)
        def f(ctx: Context[dict]) -> list[str]:
            one = ctx.step.options(undo=undo).run("one", tell, "one")
            ctx.step.sleep("nap", "1h")
            two = ctx.step.run("two", tell, "two")
            if ctx.event.data.get("fails"):
                raise NonRetriableError("as it was told")
            return [one, two]

        @f.on_failure
        def failed(ctx: Context) -> None:
            ctx.step.run("handle", tell, "failure")

        @app.function("async", version=version, pin=pin)
        async def async_(ctx: AsyncContext[dict]) -> list[str]:
            one = await ctx.step.run("one", tell, "one")
            await ctx.step.sleep("nap", "1h")
            return [one, await ctx.step.run("two", tell, "two")]

        @app.function("parent", version=version, pin=pin)
        def parent(ctx: Context) -> str:
            return ctx.step.invoke("ask", child, {})

        @app.function("endless", version=version, pin=pin)
        def endless(ctx: Context[int]) -> str:
            said = ctx.step.run("one", tell, f"round {ctx.event.data}")
            ctx.step.sleep("nap", "1h")
            ctx.step.run("two", tell, f"end of {ctx.event.data}")
            if ctx.event.data < 2:
                ctx.continue_as_new(ctx.event.data + 1)
            return said


@pytest.fixture
def told():
    return []


@pytest.fixture(params=MODES)
def mode(request):
    return request.param


# what is said


def test_a_run_says_on_which_code_it_began(durable, told):
    old, new = Release("old", told, version="2026-10", pin=False), Release("new", told, version="2026-11")
    rt = durable(old.app)
    first = rt.start(old.app.functions["f"], {})
    rt.advance("1m")
    rt.deploy(new.app)
    second = rt.run(new.app.functions["f"], {})
    rt.drain()
    found = [rt.get(run.run_id) for run in (first, second)]
    assert [(run.version, run.lambda_version, run.pinned) for run in found] == [
        ("2026-10", "1", False),
        ("2026-11", "2", True),
    ]


def test_one_whose_function_says_nothing_has_a_lambda_version_alone(durable, told):
    release = Release("old", told, pin=False)
    run = durable(release.app).run(release.app.functions["f"], {})
    assert (run.version, run.lambda_version, run.pinned) == (None, "1", False)


@pytest.mark.parametrize("written", ["began", "later"])
def test_a_kind_that_changed_names_both_versions(durable, written):
    def version(label, kinds):
        app = Durable("app", steps_per_invocation=1)

        @app.function("f", version=label)
        def f(ctx: Context) -> None:
            ctx.step.run("first", int)
            ctx.step.sleep("nap", "1h")
            if kinds[0] == "run":
                ctx.step.run("second", int)
            else:
                ctx.step.sleep("second", "1s")
            ctx.step.sleep("night", "8h")

        return app

    rt = durable(version("a", ["run"]))
    run = rt.start(rt._app.functions["f"])
    rt.advance("10m")
    if written == "later":
        rt.deploy(version("b", ["run"]))
    rt.advance("2h")
    rt.deploy(version("c", ["sleep"]))
    rt.drain()
    message = rt.get(run.run_id).error.message
    assert "step 'second' is a sleep in the code and a run in the journal" in message
    wrote, now = ("b", 2), ("c", 3)
    if written == "began":
        wrote, now = ("a", 1), ("c", 2)
    assert f"which version {wrote[0]!r} (Lambda version {wrote[1]}) wrote" in message
    assert f"this is version {now[0]!r} (Lambda version {now[1]})" in message
    assert "give the new step another id" in message
    assert "pin=True" in message


# pinning


@pytest.mark.parametrize("name", ["f", "async"])
@pytest.mark.parametrize("pin", [True, False])
def test_a_pinned_run_goes_on_on_the_code_that_it_began_on(durable, told, mode, name, pin):
    old, new = Release("old", told, mode=mode, pin=pin), Release("new", told, mode=mode, pin=not pin)
    rt = durable(old.app)
    run = rt.start(old.app.functions[name], {})
    rt.advance("1m")
    rt.deploy(new.app)
    rt.drain()
    ended = rt.get(run.run_id)
    assert ended.output == ["one on old", "two on old" if pin else "two on new"]
    assert (ended.pinned, ended.lambda_version) == (pin, "1")
    assert rt.dead_letters == []


def test_before_a_deploy_a_pinned_run_costs_what_others_do(durable, told, mode):
    def cost(pin):
        release = Release("old", told, mode=mode, pin=pin)
        rt = durable(release.app)
        rt.run(release.app.functions["async"], {})
        return rt.calls, rt.usage.write_units

    assert cost(True) == cost(False)


def test_after_one_it_costs_an_invocation_and_a_read_more_for_each_message(durable, told):
    def cost(pin):
        release = Release("old", told, mode=1, pin=pin)
        rt = durable(release.app)
        rt.start(release.app.functions["async"], {})
        rt.advance("1m")
        rt.deploy(release.app)
        before = rt.calls.copy()
        rt.drain()
        return rt.calls - before

    more = cost(True) - cost(False)
    assert set(more) == {"lambda:Invoke", "dynamodb:Query"}
    assert more["lambda:Invoke"] == more["dynamodb:Query"]


def test_what_it_invokes_begins_on_its_version_too(durable, told, mode):
    old, new = Release("old", told, mode=mode), Release("new", told, mode=mode)
    rt = durable(old.app)
    rt.stub("one", takes="1s")
    run = rt.start(old.app.functions["parent"])
    rt.deploy(new.app)
    rt.advance("0s")
    late = rt.start(new.app.functions["parent"])
    rt.drain()
    # The first began on the new code: nothing had been at work on it before the deploy.
    assert [rt.get(each.run_id).output for each in (run, late)] == ["child on new", "child on new"]

    run = rt.start(new.app.functions["parent"])
    rt.advance("1s")
    rt.deploy(old.app)
    rt.drain()
    assert rt.get(run.run_id).output == "child on new"


def test_the_failure_of_a_pinned_run_is_handled_on_its_version(durable, told, mode):
    old, new = Release("old", told, mode=mode), Release("new", told, mode=mode)
    rt = durable(old.app)
    run = rt.start(old.app.functions["f"], {"fails": True})
    rt.advance("1m")
    rt.deploy(new.app)
    rt.drain()
    assert rt.get(run.run_id).status == "failed"
    assert told == ["one on old", "two on old", "undid one on old on old", "failure on old"]


def test_a_pinned_run_is_cancelled_and_undone_on_its_version(durable, told, mode):
    old, new = Release("old", told, mode=mode), Release("new", told, mode=mode)
    rt = durable(old.app)
    run = rt.start(old.app.functions["f"], {})
    rt.advance("1m")
    rt.deploy(new.app)
    rt.client.cancel(run.run_id)
    rt.drain()
    assert rt.get(run.run_id).status == "cancelled"
    assert told == ["one on old", "undid one on old on old"]


def test_a_pinned_run_times_out_and_is_cancelled_by_events(durable, told):
    options = {"timeouts": Timeouts(finish="30m"), "cancel_on": CancelOn("stop", match="data.id")}
    old, new = Release("old", told, **options), Release("new", told)
    rt = durable(old.app)
    timed = rt.start(old.app.functions["f"], {"id": 1})
    stopped = rt.start(old.app.functions["f"], {"id": 2})
    rt.advance("1m")
    rt.deploy(new.app)
    rt.send(Event("stop", {"id": 2}))
    rt.drain()
    assert rt.get(timed.run_id).error.type == "lambda_durable.errors.RunTimeoutError"
    assert rt.get(stopped.run_id).status == "cancelled"


def test_a_pinned_run_that_continues_as_new_does_so_on_the_live_version(durable, told, mode):
    old, new = Release("old", told, mode=mode), Release("new", told, mode=mode, version="new")
    rt = durable(old.app)
    run = rt.start(old.app.functions["endless"], 1)
    rt.advance("1m")
    rt.deploy(new.app)
    rt.advance("70m")
    rt.deploy(old.app)
    rt.drain()
    ended = rt.get(run.run_id)
    assert told == ["round 1 on old", "end of 1 on old", "round 2 on new", "end of 2 on new"]
    assert (ended.pinned, ended.lambda_version) == (True, "2")


# a version that is gone


def test_one_whose_version_was_deleted_fails_and_says_so(durable, told, mode):
    old, new = Release("old", told, mode=mode, version="2026-10"), Release("new", told, mode=mode)
    rt = durable(old.app)
    run = rt.start(old.app.functions["f"], {})
    rt.advance("1m")
    rt.deploy(new.app, retain=False)
    rt.drain()
    ended = rt.get(run.run_id)
    assert ended.status == "failed"
    assert "pinned to version '2026-10' (Lambda version 1), which was deleted" in ended.error.message
    assert "start it again" in ended.error.message
    # What there is to undo, and the failure, is for the live code.
    assert told == ["one on old", "undid one on old on new", "failure on new"]
    assert rt.dead_letters == []


def test_cancelling_one_whose_version_was_deleted_undoes_it_on_the_live_code(durable, told, mode):
    old, new = Release("old", told, mode=mode), Release("new", told, mode=mode)
    rt = durable(old.app)
    run = rt.start(old.app.functions["f"], {})
    rt.advance("1m")
    rt.deploy(new.app, retain=False)
    rt.client.cancel(run.run_id)
    rt.drain()
    assert rt.get(run.run_id).status == "cancelled"
    assert told == ["one on old", "undid one on old on new"]


def test_what_a_pinned_run_invokes_can_not_begin_on_a_version_that_is_gone(durable, told):
    old, new = Release("old", told), Release("new", told)

    @old.app.function("asks", pin=True)
    def asks(ctx: Context) -> str:
        try:
            return ctx.step.invoke("ask", "child", {})
        except InvokeError as error:
            return error.message

    @new.app.function("asks")
    def asks_now(ctx: Context) -> None: ...

    rt = durable(old.app)
    starts = []
    take = rt._queue._deliver

    def deliver(delivery, done):
        if '"kind":"start"' in delivery.body and '"invoker"' in delivery.body and not starts:
            starts.append(delivery)
            rt.deploy(new.app, retain=False)
        take(delivery, done)

    rt._queue._deliver = deliver
    run = rt.run(asks)
    assert run.status == "failed"
    assert "which was deleted" in run.error.message
    assert [found.status for found in rt.runs("child")] == ["failed"]


def test_what_a_pinned_run_invokes_begins_on_its_version_across_a_deploy(durable, told, mode):
    old, new = Release("old", told, mode=mode), Release("new", told, mode=mode)
    rt = durable(old.app)
    deployed = []
    take = rt._queue._deliver

    def deliver(delivery, done):
        if '"invoker"' in delivery.body and not deployed:
            deployed.append(delivery)
            rt.deploy(new.app)
        take(delivery, done)

    rt._queue._deliver = deliver
    run = rt.run(old.app.functions["parent"])
    assert (run.output, len(deployed)) == ("child on old", 1)
    (child,) = rt.runs("child")
    assert (rt.get(child.run_id).pinned, rt.get(child.run_id).lambda_version) == (True, "1")


# under fire


@pytest.mark.parametrize("name", ["f", "async", "parent", "endless"])
@pytest.mark.parametrize("seed", range(12))
def test_whatever_happens_it_stays_on_its_version(name, seed):
    told = []
    mode = [1, 2, "all", "auto"][seed % 4]
    releases = [Release(name, told, mode=mode) for name in ("a", "b", "c")]
    faults = [Faults(), Faults(lose=0.2), Faults(duplicate=0.3, late=0.3, interleave=True), Faults(crash=0.2)]
    rt = LocalRuntime(releases[0].app, faults=faults[seed % 4 - 1], seed=seed)
    data = 1 if name == "endless" else {}
    run = rt.start(releases[0].app.functions[name], data)
    for release in releases[1:]:
        rt.advance(f"{7 + seed}m")
        rt.deploy(release.app)
    rt.drain()
    ended = rt.get(run.run_id)
    assert ended.status == "completed"
    began = {"1": "a", "2": "b", "3": "c"}
    if name == "endless":  # its second round is on what was live then
        first, second = {said[-1] for said in told if "1 on" in said}, {s[-1] for s in told if "2 on" in s}
        assert len(first) == 1
        assert second == {began[ended.lambda_version]}
    else:
        assert {said[-1] for said in told} == {began[ended.lambda_version]}
    assert rt.dead_letters == []


@pytest.mark.parametrize("mode", [1, "all"])
def test_a_crash_anywhere_loses_and_repeats_nothing(mode):
    """As `crash_everywhere` does, with a deploy while it sleeps."""
    from lambda_durable.testing.crash import _Points

    def crash_at(target):
        told = []
        old, new = Release("old", told, mode=mode), Release("new", told, mode=mode)
        rt = LocalRuntime(old.app)
        rt._traffic.watch = points = _Points(target)
        run = rt.start(old.app.functions["async"], {})
        rt.advance("30m")
        rt.deploy(new.app)
        rt.drain()
        return rt.get(run.run_id), told, points

    _, _, undisturbed = crash_at(None)
    assert undisturbed.count > 20
    for target in range(undisturbed.count):
        run, told, points = crash_at(target)
        assert run.status == "completed", points.crashed_at
        assert run.output == ["one on old", "two on old"], points.crashed_at
        assert len(told) <= 3, points.crashed_at


# bad input


@pytest.mark.parametrize("version", ["", 7, "x" * 65, b"1", "a\nb"])
def test_a_bad_version_is_an_error_at_once(version):
    with pytest.raises(ConfigurationError, match=r"version= of function 'f' has 1 to 64"):
        Durable("app").function("f", version=version)(lambda ctx: None)


def test_a_pin_is_true_or_false():
    with pytest.raises(ConfigurationError, match=r"pin= of function 'f' is True or False"):
        Durable("app").function("f", pin="yes")(lambda ctx: None)

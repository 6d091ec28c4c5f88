"""What becomes of errors: in steps, and in the code between them. API.md, 'Errors'."""

import asyncio
import itertools
from datetime import UTC, datetime, timedelta

import pytest
from test_steps import START, Async, Sync

import lambda_durable
from lambda_durable import (
    AsyncContext,
    ConfigurationError,
    Context,
    DeterminismError,
    Durable,
    DurableError,
    NonRetriableError,
    Retry,
    RetryAfterError,
    StepError,
    current_step,
)

MODES = [1, "all"]
ERRORS = "lambda_durable.errors"


@pytest.fixture(params=MODES, ids=str)
def mode(request):
    return request.param


@pytest.fixture(params=[Sync(), Async()], ids=lambda flavour: flavour.name)
def flavour(request):
    return request.param


@pytest.fixture
def app():
    return Durable("t", retry=Retry.fixed("1s", 3))


class Declined(Exception):
    """An error of the user's."""


class Attempts:
    """A step's function that raises what it is told to, and then returns; and when it was called."""

    def __init__(self, *errors):
        self.errors = list(errors)
        self.rt = None
        self.at = []
        self.numbers = []

    def __call__(self):
        self.at.append((self.rt.now() - START).total_seconds())
        self.numbers.append(current_step().attempt)
        if len(self.at) <= len(self.errors):
            raise self.errors[len(self.at) - 1]
        return "done"

    @property
    def gaps(self):
        return [later - earlier for earlier, later in itertools.pairwise(self.at)]


def always(error):
    return Attempts(*[error] * 50)


def one_step(flavour, app, fn, **options):
    """A function of one step, "x"."""

    def body(ctx):
        step = ctx.step.options(**options) if options else ctx.step
        return (yield step.run("x", fn))

    return flavour.function(app, body)


def run_step(durable, flavour, app, fn, *, mode="all", seed=0, **options):
    rt = fn.rt = durable(app, steps_per_invocation=mode, seed=seed)
    return rt.run(one_step(flavour, app, fn, **options))


# StepError


def test_a_step_error_says_what_happened_the_same_on_every_replay(durable, app, flavour, mode):
    def charge(amount):
        raise Declined(f"card declined: {amount}")

    seen = []

    def body(ctx):
        try:
            yield ctx.step.run("charge", charge, 5)
        except StepError as error:
            seen.append(error)
        yield ctx.step.sleep("s", "1h")
        yield ctx.step.run("y", lambda: 0)
        return str(seen[-1])

    run = durable(app, steps_per_invocation=mode).run(flavour.function(app, body))
    assert run.status == "completed", run.error
    assert len(seen) >= 2
    assert all(error == seen[0] for error in seen)
    error = seen[0]
    assert type(error) is StepError
    assert error.step_id == "charge"
    assert error.error_type == f"{__name__}.Declined"
    assert error.message == "card declined: 5"
    assert error.attempts == 3
    assert "in charge" in error.traceback
    assert "Declined: card declined: 5" in error.traceback
    assert all(word in run.output for word in ("'charge'", "3 attempts", "Declined", "card declined: 5"))


def test_a_failed_step_shows_its_last_error(durable, app, flavour, mode):
    fn = Attempts(ValueError("one"), ValueError("two"), KeyError("three"))
    step = run_step(durable, flavour, app, fn, mode=mode).steps["x"]
    assert (step.status, step.attempts, step.output) == ("failed", 3, None)
    assert (step.error.type, step.error.message, step.error.attempts) == ("KeyError", "'three'", 3)
    assert "KeyError" in step.error.traceback
    assert step.ended_at == START + timedelta(seconds=2)


def test_a_step_that_waits_for_its_retry_shows_why_and_until_when(durable, app, flavour, mode):
    fn = always(ValueError("busy"))
    rt = fn.rt = durable(app, steps_per_invocation=mode)
    run = rt.start(one_step(flavour, app, fn, retry=Retry.fixed("10m", 3)))
    rt.advance("15m")
    step = rt.get(run.run_id).steps["x"]
    assert (step.status, step.attempts, step.error.type, step.error.message) == (
        "retrying",
        2,
        "ValueError",
        "busy",
    )
    assert step.wake_at == START + timedelta(minutes=20)
    assert rt.get(run.run_id).status == "running"


def test_a_caught_step_error_lets_the_run_go_on_and_the_step_is_not_run_again(durable, app, flavour, mode):
    fn = always(ValueError("no"))

    def body(ctx):
        try:
            yield ctx.step.run("x", fn)
        except StepError as error:
            kind = error.error_type
            got = yield ctx.step.run("instead", lambda: f"after {kind}")
        yield ctx.step.sleep("s", "1d")
        return got

    rt = fn.rt = durable(app, steps_per_invocation=mode)
    run = rt.run(flavour.function(app, body))
    assert (run.status, run.output) == ("completed", "after ValueError")
    assert fn.numbers == [1, 2, 3]
    assert run.steps["x"].status == "failed"


@pytest.mark.parametrize(
    ("make", "step_id"),
    [
        (lambda ctx, flavour, fn: ctx.step.run("x", fn), "x"),
        (lambda ctx, flavour, fn: ctx.step.map("m", lambda n: n or fn(), [1, 0, 2]), "m[1]"),
        (
            lambda ctx, flavour, fn: ctx.step.group("g", flavour.code(lambda: (yield ctx.step.run("x", fn)))),
            "g/x",
        ),
        (
            lambda ctx, flavour, fn: ctx.step.map_group(
                "mg", flavour.code(lambda n: (yield ctx.step.run("x", lambda: n or fn()))), [1, 0]
            ),
            "mg[1]/x",
        ),
    ],
    ids=["run", "map", "group", "map_group"],
)
def test_a_run_that_failed_on_a_step_has_the_original_errors_type_and_the_step(
    durable, app, flavour, make, step_id
):
    fn = always(Declined("no"))

    def body(ctx):
        return (yield make(ctx, flavour, fn))

    rt = fn.rt = durable(app, steps_per_invocation="all")
    run = rt.run(flavour.function(app, body))
    assert run.status == "failed"
    assert (run.error.type, run.error.message) == (f"{__name__}.Declined", "no")
    assert (run.error.step_id, run.error.attempts) == (step_id, 3)
    assert "Declined: no" in run.error.traceback
    assert len(fn.at) == 3  # an uncaught StepError is not retried by the handler's policy


def test_an_error_raised_from_a_step_error_is_the_handlers_own(durable, app, flavour):
    entered = []

    def body(ctx):
        entered.append(ctx.attempt)
        try:
            yield ctx.step.run("x", fn)
        except StepError as error:
            raise Declined("given up") from error

    fn = always(NonRetriableError("no"))
    rt = fn.rt = durable(app, steps_per_invocation="all")
    run = rt.run(flavour.function(app, body))
    assert (run.error.type, run.error.message, run.error.step_id) == (
        f"{__name__}.Declined",
        "given up",
        None,
    )
    assert run.error.attempts == 3
    assert fn.numbers == [1]
    assert sorted(set(entered)) == [1, 2, 3]


def test_all_errors_are_durable_errors_and_what_a_step_can_fail_with_is_a_step_error():
    named = {name: getattr(lambda_durable, name) for name in lambda_durable.__all__ if name.endswith("Error")}
    assert all(issubclass(error, DurableError) for error in named.values())
    kinds = [
        "StepTimeout",
        "Invoke",
        "Callback",
        "Transaction",
        "SignalConflict",
        "Serialization",
        "PayloadTooLarge",
    ]
    assert all(issubclass(named[f"{kind}Error"], StepError) for kind in kinds)


class Mute(Exception):
    def __str__(self):
        raise RuntimeError("no text")


@pytest.mark.parametrize(
    "error",
    [
        Declined(),
        Mute(),
        Declined("\ud800 half"),
        Declined("x" * 2_000_000),
        Declined("é" * 300_000),
        Declined(object()),
    ],
    ids=["empty", "its text raises", "surrogate", "2 MB", "600 KB", "object"],
)
def test_an_error_is_kept_whatever_it_says(durable, app, flavour, mode, error):
    seen = []

    def body(ctx):
        try:
            yield ctx.step.run("x", fn)
        except StepError as caught:
            seen.append(caught)
        yield ctx.step.run("y", lambda: 0)
        raise error

    fn = always(error)
    rt = fn.rt = durable(app, steps_per_invocation=mode)
    run = rt.run(flavour.function(app, body))
    assert run.status == "failed"
    assert run.error.type == seen[0].error_type == f"{__name__}.{type(error).__name__}"
    assert fn.numbers == [1, 2, 3]
    assert all(one == seen[0] for one in seen)


# retries


def test_fixed_waits_the_same_before_each_attempt(durable, app, flavour, mode):
    fn = always(ValueError("no"))
    run = run_step(durable, flavour, app, fn, mode=mode, retry=Retry.fixed("10s", 4))
    assert fn.at == [0, 10, 20, 30]
    assert fn.numbers == [1, 2, 3, 4]
    assert (run.status, run.steps["x"].attempts) == ("failed", 4)


def test_a_step_that_succeeds_in_the_end_counts_its_attempts(durable, app, flavour, mode):
    fn = Attempts(ValueError("no"), ValueError("no"))
    run = run_step(durable, flavour, app, fn, mode=mode)
    step = run.steps["x"]
    assert (run.output, step.status, step.attempts, step.error) == ("done", "completed", 3, None)
    assert (step.started_at, step.ended_at) == (START, START + timedelta(seconds=2))


def test_without_jitter_delays_grow_to_their_maximum(durable, app, flavour):
    fn = always(ValueError("no"))
    retry = Retry(max_attempts=6, initial_delay="1s", multiplier=3, max_delay="20s", jitter=False)
    run_step(durable, flavour, app, fn, retry=retry)
    assert fn.gaps == [1, 3, 9, 20, 20]


def test_long_delays_are_right_to_the_second(durable, app, flavour, mode):
    fn = always(ValueError("no"))
    run_step(durable, flavour, app, fn, mode=mode, retry=Retry.fixed("25h", 3))
    assert fn.at == [0, 25 * 3600, 50 * 3600]


def test_by_default_there_are_five_attempts_with_full_jitter(durable):
    lasts = []
    for seed in range(15):
        fn = always(ValueError("no"))
        run_step(durable, Sync(), Durable("t"), fn, seed=seed)
        assert len(fn.at) == 5
        assert all(0 <= gap <= longest for gap, longest in zip(fn.gaps, [5, 10, 20, 40], strict=True))
        lasts.append(fn.gaps[-1] / 40)  # the queue delays by whole seconds, which shows least here
    assert len(set(lasts)) > 7
    assert min(lasts) < 0.25
    assert max(lasts) > 0.75
    assert 0.3 < sum(lasts) / 15 < 0.7


def test_jitter_follows_from_the_seed(durable):
    times = []
    for seed in (1, 1, 2):
        fn = always(ValueError("no"))
        run_step(durable, Sync(), Durable("t"), fn, seed=seed)
        times.append(fn.at)
    assert times[0] == times[1] != times[2]


def test_never_is_one_attempt(durable, app, flavour, mode):
    fn = always(ValueError("no"))
    run = run_step(durable, flavour, app, fn, mode=mode, retry=Retry.never())
    assert (fn.at, run.status, run.error.attempts) == ([0], "failed", 1)


def test_the_steps_policy_comes_before_the_functions_and_that_before_the_apps(durable, flavour):
    app = Durable("t", retry=Retry.fixed("1s", 2))
    counts = {}

    def count(name):
        def fn():
            counts[name] = counts.get(name, 0) + 1
            raise ValueError(name)

        return fn

    def body(ctx):
        for step, name in ((ctx.step.options(retry=Retry.fixed("1s", 4)), "own"), (ctx.step, "inherited")):
            try:
                yield step.run(name, count(f"{ctx.function_id} {name}"))
            except StepError:
                pass

    functions = [
        flavour.function(app, body, "plain"),
        flavour.function(app, body, "strict", retry=Retry.fixed("1s", 3)),
    ]
    rt = durable(app, steps_per_invocation="all")
    assert [rt.run(function).status for function in functions] == ["completed", "completed"]
    assert counts == {"plain own": 4, "plain inherited": 2, "strict own": 4, "strict inherited": 3}


@pytest.mark.parametrize(
    ("policy", "error", "attempts"),
    [
        ({"retry_on": (OSError,)}, ConnectionError("no"), 3),
        ({"retry_on": (OSError,)}, ValueError("no"), 1),
        ({"retry_on": OSError}, ValueError("no"), 1),
        ({"give_up_on": (LookupError,)}, KeyError("no"), 1),
        ({"give_up_on": (LookupError,)}, ValueError("no"), 3),
        ({"retry_on": (LookupError,), "give_up_on": (KeyError,)}, KeyError("no"), 1),
        ({"retry_on": (LookupError,), "give_up_on": (KeyError,)}, IndexError("no"), 3),
    ],
)
def test_a_policy_chooses_by_the_errors_class(durable, app, flavour, policy, error, attempts):
    fn = always(error)
    retry = Retry(max_attempts=3, initial_delay="1s", jitter=False, **policy)
    run = run_step(durable, flavour, app, fn, retry=retry)
    assert len(fn.at) == run.steps["x"].attempts == attempts


def test_map_items_retry_each_for_itself(durable, app, flavour, mode):
    def fn(n):
        if current_step().attempt <= n:
            raise ValueError("no")
        return n

    def body(ctx):
        return (yield ctx.step.map("m", fn, [0, 1, 2]))

    run = durable(app, steps_per_invocation=mode).run(flavour.function(app, body))
    assert run.output == [0, 1, 2]
    assert [run.steps[f"m[{n}]"].attempts for n in range(3)] == [1, 2, 3]


@pytest.mark.parametrize(
    "options",
    [
        {"max_attempts": 0},
        {"max_attempts": True},
        {"max_attempts": 1.5},
        {"initial_delay": 5},
        {"initial_delay": "-5s"},
        {"max_delay": 5},
        {"multiplier": 0.5},
        {"multiplier": float("nan")},
        {"jitter": "yes"},
        {"retry_on": ("ValueError",)},
        {"give_up_on": ValueError("no")},
    ],
    ids=str,
)
def test_a_bad_policy_is_a_configuration_error(options):
    (name,) = options
    with pytest.raises(ConfigurationError, match=name):
        Retry(**options)


# RetryAfterError


@pytest.mark.parametrize(
    ("after", "gap"),
    [
        ("90s", 90),
        (timedelta(minutes=3), 180),
        ("3h", 3 * 3600),
        (START + timedelta(hours=2, seconds=1), 7201),
        (START + timedelta(seconds=30), 30),
        ("0s", 0),
        (START - timedelta(days=1), 0),
    ],
    ids=str,
)
def test_retry_after_overrides_the_delay(durable, app, flavour, mode, after, gap):
    fn = Attempts(RetryAfterError("busy", after))
    run = run_step(durable, flavour, app, fn, mode=mode, retry=Retry.fixed("7m", 3))
    assert fn.at == [0, gap]
    assert (run.output, run.steps["x"].attempts) == ("done", 2)


def test_retry_after_asks_for_no_more_attempts_than_there_are(durable, app, flavour, mode):
    fn = always(RetryAfterError("busy", "1m"))
    run = run_step(durable, flavour, app, fn, mode=mode)
    assert fn.at == [0, 60, 120]
    assert (run.error.type, run.error.message) == (f"{ERRORS}.RetryAfterError", "busy")


def test_retry_after_is_for_one_delay_only(durable, app, flavour):
    fn = Attempts(ValueError("no"), RetryAfterError("busy", "1m"), ValueError("no"))
    run_step(durable, flavour, app, fn, retry=Retry.fixed("1s", 5))
    assert fn.gaps == [1, 60, 1]


def test_retry_after_is_retried_whatever_the_policy_lists(durable, app, flavour):
    fn = Attempts(RetryAfterError("busy", "1m"))
    run = run_step(durable, flavour, app, fn, retry=Retry(max_attempts=2, retry_on=(OSError,)))
    assert run.output == "done"


@pytest.mark.parametrize("after", [5, 1.5, True, None, "soon", "-1s", datetime(2025, 1, 1)], ids=repr)
def test_retry_after_what_is_no_time_is_a_configuration_error(after):
    with pytest.raises(ConfigurationError, match="after"):
        RetryAfterError("busy", after)


# NonRetriableError


class Refused(NonRetriableError):
    """A kind of it."""


@pytest.mark.parametrize(
    "error", [NonRetriableError("no"), Refused("no")], ids=lambda error: type(error).__name__
)
def test_a_non_retriable_error_fails_its_step_at_once(durable, app, flavour, mode, error):
    fn = always(error)

    def body(ctx):
        try:
            yield ctx.step.run("x", fn)
        except StepError as caught:
            return [caught.error_type, caught.message, caught.attempts]

    rt = fn.rt = durable(app, steps_per_invocation=mode)
    run = rt.run(flavour.function(app, body))
    assert run.output == [f"{type(error).__module__}.{type(error).__qualname__}", "no", 1]
    assert fn.at == [0]


def test_a_non_retriable_error_after_retries_has_counted_them(durable, app, flavour):
    fn = Attempts(ValueError("no"), NonRetriableError("stop"))
    run = run_step(durable, flavour, app, fn)
    assert (run.status, run.error.message, run.error.attempts) == ("failed", "stop", 2)


# what is no Exception


def recurse():
    return recurse()


def exhaust():
    raise MemoryError


def leave():
    raise SystemExit(3)


def interrupt():
    raise KeyboardInterrupt


def cancel():
    raise asyncio.CancelledError("mine")


BREAKING = [
    (recurse, "RecursionError"),
    (exhaust, "MemoryError"),
    (leave, "SystemExit"),
    (interrupt, "KeyboardInterrupt"),
    (cancel, "asyncio.exceptions.CancelledError"),
]


@pytest.mark.parametrize(("breaks", "type_"), BREAKING, ids=[type_ for _, type_ in BREAKING])
@pytest.mark.parametrize("kind", ["sync", "async", "async function"])
def test_what_breaks_an_attempt_off_counts_as_one(durable, app, mode, kind, breaks, type_):
    attempts = []

    def fn():
        attempts.append(current_step().attempt)
        if len(attempts) < 3:
            breaks()
        return "done"

    async def async_fn():
        await asyncio.sleep(0)
        return fn()

    def body(ctx):
        return (yield ctx.step.run("x", async_fn if kind == "async function" else fn))

    flavour = Sync() if kind == "sync" else Async()
    run = durable(app, steps_per_invocation=mode).run(flavour.function(app, body))
    assert (run.status, run.output) == ("completed", "done"), run.error
    assert attempts == [1, 2, 3]


@pytest.mark.parametrize(("breaks", "type_"), BREAKING, ids=[type_ for _, type_ in BREAKING])
def test_a_step_that_always_breaks_off_fails_and_can_be_caught(durable, app, flavour, breaks, type_):
    def body(ctx):
        try:
            yield ctx.step.run("x", breaks)
        except StepError as error:
            return [error.error_type, error.attempts]

    run = durable(app, steps_per_invocation=1).run(flavour.function(app, body))
    assert run.output == [type_, 3], run.error


# code between steps


def test_code_between_steps_that_raises_is_tried_again(durable, flavour, mode):
    app = Durable("t", retry=Retry.fixed("1m", 3))
    attempts, steps = [], []

    def body(ctx):
        yield ctx.step.run("a", steps.append, "a")
        attempts.append(ctx.attempt)
        if len(attempts) == 1 or ctx.attempt < 3:
            raise Declined(f"attempt {ctx.attempt}")
        return (yield ctx.step.run("b", lambda: ctx.attempt))

    run = durable(app, steps_per_invocation=mode).run(flavour.function(app, body))
    assert run.status == "completed", run.error
    assert steps == ["a"]
    assert [n for n, _ in itertools.groupby(attempts)] in ([1, 2, 3], [1, 2, 3, 1])
    assert run.ended_at == START + timedelta(minutes=2)


def test_code_that_keeps_raising_fails_the_run_with_its_own_error(durable, flavour, mode):
    app = Durable("t", retry=Retry.never())
    attempts = []

    def body(ctx):
        attempts.append(ctx.attempt)
        yield ctx.step.run("a", lambda: 0)
        raise Declined("always")

    function = flavour.function(app, body, retry=Retry.fixed("10s", 4))
    run = durable(app, steps_per_invocation=mode).run(function)
    assert (run.status, run.error.type, run.error.message) == ("failed", f"{__name__}.Declined", "always")
    assert (run.error.step_id, run.error.attempts) == (None, 4)
    assert "raise Declined" in run.error.traceback
    assert attempts[-1] == 4
    assert run.ended_at == START + timedelta(seconds=30)


def test_code_that_raises_before_any_step_is_tried_again(durable, app, flavour, mode):
    attempts = []

    def body(ctx):
        attempts.append(ctx.attempt)
        if ctx.attempt < 3:
            raise Declined("early")
        return (yield ctx.step.run("a", lambda: 7))

    run = durable(app, steps_per_invocation=mode).run(flavour.function(app, body))
    assert run.output == 7, run.error
    assert attempts[:3] == [1, 2, 3]


NEW_OUTCOMES = {
    "run": lambda ctx, n: ctx.step.run(f"s{n}", lambda: 0),
    "sleep": lambda ctx, n: ctx.step.sleep(f"s{n}", "1h"),
    "map": lambda ctx, n: ctx.step.map(f"s{n}", str, [1, 2]),
    "failure": lambda ctx, n: ctx.step.options(retry=Retry.never()).run(f"s{n}", exhaust),
}


@pytest.mark.parametrize("what", NEW_OUTCOMES)
def test_a_new_outcome_starts_the_count_again(durable, app, flavour, mode, what):
    # Raises twice after each step: six times in all, of the three attempts that each stretch has.
    raised = []

    def body(ctx):
        for n in range(3):
            try:
                yield NEW_OUTCOMES[what](ctx, n)
            except StepError:
                pass
            if raised.count(n) < 2:
                raised.append(n)
                raise Declined(f"after {n}")

    run = durable(app, steps_per_invocation=mode).run(flavour.function(app, body))
    assert run.status == "completed", run.error
    assert raised == [0, 0, 1, 1, 2, 2]


@pytest.mark.parametrize("what", NEW_OUTCOMES)
def test_the_attempt_is_1_after_a_new_outcome(durable, app, flavour, mode, what):
    # In the pass that brings the outcome it may have been seen before; when the handler is replayed, it is 1.
    seen = []

    def body(ctx):
        if ctx.attempt < 2 and not seen:
            seen.append("raised")
            raise Declined("early")
        try:
            yield NEW_OUTCOMES[what](ctx, 0)
        except StepError:
            pass
        yield ctx.step.sleep("between", "1h")
        seen.append(ctx.attempt)
        yield ctx.step.run("x", lambda: 0)

    run = durable(app, steps_per_invocation=mode).run(flavour.function(app, body))
    assert run.status == "completed", run.error
    assert set(seen[1:]) == {1}


def test_the_handlers_delays_have_the_bounds_of_its_policy(durable, flavour):
    app = Durable("t")
    times = []

    def body(ctx):
        times.append((rt.now() - START).total_seconds())
        yield from ()
        raise Declined("no")

    rt = durable(app)
    rt.run(flavour.function(app, body))
    gaps = [later - earlier for earlier, later in itertools.pairwise(times)]
    assert len(times) == 5
    assert all(0 <= gap <= longest for gap, longest in zip(gaps, [5, 10, 20, 40], strict=True))


@pytest.mark.parametrize(
    "error",
    [
        NonRetriableError("stop"),
        Refused("stop"),
        ConfigurationError("stop"),
        DeterminismError("stop"),
        StepError("stop"),
        type("Own", (DurableError,), {"__module__": __name__})("stop"),
    ],
    ids=lambda error: type(error).__name__,
)
def test_a_durable_error_fails_the_run_at_once(durable, app, flavour, mode, error):
    attempts = []

    def body(ctx):
        yield ctx.step.run("a", lambda: 0)
        attempts.append(ctx.attempt)
        raise error

    run = durable(app, steps_per_invocation=mode).run(flavour.function(app, body))
    assert (run.status, run.error.message) == ("failed", "stop")
    assert run.error.type == f"{type(error).__module__}.{type(error).__qualname__}"
    assert attempts == [1]
    assert run.ended_at == START


def test_the_handlers_policy_chooses_by_class_too(durable, app, flavour):
    attempts = []

    def body(ctx):
        attempts.append(ctx.attempt)
        yield from ()
        raise KeyError("no")

    run = durable(app).run(flavour.function(app, body, retry=Retry(give_up_on=(LookupError,))))
    assert (run.status, run.error.type, attempts) == ("failed", "KeyError", [1])


def test_a_step_error_in_a_task_group_fails_the_run_with_the_steps_error(durable, app, mode):
    entered = []

    @app.function("f")
    async def f(ctx: AsyncContext) -> None:
        entered.append(ctx.attempt)
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(ctx.step.run("good", lambda: 1))
            tasks.create_task(ctx.step.options(retry=Retry.never()).run("bad", exhaust))

    run = durable(app, steps_per_invocation=mode).run(f)
    assert run.status == "failed"
    assert set(entered) == {1}
    assert (run.error.type, run.error.step_id) == ("MemoryError", "bad")


def test_except_exception_does_not_swallow_a_suspension(durable, app, flavour, mode):
    swallowed = []

    def body(ctx):
        try:
            yield ctx.step.sleep("s", "1h")
        except Exception as error:
            swallowed.append(error)
        return (yield ctx.step.run("x", lambda: 1))

    run = durable(app, steps_per_invocation=mode).run(flavour.function(app, body))
    assert (run.output, swallowed) == (1, [])
    assert run.ended_at == START + timedelta(hours=1)


def test_recursion_in_the_handler_fails_the_run_after_its_attempts(durable, app):
    @app.function("f")
    def f(ctx: Context) -> None:
        ctx.step.run("a", lambda: 1)
        recurse()

    run = durable(app).run(f)
    assert (run.status, run.error.type, run.error.attempts) == ("failed", "RecursionError", 3)
    assert run.ended_at == datetime(2025, 1, 1, 0, 0, 2, tzinfo=UTC)

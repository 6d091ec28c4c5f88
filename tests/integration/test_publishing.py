"""What runs publish, and following them."""

from __future__ import annotations

import asyncio

import pytest

from lambda_durable import (
    AsyncContext,
    ConfigurationError,
    Context,
    Durable,
    PayloadTooLargeError,
    Retry,
    RunNotFoundError,
    Timeouts,
    current_step,
)
from lambda_durable.client import Client
from lambda_durable.encryption import Encryption, RawKey
from lambda_durable.testing import Faults, crash_everywhere

MODES = [1, 3, "all", "auto"]


@pytest.fixture
def app():
    return Durable("shop", retry=Retry.fixed("1s", 3))


def said(rt, run):
    return [(message.topic, message.data) for message in rt.published(run.run_id)]


@pytest.mark.parametrize("mode", MODES)
def test_a_handler_publishes_once_however_often_it_is_replayed(durable, app, mode):
    @app.function("f")
    def f(ctx: Context[dict]) -> None:
        ctx.publish("status", "begun")
        ctx.step.run("a", int)
        ctx.publish("progress", {"done": 1})
        ctx.publish("progress", {"done": 1})
        ctx.step.sleep("nap", "3d")
        ctx.step.run("b", int)
        ctx.publish("status", "over")

    rt = durable(app, steps_per_invocation=mode)
    run = rt.run(f)
    assert run.status == "completed"
    assert said(rt, run) == [
        ("status", "begun"),
        ("progress", {"done": 1}),
        ("progress", {"done": 1}),
        ("status", "over"),
    ]


@pytest.mark.parametrize("mode", MODES)
def test_an_async_handler_does_so_too_in_each_of_its_tasks(durable, app, mode):
    @app.function("f")
    async def f(ctx: AsyncContext[dict]) -> None:
        there = asyncio.Event()

        async def one():
            ctx.publish("one", 1)
            await ctx.step.run("a", int)
            await there.wait()
            ctx.publish("one", 2)

        async def two():
            await ctx.step.sleep("nap", "1h")
            ctx.publish("two", 1)
            there.set()
            await ctx.step.run("b", int)

        await asyncio.gather(one(), two())
        ctx.publish("end", None)

    rt = durable(app, steps_per_invocation=mode)
    run = rt.run(f)
    assert sorted(said(rt, run)[:-1]) == [("one", 1), ("one", 2), ("two", 1)]
    assert said(rt, run)[-1] == ("end", None)


def test_branches_groups_and_what_is_handed_out_publish_once(durable, app):
    @app.function("f")
    def f(ctx: Context[dict]) -> None:
        def branch(number):
            ctx.publish("branch", number)
            ctx.step.run("work", int)
            ctx.publish("done", number)

        ctx.publish("begin", None)
        ctx.step.map_group("m", branch, list(range(6)), max_concurrency=3)
        ctx.step.group("g", lambda: (ctx.publish("group", None), ctx.step.run("x", int)))
        ctx.publish("end", None)

    rt = durable(app, steps_per_invocation=1)
    run = rt.run(f)
    found = said(rt, run)
    assert (found[0], found[-2:]) == (("begin", None), [("group", None), ("end", None)])
    assert sorted(found[1:-2]) == sorted((topic, n) for n in range(6) for topic in ("branch", "done"))


def test_a_step_publishes_at_once_and_each_attempt_anew(durable, app):
    tries = []

    def work():
        tries.append(current_step().attempt)
        current_step().publish("progress", 50)
        if len(tries) == 1:
            raise ValueError("no")
        current_step().publish("progress", 100)

    @app.function("f")
    def f(ctx: Context[dict]) -> None:
        ctx.step.run("work", work)
        ctx.step.run("more", lambda: ctx.publish("inside", ctx.run_id))

    rt = durable(app)
    run = rt.run(f)
    told = [(each.data, each.step_id, each.attempt) for each in rt.published(run.run_id)]
    assert told == [(50, "work", 1), (50, "work", 2), (100, "work", 2), (run.run_id, "more", 1)]


def test_code_between_steps_that_is_tried_again_publishes_once(durable, app):
    tries = []

    @app.function("f")
    def f(ctx: Context[dict]) -> None:
        ctx.publish("at", "first")
        tries.append(1)
        if len(tries) < 3:
            raise ValueError("no")
        ctx.publish("at", "second")

    rt = durable(app)
    run = rt.run(f)
    assert run.status == "completed"
    assert said(rt, run) == [("at", "first"), ("at", "second")]


def test_what_a_failed_run_said_last_is_there(durable, app):
    @app.function("f", retry=Retry.never())
    def f(ctx: Context[dict]) -> None:
        ctx.step.run("a", int)
        ctx.publish("last", 1)
        raise ValueError("no")

    rt = durable(app)
    assert said(rt, rt.run(f)) == [("last", 1)]


def test_a_run_that_continues_as_new_goes_on_with_its_feed(durable, app):
    @app.function("f")
    def f(ctx: Context[dict]) -> None:
        number = ctx.event.data["number"]
        ctx.publish("round", number)
        ctx.publish("same", None)
        ctx.step.run("a", int)
        if number < 2:
            ctx.continue_as_new({"number": number + 1})

    rt = durable(app)
    run = rt.run(f, {"number": 0})
    assert said(rt, run) == [
        ("round", 0),
        ("same", None),
        ("round", 1),
        ("same", None),
        ("round", 2),
        ("same", None),
    ]


# months later


def expire(rt):
    """As DynamoDB does with what has expired."""
    table = rt.aws("dynamodb")
    for item in table.scan(TableName="lambda-durable")["Items"]:
        if int(item.get("x", {"N": "9" * 12})["N"]) < rt.now().timestamp():
            table.delete_item(TableName="lambda-durable", Key={"pk": item["pk"], "sk": item["sk"]})


def test_what_a_run_has_published_lives_as_long_as_it_sleeps(durable, app):
    @app.function("f")
    def f(ctx: Context[dict]) -> None:
        ctx.publish("before", 1)
        ctx.step.sleep("long", "100d")
        ctx.publish("after", 2)

    rt = durable(app)
    run = rt.start(f, {})
    rt.advance("99d")
    expire(rt)
    cursor = rt.published(run.run_id)[-1].cursor
    rt.drain()
    assert said(rt, run) == [("before", 1), ("after", 2)]
    assert [message.topic for message in rt.client.messages(run.run_id, after=cursor).messages] == ["after"]


def test_who_has_followed_a_run_through_months_of_rounds_misses_nothing_though_the_oldest_expires(
    durable, app
):
    @app.function("f")
    def f(ctx: Context[dict]) -> None:
        number = ctx.event.data["number"]
        if number in (0, 3):
            ctx.publish("round", number)
            ctx.publish("round", number)
        ctx.step.sleep("month", "30d")
        if number < 3:
            ctx.continue_as_new({"number": number + 1})

    rt = durable(app)
    run = rt.start(f, {"number": 0})
    rt.advance("1d")
    seen = rt.published(run.run_id)
    rt.advance("80d")
    expire(rt)
    assert rt.published(run.run_id) == []
    rt.advance("15d")
    page = rt.client.messages(run.run_id, after=seen[-1].cursor)
    assert [message.data for message in (*seen, *page.messages)] == [0, 0, 3, 3]
    assert rt.client.messages(run.run_id, after=page.messages[0].cursor).messages == page.messages[1:]


# mistakes


@pytest.mark.parametrize("topic", ["", "x" * 257, "a\nb", 7, None])
def test_a_topic_that_is_none_fails_the_run_and_says_so(durable, app, topic):
    @app.function("f")
    def f(ctx: Context[dict]) -> None:
        ctx.publish(topic, 1)

    run = durable(app).run(f)
    assert run.error.type.endswith("ConfigurationError")
    assert "a topic has 1 to 256 printable characters" in run.error.message


def test_a_message_that_is_too_large_says_so(durable, app):
    @app.function("f")
    def f(ctx: Context[dict]) -> None:
        ctx.publish("big", "x" * 32 * 1024)

    run = durable(app).run(f)
    assert run.error.type.endswith(PayloadTooLargeError.__name__)
    assert "'big' is 32,770 bytes of JSON, and 32,768 are allowed" in run.error.message


# crashes


def telling(ctx: Context[dict]) -> None:
    ctx.publish("a", 1)
    ctx.step.run("one", lambda: current_step().publish("in", 1))
    ctx.publish("b", 2)
    ctx.step.parallel("p", *(lambda n=n: (ctx.publish("p", n), ctx.step.run("s", int)) for n in range(2)))
    ctx.publish("c", 3)
    ctx.step.sleep("nap", "1h")
    ctx.publish("d", 4)


@pytest.mark.parametrize("mode", [1, "all"])
def test_each_message_is_there_once_and_in_order_wherever_a_crash_falls(app, mode):
    f = app.function("f")(telling)
    seen = []

    def drive(rt, run):
        rt.drain()
        seen.append(
            [
                (update.message.topic, update.message.data)
                for update in rt.client.follow(run.run_id)
                if update.message
            ]
        )

    for crash in crash_everywhere(app, f, drive=drive, steps_per_invocation=mode):
        assert crash.run.status == "completed", crash
        found = seen.pop()
        branches = {found[3], found[4]}
        assert [*found[:3], *found[5:]] == [("a", 1), ("in", 1), ("b", 2), ("c", 3), ("d", 4)], crash
        assert branches == {("p", 0), ("p", 1)}, crash


@pytest.mark.parametrize("seed", range(12))
def test_each_message_is_there_once_under_all_faults(durable, app, seed):
    f = app.function("f")(telling)
    rt = durable(app, faults=Faults(), seed=seed)
    run = rt.start(f)
    rt.drain()
    assert rt.get(run.run_id).status == "completed"
    found = [each for each in said(rt, run) if each[0] != "in"]  # a step may have another attempt
    assert sorted(found) == [("a", 1), ("b", 2), ("c", 3), ("d", 4), ("p", 0), ("p", 1)]
    assert [topic for topic, _ in found if topic != "p"] == ["a", "b", "c", "d"]
    assert ("in", 1) in said(rt, run)


# following


@pytest.fixture
def talker(app):
    @app.function("f", timeouts=Timeouts(finish="10d"))
    def f(ctx: Context[dict]) -> None:
        for number in range(4):
            ctx.publish("number", number)
            ctx.step.sleep(f"nap-{number}", "1d")

    return f


def test_a_run_is_followed_until_it_ends(durable, app, talker):
    rt = durable(app)
    run = rt.start(talker)
    rt.advance("1m")
    updates = list(rt.client.follow(run.run_id))
    told = [(each.kind, each.status) for each in updates if each.kind == "run"]
    assert told == [("run", "running"), ("run", "completed")]
    assert [each.message.data for each in updates if each.message] == [0, 1, 2, 3]
    steps = [(each.step.id, each.step.status) for each in updates if each.step]
    assert steps == [(f"nap-{n}", status) for n in range(4) for status in ("waiting", "completed")]
    assert updates[-1].kind == "run"


def test_who_comes_back_with_a_cursor_misses_nothing_and_sees_no_message_twice(durable, app, talker):
    rt = durable(app)
    run = rt.start(talker)
    rt.advance("1m")
    seen, cursor = [], ""
    for _ in range(20):
        for update in rt.client.follow(run.run_id, after=cursor):
            cursor = update.cursor
            if update.message:
                seen.append(update.message.data)
                break
        else:
            break
    assert seen == [0, 1, 2, 3]


def test_pages_go_on_from_a_cursor_and_say_when_there_is_no_more(durable, app, talker):
    rt = durable(app)
    run = rt.start(talker)
    rt.advance("2d")
    first = rt.client.messages(run.run_id, limit=2)
    assert ([each.data for each in first.messages], first.ended) == ([0, 1], False)
    rest = rt.client.messages(run.run_id, after=first.cursor)
    assert ([each.data for each in rest.messages], rest.ended) == ([2], False)
    none = rt.client.messages(run.run_id, after=rest.cursor)
    assert (none.messages, none.cursor, none.ended) == ((), rest.cursor, False)
    rt.drain()
    last = rt.client.messages(run.run_id, after=none.cursor)
    assert ([each.data for each in last.messages], last.ended) == ([3], True)


def test_what_can_not_be_followed_says_so(durable, app, talker):
    rt = durable(app)
    run = rt.run(talker)
    with pytest.raises(ConfigurationError, match="takes the cursor of a message"):
        rt.client.messages(run.run_id, after="x")
    with pytest.raises(RunNotFoundError):
        rt.client.messages("nobody")
    with pytest.raises(RunNotFoundError):
        next(rt.client.follow("nobody"))


def test_what_is_published_is_kept_encoded_as_all_else(durable):
    app = Durable("clinic", middleware=Encryption(RawKey("k", bytes(32))))

    @app.function("f")
    def f(ctx: Context[dict]) -> None:
        ctx.publish("patient", {"name": "Ada"})

    rt = durable(app)
    run = rt.run(f)
    assert said(rt, run) == [("patient", {"name": "Ada"})]
    assert "Ada" not in str(rt.aws("dynamodb").scan(TableName="lambda-durable")["Items"])
    (message,) = Client(world=rt.client._world).messages(run.run_id).messages
    assert message.topic == "patient"


# what it costs


def test_a_message_is_a_write_unit_and_an_invocation_that_publishes_reads_what_was(durable, app):
    @app.function("f", steps_per_invocation=1)
    def f(ctx: Context[dict]) -> None:
        for number in range(4):
            if ctx.event.data["publish"]:
                ctx.publish("number", number)
            ctx.step.run(f"s{number}", int)

    counts = []
    for publish in (False, True):
        rt = durable(app)
        rt.run(f, {"publish": publish})
        counts.append((rt.calls["dynamodb:PutItem"], rt.calls["dynamodb:Query"], rt.usage.write_units))
    (puts, queries, units), (more_puts, more_queries, more_units) = counts
    assert more_puts - puts == 4
    assert more_queries - queries == 4
    assert more_units - units == 4


def test_a_replay_that_has_nothing_new_to_say_reads_nothing(durable, app):
    @app.function("f", steps_per_invocation=1)
    def f(ctx: Context[dict]) -> None:
        if ctx.event.data["publish"]:
            ctx.publish("begun", None)
        for number in range(5):
            ctx.step.run(f"s{number}", int)

    queries = []
    for publish in (False, True):
        rt = durable(app)
        rt.run(f, {"publish": publish})
        queries.append(rt.calls["dynamodb:Query"])
    assert queries[1] - queries[0] == 1

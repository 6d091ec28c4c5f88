"""Text that comes from outside: in expressions, keys, logs, and on a terminal."""

from __future__ import annotations

import io
import json
import logging
import sys
import time
from datetime import UTC, datetime
from hashlib import sha256

import pytest
from pydantic import BaseModel

from lambda_durable import CallbackTokenError, ConfigurationError, Context, Durable, Event, Retry, on_event
from lambda_durable.aws import keys
from lambda_durable.callbacks import Address, token_of
from lambda_durable.cli.display import Display
from lambda_durable.cli.timeline import Line
from lambda_durable.errors import ErrorInfo
from lambda_durable.expressions import ExpressionError, compile_condition
from lambda_durable.ports import Outgoing

TAGS = [
    {"$": "model", "c": "antigravity:X", "v": {}},
    {"$": "enum", "c": "antigravity:X", "v": 1},
    {"$": "member", "c": "antigravity:X", "v": "A"},
    {"$": "dataclass", "c": "antigravity:X", "v": {}},
]
HOSTILE = ["/", "#", "..", "../..", "a/b", "a#1", "%2F", "e#1", "w#x", "k#app", "!", ".x", ":2"]
HOSTILE += ["\0", "\n", "\u202e", "é", "x" * 256]


class Anything(BaseModel):
    x: object = None


def bus_event(name, data, id="e"):
    return {"id": id, "detail-type": name, "source": "s", "time": "2025-01-01T00:00:00Z", "detail": data}


@pytest.mark.parametrize("tag", TAGS, ids=lambda tag: tag["$"])
def test_what_comes_from_outside_names_no_class_and_imports_nothing(durable, tag):
    app = Durable("app", retry=Retry.never())

    @app.function("f", on_event("go", Anything))
    def f(ctx: Context[Anything]) -> list[object]:
        came = ctx.step.wait_for_event("come", "come", timeout="1h", model=Anything)
        any_ = ctx.step.wait_for_event("any", "any", timeout="1h")
        told = ctx.step.wait_for_signal("told", "told", timeout="1h")
        answer = ctx.step.wait_for_callback("ask", timeout="1h", model=Anything)
        return [ctx.event.data.x, came.data.x, any_.data["x"], told.data["x"], answer.x]

    rt = durable(app)
    rt.deliver(bus_event("go", {"x": tag}, "1"))
    rt.advance("1s")
    rt.deliver(bus_event("come", {"x": tag}, "2"))
    rt.advance("1s")
    rt.deliver(bus_event("any", {"x": tag}, "3"))
    rt.advance("1s")
    rt.client.send_signal("told", {"x": tag})
    rt.advance("1s")
    (run,) = rt.runs()
    rt.client.complete_callback(rt.get(run.run_id).steps["ask"].waiting_for.token, {"x": tag})
    rt.drain()
    run = rt.get(run.run_id)
    assert (run.status, run.output) == ("completed", [tag] * 5)
    assert rt.start(f, Anything(x=tag)).event.data == {"x": tag}
    assert "antigravity" not in sys.modules


# expressions


@pytest.mark.parametrize(
    "source",
    [
        "event.__class__ == 1",
        "event.data.__class__.__mro__ == 1",
        "event.time.__class__ == 1",
        "event.data.items == 1",
        "event.name.format == 1",
    ],
)
def test_cel_reaches_no_attribute_of_an_object(source):
    with pytest.raises(ExpressionError):
        compile_condition(source, "if_exp=").holds(Event("x", {}))


def test_cel_has_no_functions_of_pythons():
    for source in ("open('/etc/passwd') == ''", "__import__('os') == 1", "eval('1') == 1"):
        with pytest.raises((ConfigurationError, ExpressionError)):
            compile_condition(source, "if_exp=").holds(Event("x", {}))


def test_a_regex_takes_time_in_proportion_to_the_text():
    condition = compile_condition(
        "event.data.s.matches('(a+)+$') || event.data.s.matches('(a|aa)*b')", "if_exp="
    )
    began = time.perf_counter()
    assert not condition.holds(Event("x", {"s": "a" * 200_000 + "!"}))
    assert time.perf_counter() - began < 5


def test_a_regex_that_comes_with_an_event_is_bounded():
    condition = compile_condition("event.data.s.matches(event.data.r)", "if_exp=")
    for pattern in ("(" * 200_000, "((a{1,1000}){1,1000}){1,1000}"):
        with pytest.raises(ExpressionError):
            condition.holds(Event("x", {"s": "a" * 1000, "r": pattern}))


@pytest.mark.parametrize("within", ["event.data.l.exists(a, {})", "event.data.o.all(a, {})"])
def test_loops_in_one_another_are_bounded_by_what_they_loop_over(within):
    source = within.replace("{}", "event.data.l.exists( b, a == ')' || b == \"x.map(\")")
    condition = compile_condition(source, "if_exp=")
    few, many = ["1"] * 100, ["1"] * 4000
    condition.holds(Event("x", {"l": few, "o": {"a": "1"}}))
    began = time.perf_counter()
    with pytest.raises(ExpressionError, match="its loops take too many steps for this event"):
        condition.holds(Event("x", {"l": many, "o": {"a": "1"}}))
    assert time.perf_counter() - began < 1


@pytest.mark.parametrize(
    "source",
    [
        "event.data.l.map(a, a).size() > 0",
        "event.data.l.filter(a, a.n >= 0).size() > 0",
        "event.data.l.all(a, a.n >= event.data.least)",
        "event.data.l.all(a, a in event.data.l)",
        "event.data.o.all(k, event.data.l.all(a, k != 'x'))",
        "event.data.l // don't\n.all(a, event.data.l.exists(b, a == b))",
        "r'\\' == '' || event.data.l.all(a, event.data.l.exists(b, a == b))",
    ],
)
def test_what_a_loop_copies_in_each_round_is_bounded(source):
    condition = compile_condition(source, "if_exp=")

    def holds(count):
        items = [{"n": 1}] * count
        return condition.holds(Event("x", {"l": items, "least": 0, "o": {str(n): n for n in range(count)}}))

    assert holds(50)
    began = time.perf_counter()
    with pytest.raises(ExpressionError, match="its loops take too many steps for this event"):
        holds(8_000)
    assert time.perf_counter() - began < 1


@pytest.mark.parametrize(
    "source",
    [
        "event.data.l.all(a, a.n in [1, 2] && event.name == 'x')",
        "event.data.l[0].n == 1 && event.data.l.exists(a, (a.n) == 1) && event.data.l.size() > 0",
        "event.data.l.exists(a, a.n == 1 && '.map(' != 'event.data') || event.data.l.all(a, has(a.n))",
    ],
)
def test_a_loop_that_looks_at_each_item_has_no_such_bound(source):
    assert compile_condition(source, "if_exp=").holds(Event("x", {"l": [{"n": 1}] * 20_000}))


def test_one_loop_after_another_has_no_such_bound():
    condition = compile_condition(
        "event.data.l.all(a, a == '1') && event.data.l.exists(a, a == '1')", "if_exp="
    )
    assert condition.holds(Event("x", {"l": ["1"] * 20_000}))


# keys


def test_no_id_leads_into_the_partition_of_another_run_or_kind():
    made = {}
    for run in HOSTILE:
        for path in ("", "a", "m/a"):
            made.setdefault(keys.record(run, path) if path else (keys.run(run), "!"), set()).add((run, path))
    assert all(len(whose) == 1 for whose in made.values())
    for run in HOSTILE:
        root = keys.run(run)
        assert "/" not in root
        assert "#" not in root
        assert keys.scope(run, "m").startswith(f"{root}/")


@pytest.mark.parametrize("id", HOSTILE)
def test_a_hostile_step_id_is_an_id_like_any_other(durable, id):
    app = Durable("app")

    @app.function("f")
    def f(ctx: Context) -> list[int]:
        large = ctx.step.run(id, lambda: "x" * 40_000)
        return [len(large), *ctx.step.map(f"m{id}"[:250], lambda n: n, [1, 2]), ctx.step.run("!", lambda: 3)]

    rt = durable(app, steps_per_invocation=1)
    run = rt.run(f)
    assert (run.status, run.output) == ("completed", [40_000, 1, 2, 3])
    (key,) = (each["Key"] for each in rt.aws("s3").list_objects_v2(Bucket=rt._bucket)["Contents"])
    assert key == f"{run.run_id}/{sha256(json.dumps('x' * 40_000).encode()).hexdigest()}"


def test_a_message_for_a_hostile_run_touches_no_other(durable):
    app = Durable("app")

    @app.function("f")
    def f(ctx: Context) -> int:
        return ctx.step.run("a", lambda: 1)

    rt = durable(app)
    kept = rt.run(f)
    for run in (f"{kept.run_id}/a", f"{kept.run_id}/:1", "../" + kept.run_id, "e#1", "\n"):
        event = json.dumps(
            {"name": "x", "data": {}, "id": "1", "time": "2025-01-01T00:00:00+00:00", "source": "s"}
        )
        rt._queue.send([Outgoing(json.dumps({"kind": "start", "function": "f", "run": run, "event": event}))])
    rt.drain()
    assert rt.get(kept.run_id) == kept
    assert len(list(rt.runs())) == 5
    assert len(rt.dead_letters) == 1  # `#` is in no run's id


# tokens


def test_a_token_fits_only_the_wait_that_it_was_made_for(durable):
    app = Durable("app")
    tokens = []

    @app.function("f")
    def f(ctx: Context) -> object:
        return ctx.step.wait_for_callback("ask", lambda given: tokens.append(given.token), timeout="1h")

    rt = durable(app)
    one, other = rt.start(f), rt.start(f)
    rt.advance("1s")
    from lambda_durable.callbacks import read_token

    mine, theirs = map(read_token, tokens)
    forged = [
        mine._replace(nonce=theirs.nonce),
        mine._replace(nonce=mine.nonce[:-1]),
        mine._replace(nonce=""),
        mine._replace(journal_id=f"{mine.journal_id}#1"),
        mine._replace(journal_id=f"{theirs.journal_id}/../{mine.journal_id}"),
        mine._replace(path="ask/submit"),
        mine._replace(path="!"),
        Address("e#1", "!", mine.nonce),
        Address("k#app", "digest-key", mine.nonce),
    ]
    for address in forged:
        with pytest.raises(CallbackTokenError):
            rt.client.complete_callback(token_of(address), "forged")
    for each in (one, other):
        assert rt.get(each.run_id).status == "running"
    assert rt.client.complete_callback(tokens[0], "yes")
    assert not rt.client.complete_callback(tokens[0], "again")
    rt.drain()
    assert [rt.get(each.run_id).output for each in (one, other)].count("yes") == 1


# logs and terminals

EVIL = "\x1b[31m\x1b]0;title\x07\r\nERROR forged\u202e\x9b2J"


@pytest.fixture
def logged(caplog):
    caplog.set_level(logging.DEBUG, logger="lambda_durable")
    return caplog


def test_what_a_sender_chooses_forges_no_line_of_the_log(durable, logged):
    app = Durable("app")

    @app.function("f", on_event("go", if_exp="event.data.n > 1"))
    def f(ctx: Context) -> None: ...

    rt = durable(app)
    rt.deliver(bus_event(EVIL, {}, EVIL))
    rt.deliver(bus_event("go", {EVIL: 1}, EVIL))
    start = {"kind": "start", "function": EVIL, "run": EVIL, "event": json.dumps({EVIL: 1})}
    for body in (
        json.dumps(start),
        json.dumps({"kind": EVIL}),
        json.dumps({"kind": "continue", "run": EVIL}),
    ):
        rt._queue.send([Outgoing(body)])
    rt.drain()
    lines = [record.getMessage() for record in logged.records if record.name.startswith("lambda_durable")]
    assert len(lines) > 5
    assert all(line.isprintable() and len(line) < 2000 for line in lines)


def test_nothing_that_is_printed_moves_the_cursor():
    stream = io.StringIO()
    display = Display(stream)
    display.line(Line(datetime(2025, 1, 1, tzinfo=UTC), "✓", "green", EVIL, EVIL))
    display.heading(EVIL)
    display.fields([("event", EVIL)])
    display.columns([(EVIL, 10, "red")])
    display.value({EVIL: EVIL})
    display.error(ErrorInfo(type=EVIL, message=EVIL, step_id=EVIL))
    shown = stream.getvalue()
    assert all(line.isprintable() for line in shown.split("\n"))
    assert not [line for line in shown.split("\n") if line.startswith("ERROR forged")]


CANARY = "c4n4ry-7d1"


def test_no_payload_is_logged_at_any_level(durable, logged):
    app = Durable("app", retry=Retry.fixed("1s", 2))

    def fails(text):
        raise ValueError(f"{text} is no port")

    @app.function("child")
    def child(ctx: Context[dict]) -> str:
        return ctx.step.run("echo", fails, ctx.event.data["name"])

    condition = "event.data.name != 'x' || event.data.none"

    @app.function("f", on_event("go", if_exp=condition), labels=lambda _: [fails(CANARY)])
    def f(ctx: Context[dict]) -> None:
        name = ctx.event.data["name"]
        ctx.step.options(undo=fails).run("done", lambda: name)
        for step in (
            lambda: ctx.step.map("m", fails, [name]),
            lambda: ctx.step.invoke("child", child, {"name": name}),
            lambda: ctx.step.wait_for_event(
                "e", "e", match="data.name", if_exp="async.data.none", timeout="1m"
            ),
            lambda: ctx.step.wait_for_signal("s", "s", timeout="1m"),
            lambda: ctx.step.wait_for_callback("c", fails, timeout="1m"),
            lambda: ctx.step.send_event("send", Event("e", {"name": name})),
        ):
            try:
                step()
            except Exception:
                logging.getLogger(__name__).debug("caught")
        raise RuntimeError(name)

    @f.on_failure
    def failed(ctx: Context) -> None:
        raise ValueError(CANARY)

    rt = durable(app)
    rt.send(Event("go", {"name": CANARY}))
    rt.advance("5s")
    rt.send(Event("e", {"name": CANARY}))
    rt.client.send_signal("s", CANARY)
    rt._queue.send(
        [Outgoing(json.dumps({"kind": "start", "function": "f", "run": "r", "event": f'["{CANARY}"]'}))]
    )
    rt.deliver(bus_event("go", {"lambda_durable": {"data": CANARY}, "more": CANARY}))
    rt.drain()
    assert {run.status for run in rt.runs()} == {"failed"}
    assert len(list(rt.runs())) >= 3
    formatter = logging.Formatter()
    lines = [
        formatter.format(record) for record in logged.records if record.name.startswith("lambda_durable")
    ]
    assert lines
    assert not [line for line in lines if CANARY in line]

"""Traces: the spans of a run that many invocations work on, as an OpenTelemetry collector gets them."""

from __future__ import annotations

import itertools
import subprocess
import sys
import threading
from collections import Counter
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest
from opentelemetry import trace
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.proto.trace.v1.trace_pb2 import Span
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor, SimpleSpanProcessor, SpanExporter
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from opentelemetry.sdk.trace.sampling import ALWAYS_OFF

from lambda_durable import (
    AsyncContext,
    Client,
    ConfigurationError,
    Context,
    Durable,
    Event,
    NonRetriableError,
    Retry,
    current_step,
    on_event,
)
from lambda_durable.otel import OpenTelemetry, current_trace
from lambda_durable.testing import Faults, crash_everywhere
from tests.loopback import answering

TRACE, SENDER = "4bf92f3577b34da6a3ce929d0e0e4736", "00f067aa0ba902b7"
SECRET = "4111 1111 1111 1111"
TWICE = Retry.fixed("1s", 2)


class Collector(ThreadingHTTPServer):
    """Takes what is exported over OTLP/HTTP. `requests` are those in which there were spans."""

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Taking)
        self.requests: list[list[Span]] = []
        self.spans: dict[bytes, Span] = {}

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_port}/v1/traces"

    def take(self, body: bytes) -> None:
        found = [
            span
            for resource in ExportTraceServiceRequest.FromString(body).resource_spans
            for scope in resource.scope_spans
            for span in scope.spans
        ]
        self.requests.append(found)
        self.spans |= {span.span_id: span for span in found}


class _Taking(BaseHTTPRequestHandler):
    def do_POST(self) -> None:
        assert isinstance(self.server, Collector)
        self.server.take(self.rfile.read(int(self.headers["content-length"])))
        self.send_response(200)
        self.end_headers()

    def log_message(self, *args: object) -> None:
        pass


@pytest.fixture
def collector() -> Iterator[Collector]:
    collector = Collector()
    with answering(collector):
        yield collector


class Memory(InMemorySpanExporter):
    """Keeps the spans of a provider of its own, and tells them by name."""

    def __init__(self, **settings) -> None:
        super().__init__()
        self.provider = TracerProvider(**settings)
        self.provider.add_span_processor(SimpleSpanProcessor(self))

    @property
    def named(self):
        return {span.name: span for span in self.get_finished_spans()}


@pytest.fixture
def memory():
    return Memory()


def above(span):
    return span.parent.span_id if span.parent else None


def flaky():
    if current_step().attempt == 1:
        raise ValueError(SECRET)
    return "ok"


def declined():
    raise NonRetriableError(SECRET)


def shop(middleware, mode=1) -> Durable:
    """An app whose `order` does all there is."""
    app = Durable("shop", steps_per_invocation=mode, middleware=middleware, retry=TWICE)

    @app.function("pack")
    def pack(ctx: Context[dict]) -> str:
        ctx.step.sleep("dry", "1h")
        return ctx.step.run("wrap", str, "packed")

    @app.function("mail", on_event("ordered"))
    async def mail(ctx: AsyncContext[dict]) -> None:
        await ctx.step.run("post", str, "dear customer")

    @app.function("order")
    def order(ctx: Context[dict]) -> None:
        def check() -> str:
            ctx.step.sleep("look", "5s")
            return ctx.step.run("score", str, "fine")

        ctx.step.options(undo=lambda _: None).run("reserve", str, "two")
        ctx.step.run("price", flaky)
        ctx.step.parallel("both", lambda: ctx.step.run("count", str, 2), check)
        ctx.step.send_event("tell", Event("ordered", {"card": SECRET}))
        ctx.step.invoke("packing", pack, {})
        ctx.step.map("labels", str, [1, 2])
        ctx.step.run("charge", declined)

    return app


def tree(spans) -> Counter[tuple[str, str | None]]:
    """How often a span of a name is below one of a name. All are of one trace, and one of them alone is below none."""
    assert len({span.trace_id for span in spans.values()}) == 1
    names = {id: span.name for id, span in spans.items()}
    return Counter(
        (span.name, names[span.parent_span_id] if span.parent_span_id else None) for span in spans.values()
    )


ORDER = Counter(
    {
        ("order", None): 1,
        ("reserve", "order"): 1,
        ("price", "order"): 2,
        ("both", "order"): 1,
        ("both[0]", "both"): 1,
        ("both[0]/count", "both[0]"): 1,
        ("both[1]", "both"): 1,
        ("both[1]/look", "both[1]"): 1,
        ("both[1]/score", "both[1]"): 1,
        ("tell", "order"): 1,
        ("mail", "tell"): 1,
        ("post", "mail"): 1,
        ("packing", "order"): 1,
        ("pack", "packing"): 1,
        ("dry", "pack"): 1,
        ("wrap", "pack"): 1,
        ("labels", "order"): 1,
        ("labels[0]", "labels"): 1,
        ("labels[1]", "labels"): 1,
        ("charge", "order"): 1,
        ("undo/reserve", "order"): 1,
    }
)


def test_a_run_over_many_invocations_is_one_connected_trace_at_the_collector(durable, collector):
    provider = TracerProvider()
    provider.add_span_processor(BatchSpanProcessor(OTLPSpanExporter(collector.url)))
    app = shop(OpenTelemetry(provider, flush="1m"))
    rt = durable(app)
    run = rt.run(app.functions["order"], {"card": SECRET})
    provider.shutdown()

    assert (run.status, app.middleware_errors) == ("failed", Counter())
    assert tree(collector.spans) == ORDER
    assert len(collector.requests) >= 5  # each invocation sent what it made, and none waited for another
    assert sum(map(len, collector.requests)) == ORDER.total()  # nothing twice, however often it was replayed

    by_name = {span.name: span for span in collector.spans.values()}
    root, charge = by_name["order"], by_name["charge"]
    assert root.start_time_unix_nano == int(run.created_at.timestamp()) * 10**9
    assert root.end_time_unix_nano == int(run.ended_at.timestamp() * 1000) * 10**6
    assert by_name["dry"].end_time_unix_nano - by_name["dry"].start_time_unix_nano == 3600 * 10**9
    assert [span.status.code for span in (root, charge, by_name["both"])] == [2, 2, 0]
    assert [event.name for event in charge.events] == ["exception"]
    told = {each.key: each.value.string_value for each in root.attributes}
    assert told["lambda_durable.run_id"] == run.run_id
    assert told["lambda_durable.status"] == "failed"


@pytest.mark.parametrize("mode", [2, "auto", "all"])
def test_it_is_the_same_trace_however_many_steps_an_invocation_runs(durable, memory, mode):
    app = shop(OpenTelemetry(memory.provider), mode)
    durable(app).run(app.functions["order"], {"card": SECRET})
    assert tree(by_id(memory)) == ORDER


def by_id(memory):
    """Its spans as a collector has them: by id, the latest with an id in the place of those before."""
    return {span.context.span_id: _Seen(span) for span in memory.get_finished_spans()}


class _Seen:
    def __init__(self, span):
        self.name, self.span_id, self.trace_id = span.name, span.context.span_id, span.context.trace_id
        self.parent_span_id = span.parent.span_id if span.parent else 0

    def __repr__(self):
        return self.name


def test_what_is_done_again_makes_the_same_spans_again():
    memory = Memory()
    app = Durable("shop", steps_per_invocation=1, middleware=OpenTelemetry(memory.provider), retry=TWICE)

    @app.function("f")
    def f(ctx: Context[dict]) -> None:
        ctx.step.run("price", flaky)
        ctx.step.group("g", lambda: ctx.step.sleep("nap", "1h"))
        ctx.step.map("m", str, [1, 2])

    expected = None
    for crash in crash_everywhere(app, f, {}):
        found = {(each.name, each.parent_span_id != 0) for each in by_id(memory).values()}
        ids = {
            (span.name, span.attributes.get("lambda_durable.attempt")) for span in memory.get_finished_spans()
        }
        assert crash.run.status == "completed"
        assert len(by_id(memory)) == len(ids), crash.point  # and no other for the same
        expected = expected or found
        assert found == expected, crash.point
        memory.clear()
    assert len(expected) == 7


def test_duplicates_late_messages_and_lost_responses_make_no_other_spans(durable):
    for seed in range(5):
        memory = Memory()
        app = shop(OpenTelemetry(memory.provider))
        rt = durable(app, faults=Faults(duplicate=0.3, lose_response=0.1, interleave=True), seed=seed)
        rt.run(app.functions["order"], {"card": SECRET})
        assert set(tree(by_id(memory))) == set(ORDER)


# -- whose trace it is ---------------------------------------------------------------------------------


@pytest.fixture
def heard(memory):
    app = Durable("shop", middleware=OpenTelemetry(memory.provider))

    @app.function("f", on_event("go"))
    def f(ctx: Context[dict]) -> str:
        with memory.provider.get_tracer("mine").start_as_current_span("in the handler"):
            return ctx.step.run("call", calls)

    def calls() -> str:
        with memory.provider.get_tracer("mine").start_as_current_span("GET"):
            return "answer"

    return app


def deliver(rt, carried):
    detail = {"lambda_durable": {"id": "e1", "time": rt.now().isoformat(), "carried": carried}}
    rt.deliver(
        {"detail-type": "go", "source": "bank", "id": "x", "time": "2025-01-01T00:00:00Z", "detail": detail}
    )
    rt.drain()


def test_a_run_belongs_to_the_trace_that_its_event_names(durable, heard, memory):
    deliver(durable(heard), {"traceparent": f"00-{TRACE}-{SENDER}-01", "tracestate": "vendor=1"})
    spans = memory.named
    assert {f"{span.context.trace_id:032x}" for span in spans.values()} == {TRACE}
    assert f"{above(spans['f']):016x}" == SENDER
    assert spans["f"].context.trace_state["vendor"] == "1"
    assert above(spans["call"]) == above(spans["in the handler"]) == spans["f"].context.span_id
    assert above(spans["GET"]) == spans["call"].context.span_id


def test_of_a_trace_that_is_not_sampled_nothing_is_told(durable, heard, memory):
    deliver(durable(heard), {"traceparent": f"00-{TRACE}-{SENDER}-00"})
    assert memory.named == {}


def test_a_provider_that_samples_nothing_is_told_nothing(durable):
    memory = Memory(sampler=ALWAYS_OFF)
    app = shop(OpenTelemetry(memory.provider))
    assert durable(app).run(app.functions["pack"], {}).status == "completed"
    assert (memory.named, app.middleware_errors) == ({}, Counter())


@pytest.mark.parametrize(
    "carried", [None, "x", {"traceparent": "nonsense"}, {"traceparent": 7}, {"x": "y" * 3000}]
)
def test_an_event_that_names_no_trace_starts_a_run_with_its_own(durable, heard, memory, carried):
    rt = durable(heard)
    deliver(rt, carried)
    assert [run.status for run in rt.runs()] == ["completed"]
    assert memory.named["f"].parent is None
    (run,) = rt.runs()
    assert memory.named["f"].context.trace_id >> 96 == int(run.created_at.timestamp())  # as X-Ray has it


def test_who_sends_or_starts_within_a_span_is_above_the_run(durable, heard, memory):
    rt = durable(heard)
    with memory.provider.get_tracer("mine").start_as_current_span("request") as request:
        rt.send(Event("go", {}))
        rt.start(heard.functions["f"], {})
        unknown = Client(world=rt.client._world)
        unknown.send(Event("go", {}, carried=current_trace()))
    rt.drain()
    runs = [span for span in memory.get_finished_spans() if span.name == "f"]
    assert [above(span) for span in runs] == [request.get_span_context().span_id] * 3
    assert current_trace() == {}


def test_a_failure_handler_is_below_the_run_that_failed(durable, memory):
    app = Durable("shop", middleware=OpenTelemetry(memory.provider))

    @app.function("f")
    def f(ctx: Context[dict]) -> None:
        ctx.step.run("charge", declined)

    @f.on_failure
    def sorry(ctx):
        ctx.step.run("tell", str, "sorry")

    durable(app).run(f, {})
    (handler,) = (span for name, span in memory.named.items() if name not in ("f", "charge", "tell"))
    assert above(handler) == memory.named["f"].context.span_id
    assert above(memory.named["tell"]) == handler.context.span_id


def test_a_run_that_continues_as_new_is_one_trace_with_spans_of_all_its_journals(durable, memory):
    app = Durable("shop", middleware=OpenTelemetry(memory.provider))

    @app.function("f")
    def f(ctx: Context[dict]) -> None:
        ctx.step.sleep("nap", "1m")
        ctx.step.run("work", str)
        if ctx.event.data["left"]:
            ctx.continue_as_new({"left": ctx.event.data["left"] - 1})

    durable(app).run(f, {"left": 2})
    assert tree(by_id(memory)) == {("f", None): 1, ("nap", "f"): 3, ("work", "f"): 3}


def test_each_check_of_a_poll_is_a_span(durable, memory):
    app, answers = Durable("shop", middleware=OpenTelemetry(memory.provider)), iter([0, 0, 1])

    @app.function("f")
    def f(ctx: Context[dict]) -> None:
        ctx.step.poll("ready", lambda: next(answers), until=bool, every="1m", timeout="1h")

    assert durable(app).run(f, {}).status == "completed"
    assert tree(by_id(memory)) == {("f", None): 1, ("ready", "f"): 3}


# -- what it tells ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("details", [True, False])
def test_no_value_is_told_and_of_errors_what_is_asked_for(durable, memory, details):
    app = shop(OpenTelemetry(memory.provider, details=details))
    durable(app).run(app.functions["order"], {"card": SECRET})
    told = "".join(span.to_json() for span in memory.get_finished_spans())
    assert "NonRetriableError" in told
    assert "packed" not in told
    assert (SECRET in told) is details


def test_a_span_that_nobody_ended_lasts_until_what_it_lies_in_ends(durable, memory):
    app = Durable("shop", middleware=OpenTelemetry(memory.provider))

    @app.function("f")
    def f(ctx: Context[dict]) -> None:
        ctx.step.sleep("long", "30d")

    rt = durable(app)
    run = rt.start(f, {})
    rt.advance("1h")
    rt.client.cancel(run.run_id)
    rt.drain()
    nap, root = memory.named["long"], memory.named["f"]
    assert nap.attributes["lambda_durable.status"] == "waiting"
    assert nap.end_time == root.end_time == root.start_time + 3600 * 10**9
    assert root.attributes["lambda_durable.status"] == "cancelled"


# -- when it goes wrong ----------------------------------------------------------------------------------


class Stuck(SpanExporter):
    """A collector that does not answer."""

    def __init__(self):
        self.called, self.let_go = [], threading.Event()

    def export(self, spans):
        self.called.append([span.name for span in spans])
        self.let_go.wait(30)


def test_a_collector_that_does_not_answer_holds_up_no_run(durable, caplog):
    stuck, provider = Stuck(), TracerProvider()
    provider.add_span_processor(BatchSpanProcessor(stuck, schedule_delay_millis=3_600_000))
    app = shop(OpenTelemetry(provider, flush="1ms"))
    run = durable(app).run(app.functions["pack"], {})
    assert run.status == "completed"
    assert len(stuck.called) == 1  # and no more threads wait for it
    assert "spans were not exported within 0.0 seconds" in caplog.text
    stuck.let_go.set()
    provider.shutdown()
    assert sorted(itertools.chain(*stuck.called)) == ["dry", "pack", "wrap"]


def test_without_a_provider_the_run_goes_on_and_the_log_says_what_to_do(durable, caplog):
    app = shop(OpenTelemetry())
    assert durable(app).run(app.functions["pack"], {}).status == "completed"
    assert "OpenTelemetry() needs a TracerProvider of OpenTelemetry's SDK" in caplog.text
    assert app.middleware_errors["opentelemetry"] > 0


def test_the_global_provider_is_used_once_there_is_one(durable, memory, monkeypatch):
    app = shop(OpenTelemetry())
    monkeypatch.setattr(trace, "get_tracer_provider", lambda: memory.provider)
    durable(app).run(app.functions["pack"], {})
    assert set(memory.named) == {"dry", "wrap", "pack"}


def test_what_is_no_provider_is_refused_at_once():
    with pytest.raises(ConfigurationError, match="needs a TracerProvider of OpenTelemetry's SDK"):
        OpenTelemetry("http://collector")


def test_a_worker_without_it_imports_nothing_of_opentelemetry():
    program = """
import sys, lambda_durable, lambda_durable.handler, lambda_durable.aws.world
app = lambda_durable.Durable("a")
lambda_durable.handler.LambdaHandler(app)
print([name for name in sys.modules if name.startswith("opentelemetry")])
"""
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"

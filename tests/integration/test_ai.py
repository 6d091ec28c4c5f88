"""`lambda_durable.ai`: models as durable steps, their errors, and what they cost."""

from __future__ import annotations

import logging
from dataclasses import dataclass
from datetime import timedelta

import pytest
from pydantic import BaseModel, Field

from lambda_durable import AsyncContext, ConfigurationError, Context, Durable, Retry, StepError
from lambda_durable.ai import AnswerError, Model, Reply, Usage
from lambda_durable.testing import Faults, LocalRuntime, ModelServer, Refusal, Stop, crash_everywhere

SECRET = "Zanzibar"


class Plan(BaseModel):
    title: str
    questions: list[str] = Field(max_length=3)


GOOD = {"title": "t", "questions": ["a", "b"]}


@pytest.fixture
def serve():
    """A server that gives these answers, one after the other, the last of them for ever."""
    servers = []

    def make(*answers):
        left = list(answers)

        def answer(request):
            given = left.pop(0) if len(left) > 1 else left[0]
            return given(request) if callable(given) else given

        servers.append(ModelServer(answer))
        return servers[-1]

    yield make
    for server in servers:
        server.close()


@pytest.fixture(params=[1, "all", "auto"])
def mode(request):
    return request.param


@pytest.fixture(params=["sync", "async"])
def function(request, mode):
    def make(model, prompt=f"about {SECRET}", retry=None):
        app = Durable("a", steps_per_invocation=mode, retry=retry or Retry.fixed("10s", 3))
        if request.param == "sync":

            @app.function("f")
            def f(ctx: Context) -> object:
                reply = ctx.step.run("ask", model, prompt)
                return [type(reply.output).__name__, reply.output, reply.usage.total_tokens]

            return app, f

        @app.function("f")
        async def f(ctx: AsyncContext) -> object:
            reply = await ctx.step.run("ask", model, prompt)
            return [type(reply.output).__name__, reply.output, reply.usage.total_tokens]

        return app, f

    return make


def test_a_text_comes_back_with_what_it_took(durable, serve, function):
    server = serve("forty-two")
    model = Model("some.model", system="Be brief.", temperature=0.5, max_tokens=7, endpoint_url=server.url)
    app, f = function(model)
    run = durable(app).run(f)

    (request,) = server.requests
    metadata = request.pop("requestMetadata")
    assert request == {
        "modelId": "some.model",
        "messages": [{"role": "user", "content": [{"text": f"about {SECRET}"}]}],
        "system": [{"text": "Be brief."}],
        "inferenceConfig": {"maxTokens": 7, "temperature": 0.5},
    }
    assert metadata == {"run_id": run.run_id, "step_id": "ask", "attempt": "1"}
    assert run.output[:2] == ["str", "forty-two"]
    kept = run.steps["ask"].output
    assert (kept["model"], kept["calls"], kept["stop_reason"]) == ("some.model", 1, "end_turn")
    assert kept["usage"]["input_tokens"] > kept["usage"]["output_tokens"] > 0
    assert run.output[2] == kept["usage"]["input_tokens"] + kept["usage"]["output_tokens"]


def test_an_answer_is_of_the_type_that_was_asked_for_on_every_replay(durable, serve, function):
    server = serve(GOOD)
    model = Model("m", output=Plan, endpoint_url=server.url)
    app, f = function(model)
    run = durable(app).run(f)

    assert run.output[0] == "Plan"
    assert run.output[1] == Plan(**GOOD)
    (tool,) = server.requests[0]["toolConfig"]["tools"]
    assert tool["toolSpec"]["inputSchema"]["json"] == Plan.model_json_schema()
    assert server.requests[0]["toolConfig"]["toolChoice"] == {"tool": {"name": "answer"}}
    assert len(server.requests) == 1


@dataclass
class Point:
    x: int


@pytest.mark.parametrize(
    ("output", "answer", "expected"),
    [
        (Point, {"x": 1}, Point(1)),
        (list[Point], {"value": [{"x": 1}]}, [Point(1)]),
        (int, {"value": 3}, 3),
        (dict[str, int], {"a": 1}, {"a": 1}),
    ],
    ids=str,
)
def test_any_type_with_a_schema_will_do(serve, output, answer, expected):
    reply = Model("m", output=output, endpoint_url=serve(answer).url)("?")
    assert reply.output == expected
    assert isinstance(reply, Reply)


def test_an_answer_that_does_not_fit_is_sent_back_with_the_reason(serve):
    server = serve({"title": "t"}, "let me think", {**GOOD, "questions": list("abcd")}, GOOD)
    reply = Model("m", output=Plan, corrections=3, endpoint_url=server.url)("plan it")

    assert (reply.output, reply.calls) == (Plan(**GOOD), 4)
    told = [request["messages"][-1]["content"][0] for request in server.requests[1:]]
    assert told[0]["toolResult"]["status"] == "error"
    assert told[0]["toolResult"]["content"] == [{"text": "Not accepted: questions: Field required"}]
    assert told[1] == {"text": "Give your answer with the tool `answer`."}
    assert "at most 3 items" in told[2]["toolResult"]["content"][0]["text"]
    assert [len(request["messages"]) for request in server.requests] == [1, 3, 5, 7]
    assert reply.usage.input_tokens > 4 * len("plan it") // 4
    assert reply.latency_ms == 4


def test_an_answer_that_never_fits_is_retried_and_then_an_error_without_it(durable, serve, function):
    server = serve({"title": SECRET, "questions": SECRET})
    app, f = function(Model("m", output=Plan, corrections=1, endpoint_url=server.url))
    run = durable(app).run(f)

    assert len(server.requests) == 2 * 3
    assert run.error.type == "lambda_durable.ai.AnswerError"
    assert "questions: Input should be a valid array" in run.error.message
    assert "asked 2 times" in run.error.message
    assert SECRET not in run.error.message + run.error.traceback


@pytest.mark.parametrize(
    ("refusal", "wait"),
    [
        (Refusal(429, "ThrottlingException", retry_after=30), 30),
        (Refusal(503, "ServiceUnavailableException", retry_after="7"), 7),
        (Refusal(429, "ThrottlingException"), 2),
        (Refusal(429, "ModelNotReadyException"), 2),
        (Refusal(408, "ModelTimeoutException"), 2),
        (Refusal(429, "ThrottlingException", retry_after="soon"), 2),
        (Refusal(424, "ModelErrorException"), 10),
        (Refusal(500, "InternalServerException"), 10),
    ],
    ids=str,
)
def test_a_model_that_is_busy_is_asked_again_when_it_says(durable, serve, function, refusal, wait):
    server = serve(refusal, "there you are")
    app, f = function(Model("m", endpoint_url=server.url))
    rt = durable(app)
    run = rt.run(f)

    assert run.output[1] == "there you are"
    assert run.steps["ask"].attempts == 2
    assert run.ended_at - run.started_at == timedelta(seconds=wait)


def test_without_a_word_from_the_model_the_wait_grows(durable, serve, function):
    app, f = function(
        Model("m", endpoint_url=serve(*[Refusal(429, "ThrottlingException")] * 8, "ok").url),
        retry=Retry.fixed("1s", 9),
    )
    run = durable(app).run(f)
    assert run.ended_at - run.started_at == timedelta(seconds=2 + 4 + 8 + 16 + 32 + 60 + 60 + 60)


@pytest.mark.parametrize(
    ("answer", "told"),
    [
        (Refusal(400, "ValidationException", message=f"{SECRET} is too long"), "is not what the model takes"),
        (Refusal(403, "AccessDeniedException"), "bedrock:InvokeModel"),
        (Refusal(404, "ResourceNotFoundException"), "in this region"),
        (Stop("guardrail_intervened", SECRET), "guardrail_intervened"),
        (Stop("content_filtered"), "content_filtered"),
        (Stop("max_tokens", SECRET), "max_tokens=50; raise it"),
        (Stop("model_context_window_exceeded"), "longer than what model m takes"),
    ],
    ids=str,
)
def test_what_no_retry_changes_is_not_retried(durable, serve, function, caplog, answer, told):
    server = serve(answer)
    app, f = function(Model("m", output=Plan, max_tokens=50, endpoint_url=server.url))
    with caplog.at_level(logging.DEBUG, "lambda_durable"):
        run = durable(app).run(f)

    assert (run.status, run.error.type) == ("failed", "lambda_durable.errors.NonRetriableError")
    assert told in run.error.message
    assert len(server.requests) == 1
    assert SECRET not in run.error.message + run.error.traceback
    assert SECRET not in "".join(record.getMessage() for record in caplog.records if "durable" in record.name)


def test_a_model_that_cant_be_reached_is_tried_again(durable, serve, function):
    server = serve("never")
    server.close()
    app, f = function(Model("m", endpoint_url=server.url))
    run = durable(app).run(f)
    assert (run.error.type, run.error.attempts) == ("lambda_durable.aws.bedrock.ModelError", 3)
    assert "EndpointConnectionError" in run.error.message


def test_an_answer_takes_no_longer_than_the_lambda_has(serve, monkeypatch):
    import threading

    from lambda_durable.step_info import StepInfo, running_step

    released = threading.Event()
    server = serve(lambda request: released.wait(20) and "late")
    token = running_step.set(StepInfo("run", "ask", 1, "run/ask", _deadline=104.5, _monotonic=lambda: 100.0))
    try:
        with pytest.raises(Exception, match="ReadTimeoutError"):
            Model("m", endpoint_url=server.url)("?")
    finally:
        running_step.reset(token)
        released.set()


def test_models_fan_out_through_a_map(durable, serve, mode):
    server = serve(lambda request: f"answer to {request['messages'][0]['content'][0]['text']}")
    app = Durable("a", steps_per_invocation=mode)
    model = Model("m", endpoint_url=server.url)

    @app.function("f")
    def f(ctx: Context[list[str]]) -> object:
        replies = ctx.step.map("ask", model, ctx.event.data, max_concurrency=2)
        return [[reply.output for reply in replies], sum((r.usage for r in replies), Usage()).total_tokens]

    run = durable(app).run(f, ["a", "b", "c"])
    assert run.output[0] == ["answer to a", "answer to b", "answer to c"]
    assert run.output[1] == sum(
        usage["input_tokens"] + usage["output_tokens"]
        for usage in (run.steps[f"ask[{n}]"].output["usage"] for n in range(3))
    )
    assert [request["requestMetadata"]["step_id"] for request in server.requests] == [
        "ask_0_",
        "ask_1_",
        "ask_2_",
    ]


def test_messages_and_settings_are_those_of_converse(serve):
    server = serve("ok")
    turns = [
        {"role": "user", "content": [{"text": "hi"}]},
        {"role": "assistant", "content": [{"text": "hello"}]},
        {"role": "user", "content": [{"text": "and?"}]},
    ]
    settings = {"additionalModelRequestFields": {"top_k": 5}}
    Model("m", endpoint_url=server.url, settings=settings)(turns)
    (request,) = server.requests
    assert request["messages"] == turns
    assert request["additionalModelRequestFields"] == {"top_k": 5}
    assert "requestMetadata" not in request  # outside of a step


def test_the_endpoint_may_be_that_of_the_environment(serve, monkeypatch):
    server = serve("ok")
    monkeypatch.setenv("AWS_ENDPOINT_URL_BEDROCK_RUNTIME", server.url)
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "test")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "test")
    assert Model("m", region="eu-west-3")("?").output == "ok"


def test_bad_models_are_refused():
    for make, told in [
        (lambda: Model(""), "has the id"),
        (lambda: Model("m", max_tokens=0), "max_tokens="),
        (lambda: Model("m", output=Plan, corrections=-1), "corrections="),
        (lambda: Model("m", timeout="0s"), "timeout="),
        (lambda: Model("m", timeout=3), "timeout="),
        (lambda: Model("m", output=lambda: 1), "a JSON schema"),
        (lambda: Model("m", settings={"inferenceConfig": {}}), "there is an argument"),
        (lambda: Model("m", settings=["top_k"]), "settings="),
        (lambda: Model("m")(3), "this is a int"),
        (lambda: Model("m")(["hello"]), "this is a list"),
    ]:
        with pytest.raises(ConfigurationError, match=told):
            make()


@pytest.mark.parametrize(
    ("given", "prompt", "told"),
    [
        ({"temperature": "warm"}, SECRET, "Invalid type for parameter inferenceConfig.temperature;"),
        ({"settings": {"top": 1}}, SECRET, "Unknown parameter in input;"),
        ({}, [{"role": "user", "content": SECRET}], "Invalid type for parameter messages[0].content;"),
    ],
)
def test_a_request_that_is_none_is_not_retried_and_not_quoted(durable, serve, function, given, prompt, told):
    app, f = function(Model("m", endpoint_url=serve("ok").url, **given), prompt=prompt)
    run = durable(app).run(f)
    assert run.steps["ask"].attempts == 1
    assert run.error.type == "lambda_durable.errors.NonRetriableError"
    assert f"model m: the request is not what Converse takes: {told}" in run.error.message
    assert SECRET not in run.error.message


@pytest.mark.parametrize(
    ("answer", "told"),
    [
        (lambda _: [][0], "answer raised IndexError: list index out of range"),
        (3, "answer raised TypeError: it gives a text, a dict, a Refusal or a Stop, and this is 3"),
        ({"a": 1}, "a dict is what a tool is called with, and a model without output= has none"),
    ],
)
def test_a_stand_in_that_is_wrong_says_so_in_the_error_of_the_step(durable, serve, function, answer, told):
    app, f = function(Model("m", endpoint_url=serve(answer).url))
    run = durable(app).run(f)
    assert run.steps["ask"].attempts == 1
    assert told in run.error.message


def test_a_failed_answer_can_be_caught(durable, serve):
    app = Durable("a")
    model = Model("m", output=Plan, corrections=0, endpoint_url=serve({}).url)

    @app.function("f", retry=Retry.never())
    def f(ctx: Context) -> str:
        try:
            return ctx.step.run("ask", model, "?").text
        except StepError as error:
            return error.error_type

    assert durable(app).run(f).output == f"{AnswerError.__module__}.AnswerError"


def test_a_crash_anywhere_pays_for_one_answer_more_at_most(serve, function):
    server = serve(GOOD)
    app, f = function(Model("m", output=Plan, endpoint_url=server.url))
    for crash in crash_everywhere(app, f):
        assert crash.run.output[0] == "Plan", crash.point
        assert len(server.requests) <= 2, crash.point
        server.requests.clear()


@pytest.mark.parametrize("seed", range(10))
def test_whatever_happens_there_is_one_answer(serve, function, seed):
    counter = iter(range(1000))
    server = serve(lambda request: str(next(counter)))
    app, f = function(Model("m", endpoint_url=server.url), retry=Retry.fixed("1s", 20))
    rt = LocalRuntime(app, faults=Faults(), seed=seed)
    run = rt.run(f)
    assert run.status == "completed"
    assert run.output[1] == run.steps["ask"].output["output"]
    rt.close()

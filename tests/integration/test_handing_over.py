"""One version of the worker hands messages over to another, as Lambda lets it."""

from __future__ import annotations

import io
import json
from typing import Any

import boto3
import pytest
from botocore.stub import ANY, Stubber
from test_handler import FakeContext, cloud, record  # noqa: F401  a fixture

from lambda_durable import Client, ConfigurationError, Context, Durable, current_step
from lambda_durable.aws import clients
from lambda_durable.aws.clock import SystemClock
from lambda_durable.aws.versions import LambdaVersions
from lambda_durable.ports import Delivery, Invocation, VersionGoneError


class Lambda:
    """Invokes the handlers of other versions, and keeps what they were given. `answer` changes what they say."""

    def __init__(self) -> None:
        self.handlers: dict[str, Any] = {}
        self.events: list[Any] = []
        self.answer: Any = None
        self.exceptions = boto3.client("lambda", region_name="us-east-1").exceptions

    def invoke(self, *, FunctionName: str, Qualifier: str, Payload: bytes) -> dict[str, Any]:
        assert FunctionName == "worker"
        event = json.loads(Payload)
        self.events.append(event)
        if self.answer is not None:
            return self.answer
        if Qualifier not in self.handlers:
            raise self.exceptions.ResourceNotFoundException(
                {"Error": {"Code": "ResourceNotFoundException", "Message": "Function not found"}}, "Invoke"
            )
        said = self.handlers[Qualifier](event, FakeContext())
        return {"StatusCode": 200, "Payload": io.BytesIO(json.dumps(said).encode())}


@pytest.fixture
def aws(cloud, monkeypatch):  # noqa: F811
    lambda_ = Lambda()
    monkeypatch.setattr(clients.Clients, "lambda_", lambda_)
    monkeypatch.setenv("AWS_LAMBDA_FUNCTION_NAME", "worker")
    return lambda_


def release(name: str, seen: list[Any]) -> Durable:
    app = Durable("shop")

    @app.function("f", pin=True)
    def f(ctx: Context[Any]) -> list[str]:
        one = ctx.step.run("one", lambda: name)
        ctx.step.sleep("nap", "1s")
        return [one, ctx.step.run("two", lambda: seen.append(current_step().remaining_time) or name)]

    return app


def handler_of(app: Durable, version: str, aws: Lambda, monkeypatch) -> Any:
    monkeypatch.setenv("AWS_LAMBDA_FUNCTION_VERSION", version)
    aws.handlers[version] = app.handler
    return app.handler


def slept(cloud, app, handler) -> list[Any]:  # noqa: F811
    """The message that goes on with a run after its sleep."""
    Client(app).start("f", {}, run_id="r")
    for _ in range(2):
        for message in cloud.receive("QUEUE"):
            assert handler({"Records": [message]}, FakeContext()) == {"batchItemFailures": []}
    answer = cloud.sqs.receive_message(QueueUrl=cloud.urls["QUEUE"], WaitTimeSeconds=5)
    return [record(each["Body"], each["MessageId"], receives=3) for each in answer["Messages"]]


def test_the_very_message_is_worked_on_by_the_version_that_the_run_began_on(aws, cloud, monkeypatch):  # noqa: F811
    seen: list[Any] = []
    old, new = release("old", seen), release("new", seen)
    messages = slept(cloud, old, handler_of(old, "1", aws, monkeypatch))
    live = handler_of(new, "2", aws, monkeypatch)
    assert live({"Records": messages}, FakeContext(seconds=30)) == {"batchItemFailures": []}

    ((handed,), told) = aws.events[0]["Records"], aws.events[0]["lambda_durable"]
    assert (handed["messageId"], handed["body"]) == (messages[0]["messageId"], messages[0]["body"])
    assert handed["attributes"]["ApproximateReceiveCount"] == "3"
    assert told["live"] == "2"
    cloud.work(live)
    run = Client(new).get("r")
    assert (run.output, run.lambda_version, run.pinned) == (["old", "old"], "1", True)
    assert all(
        20 < left <= 28 for left in seen[:1]
    )  # what the live version has left, and a little for its answer


@pytest.mark.parametrize(
    "answer",
    [
        {
            "StatusCode": 200,
            "FunctionError": "Unhandled",
            "Payload": io.BytesIO(b'{"errorMessage": "killed"}'),
        },
        {"StatusCode": 200, "Payload": io.BytesIO(b'{"batchItemFailures": [{"itemIdentifier": "m"}]}')},
        {"StatusCode": 200, "Payload": io.BytesIO(b"null")},
        {"StatusCode": 200, "Payload": io.BytesIO(b"")},
    ],
)
def test_a_message_that_the_other_version_did_not_get_done_with_comes_back(aws, cloud, monkeypatch, answer):  # noqa: F811
    old, new = release("old", []), release("new", [])
    messages = slept(cloud, old, handler_of(old, "1", aws, monkeypatch))
    live = handler_of(new, "2", aws, monkeypatch)
    aws.answer = answer
    id = messages[0]["messageId"]
    assert live({"Records": messages}, FakeContext()) == {"batchItemFailures": [{"itemIdentifier": id}]}


def test_a_version_that_was_deleted_fails_the_run(aws, cloud, monkeypatch):  # noqa: F811
    old, new = release("old", []), release("new", [])
    messages = slept(cloud, old, handler_of(old, "1", aws, monkeypatch))
    live = handler_of(new, "2", aws, monkeypatch)
    del aws.handlers["1"]
    assert live({"Records": messages}, FakeContext()) == {"batchItemFailures": []}
    run = Client(new).get("r")
    assert run.status == "failed"
    assert "Lambda version 1, which was deleted" in run.error.message


def test_what_is_not_published_pins_nothing(aws, cloud, monkeypatch):  # noqa: F811
    app = release("x", [])
    handler = handler_of(app, "$LATEST", aws, monkeypatch)
    Client(app).start("f", {}, run_id="r")
    cloud.work(handler)
    run = Client(app).get("r")
    assert (run.pinned, run.lambda_version) == (False, None)


# the port


@pytest.fixture
def stubbed():
    client = boto3.client("lambda", region_name="us-east-1", aws_access_key_id="x", aws_secret_access_key="x")
    with Stubber(client) as stub:
        yield LambdaVersions(client, "worker", "2", "arn:aws:sqs:us-east-1:1:q", SystemClock()), stub


def invocation(seconds: float = 60.0) -> Invocation:
    return Invocation(SystemClock().monotonic() + seconds)


DELIVERY = Delivery("{}", "m", 2, 1_700_000_000_000, "receipt")


def test_it_invokes_the_version_and_waits(stubbed):
    versions, stub = stubbed
    stub.add_response(
        "invoke",
        {"StatusCode": 200, "Payload": io.BytesIO(b'{"batchItemFailures": []}')},
        {"FunctionName": "worker", "Qualifier": "1", "Payload": ANY},
    )
    versions.hand_over("1", DELIVERY, invocation())
    stub.assert_no_pending_responses()


def test_a_version_that_is_gone_is_told_apart(stubbed):
    versions, stub = stubbed
    stub.add_client_error("invoke", "ResourceNotFoundException", "Function not found", 404)
    with pytest.raises(VersionGoneError):
        versions.hand_over("1", DELIVERY, invocation())


def test_being_throttled_is_an_error_that_brings_the_message_back(stubbed):
    versions, stub = stubbed
    stub.add_client_error("invoke", "TooManyRequestsException", "Rate Exceeded.", 429)
    with pytest.raises(Exception, match="Rate Exceeded"):
        versions.hand_over("1", DELIVERY, invocation())


def test_without_time_it_is_not_begun(stubbed):
    versions, _ = stubbed
    with pytest.raises(RuntimeError, match="no time left"):
        versions.hand_over("1", DELIVERY, invocation(1.5))


def test_a_missing_permission_is_named(monkeypatch):
    monkeypatch.setenv("AWS_DEFAULT_REGION", "us-east-1")
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "x")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "x")
    client = clients.Clients().lambda_
    with Stubber(client) as stub:
        stub.add_client_error("invoke", "AccessDeniedException", "User is not authorized", 403)
        with pytest.raises(ConfigurationError, match="permission denied for lambda:InvokeFunction"):
            LambdaVersions(client, "worker", "2", "q", SystemClock()).hand_over("1", DELIVERY, invocation())
    assert client.meta.config.read_timeout == 900
    assert client.meta.config.retries["total_max_attempts"] == 1

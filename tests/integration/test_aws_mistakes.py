"""What a person gets wrong with AWS is told in one sentence, within seconds."""

from __future__ import annotations

import json
import re
import socket
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import boto3
import pytest

from lambda_durable import Client, ConfigurationError, Durable, Event
from lambda_durable.aws.errors import is_throttling
from lambda_durable.aws.settings import WORKER_NEEDS, variable
from lambda_durable.handler import LambdaHandler
from tests.loopback import answering

JSON = {"Content-Type": "application/x-amz-json-1.0"}


class Aws:
    """An endpoint that gives one answer to everything, and counts how often it was asked."""

    def __init__(self) -> None:
        self.status, self.headers, self.body = 200, JSON, "{}"
        self.asked = 0
        aws = self

        class Handler(BaseHTTPRequestHandler):
            def answer(self):
                self.rfile.read(int(self.headers.get("Content-Length") or 0))
                aws.asked += 1
                self.send_response(aws.status)
                for name, value in {**aws.headers, "Content-Length": str(len(aws.body))}.items():
                    self.send_header(name, value)
                self.end_headers()
                self.wfile.write(aws.body.encode())

            do_GET = do_POST = do_PUT = answer

            def log_message(self, *_):
                pass

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)

    def says(self, code, message, *, status=400):
        self.status = status
        self.body = json.dumps({"__type": f"com.amazonaws#{code}", "message": message})
        self.headers = {**JSON, "x-amzn-errortype": code}

    def says_in_xml(self, code, message, *, status=400):
        self.status, self.headers = status, {"Content-Type": "text/xml"}
        error = f"<Error><Code>{code}</Code><Message>{message}</Message></Error>"
        self.body = error if status == 404 else f"<ErrorResponse>{error}</ErrorResponse>"


@pytest.fixture
def aws(monkeypatch):
    aws = Aws()
    with answering(aws.server) as url:
        monkeypatch.setenv("AWS_ENDPOINT_URL", url)
        yield aws


@pytest.fixture(autouse=True)
def configured(monkeypatch, tmp_path):
    """A machine with region, credentials and settings, and nothing of who runs the tests."""
    monkeypatch.setattr(boto3, "DEFAULT_SESSION", None)
    for name in ("AWS_PROFILE", "AWS_REGION", "AWS_SESSION_TOKEN", "AWS_ENDPOINT_URL"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("AWS_CONFIG_FILE", str(tmp_path / "config"))
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", str(tmp_path / "credentials"))
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    monkeypatch.setenv("AWS_DEFAULT_REGION", "eu-west-1")
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "test")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "test")
    for field in WORKER_NEEDS:
        value = {"arn": f"arn:aws:x:eu-west-1:1:{field}", "url": f"https://sqs/1/{field}"}
        monkeypatch.setenv(variable(field), value.get(field.rpartition("_")[2], f"my-{field}"))


def mistake(work) -> str:
    begun = time.monotonic()
    with pytest.raises(ConfigurationError) as caught:
        work()
    message = str(caught.value)
    assert time.monotonic() - begun < 12
    assert "\n" not in message
    return message


def test_a_table_that_is_not_there_is_named_with_its_setting_and_region(aws):
    aws.says("ResourceNotFoundException", "Requested resource not found")
    message = mistake(lambda: Client().get("run"))
    assert "'my-table', from LAMBDA_DURABLE_TABLE," in message
    assert "eu-west-1" in message
    assert "AWS_DEFAULT_REGION" in message
    assert aws.asked == 1


def test_a_queue_that_is_not_there_is_named_with_its_setting(aws):
    aws.says("QueueDoesNotExist", "The specified queue does not exist.")
    aws.headers["x-amzn-query-error"] = "AWS.SimpleQueueService.NonExistentQueue;Sender"
    message = mistake(lambda: Client().start("f", {}))
    assert "queue 'https://sqs/1/queue_url', from LAMBDA_DURABLE_QUEUE_URL," in message


def test_a_bucket_that_is_not_there_is_named_with_its_setting(aws):
    aws.says_in_xml("NoSuchBucket", "The specified bucket does not exist", status=404)
    message = mistake(lambda: Client().start("f", "x" * 1_000_000))
    assert "bucket 'my-bucket', from LAMBDA_DURABLE_BUCKET," in message


def test_a_bus_that_is_not_there_is_named_with_its_setting(aws):
    aws.says("ResourceNotFoundException", "Event bus my-bus does not exist.")
    message = mistake(lambda: Client().send(Event("a")))
    assert "event bus 'my-bus', from LAMBDA_DURABLE_BUS," in message


def test_a_permission_that_is_denied_is_named_as_a_policy_has_it(aws):
    said = "User: arn:aws:iam::1:user/ada is not authorized to perform: dynamodb:Query on resource: arn:t"
    aws.says("AccessDeniedException", said)
    message = mistake(lambda: Client().get("run"))
    assert message == f"permission denied for dynamodb:Query: allow it to the role or user. AWS says: {said}"


@pytest.mark.parametrize("code", ["UnrecognizedClientException", "ExpiredTokenException"])
def test_credentials_that_are_not_accepted_are_told_from_a_lack_of_permission(aws, code):
    aws.says(code, "The security token is bad")
    message = mistake(lambda: Client().get("run"))
    assert f"does not accept the credentials ({code}: The security token is bad)" in message


def test_a_lack_of_credentials_names_the_ways_to_have_some(aws, monkeypatch):
    monkeypatch.delenv("AWS_ACCESS_KEY_ID")
    monkeypatch.delenv("AWS_SECRET_ACCESS_KEY")
    message = mistake(lambda: Client().get("run"))
    assert "no AWS credentials" in message
    assert "AWS_PROFILE" in message
    assert aws.asked == 0


def test_a_lack_of_a_region_names_its_variable(monkeypatch):
    monkeypatch.delenv("AWS_DEFAULT_REGION")
    named = re.search(r"set (AWS_\w+)", mistake(Client))
    monkeypatch.setenv(named[1], "eu-west-1")
    assert Client()


def test_a_profile_that_is_not_there_is_named(monkeypatch):
    monkeypatch.setenv("AWS_PROFILE", "nobody")
    assert "nobody" in mistake(Client)


def test_an_endpoint_where_nobody_listens_is_named(monkeypatch):
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        endpoint = f"http://127.0.0.1:{probe.getsockname()[1]}"
    monkeypatch.setenv("AWS_ENDPOINT_URL", endpoint)
    message = mistake(lambda: Client().get("run"))
    assert message.startswith(f"{endpoint} can't be reached")
    assert "AWS_ENDPOINT_URL" in message


def test_an_endpoint_that_is_no_url_is_told_when_the_client_is_made(monkeypatch):
    monkeypatch.setenv("AWS_ENDPOINT_URL", "localhost 4566")
    message = mistake(Client)
    assert "AWS_ENDPOINT_URL" in message
    assert "localhost 4566" in message


def test_a_stack_that_is_not_there_is_named_with_its_region(aws):
    aws.says_in_xml("ValidationError", "Stack with id shop does not exist")
    message = mistake(lambda: Client(stack="shop"))
    assert "no stack 'shop' in eu-west-1" in message


def test_a_stack_of_somebody_else_is_told_by_its_outputs(aws):
    outputs = "<Outputs><member><OutputKey>Table</OutputKey><OutputValue>t</OutputValue></member></Outputs>"
    stack = f"<StackName>shop</StackName><StackStatus>CREATE_COMPLETE</StackStatus>{outputs}"
    result = f"<DescribeStacksResult><Stacks><member>{stack}</member></Stacks></DescribeStacksResult>"
    aws.headers, aws.body = (
        {"Content-Type": "text/xml"},
        f"<DescribeStacksResponse>{result}</DescribeStacksResponse>",
    )
    message = mistake(lambda: Client(stack="shop"))
    assert message.startswith("stack 'shop' has no output Bucket, QueueUrl, Bus")


def test_missing_settings_are_named_all_at_once(monkeypatch):
    monkeypatch.delenv("LAMBDA_DURABLE_TABLE")
    monkeypatch.delenv("LAMBDA_DURABLE_BUS")
    message = mistake(Client)
    assert message.startswith("not set in the environment: LAMBDA_DURABLE_TABLE, LAMBDA_DURABLE_BUS;")


@pytest.mark.parametrize(
    ("name", "value", "says"),
    [
        ("LAMBDA_DURABLE_QUEUE_ARN", "my-queue", "is an ARN"),
        ("LAMBDA_DURABLE_QUEUE_URL", "my-queue", "is a queue's URL"),
        ("LAMBDA_DURABLE_RETENTION_DAYS", "0", "1 to 3650"),
        ("LAMBDA_DURABLE_RETENTION_DAYS", "a week", "whole number of days"),
    ],
)
def test_a_setting_that_cannot_be_is_named_with_its_value(monkeypatch, name, value, says):
    monkeypatch.setenv(name, value)
    message = mistake(Client)
    assert message.startswith(name)
    assert says in message
    assert repr(value) in message


def test_throttling_is_no_mistake_and_is_tried_three_times(aws):
    aws.says("ProvisionedThroughputExceededException", "Slow down")
    with pytest.raises(Exception) as caught:
        Client().get("run")
    assert is_throttling(caught.value)
    assert aws.asked == 3


def test_a_failure_of_aws_is_neither_a_mistake_nor_throttling(aws):
    aws.says("InternalServerError", "Oops", status=500)
    with pytest.raises(Exception) as caught:
        Client().get("run")
    assert not isinstance(caught.value, ConfigurationError)
    assert not is_throttling(caught.value)


class FakeContext:
    aws_request_id = "request"

    def get_remaining_time_in_millis(self):
        return 60_000


@pytest.fixture
def on_lambda(monkeypatch):
    monkeypatch.setenv("AWS_LAMBDA_FUNCTION_NAME", "worker")


@pytest.mark.usefixtures("on_lambda")
def test_a_worker_finds_out_at_its_cold_start_and_tells_its_first_invocation(aws):
    aws.says("ResourceNotFoundException", "Requested resource not found")
    handler = LambdaHandler(Durable("app"))
    assert aws.asked == 1
    message = mistake(lambda: handler({"Records": []}, FakeContext()))
    assert "LAMBDA_DURABLE_TABLE" in message
    assert aws.asked == 1


@pytest.mark.usefixtures("on_lambda", "aws")
def test_a_worker_whose_mistake_was_mended_works_from_then_on(monkeypatch):
    monkeypatch.delenv("LAMBDA_DURABLE_TABLE")
    handler = LambdaHandler(Durable("app"))
    mistake(lambda: handler({"Records": []}, FakeContext()))
    monkeypatch.setenv("LAMBDA_DURABLE_TABLE", "table")
    assert handler({"Records": []}, FakeContext()) == {"batchItemFailures": []}


def test_a_module_that_is_only_imported_needs_no_settings(monkeypatch):
    monkeypatch.delenv("LAMBDA_DURABLE_TABLE")
    handler = Durable("app").handler
    mistake(lambda: handler({"Records": []}, FakeContext()))

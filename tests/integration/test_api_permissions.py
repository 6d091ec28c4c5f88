"""The role of the HTTP API's Lambda: what the routes need, and no more."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import boto3
import moto
import pytest

from lambda_durable import Context, Durable, Event, on_event
from lambda_durable.aws.dead_letters import SqsDeadLetters
from lambda_durable.aws.sqs import SqsQueue
from lambda_durable.runtime.messages import Continuation
from lambda_durable.runtime.registration import register
from tests.e2e.cloudformation import Stack, load
from tests.http_api import api_of

TEMPLATE = load(Path(__file__).parents[2] / "template.yaml")
LARGE = "x" * 300_000
OF_OTHERS = {
    "logs:CreateLogStream", "logs:PutLogEvents",  # by Lambda
    "s3:ListBucket",  # without it S3 says 403, not 404, of an object that is not there
    "dynamodb:PutItem",  # by Encryption, which keeps a key when it is first used
    "s3:PutObjectTagging",  # of an object that is put with a tag
    "events:PutEvents", "sqs:SendMessage", "sqs:GetQueueAttributes",  # below
}  # fmt: skip


def allowed(http_api: str) -> set[tuple[str, str]]:
    """Actions, and the kinds of resources that they are allowed on."""
    stack = Stack(TEMPLATE, parameters={"HttpApi": http_api})
    policies = [*stack.resources["ApiRole"]["Properties"]["Policies"]]
    if "ApiPolicy" in stack.resources:
        policies.append(stack.resources["ApiPolicy"]["Properties"])
    found = set()
    for statement in (each for policy in policies for each in policy["PolicyDocument"]["Statement"]):
        for action in _listed(statement["Action"]):
            for resource in _listed(statement["Resource"]):
                found.add((action, resource.rpartition(":")[2]))
    return found


def _listed(value: Any) -> list[str]:
    return value if isinstance(value, list) else [value]


@pytest.fixture
def app():
    app = Durable("shop")

    @app.function("f", on_event("e"), labels=lambda event: ["one"])
    def f(ctx: Context[dict]) -> object:
        match ctx.event.data.get("what"):
            case "ask":
                return ctx.step.wait_for_callback("ask", timeout="1h", heartbeat="10m")
            case "signal":
                return ctx.step.wait_for_signal("s", "s", timeout="1h")
            case "nap":
                ctx.step.sleep("nap", "1h")
            case "fail":
                raise ValueError("no")
        return ctx.step.run("large", lambda: LARGE)

    return app


class Noted:
    """The calls of the table and the bucket, as their IAM actions."""

    def __init__(self, rt, monkeypatch) -> None:
        self.seen: set[tuple[str, str]] = set()
        self.on = False
        metered, counted = rt._cloud._meter.call, rt._traffic.call

        def dynamodb(operation, params, apply):
            index = f"/index/{params['IndexName']}" if "IndexName" in params else ""
            self.note(f"dynamodb:{operation}", f"table/Table{index}")
            return metered(operation, params, apply)

        def any_call(name, apply, *more, **named):
            if name.startswith("s3:"):
                self.note(name, "PayloadBucket/*")
            return counted(name, apply, *more, **named)

        monkeypatch.setattr(rt._cloud._meter, "call", dynamodb)
        monkeypatch.setattr(rt._traffic, "call", any_call)

    def note(self, action, resource):
        if self.on:
            self.seen.add((action, resource))


def test_each_permission_is_needed_and_none_is_missing(durable, app, monkeypatch):
    rt = durable(app)
    register(app, rt._scheduler, "local", publish=rt.client._world.store.publish)
    noted = Noted(rt, monkeypatch)
    waits = {
        what: rt.start(app.functions["f"], {"what": what}).run_id for what in ("ask", "fail", "signal", "nap")
    }
    rt.send(Event("e", {"what": "large"}))
    rt.advance("1m")
    token = rt.get(waits["ask"]).steps["ask"].waiting_for.token

    call = api_of(rt, scope="callbacks")
    noted.on = True
    call.post(f"/v1/callbacks/{token}/heartbeat")
    call.post(f"/v1/callbacks/{token}/complete", {"result": LARGE})
    noted.on = False
    of_callbacks, noted.seen = noted.seen, set()

    call = api_of(rt)
    noted.on = True
    call.post("/v1/signals", {"name": "s"})
    call.post("/v1/runs", {"function": "f", "data": LARGE})
    (event,) = call.get("/v1/events", name="e")["events"]
    large = event["runs"]["f"]
    call.post("/v1/events", {"events": [{"name": "e", "data": LARGE}]})
    for path in (
        "functions", "functions/f/metrics", "event-names", "runs", "queues", "overdue", f"events/{event['id']}",
        f"runs/{large}", f"runs/{large}/steps/large", f"runs/{large}/output", f"runs/{large}/event",
        f"runs/{large}/cost", f"runs/{large}/messages",
    ):  # fmt: skip
        call.get(f"/v1/{path}")
    call.get("/v1/runs", where="event.data.what == 'nap'", label="one", status="running")
    for what in ("pause", "resume", "rerun", "cancel"):
        call.post(f"/v1/runs/{waits['nap']}/{what}")
    call.post("/v1/functions/f/pause", {"runs": "cancel"})
    call.post("/v1/functions/f/resume")
    call.post("/v1/cancellations", {"function": "f", "if_exp": "true"})
    call.post("/v1/replays", {"function": "f"})
    noted.on = False

    tested = {"dynamodb", "s3"}
    for http_api, seen in (("callbacks", of_callbacks), ("all", noted.seen | of_callbacks)):
        grants = {each for each in allowed(http_api) if each[0].partition(":")[0] in tested} - {
            (action, resource) for action, resource in allowed(http_api) if action in OF_OTHERS
        }
        assert seen - grants == set(), http_api
        assert grants - seen == set(), http_api


def test_the_queues_take_what_is_allowed(durable, app, monkeypatch):
    """What the fakes of a LocalRuntime stand in for."""
    calls = set()
    with moto.mock_aws():
        sqs = boto3.client("sqs", region_name="us-east-1", aws_access_key_id="x", aws_secret_access_key="x")
        sqs.meta.events.register("before-call.sqs.*", lambda model, **_: calls.add(f"sqs:{model.name}"))
        urls = {name: sqs.create_queue(QueueName=name)["QueueUrl"] for name in ("go", "dead")}
        rt = durable(app)
        id = rt.start(app.functions["f"], {"what": "nap"}).run_id
        rt.advance("0s")
        sqs.send_message(QueueUrl=urls["dead"], MessageBody=Continuation(run=id).body())
        call = api_of(rt, letters=SqsDeadLetters(sqs, urls["dead"]))
        calls.clear()
        (letter,) = call.get("/v1/dead-letters")["letters"]
        call.post("/v1/dead-letters/redrive", {"ids": [letter["id"]]})
        SqsQueue(sqs, urls["go"], urls["dead"]).backlog()
    batches = {"sqs:ChangeMessageVisibilityBatch": "sqs:ChangeMessageVisibility"}
    needed = {batches.get(name, name) for name in calls} | {"sqs:SendMessage"}
    assert {action for action, _ in allowed("all") if action.startswith("sqs:")} == needed


def test_by_default_there_is_no_endpoint():
    assert not [id for id in Stack(TEMPLATE).resources if id.startswith("Api")]
    assert "HttpApi" not in str(Stack(TEMPLATE).resources)


@pytest.mark.parametrize(
    ("http_api", "auth"), [("all", "AWS_IAM"), ("callbacks", "AWS_IAM"), ("callbacks-public", "NONE")]
)
def test_only_callbacks_can_be_public(http_api, auth):
    stack = Stack(TEMPLATE, parameters={"HttpApi": http_api})
    ((_, url),) = stack.of_type("AWS::Lambda::Url").items()
    assert url["AuthType"] == auth
    granted = stack.of_type("AWS::Lambda::Permission").values()
    assert sorted(each["Action"] for each in granted) == (
        ["lambda:InvokeFunction", "lambda:InvokeFunctionUrl"] if auth == "NONE" else []
    )
    variables = stack.resources["Api"]["Properties"]["Environment"]["Variables"]
    assert variables["LAMBDA_DURABLE_HTTP_API"] == http_api

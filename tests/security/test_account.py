"""What the deployment grants, and what the package holds."""

from __future__ import annotations

import ast
import re
import tomllib
from itertools import chain
from pathlib import Path

import pytest

from lambda_durable import Context, Durable, Event, on_event
from tests.e2e.cloudformation import Stack, load

ROOT = Path(__file__).parents[2]
TEMPLATE = load(ROOT / "template.yaml")
KEY = "arn:aws:kms:us-east-1:000000000000:key/k"

WITHOUT_RESOURCE = {"scheduler:ListSchedules"}
"""Actions for which IAM knows no resource."""


EVERYTHING = {"KmsKeyArn": KEY, "OldKmsKeyArn": KEY, "ObjectCreatedBucket": "uploads", "HttpApi": "all"}


@pytest.fixture(params=[{}, EVERYTHING])
def stack(request):
    return Stack(TEMPLATE, parameters=request.param)


def listed(value):
    return value if isinstance(value, list) else [value]


def statements(stack):
    for kind in ("AWS::IAM::Role", "AWS::IAM::Policy"):
        for properties in stack.of_type(kind).values():
            for policy in properties.get("Policies", [properties]):
                yield from filter(None, policy["PolicyDocument"]["Statement"])


def test_no_permission_is_wider_than_aws_demands(stack):
    seen = 0
    for statement in statements(stack):
        seen += 1
        actions, resources = listed(statement["Action"]), listed(statement["Resource"])
        assert statement["Effect"] == "Allow"
        assert not [action for action in actions if "*" in action], statement
        if "*" in resources:
            assert set(actions) <= WITHOUT_RESOURCE, statement
        for resource in set(resources) - {"*"}:
            # A star stands for what is within a resource of the stack's own, at the end.
            assert "*" not in re.sub(r"[/:]\*$", "", resource), statement
    assert seen > 12


def test_a_role_is_assumed_by_one_service_and_for_this_stack_alone(stack):
    for name, role in stack.of_type("AWS::IAM::Role").items():
        (statement,) = role["AssumeRolePolicyDocument"]["Statement"]
        assert list(statement["Principal"]) == ["Service"]
        if name not in ("WorkerRole", "ApiRole"):  # Lambda assumes that of a function itself
            assert set(statement["Condition"]["StringEquals"]) == {"aws:SourceAccount", "aws:SourceArn"}


def test_only_rules_of_this_stack_may_send_to_its_queues_from_outside(stack):
    policies = stack.of_type("AWS::SQS::QueuePolicy")
    assert {queue for policy in policies.values() for queue in map(str, policy["Queues"])}
    for policy in policies.values():
        for statement in policy["PolicyDocument"]["Statement"]:
            assert statement["Principal"] == {"Service": "events.amazonaws.com"}
            assert statement["Action"] == "sqs:SendMessage"
            arns = listed(statement["Condition"]["ArnEquals"]["aws:SourceArn"])
            assert arns
            assert all(":rule/" in arn and "*" not in arn for arn in arns)


PUBLIC = ("Url", "ApiGateway", "LoadBalancer", "Lambda::Permission", "EventBusPolicy", "::HttpApi", "::Api")
"""Parts of types of what the outside world may call."""


def endpoints(stack):
    return {
        id: each["Type"]
        for id, each in stack.resources.items()
        if any(part in each["Type"] for part in PUBLIC)
    }


def test_there_is_no_public_endpoint():
    assert endpoints(Stack(TEMPLATE)) == {}
    for worker in Stack(TEMPLATE).of_type("AWS::Serverless::Function").values():
        assert "FunctionUrlConfig" not in worker
        assert {event["Type"] for event in worker["Events"].values()} == {"SQS"}


@pytest.mark.parametrize("http_api", ["callbacks", "all"])
def test_the_http_api_is_for_who_signs_with_iam(http_api):
    stack = Stack(TEMPLATE, parameters={"HttpApi": http_api})
    assert endpoints(stack) == {"ApiUrl": "AWS::Lambda::Url"}
    assert stack.resources["ApiUrl"]["Properties"]["AuthType"] == "AWS_IAM"


def test_what_is_public_on_demand_takes_answers_to_callbacks_alone():
    stack = Stack(TEMPLATE, parameters={"HttpApi": "callbacks-public"})
    assert set(endpoints(stack)) == {"ApiUrl", "ApiUrlForAll", "ApiForAllWhoCallItsUrl"}
    assert stack.resources["ApiForAllWhoCallItsUrl"]["Properties"]["InvokedViaFunctionUrl"] is True
    variables = stack.resources["Api"]["Properties"]["Environment"]["Variables"]
    assert variables["LAMBDA_DURABLE_HTTP_API"] == "callbacks-public"
    assert "ApiPolicy" not in stack.resources


def test_the_bucket_is_private_and_encrypted(stack):
    (bucket,) = stack.of_type("AWS::S3::Bucket").values()
    assert set(bucket["PublicAccessBlockConfiguration"].values()) == {True}
    (rule,) = bucket["BucketEncryption"]["ServerSideEncryptionConfiguration"]
    assert rule["ServerSideEncryptionByDefault"]["SSEAlgorithm"] in ("AES256", "aws:kms")
    (policy,) = stack.of_type("AWS::S3::BucketPolicy").values()
    (statement,) = policy["PolicyDocument"]["Statement"]
    assert (statement["Effect"], statement["Condition"]) == ("Deny", {"Bool": {"aws:SecureTransport": False}})


def test_every_queue_is_encrypted(stack):
    for queue in stack.of_type("AWS::SQS::Queue").values():
        assert queue.get("SqsManagedSseEnabled") is True or queue.get("KmsMasterKeyId") == KEY


# the package

RUNS_CODE = {"pickle", "shelve", "marshal", "dill", "cloudpickle", "yaml", "zipfile", "tarfile"}
UNPACKS = {"gzip", "bz2", "lzma", "decompress", "decompressobj"}
PACKING = ROOT / "lambda_durable/aws/packing.py"
"""Unpacks what the table holds, up to a size."""
CALLS = {"eval", "exec", "compile", "__import__"}


def test_nothing_unpickles_evaluates_or_unpacks():
    """Nor does anything decompress, so that no message is larger than it looks; but what the table holds, to a bounded
    size. The command line runs a user's code."""
    assert 'decompress(attribute["B"], LARGEST)' in PACKING.read_text(encoding="utf-8")
    for path in (ROOT / "lambda_durable").rglob("*.py"):
        if path.is_relative_to(ROOT / "lambda_durable/cli") or path.is_relative_to(
            ROOT / "lambda_durable/local"
        ):
            continue
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Import):
                assert not (RUNS_CODE | UNPACKS) & {each.name.partition(".")[0] for each in node.names}, path
            if isinstance(node, ast.ImportFrom) and not node.level:
                assert (node.module or "").partition(".")[0] not in RUNS_CODE | UNPACKS, path
            if isinstance(node, ast.Attribute) and path != PACKING:
                assert node.attr not in UNPACKS, path
            if isinstance(node, ast.Call) and isinstance(node.func, ast.Name):
                assert node.func.id not in CALLS, path


def test_every_dependency_is_pinned():
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    needed = [*project["dependencies"], *chain(*project["optional-dependencies"].values())]
    names = {
        re.match(r"[A-Za-z0-9_.-]+", each)[0].lower().replace("_", "-") for each in needed if ";" not in each
    }
    lines = (ROOT / "constraints.txt").read_text(encoding="utf-8").splitlines()
    pinned = {line.partition("==")[0].lower().replace("_", "-") for line in lines if "==" in line}
    assert names - {"lambda-durable"} <= {each.partition("[")[0] for each in pinned}


# two apps


def test_two_apps_share_nothing_but_what_is_sent_to_both(durable):
    def make(id):
        app = Durable(id)

        @app.function("f", on_event("go"))
        def f(ctx: Context) -> object:
            return ctx.step.wait_for_signal("s", "s", timeout="1h")

        return app

    one, other = durable(make("one")), durable(make("other"))
    for rt in (one, other):
        rt.send(Event("go", id="1"))
        rt.advance("1s")
    assert one.client.send_signal("s", 1)
    one.drain()
    (run,) = other.runs()
    assert other.get(run.run_id).steps["s"].status == "waiting"


def test_a_message_of_another_app_is_put_aside_and_nothing_else_happens(durable):
    def make(id, function):
        app = Durable(id)

        @app.function(function)
        def f(ctx: Context) -> None:
            ctx.step.sleep("s", "1h")

        return app, f

    (app, f), (other, g) = make("one", "f"), make("other", "g")
    one, two = durable(app), durable(other)
    theirs = one.start(f, run_id="theirs")
    one.advance("1s")
    mine = two.start(g, run_id="mine")
    from lambda_durable.ports import Outgoing

    two._queue.send([Outgoing(f'{{"kind":"continue","run":"{theirs.run_id}","forced":true}}')])
    two.drain()
    assert [run.run_id for run in two.runs()] == [mine.run_id]
    assert [letter.reason for letter in two.dead_letters] == [f"there is no run '{theirs.run_id}'"]

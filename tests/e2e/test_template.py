"""template.yaml: what the linters say, and that it agrees with the code."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
from pathlib import Path

import pytest
from cloudformation import Stack, load
from typer.testing import CliRunner

from lambda_durable.aws.emf import SWITCH
from lambda_durable.aws.settings import CLIENT_NEEDS, WORKER_NEEDS, output_key, variable
from lambda_durable.aws.table import EXPIRY, table_definition
from lambda_durable.cli.commands import commands
from lambda_durable.metrics import METRICS, NAMESPACE

ROOT = Path(__file__).parents[2]
TEMPLATE = load(ROOT / "template.yaml")
SAM = shutil.which("sam")
NO_SAM = "sam is not on PATH: pip install aws-sam-cli, in an environment of its own"


@pytest.fixture
def stack():
    return Stack(TEMPLATE)


@pytest.mark.skipif(SAM is None, reason=NO_SAM)
def test_the_linters_have_nothing_to_say():
    sam("validate", "--lint", cwd=ROOT)
    assert sam("template.yaml", command="cfn-lint", cwd=ROOT) == ""  # it comes with sam


def sam(*arguments, cwd, command="sam"):
    offline = {
        "AWS_EC2_METADATA_DISABLED": "true",
        "AWS_DEFAULT_REGION": "us-east-1",
        "SAM_CLI_TELEMETRY": "0",
    }
    done = subprocess.run(
        [Path(SAM).resolve().parent / command, *arguments],
        cwd=cwd,
        env={**os.environ, **offline},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def test_the_table_is_the_one_that_the_code_defines(stack):
    ((_, properties),) = stack.of_type("AWS::DynamoDB::Table").items()
    definition = table_definition("any")
    del definition["TableName"]
    assert {key: properties[key] for key in definition} == definition
    assert properties["TimeToLiveSpecification"] == {"AttributeName": EXPIRY, "Enabled": True}


def test_the_worker_is_given_every_setting(stack):
    (worker,) = stack.of_type("AWS::Serverless::Function").values()
    variables = worker["Environment"]["Variables"]
    assert {variable(name) for name in (*WORKER_NEEDS, "retention_days")} <= variables.keys()


def test_the_outputs_are_the_settings(stack):
    names = {output_key(name) for name in (*CLIENT_NEEDS, *WORKER_NEEDS, "retention_days")}
    assert names | {"WorkerArn", "HttpApiUrl"} == TEMPLATE["Outputs"].keys()


@pytest.mark.parametrize("timeout", TEMPLATE["Parameters"]["Timeout"]["AllowedValues"])
def test_a_message_comes_back_a_minute_after_its_lambda_is_dead(timeout):
    stack = Stack(TEMPLATE, parameters={"Timeout": timeout})
    queues = stack.of_type("AWS::SQS::Queue")
    for name in ("ContinuationQueue", "IngressQueue", "FailedQueue"):
        assert queues[name]["VisibilityTimeout"] == int(timeout) + 60


@pytest.mark.parametrize("days", TEMPLATE["Parameters"]["RetentionDays"]["AllowedValues"])
def test_payloads_outlive_the_items_that_refer_to_them(days):
    stack = Stack(TEMPLATE, parameters={"RetentionDays": days})
    (bucket,) = stack.of_type("AWS::S3::Bucket").values()
    rules = {rule["Id"]: rule for rule in bucket["LifecycleConfiguration"]["Rules"]}
    assert rules["short"]["ExpirationInDays"] == int(days) + 10
    assert rules["long"]["ExpirationInDays"] == 4000


def test_a_message_that_is_moved_is_kept_longer_where_it_goes(stack):
    queues = stack.of_type("AWS::SQS::Queue")
    kept = {name: int(queue.get("MessageRetentionPeriod", 345600)) for name, queue in queues.items()}
    for name, queue in queues.items():
        if "RedrivePolicy" in queue:
            target = queue["RedrivePolicy"]["deadLetterTargetArn"].rpartition(":")[2]
            assert kept[name] < kept[target], (name, target)


def test_what_encrypts_nothing_by_default_is_encrypted(stack):
    assert all(queue["SqsManagedSseEnabled"] is True for queue in stack.of_type("AWS::SQS::Queue").values())


def test_a_key_encrypts_all_that_keeps_data_and_only_its_users_may_use_it():
    key = "arn:aws:kms:us-east-1:000000000000:key/k"
    stack = Stack(TEMPLATE, parameters={"KmsKeyArn": key})
    assert all(queue["KmsMasterKeyId"] == key for queue in stack.of_type("AWS::SQS::Queue").values())
    (table,) = stack.of_type("AWS::DynamoDB::Table").values()
    assert table["SSESpecification"]["KMSMasterKeyId"] == key
    users = {
        role
        for role, properties in stack.of_type("AWS::IAM::Role").items()
        if any(
            key == statement["Resource"]
            for statement in properties["Policies"][0]["PolicyDocument"]["Statement"]
        )
    }
    assert users == {"WorkerRole", "SchedulerRole"}


def test_two_stages_share_no_name():
    """A physical name is fixed nowhere but for the bus, which has the stack's."""
    names = (
        "Name",
        "TableName",
        "BucketName",
        "QueueName",
        "RoleName",
        "FunctionName",
        "TopicName",
        "AlarmName",
    )
    named = {
        (id, properties[name])
        for id, each in Stack(TEMPLATE, name="mine").resources.items()
        if (properties := each["Properties"])
        for name in names
        if name in properties
    }
    assert named == {("Bus", "mine")}


def test_without_monitoring_nothing_of_cloudwatch_is_left_but_logs():
    stack = Stack(TEMPLATE, parameters={"Monitoring": "off", "AlarmEmail": "a@example.com"})
    assert not [
        each for each in stack.resources.values() if "CloudWatch" in each["Type"] or "SNS" in each["Type"]
    ]


def test_alarms_reach_somebody_when_an_address_is_given():
    stack = Stack(TEMPLATE, parameters={"AlarmEmail": "a@example.com"})
    alarms = stack.of_type("AWS::CloudWatch::Alarm")
    assert len(alarms) == 7
    assert all(alarm["AlarmActions"] == ["Alarms"] for alarm in alarms.values())
    assert all(
        alarm["AlarmActions"] == [] for alarm in Stack(TEMPLATE).of_type("AWS::CloudWatch::Alarm").values()
    )


def test_the_dashboard_and_the_alarms_name_metrics_that_the_worker_has(stack):
    ((_, dashboard),) = stack.of_type("AWS::CloudWatch::Dashboard").items()
    named = {
        ("function", name): stat
        for widget in json.loads(dashboard["DashboardBody"])["widgets"]
        for each in widget["properties"].get("metrics", ())
        if isinstance(each[0], dict)
        for name, service, stat in SEARCH.findall(each[0]["expression"])
        if service == "stack"
    }
    named |= {("stack", name): stat for name, stat in whole(dashboard)}
    named |= {
        ("stack", alarm["MetricName"]): alarm["Statistic"]
        for alarm in stack.of_type("AWS::CloudWatch::Alarm").values()
        if alarm["Namespace"] == NAMESPACE and alarm["Dimensions"] == [{"Name": "service", "Value": "stack"}]
    }
    emitted = {("function", metric.name): metric.unit for metric in METRICS if metric.by_function}
    emitted |= {("stack", metric.name): metric.unit for metric in METRICS if metric.whole}
    assert named.keys() == emitted.keys()
    assert {key for key, stat in named.items() if stat == "Sum"} == {
        key for key, unit in emitted.items() if unit == "Count"
    }


SEARCH = re.compile(
    rf"""SEARCH\('{{{NAMESPACE},service,function}} MetricName="(\w+)" service="(\w+)"', '(\w+)', 300\)"""
)


def whole(dashboard):
    """The metrics of the whole stack that a dashboard shows, and their statistics."""
    for widget in json.loads(dashboard["DashboardBody"])["widgets"]:
        above = []
        for each in widget["properties"].get("metrics", ()):
            if isinstance(each[0], str):
                *given, more = each
                above = [old if new == "." else new for new, old in zip(given, above or given, strict=True)]
                if above[0] == NAMESPACE:
                    assert above[2:] == ["service", "stack"]
                    yield above[1], more["stat"]
            if above and above[0] != NAMESPACE:
                break


def test_widgets_do_not_cover_each_other(stack):
    ((_, dashboard),) = stack.of_type("AWS::CloudWatch::Dashboard").items()
    widgets = json.loads(dashboard["DashboardBody"])["widgets"]
    places = [
        (widget["x"] + across, widget["y"] + down)
        for widget in widgets
        for across in range(widget["width"])
        for down in range(widget["height"])
    ]
    assert len(places) == len(set(places))
    assert max(across for across, _ in places) < 24


@pytest.mark.parametrize("monitoring", ["on", "off"])
def test_the_worker_has_metrics_of_its_own_where_there_is_monitoring(monitoring):
    worker = Stack(TEMPLATE, parameters={"Monitoring": monitoring}).resources["Worker"]["Properties"]
    assert worker["Environment"]["Variables"][SWITCH] == monitoring


@pytest.mark.skipif(SAM is None, reason=NO_SAM)
def test_sam_init_makes_the_project_that_lambda_durable_init_makes(tmp_path):
    sam("init", "--location", ROOT, "--name", "shop", "--no-input", cwd=tmp_path)
    (tmp_path / "other").mkdir()
    made = CliRunner().invoke(commands, ["init", str(tmp_path / "other/shop")])
    assert made.exit_code == 0, made.output
    assert contents(tmp_path / "shop") == contents(tmp_path / "other/shop")
    sam("validate", "--lint", cwd=tmp_path / "shop")


def contents(folder):
    return {
        path.relative_to(folder).as_posix(): path.read_text()
        for path in folder.rglob("*")
        if path.is_file() and ".aws-sam" not in path.parts
    }

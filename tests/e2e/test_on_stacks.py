"""The examples, deployed side by side: an event on the bus becomes a finished run."""

from __future__ import annotations

import json
import shutil
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime, timedelta
from uuid import uuid4

import pytest
from deployment import printed_template
from toolbox import ROOT, spent

EVENTS = ROOT / "events"


@pytest.fixture(scope="module")
def shop(deploy):
    """The repository's own template."""
    return deploy("shop", ROOT / "template.yaml").deploy()


@pytest.fixture(scope="module")
def printed(deploy, tmp_path_factory):
    """Deploys what `lambda-durable template` prints for an example."""

    def make(example, **parameters):
        template = tmp_path_factory.mktemp("template") / "template.yaml"
        template.write_text(printed_template(f"functions/{example}/app.py", ROOT))
        return deploy(f"stage-{example}", template, parameters=parameters).deploy()

    return make


@pytest.fixture(scope="module")
def crm(printed):
    return printed("onboarding")


@pytest.fixture(scope="module")
def billing(printed):
    return printed("nightly", MaximumConcurrency="5")


def cart(**changes):
    return json.loads((EVENTS / "checkout.json").read_text())["detail"] | changes


@pytest.fixture(scope="module")
def purchases(shop, clock):
    """A small one and a large one, as they are while they cool off and when they are settled."""
    lines = [{"sku": "beans-1kg", "count": 1, "price": price} for price in range(250)]
    carts = {"small": cart(), "large": cart(order="A-1043", lines=lines)}
    events = {size: shop.put_event("store/checkout.completed", content) for size, content in carts.items()}
    runs = {size: shop.wait_for_run("checkout", event) for size, event in events.items()}
    asleep = {size: shop.wait_for_step(run_id, "cool-off") for size, run_id in runs.items()}
    sleeping = one_time(shop.schedules())

    clock.advance(timedelta(days=3) - timedelta(seconds=30))
    settled = {size: shop.wait_for_end(run_id, faster=15) for size, run_id in runs.items()}
    return asleep, sleeping, settled


def one_time(schedules):
    return {name: when for name, when in schedules.items() if when.startswith("at(")}


def test_a_purchase_is_settled_after_its_cool_off(purchases):
    asleep, _, settled = purchases
    run, due = settled["small"], asleep["small"]["steps"]["cool-off"]["wake_at"]

    assert run["status"] == "completed", run["error"]
    assert run["output"]["order"] == "A-1042"
    assert run["steps"]["charge"]["attempts"] == 3
    assert run["steps"]["cool-off"]["wake_at"] == due
    assert run["ended_at"] >= due


def test_a_large_purchase_is_settled_as_well(purchases):
    _, _, settled = purchases

    assert settled["large"]["status"] == "completed", settled["large"]["error"]
    assert len(settled["large"]["event"]["data"]["lines"]) == 250
    assert settled["large"]["steps"]["claim-inventory"]["output"]["items"] == {"beans-1kg": 250}


def test_a_long_sleep_is_a_schedule_that_goes_when_it_has_fired(purchases, shop):
    _, sleeping, _ = purchases

    assert len(sleeping) == 2
    assert one_time(shop.schedules()) == {}


def test_a_signup_is_welcomed_and_its_team_invited_a_day_later(crm, clock):
    event = crm.put_event_file(EVENTS / "onboarding.json")
    run_id = crm.wait_for_run("onboarding", event)
    crm.wait_for_step(run_id, "settle-in")

    clock.advance(timedelta(days=1) - timedelta(seconds=30))
    run = crm.wait_for_end(run_id, faster=15)

    assert run["status"] == "completed", run["error"]
    assert run["output"]["bounced"] == ["nobody@example.invalid"]


def test_a_night_is_billed_when_an_event_says_so(billing):
    event = billing.put_event("billing/night.began", {"day": "2026-03-01", "accounts": 25})
    run_id = billing.wait_for_run("nightly", event)
    run = billing.wait_for_end(run_id, faster=10)

    assert run["status"] == "completed", run["error"]
    assert run["output"]["invoices"] == 24
    assert list(run["output"]["failed"]) == ["acc-0007"]


def test_a_night_is_billed_at_three_by_the_cron_in_the_code(billing, clock):
    ((name, expression),) = ((n, e) for n, e in billing.schedules().items() if n.startswith("cron-"))
    assert expression == "cron(0 3 * * ? *)"
    billing.wait("the schedule noticed by ministack's sweep", spent(seconds=11))
    three = (clock.now() + timedelta(days=1)).replace(hour=3, minute=0, second=0, microsecond=0)

    clock.advance(three - clock.now() - timedelta(seconds=5))
    (listed,) = billing.wait(
        "a run of nightly at three",
        lambda: [run for run in billing.client.runs("nightly") if run.created_at >= three],
    )

    shown = billing.show(listed.run_id)
    assert shown["event"]["name"] == "lambda_durable/scheduled"
    assert datetime.fromisoformat(shown["event"]["time"]) == three
    assert billing.wait_for_end(listed.run_id, faster=10)["status"] == "completed"


def test_an_event_sent_from_the_command_line_starts_a_run_once(shop):
    (sent,) = json.loads(
        shop.command("send", "--name", "store/checkout.completed", "--data", json.dumps(cart()), "--json")
    )
    shop.wait_for_run("checkout", sent["id"])
    again = ("--name", "store/checkout.completed", "--data", json.dumps(cart()), "--id", sent["id"])
    shop.command("send", *again)
    marker = shop.put_event("store/checkout.completed", cart(order="A-9"))
    shop.wait_for_run("checkout", marker)

    events = [shop.client.get(run["run_id"]).event.id for run in shop.runs("checkout")]
    assert events.count(sent["id"]) == 1


@pytest.mark.parametrize("queue", ["QueueUrl", "IngressQueueArn"])
def test_a_poison_message_is_put_where_people_look_and_nobody_waits_for_it(shop, queue):
    sqs = shop.aws("sqs")
    target = shop.outputs[queue]
    if target.startswith("arn:"):
        target = sqs.get_queue_url(QueueName=target.rpartition(":")[2])["QueueUrl"]
    sqs.send_message(QueueUrl=target, MessageBody='{"kind": "poison"}')

    def look():
        received = sqs.receive_message(
            QueueUrl=shop.outputs["DeadLetterUrl"], MessageAttributeNames=["All"], VisibilityTimeout=0
        )
        return [message for message in received.get("Messages", ()) if "poison" in message["Body"]]

    (message,) = shop.wait("the message in the dead-letter queue", look)
    assert "none of ours" in message["MessageAttributes"]["reason"]["StringValue"]
    sqs.purge_queue(QueueUrl=shop.outputs["DeadLetterUrl"])


def test_live_runs_are_verified_on_code_that_is_yet_to_be_deployed(shop, tmp_path):
    run_id = shop.wait_for_run("checkout", shop.put_event("store/checkout.completed", cart(order="A-7")))
    shop.wait_for_step(run_id, "cool-off")
    table = shop.outputs["Table"]
    before = shop.aws("dynamodb").scan(TableName=table)["Items"]

    def verdict(old, new, status):
        folder = tmp_path / str(uuid4())
        shutil.copytree(ROOT / "functions" / "checkout", folder)
        code = (folder / "app.py").read_text()
        assert old in code
        (folder / "app.py").write_text(code.replace(old, new))
        told = json.loads(shop.command("verify", str(folder / "app.py"), "--json", status=status))
        (found,) = [each for each in told if each["run_id"] == run_id]
        return found["outcome"], [
            (each["change"], each["step"], each["now"]) for each in found["differences"]
        ]

    assert verdict('"claim-inventory"', '"claim-inventory"', 0) == ("goes on", [])
    renamed = [("renamed", "charge", "charge-card")]
    assert verdict('"charge"', '"charge-card"', 1) == ("diverges", renamed)
    assert verdict('ctx.step.sleep("cool-off", "3d")', "", 1)[1] == [("removed", "cool-off", None)]
    kind = verdict('ctx.step.sleep("cool-off", "3d")', 'ctx.step.run("cool-off", len, "3d")', 1)
    assert kind == ("diverges", [("kind changed", "cool-off", None)])
    assert verdict('ctx.step.run("send-receipt"', 'ctx.step.run("send-it"', 0) == ("goes on", [])
    assert verdict("    try:", '    ctx.step.run("check", len, "")\n    try:', 0) == (
        "goes on",
        [("added", "check", None)],
    )
    assert shop.aws("dynamodb").scan(TableName=table)["Items"] == before

    (path,) = json.loads(shop.command("export", run_id, "-o", str(tmp_path / "journals"), "--json"))
    shop.command("verify", str(ROOT / "functions" / "checkout" / "app.py"), path)
    bill = json.loads(shop.command("cost", run_id, "--json"))
    assert {"claim-inventory", "charge", "cool-off"} <= {each["id"] for each in bill["operations"]}


def test_the_doctor_finds_a_deployed_stack_in_order_and_tells_and_repairs_what_is_stuck(shop):
    def stuck(*options, status):
        findings = json.loads(shop.command("doctor", "--json", *options, status=status))
        return [finding for finding in findings if finding["level"] == "stuck"]

    client = shop.aws("lambda")
    (found,) = stuck("--deep", status=1)  # ministack makes nothing of the template's RecursiveLoop
    assert found["way_out"].startswith("aws lambda put-function-recursion-config")
    client.put_function_recursion_config(FunctionName=found["subject"].split()[1], RecursiveLoop="Allow")
    assert stuck("--deep", status=0) == []

    mappings = client.list_event_source_mappings(FunctionName=shop.outputs["WorkerArn"])[
        "EventSourceMappings"
    ]
    (mapping,) = (each for each in mappings if each["EventSourceArn"] == shop.outputs["IngressQueueArn"])
    client.update_event_source_mapping(UUID=mapping["UUID"], Enabled=False)
    (found,) = stuck(status=1)
    assert found["way_out"] == f"aws lambda update-event-source-mapping --enabled --uuid {mapping['UUID']}"
    client.update_event_source_mapping(UUID=mapping["UUID"], Enabled=True)
    assert stuck(status=0) == []

    event = {
        "detail-type": "store/checkout.completed",
        "source": "e2e",
        "id": "given-up",
        "time": "2026-01-01T00:00:00Z",
        "detail": cart(order="A-77"),
    }
    queue = shop.outputs["DeadLetterUrl"]
    shop.aws("sqs").send_message(QueueUrl=queue, MessageBody=json.dumps(event))
    (found,) = stuck(status=1)
    assert "it has started nothing yet" in found["why"]
    (fixed,) = stuck("--fix", status=0)
    assert fixed["done"] == "sent it again"
    run = shop.wait_for_run("checkout", "given-up")
    shop.wait_for_step(run, "cool-off")
    assert "sleeps until" in shop.command("doctor", run)
    assert stuck(status=0) == []


def test_nothing_is_left_of_deleted_stacks_but_payloads(shop, crm, billing):
    stacks = [shop, crm, billing]
    with ThreadPoolExecutor() as pool:  # each takes the half minute between two looks of sam's
        list(pool.map(lambda stack: stack.delete(), stacks))

    stack_statuses = {
        stack["StackName"]: stack["StackStatus"]
        for stack in shop.aws("cloudformation").describe_stacks()["Stacks"]
    }
    left = {
        "stacks": [name for name, status in stack_statuses.items() if status != "DELETE_COMPLETE"],
        "tables": shop.aws("dynamodb").list_tables()["TableNames"],
        "queues": shop.aws("sqs").list_queues().get("QueueUrls", []),
        "buckets": [bucket["Name"] for bucket in shop.aws("s3").list_buckets()["Buckets"]],
        "functions": [each["FunctionName"] for each in shop.aws("lambda").list_functions()["Functions"]],
        "mappings": shop.aws("lambda").list_event_source_mappings()["EventSourceMappings"],
        "buses": [bus["Name"] for bus in shop.aws("events").list_event_buses()["EventBuses"]],
        "groups": [each["Name"] for each in shop.aws("scheduler").list_schedule_groups()["ScheduleGroups"]],
        "schedules": [each["Name"] for each in shop.aws("scheduler").list_schedules()["Schedules"]],
        "roles": [role["RoleName"] for role in shop.aws("iam").list_roles()["Roles"]],
        "logs": [each["logGroupName"] for each in shop.aws("logs").describe_log_groups()["logGroups"]],
    }
    ours = [
        (kind, str(each))
        for kind, them in left.items()
        for each in them
        if any(stack.name in str(each) for stack in stacks)
    ]
    assert {kind for kind, _ in ours} == {"buckets"}
    assert all("payloadbucket" in bucket for _, bucket in ours)

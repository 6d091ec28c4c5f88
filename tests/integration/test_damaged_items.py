"""Items of the table that somebody has changed by hand: what can't be read is named, and holds up nobody else."""

import pytest

from lambda_durable import Context, DamagedItemError, Durable, Event, on_event
from lambda_durable.testing import LocalRuntime

app = Durable("shop", steps_per_invocation=1)


@app.function("order", on_event("placed"))
def order(ctx: Context) -> str:
    ctx.step.run("reserve", int)
    ctx.step.wait_for_event("paid", "payment", match="data.order", timeout="2h")
    return "done"


def change(rt, run_id, sk, **attributes):
    """Change attributes of an item; None removes one. Returns what puts it back."""
    table = rt.aws("dynamodb")
    key = {"pk": {"S": run_id}, "sk": {"S": sk}}
    item = table.get_item(TableName="lambda-durable", Key=key)["Item"]
    changed = {name: value for name, value in (item | attributes).items() if value is not None}
    table.put_item(TableName="lambda-durable", Item=changed)
    return lambda: table.put_item(TableName="lambda-durable", Item=item)


@pytest.mark.parametrize(
    ("sk", "attributes"),
    [
        ("!", {"v": None}),
        ("!", {"s": {"S": "walking"}}),
        ("!", {"P": {"S": "{"}}),
        (".reserve", {"b": {"S": "noon"}}),
        (".paid", {"W": None}),
        (".paid", {"c": {"S": "1:2"}}),
        (".paid", {"m": {"N": "1"}}),
    ],
)
def test_a_run_with_an_item_that_cannot_be_read_stands_still_says_which_and_goes_on_once_it_is_repaired(
    sk, attributes
):
    rt = LocalRuntime(app, lambda_timeout="60s")
    for number in (1, 2):
        rt.send(Event("placed", {"order": number}, id=str(number)))
    rt.advance("5s")
    damaged, healthy = (run.run_id for run in rt.runs())
    repair = change(rt, damaged, sk, **attributes)

    with pytest.raises(DamagedItemError) as told:
        rt.get(damaged)
    assert f"pk {damaged!r}, sk {sk!r}" in str(told.value)

    rt.send(Event("payment", {"order": 1}), Event("payment", {"order": 2}))
    rt.advance("5m")
    assert rt.get(healthy).status == "completed"
    assert rt.dead_letters == []

    repair()
    rt.drain()
    assert rt.get(damaged).output == "done"


@app.function("dispute", on_event("disputed"))
def dispute(ctx: Context) -> str:
    condition = "async.data.order == event.data.order"
    paid = ctx.step.wait_for_event("paid", "payment", if_exp=condition, timeout="2h")
    return "paid" if paid else "late"


def remove_payload(rt, run_id):
    """Remove a run's large event from S3. Returns what puts it back."""
    s3, where = rt.aws("s3"), {"Bucket": rt._bucket}
    where["Key"] = s3.list_objects_v2(**where, Prefix=run_id)["Contents"][0]["Key"]
    content = s3.get_object(**where)["Body"].read()
    s3.delete_object(**where)
    return lambda: s3.put_object(**where, Body=content)


def remove_status(rt, run_id):
    return change(rt, run_id, "!", s=None)


@pytest.mark.parametrize("remove", [remove_payload, remove_status])
def test_of_those_who_wait_for_an_event_one_that_cannot_be_read_holds_up_no_other(remove, caplog):
    rt = LocalRuntime(app, lambda_timeout="60s")
    data = {"order": 7, "padding": "x" * 9_000}
    runs = [rt.start(dispute, data, run_id=f"run{number}").run_id for number in range(3)]
    rt.advance("5s")
    repair = remove(rt, "run0")

    with pytest.raises(DamagedItemError):
        rt.get("run0")
    rt.send(Event("payment", {"order": 7}))
    rt.advance("1m")
    assert [rt.get(run).output for run in runs[1:]] == ["paid", "paid"]
    assert "run run0, which may wait for event 'payment', can't be read" in caplog.text

    repair()
    rt.drain()
    assert rt.get("run0").output == "paid"  # the event came again
    assert rt.dead_letters == []


def test_a_waiter_that_cannot_be_read_keeps_no_other_from_its_event(caplog):
    rt = LocalRuntime(app)
    runs = [rt.start(order, {"order": 7}, run_id=f"run{number}").run_id for number in range(3)]
    rt.advance("5s")
    table = rt.aws("dynamodb")
    found = table.scan(TableName="lambda-durable")["Items"]
    waiter = next(
        item for item in found if item["pk"]["S"].startswith("w#") and item.get("u", {}).get("S") == "run0"
    )
    table.put_item(TableName="lambda-durable", Item={key: waiter[key] for key in ("pk", "sk", "x")})

    rt.send(Event("payment", {"order": 7}))
    rt.advance("5m")

    assert [rt.get(run).status for run in runs] == ["running", "completed", "completed"]
    assert "run0/paid" in caplog.text
    rt.drain()
    assert rt.get("run0").output == "done"  # its time-out ended the wait

"""`step.transact`: the user's own writes and the step's outcome, together or not at all."""

from __future__ import annotations

import pytest

from lambda_durable import AsyncContext, ConfigurationError, Context, Durable, Retry, TransactionError
from lambda_durable.testing import Faults, LocalRuntime, crash_everywhere

ACCOUNTS = {
    "TableName": "accounts",
    "BillingMode": "PAY_PER_REQUEST",
    "AttributeDefinitions": [{"AttributeName": "id", "AttributeType": "S"}],
    "KeySchema": [{"AttributeName": "id", "KeyType": "HASH"}],
}


def add(account, amount, **condition):
    return {
        "Update": {
            "TableName": "accounts",
            "Key": {"id": {"S": account}},
            "UpdateExpression": "SET balance = if_not_exists(balance, :zero) + :amount",
            "ExpressionAttributeValues": {":amount": {"N": str(amount)}, ":zero": {"N": "0"}},
            **condition,
        }
    }


def covered(amount):
    move = add("ann", -amount, ConditionExpression="balance >= :least")
    move["Update"]["ExpressionAttributeValues"][":least"] = {"N": str(amount)}
    return move


def bank(mode="auto"):
    app = Durable("bank", steps_per_invocation=mode, retry=Retry.fixed("1s", 5))

    @app.function("deposit")
    def deposit(ctx: Context[int]) -> str:
        ctx.step.run("before", int)
        ctx.step.transact("add", add("ann", ctx.event.data), add("total", ctx.event.data))
        ctx.step.run("after", int)
        return "done"

    @app.function("transfer")
    async def transfer(ctx: AsyncContext[int]) -> object:
        try:
            await ctx.step.transact("move", covered(ctx.event.data), add("bob", ctx.event.data))
        except TransactionError as error:
            return [error.message, error.reasons, error.attempts]
        return "moved"

    return app


def open_accounts(rt):
    rt.aws("dynamodb").create_table(**ACCOUNTS)


def balance(rt, account):
    found = rt.aws("dynamodb").get_item(TableName="accounts", Key={"id": {"S": account}}).get("Item")
    return int(found["balance"]["N"]) if found else None


@pytest.mark.parametrize("mode", [1, "all"])
def test_all_is_written_at_once(durable, mode):
    app = bank(mode)
    rt = durable(app)
    open_accounts(rt)
    run = rt.run(app.functions["deposit"], 5)

    assert (run.output, run.steps["add"].kind, run.steps["add"].output) == ("done", "transact", None)
    assert (balance(rt, "ann"), balance(rt, "total")) == (5, 5)
    assert rt.calls["dynamodb:TransactWriteItems"] == 1


@pytest.mark.parametrize("mode", [1, "all"])
def test_wherever_it_crashes_it_is_written_exactly_once(mode):
    app = bank(mode)

    def drive(rt, _):
        open_accounts(rt)
        rt.drain()

    points = 0
    for crash in crash_everywhere(app, app.functions["deposit"], 5, drive=drive):
        assert crash.run.output == "done", crash.point
        assert (balance(crash.runtime, "ann"), balance(crash.runtime, "total")) == (5, 5), crash.point
        points += 1
    assert points > 15


@pytest.mark.parametrize("seed", range(20))
def test_whatever_happens_it_is_written_exactly_once(seed):
    app = bank([1, 2, "all", "auto"][seed % 4])
    rt = LocalRuntime(app, faults=Faults(), seed=seed)
    open_accounts(rt)
    runs = [rt.start(app.functions["deposit"], amount) for amount in (1, 10, 100)]
    rt.drain()

    assert {rt.get(run.run_id).output for run in runs} == {"done"}
    assert (balance(rt, "ann"), balance(rt, "total")) == (111, 111)


def test_a_condition_that_fails_writes_nothing_and_says_which(durable):
    app = bank()
    rt = durable(app)
    open_accounts(rt)
    rt.run(app.functions["deposit"], 5)
    message, reasons, attempts = rt.run(app.functions["transfer"], 6).output

    assert "the condition of item 0" in message
    assert [reason["Code"] for reason in reasons] == ["ConditionalCheckFailed", "None"]
    assert attempts == 1
    assert (balance(rt, "ann"), balance(rt, "bob")) == (5, None)
    assert rt.run(app.functions["transfer"], 5).output == "moved"
    assert (balance(rt, "ann"), balance(rt, "bob")) == (0, 5)


def test_a_conflict_with_another_transaction_is_tried_again(durable, monkeypatch):
    app = bank()
    rt = durable(app)
    open_accounts(rt)
    client = rt.aws("dynamodb")
    made, calls = client._make_api_call, []

    def conflicting(operation, params):
        calls.append(operation)
        if calls.count("TransactWriteItems") == 1 and operation == "TransactWriteItems":
            reasons = [{"Code": "None"}, {"Code": "TransactionConflict"}, {"Code": "None"}]
            answer = {"Error": {"Code": "TransactionCanceledException"}, "CancellationReasons": reasons}
            raise client.exceptions.TransactionCanceledException(answer, operation)
        return made(operation, params)

    monkeypatch.setattr(client, "_make_api_call", conflicting)
    run = rt.run(app.functions["deposit"], 5)

    assert (run.output, run.steps["add"].attempts) == ("done", 2)
    assert balance(rt, "ann") == 5


@pytest.mark.parametrize(
    ("items", "message"),
    [
        ([add("ann", 1)] * 100, "at most 99 items"),
        ([{"Get": {}}], "item 0 is an entry of TransactWriteItems"),
        (["x"], "item 0 is an entry"),
        ([{"Put": {}, "Delete": {}}], "item 0 is an entry"),
        (
            [add("ann", 1), {"Put": {"TableName": "t", "Item": {"id": "x"}}}],
            "item 1 has 'id' in its Item without",
        ),
        ([{"Delete": {"TableName": "t", "Key": {"id": {}}}}], "item 0 has 'id' in its Key without a type"),
    ],
)
def test_bad_input_is_an_error_at_the_call(durable, items, message):
    app = Durable("app")

    @app.function("f")
    def f(ctx: Context) -> None:
        with pytest.raises(ConfigurationError, match=message):
            ctx.step.transact("t", *items)

    assert durable(app).run(f).status == "completed"


def test_what_is_wrong_with_the_request_is_tried_again_as_the_step_says(durable):
    app = Durable("bank", retry=Retry.fixed("1s", 3))

    @app.function("f")
    def f(ctx: Context) -> None:
        ctx.step.options(retry=Retry.never()).transact("add", add("ann", 1))

    run = durable(app).run(f)  # there is no such table

    assert run.status == "failed"
    assert run.steps["add"].attempts == 1

"""Who may write to the table, the bucket or the queue of an app that encrypts, and has no key."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest

from lambda_durable import (
    CallbackError,
    Client,
    ConfigurationError,
    Context,
    Durable,
    Event,
    Middleware,
    MiddlewareError,
    Retry,
    StepError,
    on_event,
)
from lambda_durable.callbacks import callback_failure
from lambda_durable.encryption import Encryption, RawKey
from lambda_durable.ports import Outgoing
from lambda_durable.runtime import callbacks
from lambda_durable.runtime.sealing import sealed
from lambda_durable.seals import PLAIN

LARGE = "x" * 40_000


def shop(*, required=False, middleware=None):
    encryption = Encryption(RawKey("k", bytes(32)), required=required)
    app = Durable("shop", middleware=encryption if middleware is None else middleware, retry=Retry.never())
    tokens = []

    def fails():
        raise ValueError("no")

    @app.function("f", on_event("go"))
    def f(ctx: Context[dict]) -> list[object]:
        seen = [ctx.step.run("keep", lambda: ctx.event.data), len(ctx.step.run("large", lambda: LARGE))]
        len(ctx.step.run("other", lambda: LARGE[1:]))
        try:
            ctx.step.map("m", lambda _: fails(), [1], max_concurrency=1)
        except StepError as error:
            seen.append(error.message)
        try:
            seen.append(
                ctx.step.wait_for_callback("ask", lambda given: tokens.append(given.token), timeout="1h")
            )
        except CallbackError as error:
            seen.append(error.message)
        told = ctx.step.wait_for_signal("told", "told", timeout="1h")
        paid = ctx.step.wait_for_event("paid", "paid", match="data.n", timeout="1h")
        return [*seen, told and told.data, paid is not None]

    return app, f, tokens


def outsider(rt):
    """A client that was not given the app."""
    return Client(world=sealed(bare(rt), None))


def bare(rt):
    """The world without the app's seal."""
    world = rt.client._world
    return replace(world, store=world.store._store, blobs=world.blobs._blobs, seal=PLAIN)


@pytest.mark.parametrize("required", [False, True])
def test_with_everything_encrypted_a_run_goes_on(durable, required):
    app, f, tokens = shop(required=required)
    rt = durable(app)
    run = rt.start(f, {"n": 1})
    rt.advance("10s")
    rt.client.complete_callback(tokens[0], "yes")
    rt.advance("10s")
    rt.client.send_signal("told", {"by": "us"})
    rt.advance("10s")
    rt.send(Event("paid", {"n": 1}))
    rt.drain()
    assert rt.get(run.run_id).output == [{"n": 1}, 40_000, "no", "yes", {"by": "us"}, True]
    assert rt.dead_letters == []


def test_a_client_without_the_app_writes_no_answer_that_would_not_be_encrypted(durable):
    app, f, tokens = shop()
    rt = durable(app)
    rt.start(f, {"n": 1, "long": LARGE})
    rt.advance("10s")
    client = outsider(rt)
    for answer in (
        lambda: client.complete_callback(tokens[0], "secret"),
        lambda: client.fail_callback(tokens[0], "secret"),
    ):
        with pytest.raises(ConfigurationError, match=r"Client\(app, stack=...\).*--app"):
            answer()
    assert client.heartbeat_callback(tokens[0])
    rt.client.complete_callback(tokens[0], "yes")
    rt.advance("10s")
    with pytest.raises(ConfigurationError, match="keeps what it is told encoded"):
        client.send_signal("told", "secret")
    assert rt.client.send_signal("told")


def test_a_client_without_the_app_answers_one_that_encrypts_nothing(durable):
    app, f, tokens = shop(middleware=())
    rt = durable(app)
    run = rt.start(f, {"n": 1, "long": LARGE})
    rt.advance("10s")
    client = Client(world=sealed(rt.client._world, None))
    assert client.complete_callback(tokens[0], "yes")
    rt.advance("10s")
    assert client.send_signal("told", 1)
    rt.drain()
    assert rt.get(run.run_id).output[3:] == ["yes", 1, False]


def plaintexts(rt, run_id):
    """What somebody who writes to the table could put in the place of what is there, one at a time."""
    dynamodb = rt.aws("dynamodb")
    items = dynamodb.query(
        TableName="lambda-durable",
        KeyConditionExpression="pk = :pk",
        ExpressionAttributeValues={":pk": {"S": run_id}},
    )["Items"]
    for item in items:
        for name, value in item.items():
            if value.get("S", "").startswith("~"):
                yield item, name


def test_plain_values_in_the_table_are_refused_where_encryption_is_required(durable):
    app, f, _ = shop(required=True)
    rt = durable(app)
    run = rt.start(f, {"n": 1})
    rt.advance("10s")
    places = list(plaintexts(rt, run.run_id))
    assert {item["sk"]["S"] for item, _ in places} >= {"!", ".keep"}
    for item, name in places:
        rt.aws("dynamodb").put_item(TableName="lambda-durable", Item={**item, name: {"S": '{"n":2}'}})
        with pytest.raises(
            MiddlewareError, match="is not encoded by middleware 'encryption', which requires it"
        ):
            rt.get(run.run_id)
        rt.aws("dynamodb").put_item(TableName="lambda-durable", Item=item)
    assert rt.get(run.run_id).status == "running"


def test_a_plain_error_is_refused_where_encryption_is_required(durable):
    app, f, tokens = shop(required=True)
    rt = durable(app)
    run = rt.start(f, {"n": 1})
    rt.advance("10s")
    assert callbacks.fail(bare(rt), tokens[0], callback_failure("a lie"), "tag")
    with pytest.raises(MiddlewareError, match="requires it"):
        rt.get(run.run_id)
    rt.advance("1m")
    assert rt.client._world.store._store.get_header(run.run_id).status == "running"


def test_what_was_kept_before_is_read_unless_encryption_is_required(durable):
    plain, f, tokens = shop(middleware=())
    rt = durable(plain)
    run = rt.start(f, {"n": 1})
    rt.advance("10s")
    rt.deploy(shop(required=False)[0])
    assert rt.get(run.run_id).steps["keep"].output == {"n": 1}
    rt.deploy(shop(required=True)[0])
    with pytest.raises(MiddlewareError, match="required=False reads it"):
        rt.get(run.run_id)


def test_skipping_the_encryption_among_several_is_noticed(durable):
    class Upper(Middleware):
        name = "upper"

        def encode(self, text, place):
            return text

        def decode(self, text, place):
            return text

    app, f, _ = shop(middleware=[Upper(), Encryption(RawKey("k", bytes(32)), required=True)])
    rt = durable(app)
    run = rt.start(f, {"n": 1})
    rt.advance("10s")
    (item,) = (item for item, _ in plaintexts(rt, run.run_id) if item["sk"]["S"] == ".keep")
    rt.aws("dynamodb").put_item(TableName="lambda-durable", Item={**item, "o": {"S": '~upper~{"n":2}'}})
    with pytest.raises(MiddlewareError, match="requires it"):
        rt.get(run.run_id)


def test_a_start_that_is_not_encrypted_is_put_aside_where_encryption_is_required(durable):
    app, f, _ = shop(required=True)
    rt = durable(app)
    Client(world=bare(rt)).start("f", {"n": 1}, run_id="forged")
    rt.drain()
    assert not list(rt.runs())
    (letter,) = rt.dead_letters
    assert "was its client given the app?" in letter.reason
    rt.send(Event("go", {"n": 1}))
    rt.advance("1s")
    assert [run.status for run in rt.runs()] == ["running"]


def test_objects_that_were_swapped_are_refused(durable):
    app, f, tokens = shop()
    rt = durable(app)
    run = rt.start(f, {"n": 1})
    rt.advance("10s")
    s3, bucket = rt.aws("s3"), rt._bucket
    one, other = (each["Key"] for each in s3.list_objects_v2(Bucket=bucket, Prefix=run.run_id)["Contents"])
    body = s3.get_object(Bucket=bucket, Key=other)["Body"].read()
    s3.put_object(Bucket=bucket, Key=one, Body=body)
    with pytest.raises(MiddlewareError, match="who moved it"):
        rt.get(run.run_id)


def test_a_message_names_no_object_but_one_of_the_inbox(durable):
    app, f, _ = shop(middleware=())
    rt = durable(app)
    run = rt.start(f, {"n": 1})
    rt.advance("10s")
    s3 = rt.aws("s3")
    (key, _) = (each["Key"] for each in s3.list_objects_v2(Bucket=rt._bucket)["Contents"])
    assert key.startswith(run.run_id)
    for name in (
        key,
        f"../{key}",
        f"inbox/../{key}",
        f"inbox/{'0' * 64}\n",
        f"inbox/{'0' * 63}/",
        "inbox/" + "A" * 64,
    ):
        rt._queue.send([Outgoing(json.dumps({"kind": "start", "function": "f", "run": "r", "key": name}))])
        detail = {"lambda_durable": {"key": name, "id": name[:256], "time": "2025-01-01T00:00:00+00:00"}}
        rt.deliver(
            {"id": "1", "detail-type": "go", "source": "s", "time": "2025-01-01T00:00:00Z", "detail": detail}
        )
    rt.advance("1m")
    assert [each.run_id for each in rt.runs()] == [run.run_id]
    assert len(rt.dead_letters) == 12


def test_an_event_finds_who_waits_across_a_rotation_of_keys(durable):
    def version(*keys):
        app = Durable("app", middleware=Encryption(keys[0], old_keys=keys[1:], required=True))

        @app.function("f")
        def f(ctx: Context[dict]) -> bool:
            ctx.step.run("large", lambda: LARGE)
            return ctx.step.wait_for_event("paid", "paid", match="data.n", timeout="1d") is not None

        return app, f

    old, new = RawKey("old", b"o" * 32), RawKey("new", b"n" * 32)
    app, f = version(old)
    rt = durable(app)
    run = rt.start(f, {"n": 1})
    rt.advance("1m")
    rt.deploy(version(new, old)[0])
    rt.send(Event("paid", {"n": 2}), Event("paid", {"n": 1}))
    rt.advance("1m")
    ended = rt.get(run.run_id)
    assert (ended.status, ended.output, ended.steps["large"].output) == ("completed", True, LARGE)

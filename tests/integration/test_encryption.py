"""Encryption: nothing that a run is about can be read in table, bucket and queue; keys come and go."""

from __future__ import annotations

import base64
import logging
import os
from collections import Counter

import boto3
import pytest
from botocore.exceptions import ClientError
from cryptography.exceptions import InvalidTag

from lambda_durable import (
    AsyncContext,
    CallbackError,
    CancelOn,
    ConfigurationError,
    Context,
    Durable,
    Event,
    MiddlewareError,
    Place,
    Retry,
    StepError,
    on_event,
)
from lambda_durable.encryption import DecryptionError, Encryption, KmsKey, RawKey
from lambda_durable.testing import Faults, LocalRuntime, crash_everywhere

SECRET = "Zanzibar"
HERE = Place("app", "run")


def raw(name="k", seed=b"k"):
    return RawKey(name, seed * 32)


class Spied(LocalRuntime):
    """Keeps all that was in a message."""

    def __init__(self, *args, **options):
        self.bodies = []
        super().__init__(*args, **options)

    def _handle(self, world, delivery, invocation):
        self.bodies.append(delivery.body)
        super()._handle(world, delivery, invocation)

    def kept(self):
        """Everything in the table, the bucket and the messages so far."""
        yield from map(repr, self.aws("dynamodb").scan(TableName="lambda-durable")["Items"])
        s3, bucket = self.aws("s3"), self._bucket
        for found in s3.list_objects_v2(Bucket=bucket).get("Contents", ()):
            yield found["Key"]
            yield s3.get_object(Bucket=bucket, Key=found["Key"])["Body"].read().decode()
        yield from self.bodies


@pytest.fixture
def spied():
    made = []

    def make(*args, **options):
        made.append(Spied(*args, **options))
        return made[-1]

    yield make
    for each in made:
        each.close()


def everything(middleware, mode="auto"):
    """An app that hands a secret to all that keeps one."""
    app = Durable("app", steps_per_invocation=mode, middleware=middleware, retry=Retry.fixed("1s", 2))
    failures, undone = [], []

    def fails(text):
        raise ValueError(f"{text} is no port")

    @app.function("child")
    async def child(ctx: AsyncContext[dict]) -> dict:
        return {"echo": await ctx.step.run("echo", lambda: ctx.event.data["name"])}

    @app.function("other", on_event("sent"))
    def other(ctx: Context[dict]) -> str:
        return ctx.step.run("keep", lambda: ctx.event.data["name"])

    @app.function("main", on_event("go"), cancel_on=CancelOn("stop", match="data.name"))
    def main(ctx: Context[dict]) -> list[object]:
        name = ctx.event.data["name"]
        careful = ctx.step.options(undo=undone.append)
        seen = [careful.run("small", lambda: {"name": name}), ctx.step.run("large", lambda: name * 10_000)]
        seen += ctx.step.map("m", lambda item: f"{item}!", [name, "other"], max_concurrency=1)
        seen.append(ctx.step.group("g", lambda: ctx.step.run("in", str.upper, name)))
        try:
            ctx.step.run("fails", fails, name)
        except StepError as error:
            seen.append(str(error))
        paid = ctx.step.wait_for_event(
            "paid", "paid", match="data.name", if_exp=f"async.data.name == '{name}'", timeout="1h"
        )
        told = ctx.step.wait_for_signal("signal", "signal", timeout="1h")
        seen += [paid and paid.data, told and told.data]
        ctx.step.send_event("send", Event("sent", {"name": name, "long": name * 100_000}))
        seen.append(ctx.step.invoke("child", child, {"name": name}))
        ctx.step.run("fails-too", fails, name)
        return seen

    @main.on_failure
    def failed(ctx: Context) -> str:
        failures.append(ctx.event.data)
        return ctx.event.data.error.message

    return app, failures, undone


def drive(rt, secret=SECRET):
    rt.send(Event("go", {"name": secret}))
    rt.advance("10s")
    rt.send(Event("paid", {"name": "another"}), Event("paid", {"name": secret}))
    rt.advance("10s")
    rt.client.send_signal("signal", secret)
    rt.drain()


@pytest.mark.parametrize("mode", [1, "all", "auto"])
def test_nothing_that_a_run_is_about_can_be_read(spied, mode):
    app, failures, undone = everything(Encryption(raw()), mode)
    rt = spied(app)
    drive(rt)

    (run,) = rt.runs("main")
    run = rt.get(run.run_id)
    assert run.error.message == f"{SECRET} is no port"
    assert run.steps["large"].output == SECRET * 10_000
    assert run.steps["paid"].output["data"] == {"name": run.steps["signal"].output["data"]}
    assert run.steps["child"].output == {"echo": SECRET}
    (failure,) = failures
    assert failure.event.data == {"name": SECRET}
    assert undone == [{"name": SECRET}]
    assert {each.status for each in rt.runs()} == {"completed", "failed"}
    assert len(list(rt.runs())) == 4

    kept = list(rt.kept())
    assert len(kept) > 40
    encoded = {base64.b64encode(SECRET.encode()).decode().strip("="), SECRET.upper(), SECRET}
    assert not [text for text in kept if any(secret in text for secret in encoded)]
    assert any("fails-too" in text for text in kept)  # a step's id is no secret


def test_without_encryption_the_same_search_finds_it_in_each(spied):
    app, *_ = everything(())
    rt = spied(app)
    drive(rt)
    found = [text for text in rt.kept() if SECRET in text]
    assert any(text.startswith("{'") and "'pk'" in text for text in found)
    assert any(text.startswith('"Zanzibar') for text in found)
    assert set(rt.bodies) & set(found)


@pytest.mark.parametrize("mode", [1, "all"])
def test_a_callback_and_a_run_that_continues_as_new_are_encrypted_too(spied, mode):
    app = Durable("app", steps_per_invocation=mode, middleware=Encryption(raw()))
    tokens = []

    @app.function("f")
    def f(ctx: Context[dict]) -> object:
        ctx.step.run("keep", lambda: ctx.event.data)
        if ctx.event.data["round"] == 0:
            ctx.continue_as_new({"round": 1, "name": ctx.event.data["name"]})
        answer = ctx.step.wait_for_callback(
            "ask", lambda callback: tokens.append(callback.token), timeout="1h"
        )
        try:
            ctx.step.wait_for_callback("again", lambda callback: tokens.append(callback.token), timeout="1h")
        except CallbackError as error:
            return [answer, error.message]

    rt = spied(app)
    run = rt.start(f, {"round": 0, "name": SECRET})
    rt.advance("10s")
    assert rt.client.complete_callback(tokens[0], {"said": SECRET})
    rt.advance("10s")
    assert rt.client.fail_callback(tokens[1], SECRET)
    rt.drain()

    ended = rt.get(run.run_id)
    assert ended.output == [{"said": SECRET}, SECRET]
    assert ended.steps["keep"].output == {"round": 1, "name": SECRET}
    assert not [text for text in rt.kept() if SECRET in text]


def test_an_event_that_cancels_is_matched_by_its_digest(spied):
    app, *_ = everything(Encryption(raw()))
    rt = spied(app)
    rt.send(Event("go", {"name": SECRET}))
    rt.advance("10s")
    rt.send(Event("stop", {"name": "another"}))
    rt.advance("10s")
    (run,) = rt.runs("main")
    assert run.status == "running"
    rt.send(Event("stop", {"name": SECRET}))
    rt.advance("10s")
    (run,) = rt.runs("main")
    assert run.status == "cancelled"


def test_two_encryptions_of_one_value_differ_and_its_digest_needs_the_key(spied):
    app, *_ = everything(Encryption(raw()))
    encryption = app.middleware[0]
    assert encryption.encode("x", HERE) != encryption.encode("x", HERE)
    one, other = spied(app), spied(app)
    assert one._world(None, None).store.digest("x") != other._world(None, None).store.digest("x")


# keys


def test_old_keys_are_read_until_they_are_gone():
    old, new = raw("old", b"o"), raw("new", b"n")
    before = Encryption(old).encode("value", HERE)
    rotated = Encryption(new, old_keys=[old])
    assert rotated.decode(before, HERE) == "value"
    after = rotated.encode("value", HERE)
    assert Encryption(new).decode(after, HERE) == "value"
    for key, text in [(old, after), (new, before)]:
        with pytest.raises(Exception, match="data key"):
            Encryption(key).decode(text, HERE)


def test_several_keys_can_each_read_what_was_written():
    one, two = raw("one", b"1"), raw("two", b"2")
    text = Encryption(one, more_keys=[two]).encode("value", HERE)
    assert Encryption(one).decode(text, HERE) == Encryption(two).decode(text, HERE) == "value"


def test_a_run_goes_on_across_a_rotation(durable):
    def version(*keys):
        app = Durable("app", middleware=Encryption(keys[0], old_keys=keys[1:]))

        @app.function("f")
        def f(ctx: Context[dict]) -> str:
            first = ctx.step.run("one", lambda: ctx.event.data["name"])
            ctx.step.sleep("nap", "1d")
            return first + ctx.step.run("two", lambda: "!")

        return app

    old, new = raw("old", b"o"), raw("new", b"n")
    app = version(old)
    rt = durable(app)
    run = rt.start(app.functions["f"], {"name": SECRET})
    rt.advance("1h")
    rt.deploy(version(new, old))
    rt.drain()
    assert rt.get(run.run_id).output == f"{SECRET}!"


def test_a_value_that_was_moved_or_changed_is_refused():
    encryption = Encryption(raw())
    text = encryption.encode("value", HERE)
    for place in (Place("app", "another run"), Place("another app", "run")):
        with pytest.raises(DecryptionError, match="written for run of app 'app'"):
            encryption.decode(text, place)
    flipped = bytearray(base64.b64decode(text))
    flipped[-20] ^= 1
    with pytest.raises(InvalidTag):
        encryption.decode(base64.b64encode(flipped).decode(), HERE)


def test_a_key_that_is_gone_loses_nothing(durable, caplog):
    def version(key):
        app = Durable("app", middleware=Encryption(key))

        @app.function("f")
        def f(ctx: Context[dict]) -> str:
            ctx.step.sleep("nap", "1h")
            return ctx.step.run("two", lambda: ctx.event.data["name"])

        return app

    app = version(raw())
    rt = durable(app)
    run = rt.start(app.functions["f"], {"name": SECRET})
    rt.advance("1m")
    rt.deploy(version(raw("wrong", b"w")))
    rt.advance("65m")
    with pytest.raises(MiddlewareError, match="middleware 'encryption' could not decode"):
        rt.get(run.run_id)
    assert SECRET not in caplog.text
    rt.deploy(app)
    rt.drain()
    assert rt.get(run.run_id).output == SECRET


# KMS


@pytest.fixture
def kms():
    import moto.backends  # noqa: F401
    from moto.core.botocore_stubber import BotocoreStubber

    session = boto3.Session(aws_access_key_id="test", aws_secret_access_key="test", region_name="us-east-1")
    client = session.client("kms")
    stub = BotocoreStubber()
    stub.enabled = True
    client.meta.events.register_first("before-send", stub)
    client.calls = Counter()
    client.meta.events.register("before-call.kms", lambda model, **_: client.calls.update([model.name]))
    return client


@pytest.fixture
def kms_key(kms):
    def make():
        return KmsKey(kms.create_key()["KeyMetadata"]["Arn"], client=kms)

    return make


@pytest.mark.parametrize("mode", [1, "all"])
def test_kms_is_asked_twice_however_many_steps_there_are(durable, kms, kms_key, mode):
    app = Durable("app", steps_per_invocation=mode, middleware=Encryption(kms_key()))

    @app.function("f")
    def f(ctx: Context[int]) -> int:
        return sum(ctx.step.run("one", lambda n=n: n) for n in range(20))

    kms.calls.clear()
    rt = durable(app)
    assert [rt.run(f, 1).output for _ in range(3)] == [190] * 3
    assert kms.calls == {"GenerateDataKey": 1, "Decrypt": 1}


def test_what_a_step_is_larger_for_it(spied, kms_key):
    def size(middleware):
        app = Durable("app", middleware=middleware)

        @app.function("f")
        def f(ctx: Context[dict]) -> None:
            ctx.step.run("one", lambda: "x" * 100)

        rt = spied(app)
        rt.run(f)
        (item,) = (
            item
            for item in rt.aws("dynamodb").scan(TableName="lambda-durable")["Items"]
            if item["sk"]["S"] == ".one"
        )
        return len(item["o"]["S"])

    plain, encrypted = size(()), size(Encryption(kms_key()))
    assert plain == 102
    assert encrypted < 1.34 * plain + 680  # a small output stays within one write unit


def test_keys_of_kms_are_rotated_too(kms, kms_key):
    old, new = kms_key(), kms_key()
    text = Encryption(old).encode("value", HERE)
    assert Encryption(new, old_keys=[old]).decode(text, HERE) == "value"
    with pytest.raises(Exception, match="data key"):
        Encryption(new).decode(text, HERE)


def test_a_key_that_may_not_be_used_loses_nothing(durable, kms, kms_key, caplog):
    key = kms_key()
    app = Durable("app", middleware=Encryption(key))

    @app.function("f")
    def f(ctx: Context[dict]) -> str:
        return ctx.step.run("keep", lambda: ctx.event.data["name"])

    def refuse(**_):
        raise ClientError({"Error": {"Code": "DisabledException", "Message": "no"}}, "GenerateDataKey")

    rt = durable(app)
    kms.meta.events.register("before-call.kms", refuse)
    with pytest.raises(MiddlewareError, match=r"could not encode what is kept of .*data key"):
        rt.start(f, {"name": SECRET})
    kms.meta.events.unregister("before-call.kms", refuse)
    assert rt.run(f, {"name": SECRET}).output == SECRET


def test_the_environment_names_the_keys(kms, kms_key, monkeypatch):
    old, new = kms_key(), kms_key()
    monkeypatch.setattr("lambda_durable.aws.clients.Clients.of", lambda self, service, **_: kms)
    text = Encryption(old).encode("value", HERE)
    monkeypatch.setenv("LAMBDA_DURABLE_KMS_KEY_ARN", new.arn)
    monkeypatch.setenv("LAMBDA_DURABLE_OLD_KMS_KEY_ARN", old.arn)
    rotated = Encryption()
    assert rotated.decode(text, HERE) == "value"
    assert Encryption(new).decode(rotated.encode("value", HERE), HERE) == "value"


def test_bad_keys_are_refused(monkeypatch):
    monkeypatch.delenv("LAMBDA_DURABLE_KMS_KEY_ARN", raising=False)
    for make, told in [
        (lambda: Encryption("alias/mine"), "by its ARN"),
        (lambda: Encryption("arn:aws:kms:us-east-1:1:alias/mine"), "by its ARN"),
        (lambda: RawKey("k", b"short"), "32 bytes"),
        (lambda: RawKey("", b"k" * 32), "has a name"),
        (lambda: Encryption(raw(), cache_for="0s"), "more than nothing"),
        (lambda: Encryption().encode("x", HERE), "LAMBDA_DURABLE_KMS_KEY_ARN"),
    ]:
        with pytest.raises(ConfigurationError, match=told):
            make()


def test_a_key_is_not_shown(caplog):
    secret = os.urandom(32)
    assert repr(secret) not in repr(RawKey("k", secret))
    with caplog.at_level(logging.DEBUG):
        Encryption(RawKey("k", secret)).encode(SECRET, HERE)
    assert SECRET not in caplog.text


# under fire


@pytest.mark.parametrize("mode", [1, "all"])
def test_a_crash_anywhere_is_survived(mode):
    app = Durable("app", steps_per_invocation=mode, middleware=Encryption(raw()))

    @app.function("f")
    def f(ctx: Context[dict]) -> object:
        small = ctx.step.run("small", lambda: ctx.event.data["name"])
        paid = ctx.step.wait_for_event("paid", "paid", match="data.name", timeout="1h")
        return [small, paid and paid.data["n"]]

    def drive(rt, run):
        rt.advance("20m")
        rt.send(Event("paid", {"name": SECRET, "n": 1}))
        rt.drain()

    points = 0
    for crash in crash_everywhere(app, f, {"name": SECRET}, drive=drive):
        points += 1
        assert crash.run.output == [SECRET, 1], crash.point
    assert points > 20


@pytest.mark.parametrize("seed", [0, 1, *range(3, 9)])  # 2: both attempts of a step are killed
def test_whatever_happens_the_outcome_is_that_of_plain_values(seed):
    app, failures, undone = everything(Encryption(raw()))
    rt = LocalRuntime(app, faults=Faults(), seed=seed)
    drive(rt)
    (run,) = rt.runs("main")
    run = rt.get(run.run_id)
    assert (run.status, run.error.type) == ("failed", "ValueError")
    assert run.steps["m"].output == [f"{SECRET}!", "other!"]
    assert failures[0].error.message == f"{SECRET} is no port"
    assert undone[0] == {"name": SECRET}
    assert rt.dead_letters == []
    rt.close()


@pytest.mark.parametrize("ends", ["the wait", "the run"])
def test_an_event_finds_who_waited_for_it_before_the_app_encrypted_anything(durable, ends):
    def shop(*middleware):
        app = Durable("shop", middleware=middleware)

        @app.function("f", cancel_on=CancelOn("stop", match="data.n"))
        def f(ctx: Context[dict]) -> bool:
            return ctx.step.wait_for_event("paid", "paid", match="data.n", timeout="1d") is not None

        return app, f

    app, f = shop()
    rt = durable(app)
    run = rt.start(f, {"n": 1})
    rt.advance("1m")
    rt.deploy(shop(Encryption(RawKey("key", bytes(32))))[0])
    rt.send(*(Event("paid" if ends == "the wait" else "stop", {"n": n}) for n in (1, 2)))
    rt.drain()
    ended = rt.get(run.run_id)
    expected = ("completed", True) if ends == "the wait" else ("cancelled", None)
    assert (ended.status, ended.output) == expected

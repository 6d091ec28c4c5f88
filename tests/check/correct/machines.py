"""Machines: webhooks, deployments, certificates, devices; and decorators, classes and factories around handlers."""

from __future__ import annotations

import contextlib
import hashlib
import hmac
import subprocess
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from functools import cache, partial, wraps
from typing import Any

import boto3
import requests

from lambda_durable import AsyncContext, Context, Durable, Retry, RunFailedError, StepError, on_event

app = Durable("machines")
function = partial(app.function, retry=Retry.fixed("10s", 3))
SECRET = b"secret"


@cache
def client(service: str) -> Any:
    return boto3.client(service, region_name="us-east-1")


@contextlib.contextmanager
def logged(ctx: Context[dict], what: str) -> Iterator[None]:
    ctx.logger.info("%s begins", what)
    try:
        yield
    finally:
        ctx.logger.info("%s is over", what)


def audited(handler: Callable[[Context[dict]], Any]) -> Callable[[Context[dict]], Any]:
    @wraps(handler)
    def inner(ctx: Context[dict]) -> Any:
        result = handler(ctx)
        ctx.step.run("audit", client("events").put_events, Entries=[{"Detail": ctx.run_id}])
        return result

    return inner


@function("webhook", on_event("webhook.received"))
def webhook(ctx: Context[dict]) -> bool:
    """A pure check, in the handler; the answer in a step."""
    signed = hmac.new(SECRET, ctx.event.data["body"].encode(), hashlib.sha256).hexdigest()
    if not hmac.compare_digest(signed, ctx.event.data["signature"]):
        return False
    ctx.step.run("answer", requests.post, "https://example.com/hook", json={"ok": True}, timeout=5)
    return True


@app.function("release")
@audited
def release(ctx: Context[dict]) -> str:
    """Stage by stage, each as a group, back where one fails."""
    done: list[str] = []
    for stage in ("dev", "test", "prod"):
        try:
            with logged(ctx, stage):
                ctx.step.group(f"stage-{stage}", roll_out, ctx, stage)
        except StepError:
            for each in reversed(done):
                ctx.step.run(f"back-{each}", deploy, each, "previous")
            return f"failed in {stage}"
        done.append(stage)
    return "everywhere"


def roll_out(ctx: Context[dict], stage: str) -> None:
    ctx.step.run("deploy", deploy, stage, ctx.event.data["version"])
    ctx.step.sleep("settle", "10m")
    healthy = ctx.step.run("healthy", is_healthy, stage)
    if not healthy:
        raise StepError(f"{stage} is not healthy") if False else RuntimeError(f"{stage} is not healthy")


def deploy(stage: str, version: str) -> None:
    subprocess.run(["deploy", stage, version], check=True)


def is_healthy(stage: str) -> bool:
    with ThreadPoolExecutor() as pool:
        hosts = [f"https://{stage}-{number}.example.com" for number in range(3)]
        return all(reply.ok for reply in pool.map(partial(requests.get, timeout=5), hosts))


@app.step
def restart(device: str) -> str:
    return str(client("iot").update_thing(thingName=device)["version"])


@app.step(id="read-log", retry=Retry.never())
def read_log(device: str) -> str:
    return str(client("logs").get_log_events(logStreamName=device))


@app.function("device", on_event("device.silent"))
def device(ctx: Context[dict]) -> str:
    """Steps that are plain calls."""
    name = ctx.event.data["device"]
    log = read_log(name)
    if "overheated" in log:
        return "hot"
    for _ in range(3):
        restart(name)
        if ctx.step.wait_for_event("alive", "device.alive", match="data.device", timeout="5m"):
            return "alive"
    return "dead"


class Certificates:
    """Handlers as methods of a service."""

    def __init__(self, authority: str) -> None:
        self.authority = authority
        self.lock = threading.Lock()

    def order(self, name: str) -> str:
        with self.lock:
            return requests.post(self.authority, json={"name": name}, timeout=10).text

    def renew(self, ctx: Context[dict]) -> str:
        name = ctx.event.data["name"]
        number = ctx.step.run("order", self.order, name)
        return ctx.step.poll("issued", self.issued, number, until=bool, every="1m", timeout="1h")

    def issued(self, number: str) -> str:
        return requests.get(f"{self.authority}/{number}", timeout=10).text


certificates = Certificates("https://ca.example.com")


@app.function("certificate")
def certificate(ctx: Context[dict]) -> str:
    return certificates.renew(ctx)


def rotation(name: str, days: int) -> Any:
    """Handlers that a function makes."""

    @app.function(f"rotate-{name}")
    def rotate(ctx: Context[dict]) -> None:
        for number in range(10):
            ctx.step.run(f"rotate-{number}", client("secretsmanager").rotate_secret, SecretId=name)
            ctx.step.sleep(f"wait-{number}", f"{days}d")

    return rotate


rotate_database = rotation("database", 30)
rotate_token = rotation("token", 7)


@app.function("orchestrate")
async def orchestrate(ctx: AsyncContext[dict]) -> dict[str, str]:
    """Other functions, as steps."""
    outcomes: dict[str, str] = {}
    for name in ctx.event.data["devices"]:
        try:
            outcomes[name] = await ctx.step.invoke(f"device-{name}", device, {"device": name}, timeout="1h")
        except StepError as error:
            outcomes[name] = error.message
    try:
        await ctx.step.invoke("certificate", "certificate", {"name": "example.com"})
    except (RunFailedError, StepError):
        outcomes["certificate"] = "failed"
    return outcomes


@app.function("transfer")
def transfer(ctx: Context[dict]) -> str:
    """Money, exactly once."""
    amount = {":n": {"N": str(ctx.event.data["amount"])}}
    moves = [
        {
            "Update": {
                "TableName": "accounts",
                "Key": {"id": {"S": who}},
                "UpdateExpression": f"ADD balance {sign}:n",
            }
        }
        for who, sign in ((ctx.event.data["from"], "-"), (ctx.event.data["to"], ""))
    ]
    for move in moves:
        move["Update"]["ExpressionAttributeValues"] = amount
    ctx.step.transact("move", *moves)
    return f"{ctx.run_id}: {amount}"

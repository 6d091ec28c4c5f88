import logging

import boto3

from lambda_durable import AsyncContext, Context, Durable

app = Durable("shop")


SEEN = {}
LOG = []
logger = logging.getLogger(__name__)
_client = None


def client():
    global _client
    if _client is None:
        _client = boto3.client("s3")
    return _client


def rate(currency: str) -> float:
    if currency not in SEEN:
        SEEN[currency] = client().get_object(Key=currency)["rate"]
    return SEEN[currency]


def record(bucket: dict) -> dict:
    bucket["done"] = True
    LOG.append(bucket)
    return bucket


@app.function("keeps")
def keeps(ctx: Context[dict]) -> dict:
    receipts = []
    state = {"done": False}
    receipts.append(ctx.step.run("save", str))
    state["done"] = ctx.step.run("check", bool)
    state |= {"rate": ctx.step.run("rate", rate, "EUR"), "again": ctx.step.run("again", rate, "USD")}
    state["record"] = ctx.step.run("record", lambda: record({}))

    def build() -> list:
        parts = []
        parts.append("a")
        total = 0
        total += len(parts)
        return [*parts, total]

    notes = []
    ctx.step.run("note", lambda: notes.append("written, and never read"))
    state["parts"] = ctx.step.run("build", build)
    return {**state, "receipts": receipts}


@app.function("grouped")
def grouped(ctx: Context[dict]) -> int:
    def search(place: str) -> int:
        found = []
        for page in range(3):
            found.append(ctx.step.run(f"look-{page}", len, place))
        return sum(found)

    return sum(ctx.step.map_group("places", search, ["here", "there"]))

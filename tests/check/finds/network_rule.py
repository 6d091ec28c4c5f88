from contextlib import closing
from urllib.request import urlopen

import boto3
import httpx
import requests
from requests import get as fetch

from lambda_durable import AsyncContext, Context, Durable

app = Durable("shop")


table = boto3.resource("dynamodb").Table("orders")
http = httpx.Client()


class Gateway:
    def __init__(self) -> None:
        self.session = requests.Session()

    def ask(self, path: str) -> dict:
        return self.session.get(path).json()  # finds: network


gateway = Gateway()


@app.function("calls")
def calls(ctx: Context[dict]) -> list:
    one = requests.get("https://example.com")  # finds: network
    two = fetch("https://example.com")  # finds: network
    table.put_item(Item={"id": ctx.run_id})  # finds: network
    three = http.post("https://example.com")  # finds: network
    four = urlopen("https://example.com")  # finds: network
    with httpx.Client() as client:  # finds: network
        five = client.get("https://example.com")  # finds: network
    six = gateway.ask("/stock")
    with closing(boto3.client("s3")) as s3:  # finds: network
        ctx.step.run("a", s3.list_buckets)
    return [one, two, three, four, five, six]


@app.function("async-calls")
async def async_calls(ctx: AsyncContext[dict]) -> int:
    async with httpx.AsyncClient() as client:  # finds: network
        reply = await client.get("https://example.com")  # finds: network
    await ctx.step.run("a", print)
    return reply.status_code

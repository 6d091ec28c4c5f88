from urllib.parse import quote

import boto3
import httpx
from boto3.dynamodb.conditions import Key

from lambda_durable import AsyncContext, Context, Durable

app = Durable("shop")


table = boto3.resource("dynamodb").Table("orders")
http = httpx.AsyncClient()


def store(number: str) -> None:
    table.put_item(Item={"id": number})


@app.function("calls")
def calls(ctx: Context[dict]) -> list:
    ctx.step.run("store", store, ctx.run_id)
    ctx.step.run("put", table.put_item, Item={"id": ctx.run_id})
    found = ctx.step.run("find", lambda: table.query(KeyConditionExpression=Key("id").eq(ctx.run_id))["Items"])
    path = quote(ctx.event.data["name"])
    names = [item.find("a") for item in found]
    return [path, httpx.URL("https://example.com").host, Key("id").eq("x"), names]


async def price(sku: str) -> int:
    reply = await http.get(f"https://example.com/{sku}")
    return reply.json()["price"]


@app.function("async-calls")
async def async_calls(ctx: AsyncContext[dict]) -> int:
    return await ctx.step.run("price", price, "tea")

import uuid
from uuid import UUID, uuid4, uuid5

from lambda_durable import AsyncContext, Context, Durable

app = Durable("shop")


@app.function("ids")
def ids(ctx: Context[dict]) -> list:
    one = ctx.step.run("new-id", lambda: str(uuid4()))
    two = uuid5(uuid.NAMESPACE_URL, ctx.run_id)
    three = uuid.uuid3(uuid.NAMESPACE_DNS, "example.com")
    return [one, two, three, UUID(one)]

import uuid
from uuid import uuid1, uuid4 as new_id

from lambda_durable import AsyncContext, Context, Durable

app = Durable("shop")


class Order:
    def __init__(self, sku: str) -> None:
        self.sku = sku
        self.number = uuid.uuid4().hex  # finds: uuid


@app.function("ids")
def ids(ctx: Context[dict]) -> list:
    order = Order("tea")
    ctx.step.run("store", print, order.number)
    return [str(new_id()), uuid1().hex]  # finds: uuid, uuid

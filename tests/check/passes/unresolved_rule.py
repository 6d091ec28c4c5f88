import math

import unheard_of
from pydantic import BaseModel

from lambda_durable import AsyncContext, Context, Durable

app = Durable("shop")


class Order(BaseModel):
    amount: int


def double(number: int) -> int:
    return 2 * number


HANDLERS = {"double": double}


@app.function("known")
def known(ctx: Context[dict]) -> float:
    order = Order.model_validate(ctx.event.data)
    amount = HANDLERS["double"](order.amount)
    found = ctx.step.run("theirs", unheard_of.compute, amount)
    return math.sqrt(found.total()) + unheard_of.compute(3)  # durable: ignore[unresolved]

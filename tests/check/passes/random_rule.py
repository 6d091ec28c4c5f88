import random
import secrets

import numpy as np

from lambda_durable import AsyncContext, Context, Durable

app = Durable("shop")


@app.function("draws")
def draws(ctx: Context[dict]) -> list:
    one = ctx.random.random()
    two = ctx.random.choice(["a", "b"])
    three = ctx.step.run("token", secrets.token_hex, 8)
    four = ctx.step.run("winner", lambda: random.choice(ctx.event.data["names"]))
    five = random.Random(ctx.run_id).random()
    six = np.random.default_rng(7).integers(3)
    same = secrets.compare_digest(ctx.event.data["given"], ctx.event.data["known"])
    return [one, two, three, four, five, str(six), same]

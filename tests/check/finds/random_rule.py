import os
import random as r
import secrets
from random import choice

import numpy as np

from lambda_durable import AsyncContext, Context, Durable

app = Durable("shop")


dice = r.Random()


@app.function("draws")
def draws(ctx: Context[dict]) -> list:
    one = r.random()  # finds: random
    two = choice([1, 2])  # finds: random
    three = secrets.token_hex(8)  # finds: random
    four = os.urandom(4)  # finds: random
    five = np.random.rand(3)  # finds: random
    six = dice.randint(1, 6)  # finds: random
    seven = r.SystemRandom().random()  # finds: random
    ctx.step.run("a", print)
    r.shuffle(ctx.event.data["items"])  # finds: random
    return [one, two, three, four, five, six, seven]

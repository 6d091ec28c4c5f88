from lambda_durable import AsyncContext, Context, Durable

app = Durable("shop")


SEEN = []
LIMITS = {"free": 1, "team": 5}


class Tally:
    def __init__(self) -> None:
        self.total = 0

    def add(self, number: int) -> None:
        self.total += number


@app.function("counts")
def counts(ctx: Context[dict]) -> int:
    tally = Tally()
    tally.add(ctx.step.run("count", int))
    SEEN.append(ctx.run_id)  # for a test, which reads it
    return tally.total + LIMITS[ctx.event.data["plan"]]

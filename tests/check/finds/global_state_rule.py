from lambda_durable import AsyncContext, Context, Durable

app = Durable("shop")


RUNS = []
COUNT = 0


class Tally:
    def __init__(self) -> None:
        self.total = 0

    def add(self, number: int) -> None:
        self.total += number  # finds: global-state


tally = Tally()


@app.function("counts")
def counts(ctx: Context[dict]) -> int:
    global COUNT
    COUNT += 1  # finds: global-state
    RUNS.append(ctx.run_id)  # finds: global-state
    tally.add(ctx.step.run("count", int))
    return COUNT + len(RUNS) + tally.total

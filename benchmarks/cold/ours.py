"""A cold start of `lambda_durable`: import, clients, and a first invocation that does a run of one step."""

import time

began = time.perf_counter()

from lambda_durable import Context, Durable

app = Durable("bench")


@app.function("sequence-all", steps_per_invocation="all")
def sequence(ctx: Context[dict[str, int]]) -> int:
    return ctx.step.run("s0", len, "x")


handler = app.handler

if __name__ == "__main__":
    from measuring import first

    first(handler, began)

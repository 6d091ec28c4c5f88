"""A runtime whose state is read by several threads at once, as `dev` with its dashboard does."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

from lambda_durable import Context, Durable

THREADS = 8


def test_threads_that_read_runs_do_not_take_them_from_each_other(durable):
    app = Durable("app")

    @app.function("f")
    def f(ctx: Context[dict]) -> dict:
        return ctx.event.data

    rt = durable(app)
    for n in range(THREADS):
        rt.start(f, {"n": n}, run_id=f"r{n}")
    rt.drain()

    def look(n):
        return [rt.client.get(f"r{n}").output["n"] for _ in range(100)]

    with ThreadPoolExecutor(THREADS) as pool:
        assert list(pool.map(look, range(THREADS))) == [[n] * 100 for n in range(THREADS)]
    assert {run.run_id for run in rt.client.runs()} == {f"r{n}" for n in range(THREADS)}

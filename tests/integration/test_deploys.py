"""What is said of a run that lived through a deploy."""

from __future__ import annotations

from lambda_durable import Context, Durable


def test_a_step_that_was_renamed_runs_again_and_its_old_name_is_marked(durable):
    done = []

    def version(*names):
        app = Durable("app")

        @app.function("f")
        def f(ctx: Context) -> None:
            for name in names:
                ctx.step.run(name, done.append, name)
            ctx.step.sleep("night", "8h")
            ctx.step.run("end", done.append, "end")

        return app

    rt = durable(version("fetch", "charge"))
    run = rt.start(rt._app.functions["f"])
    rt.advance("1h")
    rt.deploy(version("fetch", "charge-card"))
    rt.drain()

    ended = rt.get(run.run_id)
    assert done == ["fetch", "charge", "charge-card", "end"]
    assert {step.id: step.unused for step in ended.steps.values()} == {
        "fetch": False,
        "charge": True,
        "charge-card": False,
        "night": False,
        "end": False,
    }

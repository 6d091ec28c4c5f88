"""The shop, with a function whose user writes markup wherever there is room for text."""

from shop import app

from lambda_durable import Context, Retry, on_event

handler = app.handler

HOSTILE = "<img src=x onerror=window.hacked=1>\"'><svg onload=window.hacked=1>"


def refuse() -> None:
    raise ValueError(HOSTILE)


@app.function("hostile", on_event(HOSTILE), retry=Retry.never(), labels=lambda event: [HOSTILE])
def hostile(ctx: Context[dict]) -> str:
    ctx.publish(HOSTILE, HOSTILE)
    ctx.publish(f"{HOSTILE} long", {HOSTILE: [HOSTILE] * 9})
    ctx.step.run(HOSTILE, lambda: {HOSTILE: HOSTILE})
    ctx.step.wait_for_signal(f"{HOSTILE} waits", HOSTILE, timeout="2d")
    ctx.step.run(f"{HOSTILE} fails", refuse)
    return HOSTILE

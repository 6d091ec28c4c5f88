import contextlib

from lambda_durable import StepError

from lambda_durable import AsyncContext, Context, Durable

app = Durable("shop")


def careful() -> int:
    try:
        return int("x")
    except:
        return 0


@app.function("catches")
def catches(ctx: Context[dict]) -> str:
    try:
        ctx.step.run("a", print)
    except StepError:
        ctx.step.run("undo-a", print)
    try:
        ctx.step.run("b", print)
    except Exception as error:
        ctx.logger.warning(str(error))
    try:
        ctx.step.run("c", print)
    except BaseException:
        ctx.logger.warning("left")
        raise
    try:
        ctx.step.run("d", careful)
    except BaseException as error:
        if isinstance(error, StepError):
            return "failed"
        raise error
    try:
        number = int(ctx.event.data["number"])
    except:
        number = 0
    with contextlib.suppress(StepError):
        ctx.step.run("e", print, number)
    try:
        ctx.step.run("f", print)
    finally:
        ctx.logger.info("over")
    return "out"

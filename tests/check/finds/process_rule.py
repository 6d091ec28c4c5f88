import asyncio
import os
import subprocess

from lambda_durable import AsyncContext, Context, Durable

app = Durable("shop")


@app.function("programs")
def programs(ctx: Context[dict]) -> list:
    ctx.step.run("a", print)
    os.system("ls")  # finds: process
    return subprocess.run(["ls"], check=True, capture_output=True).stdout  # finds: process


@app.function("async-programs")
async def async_programs(ctx: AsyncContext[dict]) -> None:
    await ctx.step.run("a", print)
    await asyncio.create_subprocess_exec("ls")  # finds: process

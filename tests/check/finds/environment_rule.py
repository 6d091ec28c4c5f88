import os
import platform
import socket
import sys
from os import environ, getenv

from lambda_durable import AsyncContext, Context, Durable

app = Durable("shop")


@app.function("settings")
def settings(ctx: Context[dict]) -> list:
    one = os.environ["TABLE"]  # finds: environment
    two = os.environ.get("STAGE")  # finds: environment
    three = getenv("STAGE", "dev")  # finds: environment
    four = "DEBUG" in environ  # finds: environment
    five = [os.getpid(), socket.gethostname(), platform.node()]  # finds: environment, environment, environment
    ctx.step.run("a", print, sys.argv[1])  # finds: environment
    return [one, two, three, four, five]

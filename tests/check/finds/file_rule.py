import glob
import os
import shutil
import tempfile
from pathlib import Path

from lambda_durable import AsyncContext, Context, Durable

app = Durable("shop")


def read_config() -> str:
    return open("/tmp/config.json").read()  # finds: file


@app.function("files")
def files(ctx: Context[dict]) -> list:
    one = read_config()
    two = (Path("/tmp") / "a.txt").read_text()  # finds: file
    Path("/tmp/b.txt").with_suffix(".md").write_text("x")  # finds: file
    three = os.listdir("/tmp")  # finds: file
    if os.path.exists("/tmp/c"):  # finds: file, unstable-branch
        ctx.step.run("c", print)
    shutil.copy("/tmp/a", "/tmp/b")  # finds: file
    with tempfile.TemporaryDirectory() as folder:  # finds: file
        ctx.step.run("a", print, folder)
    return [one, two, three, glob.glob("*.txt")]  # finds: file

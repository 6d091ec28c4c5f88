import os
from pathlib import Path, PurePosixPath

from lambda_durable import AsyncContext, Context, Durable

app = Durable("shop")


PRICES = Path(__file__).with_name("prices.json")


def read_config() -> str:
    with open("/tmp/config.json") as file:
        return file.read()


@app.function("files")
def files(ctx: Context[dict]) -> list:
    one = ctx.step.run("config", read_config)
    two = ctx.step.run("prices", PRICES.read_text)
    key = PurePosixPath("reports") / ctx.run_id / "report.pdf"
    ctx.step.run("write", lambda: Path("/tmp/b.txt").write_text("x"))
    name = os.path.basename(ctx.event.data["path"])
    return [one, two, str(key), key.suffix, name, Path(name).stem, "a".replace("a", "b")]

import subprocess

from lambda_durable import AsyncContext, Context, Durable

app = Durable("shop")


def pages(path: str) -> int:
    done = subprocess.run(["pdfinfo", path], check=True, capture_output=True, text=True)
    return done.stdout.count("Page")


@app.function("programs")
def programs(ctx: Context[dict]) -> int:
    return ctx.step.run("pages", pages, "/tmp/a.pdf")

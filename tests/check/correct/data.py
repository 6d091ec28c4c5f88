"""Data: fan-out and fan-in, pages, imports, reports, schedules."""

from __future__ import annotations

import csv
import io
import itertools
import json
import tempfile
from collections import Counter, defaultdict
from collections.abc import Iterator
from datetime import timedelta
from hashlib import sha256
from operator import itemgetter
from pathlib import Path
from typing import Any

import boto3

from lambda_durable import (
    AsyncContext,
    Batch,
    Context,
    Debounce,
    Durable,
    Event,
    Schedule,
    Singleton,
    StepError,
    Throttle,
    cron,
    every,
    on_event,
)

app = Durable("data", steps_per_invocation="all")
s3 = boto3.client("s3", region_name="us-east-1")
BUCKET = "data"


def read(key: str) -> str:
    return s3.get_object(Bucket=BUCKET, Key=key)["Body"].read().decode()


def write(key: str, body: str) -> str:
    s3.put_object(Bucket=BUCKET, Key=key, Body=body)
    return key


def keys_of(prefix: str) -> list[str]:
    return [item["Key"] for item in s3.list_objects_v2(Bucket=BUCKET, Prefix=prefix)["Contents"]]


def count_words(key: str) -> dict[str, int]:
    return dict(Counter(read(key).split()))


@app.function("word-count")
def word_count(ctx: Context[dict]) -> dict[str, int]:
    """Map and reduce."""
    keys = ctx.step.run("list", keys_of, ctx.event.data["prefix"])
    counts = ctx.step.map("count", count_words, keys, key=lambda key: key, max_concurrency=10)
    total: Counter[str] = Counter()
    for each in counts:
        total.update(each)
    return dict(total.most_common(10))


@app.function("pages")
def pages(ctx: Context[dict]) -> int:
    """A cursor that each page gives for the next."""
    cursor, seen = None, 0
    for page in itertools.count():
        found = ctx.step.run(f"page-{page}", fetch_page, cursor)
        seen += len(found["items"])
        cursor = found.get("next")
        if not cursor:
            break
    return seen


def fetch_page(cursor: str | None) -> dict[str, Any]:
    return dict(json.loads(read(f"pages/{cursor or 'first'}.json")))


@app.function("import-file", on_event("Object Created"))
def import_file(ctx: Context[dict]) -> dict[str, int]:
    """A file in chunks, each in a step; what is refused is counted."""
    key = ctx.event.data["object"]["key"]
    rows = ctx.step.run("rows", lambda: list(csv.DictReader(io.StringIO(read(key)))))
    chunks = [rows[start : start + 100] for start in range(0, len(rows), 100)]
    results = ctx.step.map("store", store_rows, chunks, return_exceptions=True)
    stored = sum(result for result in results if not isinstance(result, StepError))
    return {"stored": stored, "refused": len(rows) - stored}


def store_rows(rows: list[dict[str, str]]) -> int:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "rows.json"
        path.write_text(json.dumps(rows))
        s3.upload_file(str(path), BUCKET, f"rows/{sha256(path.read_bytes()).hexdigest()}")
    return len(rows)


@app.function("thumbnails")
def thumbnails(ctx: Context[dict]) -> dict[str, list[str]]:
    """Branches of several steps each."""

    def one(key: str) -> str:
        raw = ctx.step.run("read", read, key)
        return ctx.step.run("write", write, f"small/{key}", raw[:100])

    by_kind: dict[str, list[str]] = defaultdict(list)
    made = ctx.step.map_group("each", one, ctx.event.data["keys"], max_concurrency=4)
    for key in made:
        by_kind[key.rpartition(".")[2]].append(key)
    return dict(by_kind)


@app.function("quotes")
def quotes(ctx: Context[dict]) -> dict[str, Any]:
    """The first two of three answers."""
    asked = [ctx.step.submit(f"ask-{name}", read, f"quotes/{name}") for name in ("a", "b", "c")]
    done, pending = ctx.step.wait(asked, return_when="FIRST_COMPLETED")
    first = [json.loads(future.result()) for future in done]
    if not first and pending:
        first = [json.loads(pending[0].result())]
    return dict(min(first, key=itemgetter("price")))


@app.function("both-sides")
def both_sides(ctx: Context[dict]) -> int:
    left, right = ctx.step.parallel(
        "sides",
        lambda: sum(ctx.step.map("left", len, ctx.event.data["left"])),
        lambda: sum(ctx.step.map("right", len, ctx.event.data["right"])),
    )
    return left - right


@app.function("nightly", [cron("0 3 * * *"), on_event("report.asked")], singleton=Singleton())
def nightly(ctx: Context[dict | Schedule]) -> str:
    """The day before, in a schedule's or an event's own time."""
    day = (ctx.event.time - timedelta(days=1)).date()
    totals = ctx.step.run("totals", totals_of, day.isoformat())
    body = "\n".join(f"{name}: {total}" for name, total in sorted(totals.items()))
    return ctx.step.run("store", write, f"reports/{day:%Y/%m/%d}.txt", body)


def totals_of(day: str) -> dict[str, int]:
    return dict(json.loads(read(f"totals/{day}.json")))


@app.function("heartbeat", every("15m"))
def heartbeat(ctx: Context) -> None:
    late = ctx.step.run("late", lambda: [key for key in keys_of("jobs/") if key.endswith(".late")])
    if late:
        ctx.step.send_event("tell", *(Event("job.late", {"key": key}) for key in late))


@app.function("ingest", on_event("reading"), batch=Batch(100, "30s"))
def ingest(ctx: Context[dict]) -> int:
    rows = [event.data for event in ctx.events]
    newest = max(rows, key=itemgetter("at"))
    ctx.step.run("store", write, f"readings/{ctx.run_id}.json", json.dumps(rows))
    ctx.step.run("newest", write, "newest.json", json.dumps(newest))
    return len(rows)


@app.function("reindex", on_event("document.saved"), debounce=Debounce("30s", key="event.data.id"))
def reindex(ctx: Context[dict]) -> None:
    text = ctx.step.run("read", read, f"documents/{ctx.event.data['id']}")
    ctx.step.run("index", write, f"index/{ctx.event.data['id']}", " ".join(sorted(set(text.split()))))


@app.function("sync", throttle=Throttle(10, "1m"))
def sync(ctx: Context[dict]) -> int:
    """What is there and not here, whatever the order of a set."""
    here = set(ctx.step.run("here", keys_of, "here/"))
    there = set(ctx.step.run("there", keys_of, "there/"))
    for key in there - here:
        ctx.step.run(f"copy-{key}", write, key, "x")
    ctx.step.map("remove", remove, here - there, key=str)
    return len(here ^ there)


def remove(key: str) -> None:
    s3.delete_object(Bucket=BUCKET, Key=key)


def batches(items: list[str], size: int) -> Iterator[list[str]]:
    for start in range(0, len(items), size):
        yield items[start : start + size]


@app.function("backfill")
async def backfill(ctx: AsyncContext[dict]) -> int:
    done = 0
    for number, batch in enumerate(batches(ctx.event.data["keys"], 50)):
        copied = await ctx.step.map(f"batch-{number}", read, batch)
        done += len(copied)
        if number % 10 == 9:
            await ctx.step.sleep(f"breathe-{number}", "1m")
    return done

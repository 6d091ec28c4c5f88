"""AWS services' own events start functions as any other event does."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from pydantic import BaseModel, Field

from lambda_durable import Context, Durable, Event, on_event
from lambda_durable.testing import Faults

EVENTS = Path(__file__).parents[2] / "events"
UPLOADED = datetime(2026, 3, 2, 12, 22, 55, tzinfo=UTC)


class Bucket(BaseModel):
    name: str


class Object(BaseModel):
    key: str
    size: int
    version: str = Field(alias="version-id")


class Upload(BaseModel):
    bucket: Bucket
    object: Object


@pytest.fixture
def created() -> dict[str, Any]:
    return json.loads((EVENTS / "object-created.json").read_text())


@pytest.fixture
def app() -> Durable:
    app = Durable("archive")

    @app.function("scan", on_event("Object Created", Upload, if_exp='event.data.bucket.name == "uploads"'))
    def scan(ctx: Context[Upload]) -> list[Any]:
        upload = ctx.event.data
        key = ctx.step.run("scan", lambda: upload.object.key.upper())
        return [key, upload.object.size, upload.object.version, ctx.event.source]

    @app.function("audit", on_event("*", if_exp='event.source == "aws.s3"'))
    def audit(ctx: Context[dict[str, Any]]) -> str:
        return ctx.event.data["reason"]

    return app


def outputs(rt: Any) -> dict[str, Any]:
    rt.drain()
    return {run.function_id: rt.get(run.run_id).output for run in rt.runs()}


def test_an_upload_to_s3_starts_what_wants_it(durable, app, created):
    rt = durable(app, start=UPLOADED)
    rt.deliver(created)
    assert outputs(rt) == {
        "scan": ["INVOICES/2026-02.PDF", 48213, "IYV3p45BT0ac8hjHg1houSdS1a.Mro8e", "aws.s3"],
        "audit": "PutObject",
    }


def test_a_condition_sees_the_service_s_fields(durable, app, created):
    created["detail"]["bucket"]["name"] = "other"
    rt = durable(app, start=UPLOADED)
    rt.deliver(created)
    assert set(outputs(rt)) == {"audit"}


def test_eventbridge_s_id_is_the_dedupe_key(durable, app, created):
    rt = durable(app, start=UPLOADED)
    for _ in range(2):
        rt.deliver(created)
        rt.drain()
    assert len(list(rt.runs())) == 2
    rt.deliver({**created, "id": "another"})
    rt.drain()
    assert len(list(rt.runs())) == 4


@pytest.mark.parametrize("late", ["0s", "7d"])
def test_an_event_of_the_past_starts_at_once(durable, app, created, late):
    rt = durable(app, start=UPLOADED)
    rt.advance(late)
    arrived = rt.now()
    rt.deliver(created)
    rt.advance("0s")
    runs = [rt.get(run.run_id) for run in rt.runs()]
    assert {run.status for run in runs} == {"completed"}
    assert all(run.event.time == UPLOADED for run in runs)
    assert all(run.started_at == arrived for run in runs)


def test_an_event_whose_clock_is_a_little_ahead_starts_at_once(durable, app, created):
    rt = durable(app, start=UPLOADED - timedelta(seconds=2))
    rt.deliver(created)
    rt.advance("0s")
    assert [run.status for run in rt.runs()] == ["completed", "completed"]


def test_an_event_of_the_future_starts_then(durable, app):
    rt = durable(app, start=UPLOADED)
    rt.send(Event("Object Created", {"reason": "later"}, source="aws.s3", time=UPLOADED + timedelta(days=2)))
    rt.advance("47h")
    assert {run.status for run in rt.runs()} == {"queued"}
    rt.advance("1h")
    audit = rt.get(next(rt.runs("audit")).run_id)
    assert (audit.output, audit.started_at) == ("later", UPLOADED + timedelta(days=2))


def test_what_a_model_refuses_is_a_failed_run_that_names_the_field(durable, app, created):
    del created["detail"]["object"]["size"]
    rt = durable(app, start=UPLOADED)
    rt.deliver(created)
    rt.drain()
    run = rt.get(next(rt.runs("scan")).run_id)
    assert run.status == "failed"
    assert "data.object.size" in run.error.message


@pytest.mark.parametrize("seed", range(10))
def test_under_faults_each_upload_starts_one_run_of_each_function(durable, app, created, seed):
    rt = durable(app, start=UPLOADED, faults=Faults(), seed=seed)
    for number in range(5):
        rt.deliver({**created, "id": f"upload-{number}"})
    rt.drain()
    assert sorted(run.function_id for run in rt.runs()) == ["audit"] * 5 + ["scan"] * 5
    assert {run.status for run in rt.runs()} == {"completed"}


@pytest.mark.parametrize("missing", ["id", "detail-type", "source", "time", "detail"])
def test_what_eventbridge_would_not_deliver_is_refused(durable, app, created, missing):
    del created[missing]
    with pytest.raises(AssertionError, match=f"has no {missing}"):
        durable(app).deliver(created)

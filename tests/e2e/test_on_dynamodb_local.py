"""The store's contract on DynamoDB Local: Amazon's own reading of every expression that we send."""

from __future__ import annotations

import json
import os
import subprocess
import sys

import pytest
from emulated_dynamodb import dynamodb_local
from toolbox import ROOT

from lambda_durable.aws.table import LABEL_SHARDS, SHARDS


@pytest.fixture
def endpoint(tmp_path):
    with dynamodb_local(tmp_path) as endpoint:
        yield endpoint


def test_the_store_keeps_its_contract(endpoint):
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "tests/conformance", "-k", "dynamodb-local"],
        cwd=ROOT,
        env={**os.environ, "DYNAMODB_LOCAL_ENDPOINT": endpoint},
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    assert done.returncode == 0, done.stdout[-8000:]
    assert " passed" in done.stdout


def test_a_page_is_a_query_a_shard_with_a_hundred_thousand_runs_in_the_table(endpoint):
    done = subprocess.run(
        [sys.executable, "-m", "tests.e2e.lists", endpoint, "100000"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=1200,
        check=False,
    )
    assert done.returncode == 0, done.stderr[-8000:]
    found = json.loads(done.stdout)["lists"]
    print(done.stdout)  # noqa: T201
    for name in ("the newest", "of a day, a while ago", "failed, one in ten", "by an expression"):
        assert found[name]["calls"] == {"Query": SHARDS, "BatchGetItem": 1}
    for status in ("cancelled", "cancelling", "compensating", "skipped"):
        assert found[f"{status}, one in ten thousand"]["calls"] == {"Query": SHARDS, "BatchGetItem": 1}
    for name in (
        "with a label, one in a hundred",
        "with it, of a day, a while ago",
        "with a label that one has",
    ):
        assert found[name]["calls"] == {"Query": LABEL_SHARDS, "BatchGetItem": 1}
    assert found["with it, and failed"]["calls"] == {
        "Query": 2 * LABEL_SHARDS,
        "BatchGetItem": 11,
    }  # nobody has both
    assert found["completed"]["calls"] == {"Query": SHARDS, "BatchGetItem": 2}
    assert found["queued, one in ten thousand"]["calls"] == {"Query": 2 * SHARDS, "BatchGetItem": 1}
    running = {
        "Query": 3 * SHARDS,
        "BatchGetItem": 1,
        "GetItem": 1,
    }  # what was not looked after yet, since when
    assert found["running, one in a thousand"]["calls"] == running

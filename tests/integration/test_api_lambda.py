"""The Lambda of the HTTP API, and what it costs a worker that there could be one: nothing."""

from __future__ import annotations

import json
import subprocess
import sys

import pytest

from lambda_durable import ConfigurationError, Durable
from lambda_durable.api.handler import ApiHandler

HTTP = {
    "version": "2.0",
    "rawPath": "/v1/functions",
    "rawQueryString": "",
    "headers": {},
    "requestContext": {"http": {"method": "GET", "path": "/v1/functions"}, "stage": "$default"},
}


def test_a_worker_imports_nothing_of_it():
    code = """
import sys
from lambda_durable import Durable
app = Durable("shop")
app.handler
kept_out = ("lambda_durable.api", "lambda_durable.doctor", "aws_lambda_powertools.event_handler")
sys.exit(", ".join(name for name in sys.modules if name.startswith(kept_out)) or None)
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")


@pytest.mark.parametrize("http_api", ["all", "callbacks", "callbacks-public"])
def test_the_handler_is_the_api_where_the_template_says_so(monkeypatch, http_api):
    monkeypatch.setenv("LAMBDA_DURABLE_HTTP_API", http_api)
    app = Durable("shop")
    assert app.handler is app.api_handler
    assert isinstance(app.handler, ApiHandler)


def test_where_it_is_not_set_up_the_answer_tells_no_names_and_the_log_does(monkeypatch, caplog):
    monkeypatch.delenv("LAMBDA_DURABLE_HTTP_API", raising=False)
    for name in ("TABLE", "BUCKET", "QUEUE_URL", "BUS"):
        monkeypatch.delenv(f"LAMBDA_DURABLE_{name}", raising=False)
    monkeypatch.setenv("AWS_LAMBDA_FUNCTION_NAME", "api")
    answer = Durable("shop").api_handler(HTTP, None)
    assert answer["statusCode"] == 500
    assert "LAMBDA_DURABLE" not in answer["body"]
    assert "LAMBDA_DURABLE_TABLE" in caplog.text
    assert json.loads(answer["body"])["error"]["type"] == "InternalError"


def test_what_is_no_request_is_an_error():
    with pytest.raises(ConfigurationError, match="function URL"):
        Durable("shop").api_handler({"Records": []}, None)


def test_a_scope_that_nobody_knows_is_an_error_in_the_log(monkeypatch, caplog):
    monkeypatch.setenv("LAMBDA_DURABLE_HTTP_API", "everything")
    assert Durable("shop").handler(HTTP, None)["statusCode"] == 500
    assert "is all or callbacks" in caplog.text

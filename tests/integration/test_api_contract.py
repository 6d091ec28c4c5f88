"""The HTTP API keeps to its own description, whatever it is asked: no 5xx, no answer of another shape."""

from __future__ import annotations

from typing import Any

import pytest
import schemathesis
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis.errors import Unsatisfiable
from schemathesis.checks import not_a_server_error
from schemathesis.generation import GenerationMode
from schemathesis.specs.openapi import checks

from lambda_durable import Context, Durable, Event, on_event
from lambda_durable.aws.dead_letters import Letter
from lambda_durable.runtime.messages import Continuation
from lambda_durable.testing import LocalRuntime
from tests.http_api import api_of
from tests.integration.test_api_waits_and_trouble import Letters

TAGS = ("functions", "runs", "bulk", "events", "waits", "callbacks", "trouble")

EXAMPLES = 20
"""Requests of each kind to each route."""

KEPT = (
    not_a_server_error,
    checks.status_code_conformance,
    checks.content_type_conformance,
    checks.response_schema_conformance,
    checks.negative_data_rejection,
    checks.unsupported_method,
)


def wsgi(api: Any) -> Any:
    """An API as a WSGI application."""

    def application(environ: dict[str, Any], start_response: Any) -> list[bytes]:
        path, query = environ["RAW_URI"].partition("?")[0], environ["QUERY_STRING"]
        body = environ["wsgi.input"].read()
        headers = {
            name.removeprefix("HTTP_").replace("_", "-").lower(): value
            for name, value in environ.items()
            if name.startswith("HTTP_") or name == "CONTENT_TYPE"
        }
        given = api.raw(environ["REQUEST_METHOD"], path, body or None, query, headers=headers)
        start_response(f"{given.status} -", [(name, str(value)) for name, value in given.headers.items()])
        return [given.text.encode()]

    return application


@pytest.fixture(scope="module")
def schema():
    """The API, by its description, of an app where there is one of everything."""
    app = Durable("shop")

    @app.function("f", on_event("e"))
    def f(ctx: Context[dict]) -> object:
        ctx.step.run("a", lambda: 1)
        return ctx.step.wait_for_callback("ask", timeout="1d")

    rt = LocalRuntime(app)
    rt.start(f, {}, run_id="r")
    rt.send(Event("e", id="i"))
    rt.advance("1m")
    api = api_of(rt, letters=Letters(Letter(body=Continuation(run="r").body(), message_id="m")))
    return schemathesis.openapi.from_wsgi("/openapi.json", wsgi(api))


@pytest.mark.parametrize("tag", TAGS)
@pytest.mark.parametrize(
    "mode", [GenerationMode.POSITIVE, GenerationMode.NEGATIVE], ids=lambda mode: mode.value
)
def test_what_is_asked_is_answered_as_described(schema, tag, mode):
    asked = 0
    for operation in operations(schema, tag):

        @settings(
            max_examples=EXAMPLES,
            derandomize=True,
            database=None,
            deadline=None,
            phases=[Phase.explicit, Phase.generate],
            suppress_health_check=list(HealthCheck),
        )
        @given(operation.as_strategy(generation_mode=mode))
        def ask(case):
            case.call_and_validate(checks=KEPT)

        try:
            ask()
        except Unsatisfiable:
            assert mode is GenerationMode.NEGATIVE  # of a route that takes nothing, or any text
        else:
            asked += 1
    assert asked


def operations(schema, tag):
    found = (result.ok() for result in schema.get_all_operations())
    return [each for each in found if each.definition.raw["tags"] == [tag]]


def test_every_route_is_asked(schema):
    paths = schema.raw_schema["paths"].values()
    assert {tag for path in paths for each in path.values() for tag in each["tags"]} == {*TAGS}

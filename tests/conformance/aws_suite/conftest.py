"""Each behaviour is shown by sync and async handlers, and however much one invocation does."""

from __future__ import annotations

import pytest

from lambda_durable import Durable
from tests.flavours import FLAVOURS
from tests.log_lines import Lines


@pytest.fixture(params=[1, "all", "auto"], ids=str)
def mode(request):
    return request.param


@pytest.fixture(params=FLAVOURS, ids=lambda flavour: flavour.name)
def flavour(request):
    return request.param


@pytest.fixture
def app(mode):
    return Durable("suite", steps_per_invocation=mode)


@pytest.fixture
def play(durable, app, flavour):
    """Runs a body to the end of its run."""

    def play(body, data=None):
        return durable(app).run(flavour.function(app, body), data)

    return play


@pytest.fixture
def calls():
    """What the functions of steps were called with: `calls.append` and `fail` are such functions."""
    return []


@pytest.fixture
def fail(calls):
    def fail(*args):
        calls.append("failed")
        raise ValueError("it is broken")

    return fail


@pytest.fixture
def lines():
    """What function "f" logs."""
    lines = Lines("f")
    yield lines
    lines.close()

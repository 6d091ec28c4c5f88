"""Each feature is shown by sync and async handlers, and however much one invocation does."""

from __future__ import annotations

import pytest

from lambda_durable import Durable, Retry
from tests.flavours import FLAVOURS


@pytest.fixture(params=[1, "all", "auto"], ids=str)
def mode(request):
    return request.param


@pytest.fixture(params=FLAVOURS, ids=lambda flavour: flavour.name)
def flavour(request):
    return request.param


@pytest.fixture
def app(mode):
    return Durable("shop", steps_per_invocation=mode, retry=Retry.fixed("10s", 3))


@pytest.fixture
def make(app, flavour):
    """Makes a function of a generator that yields its steps."""

    def make(body, *triggers, id="f", **options):
        return flavour.function(app, body, id=id, triggers=list(triggers), **options)

    return make

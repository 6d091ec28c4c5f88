"""A share of what scripts/fuzz tries for as long as it is given: the same inputs each time."""

from __future__ import annotations

import logging

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.fuzz.targets import TARGETS

SLOW = {"queue_messages", "sqs_batches", "lambda_events", "damaged_items"}


@pytest.mark.parametrize("target", TARGETS, ids=lambda target: target.__name__)
def test_whatever_comes_in_is_worked_on_or_refused(target, caplog):
    caplog.set_level(logging.CRITICAL, "lambda_durable")

    @settings(max_examples=25 if target.__name__ in SLOW else 100)
    @given(st.data())
    def fuzzed(data):
        target(data)

    fuzzed()

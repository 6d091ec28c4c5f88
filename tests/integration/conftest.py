"""What every test here finds as it was."""

from __future__ import annotations

import sys

import pytest


@pytest.fixture(autouse=True)
def tracebacks(monkeypatch):
    """Their length, which a worker on Lambda sets for all of its process."""
    monkeypatch.setattr(sys, "tracebacklimit", 1000, raising=False)

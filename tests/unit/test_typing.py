"""The types of the public API, as a user's mypy sees them."""

from __future__ import annotations

from pathlib import Path

import pytest
from mypy import api

ROOT = Path(__file__).parents[2]


def test_mypy_agrees_with_the_examples_of_right_and_wrong_use(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(ROOT)

    report, _, status = api.run(["tests/typing"])

    assert status == 0, report

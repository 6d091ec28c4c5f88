"""The table is complete, and says what is there."""

from __future__ import annotations

from collections import Counter
from importlib import import_module
from pathlib import Path

import pytest

from tests.conformance.aws_suite.table import (
    BEHAVIOURS,
    IN_HANDLER_CODE,
    NO_COUNTERPART,
    SCENARIOS,
    outcome,
)

HERE = Path(__file__)
PAGE = HERE.parents[3] / "docs" / "conformance.md"


def test_every_scenario_is_shown_or_has_a_reason_why_not():
    shown = {name for tests in BEHAVIOURS.values() for names in tests.values() for name in names.split()}
    without = Counter(name for names in NO_COUNTERPART.values() for name in names.split())
    assert len(SCENARIOS) == len(set(SCENARIOS)) == 155
    assert shown | without.keys() == set(SCENARIOS)
    assert not shown & without.keys()
    assert set(without.values()) == {1}


def test_every_module_is_in_the_table():
    assert {path.stem for path in HERE.parent.glob("test_*.py")} - {HERE.stem} == BEHAVIOURS.keys()


@pytest.mark.parametrize("module", BEHAVIOURS)
def test_every_test_is_in_the_table(module):
    tests = vars(import_module(f"tests.conformance.aws_suite.{module}"))
    assert [name for name in tests if name.startswith("test_")] == list(BEHAVIOURS[module])


def test_the_docs_say_what_the_table_does():
    page = " ".join(PAGE.read_text().split())
    assert " ".join(outcome().split()) in page
    for reason, names in NO_COUNTERPART.items():
        assert f"| {reason} | {names.replace(' ', ', ')} |" in page
    tests = {test for names in BEHAVIOURS.values() for test in names}
    assert IN_HANDLER_CODE.keys() <= tests
    for what in IN_HANDLER_CODE.values():
        assert what.capitalize() in page

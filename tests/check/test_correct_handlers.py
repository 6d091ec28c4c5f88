"""Handlers that are right, in the style of public examples of durable execution: none of them is found fault with."""

from __future__ import annotations

import importlib.util
import sys
from pathlib import Path

import pytest

from lambda_durable import Durable
from lambda_durable.check import check

CORRECT = Path(__file__).parent / "correct"


def test_nothing_is_found_in_handlers_that_are_right():
    report = check([CORRECT])
    assert [(each.path, each.line, each.rule, each.told) for each in (*report.findings, *report.notes)] == []
    assert report.handlers >= 30


@pytest.mark.parametrize("path", sorted(CORRECT.glob("*.py")), ids=lambda path: path.stem)
def test_they_are_functions_of_an_app(path, monkeypatch):
    spec = importlib.util.spec_from_file_location(f"correct_{path.stem}", path)
    module = importlib.util.module_from_spec(spec)
    monkeypatch.setitem(sys.modules, spec.name, module)
    spec.loader.exec_module(module)
    assert isinstance(module.app, Durable)
    assert len(module.app.functions) >= 5

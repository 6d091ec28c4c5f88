"""docs/security.md: each of its lines names a test that is there."""

from __future__ import annotations

import ast
import re
from functools import cache
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
LINES = (ROOT / "docs/security.md").read_text(encoding="utf-8").splitlines()


def threats():
    """The rows of the tables that have a column of tests."""
    inside = False
    for line in LINES:
        if line.startswith("| what | what stops it | test |"):
            inside = True
        elif not line.startswith("|"):
            inside = False
        elif inside and not line.startswith("|---"):
            yield line


@cache
def names_in(path):
    tree = ast.parse((ROOT / path).read_text(encoding="utf-8"))
    return {node.name for node in ast.walk(tree) if isinstance(node, ast.FunctionDef)}


@pytest.mark.parametrize("line", [*threats()])
def test_a_threat_names_a_test_that_is_there(line):
    _, what, stops, test, _ = (cell.strip() for cell in line.split("|"))
    assert what
    assert stops
    path, name = re.fullmatch(r"`([\w/.]+)::(test_\w+)`", test).groups()
    assert name in names_in(path if "/" in path else f"tests/security/{path}")


def test_no_test_of_this_folder_is_missing_in_the_table():
    named = set(re.findall(r"`(test_\w+\.py)::test_", "\n".join(LINES)))
    here = {path.name for path in Path(__file__).parent.glob("test_*.py")}
    assert here - named == {"test_threat_model.py", "test_findings.py"}


def test_there_is_something_to_check():
    assert len(list(threats())) > 35

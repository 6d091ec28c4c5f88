"""What we show to others is clean: examples, the project that `init` writes, and the snippets of the docs."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from lambda_durable.check import RULES, check

ROOT = Path(__file__).parents[2]
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]
SNIPPET = re.compile(r"^```python\n(.*?)^```$", re.DOTALL | re.MULTILINE)


def told(report):
    return [f"{each.path}:{each.line} {each.rule} {each.told}" for each in (*report.findings, *report.notes)]


def test_the_examples_are_clean():
    report = check([ROOT / "functions"])
    assert told(report) == []
    assert report.handlers == 6


def test_the_project_that_init_writes_is_clean():
    report = check([ROOT / "lambda_durable/cli/project/src"])
    assert told(report) == []
    assert report.handlers == 1


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_the_snippets_of_a_page_are_clean(page, tmp_path):
    text = page.read_text()
    module = tmp_path / "page.py"
    lines = [""] * (text.count("\n") + 1)
    for found in SNIPPET.finditer(text):
        first = text.count("\n", 0, found.start(1))
        lines[first : first + found[1].count("\n")] = found[1].split("\n")[:-1]
    module.write_text("\n".join(lines))
    assert told(check([module])) == []


def test_the_page_of_the_rules_has_all_of_them():
    page = (ROOT / "docs/check.md").read_text()
    rows = re.findall(r"^\| `([a-z-]+)`", page, re.MULTILINE)
    assert rows == list(RULES)
    for rule in RULES.values():
        assert rule.title in page

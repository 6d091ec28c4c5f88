"""Every Python snippet of the README and the docs runs; the tests that they show pass."""

from __future__ import annotations

import inspect
import re
import sys
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType

import pytest

ROOT = Path(__file__).parents[2]
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]
SNIPPET = re.compile(r"^```python\n(.*?)^```$", re.DOTALL | re.MULTILINE)
LINK = re.compile(r"\]\((?!https?:)([^)#]+)")


def snippets(page: Path) -> Iterator[str]:
    """Its blocks, each at the line at which it stands, so that an error names the line of the page."""
    text = page.read_text()
    for found in SNIPPET.finditer(text):
        yield "\n" * text.count("\n", 0, found.start(1)) + found[1]


@pytest.fixture
def page_module(request, monkeypatch):
    """A page is a module: its snippets share what they define."""
    module = ModuleType(f"page_{request.param.stem.replace('-', '_')}")
    monkeypatch.setitem(sys.modules, module.__name__, module)
    for snippet in snippets(request.param):
        exec(compile(snippet, str(request.param), "exec"), vars(module))
    return module


def test_there_are_pages():
    assert {"README.md", "concepts.md", "steps.md", "testing.md"} <= {page.name for page in PAGES}


@pytest.mark.parametrize("page_module", PAGES, ids=lambda page: page.name, indirect=True)
def test_the_snippets_of_a_page_run_and_the_tests_in_them_pass(page_module, durable):
    for name, test in list(vars(page_module).items()):
        if name.startswith("test_"):
            test(**({"durable": durable} if "durable" in inspect.signature(test).parameters else {}))


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_the_links_of_a_page_lead_somewhere(page):
    for target in LINK.findall(page.read_text()):
        assert (page.parent / target).exists(), target

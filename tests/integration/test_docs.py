"""Every Python snippet of the README and the docs runs; the tests that they show pass."""

from __future__ import annotations

import inspect
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType

import pytest

import lambda_durable
from lambda_durable import ai, check, encryption, local, testing, verify

ROOT = Path(__file__).parents[2]
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md"))]
SNIPPET = re.compile(r"^```python\n(.*?)^```$", re.DOTALL | re.MULTILINE)
LINK = re.compile(r"\]\((?!https?:)([^)#]+)")


def name(page: Path) -> str:
    return str(page.relative_to(ROOT))


def snippets(page: Path) -> Iterator[str]:
    """Its blocks, each at the line at which it stands, so that an error names the line of the page."""
    text = page.read_text()
    for found in SNIPPET.finditer(text):
        yield "\n" * text.count("\n", 0, found.start(1)) + found[1]


@pytest.fixture
def page_module(request, monkeypatch):
    """A page is a module: its snippets share what they define."""
    module = ModuleType(re.sub(r"\W", "_", f"page_{name(request.param)}"))
    monkeypatch.setitem(sys.modules, module.__name__, module)
    for snippet in snippets(request.param):
        exec(compile(snippet, str(request.param), "exec"), vars(module))
    return module


def test_there_are_pages():
    assert {"README.md", "docs/concepts.md", "docs/migration/inngest.md"} <= {name(page) for page in PAGES}


@pytest.mark.parametrize("page_module", PAGES, ids=name, indirect=True)
def test_the_snippets_of_a_page_run_and_the_tests_in_them_pass(page_module, durable):
    for name, test in list(vars(page_module).items()):
        if name.startswith("test_"):
            test(**({"durable": durable} if "durable" in inspect.signature(test).parameters else {}))


@pytest.mark.parametrize("page", PAGES, ids=name)
def test_the_links_of_a_page_lead_somewhere(page):
    for target in LINK.findall(page.read_text()):
        assert (page.parent / target).exists(), target


@pytest.mark.parametrize(
    "module", [lambda_durable, ai, check, encryption, local, testing, verify], ids=lambda m: m.__name__
)
def test_every_public_name_is_on_a_page_of_the_api(module):
    pages = "".join(page.read_text() for page in (ROOT / "docs/api").glob("*.md"))
    shown = set(re.findall(rf"^::: {module.__name__}\.(\w+)$", pages, re.MULTILINE))
    types = {"Duration", "Prompt", "Trigger"}
    assert set(module.__all__) - types <= shown


def test_what_the_readme_shows_of_the_demo_is_what_it_prints():
    shown = re.search(r"^```text\n(.*?)^```$", (ROOT / "README.md").read_text(), re.DOTALL | re.MULTILINE)
    app, event = ROOT / "functions/checkout/app.py", ROOT / "events/checkout.json"
    command = [sys.executable, "-m", "lambda_durable", "run", str(app), "-e", str(event)]
    printed = subprocess.run(
        command, capture_output=True, text=True, timeout=120, check=True, cwd=ROOT
    ).stdout
    assert set(shown[1].splitlines()) <= set(printed.splitlines())

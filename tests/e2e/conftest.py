"""The end-to-end tests: on a local cloud, through the commands that a user types. scripts/e2e runs them."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from deployment import TOOK, Deployment, InfrastructureError
from toolbox import TOOLS, Clock, sam_cloud

from lambda_durable.local import CloudError, LocalCloud

INFRASTRUCTURE = 3
"""The exit status when what the product runs on failed."""

collect_ignore = (
    [] if TOOLS else [path.name for path in Path(__file__).parent.glob("test_on_*.py")]
)  # test_on_*: they need what scripts/e2e installs

LONGEST_FIRST = [
    "stacks",
    "dashboard",
    "dynamodb_local",
    "permissions",
    "chaos",
    "drift",
    "crowd",
    "containers",
]
"""Files that take long, a minute to four each: begun first, so that two processes end at about the same time."""

_sam_took: list[tuple[str, float]] = []
_broken: list[str] = []


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    ranks = {f"test_on_{name}.py": rank for rank, name in enumerate(LONGEST_FIRST)}
    items.sort(key=lambda item: ranks.get(item.path.name, len(ranks)))


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item, call: pytest.CallInfo[None]):
    """A report says more of what was beside the product, since it alone comes from xdist's worker to who counts."""
    report = yield
    report.sam_took = [TOOK.pop(0) for _ in list(TOOK)]
    if call.excinfo is not None and call.excinfo.errisinstance((CloudError, InfrastructureError)):
        report.broken = f"{item.nodeid}: {call.excinfo.value}"
    return report


def pytest_runtest_logreport(report: pytest.TestReport) -> None:
    _sam_took.extend(tuple(took) for took in getattr(report, "sam_took", ()))
    if hasattr(report, "broken"):
        _broken.append(report.broken)


def pytest_sessionfinish(session: pytest.Session) -> None:
    if _broken:
        session.exitstatus = INFRASTRUCTURE


def pytest_terminal_summary(terminalreporter) -> None:
    if _sam_took:
        terminalreporter.section("what sam took")
    for what, seconds in _sam_took:
        terminalreporter.write_line(f"{seconds:6.1f} s  {what}")
    for line in _broken:
        terminalreporter.write_line(f"INFRASTRUCTURE, not the product: {line}", red=True)


@pytest.fixture(scope="session")
def clock(tmp_path_factory) -> Clock:
    if TOOLS is not None and not (TOOLS / "clock.so").exists():
        pytest.skip("no C compiler to build the clock with")
    return Clock(tmp_path_factory.mktemp("clock") / "offset")


@pytest.fixture(scope="session")
def calls(tmp_path_factory) -> Path:
    """The file in which the Lambdas' calls are recorded."""
    return tmp_path_factory.mktemp("calls") / "calls.jsonl"


@pytest.fixture(scope="session")
def cloud(clock: Clock, calls: Path) -> Iterator[LocalCloud]:
    recorder = Path(__file__).parent / "recorder"
    environment = {**clock.environment, "PYTHONPATH": str(recorder), "LAMBDA_DURABLE_RECORD": str(calls)}
    with sam_cloud(environment) as cloud:
        yield cloud


@pytest.fixture(scope="session")
def deploy(cloud: LocalCloud, clock: Clock, tmp_path_factory) -> Callable[..., Deployment]:
    """Makes a Deployment, on a cloud that is thrown away with all that is on it."""

    def make(name: str, template: Path, **options: Any) -> Deployment:
        return Deployment(cloud, clock, name, template, tmp_path_factory.mktemp(name), **options)

    return make

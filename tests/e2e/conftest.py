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

_broken = pytest.StashKey[list[str]]()


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item, call: pytest.CallInfo[None]):
    if call.excinfo is not None and call.excinfo.errisinstance((CloudError, InfrastructureError)):
        item.config.stash.setdefault(_broken, []).append(f"{item.nodeid}: {call.excinfo.value}")
    return (yield)


def pytest_sessionfinish(session: pytest.Session) -> None:
    if session.config.stash.get(_broken, []):
        session.exitstatus = INFRASTRUCTURE


def pytest_terminal_summary(terminalreporter, config: pytest.Config) -> None:
    if TOOK:
        terminalreporter.section("what sam took")
    for what, seconds in TOOK:
        terminalreporter.write_line(f"{seconds:6.1f} s  {what}")
    for line in config.stash.get(_broken, []):
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

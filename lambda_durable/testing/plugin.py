"""The pytest plugin: the fixture `durable`."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any, Protocol

import pytest

if TYPE_CHECKING:
    from ..app import Durable
    from .local_runtime import LocalRuntime


class MakeRuntime(Protocol):
    def __call__(self, app: Durable, **options: Any) -> LocalRuntime: ...


@pytest.fixture
def durable() -> Iterator[MakeRuntime]:
    """Makes a LocalRuntime for an app; closes it when the test is over."""
    made: list[LocalRuntime] = []

    def make(app: Durable, **options: Any) -> LocalRuntime:
        from .local_runtime import LocalRuntime

        made.append(LocalRuntime(app, **options))
        return made[-1]

    yield make
    for runtime in made:
        runtime.close()

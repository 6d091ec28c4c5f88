"""Versions: on which code runs begin, and those that are pinned to it.

A message comes to the live version of the worker. Where its run is pinned to another one, the live one has that one
work on the very message, and acknowledges it once that is done with it. What a pinned run invokes, and what handles its
failure, begins on its version as well. One whose version was deleted fails, saying so; what it has to undo is then
undone by the live code.
"""

from __future__ import annotations

from typing import Any

from ..engine.code import Code
from ..engine.journal import Header
from ..errors import ConfigurationError, ErrorInfo
from ..function import Function
from ..ports import World


def code_of(world: World, function: Function[Any, Any] | None) -> Code:
    """The code that runs here."""
    return Code(function.version if function is not None else "", world.versions.present)


def is_elsewhere(world: World, header: Header) -> bool:
    """Whether a run is pinned to another version than the one that this is."""
    return header.pinned and header.code.release != world.versions.present


def pin(world: World, header: Header) -> str | None:
    """The version that what a run starts is to begin on, if it is pinned."""
    return header.code.release if header.pinned and not is_elsewhere(world, header) else None


def gone(header: Header) -> ErrorInfo:
    return ErrorInfo.of(
        ConfigurationError(
            f"run {header.run_id} of function {header.function_id!r} is pinned to {header.code.spelled()}, which was "
            "deleted; start it again, on the present code, and keep versions for as long as runs are pinned to them "
            "(`lambda-durable show` tells a run's)"
        )
    )

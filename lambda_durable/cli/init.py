"""`lambda-durable init`: a new project, ready to be tested and deployed."""

from __future__ import annotations

import json
from importlib import metadata
from pathlib import Path

from .scaffold import PYTHON, write
from .template import check_python
from .usage_error import UsageError


def create_project(directory: Path, *, python: str = PYTHON) -> list[Path]:
    """Write a project's files into a new or empty folder; returns them. Raises UsageError."""
    check_python(python)
    if directory.is_file():
        raise UsageError(f"{directory} is a file; name a folder that is new or empty")
    if directory.is_dir() and any(directory.iterdir()):
        raise UsageError(f"{directory} is not empty; name a folder that is new or empty")
    try:
        return write(directory, source=_source(), python=python)
    except ValueError as error:
        raise UsageError(str(error)) from None
    except OSError as error:
        raise UsageError(f"{error.filename} cannot be written: {error.strerror}") from None


def _source() -> str:
    """How pip gets this very library: from the folder that it was installed from, or its version from PyPI."""
    checkout = Path(__file__).parents[2]
    if (checkout / "pyproject.toml").is_file():
        return f" @ {checkout.as_uri()}"
    installed = metadata.distribution("lambda-durable")
    origin = json.loads(installed.read_text("direct_url.json") or "{}")
    if "dir_info" in origin:
        return f" @ {origin['url']}"
    return f"~={installed.version}"

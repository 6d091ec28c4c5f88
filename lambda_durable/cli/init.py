"""`lambda-durable init`: a new project, ready to be tested and deployed."""

from __future__ import annotations

import json
import re
from importlib import metadata
from pathlib import Path

from .template import PROJECT, PYTHON, Worker, fill, render
from .usage_error import UsageError

_LONGEST_NAME = 32  # a bus and a stack are named after it


def create_project(directory: Path, *, python: str = PYTHON) -> list[Path]:
    """Write a project's files into a new or empty folder; returns them. Raises UsageError."""
    name = _name(directory)
    if directory.is_file():
        raise UsageError(f"{directory} is a file; name a folder that is new or empty")
    if directory.is_dir() and any(directory.iterdir()):
        raise UsageError(f"{directory} is not empty; name a folder that is new or empty")
    template = render(Worker("src", "app.handler"), python=python)
    try:
        return [
            _write(directory, source.relative_to(PROJECT), source, name, python, template)
            for source in sorted(PROJECT.rglob("*"))
            if source.is_file() and source.suffix != ".pyc"
        ]
    except OSError as error:
        raise UsageError(f"{error.filename} cannot be written: {error.strerror}") from None


def _write(directory: Path, place: Path, source: Path, name: str, python: str, template: str) -> Path:
    target = directory / (place.with_name(".gitignore") if place.name == "gitignore" else place)
    text = template if place.name == "template.yaml" else source.read_text(encoding="utf-8")
    target.parent.mkdir(parents=True, exist_ok=True)
    filled = fill(
        text, name=name, python=python, requirement=_requirement(), dev_requirement=_requirement("[cli]")
    )
    target.write_text(filled, encoding="utf-8")
    return target


def _name(directory: Path) -> str:
    """A name for app and stack, from the folder's."""
    wanted = directory.resolve().name
    name = re.sub(r"[^a-z0-9]+", "-", wanted.lower()).strip("-")[:_LONGEST_NAME].strip("-")
    if not name or not name[0].isalpha():
        raise UsageError(
            f"app and stack are named after the folder, and {wanted!r} doesn't begin with a letter"
        )
    return name


def _requirement(extra: str = "") -> str:
    """How pip gets this very library: from the folder that it was installed from, or its version from PyPI."""
    checkout = Path(__file__).parents[2]
    if (checkout / "pyproject.toml").is_file():
        return f"lambda-durable{extra} @ {checkout.as_uri()}"
    installed = metadata.distribution("lambda-durable")
    origin = json.loads(installed.read_text("direct_url.json") or "{}")
    if "dir_info" in origin:
        return f"lambda-durable{extra} @ {origin['url']}"
    return f"lambda-durable{extra}~={installed.version}"

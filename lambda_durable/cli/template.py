"""`lambda-durable template`: the deployment of an app.

`project/template.yaml` is its one source: the repository's template.yaml and those of new projects are made of it.
"""

from __future__ import annotations

import contextlib
import os
import sys
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import Final

from ..app import Durable
from . import scaffold
from .loading import load
from .usage_error import UsageError

RUNTIMES: Final = ("3.11", "3.12", "3.13", "3.14")
"""Lambda: its runtimes with Python that lambda_durable runs on."""


@dataclass(frozen=True, slots=True)
class Worker:
    """What the template of an app says about its Lambda: `code_uri` is the folder of its code."""

    code_uri: str
    handler: str


def find_worker(reference: str) -> Worker:
    """The Lambda of an app, as seen from the current folder. Raises UsageError."""
    with contextlib.redirect_stdout(sys.stderr):  # what the user's code prints is no template
        module, app = load(reference)
    folder, name = _place(module, reference)
    return Worker(Path(os.path.relpath(folder)).as_posix(), f"{name}.{_handler(module, app, reference)}")


def render(worker: Worker, *, python: str = scaffold.PYTHON, layer: str | None = None) -> str:
    """The template. With `layer`, what is named in that folder's requirements.txt becomes a layer.

    Raises UsageError.
    """
    check_python(python)
    return scaffold.template(worker.code_uri, worker.handler, python=python, layer=layer)


def check_python(version: str) -> None:
    """Raises UsageError for a Python that Lambda has not, or we don't run on."""
    if version not in RUNTIMES:
        raise UsageError(f"--python is one of {', '.join(RUNTIMES)}, and this is {version!r}")


def missing_requirements(worker: Worker, layer: str | None) -> str | None:
    """What to do if `sam build` would find no requirements.txt."""
    path = Path(layer if layer is not None else worker.code_uri) / "requirements.txt"
    if path.is_file():
        return None
    return (
        f"{path.as_posix()} is not there yet; `sam build` installs what it names: write lambda-durable in it"
    )


def _place(module: ModuleType, reference: str) -> tuple[Path, str]:
    """The folder that has to be on sys.path, and the module's name from there."""
    if module.__file__ is None:
        raise UsageError(f"{reference} is no Python file, so it can't be deployed")
    path = Path(module.__file__).resolve()
    folder, parts = path.parent, [path.stem]
    while (folder / "__init__.py").is_file():
        folder, parts = folder.parent, [folder.name, *parts]
    return folder, ".".join(parts)


def _handler(module: ModuleType, app: Durable, reference: str) -> str:
    """The module's variable that Lambda calls."""
    names = [name for name, value in vars(module).items() if value is app.handler]
    if names:
        return names[0]
    variable = next(name for name, value in vars(module).items() if value is app)
    raise UsageError(
        f"Lambda finds nothing to call in {reference}; write in it: handler = {variable}.handler"
    )

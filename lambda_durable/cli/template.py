"""`lambda-durable template`: the deployment of an app.

`project/template.yaml` is its one source: the repository's template.yaml and those of new projects are made of it.
"""

from __future__ import annotations

import contextlib
import os
import re
import sys
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import Final

from ..app import Durable
from .loading import load
from .usage_error import UsageError

PROJECT: Final = Path(__file__).parent / "project"

RUNTIMES: Final = ("3.11", "3.12", "3.13", "3.14")
"""Lambda: its runtimes with Python that lambda_durable runs on."""

PYTHON: Final = "3.13"

_LAYERS = "Layers: [!Ref Dependencies]"

_LAYER = """\
# What the worker imports: uploaded when its requirements.txt changes, not with every change of the code.
  Dependencies:
    Type: AWS::Serverless::LayerVersion
    Properties:
      ContentUri: {folder}
      CompatibleRuntimes: [python{python}]
      CompatibleArchitectures: [!Ref Architecture]
      RetentionPolicy: Delete
    Metadata:
      BuildMethod: python{python}
      BuildArchitecture: !Ref Architecture
"""


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


def render(worker: Worker, *, python: str = PYTHON, layer: str | None = None) -> str:
    """The template. With `layer`, what is named in that folder's requirements.txt becomes a layer.

    Raises UsageError.
    """
    if python not in RUNTIMES:
        raise UsageError(f"--python is one of {', '.join(RUNTIMES)}, and this is {python!r}")
    return fill(
        (PROJECT / "template.yaml").read_text(encoding="utf-8"),
        code_uri=worker.code_uri,
        handler=worker.handler,
        python=python,
        layers=_LAYERS if layer is not None else "",
        layer=_LAYER.format(folder=layer, python=python) if layer is not None else "",
    )


def fill(text: str, **values: str) -> str:
    """Put values in the place of their @names@; a line that holds nothing but an empty one goes."""
    for name, value in values.items():
        if not value:
            text = re.sub(rf"^ *@{name}@\n", "", text, flags=re.MULTILINE)
        text = text.replace(f"@{name}@", value)
    return text


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

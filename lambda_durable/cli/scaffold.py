"""What a new project and an app's template are made of: the files in `project/`, with values in the place of
their @names@.

Nothing but the standard library is imported: `sam init` runs this file where nothing of ours is installed.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import Final

PROJECT: Final = Path(__file__).parent / "project"

PYTHON: Final = "3.13"

LONGEST_NAME: Final = 32
"""A bus and a stack are named after a project, with the stage behind it."""

_LAYERS = "!Ref Dependencies, "

_LAYER = """\
# What the worker imports: uploaded when its requirements.txt changes, not with every change of the code.
  Dependencies:
    Type: AWS::Serverless::LayerVersion
    Properties:
      ContentUri: @folder@
      CompatibleRuntimes: [python@python@]
      CompatibleArchitectures: [!Ref Architecture]
      RetentionPolicy: Delete
    Metadata:
      BuildMethod: python@python@
      BuildArchitecture: !Ref Architecture
"""


def template(code_uri: str, handler: str, *, python: str = PYTHON, layer: str | None = None) -> str:
    """The template of a worker. With `layer`, what that folder's requirements.txt names becomes one."""
    return _fill(
        (PROJECT / "template.yaml").read_text(encoding="utf-8"),
        layers=_LAYERS if layer is not None else "",
        layer=_fill(_LAYER, folder=layer) if layer is not None else "",
        code_uri=code_uri,
        handler=handler,
        python=python,
    )


def write(directory: Path, *, source: str, python: str = PYTHON) -> list[Path]:
    """Write a project's files; returns them. `source` is what follows lambda-durable in a requirement: a
    version, or where else pip finds it. Raises ValueError for a folder after which nothing can be named."""
    values = {
        "name": _name(directory),
        "python": python,
        "requirement": f"lambda-durable{source}",
        "dev_requirement": f"lambda-durable[cli]{source}",
    }
    texts = {
        file.relative_to(PROJECT): _fill(file.read_text(encoding="utf-8"), **values)
        for file in sorted(PROJECT.rglob("*"))
        if file.is_file() and file.suffix != ".pyc"
    }
    texts[Path("template.yaml")] = template("src", "app.handler", python=python)
    written = []
    for place, text in texts.items():
        target = directory / (place.with_name(".gitignore") if place.name == "gitignore" else place)
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_text(text, encoding="utf-8")
        written.append(target)
    return written


def _fill(text: str, **values: str) -> str:
    """A line that holds nothing but an empty value goes."""
    for name, value in values.items():
        if not value:
            text = re.sub(rf"^ *@{name}@\n", "", text, flags=re.MULTILINE)
        text = text.replace(f"@{name}@", value)
    return text


def _name(directory: Path) -> str:
    """A name for app and stack, from the folder's."""
    wanted = directory.resolve().name
    name = re.sub(r"[^a-z0-9]+", "-", wanted.lower()).strip("-")[:LONGEST_NAME].strip("-")
    if not name or not name[0].isalpha():
        raise ValueError(
            f"app and stack are named after the folder, and {wanted!r} doesn't begin with a letter"
        )
    return name

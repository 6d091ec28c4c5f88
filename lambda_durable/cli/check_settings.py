"""What a project says of its checks: `[tool.lambda_durable.check]` in its pyproject.toml."""

from __future__ import annotations

import tomllib
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ConfigDict, ValidationError

from ..check import RULES
from .usage_error import UsageError


class CheckSettings(BaseModel):
    """`paths` are checked where none is named, relative to the file; of the rules, those to `select` (all, unless some
    are named) but for those to `ignore`."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    paths: tuple[Path, ...] = ()
    select: tuple[str, ...] = ()
    ignore: tuple[str, ...] = ()

    @property
    def left_out(self) -> list[str]:
        return [rule for rule in RULES if rule in self.ignore or (self.select and rule not in self.select)]


def check_settings() -> CheckSettings:
    """Those of the nearest pyproject.toml, from this folder upwards. Raises UsageError."""
    here = Path.cwd()
    file = next(
        (found for each in (here, *here.parents) if (found := each / "pyproject.toml").is_file()), None
    )
    if file is None:
        return CheckSettings()
    try:
        told: Any = tomllib.loads(file.read_text(encoding="utf-8"))
        given = told.get("tool", {}).get("lambda_durable", {}).get("check", {})
        settings = CheckSettings.model_validate(given)
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise UsageError(f"{file} is no TOML: {error}") from None
    except ValidationError as error:
        wrong = error.errors()[0]
        where = ".".join(map(str, ("tool.lambda_durable.check", *wrong["loc"])))
        known = ", ".join(CheckSettings.model_fields)
        raise UsageError(f"{file}: {where}: {wrong['msg']}; it has {known}, each a list") from None
    check_rules((*settings.select, *settings.ignore), f"{file}: [tool.lambda_durable.check]")
    return settings.model_copy(update={"paths": tuple(file.parent / path for path in settings.paths)})


def check_rules(rules: Sequence[str], where: str) -> None:
    """Raises UsageError for what is none."""
    if unknown := [rule for rule in rules if rule not in RULES]:
        raise UsageError(
            f"{where}: there is no rule {', '.join(unknown)}; those there are: {', '.join(RULES)}"
        )

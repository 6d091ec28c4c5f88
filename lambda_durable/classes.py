"""Classes whose instances are data: found by name, and built again from their fields."""

from __future__ import annotations

import sys
from collections.abc import Callable
from dataclasses import fields, is_dataclass
from enum import Enum
from importlib import import_module
from typing import TYPE_CHECKING, Any, Final, TypeGuard

if TYPE_CHECKING:
    from pydantic import BaseModel


def is_model(value: object) -> TypeGuard[BaseModel]:
    """Whether a value is a pydantic model. Nothing is before somebody has imported what makes one, and for this alone a
    cold start need not."""
    return is_model_class(type(value))


def is_model_class(kind: type) -> TypeGuard[type[BaseModel]]:
    base = getattr(sys.modules.get("pydantic.main"), "BaseModel", None)
    return base is not None and issubclass(kind, base)


def sort_of(kind: type) -> str | None:
    if issubclass(kind, Enum):
        return "enum"
    if is_model_class(kind):
        return "model"
    return "dataclass" if is_dataclass(kind) else None


def find(where: str, sort: str) -> Any:
    """The class called `module:Qual.Name`. The name may come from a tampered table: only its sort gets in."""
    module, _, name = where.partition(":")
    try:
        target: Any = sys.modules.get(module) or import_module(module)
    except SystemExit as error:
        raise ImportError(f"importing {module} exits") from error
    for part in name.split("."):
        target = getattr(target, part)
    if not isinstance(target, type) or sort_of(target) != sort:
        raise TypeError(f"{where} is no {sort}")
    return target


def name_of(kind: type, sort: str) -> str | None:
    """The name that `find` finds the class by; None if it finds nothing, or another class."""
    name = f"{kind.__module__}:{kind.__qualname__}"
    try:
        return name if find(name, sort) is kind else None
    except Exception:  # importing runs the user's code
        return None


def state_of(value: Any) -> dict[str, Any]:
    """The fields of a model or dataclass, as they are."""
    if is_model(value):
        names = type(value).model_fields
        return {**{k: v for k, v in value.__dict__.items() if k in names}, **(value.__pydantic_extra__ or {})}
    return {field.name: getattr(value, field.name) for field in fields(value) if hasattr(value, field.name)}


def _build_dataclass(kind: Any, state: dict[str, Any]) -> Any:
    known = [field for field in fields(kind) if field.name in state]
    value = kind(**{field.name: state[field.name] for field in known if field.init})
    for field in known:
        if not field.init:
            object.__setattr__(value, field.name, state[field.name])
    return value


def _build_model(kind: type[BaseModel], state: dict[str, Any]) -> BaseModel:
    from pydantic import RootModel

    if issubclass(kind, RootModel):
        return kind.model_validate(state["root"])
    return kind.model_validate(state, by_alias=False, by_name=True)


BUILDERS: Final[dict[str, Callable[[Any, Any], Any]]] = {
    "enum": lambda kind, value: kind(value),
    "dataclass": _build_dataclass,
    "model": _build_model,
}

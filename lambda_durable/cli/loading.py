"""From what a user typed to a `Durable`: imports the module, with its folder on sys.path."""

from __future__ import annotations

import importlib
import importlib.util
import os
import sys
import traceback
from collections.abc import Iterator
from contextlib import contextmanager
from difflib import get_close_matches
from pathlib import Path
from types import ModuleType

from ..app import Durable
from .usage_error import UsageError


def load_app(reference: str) -> Durable:
    """The app that `path/to/app.py`, `path/to/app.py:name` or `package.module:name` names.

    Raises UsageError.
    """
    return load(reference)[1]


def load_given(reference: str | None) -> Durable | None:
    """The app that an option names, if it was given. Raises UsageError."""
    return None if reference is None else load_app(reference)


def load(reference: str) -> tuple[ModuleType, Durable]:
    """The app that a reference names, and the module that it is in. Raises UsageError."""
    where, name = _split(reference)
    module = _from_file(Path(where)) if _is_path(where) else _from_name(where)
    return module, _pick(module, where, name)


def _split(reference: str) -> tuple[str, str | None]:
    if not reference:
        raise UsageError("APP is empty; write path/to/app.py, path/to/app.py:name or package.module:name")
    where, colon, name = reference.rpartition(":")
    if not colon or "/" in name or "\\" in name:  # C:\app.py
        return reference, None
    if not where or not name.isidentifier():
        raise UsageError(
            f"{reference!r} is no app; write path/to/app.py, path/to/app.py:name or package.module:name"
        )
    return where, name


def _is_path(where: str) -> bool:
    return where.endswith(".py") or "/" in where or "\\" in where or Path(where).exists()


def folder_of(reference: str) -> Path:
    """The folder that the code of an app lies in, without importing it; for a module, that is this one.

    Raises UsageError for a file that is none.
    """
    where, _ = _split(reference)
    if not _is_path(where):
        return Path.cwd()
    _check_file(Path(where))
    return Path(where).resolve().parent


def file_of(reference: str) -> Path:
    """The file of an app, without importing it, or the folder that its module lies in. Raises UsageError."""
    where, _ = _split(reference)
    if not _is_path(where):
        return Path.cwd()
    _check_file(Path(where))
    return Path(where)


def _check_file(path: Path) -> None:
    if path.is_dir():
        inside = path / "app.py"
        hint = f"; did you mean {inside}?" if inside.is_file() else "; name the Python file in it"
        raise UsageError(f"{path} is a folder{hint}")
    if not path.is_file():
        raise UsageError(f"there is no file {path}{similar(path)}")
    if path.suffix != ".py":
        raise UsageError(
            f"{path} is no Python file: its name ends with {path.suffix or 'nothing'!r}, not '.py'"
        )


def _from_file(path: Path) -> ModuleType:
    _check_file(path)
    folder, parts = path.resolve().parent, [path.stem]
    while (folder / "__init__.py").is_file():  # a module of a package, whose imports may be relative
        folder, parts = folder.parent, [folder.name, *parts]
    sys.path.insert(0, str(folder))
    name = ".".join(parts)
    if len(parts) > 1:
        with _explained(path):
            return importlib.import_module(name)
    return _import_file(path.resolve(), name)


def _import_file(path: Path, name: str) -> ModuleType:
    """Import a file under its own name, or one like it where another module has that."""
    while name in sys.modules:
        name += "_"
    spec = importlib.util.spec_from_file_location(name, path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module
    with _explained(path):
        spec.loader.exec_module(module)
    return module


def _from_name(name: str) -> ModuleType:
    if "" not in sys.path:
        sys.path.insert(0, "")
    try:
        found = importlib.util.find_spec(name)
    except (ImportError, ValueError):
        found = None
    except Exception as error:  # its package was imported for that
        raise UsageError(f"importing {name} failed: {_where(error)}") from None
    if found is None:
        raise UsageError(
            f"there is no module {name!r} to import from here; or is it a file? Then write its path: app.py"
        )
    if found.origin is not None:
        sys.path.append(str(Path(found.origin).parent))
    with _explained(name):
        return importlib.import_module(name)


@contextmanager
def _explained(what: object) -> Iterator[None]:
    """Errors at import become one line."""
    try:
        yield
    except (Exception, SystemExit) as error:
        raise UsageError(f"importing {what} failed: {_where(error)}") from None


def _where(error: BaseException) -> str:
    kind = type(error).__name__
    message = " ".join(str(error).split()) or "no message"
    if isinstance(error, SyntaxError):
        return f"{kind}: {error.msg} ({error.filename}, line {error.lineno})"
    ours = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
    frames = [
        frame
        for frame in traceback.extract_tb(error.__traceback__)
        if not frame.filename.startswith((ours, "<"))  # "<frozen ...>", "<string>": made, and not written
    ]
    place = f" ({frames[-1].filename}, line {frames[-1].lineno})" if frames else ""
    hint = ""
    if isinstance(error, ModuleNotFoundError):
        hint = "; is it installed in this environment, or misspelt?"
    return f"{kind}: {message}{hint}{place}"


def _pick(module: ModuleType, where: str, name: str | None) -> Durable:
    apps = {key: value for key, value in vars(module).items() if isinstance(value, Durable)}
    if name is not None:
        return _named(module, apps, where, name)
    different = {id(app): app for app in apps.values()}
    if not different:
        raise UsageError(f'there is no app in {where}; write in it: app = Durable("name")')
    if len(different) > 1:
        one = next(iter(apps))
        raise UsageError(f"{where} has several apps, {', '.join(apps)}; say which one: {where}:{one}")
    return next(iter(different.values()))


def _named(module: ModuleType, apps: dict[str, Durable], where: str, name: str) -> Durable:
    if name in apps:
        return apps[name]
    there = f"; the apps in it: {', '.join(apps)}" if apps else "; there is no app in it"
    if hasattr(module, name):
        raise UsageError(
            f"{name} in {where} is of type {type(getattr(module, name)).__name__}, and no Durable{there}"
        )
    raise UsageError(f"there is no {name} in {where}{there}")


def similar(path: Path) -> str:
    """A hint at a file that may have been meant."""
    folder = path.parent
    if not folder.is_dir():
        return f": there is no folder {folder}"
    names = [entry.name for entry in folder.iterdir() if entry.is_file()]
    close = get_close_matches(path.name, names, n=1, cutoff=0.75)
    return f"; did you mean {folder / close[0]}?" if close else ""

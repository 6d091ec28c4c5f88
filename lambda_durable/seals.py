"""Seals: what an app's middleware makes of the texts that are kept, and back."""

from __future__ import annotations

import json
from collections.abc import Sequence

from .errors import MiddlewareError
from .middleware import Middleware, Place, middleware_name


class UnsealedError(MiddlewareError):
    """What is kept is not encoded by middleware that is to have encoded it."""


MARK = "~"
"""What an encoded text begins with, and JSON never does: `~first,second~text`, the names in the order of encoding."""


class Seal:
    """Closes and opens texts with an app's middleware.

    What was kept before the middleware came is read as it is, unless it is `required`. `lenient`, for who reads
    without the app: a text that can't be opened is a JSON string that says so.
    """

    def __init__(self, app_id: str, middleware: Sequence[Middleware] = (), *, lenient: bool = False) -> None:
        self._app_id = app_id
        self._by_name = {middleware_name(each): each for each in middleware if each.encodes}
        self._required = [name for name, each in self._by_name.items() if each.required]
        self._lenient = lenient

    @property
    def encodes(self) -> bool:
        return bool(self._by_name)

    def close(self, text: str, owner: str) -> str:
        """What is kept of a text. Raises MiddlewareError."""
        if not self._by_name:
            return text
        for name, each in self._by_name.items():
            try:
                text = each.encode(text, Place(self._app_id, owner))
            except Exception as error:
                raise _failed("encode", name, owner, error) from error
        return f"{MARK}{','.join(self._by_name)}{MARK}{text}"

    def open(self, text: str, owner: str) -> str:
        """The text that was closed. Raises MiddlewareError."""
        if not text.startswith(MARK):
            self.check_closed(owner)
            return text
        names, _, text = text[1:].partition(MARK)
        self.check_closed(owner, names.split(","))
        if self._lenient:
            return json.dumps(unreadable(names))
        for name in reversed(names.split(",")):
            each = self._by_name.get(name)
            if each is None:
                raise MiddlewareError(
                    f"what is kept of {owner} was encoded by middleware {name!r}, which the app does not "
                    "have; put it into Durable(middleware=...)"
                )
            try:
                text = each.decode(text, Place(self._app_id, owner))
            except Exception as error:
                raise _failed("decode", name, owner, error) from error
        return text

    def check_closed(self, owner: str, names: Sequence[str] = ()) -> None:
        """Raises UnsealedError for what only those of `names` have encoded, if another one is required."""
        for name in self._required:
            if name not in names:
                raise UnsealedError(
                    f"what is kept of {owner} is not encoded by middleware {name!r}, which requires it: somebody else "
                    "wrote it, or it is from before the app had that middleware (required=False reads it)"
                )


PLAIN = Seal("")
"""Of an app whose middleware encodes nothing."""


def unreadable(names: str) -> str:
    return f"(encoded by {names}; only the app can read it)"


def _failed(what: str, name: str, owner: str, error: Exception) -> MiddlewareError:
    return MiddlewareError(
        f"middleware {name!r} could not {what} what is kept of {owner}: {type(error).__name__}: {error}; the message "
        "comes back, and is tried again"
    )

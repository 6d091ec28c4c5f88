"""A world in which everything is kept as the app's middleware encodes it.

What goes into the store is closed, and what comes out of it opened, by its type: payloads, errors, conditions and
the values that are to match. The runtime sees none of it. Ids, names, labels, kinds and times stay readable: they are
what things are found by.

An event finds a wait by the value that is to match, so that can't be encoded anew each time: a keyed digest stands
for it. The key is made once for the app, and kept in the table, encoded.
"""

from __future__ import annotations

import hashlib
import hmac
import json
import secrets
from collections.abc import Callable, Iterator
from dataclasses import asdict, fields, is_dataclass, replace
from functools import partial
from itertools import chain
from typing import Any, cast

from ..engine.journal import FanPlan, Payload, WaitPlan
from ..errors import ErrorInfo, MiddlewareError
from ..function import App
from ..parsing import read
from ..ports import Blobs, World
from ..seals import Seal
from ..store import Backlog, Join, Store, StoredEvent, Waiter

DIGEST_KEY = "app/digest-key"

LABELS = "app/gates"
"""Whose the values of keys are that limits have."""


def sealed(world: World, app: App | None) -> World:
    """The world of an app; as it is, if its middleware encodes nothing. Without an app what is encoded is read as a
    text that says so."""
    seal = Seal(app.id, app.middleware) if app is not None else Seal("", lenient=True)
    if app is not None and not seal.encodes:
        return world
    store = SealedStore(world.store, seal)
    blobs = SealedBlobs(world.blobs, seal, store.digest)
    return replace(world, store=cast(Store, store), blobs=blobs, seal=seal)


class SealedStore:
    """The `Store` port on another one. A method that is not here is one of that store's, between closing and
    opening; its first argument says whose a thing is that does not say so itself."""

    def __init__(self, store: Store, seal: Seal) -> None:
        self._store = store
        self._seal = seal
        self._digest_key = b""

    def __getattr__(self, name: str) -> Callable[..., Any]:
        method = getattr(self._store, name)

        def call(*args: Any, **kwargs: Any) -> Any:
            owner = args[0] if args and isinstance(args[0], str) else ""
            close = partial(_through, self._close)
            given = [close(each, owner) for each in args]
            named = {key: close(each, owner) for key, each in kwargs.items()}
            return self._opened(method(*given, **named), owner)

        vars(self)[name] = call
        return call

    def waiters(
        self, name: str, match_path: str, match: str, *, after: tuple[str, str] | None = None
    ) -> Iterator[Waiter]:
        found = self._store.waiters(name, match_path, self.digest(match) if match else match, after=after)
        if match and self._seal.encodes:  # and those from before the app encoded anything: a Query more
            found = chain(found, self._store.waiters(name, match_path, match))
        return (replace(self._opened(waiter, ""), match=match) for waiter in found)

    def digest(self, text: str) -> str:
        """The same for an equal text; without the app's key it tells nothing of it."""
        if not self._digest_key:
            new = self._seal.close(secrets.token_hex(32), DIGEST_KEY)
            kept = self._store.remember(DIGEST_KEY, new)
            self._digest_key = bytes.fromhex(self._seal.open(kept, DIGEST_KEY))
        return hmac.new(self._digest_key, text.encode(), hashlib.sha256).hexdigest()

    def _opened(self, found: Any, owner: str) -> Any:
        open_ = partial(_through, self._open)
        if isinstance(found, Iterator):
            return (open_(each, owner) for each in found)
        return open_(found, owner)

    def _close(self, value: Any, owner: str) -> Any:
        close = partial(self._seal.close, owner=owner)
        match value:
            case Payload() if value.text is not None:
                return replace(value, text=close(value.text))
            case ErrorInfo() if self._seal.encodes:
                told = {name: getattr(value, name) for name in ("message", "traceback", "reasons")}
                kept = replace(value, message="", traceback="", reasons=None)
                return replace(kept, sealed=close(json.dumps(told, ensure_ascii=False)))
            case WaitPlan():
                match = close(value.match) if value.match else value.match
                return replace(value, match=match, condition=_unless_empty(close, value.condition))
            case FanPlan():
                return replace(value, fingerprint=_unless_empty(close, value.fingerprint))
            case Join() if value.limit.label and self._seal.encodes:
                label = self._seal.close(value.limit.label, LABELS)
                return replace(value, limit=replace(value.limit, label=label))
            case Waiter() if self._seal.encodes:
                match = _unless_empty(self.digest, value.match)
                return replace(value, match=match, condition=_unless_empty(close, value.condition))
        return value

    def _open(self, value: Any, owner: str) -> Any:
        open_ = partial(self._seal.open, owner=owner)
        match value:
            case Payload() if value.text is not None:
                return replace(value, text=open_(value.text))
            case ErrorInfo() if value.sealed is not None:
                told = json.loads(open_(value.sealed))
                told = told if isinstance(told, dict) else {"message": told}
                return read(ErrorInfo, {**asdict(value), "sealed": None, **told})
            case ErrorInfo():
                self._seal.check_closed(owner)
            case WaitPlan():
                match = open_(value.match) if value.match else value.match
                return replace(value, match=match, condition=_unless_empty(open_, value.condition))
            case FanPlan():
                return replace(value, fingerprint=_unless_empty(open_, value.fingerprint))
            case Backlog() if value.limit.label:
                label = self._seal.open(value.limit.label, LABELS)
                return replace(value, limit=replace(value.limit, label=label))
            case Waiter():
                return replace(value, condition=_unless_empty(open_, value.condition))
        return value


def _unless_empty(work: Callable[[str], str], text: str) -> str:
    return work(text) if text else text


class SealedBlobs:
    """The `Blobs` port on another one. An object's key says whose it is."""

    def __init__(self, blobs: Blobs, seal: Seal, digest: Callable[[str], str]) -> None:
        self._blobs = blobs
        self._seal = seal
        self._digest = digest

    def digest(self, text: str) -> str:
        return self._digest(text) if self._seal.encodes else self._blobs.digest(text)

    def put(self, key: str, text: str) -> None:
        self._blobs.put(key, self._seal.close(text, _owner(key)))

    def get(self, key: str) -> str:
        kept = self._blobs.get(key)
        text = self._seal.open(kept, _owner(key))
        if self._seal.encodes and kept != text and not key.endswith(self._digest(text)):
            raise MiddlewareError(f"{key} holds what was written under another key: who moved it?")
        return text

    def extend(self, key: str) -> None:
        self._blobs.extend(key)


def _owner(key: str) -> str:
    return key.rpartition("/")[0]


def _through(work: Callable[[Any, str], Any], value: Any, owner: str) -> Any:
    """A value with `work` done to all in it, where it says whose it is as theirs."""
    if isinstance(value, tuple | list):
        if not value or isinstance(value[0], str):
            return value
        return type(value)(_through(work, each, owner) for each in value)
    if isinstance(value, dict):
        return {key: _through(work, each, owner) for key, each in value.items()}
    if isinstance(value, ErrorInfo):
        return work(value, owner)
    if not is_dataclass(value) or isinstance(value, type):
        return value
    owner = f"events/{value.id}" if isinstance(value, StoredEvent) else getattr(value, "run_id", owner)
    found = {each.name: getattr(value, each.name) for each in fields(value)}
    changed = {
        name: new
        for name, old in found.items()
        if (new := _through(work, old, owner)) is not old and new != old
    }
    return work(replace(value, **changed) if changed else value, owner)

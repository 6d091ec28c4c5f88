"""Who waits for what: items by which an event finds the waits that it ends, and a signal the one.

    w#<event name>            !              p: the paths that waits on this name match by, each after a dot
    w#<name>#<path>#<match>   <run>/<path>   a wait for an event with that value there (both empty: for any)
    s#<signal>                !              the wait for a signal

A waiter has `u` its run, `p` its path there, `g` the message that goes on with it, `c` its condition, `a`
since when events count, `n` which do not, and `x` when it expires.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from ..store import Waiter
from . import keys
from .attributes import names_damage, number, read_text, read_texts, text, texts

if TYPE_CHECKING:
    from .attributes import Item

GRACE = 7 * 24 * 60 * 60
"""Seconds that a waiter is kept beyond its time."""

PATHS = "!"
SIGNAL = "!"


def paths_key(name: str) -> str:
    return _fitting(f"w#{keys.escaped(name)}")


def event_key(name: str, path: str, match: str) -> str:
    return _fitting(f"w#{keys.escaped(name)}#{keys.escaped(path)}#{match}")


def signal_key(name: str) -> str:
    return _fitting(f"s#{name}")


def sort_key(run_id: str, path: str) -> str:
    key = f"{keys.escaped(run_id)}/{path}"
    return key if keys.fits(key, keys.LONGEST_SORT) else keys.digest(key)


def to_item(waiter: Waiter, pk: str, sk: str) -> Item:
    item: Item = {
        "pk": text(pk),
        "sk": text(sk),
        "u": text(waiter.run_id),
        "p": text(waiter.path),
        "g": text(waiter.resume),
        "a": number(waiter.since),
        "x": number(math.ceil(waiter.until / 1000) + GRACE),
    }
    if waiter.condition:
        item["c"] = text(waiter.condition)
    if waiter.taken:
        item["n"] = texts(waiter.taken)
    return item


@names_damage
def from_item(item: Item, name: str, path: str = "", match: str = "") -> Waiter:
    return Waiter(
        name=name,
        run_id=item["u"]["S"],
        path=item["p"]["S"],
        resume=item["g"]["S"],
        match_path=path,
        match=match,
        condition=read_text(item, "c"),
        taken=read_texts(item, "n"),
        since=int(item["a"]["N"]),
        until=(int(item["x"]["N"]) - GRACE) * 1000,
    )


def _fitting(key: str) -> str:
    return key if keys.fits(key, keys.LONGEST_PARTITION) else f"{key[:200]}#{keys.digest(key)}"

"""Headers of runs, as items of the table and back. What their attributes mean: items.py."""

from __future__ import annotations

from dataclasses import asdict, fields, replace
from typing import TYPE_CHECKING, Any

from ..engine.code import UNKNOWN, Code
from ..engine.gates import Place, Queueing
from ..engine.journal import Author, Header, Origin, Parent, Payload, Renewal, RunStatus
from ..store import FIRST_CHECK
from . import keys
from .attributes import (
    error_json,
    from_json,
    integer,
    names_damage,
    needed_payload,
    number,
    put_payload,
    read_author,
    read_error,
    read_payload,
    read_text,
    read_texts,
    text,
    texts,
    to_json,
)
from .packing import SHORT
from .sizes import item_size
from .table import checks_partition, index_partition, index_sort, shard_of, standing_sort

if TYPE_CHECKING:
    from .attributes import Item

A_HEADER = 320
"""About the bytes of a header without its event, when it has ended with nothing to tell."""

NOT_LOOKED_AFTER = "attribute_exists(k)"
"""Of an entry in the index of runs: the run goes on, and is to be looked after `FIRST_CHECK` after it began."""

LATER = "later"
"""How a run stands that began with a time to start at. When that has come, nothing is written."""


AT_ITS_END = 48
"""About the bytes by which a header grows when it ends with nothing to tell."""


def header_item(header: Header, expiry: int) -> Item:
    return _begun(header, expiry) | ending(header)


def _begun(header: Header, expiry: int) -> Item:
    """A header without how it is."""
    pk = keys.run(header.run_id)
    item: Item = {
        "pk": text(pk),
        "sk": text(keys.HEADER),
        "f": text(header.function_id),
        "c": number(header.created),
        "m": text(str(header.author)),
        "x": number(expiry),
        "gp": text(index_partition(header.function_id, shard_of(header.run_id))),
        "gs": text(index_sort(header.created, header.run_id)),
        **standing(header),
    }
    if header.starts is not None:
        item["w"] = number(header.starts)
    if header.start_by is not None:
        item["Y"] = number(header.start_by)
    if header.finish_by is not None:
        item["y"] = number(header.finish_by)
    if header.parent is not None:
        item["P"] = to_json(asdict(header.parent))
    item |= check(header)[0]
    if pk != header.run_id:
        item["u"] = text(header.run_id)
    if header.event_id:
        item["i"] = text(header.event_id)
    if header.labels:
        item["L"] = texts(header.labels)
    if header.carried:
        item["C"] = to_json(dict(header.carried))
    if header.renewal is not None:
        item |= renewal(header.renewal)
    item |= code(header) | queueing(header) | origin(header)
    put_payload(item, header.event, "v", "V", beside=AT_ITS_END)
    return item


def standing(header: Header) -> Item:
    """The attribute by which a header is listed for its status: none for one that has completed, and for one that
    runs and was not looked after yet."""
    status = header.status
    if status is RunStatus.COMPLETED:
        return {}
    key = index_sort(header.created, header.run_id)
    if status is not RunStatus.RUNNING:
        return {"hs": text(standing_sort(status.value, key))}
    if header.starts is not None:
        return {"hs": text(standing_sort(LATER, key))}
    return {} if header.check_at == header.created + FIRST_CHECK else {"hs": text(key)}


def check(header: Header) -> tuple[Item, list[str]]:
    """The attributes of a header that say when the run is looked after, and those that it does not have then."""
    if header.check_at is None or header.status.ended:
        return {}, ["k", "kp", "ks"]
    at = number(header.check_at)
    if header.check_at == header.created + FIRST_CHECK:
        return {"k": at}, ["kp", "ks"]
    return {"kp": text(checks_partition(shard_of(header.run_id))), "ks": at}, ["k"]


def ending(header: Header) -> Item:
    """The attributes of a header that its end sets, and the beginning of its end."""
    item: Item = {"s": text(header.status.value)}
    if header.ended is not None:
        item["t"] = number(header.ended)
    if header.ended_by is not None:
        item["z"] = text(str(header.ended_by))
    if header.error is not None:
        item["e"] = error_json(header.error)
    if header.unused:
        item["U"] = texts(header.unused)
    if header.ends_as is not None:
        item["E"] = text(header.ends_as.value)
    output = header.output
    long = output is not None and len(output.text or "") > SHORT
    put_payload(item, output, "o", "O", beside=item_size(_begun(header, header.created)) if long else 0)
    return item


def new_status(header: Header) -> tuple[Item, list[str]]:
    """What is to be set of a header, and what removed, for it to have another status."""
    change = {**ending(header), **standing(header)}
    gone = check(header)[1] if header.status.ended else []
    return change, gone if "hs" in change else [*gone, "hs"]


def code(header: Header) -> Item:
    """The attributes of a header that say on which code its journal began."""
    item: Item = {}
    if header.code != UNKNOWN:
        item["K"] = text(str(header.code))
    if header.pinned:
        item["p"] = number(1)
    return item


def queueing(header: Header) -> Item:
    """The attributes of a header that say how it passes gates."""
    if header.queueing is None:
        return {}
    return {"Q": to_json({name: value for name, value in asdict(header.queueing).items() if value})}


def origin(header: Header) -> Item:
    """The attribute of a header that says what it is a rerun of."""
    return {"a": to_json(asdict(header.origin))} if header.origin is not None else {}


def _origin(kept: dict[str, Any] | None) -> Origin | None:
    return (
        Origin(**{each.name: kept[each.name] for each in fields(Origin) if each.name in kept})
        if kept
        else None
    )


def _queueing(item: Item) -> Queueing | None:
    if "Q" not in item:
        return None
    kept = from_json(item, "Q", {})
    place = kept.pop("place", None)
    inside = tuple(kept.pop("inside", ()))
    return Queueing(**kept, inside=inside, place=Place(**place) if place else None)


def renewal(renewal: Renewal) -> Item:
    """The attributes of a header that say of which journal it is."""
    kept: dict[str, object] = {"by": str(renewal.by), "at": renewal.at}
    if renewal.taken:
        kept["taken"] = dict(renewal.taken)
    return {"J": number(renewal.number), "j": to_json(kept)}


def _renewal(item: Item) -> Renewal | None:
    if "J" not in item:
        return None
    kept = from_json(item, "j", {})
    taken = tuple(kept.get("taken", {}).items())
    return Renewal(int(item["J"]["N"]), Author.parse(kept["by"]), kept["at"], taken)


def event_change(event: Payload) -> tuple[Item, str]:
    """What is to be set of a header, and what removed, for it to have another event."""
    item: Item = {}
    put_payload(item, event, "v", "V", beside=A_HEADER)
    return item, "V" if "v" in item else "v"


LISTED = "pk, u, f, s, c, t, w, L"
"""What a list has of a header (a ProjectionExpression)."""


def listed(item: Item) -> Header:
    """A header in a list. It leaves out who started a run, since no protocol decision reads a list, and the event."""
    return replace(
        header({"m": text("0."), "v": text(""), "s": text(RunStatus.RUNNING.value), **item}), event=Payload()
    )


@names_damage
def header(item: Item) -> Header:
    return Header(
        run_id=read_text(item, "u", item["pk"]["S"]),
        function_id=item["f"]["S"],
        status=RunStatus(item["s"]["S"]),
        event=needed_payload(item, "v", "V"),
        author=read_author(item),
        created=int(item["c"]["N"]),
        ended=integer(item, "t"),
        ended_by=read_author(item, "z") if "z" in item else None,
        output=read_payload(item, "o", "O"),
        error=read_error(item),
        labels=read_texts(item, "L"),
        event_id=read_text(item, "i"),
        unused=read_texts(item, "U"),
        parent=_parent(from_json(item, "P", None)),
        starts=integer(item, "w"),
        start_by=integer(item, "Y"),
        finish_by=integer(item, "y"),
        check_at=_check_at(item),
        undoes="H" in item,
        ends_as=RunStatus(item["E"]["S"]) if "E" in item else None,
        renewal=_renewal(item),
        code=Code.parse(read_text(item, "K", "@")),
        pinned="p" in item,
        queueing=_queueing(item),
        pauses=integer(item, "B") or 0,
        origin=_origin(from_json(item, "a", None)),
        carried=tuple(from_json(item, "C", {}).items()),
        reruns=tuple(sorted(item["R"]["SS"])) if "R" in item else (),
        expires=expiry * 1000 if (expiry := integer(item, "x")) is not None else None,
    )


def _parent(kept: dict[str, Any] | None) -> Parent | None:
    return Parent(**{field.name: kept[field.name] for field in fields(Parent)}) if kept else None


def _check_at(item: Item) -> int | None:
    first = integer(item, "k")
    return integer(item, "ks") if first is None else first


def due_check(item: Item) -> tuple[str, int]:
    """An entry of an index: the run's id, and when to look after it."""
    return read_text(item, "u", item["pk"]["S"]), int((item.get("k") or item["ks"])["N"])

"""Lists of runs, for people: found in the indexes by function, by how they stand, or by a label, newest first; how
each is, is read from its header.

An index is seconds behind the table. So a run is listed if its header says that it belongs there: one that has just
ended may be missing from both lists for that long, and none is ever in a wrong one.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import chain, islice
from typing import TYPE_CHECKING, Final, NamedTuple

from ..durations import to_millis
from ..engine.journal import Header, RunStatus
from . import headers, keys
from .attributes import number, read_text, text
from .check_store import CheckStore
from .lists import Lists
from .table import (
    LABEL_SHARDS,
    RUNS_INDEX,
    SHARDS,
    STANDING_INDEX,
    index_partition,
    index_range,
    index_sort,
    standing_sort,
)
from .table_calls import LIST_PAGE

if TYPE_CHECKING:
    from mypy_boto3_dynamodb.type_defs import QueryInputTypeDef


FILTERED_PAGE: Final = 300
"""Entries of a shard that are looked at first where some may not be wanted; after that, as many as DynamoDB looks at
in one Query (1 MB)."""

FEW: Final = 2000
"""Runs with a label that are looked at one by one, whatever their status. Where there are more, those of the status
are found by their index, too."""


class Entry(NamedTuple):
    """A run in a list: what it is sorted by, and its partition."""

    order: str
    pk: str


@dataclass(frozen=True, slots=True)
class Span:
    """The runs whose `order` is between these, and before that; at first so many are expected to be asked for, and all
    of them where the list is `read_through` to find what is in another one, too."""

    first: str
    last: str
    before: str
    page: int
    read_through: bool = False


class RunLists(Lists, CheckStore):
    """The part of the `Store` port that lists runs: each shard page by page, as what is listed is asked for."""

    def runs(
        self,
        function_ids: Sequence[str],
        *,
        statuses: Sequence[str] = (),
        label: str | None = None,
        since: int | None = None,
        until: int | None = None,
        after: tuple[int, str] | None = None,
        expected: int | None = None,
        whole: bool = False,
    ) -> Iterator[Header]:
        first, last = index_range(since, until)
        before = index_sort(*after) if after is not None else ""
        last = min(last, before) if before else last
        if first > last:  # DynamoDB refuses such a BETWEEN
            return iter(())
        functions = list(dict.fromkeys(function_ids))
        if not functions:
            return iter(())
        span = Span(first, last, before, min(expected or LIST_PAGE, LIST_PAGE))
        if label is not None:
            found = self._labelled(functions, label, statuses, span)
        elif not statuses or RunStatus.COMPLETED in statuses:
            found = self._begun(functions, span)
        else:
            found = self._standing(functions, statuses, span)
        return self._looked_at(found, set(functions), statuses, span, whole=whole)

    def _looked_at(
        self, found: Iterator[Entry], functions: set[str], statuses: Sequence[str], span: Span, *, whole: bool
    ) -> Iterator[Header]:
        """Those that are there, and are as they are to be."""
        page = span.page
        while some := list(islice(found, page)):
            there = self._headers_of([entry.pk for entry in some], whole=whole)
            now = to_millis(self._clock.now())
            for order, pk in some:
                header = there.get(pk)
                if header is None or header.function_id not in functions:
                    continue
                # A run that has taken the id of one that expired is listed where it belongs.
                if int(order[:13]) == header.created and (not statuses or header.status_at(now) in statuses):
                    yield header
            page = LIST_PAGE

    def _begun(self, functions: Sequence[str], span: Span) -> Iterator[Entry]:
        partitions = [index_partition(id, shard) for id in functions for shard in range(SHARDS)]
        return self._all([self._listed(RUNS_INDEX, "gs", gp, "", span) for gp in partitions], span)

    def _standing(self, functions: Sequence[str], statuses: Sequence[str], span: Span) -> Iterator[Entry]:
        """Those of some statuses; to complete is none of them."""
        running, queued = (status in statuses for status in (RunStatus.RUNNING, RunStatus.QUEUED))
        standings = ["" if status == RunStatus.RUNNING else status for status in dict.fromkeys(statuses)]
        looks = self._looks() if running else {}
        shards = []
        for id, gp in ((id, index_partition(id, shard)) for id in functions for shard in range(SHARDS)):
            shards += [self._listed(STANDING_INDEX, "hs", gp, standing, span) for standing in standings]
            if running or queued:
                only = "" if running and queued else "w <= :now" if running else "w > :now"
                shards.append(self._listed(STANDING_INDEX, "hs", gp, headers.LATER, span, only))
            if running:
                shards.append(self._young(gp, looks[id].until if id in looks else 0, span))
        return self._all(shards, span)

    def _labelled(
        self, functions: Sequence[str], label: str, statuses: Sequence[str], span: Span
    ) -> Iterator[Entry]:
        """Those with a label; of the statuses, if they are many."""
        partitions = [keys.label(id, label, shard) for id in functions for shard in range(LABEL_SHARDS)]
        exact = bool(statuses) and RunStatus.COMPLETED not in statuses
        span = replace(span, read_through=exact)
        found = self._all([self._listed("", "sk", pk, "", span) for pk in partitions], span)
        if not exact:
            yield from found
            return
        some = list(islice(found, FEW))
        if len(some) < FEW:
            yield from some
        else:
            yield from _both(chain(some, found), self._standing(functions, statuses, span))

    def _listed(
        self, index: str, sort: str, partition: str, standing: str, span: Span, only: str = ""
    ) -> Iterator[Entry]:
        """A shard of an index, or of the table, newest first."""
        hash_key = "gp" if index else "pk"
        values = {
            ":key": text(partition),
            ":first": text(standing_sort(standing, span.first)),
            ":last": text(standing_sort(standing, span.last)),
        }
        request: QueryInputTypeDef = {
            "TableName": self._table,
            "KeyConditionExpression": f"{hash_key} = :key AND {sort} BETWEEN :first AND :last",
            "ExpressionAttributeValues": values,
            "ScanIndexForward": False,
            "Limit": FILTERED_PAGE if only else span.page,
        }
        if index:
            request["IndexName"] = index
        if only:
            request["FilterExpression"] = only
        if ":now" in only:
            values[":now"] = number(to_millis(self._clock.now()))
        for item in self._query(request, grows=bool(only) or span.read_through):
            order = item[sort]["S"].removeprefix(f"{standing}#")
            run_id = read_text(item, "u", order.partition("#")[2])
            yield Entry(order, item["pk"]["S"] if index else keys.run(run_id))

    def _young(self, partition: str, looked_after: int, span: Span) -> Iterator[Entry]:
        """Those that were not looked after yet, among them all that run since their start: what began before a time was
        looked after, or has ended."""
        first, last = max(span.first, index_range(looked_after, None)[0]), span.last
        if first > last:
            return iter(())
        return self._listed(
            RUNS_INDEX, "gs", partition, "", replace(span, first=first), headers.NOT_LOOKED_AFTER
        )

    def _all(self, shards: Sequence[Iterator[Entry]], span: Span) -> Iterator[Entry]:
        """All that the shards list, newest first and once, in this span."""
        newest = ""
        for entry in self._merged(shards, lambda entry: entry.order, newest_first=True):
            if entry.order != newest and (not span.before or entry.order < span.before):
                newest = entry.order
                yield entry

    def _headers_of(self, partitions: Sequence[str], *, whole: bool) -> Mapping[str, Header]:
        """The headers in some partitions, by those; at most as many as one call takes."""
        read = headers.header if whole else headers.listed
        found = self._read_together([(pk, keys.HEADER) for pk in partitions], "" if whole else headers.LISTED)
        return {item["pk"]["S"]: read(item) for item in found}


def _both(one: Iterator[Entry], other: Iterator[Entry]) -> Iterator[Entry]:
    """What is in two lists, which are newest first."""
    a, b = next(one, None), next(other, None)
    while a is not None and b is not None:
        if a.order == b.order:
            yield a
            a, b = next(one, None), next(other, None)
        elif a.order > b.order:
            a = next(one, None)
        else:
            b = next(other, None)

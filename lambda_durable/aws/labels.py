"""Labels: the runs that have one, each as an item under function and label, so that a list of them is one Query a
shard.

They are written once the header is, by each delivery of the message that wrote that: a run has its labels before
anything is sent for it, and no label is of a run that there is not.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from ..engine.journal import Header
from . import keys
from .attributes import number, text
from .table import LABEL_SHARDS, index_sort, shard_of
from .table_calls import NOTHING_IS_THERE, SOONER_GONE, TableCalls

if TYPE_CHECKING:
    from .attributes import Item


class LabelStore(TableCalls):
    """The part of the `Store` port that has runs found by their labels."""

    def _list_by_labels(self, header: Header, expiry: int) -> None:
        for item in label_items(header, expiry):
            self._put(item, NOTHING_IS_THERE)

    def _extend_labels(self, header: Header, expiry: int) -> None:
        """Let a run be found by its labels until then; idempotent."""
        for item in label_items(header, expiry):
            self._update(
                item["pk"]["S"], item["sk"]["S"], "SET x = :x", {":x": item["x"]}, condition=SOONER_GONE
            )


def label_items(header: Header, expiry: int) -> list[Item]:
    shard, sort = shard_of(header.run_id, LABEL_SHARDS), index_sort(header.created, header.run_id)
    item: Item = {"sk": text(sort), "x": number(expiry)}
    if not sort.endswith(f"#{header.run_id}"):
        item["u"] = text(header.run_id)
    return [
        {"pk": text(keys.label(header.function_id, label, shard)), **item}
        for label in dict.fromkeys(header.labels)
    ]
